#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <simdjson.h>

#include "text/bare_words.hpp"

namespace backstop::inline v0::detail {

using JsonElement = simdjson::dom::element;
using JsonObject = simdjson::dom::object;
using JsonArray = simdjson::dom::array;

/// A JSON text, parsed, with the parser that holds it. Parsers are kept per thread and used again, so that parsing
/// does not allocate once warm. Elements and strings taken from it live as long as the document. What a strict parser
/// refuses is mended (`mended_json.hpp`).
class JsonDocument {
 public:
  /// Not valid, and without a parser, until something is parsed.
  JsonDocument() = default;
  explicit JsonDocument(std::string_view text) { parse(text); }
  ~JsonDocument();
  JsonDocument(const JsonDocument&) = delete;
  JsonDocument& operator=(const JsonDocument&) = delete;

  /// Takes the place of what was parsed before. `readable_behind`: how many bytes after the text may be read; where
  /// there are enough, the text is not copied. The text must live as long as the document.
  void parse(std::string_view text, std::size_t readable_behind = 0);
  /// Goes on to the next object or list where several follow one another in the text; false when there is none, or
  /// what follows is neither.
  [[nodiscard]] bool next();

  /// Gives the parser to whoever parses next: nothing that was taken from the document is used any more.
  void let_go() noexcept;

  /// Nothing follows that `next` would go on to.
  [[nodiscard]] bool is_last() const noexcept;

  /// False when the text is no JSON.
  [[nodiscard]] bool valid() const noexcept { return valid_; }
  [[nodiscard]] const JsonElement& root() const noexcept { return root_; }

 private:
  void parse_mended(std::string_view text);
  [[nodiscard]] std::string_view following() const noexcept;

  std::unique_ptr<simdjson::dom::parser> parser_;
  JsonElement root_;
  std::string_view rest_;  // of the text, behind the value
  bool valid_ = false;
};

/// Whether the key is that literal: as `==`, but with a length that the compiler knows, which spares the loops over the
/// fields of every event a call per comparison.
template <std::size_t N>
[[nodiscard]] inline bool is_key(std::string_view key, const char (&literal)[N]) noexcept {
  return key.size() == N - 1 && std::memcmp(key.data(), literal, N - 1) == 0;
}

// Readers that answer "not there" for a missing key and for a value of another type alike, which is how foreign JSON
// is read throughout.

[[nodiscard]] inline std::optional<JsonElement> member(const JsonElement& element, std::string_view key) noexcept {
  JsonElement value;
  if (!element.is_object() || element.at_key(key).get(value) != simdjson::SUCCESS || value.is_null()) {
    return std::nullopt;
  }
  return value;
}

/// The string, or an empty one.
[[nodiscard]] inline std::string_view as_text(const JsonElement& element) noexcept {
  std::string_view text;
  if (element.get(text) != simdjson::SUCCESS) return {};
  return text.starts_with(bare_word_mark) ? text.substr(bare_word_mark.size()) : text;
}

/// A word in the text that is no JSON, such as NaN, or a number of too many digits.
[[nodiscard]] inline bool is_bare_word(const JsonElement& element) noexcept {
  std::string_view text;
  return element.get(text) == simdjson::SUCCESS && text.starts_with(bare_word_mark);
}

/// What stands where text is expected: a string, or a number or a truth value as it is written. Some servers send a
/// word of one digit as a number.
class WrittenText {
 public:
  explicit WrittenText(const JsonElement& value) noexcept : WrittenText{std::optional{value}} {}
  explicit WrittenText(const std::optional<JsonElement>& value) noexcept;
  WrittenText(const WrittenText&) = delete;
  WrittenText& operator=(const WrittenText&) = delete;

  [[nodiscard]] std::string_view view() const noexcept { return view_; }
  /// False for an object or a list: something is said there that cannot be read.
  [[nodiscard]] bool readable() const noexcept { return readable_; }

 private:
  std::string_view view_;
  bool readable_ = true;
  std::array<char, 32> digits_;
};

/// The value as JSON on one line, bare words as they stood.
[[nodiscard]] std::string json_of(const JsonElement& element);

/// What stands where JSON is expected as text, such as a call's arguments: a string as it is, anything else as JSON,
/// which some servers write there. Empty for what is not there.
[[nodiscard]] std::string text_or_json(const std::optional<JsonElement>& value);
/// The same of a tool call's input where the call begins: an empty object is none yet, as streams write it.
[[nodiscard]] std::string begun_input(const std::optional<JsonElement>& input);

[[nodiscard]] inline std::string_view text_of(const JsonElement& element, std::string_view key) noexcept {
  const std::optional<JsonElement> value = member(element, key);
  return value ? as_text(*value) : std::string_view{};
}

/// A number as a count; floats are cut off. Negative ones and those that no counting of ours reaches are not there, so
/// that sums cannot overflow.
[[nodiscard]] inline std::optional<std::int64_t> as_count(const JsonElement& element) noexcept {
  constexpr std::int64_t most = 1'000'000'000'000'000;
  std::int64_t whole = -1;
  double number = 0;
  if (element.get(whole) != simdjson::SUCCESS && element.get(number) == simdjson::SUCCESS && number >= 0 &&
      number <= static_cast<double>(most)) {
    whole = static_cast<std::int64_t>(number);
  }
  return whole >= 0 && whole <= most ? std::optional{whole} : std::nullopt;
}

[[nodiscard]] inline std::optional<std::int64_t> count_of(const JsonElement& element, std::string_view key) noexcept {
  const std::optional<JsonElement> value = member(element, key);
  return value ? as_count(*value) : std::nullopt;
}

/// Whether the text is one JSON object by the standard, numbers of any size allowed, nested at most 500 levels deep.
[[nodiscard]] bool is_json_object(std::string_view text);

}  // namespace backstop::inline v0::detail
