#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace backstop::inline v0::detail {

/// Words of JSON that no value of a parser holds, such as a number of thirty digits, are kept in strings that begin
/// with this mark until they are written out again: U+FDD0, a code point that Unicode keeps free for uses inside a
/// program.
inline constexpr std::string_view bare_word_mark = "\xEF\xB7\x90";

/// Whether the text has the form of a number. RFC 8259, section 6.
[[nodiscard]] bool is_json_number(std::string_view text) noexcept;

/// Whether a type of C++ holds the number so that it is written back as the same one.
[[nodiscard]] bool is_held_exactly(std::string_view number) noexcept;

/// JSON text with the numbers that are not held exactly as marked strings.
[[nodiscard]] std::string mark_numbers(std::string_view json);

enum class BareWords : std::uint8_t { all, numbers };

/// JSON text with marked strings put back to how they stood. `numbers`: only those that `mark_numbers` marks, so that
/// no text of anybody's becomes part of the JSON around it.
[[nodiscard]] std::string restore_bare_words(std::string json, BareWords which);

}  // namespace backstop::inline v0::detail
