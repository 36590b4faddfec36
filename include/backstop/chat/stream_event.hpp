#pragma once

#include <cstdint>
#include <string_view>

#include "backstop/chat/error.hpp"
#include "backstop/chat/message.hpp"
#include "backstop/chat/response.hpp"

namespace backstop::inline v0 {

struct ProgressEvent;

/// One step of a streamed answer. It refers to data that lives until the next event is asked for: copy what you keep.
struct StreamEvent {
  enum class Type : std::uint8_t {
    text,             ///< `delta`: more of the answer
    reasoning,        ///< `delta`: more of the model's thinking
    tool_call_delta,  ///< `delta`: more of the arguments of the call whose id and name `tool_call` has so far; its
                      ///< own `arguments` are empty, so that a piece costs no more than itself
    tool_call,        ///< `tool_call`: a complete call
    restarted,        ///< forget what came so far: `target` begins anew (policy `mid_stream = restart`)
    /// `degradation`: what was given up for the answer, before the first piece of it. Where another target goes on with
    /// an answer that broke off (`mid_stream = resume`) and has less to go by, between its pieces.
    degraded,
    finished,         ///< the end: `response` is the whole answer
    failed,           ///< the end: `error`
    progress,         ///< `progress`: an attempt begins or fails, or the call waits; to `CallOptions::on_event` only
  };

  Type type = Type::text;
  std::string_view delta{};
  const ToolCall* tool_call = nullptr;
  const Degradation* degradation = nullptr;
  const ChatResponse* response = nullptr;
  const Error* error = nullptr;
  const ProgressEvent* progress = nullptr;
  Target target{};  ///< with `restarted`: who begins

  /// Content, reasoning or tool calls: what commits a stream when it is handed over.
  [[nodiscard]] bool is_content() const noexcept { return type <= Type::tool_call; }
};

[[nodiscard]] BACKSTOP_EXPORT std::string_view to_string(StreamEvent::Type type) noexcept;

}  // namespace backstop::inline v0
