#pragma once

#include <optional>
#include <string_view>

#include "backstop/runtime/clock.hpp"
#include "backstop/runtime/http_transport.hpp"
#include "providers/wire/provider_failure.hpp"

namespace backstop::inline v0::detail {

/// How long a server asks to wait before the next request, from the best source that its failure has, in this order:
/// 1. `retry-after-ms`, `x-ms-retry-after-ms`, `retry-after` (seconds, or a date against the answer's `Date`, else
///    against `now`); where a token limit is used up too, Azure's renewal period if that is longer,
/// 2. the body's own (Google's RetryInfo),
/// 3. the reset header of a limit whose `remaining` is used up,
/// 4. the words of the provider's own message ("Please try again in 1m12.5s") beside a status of 429 or 503; never a
///    body that is no JSON, and never words that stand in the request: providers repeat parts of it,
/// 5. the latest of the reset headers.
/// Values that are no positive span of at most 31 days are passed over. Ask for failures only: answers carry such
/// headers too, and mean nothing by them.
///
/// Source of the formats: RFC 9110, section 10.2.3, and the providers' own answers.
[[nodiscard]] std::optional<Duration> retry_hint(const HttpResponseHead& head, const ProviderFailure& failure,
                                                 WallTime now, std::string_view request_body = {});

/// `x-should-retry: true` or `false`.
[[nodiscard]] std::optional<bool> should_retry_hint(const HttpResponseHead& head) noexcept;

/// A date of HTTP in any of its three forms (RFC 9110, section 5.6.7), or of RFC 3339.
[[nodiscard]] std::optional<WallTime> parse_date(std::string_view text) noexcept;

/// The time at which an answer was sent, by its `Date`, else `now`: what dates in its other headers are to be
/// compared with, because they lie in the server's time.
[[nodiscard]] WallTime server_now(const HttpResponseHead& head, WallTime now) noexcept;

/// When a reset header says that its limit is renewed, as a span from `now`: a duration ("6m0s"), seconds ("12"), a
/// date (RFC 3339), or a Unix time in seconds or milliseconds.
[[nodiscard]] std::optional<Duration> parse_reset(std::string_view text, WallTime now) noexcept;

}  // namespace backstop::inline v0::detail
