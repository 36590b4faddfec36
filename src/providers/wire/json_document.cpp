#include "json_document.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <new>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "foreign_text.hpp"
#include "mended_json.hpp"
#include "runtime/thread_cache.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr std::size_t most_kept_parsers = 8;
constexpr std::size_t largest_kept_parser = std::size_t{1} << 20;
constexpr int deepest = 500;
constexpr std::string_view between_values{" \t\r\n,\0\x1E", 7};  // the last: RFC 7464, JSON text sequences

using Parser = std::unique_ptr<simdjson::dom::parser>;
using KeptParsers = ThreadCache<Parser, most_kept_parsers>;

#ifdef __ELF__
// simdjson picks its code by static objects. Made before those of the application, they outlive them, and with them the
// calls that are made in the end of the process.
struct Pick {
  simdjson::error_code made = simdjson::dom::parser{}.allocate(64);
};
[[gnu::init_priority(101)]] const Pick simdjson_has_picked;
#endif

Parser borrow_parser() {
  if (auto kept = KeptParsers::take()) return *std::move(kept);
  return std::make_unique<simdjson::dom::parser>();
}

void keep(Parser parser) noexcept {
  if (parser && parser->capacity() <= largest_kept_parser) KeptParsers::keep(std::move(parser));
}

// simdjson says so where it has no memory; its parser is then not to be used again.
simdjson::error_code parse_with(Parser& parser, std::string_view text, bool copy, JsonElement& root) {
  const simdjson::error_code problem = parser->parse(text.data(), text.size(), copy).get(root);
  if (problem != simdjson::MEMALLOC) return problem;
  parser.reset();
  throw std::bad_alloc{};
}

int depth_of(std::string_view text) noexcept {
  int depth = 0;
  int most = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      most = std::max(most, ++depth);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return most;
}

}  // namespace

void JsonDocument::parse(std::string_view text, std::size_t readable_behind) {
  rest_ = {};
  valid_ = false;
  const bool copy = readable_behind < simdjson::SIMDJSON_PADDING;
  if (!parser_) parser_ = borrow_parser();
  valid_ = parse_with(parser_, text, copy, root_) == simdjson::SUCCESS;
  if (!valid_) parse_mended(text);
}

// The strict parser looks at everything up to the end, so that it is not asked again for each of many values.
bool JsonDocument::next() {
  const std::string_view text = following();
  if (text.empty()) return false;
  parse_mended(text);
  return true;
}

bool JsonDocument::is_last() const noexcept { return following().empty(); }

std::string_view JsonDocument::following() const noexcept {
  const std::string_view text = rest_.substr(std::min(rest_.find_first_not_of(between_values), rest_.size()));
  return text.starts_with('{') || text.starts_with('[') ? text : std::string_view{};
}

void JsonDocument::parse_mended(std::string_view text) {
  const MendedJson mended = mend_json(text);
  valid_ = parse_with(parser_, mended.text, true, root_) == simdjson::SUCCESS;
  rest_ = valid_ ? text.substr(mended.length) : std::string_view{};
}

void JsonDocument::let_go() noexcept {
  rest_ = {};
  valid_ = false;
  keep(std::move(parser_));
}

JsonDocument::~JsonDocument() { keep(std::move(parser_)); }

WrittenText::WrittenText(const std::optional<JsonElement>& value) noexcept : digits_{} {
  if (!value || value->is_null()) return;
  bool truth = false;
  std::int64_t whole = 0;
  std::uint64_t large = 0;
  double number = 0;
  char* const begin = digits_.data();
  char* const limit = begin + digits_.size();
  char* end = begin;
  if (value->is_string()) {
    view_ = as_text(*value);
    return;
  }
  if (value->get(truth) == simdjson::SUCCESS) {
    view_ = truth ? "true" : "false";
    return;
  }
  if (value->get(whole) == simdjson::SUCCESS) {
    end = std::to_chars(begin, limit, whole).ptr;
  } else if (value->get(large) == simdjson::SUCCESS) {
    end = std::to_chars(begin, limit, large).ptr;
  } else if (value->get(number) == simdjson::SUCCESS) {
    const double size = std::abs(number);
    const bool plain = number == 0 || (size >= 1e-4 && size < 1e16);
    end = std::to_chars(begin, limit, number, plain ? std::chars_format::fixed : std::chars_format::scientific).ptr;
    // A whole number that was written without a point would have been read as one.
    if (plain && std::find(begin, end, '.') == end) end = std::copy_n(".0", 2, end);
  } else {
    readable_ = false;
  }
  view_ = {begin, static_cast<std::size_t>(end - begin)};
}

std::string json_of(const JsonElement& element) {
  return restore_bare_words(simdjson::minify(element), BareWords::all);
}

std::string begun_input(const std::optional<JsonElement>& input) {
  if (JsonObject object; input && input->get(object) == simdjson::SUCCESS && object.size() == 0) return {};
  return text_or_json(input);
}

std::string text_or_json(const std::optional<JsonElement>& value) {
  if (!value || value->is_null()) return {};
  return value->is_string() ? std::string{as_text(*value)} : json_of(*value);
}

bool is_json_object(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || text[first] != '{' || depth_of(text) > deepest) return false;
  Parser parser = borrow_parser();
  JsonElement root;
  simdjson::error_code problem = parse_with(parser, text, true, root);
  if (problem == simdjson::STRING_ERROR || problem == simdjson::UTF8_ERROR) {
    // Half a surrogate pair or half a character, as comes from models that are cut between tokens.
    const std::string mended = mend_json_text(text);
    problem = parse_with(parser, mended, true, root);
  }
  const bool is_object = problem == simdjson::SUCCESS && root.is_object();
  keep(std::move(parser));
  if (problem == simdjson::SUCCESS) return is_object;
  return nlohmann::json::accept(text);  // simdjson refuses numbers that fit no type of C++
}

}  // namespace backstop::inline v0::detail
