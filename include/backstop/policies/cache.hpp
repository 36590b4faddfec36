#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include "backstop/export.hpp"
#include "backstop/policy.hpp"
#include "backstop/runtime/clock.hpp"
#include "backstop/state/answer_cache.hpp"

namespace backstop::inline v0 {

struct CacheOptions {
  Duration ttl = std::chrono::hours{1};  ///< how long an answer is given again; each up to a tenth shorter or longer
  std::size_t max_bytes = AnswerCache::default_max_bytes;  ///< of memory; the least recently used answers go first
  /// Requests at temperature 0 are cached, and others only with this: they get the same answer every time.
  bool any_temperature = false;
  bool across_users = false;  ///< one user's answer for all; else `Metadata::user_id` has to be the same
  std::optional<AnswerCache> shared{};  ///< one that the application holds, with its own `max_bytes`
};

/// What is wrong with the options, and what would be accepted; empty when nothing is.
[[nodiscard]] BACKSTOP_EXPORT std::string problem_with(const CacheOptions& options);

/// Gives the answer to a request that was asked before without sending it again.
///
/// Only exact repeats hit: everything that has a say in the answer is part of the key (messages, tools, format,
/// limits, the targets behind the policy, the application's headers, the user's id), what is merely carried along is not
/// (tags, session and request ids, trace context). Kept are complete answers of the first choice: ended by themselves or
/// with tool calls, not refused, filtered, cut short or degraded; never errors. Requests without a user id count as
/// one user's.
///
/// A hit costs nothing and uses nothing: its row in the ledger was not sent, has no cost and says "answered from the
/// cache"; `usage` is zero, `served_by` is who wrote the answer. To a stream it comes whole.
///
/// Put it outside everything that limits, counts or repeats: `openai({...}) | standard() | cache()` for one target, or
/// around the client, `FallbackClient{client | cache()}`, where it answers also while every target is out.
///
/// Errors: std::invalid_argument from the factory with `problem_with(options)`.
/// Thread safety: as every policy. Cost: of a key per request that may be cached (its size in bytes), one short lock.
///
/// Example: `openai({.model = "gpt-5.6-sol"}) | standard() | cache({.ttl = 10min})`
[[nodiscard]] BACKSTOP_EXPORT Policy cache(CacheOptions options = {});

}  // namespace backstop::inline v0
