#include "backstop/observe/observer.hpp"

#include <array>
#include <cstddef>

#include <fmt/format.h>

#include "backstop/chat/format.hpp"
#include "text/duration.hpp"
#include "text/name_in.hpp"

namespace backstop::inline v0 {

std::string_view to_string(ProgressEvent::Type type) noexcept {
  constexpr std::array<std::string_view, 4> names{"attempt_began", "attempt_failed", "skipped", "waits"};
  return detail::name_in(names, type);
}

std::string to_string(const ProgressEvent& event) {
  switch (event.type) {
    case ProgressEvent::Type::attempt_began: return fmt::format("asking {}", event.target);
    case ProgressEvent::Type::attempt_failed:
      return fmt::format("{} failed: {}", event.target, reason_of(*event.attempt));
    case ProgressEvent::Type::skipped:
      return fmt::format("{} is passed over: {}", event.target, reason_of(*event.attempt));
    case ProgressEvent::Type::waits: break;
  }
  if (event.target.empty()) return fmt::format("waiting {} for a target to recover", detail::rounded_text(event.wait));
  return fmt::format("waiting {} for {} ({})", detail::rounded_text(event.wait), event.target, event.reason);
}

}  // namespace backstop::inline v0
