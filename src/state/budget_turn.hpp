#pragma once

#include <cstdint>

#include "backstop/export.hpp"
#include "backstop/runtime/clock.hpp"
#include "backstop/runtime/wakeup.hpp"
#include "backstop/state/budget.hpp"

namespace backstop::inline v0 {

/// A place in the queue of those who wait for what others have reserved of a budget. Its turn comes when there is room
/// for its charge and for those of all in front of it. Nothing is set aside for it: what is reserved is what sends under
/// way may cost, so that those who wait for it, whatever else they hold, wait for sends and not for each other.
///
/// Thread safety: one thread at a time; the queue is for any number of them.
class BACKSTOP_EXPORT BudgetTurn {
 public:
  enum class Stage : std::uint8_t {
    waiting,
    over,  ///< what waits for it asks again: it has its turn, its time is over, or there will be no room
  };
  /// A send stands in front of all calls that have not begun: these may wait for what it holds.
  enum class Waits : std::uint8_t { send, call };

  BudgetTurn(const Budget& budget, const BudgetCharge& needed, TimePoint until, Waits who) noexcept
      : budget_{budget}, needed_{needed}, until_{until}, who_{who} {}
  ~BudgetTurn();
  BudgetTurn(const BudgetTurn&) = delete;
  BudgetTurn& operator=(const BudgetTurn&) = delete;

  [[nodiscard]] const Budget& budget() const noexcept { return budget_; }
  [[nodiscard]] const BudgetCharge& needed() const noexcept { return needed_; }
  /// Waits anew, as the other would, in the same place.
  void go_on_as(const BudgetTurn& other) noexcept;

  // As a ticket of `wait_for_turn`.

  /// Joins the queue, where it is not in it yet.
  void wake_through(Wakeup::Waker waker);
  Stage look(TimePoint now);
  /// When to look again, whatever is settled: something leaves the period then, or the wait is over.
  [[nodiscard]] TimePoint turn() const noexcept { return next_look_; }

  /// Whoever comes now waits behind them.
  [[nodiscard]] static bool anyone_waits_for(const Budget& budget) noexcept;

  /// Somebody else may pay.
  void ask_again() noexcept;

 private:
  friend class Budget;

  Budget budget_;
  BudgetCharge needed_;  // written under the budget's lock: others add it up
  TimePoint until_;
  TimePoint next_look_ = until_;
  Waits who_;
  Stage stage_ = Stage::waiting;  // likewise
  bool queued_ = false;
  Wakeup::Waker waker_;  // under the budget's lock
};

}  // namespace backstop::inline v0
