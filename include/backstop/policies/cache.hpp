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
  /// One that the application holds, with its own `max_bytes`. Policies that use it share answers where they stand
  /// around the same `Provider` (a copy of the handle) and as long as one of them lives; around two providers that only
  /// have the same name, or two stacks around one model, they do not.
  std::optional<AnswerCache> shared{};
  /// With `shared`: policies with the same name here share answers whatever they stand around, also after the others
  /// have been destroyed. The application has to make sure that they would get the same answers.
  std::string shared_as{};
};

/// What is wrong with the options, and what would be accepted; empty when nothing is.
[[nodiscard]] BACKSTOP_EXPORT std::string problem_with(const CacheOptions& options);

/// Answers a request that was answered before without sending it again.
///
/// Only exact repeats hit: everything that the answer depends on is part of the key (messages, tools, format, limits,
/// the provider behind the policy, the application's headers, the user's id), what it does not depend on is not (tags,
/// session and request ids, trace context). Kept are complete answers of the first choice: ended by the model or with
/// tool calls, not refused, filtered, cut short or degraded. Errors are never kept. Requests without a user id count as
/// one user's.
///
/// A hit costs nothing and uses nothing: its row in the ledger was not sent, has no cost and says "answered from the
/// cache"; `usage` is zero, `served_by` is the target that wrote the answer. A stream gets it in one piece.
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
