#pragma once

#include <variant>

#include "backstop/chat/response.hpp"
#include "backstop/runtime/call_context.hpp"

namespace backstop::inline v0::detail {

/// Calls `deliver` with the events of an answer that is there already, one for each part.
template <class Deliver>
void for_each_event(const ChatResponse& answer, const Deliver& deliver) {
  for (const Part& part : answer.parts) {
    StreamEvent event;
    if (const auto* text = std::get_if<Text>(&part)) {
      event.type = StreamEvent::Type::text;
      event.delta = text->text;
    } else if (const auto* reasoning = std::get_if<Reasoning>(&part)) {
      event.type = StreamEvent::Type::reasoning;
      event.delta = reasoning->text;
    } else if (const auto* call = std::get_if<ToolCall>(&part)) {
      event.type = StreamEvent::Type::tool_call;
      event.tool_call = call;
    }
    if (event.tool_call != nullptr || !event.delta.empty()) deliver(event);
  }
}

/// Streams an answer that is there already: what was given up for it, then a part an event.
inline void emit_answer(const ChatResponse& answer, const CallContext& context) {
  if (answer.degradation) {
    StreamEvent event;
    event.type = StreamEvent::Type::degraded;
    event.degradation = &*answer.degradation;
    context.deliver(event);
  }
  for_each_event(answer, [&](const StreamEvent& event) { context.deliver(event); });
}

}  // namespace backstop::inline v0::detail
