#include "json/parse.hpp"

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "backstop/json.hpp"
#include "text/bare_words.hpp"

namespace backstop::inline v0 {
namespace detail {
namespace {

struct Position {
  std::size_t line = 1;
  std::size_t column = 1;
};

/// Where the parser stopped, having read `count` bytes; columns count bytes.
Position position_after(std::string_view text, std::size_t count) noexcept {
  const std::string_view read = text.substr(0, std::min(count > 0 ? count - 1 : 0, text.size()));
  const std::size_t line_start = read.rfind('\n');
  Position position;
  position.line += static_cast<std::size_t>(std::count(read.begin(), read.end(), '\n'));
  position.column += line_start == std::string_view::npos ? read.size() : read.size() - line_start - 1;
  return position;
}

/// nlohmann's explanation without its prefix and without the token it quotes.
std::string explanation(std::string_view what) {
  if (const std::size_t start = what.find("syntax error"); start != std::string_view::npos) what.remove_prefix(start);
  std::string text{what};
  const std::size_t quote = text.find("; last read: '");
  if (quote == std::string::npos) return text;
  const std::size_t end = text.rfind("'; expected ");
  text.erase(quote, end == std::string::npos || end < quote ? std::string::npos : end + 1 - quote);
  return text;
}

template <class Json>
Result<Json> parse_text(std::string_view text) {
  if (nesting_of(text) > deepest_json) {
    return Error{ErrorKind::invalid_request,
                 fmt::format("the JSON is nested too deeply; at most {} levels are accepted", deepest_json)};
  }
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    const Position position = position_after(text, error.byte);
    return Error{ErrorKind::invalid_request, fmt::format("broken JSON at line {}, column {}: {}", position.line,
                                                         position.column, explanation(error.what()))};
  } catch (const nlohmann::json::exception&) {
    return Error{ErrorKind::invalid_request, "the JSON holds a number that is out of range"};
  }
}

}  // namespace

std::size_t nesting_of(std::string_view text) noexcept {
  std::size_t depth = 0;
  std::size_t deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char letter = text[i];
    if (in_string) {
      if (letter == '\\') ++i;
      if (letter == '"') in_string = false;
    } else if (letter == '"') {
      in_string = true;
    } else if (letter == '{' || letter == '[') {
      deepest = std::max(deepest, ++depth);
    } else if ((letter == '}' || letter == ']') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

Result<nlohmann::ordered_json> parse_json(std::string_view text) { return parse_text<nlohmann::ordered_json>(text); }

Result<nlohmann::json> parse_sorted_json(std::string_view text) { return parse_text<nlohmann::json>(text); }

}  // namespace detail

nlohmann::ordered_json arguments_to_json(std::string_view arguments) {
  const auto is_space = [](char letter) { return letter == ' ' || letter == '\t' || letter == '\n' || letter == '\r'; };
  if (std::all_of(arguments.begin(), arguments.end(), is_space)) return nlohmann::ordered_json::object();
  if (detail::nesting_of(arguments) <= detail::deepest_json) {
    auto json = nlohmann::ordered_json::parse(detail::mark_numbers(arguments), nullptr, false);
    if (json.is_object()) return json;
    if (json.is_null()) return nlohmann::ordered_json::object();
  }
  nlohmann::ordered_json wrapped;
  wrapped[detail::raw_arguments_key] = std::string{arguments};
  return wrapped;
}

std::string json_text(const nlohmann::ordered_json& json, int indent) {
  return detail::restore_bare_words(json.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace),
                                    detail::BareWords::numbers);
}

}  // namespace backstop::inline v0
