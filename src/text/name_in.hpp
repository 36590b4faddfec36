#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace backstop::inline v0::detail {

/// The name of an enumerator out of the list of all; "unknown" for a number that is none of them.
template <class Enumeration, std::size_t count>
[[nodiscard]] constexpr std::string_view name_in(const std::array<std::string_view, count>& names,
                                                 Enumeration value) noexcept {
  const auto index = static_cast<std::size_t>(value);
  return index < count ? names[index] : "unknown";
}

}  // namespace backstop::inline v0::detail
