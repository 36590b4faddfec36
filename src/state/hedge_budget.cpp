#include "backstop/state/hedge_budget.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <stdexcept>

#include <fmt/format.h>

namespace backstop::inline v0 {
namespace {

constexpr std::int64_t one_hedge = 1'000'000;

std::int64_t parts(double hedges) noexcept { return std::llround(hedges * static_cast<double>(one_hedge)); }

}  // namespace

struct HedgeBudget::State {
  explicit State(const HedgeBudgetOptions& options) noexcept : share{parts(options.share)}, most{parts(options.most)} {}

  void add(std::int64_t amount) noexcept {
    std::int64_t before = balance.load(std::memory_order_relaxed);
    while (before < most && !balance.compare_exchange_weak(before, std::min(most, before + amount),
                                                           std::memory_order_relaxed)) {
    }
  }

  const std::int64_t share;
  const std::int64_t most;
  std::atomic<std::int64_t> balance{one_hedge};
};

std::string problem_with(const HedgeBudgetOptions& options) {
  if (!(options.share > 0 && options.share <= 1)) {
    return fmt::format("HedgeBudgetOptions::share is {}; it must be above 0 and at most 1", options.share);
  }
  if (!(options.most >= 1 && options.most <= 1e6)) {
    return fmt::format("HedgeBudgetOptions::most is {}; it must be at least 1 and at most a million", options.most);
  }
  return {};
}

HedgeBudget::HedgeBudget(const HedgeBudgetOptions& options) {
  if (const std::string problem = problem_with(options); !problem.empty()) throw std::invalid_argument{problem};
  state_ = std::make_shared<State>(options);
}

void HedgeBudget::pay_in() const noexcept { state_->add(state_->share); }

bool HedgeBudget::take() const noexcept {
  std::int64_t before = state_->balance.load(std::memory_order_relaxed);
  while (before >= one_hedge) {
    if (state_->balance.compare_exchange_weak(before, before - one_hedge, std::memory_order_relaxed)) return true;
  }
  return false;
}

void HedgeBudget::put_back() const noexcept { state_->add(one_hedge); }

double HedgeBudget::balance() const noexcept {
  return static_cast<double>(state_->balance.load(std::memory_order_relaxed)) / static_cast<double>(one_hedge);
}

}  // namespace backstop::inline v0
