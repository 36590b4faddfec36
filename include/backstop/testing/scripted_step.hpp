#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backstop/chat/error.hpp"
#include "backstop/chat/message.hpp"
#include "backstop/chat/rate_limit_status.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/chat/usage.hpp"
#include "backstop/export.hpp"
#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0::testing {

/// What a scripted failure looks like; what is left out is what the kind usually comes with.
struct Failure {
  std::optional<int> http_status{};  ///< unset: the kind's usual status, such as 503 for `overloaded`
  std::optional<Duration> retry_after{};
  std::string code{};
  std::string message{};
  std::optional<bool> should_retry{};    ///< the `x-should-retry` header
  std::optional<ReplaySafety> replay{};  ///< unset: `not_sent` for `connect_failed`, else `maybe_processed`
  std::optional<ErrorKind> cause{};      ///< with `stream_interrupted`
};

/// One answer of a `ScriptedProvider`: what happens after a send, in order. Made by the functions below and refined
/// by chaining: `stream({"Hel", "lo"}, 10ms).connects_after(20ms)`, `answer("hi").after(2s)`.
///
/// Unless a step says otherwise the connection stands at once, and the first thing to arrive is the first byte. To a
/// call that does not stream, what was written arrives in one piece at the end.
class BACKSTOP_EXPORT Step {
 public:
  // What the step is refined with.

  /// The connection takes that long.
  Step& connects_after(Duration span);
  /// The whole step begins that long after the connection.
  Step& after(Duration span);

  /// The model says that it is another one than was asked for.
  Step& model(std::string name);
  /// What the headers of the answer, or of the refusal, say of the provider's limits.
  Step& rate_limit(const RateLimitStatus& status);
  /// A conversation that ends with an assistant turn, to be continued, is refused with 400.
  Step& without_prefill();

  // What is appended to the step.

  Step& wait(Duration span);
  /// Bytes that are not content: a role chunk, a ping, a comment.
  Step& ping();
  Step& pings(int count, Duration every);
  /// Until the call is stopped.
  Step& endless_pings(Duration every);
  Step& text(std::string delta);
  Step& reasoning(std::string delta);
  Step& tool_arguments(std::string delta);
  Step& tool_call(std::string name, std::string arguments);
  Step& usage(std::int64_t input_tokens, std::int64_t output_tokens);
  /// The answer is complete. Without a reason it is the usual one: `stop`, or `tool_calls`.
  Step& finish(std::optional<FinishReason> reason = std::nullopt);
  /// The connection breaks.
  Step& cut();
  Step& fail(ErrorKind kind, Failure failure = {});
  /// Nothing comes any more, until the call is stopped.
  Step& silence();

 private:
  friend class ScriptedProvider;
  enum class What : std::uint8_t {
    connect,
    wait,
    bytes,
    endless_bytes,
    text,
    reasoning,
    tool_arguments,
    tool_call,
    finish,
    fail
  };
  struct Moment {
    What what = What::wait;
    Duration span{0};
    std::string text;
    ToolCall tool_call;
    std::optional<Error> error;
  };

  Moment& append(What what);

  std::vector<Moment> moments_;
  Usage usage_;
  std::optional<FinishReason> finish_reason_;
  std::string model_;
  std::shared_ptr<const RateLimitStatus> rate_limit_;
  bool refuses_prefill_ = false;
};

/// A complete answer, at once.
[[nodiscard]] BACKSTOP_EXPORT Step answer(std::string text);
/// Deltas, with that much time before each but the first, and the end.
[[nodiscard]] BACKSTOP_EXPORT Step stream(std::initializer_list<std::string_view> pieces, Duration gap = Duration{0});
/// The beginning of such a stream: goes on with `cut()`, `silence()`, `fail(...)`, ...
[[nodiscard]] BACKSTOP_EXPORT Step deltas(std::initializer_list<std::string_view> pieces, Duration gap = Duration{0});
/// A complete tool call, and the end.
[[nodiscard]] BACKSTOP_EXPORT Step tool_call(std::string name, std::string arguments = "{}");
/// A failure, at once.
[[nodiscard]] BACKSTOP_EXPORT Step error(ErrorKind kind, Failure failure = {});
/// Connects, and never answers.
[[nodiscard]] BACKSTOP_EXPORT Step silence();
/// The connection never stands.
[[nodiscard]] BACKSTOP_EXPORT Step no_connection();

}  // namespace backstop::inline v0::testing
