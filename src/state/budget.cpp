#include "backstop/state/budget.hpp"

#include <algorithm>
#include <cstddef>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "backstop/state/rolling_window.hpp"
#include "state/budget_reservation.hpp"
#include "state/budget_turn.hpp"

namespace backstop::inline v0 {

struct Budget::State {
  explicit State(const BudgetOptions& budget_options) : options{budget_options}, spent{budget_options.period} {}

  /// With the lock held: whoever is first in the queue looks again.
  void wake_first() noexcept {
    if (!waiting.empty()) waiting.front()->waker_.wake();
  }

  const BudgetOptions options;
  std::mutex mutex;
  RollingWindow<BudgetCharge, 60> spent;
  BudgetCharge reserved;
  std::deque<BudgetTurn*> waiting;
};

Budget::Budget(BudgetOptions options) {
  if (const std::string problem = problem_with(options); !problem.empty()) throw std::invalid_argument{problem};
  state_ = std::make_shared<State>(options);
}

const BudgetOptions& Budget::options() const noexcept { return state_->options; }

BudgetSnapshot Budget::snapshot(TimePoint now) const noexcept {
  const std::lock_guard lock{state_->mutex};
  return {state_->spent.total(now), state_->reserved};
}

BudgetSnapshot Budget::snapshot() const noexcept { return snapshot(machine_clock().now()); }

void Budget::book(Money cost, TimePoint at) const noexcept {
  const std::lock_guard lock{state_->mutex};
  state_->spent.add(at, {std::max(cost, Money{}), Money{}});
}

void Budget::book(Money cost) const noexcept { book(cost, machine_clock().now()); }

std::optional<BudgetRefusal> refusal_by(const BudgetOptions& options, const BudgetSnapshot& used,
                                        const BudgetCharge& charge) noexcept {
  if (options.per_period && used.spent.cost + used.reserved.cost + charge.cost > *options.per_period) {
    return BudgetRefusal{"per_period", *options.per_period, used.spent.cost, used.reserved.cost, options.period};
  }
  // A send without a premium is never refused for the premiums of others.
  const auto& limit = options.fallback_premium_per_period;
  if (limit && charge.premium > Money{} && used.spent.premium + used.reserved.premium + charge.premium > *limit) {
    return BudgetRefusal{"fallback_premium_per_period", *limit, used.spent.premium, used.reserved.premium,
                         options.period};
  }
  return std::nullopt;
}

std::optional<BudgetRefusal> Budget::reserve(const BudgetCharge& worst, TimePoint now) const noexcept {
  const std::lock_guard lock{state_->mutex};
  std::optional<BudgetRefusal> refusal = refusal_by(state_->options, {state_->spent.total(now), state_->reserved}, worst);
  if (!refusal) state_->reserved += worst;
  return refusal;
}

void Budget::release(const BudgetCharge& reserved) const noexcept {
  const std::lock_guard lock{state_->mutex};
  state_->reserved.cost -= reserved.cost;
  state_->reserved.premium -= reserved.premium;
  state_->wake_first();
}

void Budget::settle(const BudgetCharge& reserved, const BudgetCharge& actual, TimePoint now) const noexcept {
  const std::lock_guard lock{state_->mutex};
  state_->reserved.cost -= reserved.cost;
  state_->reserved.premium -= reserved.premium;
  state_->spent.add(now, actual);
  state_->wake_first();
}

BudgetTurn::~BudgetTurn() {
  if (!queued_) return;
  Budget::State& state = *budget_.state_;
  const std::lock_guard lock{state.mutex};
  const bool was_first = state.waiting.front() == this;
  std::erase(state.waiting, this);
  if (was_first) state.wake_first();
}

void BudgetTurn::wake_through(Wakeup::Waker waker) {
  Budget::State& state = *budget_.state_;
  const std::lock_guard lock{state.mutex};
  waker_ = std::move(waker);
  if (queued_) return;
  state.waiting.push_back(this);
  queued_ = true;
}

BudgetTurn::Stage BudgetTurn::look(TimePoint now) {
  if (stage_ != Stage::waiting) return stage_;
  Budget::State& state = *budget_.state_;
  const std::lock_guard lock{state.mutex};
  BudgetSnapshot used{state.spent.total(now), state.reserved};
  const bool has_room = !refusal_by(state.options, used, needed_);
  if (has_room && (!queued_ || state.waiting.front() == this)) return stage_ = Stage::through;
  used.reserved = BudgetCharge{};
  if (now >= until_ || refusal_by(state.options, used, needed_)) stage_ = Stage::refused;
  return stage_;
}

void BudgetTurn::let_through() noexcept {
  Budget::State& state = *budget_.state_;
  const std::lock_guard lock{state.mutex};
  stage_ = Stage::through;
  waker_.wake();
}

BudgetReservation::BudgetReservation(std::span<const Budget> budgets, const BudgetCharge& worst, TimePoint now) noexcept
    : worst_{std::max(worst.cost, Money{}), std::max(worst.premium, Money{})} {
  for (std::size_t count = 0; count < budgets.size(); ++count) {
    refusal_ = budgets[count].reserve(worst_, now);
    if (refusal_) {
      for (const Budget& budget : budgets.first(count)) budget.release(worst_);
      return;
    }
  }
  held_ = budgets;
}

BudgetReservation::~BudgetReservation() {
  for (const Budget& budget : held_) budget.release(worst_);
}

void BudgetReservation::settle(const BudgetCharge& actual, TimePoint now) noexcept {
  const BudgetCharge booked{std::max(actual.cost, Money{}), std::max(actual.premium, Money{})};
  for (const Budget& budget : std::exchange(held_, {})) budget.settle(worst_, booked, now);
}

void BudgetReservation::add_to(BudgetReservation*& first) noexcept { next_ = std::exchange(first, this); }

void BudgetReservation::remove_from(BudgetReservation*& first) noexcept {
  for (BudgetReservation** place = &first; *place != nullptr; place = &(*place)->next_) {
    if (*place != this) continue;
    *place = next_;
    return;
  }
}

bool BudgetReservation::any_in(const Budget& budget, const BudgetReservation* first) noexcept {
  for (; first != nullptr; first = first->next_) {
    if (std::find(first->held_.begin(), first->held_.end(), budget) != first->held_.end()) return true;
  }
  return false;
}

std::string problem_with(const BudgetOptions& options) {
  if (options.per_period && *options.per_period < Money{}) return "budget: per_period must not be below $0";
  if (options.fallback_premium_per_period && *options.fallback_premium_per_period < Money{}) {
    return "budget: fallback_premium_per_period must not be below $0";
  }
  if (options.period <= Duration::zero()) return "budget: period must be longer than 0";
  return {};
}

}  // namespace backstop::inline v0
