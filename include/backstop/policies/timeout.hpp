#pragma once

#include <chrono>
#include <optional>

#include "backstop/export.hpp"
#include "backstop/policy.hpp"
#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

/// The limits of one attempt, each above zero; `Duration::max()` turns one off.
struct TimeoutOptions {
  Duration connect = std::chrono::seconds{5};  ///< DNS, TCP and TLS
  /// From the request's sending to the first byte of the answer. Unset: 60 s, for a model on this machine 300 s, and
  /// only for streams, because the answer to a plain call has no byte before it is complete.
  std::optional<Duration> first_byte{};
  /// From the request's sending to the first content, reasoning or tool call; other bytes do not count. To a plain call
  /// that is the whole answer. Unset: off.
  std::optional<Duration> first_token{};
  Duration idle = std::chrono::seconds{120};  ///< between two bytes of the answer, of whatever kind
  Duration attempt = std::chrono::seconds{600};  ///< the whole attempt, from the send
};

/// Stops an attempt that a provider lets hang.
///
/// The limits are those of every single attempt below, wherever the policy stands; waiting in queues and between
/// retries is bounded by the call's deadline alone. They stand still while the consumer of a stream holds it up.
///
/// Errors: `timeout` with the limit in `Error::timeout_limit` and the time of each phase in the message; for `connect`
/// it is `connect_failed`. The call's own deadline gives `deadline_exceeded` instead. Throws std::invalid_argument for
/// limits that are not above zero.
/// Thread safety: the policy and what it makes may be used by many calls at once.
/// Cost: one timer per attempt, looked at only when the nearest limit may have passed; nothing per byte.
///
/// Example: `auto guarded = openai({.model = "gpt-5.6-sol"}) | timeout({.first_token = 10s, .attempt = 60s});`
[[nodiscard]] BACKSTOP_EXPORT Policy timeout(TimeoutOptions options = {});
/// The same with a limit on the whole attempt, the others as they are by default.
[[nodiscard]] BACKSTOP_EXPORT Policy timeout(Duration attempt);

}  // namespace backstop::inline v0
