#include <array>
#include <cstddef>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "backstop/json.hpp"
#include "json/parse.hpp"

namespace backstop::inline v0 {
namespace {

using Json = nlohmann::ordered_json;

void set_text(Json& object, const char* key, const std::string& text) {
  if (!text.empty()) object[key] = text;
}

/// A schema as the object that it should be; what is none is kept as a string.
Json schema_json(const std::string& text) {
  if (detail::nesting_of(text) > detail::deepest_json) return text;
  Json json = Json::parse(text, nullptr, false);
  return json.is_discarded() ? Json(text) : json;
}

std::string address(const std::string& url, const std::string& media_type, const std::string& data) {
  return url.empty() ? "data:" + media_type + ";base64," + data : url;
}

Json image_part(const Image& image) {
  Json part{{"type", "image_url"}, {"image_url", {{"url", address(image.url, image.media_type, image.data)}}}};
  set_text(part["image_url"], "detail", image.detail);
  return part;
}

Json document_part(const Document& document) {
  Json file = Json::object();
  set_text(file, "filename", document.name);
  file[document.url.empty() ? "file_data" : "file_url"] = address(document.url, document.media_type, document.data);
  return {{"type", "file"}, {"file", std::move(file)}};
}

Json reasoning_entry(const Reasoning& reasoning) {
  Json entry = Json::object();
  set_text(entry, "text", reasoning.text);
  set_text(entry, "signature", reasoning.signature);
  set_text(entry, "redacted", reasoning.redacted);
  set_text(entry, "origin", reasoning.origin.name());
  return entry;
}

Json call_entry(const ToolCall& call) {
  return {{"id", call.id},
          {"type", "function"},
          {"function", {{"name", call.name}, {"arguments", call.arguments.empty() ? "{}" : call.arguments}}}};
}

/// The parts of one message, sorted to where the chat form has them.
struct Sorted {
  Json results = Json::array();  ///< whole messages
  Json content = Json::array();
  Json reasoning = Json::array();
  Json tool_calls = Json::array();

  void operator()(const Text& text) { add(content, {{"type", "text"}, {"text", text.text}}, text.cache); }
  void operator()(const Image& image) { add(content, image_part(image), image.cache); }
  void operator()(const Document& document) { add(content, document_part(document), document.cache); }
  void operator()(const Audio& audio) {
    constexpr std::string_view kind = "audio/";
    std::string_view format = audio.media_type;
    if (format.starts_with(kind)) format.remove_prefix(kind.size());
    Json recording{{"data", audio.data}, {"format", format == "mpeg" ? "mp3" : format}};
    add(content, {{"type", "input_audio"}, {"input_audio", std::move(recording)}}, audio.cache);
  }
  void operator()(const Reasoning& part) { reasoning.push_back(reasoning_entry(part)); }
  void operator()(const ToolCall& call) { add(tool_calls, call_entry(call), call.cache); }
  void operator()(const ToolResult& result) {
    Json message{{"role", "tool"}, {"tool_call_id", result.call_id}, {"content", result.text}};
    if (!result.files.empty()) {
      Sorted parts;
      if (!result.text.empty()) parts(Text{result.text});
      for (const ToolFile& file : result.files) std::visit(parts, file);
      message["content"] = std::move(parts.content);
    }
    if (result.is_error) message["is_error"] = true;
    add(results, std::move(message), result.cache);
  }

