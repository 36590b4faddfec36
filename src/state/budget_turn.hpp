#pragma once

#include <cstdint>

#include "backstop/export.hpp"
#include "backstop/runtime/clock.hpp"
#include "backstop/runtime/wakeup.hpp"
#include "backstop/state/budget.hpp"

namespace backstop::inline v0 {

/// A place in the queue of those who wait for what others have reserved of a budget. Whoever is first has its turn as
/// soon as there is room for its charge, and keeps the place until it has reserved.
///
/// Thread safety: one thread at a time; the queue is for any number of them.
class BACKSTOP_EXPORT BudgetTurn {
 public:
  enum class Stage : std::uint8_t {
    waiting,
    through,
    refused,  ///< the time is over, or there will be no room
  };

  BudgetTurn(const Budget& budget, const BudgetCharge& needed, TimePoint until) noexcept
      : budget_{budget}, needed_{needed}, until_{until} {}
  ~BudgetTurn();
  BudgetTurn(const BudgetTurn&) = delete;
  BudgetTurn& operator=(const BudgetTurn&) = delete;

  [[nodiscard]] const Budget& budget() const noexcept { return budget_; }
  [[nodiscard]] const BudgetCharge& needed() const noexcept { return needed_; }
  /// Another charge, in the same place.
  void need(const BudgetCharge& charge) noexcept {
    needed_ = charge;
    stage_ = Stage::waiting;
  }

  /// Joins the queue, where it is not in it yet.
  void wake_through(Wakeup::Waker waker);
  Stage look(TimePoint now);
  [[nodiscard]] TimePoint turn() const noexcept { return until_; }
  /// Somebody else may pay: it is asked again.
  void let_through() noexcept;

 private:
  friend class Budget;

  Budget budget_;
  BudgetCharge needed_;
  TimePoint until_;
  Stage stage_ = Stage::waiting;
  bool queued_ = false;
  Wakeup::Waker waker_;  // under the budget's lock
};

}  // namespace backstop::inline v0
