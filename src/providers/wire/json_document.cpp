#include "json_document.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "foreign_text.hpp"
#include "runtime/thread_cache.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr std::size_t most_kept_parsers = 8;
constexpr std::size_t largest_kept_parser = std::size_t{1} << 20;
constexpr int deepest = 500;

using Parser = std::unique_ptr<simdjson::dom::parser>;
using KeptParsers = ThreadCache<Parser, most_kept_parsers>;

Parser borrow_parser() {
  if (auto kept = KeptParsers::take()) return *std::move(kept);
  return std::make_unique<simdjson::dom::parser>();
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

JsonDocument::JsonDocument() : parser_{borrow_parser()} {}

void JsonDocument::parse(std::string_view text, std::size_t readable_behind) {
  const bool copy = readable_behind < simdjson::SIMDJSON_PADDING;
  simdjson::error_code problem = parser_->parse(text.data(), text.size(), copy).get(root_);
  if (problem == simdjson::STRING_ERROR || problem == simdjson::UTF8_ERROR) {
    // Half a surrogate pair or half a character, as comes from servers that cut a text between tokens.
    const std::string mended = mend_json_text(text);
    problem = parser_->parse(mended.data(), mended.size()).get(root_);
  }
  valid_ = problem == simdjson::SUCCESS;
}

JsonDocument::~JsonDocument() {
  if (parser_->capacity() <= largest_kept_parser) KeptParsers::keep(std::move(parser_));
}

bool is_json_object(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || text[first] != '{' || depth_of(text) > deepest) return false;
  if (JsonDocument document{text}; document.valid()) return document.root().is_object();
  return nlohmann::json::accept(text);  // simdjson refuses numbers that fit no type of C++
}

}  // namespace backstop::inline v0::detail
