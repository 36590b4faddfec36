#include "routing/choosing.hpp"

#include <utility>

#include "runtime/mixed_bits.hpp"

namespace backstop::inline v0::detail {
namespace {

// Why a candidate is held back.
constexpr std::uint16_t recovering = 1;
constexpr std::uint16_t ejected = 2;

}  // namespace

Choosing::Choosing(const Strategy& strategy, const Candidates& candidates, std::uint64_t seed)
    : candidates_{&candidates},
      chooser_{strategy.make(candidates.size())},
      seed_{seed},
      picks_{std::make_unique<std::atomic<std::uint64_t>[]>(candidates.size())} {
  const std::string description = strategy.describe();
  name_ = std::make_shared<const std::string>(description.substr(0, description.find('(')));
}

void Choosing::decide(Order& order, const ChatRequest& request, const Needs& needs, TimePoint now, Mode mode,
                      std::uint64_t ahead) const {
  const bool dry_run = mode == Mode::dry_run;
  const std::uint64_t number = dry_run ? calls_.load(std::memory_order_relaxed) + ahead : calls_.fetch_add(1);
  order.open();
  Choice choice{*this, order, request, needs, now, mixed_bits(seed_ + number * mixing_step), dry_run};
  hold_back(choice, order);
  try {
    chooser_.order(choice);
  } catch (...) {  // documented: as listed
    order.undo();
  }
  order.sort_by_rank();
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
  put_ejected_last(order, choice.now());
  if (!chooser_.slow_start) return;
  for (std::size_t candidate = 0; candidate < candidates_->size(); ++candidate) {
    const TargetStatistics::Health health = statistics(candidate).health(choice.now());
    if (health.ejected || health.share >= 1) continue;
    if (health.share <= 0 || choice.random() >= health.share) order.set_rank(candidate, recovering);
  }
}

void Choosing::put_ejected_last(Order& order, TimePoint now) const noexcept {
  const std::size_t size = candidates_->size();
  std::size_t out = 0;
  for (std::size_t candidate = 0; candidate < size; ++candidate) {
    if (!statistics(candidate).health(now).ejected) continue;
    order.set_rank(candidate, ejected);
    ++out;
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

double Choosing::share_of(std::size_t candidate, const Order& order, TimePoint now) const noexcept {
  if (order.rank_of(candidate) == ejected) return 0;
  const TargetStatistics::Health health = statistics(candidate).health(now);
  if (health.ejected || !chooser_.slow_start) return 1;
  return health.finds_out ? 0 : health.share;
}

}  // namespace backstop::inline v0::detail
