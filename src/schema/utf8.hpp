#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace backstop::inline v0::detail {

/// How many characters the text has: JSON Schema counts code points.
[[nodiscard]] inline std::size_t count_code_points(std::string_view text) noexcept {
  std::size_t count = 0;
  for (const char byte : text) count += (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U ? 1 : 0;
  return count;
}

/// The text's code points; bytes that are no UTF-8 are U+FFFD each.
[[nodiscard]] inline std::u32string code_points(std::string_view text) {
  constexpr char32_t replacement = 0xFFFD;
  std::u32string letters;
  letters.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i]);
    std::size_t more = 0;
    char32_t letter = first;
    if (first >= 0xF0 && first < 0xF8) {
      more = 3;
      letter = first & 0x07U;
    } else if (first >= 0xE0) {
      more = 2;
      letter = first & 0x0FU;
    } else if (first >= 0xC0) {
      more = 1;
      letter = first & 0x1FU;
    }
    bool valid = (first < 0x80 || first >= 0xC0) && first < 0xF8 && i + more < text.size();
    for (std::size_t next = 1; valid && next <= more; ++next) {
      const auto byte = static_cast<unsigned char>(text[i + next]);
      valid = (byte & 0xC0U) == 0x80U;
      letter = (letter << 6U) | (byte & 0x3FU);
    }
    letters.push_back(valid ? letter : replacement);
    i += valid ? more + 1 : 1;
  }
  return letters;
}

}  // namespace backstop::inline v0::detail
