#pragma once

#include <cstdint>

#include "backstop/export.hpp"
#include "backstop/runtime/clock.hpp"
#include "backstop/runtime/wakeup.hpp"
#include "backstop/state/budget.hpp"

namespace backstop::inline v0 {

/// A place in the queue of those who wait for what others have reserved of a budget. Its turn comes when there is room
/// for its charge and for those of all in front of it. It keeps its place until it is destroyed: when it has reserved.
///
/// Thread safety: one thread at a time; the queue is for any number of them.
class BACKSTOP_EXPORT BudgetTurn {
 public:
  enum class Stage : std::uint8_t {
    waiting,
    over,  ///< what waits for it asks again: it has its turn, its time is over, or there will be no room
  };
  /// A send may hold permits that calls which have not begun wait for: it stands in front of all of these.
  enum class Waits : std::uint8_t { send, call };

  /// `call`: whose it is. Places that a call has already, once it had their turn, do not stand in its way.
  BudgetTurn(const Budget& budget, const BudgetCharge& needed, TimePoint until, Waits who, const void* call) noexcept
      : budget_{budget}, needed_{needed}, until_{until}, who_{who}, call_{call} {}
  ~BudgetTurn();
  BudgetTurn(const BudgetTurn&) = delete;
  BudgetTurn& operator=(const BudgetTurn&) = delete;

  [[nodiscard]] const Budget& budget() const noexcept { return budget_; }
  [[nodiscard]] const BudgetCharge& needed() const noexcept { return needed_; }
  /// Waits anew, for another charge, in the same place.
  void need(const BudgetCharge& charge) noexcept;

  // As a ticket of `wait_for_turn`.

  /// Joins the queue, where it is not in it yet.
  void wake_through(Wakeup::Waker waker);
  Stage look(TimePoint now);
  /// Until when it waits at most.
  [[nodiscard]] TimePoint turn() const noexcept { return until_; }

  /// Somebody else may pay.
  void ask_again() noexcept;

 private:
  friend class Budget;

  Budget budget_;
  BudgetCharge needed_;  // written under the budget's lock: others add it up
  TimePoint until_;
  Waits who_;
  const void* call_;
  Stage stage_ = Stage::waiting;  // likewise
  bool queued_ = false;
  Wakeup::Waker waker_;  // under the budget's lock
};

}  // namespace backstop::inline v0
