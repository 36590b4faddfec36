#include "text/percent.hpp"

#include "text/ascii.hpp"

namespace backstop::inline v0::detail {

std::string percent_encoded(std::string_view text, std::string_view kept) {
  constexpr std::string_view hex_digits = "0123456789ABCDEF";
  constexpr std::string_view marks = "-._~";
  std::string encoded;
  for (const char letter : text) {
    const char lower = to_lower(letter);
    const bool alphanumeric = (lower >= 'a' && lower <= 'z') || (letter >= '0' && letter <= '9');
    if (alphanumeric || marks.find(letter) != std::string_view::npos || kept.find(letter) != std::string_view::npos) {
      encoded += letter;
      continue;
    }
    const auto value = static_cast<unsigned char>(letter);
    encoded += '%';
    encoded += hex_digits[value >> 4U];
    encoded += hex_digits[value & 15U];
  }
  return encoded;
}

}  // namespace backstop::inline v0::detail
