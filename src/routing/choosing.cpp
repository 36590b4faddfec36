#include "routing/choosing.hpp"

#include <utility>

#include "runtime/mixed_bits.hpp"

namespace backstop::inline v0::detail {
namespace {

// Why a candidate is held back.
constexpr std::uint32_t recovering = 1;
constexpr std::uint32_t ejected = 2;

}  // namespace

Choosing::Choosing(const Strategy& strategy, const Candidates& candidates, std::uint64_t seed)
    : candidates_{&candidates},
      chooser_{strategy.make(candidates.size())},
      seed_{seed},
      picks_{std::make_unique<std::atomic<std::uint64_t>[]>(candidates.size())} {
  const std::string description = strategy.describe();
  name_ = std::make_shared<const std::string>(description.substr(0, description.find('(')));
}

void Choosing::decide(Order& order, const ChatRequest& request, const Needs& needs, TimePoint now, Mode mode) const {
  const bool dry_run = mode == Mode::dry_run;
  const std::uint64_t number = dry_run ? calls_.load(std::memory_order_relaxed) : calls_.fetch_add(1);
  order.open();
  Choice choice{*this, order, request, needs, now, mixed_bits(seed_ + number * mixing_step), dry_run};
  hold_back(choice, order);
  try {
    chooser_.order(choice);
  } catch (...) {  // documented: as listed
    order.sort([](std::size_t a, std::size_t b) { return a < b; });
  }
  order.sort([&order](std::size_t a, std::size_t b) { return order.rank_of(a) < order.rank_of(b); });
  if (!dry_run) picks_[order.at(0)].fetch_add(1, std::memory_order_relaxed);
}

void Choosing::note_answer(const Strategy::Answered& answer) const noexcept {
  if (!chooser_.answered) return;
  try {
    chooser_.answered(answer);
  } catch (...) {  // no answer is lost for it
  }
}

void Choosing::hold_back(Choice& choice, Order& order) const noexcept {
  const std::size_t size = candidates_->size();
  const auto statistics = [this](std::size_t candidate) -> const TargetStatistics& {
    return *(*candidates_)[candidate]->statistics;
  };
  std::size_t out = 0;
  for (std::size_t candidate = 0; candidate < size; ++candidate) {
    const TargetStatistics::Health health = statistics(candidate).health(choice.now());
    if (health.ejected) {
      order.set_rank(candidate, ejected);
      ++out;
    } else if (health.share < 1 && (health.share <= 0 || choice.random() >= health.share)) {
      order.set_rank(candidate, recovering);
    }
  }
  // At most half of them, those that fail most.
  for (; out > size / 2; --out) {
    std::size_t best = size;
    for (std::size_t candidate = 0; candidate < size; ++candidate) {
      if (order.rank_of(candidate) != ejected) continue;
      const bool better = best == size || statistics(candidate).success_share_then() > statistics(best).success_share_then();
      if (better) best = candidate;
    }
    order.set_rank(best, 0);
  }
}

}  // namespace backstop::inline v0::detail
