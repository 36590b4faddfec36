#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "backstop/chat/money.hpp"
#include "backstop/export.hpp"
#include "backstop/runtime/clock.hpp"
#include "backstop/state/budget.hpp"

namespace backstop::inline v0 {

/// Which limit left no room for a reservation.
struct BudgetRefusal {
  std::string_view limit_name;  ///< `per_period` or `fallback_premium_per_period`
  Money limit;
  Money spent;
  Money reserved;  ///< by other sends under way
  Duration period{};
};

/// Which limit has no room for the charge beside what is used; empty when all have.
[[nodiscard]] BACKSTOP_EXPORT std::optional<BudgetRefusal> refusal_by(const BudgetOptions& options,
                                                                      const BudgetSnapshot& used,
                                                                      const BudgetCharge& charge) noexcept;

/// The worst case of one send, set aside in several budgets: in all of them or in none. Destroyed without having been
/// settled it is given back, for a send that did not happen.
///
/// The budgets must outlive it. Thread safety: one thread at a time.
class BACKSTOP_EXPORT BudgetReservation {
 public:
  /// `so_far`: those that the send has already and that are given back for this one; where they are, no room is asked
  /// for.
  BudgetReservation(std::span<const Budget> budgets, const BudgetCharge& worst, TimePoint now,
                    const BudgetReservation* so_far = nullptr) noexcept;
  ~BudgetReservation();
  BudgetReservation(const BudgetReservation&) = delete;
  BudgetReservation& operator=(const BudgetReservation&) = delete;

  /// Why there is no reservation; empty when there is one.
  [[nodiscard]] const std::optional<BudgetRefusal>& refusal() const noexcept { return refusal_; }
  /// Books what the send cost and gives the rest back. A negative amount counts as zero. Once only.
  void settle(const BudgetCharge& actual, TimePoint now) noexcept;

  /// Puts it before the others that a send has, and takes it out again.
  void add_to(BudgetReservation*& first) noexcept;
  void remove_from(BudgetReservation*& first) noexcept;
  /// Whether one of a send's reservations is in that budget.
  [[nodiscard]] static bool any_in(const Budget& budget, const BudgetReservation* first) noexcept;

 private:
  std::span<const Budget> held_;
  BudgetCharge worst_;
  std::optional<BudgetRefusal> refusal_;
  BudgetReservation* next_ = nullptr;
};

}  // namespace backstop::inline v0
