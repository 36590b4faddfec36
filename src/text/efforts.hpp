#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace backstop::inline v0::detail {

/// The words of `reasoning_effort`.
inline constexpr std::array<std::string_view, 7> effort_words{"none", "minimal", "low", "medium",
                                                              "high", "xhigh",   "max"};
inline constexpr std::string_view efforts_text = "none, minimal, low, medium, high, xhigh, max";

[[nodiscard]] constexpr bool is_effort(std::string_view word) noexcept {
  return std::find(effort_words.begin(), effort_words.end(), word) != effort_words.end();
}

}  // namespace backstop::inline v0::detail
