#pragma once

#include <memory>
#include <string>

#include "backstop/export.hpp"

namespace backstop::inline v0 {

/// How many second sends there may be beside the calls themselves.
struct HedgeBudgetOptions {
  double share = 0.05;  ///< hedges per call, above 0 and at most 1
  double most = 10;     ///< hedges saved up; at least 1
};

/// What is wrong with the options, and what would be accepted; empty when nothing is.
[[nodiscard]] BACKSTOP_EXPORT std::string problem_with(const HedgeBudgetOptions& options);

/// Keeps hedges from doubling the traffic to providers that are slow because they are busy: every call adds its share
/// of a hedge, and a hedge takes a whole one. It starts with one.
///
/// Thread safety: any number of threads. Cost: copying copies a pointer, and copies are one budget; each operation is
/// a few atomic steps.
///
/// Example: `HedgeBudget budget; FallbackOptions options{.hedge = HedgeOptions{.shared_budget = budget}};`
class BACKSTOP_EXPORT HedgeBudget {
 public:
  /// Errors: std::invalid_argument with `problem_with(options)`.
  explicit HedgeBudget(const HedgeBudgetOptions& options = {});

  /// A call was made.
  void pay_in() const noexcept;
  /// Takes out one hedge; false when there is none.
  [[nodiscard]] bool take() const noexcept;
  /// Puts back one that was taken and not sent.
  void put_back() const noexcept;
  /// Hedges that are there.
  [[nodiscard]] double balance() const noexcept;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace backstop::inline v0
