#pragma once

#include "backstop/export.hpp"
#include "backstop/policy.hpp"
#include "backstop/state/rate_limit.hpp"

namespace backstop::inline v0 {

/// Limits the requests and tokens sent in a minute; a call waits for room as long as the options allow.
///
/// Before each send a request, the estimated input and the output limit (without one: the 95th percentile of what was
/// written lately, 1,024 tokens at first) are reserved. Afterwards what was really used is charged: for what was not
/// sent nothing, for a refusal its request only, for an answer that broke off its input and the output that came. What
/// the answer's headers say is left can only lower what is available, and a 429 closes the limit that it names until
/// its hint.
///
/// Calls wait in the order of arrival, for `max_wait`, while another target is ready for `failover_wait` at most, and
/// never when their turn would come after the deadline, or a breaker further in would refuse them then. A fallback
/// client skips the target while the wait would be too long.
///
/// Put it inside `retry`, so that every send is counted, and around `circuit_breaker`, so that no probe's permit is
/// held in the queue: `anthropic(...) | timeout(20s) | circuit_breaker() | rate_limit({...}) | retry()`.
///
/// Errors: `local_limit`, not sent, with `retry_after`; without one where a single request needs more than a burst;
/// std::invalid_argument from the factory with `problem_with(options)`.
/// Thread safety: as every policy. Example: `rate_limit({.requests_per_minute = 60, .tokens_per_minute = 100'000})`
[[nodiscard]] BACKSTOP_EXPORT Policy rate_limit(RateLimitOptions options);
/// With a limit that the application holds and may share between targets and clients. A call that meets the same limit
/// again further in is let through there, and each of its sends is charged once: to what it has reserved, or, where it
/// sends more than once, afterwards. With `single_flight` in between, see there.
[[nodiscard]] BACKSTOP_EXPORT Policy rate_limit(RateLimit limit);

}  // namespace backstop::inline v0
