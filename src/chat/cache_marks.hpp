#pragma once

#include <cstddef>
#include <type_traits>
#include <variant>
#include <vector>

#include "backstop/chat/request.hpp"

namespace backstop::inline v0::detail {

/// Where a part has its mark for the provider's prompt cache; null for what has none.
template <class AnyPart>
[[nodiscard]] auto* cache_mark_of(AnyPart& part) noexcept {
  using Mark = std::conditional_t<std::is_const_v<AnyPart>, const bool, bool>;
  return std::visit(
      [](auto& one) -> Mark* {
        if constexpr (requires { one.cache; }) {
          return &one.cache;
        } else {
          return nullptr;
        }
      },
      part);
}

/// Hands every mark that is set to `visit`, in the order in which a provider reads.
template <class Request, class Visit>
void visit_cache_marks(Request& request, Visit visit) {
  for (auto& tool : request.tools) {
    if (tool.cache) visit(tool.cache);
  }
  for (auto& message : request.messages) {
    for (auto& part : message.parts) {
      auto* const mark = cache_mark_of(part);
      if (mark != nullptr && *mark) visit(*mark);
    }
    if (message.cache) visit(message.cache);
  }
}

/// Whether the part is marked, by itself or as the last of its message that can be.
[[nodiscard]] inline bool is_marked(const Message& message, std::size_t place) noexcept {
  const bool* const mark = cache_mark_of(message.parts[place]);
  if (mark == nullptr || *mark || !message.cache) return mark != nullptr && *mark;
  for (std::size_t next = place + 1; next < message.parts.size(); ++next) {
    if (cache_mark_of(message.parts[next]) != nullptr) return false;
  }
  return true;
}

[[nodiscard]] inline bool has_mark(const Message& message) noexcept {
  for (const Part& part : message.parts) {
    const bool* const mark = cache_mark_of(part);
    if (mark != nullptr && *mark) return true;
  }
  return message.cache;
}

}  // namespace backstop::inline v0::detail
