#include <charconv>
#include <string>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "openai_chat.hpp"
#include "openai_messages.hpp"
#include "request_headers.hpp"

namespace backstop::inline v0::detail {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t longest_user = 64;  // OpenAI's `safety_identifier` and `user`

// "gpt-5.1-mini" is 5.1; 0 for what is no numbered GPT.
double gpt_version(std::string_view model) noexcept {
  if (!model.starts_with("gpt-")) return 0;
  model.remove_prefix(4);
  double version = 0;
  const auto [stop, problem] = std::from_chars(model.data(), model.data() + model.size(), version);
  return problem == std::errc{} ? version : 0;
}

// o1, o3, o4-mini, ..., and GPT from 5 on but for those made to chat.
bool is_reasoning_model(std::string_view model) noexcept {
  if (const std::size_t slash = model.rfind('/'); slash != std::string_view::npos) model.remove_prefix(slash + 1);
  const bool o_series = model.size() >= 2 && model[0] == 'o' && model[1] >= '0' && model[1] <= '9';
  return o_series || (gpt_version(model) >= 5 && model.find("-chat") == std::string_view::npos);
}

// They refuse these settings, unless they were told not to reason.
bool takes_sampling(std::string_view model, const ChatRequest& request) noexcept {
  return !is_reasoning_model(model) || (request.reasoning_effort == "none" && gpt_version(model) >= 5.1);
}

Error unreadable(std::string_view what) {
  return {ErrorKind::invalid_request, std::string{what} + " is no JSON object; a JSON Schema is expected"};
}

Result<Json> schema_of(std::string_view text, std::string_view what) {
  if (text.empty()) return Json{{"type", "object"}, {"properties", Json::object()}};
  Json schema = Json::parse(text, nullptr, false);
  if (!schema.is_object()) return unreadable(what);
  return schema;
}

Result<void> add_tools(Json& body, const ChatRequest& request) {
  if (request.tools.empty()) return {};
  Json tools = Json::array();
  for (const Tool& tool : request.tools) {
    Result<Json> parameters = schema_of(tool.parameters, "the tool `" + tool.name + "`: `parameters`");
    if (!parameters) return std::move(parameters).error();
    Json function{{"name", tool.name}};
    if (!tool.description.empty()) function["description"] = tool.description;
    function["parameters"] = *std::move(parameters);
    if (tool.strict) function["strict"] = *tool.strict;
    tools.push_back(Json{{"type", "function"}, {"function", std::move(function)}});
  }
  body["tools"] = std::move(tools);
  if (request.parallel_tool_calls) body["parallel_tool_calls"] = *request.parallel_tool_calls;
  if (!request.tool_choice) return {};
  switch (request.tool_choice->mode) {
    case ToolChoice::Mode::automatic: body["tool_choice"] = "auto"; break;
    case ToolChoice::Mode::none: body["tool_choice"] = "none"; break;
    case ToolChoice::Mode::required: body["tool_choice"] = "required"; break;
    case ToolChoice::Mode::named:
      body["tool_choice"] = Json{{"type", "function"}, {"function", Json{{"name", request.tool_choice->name}}}};
      break;
  }
  return {};
}

Result<void> add_response_format(Json& body, const ChatRequest& request, const OpenAiDialect& dialect,
                                 std::string_view target) {
  if (!request.response_format || request.response_format->type == ResponseFormat::Type::text) return {};
  const ResponseFormat& format = *request.response_format;
  if (format.type == ResponseFormat::Type::json_object) {
    body["response_format"] = Json{{"type", "json_object"}};
    return {};
  }
  if (!dialect.json_schema) {
    return Error{ErrorKind::unsupported_capability, std::string{target} + " does not hold its answers to a JSON Schema"};
  }
  if (format.schema.empty()) return unreadable("`response_format.schema`");
  Result<Json> schema = schema_of(format.schema, "`response_format.schema`");
  if (!schema) return std::move(schema).error();
  Json described{{"name", format.name.empty() ? "answer" : format.name}};
  if (!format.description.empty()) described["description"] = format.description;
  described["schema"] = *std::move(schema);
  if (format.strict) described["strict"] = *format.strict;
  body["response_format"] = Json{{"type", "json_schema"}, {"json_schema", std::move(described)}};
  return {};
}

void add_settings(Json& body, const ChatRequest& request, const OpenAiDialect& dialect, std::string_view model) {
  if (request.max_output_tokens) {
    body[dialect.max_completion_tokens ? "max_completion_tokens" : "max_tokens"] = *request.max_output_tokens;
  }
  if (!dialect.developer_role || takes_sampling(model, request)) {
    if (request.temperature) body["temperature"] = *request.temperature;
    if (request.top_p) body["top_p"] = *request.top_p;
  }
  if (!request.stop.empty()) body["stop"] = request.stop;
  if (!request.reasoning_effort.empty()) {
    if (dialect.effort_in_object) {
      body["reasoning"] = Json{{"effort", request.reasoning_effort}};
    } else {
      body["reasoning_effort"] = request.reasoning_effort;
    }
  }
}

void add_metadata(Json& body, const Metadata& metadata, const OpenAiDialect& dialect) {
  if (!metadata.user_id.empty() && dialect.user != OpenAiDialect::UserField::none) {
    const bool safety = dialect.user == OpenAiDialect::UserField::safety_identifier;
    body[safety ? "safety_identifier" : "user"] = metadata.user_id.substr(0, longest_user);
  }
  if (dialect.session_id && !metadata.session_id.empty()) body["session_id"] = metadata.session_id;
}

// The address may have a query of its own, such as Azure's `?api-version=...`.
std::string completions_url(const std::string& base_url) {
  constexpr std::string_view path = "/chat/completions";
  const std::size_t query = base_url.find('?');
  if (query == std::string::npos) return base_url + std::string{path};
  std::string url = base_url;
  return url.insert(query, path);
}

void add_key(HttpRequest& http, const std::string& key, OpenAiDialect::KeyHeader header) {
  if (key.empty()) return;
  if (header == OpenAiDialect::KeyHeader::api_key) {
    set_header(http, "api-key", key);
  } else {
    set_header(http, "authorization", "Bearer " + key);
  }
}

}  // namespace

Result<HttpRequest> OpenAiChat::encode(const ChatRequest& request, const Endpoint& endpoint, bool stream) const {
  const std::string_view model = endpoint.target.model();
  const bool developer = dialect_.developer_role && is_reasoning_model(model);
  Result<Json> messages = openai_messages(request.messages, endpoint.target, dialect_, developer ? "developer" : "system");
  if (!messages) return std::move(messages).error();

  Json body{{"model", model}};
  body["messages"] = *std::move(messages);
  if (auto added = add_tools(body, request); !added) return std::move(added).error();
  if (auto added = add_response_format(body, request, dialect_, endpoint.target.name()); !added) {
    return std::move(added).error();
  }
  add_settings(body, request, dialect_, model);
  add_metadata(body, request.metadata, dialect_);
  if (stream) {
    body["stream"] = true;
    if (dialect_.stream_options) body["stream_options"] = Json{{"include_usage", true}};
  }

  HttpRequest http;
  http.url = completions_url(endpoint.base_url);
  add_key(http, endpoint.api_key, dialect_.key);
  if (auto added = add_headers(http, request, endpoint, stream); !added) return std::move(added).error();
  http.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  return http;
}

}  // namespace backstop::inline v0::detail
