#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "backstop/chat/request.hpp"
#include "backstop/export.hpp"
#include "backstop/runtime/clock.hpp"
#include "backstop/state/hedge_budget.hpp"

namespace backstop::inline v0 {

/// Hedging: when a target has brought no content for longer than it usually takes, the next ready one is asked too, and
/// whichever brings its first content first answers (of plain calls: whichever is complete first). The other is
/// stopped, awaited, and its cost booked.
///
/// One hedge per target asked, with time kept for the targets behind both. None is sent where the other target is
/// cooling down, is being probed, or refuses by its own limits; when the call has no sends left for it; when the
/// deadline comes before the delay has passed; when the budget is empty; after content has reached the consumer. A
/// failure before the delay is left to retry and fallback. When both fail, the error is the first target's, and the
/// ledger has both; the other is then not asked again by the same call, unless it may have recovered.
///
/// Defaults are right for most applications. An option of `FallbackOptions`: `{.hedge = HedgeOptions{}}`.
struct HedgeOptions {
  double percentile = 0.95;  ///< of the target's latest times to first token: what takes longer is slow
  int min_samples = 50;      ///< so many of them are needed, 1 to 256; streams and plain calls are counted apart
  Duration min_delay = std::chrono::seconds{1};  ///< the least time that a target is given, whatever it usually takes
  Duration delay_without_samples = std::chrono::seconds{10};
  HedgeBudgetOptions budget{};                 ///< of the client
  std::optional<HedgeBudget> shared_budget{};  ///< instead: one for several clients
  /// Which requests may be asked twice at the same time; unset: all. What throws says no. Called on the thread that
  /// drives the runtime, when a hedge is due.
  std::function<bool(const ChatRequest&)> may_repeat{};
};

/// What is wrong with the options, and what would be accepted; empty when nothing is.
[[nodiscard]] BACKSTOP_EXPORT std::string problem_with(const HedgeOptions& options);

}  // namespace backstop::inline v0
