#include "backstop/chat/message.hpp"

#include <array>
#include <cstddef>

namespace backstop::inline v0 {

std::string_view to_string(Role role) noexcept {
  constexpr std::array<std::string_view, 4> names{"system", "user", "assistant", "tool"};
  return names[static_cast<std::size_t>(role)];
}

std::string text_of(const std::vector<Part>& parts) {
  std::string text;
  for (const Part& part : parts) {
    if (const auto* piece = std::get_if<Text>(&part)) text += piece->text;
  }
  return text;
}

}  // namespace backstop::inline v0
