#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "backstop/chat/money.hpp"
#include "backstop/export.hpp"
#include "backstop/runtime/clock.hpp"
#include "backstop/runtime/wakeup_list.hpp"

namespace backstop::inline v0 {

/// How much may be spent within a stretch of time.
struct BudgetOptions {
  std::optional<Money> per_period{};                   ///< on everything
  std::optional<Money> fallback_premium_per_period{};  ///< on falling over: what it costs above the first choice
  /// A rolling stretch of steady time; a spending counts for at most a sixtieth of it longer.
  Duration period = std::chrono::hours{24};
};

/// What is wrong with the options, and what would be accepted; empty when nothing is.
[[nodiscard]] BACKSTOP_EXPORT std::string problem_with(const BudgetOptions& options);

/// What a send costs, and how much of that it costs above the first choice.
struct BudgetCharge {
  Money cost{};
  Money premium{};

  BudgetCharge& operator+=(const BudgetCharge& other) noexcept {
    cost += other.cost;
    premium += other.premium;
    return *this;
  }
  friend bool operator==(const BudgetCharge&, const BudgetCharge&) = default;
};

/// A budget at one moment.
struct BudgetSnapshot {
  BudgetCharge spent;     ///< within the period
  BudgetCharge reserved;  ///< for sends under way, at their worst case

  friend bool operator==(const BudgetSnapshot&, const BudgetSnapshot&) = default;
};

/// Which limit left no room for a reservation.
struct BudgetRefusal {
  std::string_view limit_name;  ///< `per_period` or `fallback_premium_per_period`
  Money limit;
  Money spent;
  Money reserved;  ///< by other sends under way
  Duration period{};
};

/// Money to spend, shared by all that hold the handle: policies of several targets, several clients.
///
/// Sends reserve their worst case and settle what they really cost, so spent and reserved together never exceed a limit
/// by more than what a send costs above its worst case, which is booked all the same.
///
/// Thread safety: any number of threads. Cost: copying copies a pointer; each operation takes a short lock.
///
/// Example: `Budget budget{{.per_period = Money::usd(20)}}; auto guard = cost_cap(budget);`
class BACKSTOP_EXPORT Budget {
 public:
  /// Errors: std::invalid_argument with `problem_with(options)`.
  explicit Budget(BudgetOptions options);

  [[nodiscard]] const BudgetOptions& options() const noexcept;
  [[nodiscard]] BudgetSnapshot snapshot(TimePoint now) const noexcept;
  /// Calls that wait because of the reservations of others: each one that is settled or given back wakes one of them.
  [[nodiscard]] WakeupList& waiting() const noexcept;

 private:
  friend class BudgetReservation;
  struct State;

  [[nodiscard]] std::optional<BudgetRefusal> reserve(const BudgetCharge& worst, TimePoint now) const noexcept;
  void release(const BudgetCharge& reserved, bool wakes = true) const noexcept;
  void settle(const BudgetCharge& reserved, const BudgetCharge& actual, TimePoint now) const noexcept;

  std::shared_ptr<State> state_;
};

/// The worst case of one send, set aside in several budgets: in all of them or in none. Destroyed without having been
/// settled it is given back, for a send that did not happen.
///
/// The budgets must outlive it. Thread safety: one thread at a time.
class BACKSTOP_EXPORT BudgetReservation {
 public:
  BudgetReservation(std::span<const Budget> budgets, const BudgetCharge& worst, TimePoint now) noexcept;
  ~BudgetReservation();
  BudgetReservation(const BudgetReservation&) = delete;
  BudgetReservation& operator=(const BudgetReservation&) = delete;

  /// Why there is no reservation; empty when there is one.
  [[nodiscard]] const std::optional<BudgetRefusal>& refusal() const noexcept { return refusal_; }
  /// Books what the send cost and gives the rest back. A negative amount counts as zero. Once only.
  void settle(const BudgetCharge& actual, TimePoint now) noexcept;
  /// Gives it back for a send that was refused elsewhere. Those who wait are not woken: for them nothing has changed.
  void withdraw() noexcept;

 private:
  std::span<const Budget> held_;
  BudgetCharge worst_;
  std::optional<BudgetRefusal> refusal_;
};

}  // namespace backstop::inline v0
