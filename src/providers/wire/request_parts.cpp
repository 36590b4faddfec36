#include "request_parts.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "backstop/json.hpp"
#include "json_document.hpp"
#include "text/efforts.hpp"

namespace backstop::inline v0::detail {

Result<nlohmann::ordered_json> read_schema(std::string_view text, std::string_view place) {
  nlohmann::ordered_json schema = nlohmann::ordered_json::parse(text, nullptr, false);
  if (schema.is_object()) return schema;
  return Error{ErrorKind::invalid_request, fmt::format("{}: not a JSON object, which a JSON Schema has to be", place)};
}

void write_arguments(JsonWriter& json, std::string_view arguments) {
  if (is_json_object(arguments)) {
    json.field("arguments", arguments);
  } else {
    json.field("arguments", json_text(arguments_to_json(arguments)));
  }
}

std::string format_in_words(const nlohmann::ordered_json* schema) {
  if (schema == nullptr) return "Answer with one JSON object and nothing else: no words around it, no code fence.";
  return "Answer with JSON that follows this JSON Schema and nothing else: no words around it, no code fence.\n" +
         json_text(*schema);
}

Error unknown_effort(std::string_view wanted) {
  return Error{ErrorKind::invalid_request,
               fmt::format("reasoning_effort: \"{}\" is none of {}", wanted, efforts_text)};
}

}  // namespace backstop::inline v0::detail
