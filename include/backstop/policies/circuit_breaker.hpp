#pragma once

#include <memory>

#include "backstop/chat/error.hpp"
#include "backstop/export.hpp"
#include "backstop/policy.hpp"
#include "backstop/state/circuit_breaker.hpp"

namespace backstop::inline v0 {

/// Refuses calls to a target that keeps failing, at once and without sending, until probes show that it has recovered.
///
/// Counted are the outcomes that tell of the provider's health (`traits_of(kind).breaker`); a rate limit, a bad
/// request, a cancelled call or the caller's own deadline are not. A probe succeeds with its first content. Inside
/// `retry` each attempt is counted and an opened breaker ends the retries.
///
/// Errors: `circuit_open` with `retry_after`, not sent; std::invalid_argument from the factory with
/// `problem_with(options)`. Thread safety: as every policy. Cost of a refusal: no formatting, no exception.
///
/// Example: `openai({.model = "gpt-5"}) | timeout(20s) | circuit_breaker({.open_for = 20s})`
[[nodiscard]] BACKSTOP_EXPORT Policy circuit_breaker(CircuitBreakerOptions options = {});

/// The same with a breaker that the application holds, to look at it and control it by hand. Put around several
/// providers it is one breaker for all of them. Where a call meets the same breaker again further in (a client in a
/// client, `CallOptions::around`), it passes there: it is counted once, at the outermost. With
/// `single_flight` in between, see there.
///
/// Example: `auto breaker = CircuitBreaker::create(); auto guarded = openai(...) | circuit_breaker(breaker);
///           breaker->isolate();`
[[nodiscard]] BACKSTOP_EXPORT Policy circuit_breaker(std::shared_ptr<CircuitBreaker> breaker);

/// What a failure says to a breaker. The share of a deadline that a target was given is the caller's limit, not the
/// target's failure, and a broken stream counts as what broke it.
[[nodiscard]] BACKSTOP_EXPORT BreakerVerdict verdict_of(const Error& error) noexcept;

}  // namespace backstop::inline v0
