#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace backstop::inline v0::detail {

/// The first value of a text that a strict parser refuses, written so that it takes it.
struct MendedJson {
  std::string text;
  std::size_t length = 0;  ///< how much of the original it is, blanks in front included
};

/// Mends what servers have been seen to send, and nothing that would change a value:
/// - a byte order mark in front; whatever follows the value,
/// - numbers that fit no type of C++, and words such as `NaN`: they become marked strings (`text/bare_words.hpp`),
/// - bytes that are not UTF-8 and escapes of half a surrogate pair: U+FFFD,
/// - control characters in strings, and backslashes that escape nothing.
/// A text with other faults, such as a missing bracket, comes out as one that has them still; one that begins with
/// neither an object, a list nor a string comes out empty.
///
/// Cost: linear in the length of the value, whatever follows.
[[nodiscard]] MendedJson mend_json(std::string_view text);

}  // namespace backstop::inline v0::detail