 private:
  static void add(Json& list, Json one, bool marked) {
    if (marked) one["cache"] = true;
    list.push_back(std::move(one));
  }
};

void append_message(Json& messages, const Message& message) {
  Sorted sorted;
  for (const Part& part : message.parts) std::visit(sorted, part);
  const bool others = !sorted.content.empty() || !sorted.reasoning.empty() || !sorted.tool_calls.empty();
  if (message.cache && !others && !sorted.results.empty()) sorted.results.back()["cache"] = true;
  for (Json& result : sorted.results) messages.push_back(std::move(result));
  if (!others) return;

  Json json{{"role", to_string(message.role)}};
  if (!sorted.reasoning.empty()) json["reasoning"] = std::move(sorted.reasoning);
  if (message.cache) json["cache"] = true;
  if (sorted.content.size() == 1 && sorted.content[0]["type"] == "text" && !sorted.content[0].contains("cache")) {
    json["content"] = std::move(sorted.content[0]["text"]);
  } else if (!sorted.content.empty()) {
    json["content"] = std::move(sorted.content);
  }
  if (!sorted.tool_calls.empty()) json["tool_calls"] = std::move(sorted.tool_calls);
  messages.push_back(std::move(json));
}

Json tool_json(const Tool& tool) {
  Json function{{"name", tool.name}};
  set_text(function, "description", tool.description);
  if (!tool.parameters.empty()) function["parameters"] = schema_json(tool.parameters);
  if (tool.strict) function["strict"] = *tool.strict;
  Json json{{"type", "function"}, {"function", std::move(function)}};
  if (tool.cache) json["cache"] = true;
  return json;
}

Json tool_choice_json(const ToolChoice& choice) {
  if (choice.mode == ToolChoice::Mode::named) return {{"type", "function"}, {"function", {{"name", choice.name}}}};
  constexpr std::array<const char*, 3> names{"auto", "none", "required"};
  return names[static_cast<std::size_t>(choice.mode)];
}

Json response_format_json(const ResponseFormat& format) {
  constexpr std::array<const char*, 3> names{"text", "json_object", "json_schema"};
  Json json{{"type", names[static_cast<std::size_t>(format.type)]}};
  if (format.by_instruction) json["by_instruction"] = true;
  if (format.type != ResponseFormat::Type::json_schema) return json;
  Json& schema = json["json_schema"] = Json::object();
  set_text(schema, "name", format.name);
  set_text(schema, "description", format.description);
  schema["schema"] = schema_json(format.schema);
  if (format.strict) schema["strict"] = *format.strict;
  return json;
}

Json pairs_json(const std::vector<std::pair<std::string, std::string>>& pairs) {
  Json json = Json::object();
  for (const auto& [name, value] : pairs) json[name] = value;
  return json;
}

Json metadata_json(const Metadata& metadata) {
  Json json = Json::object();
  set_text(json, "user_id", metadata.user_id);
  set_text(json, "session_id", metadata.session_id);
  set_text(json, "request_id", metadata.request_id);
  set_text(json, "trace_parent", metadata.trace_parent);
  if (!metadata.tags.empty()) json["tags"] = pairs_json(metadata.tags);
  return json;
}

}  // namespace

nlohmann::ordered_json to_json(const std::vector<Message>& messages) {
  Json json = Json::array();
  for (const Message& message : messages) append_message(json, message);
  return json;
}

nlohmann::ordered_json to_json(const ChatRequest& request) {
  Json json{{"messages", to_json(request.messages)}};
  for (const Tool& tool : request.tools) json["tools"].push_back(tool_json(tool));
  if (request.tool_choice) json["tool_choice"] = tool_choice_json(*request.tool_choice);
  if (request.parallel_tool_calls) json["parallel_tool_calls"] = *request.parallel_tool_calls;
  if (request.response_format) json["response_format"] = response_format_json(*request.response_format);
  if (request.max_output_tokens) json["max_output_tokens"] = *request.max_output_tokens;
  if (request.temperature) json["temperature"] = *request.temperature;
  if (request.top_p) json["top_p"] = *request.top_p;
  if (request.top_k) json["top_k"] = *request.top_k;
  if (request.frequency_penalty) json["frequency_penalty"] = *request.frequency_penalty;
  if (request.presence_penalty) json["presence_penalty"] = *request.presence_penalty;
  if (request.seed) json["seed"] = *request.seed;
  if (!request.stop.empty()) json["stop"] = request.stop;
  set_text(json, "reasoning_effort", request.reasoning_effort);
  set_text(json, "service_tier", request.service_tier);
  if (request.metadata != Metadata{}) json["metadata"] = metadata_json(request.metadata);
  if (!request.headers.empty()) json["headers"] = pairs_json(request.headers);
  if (request.keep_raw) json["keep_raw"] = true;
  for (const Extra& extra : request.extra) json["extra"][extra.to] = arguments_to_json(extra.fields);
  return json;
}

}  // namespace backstop::inline v0
