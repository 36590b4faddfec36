#pragma once

#include <string>
#include <string_view>

namespace backstop::inline v0::detail {

/// RFC 3986: all but letters, digits, `-._~` and what is in `kept` as %XX.
[[nodiscard]] std::string percent_encoded(std::string_view text, std::string_view kept = {});

}  // namespace backstop::inline v0::detail
