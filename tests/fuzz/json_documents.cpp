#include <algorithm>

#include <nlohmann/json.hpp>

#include "fuzz/targets.hpp"
#include "json/parse.hpp"
#include "providers/failure/read_failure.hpp"
#include "providers/wire/json_document.hpp"
#include "providers/wire/mended_json.hpp"
#include "text/bare_words.hpp"

namespace backstop::fuzz {
namespace {

using Json = nlohmann::ordered_json;

/// Whether a parser's value is what is written again: numbers of more digits than a double has are kept as they stand,
/// and so is a word behind the mark that is for uses inside a program.
bool is_plain(const Json& json) {
  if (json.is_number_float()) return false;
  if (json.is_string()) return !json.get_ref<const std::string&>().starts_with(detail::bare_word_mark);
  if (!json.is_structured()) return true;
  return std::all_of(json.begin(), json.end(), [](const Json& value) { return is_plain(value); });
}

}  // namespace

/// JSON of servers, mended where it is not strict: what a strict parser takes is read as it stands, and all that is
/// read is JSON when it is written again.
void json_documents(std::string_view bytes) {
  if (bytes.size() > 20'000) return;
  detail::JsonDocument document{bytes};
  const bool shallow = detail::nesting_of(bytes) <= 100;
  const bool strict = shallow && Json::accept(bytes);
  if (!document.valid()) {
    const std::size_t first = bytes.find_first_not_of(" \t\r\n");
    require(!strict || (bytes[first] != '{' && bytes[first] != '['), "JSON is refused");
    return;
  }
  int documents = 0;
  do {
    static_cast<void>(detail::holds_failure(document.root()));
    static_cast<void>(detail::read_failure(document.root()));
    const std::string text = detail::json_of(document.root());
    if (documents == 0 && strict) {
      const Json as_it_is = Json::parse(bytes);
      if (is_plain(as_it_is)) require(Json::parse(text, nullptr, false) == as_it_is, "JSON is read as something else");
    }
  } while (++documents < 1000 && document.next() && document.valid());
  require(documents < 1000 || bytes.size() >= 1000, "there are more documents than bytes");
  const detail::MendedJson mended = detail::mend_json(bytes);
  require(mended.length <= bytes.size(), "more is mended than there is");
}

}  // namespace backstop::fuzz
