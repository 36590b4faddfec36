#pragma once

#include <cstddef>
#include <string>

#include "backstop/export.hpp"
#include "backstop/policy.hpp"

namespace backstop::inline v0 {

struct SingleFlightOptions {
  /// Only requests at temperature 0 are shared. Without it every request is, also where the application asks the same
  /// several times to get different answers.
  bool deterministic_only = false;
  std::size_t max_replay_bytes = std::size_t{1} << 20U;  ///< of a stream, kept for followers that are behind; about
};

/// What is wrong with the options, and what would be accepted; empty when nothing is.
[[nodiscard]] BACKSTOP_EXPORT std::string problem_with(const SingleFlightOptions& options);

/// Calls that ask the same at the same time share one send: the first begins it, the others (its followers) get its
/// result.
///
/// Shared are exact repeats (the key is that of `cache`, which see) of one user, of the same kind (streamed or not), on
/// one runtime; nothing is shared across users or across runtimes, and nothing once the answer is in.
///
/// A call that is cancelled or out of time leaves the send, also the one that began it; the others still get the
/// answer. When the last one leaves, the send is stopped and awaited. Its deadline is the latest of its calls'; what
/// was decided inside by an earlier deadline stays decided.
///
/// A follower gets a stream from its beginning, and reading pauses only while none of the consumers is ready for more.
/// A call that falls behind by more than `max_replay_bytes` gets an error (`stream_interrupted`, or `local_limit` when
/// nothing has reached it) and does not delay the others; one that comes after the beginning has been dropped begins a
/// send of its own.
///
/// Each send is on the account of one call, the one that has waited longest among those whose caps let it: its row, and
/// what it cost, stand in that call's ledger and budgets. When that call leaves, another takes over what is under way.
/// A call whose caps or attempts have no room for a send, a hedge too, shares it all the same while another accounts for
/// it. Only while the caps of all of them have to wait for what others have reserved does the send: for the money of the
/// one that has waited longest.
/// The row of a send that was taken over tells of all of it, also of what was before the call, and it is made though the
/// call has no attempt left.
/// Calls on whose account none is have a row that was not sent and says so. The request that goes out is the first
/// caller's: its tags, ids and trace context.
///
/// While a send is under way, a client that asks whether the target is ready is told that it is, for a call that may
/// share it, though a limit further in has no room for another.
///
/// A `cost_cap` around a client in which it stands waits for money that others have reserved before the call comes so
/// far, and so before it can share; with `wait_for_reserved` of 0, or directly around it, it does not.
///
/// Put it outside everything that limits, counts or repeats, and inside `cache`:
/// `openai({...}) | standard() | single_flight() | cache()`. What stands outside of it counts calls: each that shares a
/// failed send has failed. Do not put one handle of a limit or a breaker on both sides: the permit of the call that
/// begins a send holds for it, and when that call leaves, the handle counts the send twice or not at all; a repeat may
/// wait for the permit of a call that shares it.
///
/// Errors: those of the send; std::invalid_argument from the factory with `problem_with(options)`.
/// Thread safety: as every policy. Cost: of a key (the request's size in bytes) and a copy of the request per send.
[[nodiscard]] BACKSTOP_EXPORT Policy single_flight(SingleFlightOptions options = {});

}  // namespace backstop::inline v0
