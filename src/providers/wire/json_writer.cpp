#include "json_writer.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>

#include "foreign_text.hpp"

namespace backstop::inline v0::detail {
namespace {

// A table, since every byte of a conversation is asked about.
constexpr std::array<bool, 256> plain_bytes = [] {
  std::array<bool, 256> plain{};
  for (std::size_t byte = 0x20; byte < 0x80; ++byte) plain[byte] = byte != '"' && byte != '\\';
  return plain;
}();

bool is_plain(char c) noexcept { return plain_bytes[static_cast<unsigned char>(c)]; }

void append_escaped(std::string& text, char c) {
  constexpr std::string_view digits = "0123456789abcdef";
  switch (c) {
    case '"': text += "\\\""; return;
    case '\\': text += "\\\\"; return;
    case '\n': text += "\\n"; return;
    case '\r': text += "\\r"; return;
    case '\t': text += "\\t"; return;
    default: break;
  }
  const auto byte = static_cast<unsigned char>(c);
  text.append("\\u00").append(1, digits[byte >> 4]).append(1, digits[byte & 15]);
}

template <class Number>
std::string_view to_text(std::array<char, 32>& buffer, Number value) noexcept {
  const auto [end, problem] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return {buffer.data(), static_cast<std::size_t>(end - buffer.data())};
}

}  // namespace

void JsonWriter::add_to_string(std::string_view piece) {
  while (!piece.empty()) {
    std::size_t run = 0;
    while (run < piece.size() && is_plain(piece[run])) ++run;
    text_.append(piece.substr(0, run));
    piece.remove_prefix(run);
    if (piece.empty()) return;
    std::size_t used = 1;
    if (static_cast<unsigned char>(piece[0]) < 0x80) {
      append_escaped(text_, piece[0]);
    } else if (const std::size_t length = utf8_sequence_length(piece); length != 0) {
      text_.append(piece.substr(0, length));
      used = length;
    } else {
      text_ += replacement_character;
    }
    piece.remove_prefix(used);
  }
}

void JsonWriter::number(std::int64_t value) {
  std::array<char, 32> buffer;
  plain(to_text(buffer, value));
}

void JsonWriter::number(double value) {
  std::array<char, 32> buffer;
  plain(std::isfinite(value) ? to_text(buffer, value) : std::string_view{"null"});
}

}  // namespace backstop::inline v0::detail
