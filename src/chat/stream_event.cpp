#include "backstop/chat/stream_event.hpp"

#include <array>
#include <cstddef>

namespace backstop::inline v0 {

std::string_view to_string(StreamEvent::Type type) noexcept {
  constexpr std::array<std::string_view, 8> names{"text",      "reasoning", "tool_call_delta", "tool_call",
                                                  "restarted", "degraded",  "finished",        "failed"};
  return names[static_cast<std::size_t>(type)];
}

}  // namespace backstop::inline v0
