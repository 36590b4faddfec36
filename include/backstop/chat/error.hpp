#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "backstop/chat/attempt.hpp"
#include "backstop/chat/error_kind.hpp"
#include "backstop/export.hpp"

namespace backstop::inline v0 {

/// Which limit a `timeout` means.
enum class TimeoutLimit : std::uint8_t {
  none,
  connect,         ///< DNS, TCP and TLS took too long
  first_byte,      ///< no byte of the answer
  first_token,     ///< bytes, but no content
  idle,            ///< the answer stopped coming
  attempt,         ///< one attempt took too long
  deadline_share,  ///< this target's share of the caller's deadline; the rest is kept for the targets still to come
  client_deadline,  ///< of a fallback client that is another's target
};

[[nodiscard]] BACKSTOP_EXPORT std::string_view to_string(TimeoutLimit limit) noexcept;

/// An answer that a quality floor has refused, and why.
struct RejectedAnswer;

/// Why a call failed. `message` is for people; programs use `kind`. Apart from what the application's own code throws
/// or returns, `message` never holds a key, a prompt or an answer. What the provider said stands apart, in
/// `provider_message`: a provider may repeat parts of the prompt.
///
/// The ledger in `attempts` is filled in once, when the call ends; policies on the way see it empty.
struct Error {
  Error() = default;
  Error(ErrorKind error_kind, std::string error_message) : kind{error_kind}, message{std::move(error_message)} {}

  ErrorKind kind = ErrorKind::invalid_request;
  std::string message;
  /// The provider's own words, at most about 500 bytes, the keys in use masked; empty when it said none.
  std::string provider_message{};
  Target target;            ///< whose failure it is; empty where no target was reached
  int http_status = 0;      ///< of the status line; 0 when none arrived
  std::string code;         ///< the provider's own code
  std::string request_id;   ///< the provider's
  /// The server's hint, or when a local refusal ends. Waiting less is of no use.
  std::optional<std::chrono::nanoseconds> retry_after;
  /// What is known of a repeat, obeyed by retry: the `x-should-retry` header; false where it would fail likewise.
  std::optional<bool> should_retry;
  ReplaySafety replay = ReplaySafety::not_sent;
  TimeoutLimit timeout_limit = TimeoutLimit::none;
  bool committed = false;     ///< content had been handed to the consumer
  std::string partial_text;   ///< the text that had been, when `committed`
  /// With `stream_interrupted`: what broke it, for retry decisions.
  std::optional<ErrorKind> cause;
  /// What a quality floor has refused, on its way to a client that hands it to the next target
  /// (`Escalation::with_draft`); null everywhere else, also in the error of a call.
  std::shared_ptr<const RejectedAnswer> rejected{};
  Money cost{};            ///< of the whole call, filled in with the ledger
  bool cost_known = true;  ///< false where the price of an attempt is not known: `cost` is then the least that it can be
  std::chrono::nanoseconds elapsed{0};  ///< of the whole call, filled in with the ledger
  Ledger attempts;
};

/// Whether the same target, asked a little later, may do better.
[[nodiscard]] BACKSTOP_EXPORT bool passes_with_time(const Error& error) noexcept;

/// One line: kind, target, status, message and the provider's words; then a line per attempt. For one line alone
/// print `error.kind` and `error.message`.
[[nodiscard]] BACKSTOP_EXPORT std::string to_string(const Error& error);

}  // namespace backstop::inline v0
