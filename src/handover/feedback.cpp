#include "handover/feedback.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace backstop::inline v0::detail {
namespace {

[[nodiscard]] bool says_something(const Part& part) noexcept {
  if (const auto* text = std::get_if<Text>(&part)) return !text->text.empty();
  return std::holds_alternative<ToolCall>(part);
}

[[nodiscard]] std::string fill_in(std::string_view wording, const std::string& reasons) {
  std::string text;
  for (;;) {
    const std::size_t mark = wording.find(reasons_mark);
    text.append(wording.substr(0, mark));
    if (mark == std::string_view::npos) return text;
    text += reasons;
    wording.remove_prefix(mark + reasons_mark.size());
  }
}

}  // namespace

ChatRequest with_feedback(const ChatRequest& request, const RejectedAnswer& rejected, std::string_view wording) {
  ChatRequest again = request;
  const std::vector<Part>& parts = rejected.draft.parts;
  // A turn that says nothing is refused by providers.
  if (std::any_of(parts.begin(), parts.end(), says_something)) again.messages.push_back(rejected.draft);
  for (const Part& part : parts) {
    const auto* call = std::get_if<ToolCall>(&part);
    if (call == nullptr) continue;
    Message result = Message::tool_result(call->id, "not called: the answer was not accepted");
    std::get<ToolResult>(result.parts.front()).is_error = true;
    again.messages.push_back(std::move(result));
  }
  again.messages.push_back(Message::user(fill_in(wording, rejected.reasons)));
  return again;
}

}  // namespace backstop::inline v0::detail
