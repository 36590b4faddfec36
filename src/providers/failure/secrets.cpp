#include "secrets.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "providers/wire/base64.hpp"
#include "providers/wire/foreign_text.hpp"
#include "text/ascii.hpp"
#include "secret_headers.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr std::string_view mask = "***";
constexpr std::size_t shortest_configured = 6;  // values of fields that need not be keys
constexpr std::size_t shortest_part = 8;        // pieces of a value, and its base64
constexpr std::size_t shortest_beginning = 6;   // of a value that the end of the text cuts off

int hex_value(char letter) noexcept {
  if (letter >= '0' && letter <= '9') return letter - '0';
  const char lower = to_lower(letter);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// The number that the text writes in that many hexadecimal digits; -1 when it does not.
int hex_at(std::string_view text, std::size_t at, std::size_t digits) noexcept {
  if (at + digits > text.size()) return -1;
  int value = 0;
  for (const char letter : text.substr(at, digits)) {
    const int digit = hex_value(letter);
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

// How many characters an entity of HTML for this letter has at the text's beginning; 0 when it is something else.
std::size_t entity_size(std::string_view text, char letter) noexcept {
  constexpr std::array<std::pair<char, std::string_view>, 5> names{
      {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&apos;"}}};
  for (const auto& [named, entity] : names) {
    if (named == letter && text.starts_with(entity)) return entity.size();
  }
  if (!text.starts_with("&#")) return 0;
  const bool hexadecimal = text.size() > 2 && to_lower(text[2]) == 'x';
  const int base = hexadecimal ? 16 : 10;
  int code = 0;
  for (std::size_t at = hexadecimal ? 3 : 2; at < text.size() && at < 10; ++at) {
    if (text[at] == ';') return code == static_cast<unsigned char>(letter) ? at + 1 : 0;
    const int digit = hex_value(text[at]);
    if (digit < 0 || digit >= base) return 0;
    code = code * base + digit;
  }
  return 0;
}

// How many characters of the text, which is not empty, write this letter in another way than as it is; 0: none do.
std::size_t written_size(std::string_view text, char letter) noexcept {
  const int code = static_cast<unsigned char>(letter);
  if (text[0] == '%') return hex_at(text, 1, 2) == code ? 3 : 0;
  if (text[0] == '+') return letter == ' ' ? 1 : 0;
  if (text[0] == '&') return entity_size(text, letter);
  if (text[0] != '\\' || text.size() < 2) return 0;
  if (text[1] == letter) return 2;
  return text[1] == 'u' && hex_at(text, 2, 4) == code ? 6 : 0;
}

// How much of the text's beginning is the value, each letter as it is or written in another way; 0 when it is something
// else. What ends in the midst of the value counts from a certain length on.
std::size_t match(std::string_view text, std::string_view value) {
  if (text.empty() || (text[0] != value[0] && written_size(text, value[0]) == 0)) return 0;
  // Where the letters so far may end: a percent sign, backslash or ampersand of the value itself may be read in two ways.
  std::vector<std::size_t> ends{0};
  std::vector<std::size_t> next;
  for (std::size_t letter = 0; letter < value.size(); ++letter) {
    next.clear();
    for (const std::size_t end : ends) {
      if (end == text.size()) {
        if (letter >= shortest_beginning) return end;
        continue;
      }
      const std::string_view rest = text.substr(end);
      const std::size_t written = written_size(rest, value[letter]);
      if (rest[0] == value[letter]) next.push_back(end + 1);
      if (written > 0) next.push_back(end + written);
    }
    std::sort(next.begin(), next.end());
    next.erase(std::unique(next.begin(), next.end()), next.end());
    if (next.empty()) return 0;
    ends.swap(next);
  }
  return ends.back();
}

std::string percent_decoded(std::string_view text) {
  std::string plain;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const int code = text[at] == '%' ? hex_at(text, at + 1, 2) : -1;
    plain += code < 0 ? text[at] : static_cast<char>(code);
    if (code >= 0) at += 2;
  }
  return plain;
}

// The letters that base64 has for these bytes wherever they stand: `before` bytes (0 to 2) of the same group come
// first, and letters that hold bits of a neighbour are left out.
std::string base64_core(std::string_view bytes, std::size_t before) {
  constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  std::uint32_t pending = 0;
  unsigned bits = static_cast<unsigned>(before) * 8 % 6;
  for (const char byte : bytes) {
    pending = (pending << 8U) | static_cast<unsigned char>(byte);
    bits += 8;
    while (bits >= 6) {
      bits -= 6;
      text += letters[(pending >> bits) & 63U];
    }
  }
  if (before != 0) text.erase(0, 1);
  return text;
}

}  // namespace

void Secrets::add(std::string_view value, std::size_t shortest) {
  value = trim(value);
  if (value.size() < shortest) return;
  values_.emplace_back(value);
  for (const std::size_t before : {0U, 1U, 2U}) {
    std::string encoded = base64_core(value, before);
    if (encoded.size() < shortest_part) continue;
    std::string for_urls = encoded;
    std::replace(for_urls.begin(), for_urls.end(), '+', '-');
    std::replace(for_urls.begin(), for_urls.end(), '/', '_');
    if (for_urls != encoded) values_.push_back(std::move(for_urls));
    values_.push_back(std::move(encoded));
  }
}

void Secrets::add_header(std::string_view name, std::string_view value) {
  if (!carries_secret(name)) return add(value, shortest_configured);
  add(value);
  std::size_t pieces = 0;
  while (!value.empty()) {
    const std::size_t end = std::min(value.find_first_of(" ,;"), value.size());
    std::string_view piece = value.substr(0, end);
    const bool scheme = pieces == 0 && end != value.size() && value[end] == ' ';
    value.remove_prefix(std::min(end + 1, value.size()));
    if (piece.empty()) continue;
    ++pieces;
    if (scheme) continue;
    const std::size_t equals = piece.find('=');
    if (equals < piece.find_last_not_of('=')) piece.remove_prefix(equals + 1);
    add(piece, pieces == 2 ? 4 : shortest_part);
    const std::optional<std::string> decoded = decode_base64(piece);
    if (!decoded) continue;
    if (const std::size_t colon = decoded->find(':'); colon != std::string::npos) {  // RFC 7617: user:password
      add(*decoded, shortest_part);
      add(std::string_view{*decoded}.substr(colon + 1));
    }
  }
}

void Secrets::add_query(std::string_view url) {
  constexpr std::array<std::string_view, 2> harmless{"api-version", "alt"};
  std::size_t mark = url.find('?');
  while (mark != std::string_view::npos) {
    url.remove_prefix(mark + 1);
    mark = url.find('&');
    const std::string_view pair = url.substr(0, mark);
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    if (std::find(harmless.begin(), harmless.end(), pair.substr(0, equals)) != harmless.end()) continue;
    add(pair.substr(equals + 1));
    add(percent_decoded(pair.substr(equals + 1)));
  }
}

// Stops when there is enough.
std::string Secrets::masked(std::string_view text, std::size_t enough) const {
  std::string result;
  while (!text.empty() && result.size() < enough) {
    std::size_t size = 0;
    for (const std::string& value : values_) size = std::max(size, match(text, value));
    result.append(size == 0 ? text.substr(0, 1) : mask);
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return result;
}

void Secrets::redact(std::string& text) const { text = masked(text, std::numeric_limits<std::size_t>::max()); }

std::string Secrets::quote(std::string_view text, std::size_t limit) const {
  constexpr std::size_t room_for_blanks = 64;  // which presentable trims, so that a cut is still seen
  return presentable(masked(trim(text), limit + room_for_blanks), limit);
}

}  // namespace backstop::inline v0::detail
