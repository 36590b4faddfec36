#pragma once

#include <chrono>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backstop/chat/error_kind.hpp"
#include "backstop/export.hpp"
#include "backstop/runtime/clock.hpp"
#include "backstop/testing/scripted_step.hpp"

/// The ways in which providers fail, ready to be put into a `ScriptedProvider`: what an adapter makes of each, with the
/// usual status, code and message. `error`, `silence`, `no_connection` and the steps that `deltas(...)` begins are in
/// `scripted_step.hpp`.
///
/// Example: `ScriptedProvider primary{"openai/gpt-5", {rate_limited(2s), cut_after({"Once upon "}), answer("ok")}};`
namespace backstop::inline v0::testing {

// Refusals.

/// 429, with `Retry-After` when a span is given.
[[nodiscard]] BACKSTOP_EXPORT Step rate_limited(std::optional<Duration> retry_after = std::nullopt);
/// 503, likewise.
[[nodiscard]] BACKSTOP_EXPORT Step overloaded(std::optional<Duration> retry_after = std::nullopt);
[[nodiscard]] BACKSTOP_EXPORT Step server_error(int http_status = 500);
/// 429 `insufficient_quota`: out of money, which does not pass with time.
[[nodiscard]] BACKSTOP_EXPORT Step quota_exhausted();
/// 401: the key is wrong.
[[nodiscard]] BACKSTOP_EXPORT Step bad_key();
/// 403: the key may not use this model.
[[nodiscard]] BACKSTOP_EXPORT Step no_permission();
/// 404.
[[nodiscard]] BACKSTOP_EXPORT Step no_such_model();
/// 400 `context_length_exceeded`.
[[nodiscard]] BACKSTOP_EXPORT Step context_too_long();
/// 400 `content_policy_violation`, with the provider's reason.
[[nodiscard]] BACKSTOP_EXPORT Step filtered(std::string reason = "the prompt was flagged by the content policy");
/// 400: would fail everywhere.
[[nodiscard]] BACKSTOP_EXPORT Step bad_request();

// Connections.

/// The connection is reset after the request went out, before any byte of the answer.
[[nodiscard]] BACKSTOP_EXPORT Step connection_reset();
/// Nobody listens: fails at once, and nothing was sent.
[[nodiscard]] BACKSTOP_EXPORT Step connection_refused();

// Answers that are slow.

/// The head of the answer at once, the first content that much later.
[[nodiscard]] BACKSTOP_EXPORT Step late_first_token(Duration delay, std::string text = "ok");
/// Pings at that interval, and no content, until the call is stopped.
[[nodiscard]] BACKSTOP_EXPORT Step pings_only(Duration every = std::chrono::seconds{15});

// Answers that break, after these pieces of text.

/// The connection is cut.
[[nodiscard]] BACKSTOP_EXPORT Step cut_after(std::initializer_list<std::string_view> pieces,
                                             Duration gap = Duration{0});
/// Nothing for that long, then the connection is cut.
[[nodiscard]] BACKSTOP_EXPORT Step stalled_after(std::initializer_list<std::string_view> pieces,
                                                 Duration silence = (Duration::max)());
/// An event that is no JSON.
[[nodiscard]] BACKSTOP_EXPORT Step garbled_after(std::initializer_list<std::string_view> pieces);
/// The provider reports an error in the middle of its answer; without pieces under a status of 200, before any content.
[[nodiscard]] BACKSTOP_EXPORT Step error_event_after(std::initializer_list<std::string_view> pieces,
                                                     ErrorKind kind = ErrorKind::overloaded);
/// Within the arguments of a tool call.
[[nodiscard]] BACKSTOP_EXPORT Step cut_tool_call(std::string arguments = R"({"city": "Par)");

// Answers that are complete and yet none.

/// No text, no tool call.
[[nodiscard]] BACKSTOP_EXPORT Step empty_answer();
/// Cut short by the output limit.
[[nodiscard]] BACKSTOP_EXPORT Step length_limited(std::string text = "Once upon");
/// The words of a refusal, with `content_filter`.
[[nodiscard]] BACKSTOP_EXPORT Step refusal(std::string text = "I cannot help with that.");
/// A tool call whose arguments are no JSON.
[[nodiscard]] BACKSTOP_EXPORT Step broken_arguments(std::string name = "search");

/// A fault by name, and what a caller gets that reads the answer as a stream and has no other target.
struct NamedFault {
  std::string_view name;
  Step step;
  std::optional<ErrorKind> kind;  ///< of the error; empty: an answer
};

/// Each of the above once, to run one's own code under all of them. Some do not end by themselves: put a `timeout`
/// around the target.
///
/// Example: `for (const NamedFault& fault : every_fault()) {
///             ScriptedProvider primary{"openai/gpt-5", {fault.step}}; ...
///           }`
[[nodiscard]] BACKSTOP_EXPORT std::vector<NamedFault> every_fault();

}  // namespace backstop::inline v0::testing
