#include "backstop/state/retry_budget.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <string_view>

namespace backstop::inline v0 {
namespace {

constexpr std::int64_t unit = 1'000'000'000;
constexpr std::int64_t largest = 1'000'000'000;  // tokens, so that the sum of two amounts fits in 64 bits

std::int64_t checked(std::string_view name, std::int64_t value) {
  if (value >= 0 && value <= largest) return value;
  throw std::invalid_argument{
      fmt::format("RetryBudgetOptions::{} is {}; it must be between 0 and {}", name, value, largest)};
}

RetryBudgetOptions checked(const RetryBudgetOptions& options) {
  checked("capacity", options.capacity);
  checked("transient_cost", options.transient_cost);
  checked("throttle_cost", options.throttle_cost);
  checked("success_reward", options.success_reward);
  checked("refill_per_second", options.refill_per_second);
  return options;
}

}  // namespace

RetryBudget::RetryBudget(const RetryBudgetOptions& options)
    : options_{checked(options)}, capacity_{options.capacity * unit}, level_{capacity_} {}

bool RetryBudget::acquire(std::int64_t cost, TimePoint now) noexcept {
  const std::lock_guard lock{mutex_};
  refill(now);
  if (level_ < cost * unit) return false;
  level_ -= cost * unit;
  full_.store(level_ == capacity_, std::memory_order_relaxed);
  return true;
}

void RetryBudget::put_back(std::int64_t tokens) noexcept {
  if (full_.load(std::memory_order_relaxed)) return;
  const std::lock_guard lock{mutex_};
  level_ = std::min(capacity_, level_ + tokens * unit);
  full_.store(level_ == capacity_, std::memory_order_relaxed);
}

std::int64_t RetryBudget::available(TimePoint now) const noexcept {
  const std::lock_guard lock{mutex_};
  refill(now);
  return level_ / unit;
}

void RetryBudget::refill(TimePoint now) const noexcept {
  const Duration passed = saturating_difference(now, refilled_at_);
  if (passed <= Duration::zero()) return;
  refilled_at_ = now;
  const std::int64_t rate = options_.refill_per_second;
  if (rate == 0) return;
  const std::int64_t missing = capacity_ - level_;
  level_ = passed.count() > missing / rate ? capacity_ : level_ + passed.count() * rate;
  full_.store(level_ == capacity_, std::memory_order_relaxed);
}

}  // namespace backstop::inline v0
