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

  // With the lock held.

  [[nodiscard]] BudgetSnapshot used(TimePoint at) noexcept {
    now = std::max(now, at);
    return {spent.total(at), reserved};
  }
  /// Those at the front of the queue look again for whom there is room, or never will be.
  void wake_those_in_front() noexcept {
    const BudgetSnapshot settled{spent.total(now), BudgetCharge{}};
    BudgetSnapshot all{settled.spent, reserved};
    for (BudgetTurn* turn : waiting) {
      const bool never = refusal_by(options, settled, turn->needed_).has_value();
      if (!never && refusal_by(options, all, turn->needed_)) return;
      turn->waker_.wake();
      if (!never) all.reserved += turn->needed_;
    }
  }

  const BudgetOptions options;
  std::mutex mutex;
  RollingWindow<BudgetCharge, 60> spent;
  BudgetCharge reserved;
  std::deque<BudgetTurn*> waiting;
  TimePoint now = TimePoint::min();  // as far as anybody has said
};

Budget::Budget(BudgetOptions options) {
  if (const std::string problem = problem_with(options); !problem.empty()) throw std::invalid_argument{problem};
  state_ = std::make_shared<State>(options);
}

const BudgetOptions& Budget::options() const noexcept { return state_->options; }

BudgetSnapshot Budget::snapshot(TimePoint now) const noexcept {
  const std::lock_guard lock{state_->mutex};
  return state_->used(now);
}

BudgetSnapshot Budget::snapshot() const noexcept { return snapshot(machine_clock().now()); }

void Budget::book(Money cost, TimePoint at) const noexcept {
  const std::lock_guard lock{state_->mutex};
  state_->spent.add(at, {std::max(cost, Money{}), Money{}});
  state_->wake_those_in_front();
}

void Budget::book(Money cost) const noexcept { book(cost, machine_clock().now()); }

std::optional<BudgetRefusal> refusal_by(const BudgetOptions& options, const BudgetSnapshot& used,
                                        const BudgetCharge& charge) noexcept {
  // What costs nothing is never refused for what others cost, also where a send cost more than its worst case.
  const auto& whole = options.per_period;
  if (whole && charge.cost > Money{} && used.spent.cost + used.reserved.cost + charge.cost > *whole) {
    return BudgetRefusal{"per_period", *whole, used.spent.cost, used.reserved.cost, options.period};
  }
  const auto& limit = options.fallback_premium_per_period;
  if (limit && charge.premium > Money{} && used.spent.premium + used.reserved.premium + charge.premium > *limit) {
    return BudgetRefusal{"fallback_premium_per_period", *limit, used.spent.premium, used.reserved.premium,
                         options.period};
  }
  return std::nullopt;
}

std::optional<BudgetRefusal> Budget::reserve(const BudgetCharge& worst, TimePoint now) const noexcept {
  const std::lock_guard lock{state_->mutex};
  std::optional<BudgetRefusal> refusal = refusal_by(state_->options, state_->used(now), worst);
  if (!refusal) state_->reserved += worst;
  return refusal;
}

void Budget::reserve_anyway(const BudgetCharge& worst) const noexcept {
  const std::lock_guard lock{state_->mutex};
  state_->reserved += worst;
}

void Budget::release(const BudgetCharge& reserved) const noexcept {
  const std::lock_guard lock{state_->mutex};
  state_->reserved.cost -= reserved.cost;
  state_->reserved.premium -= reserved.premium;
  state_->wake_those_in_front();
}

void Budget::settle(const BudgetCharge& reserved, const BudgetCharge& actual, TimePoint now) const noexcept {
  const std::lock_guard lock{state_->mutex};
  state_->reserved.cost -= reserved.cost;
  state_->reserved.premium -= reserved.premium;
  state_->spent.add(now, actual);
  static_cast<void>(state_->used(now));
  state_->wake_those_in_front();
}

BudgetTurn::~BudgetTurn() {
  if (!queued_) return;
  Budget::State& state = *budget_.state_;
  const std::lock_guard lock{state.mutex};
  state.waiting.erase(std::find(state.waiting.begin(), state.waiting.end(), this));
  state.wake_those_in_front();
}

void BudgetTurn::go_on_as(const BudgetTurn& other) noexcept {
  Budget::State& state = *budget_.state_;
  const std::lock_guard lock{state.mutex};
  needed_ = other.needed_;
  until_ = next_look_ = other.until_;
  stage_ = Stage::waiting;
  state.wake_those_in_front();
}

void BudgetTurn::wake_through(Wakeup::Waker waker) {
  Budget::State& state = *budget_.state_;
  const std::lock_guard lock{state.mutex};
  waker_ = std::move(waker);
  if (queued_) return;
  auto place = state.waiting.end();
  if (who_ == Waits::send) {
    place = std::find_if(state.waiting.begin(), state.waiting.end(),
                         [](const BudgetTurn* one) { return one->who_ == Waits::call; });
  }
  state.waiting.insert(place, this);
  queued_ = true;
}

BudgetTurn::Stage BudgetTurn::look(TimePoint now) {
  if (stage_ == Stage::over) return stage_;
  Budget::State& state = *budget_.state_;
  const std::lock_guard lock{state.mutex};
  BudgetSnapshot used = state.used(now);
  const bool never = refusal_by(state.options, {used.spent, BudgetCharge{}}, needed_).has_value();
  bool has_room = !refusal_by(state.options, used, needed_);
  for (auto before = state.waiting.begin(); has_room && before != state.waiting.end() && *before != this; ++before) {
    used.reserved += (*before)->needed_;
    has_room = !refusal_by(state.options, used, needed_);
  }
  if (never || has_room || now >= until_) stage_ = Stage::over;
  next_look_ = std::min(until_, state.spent.next_leave(now));
  return stage_;
}

bool BudgetTurn::anyone_waits_for(const Budget& budget) noexcept {
  const std::lock_guard lock{budget.state_->mutex};
  return !budget.state_->waiting.empty();
}

void BudgetTurn::ask_again() noexcept {
  const std::lock_guard lock{budget_.state_->mutex};
  stage_ = Stage::over;
  waker_.wake();
}

BudgetReservation::BudgetReservation(std::span<const Budget> budgets, const BudgetCharge& worst, TimePoint now,
                                     const BudgetReservation* so_far) noexcept
    : worst_{std::max(worst.cost, Money{}), std::max(worst.premium, Money{})} {
  for (std::size_t count = 0; count < budgets.size(); ++count) {
    if (any_in(budgets[count], so_far)) {
      budgets[count].reserve_anyway(worst_);
      continue;
    }
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
