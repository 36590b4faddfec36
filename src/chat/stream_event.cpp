#include "backstop/chat/stream_event.hpp"

#include <array>
#include <cstddef>

#include "text/name_in.hpp"

namespace backstop::inline v0 {

std::string_view to_string(StreamEvent::Type type) noexcept {
  constexpr std::array<std::string_view, 9> names{"text",      "reasoning", "tool_call_delta", "tool_call",
                                                  "restarted", "degraded",  "finished",        "failed",
                                                  "progress"};
  return detail::name_in(names, type);
}

}  // namespace backstop::inline v0
