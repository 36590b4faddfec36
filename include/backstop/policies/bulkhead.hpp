#pragma once

#include "backstop/export.hpp"
#include "backstop/policy.hpp"
#include "backstop/state/concurrency_limit.hpp"

namespace backstop::inline v0 {

/// Limits how many sends are under way at the same time. The permit is held until the answer is complete, has failed or
/// was cancelled; of a stream until its end.
///
/// A call that finds no permit is refused at once, or waits in a queue where there is one (`max_queued`): in the order
/// of arrival, for `max_wait`, while another target is ready for `failover_wait` at most, and never beyond the
/// deadline.
///
/// Put it inside `rate_limit`, so that no permit is held in its queue, and around `circuit_breaker`, so that no probe's
/// permit is held in this one:
/// `anthropic(...) | timeout(20s) | circuit_breaker() | bulkhead({...}) | rate_limit({...}) | retry()`.
///
/// Errors: `local_limit`, not sent; std::invalid_argument from the factory with `problem_with(options)`.
/// Thread safety: as every policy. Example: `bulkhead({.max_in_flight = 8, .max_queued = 32})`
[[nodiscard]] BACKSTOP_EXPORT Policy bulkhead(BulkheadOptions options = {});
/// With a limit that the application holds, to share and to resize it. A call that meets the same limit again further
/// in needs no second permit, but for a hedge beside its send. With `single_flight` in between, see there.
[[nodiscard]] BACKSTOP_EXPORT Policy bulkhead(ConcurrencyLimit limit);

/// The same with a limit that adapts: it grows with successes and shrinks when the provider answers that it is too busy
/// (`rate_limited`, `overloaded`) or not at all (`timeout`). Other failures and cancelled calls do not change it, and
/// neither does the time that answers take, because that follows their length.
///
/// Example: `adaptive_concurrency({.initial = 10, .max = 100})`
[[nodiscard]] BACKSTOP_EXPORT Policy adaptive_concurrency(AdaptiveConcurrencyOptions options = {});
[[nodiscard]] BACKSTOP_EXPORT Policy adaptive_concurrency(ConcurrencyLimit limit);

}  // namespace backstop::inline v0
