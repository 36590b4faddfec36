#include "backstop/chat/message.hpp"

#include <array>
#include <cstddef>
#include <utility>

#include "text/name_in.hpp"

namespace backstop::inline v0 {
namespace {

Message with_text(Role role, std::string text) {
  Message message{role, {}};
  message.parts.emplace_back(Text{std::move(text)});
  return message;
}

}  // namespace

Message Message::system(std::string text) { return with_text(Role::system, std::move(text)); }

Message Message::user(std::string text) { return with_text(Role::user, std::move(text)); }

Message Message::assistant(std::string text) { return with_text(Role::assistant, std::move(text)); }

Message Message::tool_result(std::string call_id, std::string text, bool is_error) {
  Message message{Role::tool, {}};
  message.parts.emplace_back(ToolResult{std::move(call_id), std::move(text), is_error});
  return message;
}

std::string_view to_string(Role role) noexcept {
  constexpr std::array<std::string_view, 4> names{"system", "user", "assistant", "tool"};
  return detail::name_in(names, role);
}

std::string text_of(const std::vector<Part>& parts) {
  std::string text;
  for (const Part& part : parts) {
    if (const auto* piece = std::get_if<Text>(&part)) text += piece->text;
  }
  return text;
}

}  // namespace backstop::inline v0
