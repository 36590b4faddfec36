#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "backstop/chat/money.hpp"
#include "backstop/export.hpp"
#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

/// How much may be spent within a stretch of time.
struct BudgetOptions {
  std::optional<Money> per_period{};                   ///< on everything; $0: only what costs nothing is sent
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

struct BudgetRefusal;

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
  /// Now by the machine's steady clock, which runtimes go by unless they have another.
  [[nodiscard]] BudgetSnapshot snapshot() const noexcept;
  /// Counts what was spent elsewhere, by an earlier run or another process, as spent at that time, which may lie in the
  /// past: what is older than the period does not count. Without a time it is now, by the machine's steady clock. A cost
  /// below $0 is $0.
  ///
  /// Example: `budget.book(Money::usd(3.20), machine_clock().now() - std::chrono::hours{5});`
  void book(Money cost, TimePoint at) const noexcept;
  void book(Money cost) const noexcept;

  /// Whether both are handles of one budget.
  friend bool operator==(const Budget&, const Budget&) noexcept = default;

 private:
  friend class BudgetReservation;
  friend class BudgetTurn;
  struct State;

  [[nodiscard]] std::optional<BudgetRefusal> reserve(const BudgetCharge& worst, TimePoint now) const noexcept;
  void reserve_anyway(const BudgetCharge& worst) const noexcept;
  void release(const BudgetCharge& reserved) const noexcept;
  void settle(const BudgetCharge& reserved, const BudgetCharge& actual, TimePoint now) const noexcept;

  std::shared_ptr<State> state_;
};

}  // namespace backstop::inline v0
