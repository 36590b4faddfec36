#include "bare_words.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <system_error>

namespace backstop::inline v0::detail {
namespace {

constexpr std::string_view digits = "0123456789";
constexpr std::size_t exact_digits = 17;  // that a double tells apart from all others

template <class Number>
bool fits(std::string_view text) noexcept {
  Number number{};
  const auto [stop, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  return problem == std::errc{} && stop == text.data() + text.size();
}

std::size_t significant_digits(std::string_view number) noexcept {
  const std::string_view mantissa = number.substr(0, number.find_first_of("eE"));
  std::size_t count = 0;
  for (const char letter : mantissa) {
    if (letter >= '1' && letter <= '9') ++count;
    if (letter == '0' && count != 0) ++count;
  }
  return count;
}

/// Behind the closing quote of the string that begins at `at`.
std::size_t end_of_string(std::string_view json, std::size_t at) noexcept {
  for (++at; at < json.size(); ++at) {
    if (json[at] == '\\') {
      ++at;
    } else if (json[at] == '"') {
      return at + 1;
    }
  }
  return std::string_view::npos;
}

/// Whether the string that ends at `at` is a member's key.
bool is_key(std::string_view json, std::size_t at) noexcept {
  const std::size_t next = json.find_first_not_of(" \t\r\n", at);
  return next != std::string_view::npos && json[next] == ':';
}

/// Such as stand in JSON without quotes.
bool is_word(std::string_view text) noexcept {
  return !text.empty() && text.find_first_of(" \t\r\n\"\\,:{}[]") == std::string_view::npos;
}

}  // namespace

bool is_json_number(std::string_view text) noexcept {
  const auto take_digits = [&] {
    const std::size_t count = std::min(text.find_first_not_of(digits), text.size());
    text.remove_prefix(count);
    return count;
  };
  if (text.starts_with('-')) text.remove_prefix(1);
  const bool begins_with_zero = text.starts_with('0');
  const std::size_t whole = take_digits();
  if (whole == 0 || (begins_with_zero && whole > 1)) return false;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    if (take_digits() == 0) return false;
  }
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
    if (take_digits() == 0) return false;
  }
  return text.empty();
}

bool is_held_exactly(std::string_view number) noexcept {
  if (number.find_first_of(".eE") == std::string_view::npos) {
    return fits<std::int64_t>(number) || fits<std::uint64_t>(number);
  }
  return fits<double>(number) && significant_digits(number) <= exact_digits;
}

std::string mark_numbers(std::string_view json) {
  std::string marked;
  bool in_string = false;
  for (std::size_t at = 0; at < json.size();) {
    const char letter = json[at];
    const bool begins_number = !in_string && (letter == '-' || (letter >= '0' && letter <= '9'));
    std::size_t size = in_string && letter == '\\' ? std::min<std::size_t>(2, json.size() - at) : 1;
    if (letter == '"') in_string = !in_string;
    if (begins_number) size = std::min(json.find_first_not_of("0123456789+-.eE", at), json.size()) - at;
    const std::string_view piece = json.substr(at, size);
    if (begins_number && is_json_number(piece) && !is_held_exactly(piece)) {
      marked.append(1, '"').append(bare_word_mark).append(piece).append(1, '"');
    } else {
      marked.append(piece);
    }
    at += size;
  }
  return marked;
}

std::string restore_bare_words(std::string json, BareWords which) {
  if (json.find(bare_word_mark) == std::string::npos) return json;
  std::string restored;
  std::size_t copied = 0;
  for (std::size_t at = json.find('"'); at != std::string::npos; at = json.find('"', at)) {
    const std::size_t end = end_of_string(json, at);
    if (end == std::string::npos) break;
    std::string_view word = std::string_view{json}.substr(at + 1, end - at - 2);
    if (word.starts_with(bare_word_mark) && !is_key(json, end)) {
      word.remove_prefix(bare_word_mark.size());
      if (which == BareWords::all ? is_word(word) : is_json_number(word) && !is_held_exactly(word)) {
        restored.append(json, copied, at - copied).append(word);
        copied = end;
      }
    }
    at = end;
  }
  return restored.append(json, copied);
}

}  // namespace backstop::inline v0::detail
