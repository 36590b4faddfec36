#include "foreign_text.hpp"

#include <charconv>
#include <cstdint>
#include <optional>

#include "text/ascii.hpp"

namespace backstop::inline v0::detail {
namespace {

// The code unit of an escape such as \ud83d at the start of the text.
std::optional<std::uint32_t> escaped_unit(std::string_view text) noexcept {
  if (text.size() < 6 || text[0] != '\\' || text[1] != 'u') return std::nullopt;
  std::uint32_t unit = 0;
  const char* end = text.data() + 6;
  const auto [stop, problem] = std::from_chars(text.data() + 2, end, unit, 16);
  if (problem != std::errc{} || stop != end) return std::nullopt;
  return unit;
}

bool is_high(std::uint32_t unit) noexcept { return unit >= 0xD800 && unit <= 0xDBFF; }
bool is_low(std::uint32_t unit) noexcept { return unit >= 0xDC00 && unit <= 0xDFFF; }

}  // namespace

std::size_t utf8_sequence_length(std::string_view text) noexcept {
  const auto byte = [text](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  const std::uint8_t second = byte(1);
  if (lead == 0xE0 && second < 0xA0) return 0;
  if (lead == 0xED && second > 0x9F) return 0;
  if (lead == 0xF0 && second < 0x90) return 0;
  if (lead == 0xF4 && second > 0x8F) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  return length;
}

std::string presentable(std::string_view text, std::size_t limit) {
  text = trim(text);
  std::string result;
  while (!text.empty()) {
    const std::size_t length = utf8_sequence_length(text);
    const bool control = length == 1 && (static_cast<std::uint8_t>(text[0]) < 0x20 || text[0] == 0x7F) &&
                         text[0] != '\n' && text[0] != '\t';
    const std::string_view piece = length == 0 ? replacement_character : control ? std::string_view{" "} : text.substr(0, length);
    if (result.size() + piece.size() > limit) return result.append("...");
    result.append(piece);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return result;
}

std::string mend_json_text(std::string_view text) {
  std::string result;
  result.reserve(text.size() + 16);
  while (!text.empty()) {
    std::size_t length = utf8_sequence_length(text);
    std::string_view piece = text.substr(0, length);
    if (length == 0) {
      piece = replacement_character;
      length = 1;
    } else if (text[0] == '\\' && text.size() > 1) {
      const std::optional<std::uint32_t> unit = escaped_unit(text);
      length = unit ? 6 : utf8_sequence_length(text.substr(1)) == 1 ? 2 : 1;
      piece = text.substr(0, length);
      if (unit && is_high(*unit)) {
        const std::optional<std::uint32_t> next = escaped_unit(text.substr(6));
        if (next && is_low(*next)) {
          length = 12;
          piece = text.substr(0, length);
        } else {
          piece = replacement_character;
        }
      } else if (unit && is_low(*unit)) {
        piece = replacement_character;
      }
    }
    result.append(piece);
    text.remove_prefix(length);
  }
  return result;
}

}  // namespace backstop::inline v0::detail
