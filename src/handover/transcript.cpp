#include "handover/transcript.hpp"

#include <variant>

#include <fmt/format.h>

namespace backstop::inline v0::detail {

std::string told_as_text(const std::vector<Part>& parts) {
  std::string text;
  for (const Part& part : parts) {
    if (const auto* written = std::get_if<Text>(&part)) text += written->text;
    if (std::holds_alternative<Image>(part)) text += "[an image]";
    if (std::holds_alternative<Document>(part)) text += "[a document]";
    if (const auto* call = std::get_if<ToolCall>(&part)) text += fmt::format("[calls {} with {}]", call->name, call->arguments);
    if (std::holds_alternative<Audio>(part)) text += "[a recording]";
    const auto* result = std::get_if<ToolResult>(&part);
    if (result == nullptr) continue;
    text += fmt::format("[returned {}]", result->text);
    for (const ToolFile& file : result->files) {
      text += std::holds_alternative<Image>(file) ? "[an image]" : "[a document]";
    }
  }
  return text;
}

std::string transcript_of(const std::vector<Message>& messages) {
  std::string text;
  for (const Message& message : messages) {
    text += fmt::format("<{}>\n{}\n</{}>\n", to_string(message.role), told_as_text(message.parts), to_string(message.role));
  }
  return text;
}

}  // namespace backstop::inline v0::detail
