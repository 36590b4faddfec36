#include "backstop/chat/response.hpp"

#include <array>
#include <cstddef>

#include "text/name_in.hpp"

namespace backstop::inline v0 {

std::string_view to_string(FinishReason reason) noexcept {
  constexpr std::array<std::string_view, 7> names{"stop",           "length",       "tool_calls", "content_filter",
                                                  "context_full",   "paused",       "other"};
  return detail::name_in(names, reason);
}

std::string ChatResponse::reasoning() const {
  std::string text;
  for (const Part& part : parts) {
    if (const auto* piece = std::get_if<Reasoning>(&part)) text += piece->text;
  }
  return text;
}

std::vector<ToolCall> ChatResponse::tool_calls() const {
  std::vector<ToolCall> calls;
  for (const Part& part : parts) {
    if (const auto* call = std::get_if<ToolCall>(&part)) calls.push_back(*call);
  }
  return calls;
}

Message ChatResponse::message() const {
  Message turn{Role::assistant, parts};
  for (Part& part : turn.parts) {
    auto* reasoning = std::get_if<Reasoning>(&part);
    if (reasoning != nullptr && reasoning->origin.empty()) reasoning->origin = served_by;
  }
  return turn;
}

}  // namespace backstop::inline v0
