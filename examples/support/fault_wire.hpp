#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fault_request.hpp"

namespace backstop::faults {

/// What a scripted model says. The same value is told in any wire's words, plain or streamed.
struct Answer {
  /// A call of one tool; `arguments` is JSON text, sent as it stands.
  struct Call {
    std::string id = "call_1";
    std::string name{};
    std::string arguments = "{}";
  };

  /// Token counts as they are reported; `output` is counted from the text unless given.
  struct Counts {
    std::int64_t input = 12;
    std::optional<std::int64_t> output{};
    std::int64_t cached = 0;  ///< part of `input`
  };

  std::string text = "Hello from the fault server.";
  std::string reasoning{};
  std::vector<Call> calls{};
  std::size_t tokens_per_event = 1;  ///< a token is a word with the blank before it; at least 1
  Counts usage{};
  std::string model{};   ///< reported as the model; empty: the one that was asked for
  std::string finish{};  ///< the reason in the wire's own word; empty: `stop`, `end_turn`, `completed`, `COMPLETE` or
                         ///< their tool cousins
  std::chrono::milliseconds delay_before_first{0};  ///< streams only: after the opening, before the first content
  std::chrono::milliseconds delay_between{0};       ///< streams only: between two events with content
};

/// One server-sent event of a stream.
struct StreamPart {
  enum class Role {
    frame,    ///< role chunk, `message_start`, `ping`, start and stop of a block
    content,  ///< carries text, reasoning or a piece of a tool call
    closing,  ///< finish reason, usage, terminal marker
  };
  std::string bytes{};
  Role role = Role::frame;
};

/// An error in a provider's words. Where a wire has no such field, `type` and `code` are not used.
struct ErrorWords {
  std::string type;
  std::string message;
  std::string code{};  ///< empty: null
};

/// The body of an answer that is not streamed.
[[nodiscard]] std::string plain_body(Wire wire, const Answer& answer, std::string_view asked_model);

/// The events of a streamed answer, in order. `include_usage` is the OpenAI wire's option of that name.
[[nodiscard]] std::vector<StreamPart> stream_parts(Wire wire, const Answer& answer, std::string_view asked_model,
                                                   bool include_usage);

/// The body of a refusal with that status of HTTP.
[[nodiscard]] std::string error_body(Wire wire, const ErrorWords& error, int status);

/// A refusal as an event of a stream that began with status 200.
[[nodiscard]] std::string error_event(Wire wire, const ErrorWords& error);

/// A keep-alive as the wire does it: a comment line, a `ping` event, or a blank line among lines of JSON.
[[nodiscard]] std::string ping_event(Wire wire);

/// The media type of a stream.
[[nodiscard]] std::string_view stream_type(Wire wire);

}  // namespace backstop::faults
