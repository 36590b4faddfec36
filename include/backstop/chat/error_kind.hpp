#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace backstop::inline v0 {

/// Every way a call can fail. The list is closed; `traits_of` says what each kind means to every policy.
enum class ErrorKind : std::uint8_t {
  connect_failed,           ///< no connection (DNS, TCP, TLS), or no answer on it; `Error::replay`: may it have arrived
  timeout,                  ///< a limit of ours; `Error::timeout_limit` says which
  stream_interrupted,       ///< the answer broke off; `Error::committed` says whether content had been delivered
  rate_limited,             ///< too many requests or tokens lately
  quota_exhausted,          ///< no credit, billing, a spend limit
  overloaded,               ///< the provider sheds load: 503, 529
  server_error,             ///< 500, 502, 504, 52x
  authentication,           ///< the key is missing, wrong or revoked
  permission,               ///< the key may not do this
  invalid_request,          ///< would fail at every provider
  context_window_exceeded,  ///< the conversation does not fit this model
  model_not_found,
  unsupported_capability,   ///< this target cannot do what the request needs
  content_filtered,         ///< the provider's filter refused, and nothing was delivered
  malformed_response,       ///< not the wire format that it should be, truncated, or empty
  rejected_response,        ///< complete, and a quality floor of the application said no
  circuit_open,             ///< not sent: the breaker is open
  local_limit,              ///< of ours: a rate limit, bulkhead or cooldown, not sent; or no memory to go on with
  budget_exceeded,          ///< not sent: a cost cap of ours
  cancelled,                ///< the application cancelled the call
  deadline_exceeded,        ///< the application's deadline passed
};

inline constexpr std::size_t error_kind_count = 21;

enum class RetryRule : std::uint8_t {
  never,
  transient,             ///< with the transient backoff
  throttled,             ///< with the throttle backoff, if the server's wait is short
  once,                  ///< a single repeat
  if_no_other_target,    ///< transient, only when no other target is eligible
};

enum class FallbackRule : std::uint8_t {
  never,
  yes,
  preferred,             ///< another ready target now beats waiting for this one, unless a short hint says how long
  larger_window,         ///< only to a target with a larger context window
  with_capability,       ///< only to a target that has what is missing
  opt_in,                ///< only where the application asked for it
  cheaper,               ///< only to a target that costs less
};

enum class BreakerVerdict : std::uint8_t { success, failure, ignored };

enum class CooldownRule : std::uint8_t {
  none,
  hint,        ///< until the server's hint, where it gave one
  quota,       ///< 5 min, doubling, at most 1 h
  credential,  ///< this credential, 5 min
  model,       ///< this model, 5 min
};

/// One row of the classification table.
struct ErrorTraits {
  ErrorKind kind;
  std::string_view name;
  RetryRule retry;
  FallbackRule fallback;
  BreakerVerdict breaker;
  CooldownRule cooldown;
};

/// The one table from which retry, fallback, breakers, limits and cooldowns decide.
inline constexpr std::array<ErrorTraits, error_kind_count> error_table{{
    // clang-format off
    {ErrorKind::connect_failed,          "connect_failed",          RetryRule::transient,          FallbackRule::preferred,       BreakerVerdict::failure, CooldownRule::none},
    {ErrorKind::timeout,                 "timeout",                 RetryRule::if_no_other_target, FallbackRule::yes,             BreakerVerdict::failure, CooldownRule::none},
    {ErrorKind::stream_interrupted,      "stream_interrupted",      RetryRule::transient,          FallbackRule::yes,             BreakerVerdict::failure, CooldownRule::none},
    {ErrorKind::rate_limited,            "rate_limited",            RetryRule::throttled,          FallbackRule::preferred,       BreakerVerdict::ignored, CooldownRule::hint},
    {ErrorKind::quota_exhausted,         "quota_exhausted",         RetryRule::never,              FallbackRule::yes,             BreakerVerdict::ignored, CooldownRule::quota},
    {ErrorKind::overloaded,              "overloaded",              RetryRule::throttled,          FallbackRule::preferred,       BreakerVerdict::failure, CooldownRule::hint},
    {ErrorKind::server_error,            "server_error",            RetryRule::transient,          FallbackRule::yes,             BreakerVerdict::failure, CooldownRule::hint},
    {ErrorKind::authentication,          "authentication",          RetryRule::never,              FallbackRule::yes,             BreakerVerdict::ignored, CooldownRule::credential},
    {ErrorKind::permission,              "permission",              RetryRule::never,              FallbackRule::yes,             BreakerVerdict::ignored, CooldownRule::credential},
    {ErrorKind::invalid_request,         "invalid_request",         RetryRule::never,              FallbackRule::never,           BreakerVerdict::ignored, CooldownRule::none},
    {ErrorKind::context_window_exceeded, "context_window_exceeded", RetryRule::never,              FallbackRule::larger_window,   BreakerVerdict::ignored, CooldownRule::none},
    {ErrorKind::model_not_found,         "model_not_found",         RetryRule::never,              FallbackRule::with_capability, BreakerVerdict::ignored, CooldownRule::model},
    {ErrorKind::unsupported_capability,  "unsupported_capability",  RetryRule::never,              FallbackRule::with_capability, BreakerVerdict::ignored, CooldownRule::none},
    {ErrorKind::content_filtered,        "content_filtered",        RetryRule::never,              FallbackRule::opt_in,          BreakerVerdict::success, CooldownRule::none},
    {ErrorKind::malformed_response,      "malformed_response",      RetryRule::once,               FallbackRule::yes,             BreakerVerdict::failure, CooldownRule::none},
    {ErrorKind::rejected_response,       "rejected_response",       RetryRule::never,              FallbackRule::yes,             BreakerVerdict::success, CooldownRule::none},
    {ErrorKind::circuit_open,            "circuit_open",            RetryRule::never,              FallbackRule::yes,             BreakerVerdict::ignored, CooldownRule::none},
    {ErrorKind::local_limit,             "local_limit",             RetryRule::never,              FallbackRule::yes,             BreakerVerdict::ignored, CooldownRule::none},
    {ErrorKind::budget_exceeded,         "budget_exceeded",         RetryRule::never,              FallbackRule::cheaper,         BreakerVerdict::ignored, CooldownRule::none},
    {ErrorKind::cancelled,               "cancelled",               RetryRule::never,              FallbackRule::never,           BreakerVerdict::ignored, CooldownRule::none},
    {ErrorKind::deadline_exceeded,       "deadline_exceeded",       RetryRule::never,              FallbackRule::never,           BreakerVerdict::ignored, CooldownRule::none},
    // clang-format on
}};

[[nodiscard]] constexpr const ErrorTraits& traits_of(ErrorKind kind) noexcept {
  return error_table[static_cast<std::size_t>(kind)];
}

/// The kind's own name, such as "rate_limited".
[[nodiscard]] constexpr std::string_view to_string(ErrorKind kind) noexcept { return traits_of(kind).name; }

[[nodiscard]] constexpr std::optional<ErrorKind> error_kind_from(std::string_view name) noexcept {
  for (const ErrorTraits& row : error_table) {
    if (row.name == name) return row.kind;
  }
  return std::nullopt;
}

/// Refused in the process, without a send; another target may take the call now.
[[nodiscard]] constexpr bool is_refusal(ErrorKind kind) noexcept {
  return kind == ErrorKind::circuit_open || kind == ErrorKind::local_limit;
}

}  // namespace backstop::inline v0
