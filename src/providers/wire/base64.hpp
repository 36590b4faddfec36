#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace backstop::inline v0::detail {

/// The bytes behind base64 (RFC 4648, either alphabet, with or without padding; line breaks are skipped); nothing when
/// it is none.
[[nodiscard]] std::optional<std::string> decode_base64(std::string_view text);

}  // namespace backstop::inline v0::detail
