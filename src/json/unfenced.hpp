#pragma once

#include <string_view>

namespace backstop::inline v0::detail {

/// The text without white space around it and without the fence of a Markdown block, where it is nothing but that.
[[nodiscard]] std::string_view unfenced(std::string_view text) noexcept;

}  // namespace backstop::inline v0::detail
