#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "backstop/chat/request.hpp"
#include "backstop/export.hpp"
#include "backstop/policy.hpp"
#include "backstop/runtime/clock.hpp"
#include "backstop/state/hedge_budget.hpp"

namespace backstop::inline v0 {

/// Defaults are right for most applications.
struct HedgeOptions {
  double percentile = 0.95;  ///< of the target's latest times to first token: what takes longer is slow
  int min_samples = 50;      ///< so many of them are needed, 1 to 256; streams and plain calls are counted apart
  Duration min_delay = std::chrono::seconds{1};  ///< the least time that a target is given, whatever it usually takes
  Duration delay_without_samples = std::chrono::seconds{10};
  HedgeBudgetOptions budget{};                ///< of each target that the policy is put around
  std::optional<HedgeBudget> shared_budget{};  ///< instead: one for several targets
  /// Which requests may be asked twice at the same time; unset: all. What throws says no. Called on the thread that
  /// drives the runtime, when a hedge is due.
  std::function<bool(const ChatRequest&)> may_repeat{};
};

/// What is wrong with the options, and what would be accepted; empty when nothing is.
[[nodiscard]] BACKSTOP_EXPORT std::string problem_with(const HedgeOptions& options);

/// Asks the next ready target too when this one has brought no content for longer than it usually takes; whichever
/// brings its first content first answers (of plain calls: whichever is complete first), the other is stopped, awaited,
/// and its cost booked.
///
/// It needs a `FallbackClient` above, whose next target is asked through that target's own policies; elsewhere it does
/// nothing. One hedge per call to a target. None is sent where the other target is cooling down, is being probed by a
/// breaker, or refuses by its own limits; when the call has no sends left; when the deadline comes before the delay has
/// passed; when the budget is empty; after content has reached the consumer. A failure before the delay is retry's and
/// fallback's business. When both fail, the error is this target's, and the ledger has both; the other target is then
/// not asked again by the same call.
///
/// Put it outside the target's other policies: `anthropic(...) | standard() | hedge()`.
///
/// Errors: std::invalid_argument from the factory with `problem_with(options)`.
/// Thread safety: as every policy. Cost: where no hedge is due, one timer and no allocation.
[[nodiscard]] BACKSTOP_EXPORT Policy hedge(HedgeOptions options = {});

}  // namespace backstop::inline v0
