#include "json/added_fields.hpp"

#include <utility>

#include <fmt/format.h>

#include "json/parse.hpp"
#include "text/bare_words.hpp"

namespace backstop::inline v0::detail {

Result<nlohmann::ordered_json> read_fields_text(std::string_view text, std::string_view place) {
  if (text.size() > longest_fields) {
    return Error{ErrorKind::invalid_request,
                 fmt::format("{}: {} bytes; at most {} are accepted", place, text.size(), longest_fields_text)};
  }
  Result<nlohmann::ordered_json> fields = parse_json(text);
  if (!fields) return Error{ErrorKind::invalid_request, fmt::format("{}: {}", place, fields.error().message)};
  if (!fields->is_object()) {
    return Error{ErrorKind::invalid_request, fmt::format("{}: it must be a JSON object", place)};
  }
  return nlohmann::ordered_json::parse(mark_numbers(text));
}

std::string add_fields(nlohmann::ordered_json& body, const nlohmann::ordered_json& fields) {
  for (const auto& [key, value] : fields.items()) {
    const auto there = body.find(key);
    if (there == body.end()) {
      body[key] = value;
    } else if (there->is_object() && value.is_object()) {
      if (const std::string inside = add_fields(*there, value); !inside.empty()) return key + "." + inside;
    } else {
      return key;
    }
  }
  return {};
}

}  // namespace backstop::inline v0::detail
