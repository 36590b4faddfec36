#pragma once

#include "backstop/export.hpp"
#include "backstop/policy.hpp"
#include "backstop/runtime/attempt_limits.hpp"
#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

/// See `AttemptLimits` for what each means and for the defaults.
using TimeoutOptions = AttemptLimits;

/// Stops an attempt that takes too long.
///
/// The limits are those of every single attempt below, wherever the policy stands: around a target, around retries, or
/// around a whole client. Of several timeouts around each other the tighter limit holds; where there is none, the
/// defaults do. Waiting in queues and between retries is bounded by the call's deadline alone. The limits stand still
/// while the consumer of a stream is not ready.
///
/// Errors: `timeout` with the limit in `Error::timeout_limit` and the time of each phase in the message; for `connect`
/// it is `connect_failed`. The call's own deadline gives `deadline_exceeded` instead. Throws std::invalid_argument for
/// limits that are not above zero.
/// Thread safety: as every policy.
/// Cost: one timer per attempt, looked at only when the nearest limit may have passed; nothing per byte.
///
/// Example: `auto guarded = openai({.model = "gpt-5.6-sol"}) | timeout({.first_token = 10s, .attempt = 60s});`
[[nodiscard]] BACKSTOP_EXPORT Policy timeout(TimeoutOptions options = {});
/// The same with a limit on the whole attempt, the others as they are by default.
[[nodiscard]] BACKSTOP_EXPORT Policy timeout(Duration attempt);

}  // namespace backstop::inline v0
