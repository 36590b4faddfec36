#include "request_parts.hpp"

#include <variant>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "backstop/json.hpp"
#include "json_document.hpp"
#include "text/efforts.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr std::size_t around_part = 64;
constexpr std::size_t around_request = 192;

struct PartSize {
  std::size_t operator()(const Text& part) const noexcept { return part.text.size(); }
  std::size_t operator()(const Image& part) const noexcept { return part.url.size() + part.data.size(); }
  std::size_t operator()(const Document& part) const noexcept { return part.url.size() + part.data.size(); }
  std::size_t operator()(const Audio& part) const noexcept { return part.data.size(); }
  std::size_t operator()(const Reasoning& part) const noexcept { return part.text.size() + part.redacted.size(); }
  std::size_t operator()(const ToolCall& part) const noexcept { return part.name.size() + part.arguments.size(); }
  std::size_t operator()(const ToolResult& part) const noexcept {
    std::size_t size = part.text.size();
    for (const ToolFile& file : part.files) size += std::visit(*this, file);
    return size;
  }
};

}  // namespace

std::size_t expected_size(const ChatRequest& request) {
  std::size_t size = around_request;
  for (const Message& message : request.messages) {
    for (const Part& part : message.parts) size += around_part + std::visit(PartSize{}, part);
  }
  for (const Tool& tool : request.tools) {
    size += around_part + tool.name.size() + tool.description.size() + tool.parameters.size();
  }
  return size;
}

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
