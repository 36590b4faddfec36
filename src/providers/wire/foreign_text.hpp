#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace backstop::inline v0::detail {

inline constexpr std::string_view replacement_character = "\xEF\xBF\xBD";  // U+FFFD

/// The length of the UTF-8 sequence that the text, which is not empty, begins with; 0 when it begins with none.
/// RFC 3629, section 4.
[[nodiscard]] std::size_t utf8_sequence_length(std::string_view text) noexcept;

/// A provider's words, fit for an error message: valid UTF-8 (U+FFFD for what is not), without control characters
/// other than line breaks and tabs, trimmed, and at most `limit` bytes long ("..." marks a cut).
[[nodiscard]] std::string presentable(std::string_view text, std::size_t limit);

/// JSON with what keeps strict parsers from reading it replaced by U+FFFD: bytes that are not UTF-8, and escapes of
/// half a surrogate pair.
[[nodiscard]] std::string mend_json_text(std::string_view text);

}  // namespace backstop::inline v0::detail
