#include <string>
#include <string_view>
#include <utility>

#include "format.hpp"
#include "gateway.hpp"
#include "messages.hpp"
#include "models.hpp"
#include "providers/http/platform.hpp"
#include "providers/wire/json_writer.hpp"
#include "providers/wire/request_parts.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr std::size_t longest_user = 64;  // OpenAI's `safety_identifier` and `user`

// OpenAI's reasoning models refuse `stop`, and so do xAI's.
bool refuses_stop(std::string_view model, const OpenAiDialect& dialect) noexcept {
  switch (dialect.stop_refused) {
    case OpenAiDialect::StopRefused::never: return false;
    case OpenAiDialect::StopRefused::by_reasoning_gpt: return is_reasoning_model(model);
    case OpenAiDialect::StopRefused::by_reasoning_grok: break;
  }
  const bool reasons =
      model.starts_with("grok-4") || model.starts_with("grok-3-mini") || model.starts_with("grok-code");
  return reasons && model.find("non-reasoning") == std::string_view::npos;
}

// As the dialect knows it; where it is not known whether it has one, as it is.
std::optional<std::string_view> tier_word(const ChatRequest& request, const OpenAiDialect& dialect) noexcept {
  if (dialect.any_service_tier) return request.service_tier;
  return service_tier_word(dialect.service_tiers, request.service_tier);
}

Error unreadable(std::string_view what) {
  return {ErrorKind::invalid_request, std::string{what} + " is no JSON object; a JSON Schema is expected"};
}

Result<void> write_tools(JsonWriter& json, const std::vector<Tool>& tools) {
  json.key("tools");
  json.begin_array();
  for (const Tool& tool : tools) {
    if (!tool.parameters.empty() && !is_json_object(tool.parameters)) {
      return unreadable("the tool `" + tool.name + "`: `parameters`");
    }
    json.begin_object();
    json.field("type", "function");
    json.key("function");
    json.begin_object();
    json.field("name", tool.name);
    if (!tool.description.empty()) json.field("description", tool.description);
    json.key("parameters");
    json.raw(tool.parameters.empty() ? std::string_view{R"({"type":"object","properties":{}})"} : tool.parameters);
    if (tool.strict) json.field("strict", *tool.strict);
    json.end_object();
    json.end_object();
  }
  json.end_array();
  return {};
}

void write_tool_choice(JsonWriter& json, const ToolChoice& choice) {
  json.key("tool_choice");
  switch (choice.mode) {
    case ToolChoice::Mode::automatic: return json.string("auto");
    case ToolChoice::Mode::none: return json.string("none");
    case ToolChoice::Mode::required: return json.string("required");
    case ToolChoice::Mode::named: break;
  }
  json.begin_object();
  json.field("type", "function");
  json.key("function");
  json.begin_object();
  json.field("name", choice.name);
  json.end_object();
  json.end_object();
}

Result<void> write_response_format(JsonWriter& json, const ResponseFormat& format, const OpenAiDialect& dialect,
                                   std::string_view target) {
  if (format.type == ResponseFormat::Type::text) return {};
  const bool schema = format.type == ResponseFormat::Type::json_schema;
  if (schema && !dialect.json_schema) {
    return Error{ErrorKind::unsupported_capability, std::string{target} + " does not hold its answers to a JSON Schema"};
  }
  if (schema && !is_json_object(format.schema)) return unreadable("`response_format.schema`");
  json.key("response_format");
  json.begin_object();
  json.field("type", schema ? "json_schema" : "json_object");
  if (schema) {
    json.key("json_schema");
    json.begin_object();
    json.field("name", format.name.empty() ? std::string_view{"answer"} : std::string_view{format.name});
    if (!format.description.empty()) json.field("description", format.description);
    json.key("schema");
    json.raw(format.schema);
    if (format.strict) json.field("strict", *format.strict);
    json.end_object();
  }
  json.end_object();
  return {};
}

void write_effort(JsonWriter& json, std::string_view effort, const OpenAiDialect& dialect) {
  if (!dialect.effort_in_object) return json.field("reasoning_effort", effort);
  json.key("reasoning");
  json.begin_object();
  json.field("effort", effort);
  json.end_object();
}

void write_settings(JsonWriter& json, const ChatRequest& request, const OpenAiDialect& dialect,
                    const Endpoint& endpoint) {
  if (request.max_output_tokens) {
    const bool newer = dialect.max_completion_tokens != endpoint.has(Repair::output_limit_name);
    json.field(newer ? "max_completion_tokens" : "max_tokens", *request.max_output_tokens);
  }
  if (request.temperature) json.field("temperature", *request.temperature);
  if (request.top_p) json.field("top_p", *request.top_p);
  if (request.top_k) json.field("top_k", *request.top_k);
  if (request.frequency_penalty) json.field("frequency_penalty", *request.frequency_penalty);
  if (request.presence_penalty) json.field("presence_penalty", *request.presence_penalty);
  if (request.seed) json.field(dialect.seed, *request.seed);
  if (!request.stop.empty()) {
    json.key("stop");
    json.begin_array();
    for (const std::string& sequence : request.stop) json.string(sequence);
    json.end_array();
  }
  if (!request.reasoning_effort.empty()) write_effort(json, request.reasoning_effort, dialect);
  if (const std::string_view tier = tier_word(request, dialect).value_or(""); !tier.empty()) {
    json.field("service_tier", tier);
  }
}

void write_metadata(JsonWriter& json, const Metadata& metadata, const OpenAiDialect& dialect) {
  if (!metadata.user_id.empty() && dialect.user != OpenAiDialect::UserField::none) {
    const bool safety = dialect.user == OpenAiDialect::UserField::safety_identifier;
    json.field(safety ? "safety_identifier" : "user", std::string_view{metadata.user_id}.substr(0, longest_user));
  }
  if (dialect.session_id && !metadata.session_id.empty()) json.field("session_id", metadata.session_id);
}

void write_stream(JsonWriter& json, bool stream, const OpenAiDialect& dialect, const Endpoint& endpoint) {
  json.field("stream", stream);  // some gateways stream unless told not to
  if (!stream || !dialect.stream_options || endpoint.has(Repair::stream_options)) return;
  json.key("stream_options");
  json.begin_object();
  json.field("include_usage", true);
  json.end_object();
}

}  // namespace

RequestLimits OpenAiChat::limits(const ChatRequest& request, const Target& target) const noexcept {
  RequestLimits limits = WireFormat::limits(request, target);
  limits.sampling = !dialect_.developer_role || takes_sampling(target.model(), request);
  limits.most_temperature = dialect_.most_temperature;
  limits.top_k = dialect_.top_k;
  // The models that refuse `stop` refuse the penalties, too.
  const bool refuses = refuses_stop(target.model(), dialect_);
  limits.penalties = !refuses;
  limits.stop_sequences = refuses ? 0 : dialect_.stop_sequences;
  limits.service_tier = tier_word(request, dialect_).has_value();
  return limits;
}

RepairSet OpenAiChat::own_repairs(const ChatRequest& request, const Target& target, bool stream) const noexcept {
  RepairSet own = 0;
  if (stream && dialect_.stream_options) own |= static_cast<RepairSet>(Repair::stream_options);
  if (request.max_output_tokens) own |= static_cast<RepairSet>(Repair::output_limit_name);
  if (has_images(request)) own |= static_cast<RepairSet>(Repair::image_as_text);
  if (dialect_.developer_role && is_reasoning_model(target.model())) {
    own |= static_cast<RepairSet>(Repair::developer_role);
  }
  return own;
}

Result<HttpRequest> OpenAiChat::encode(const ChatRequest& request, const Endpoint& endpoint, bool stream) const {
  const std::string_view model = endpoint.target.model();
  const bool developer =
      dialect_.developer_role && is_reasoning_model(model) && !endpoint.has(Repair::developer_role);
  JsonWriter json;
  json.reserve(expected_size(request));
  json.begin_object();
  json.field("model", model);
  json.key("messages");
  if (auto written = write_openai_messages(json, request.messages, endpoint.target, dialect_,
                                           developer ? "developer" : "system", endpoint.has(Repair::image_as_text));
      !written) {
    return std::move(written).error();
  }
  if (!request.tools.empty()) {
    if (auto written = write_tools(json, request.tools); !written) return std::move(written).error();
    if (request.parallel_tool_calls) json.field("parallel_tool_calls", *request.parallel_tool_calls);
    if (request.tool_choice) write_tool_choice(json, *request.tool_choice);
  }
  if (request.response_format && !request.response_format->by_instruction) {
    auto written = write_response_format(json, *request.response_format, dialect_, endpoint.target.name());
    if (!written) return std::move(written).error();
  }
  write_settings(json, request, dialect_, endpoint);
  write_metadata(json, request.metadata, dialect_);
  write_stream(json, stream, dialect_, endpoint);
  if (!endpoint.gateway_failover) write_no_failover(json, dialect_.gateway);
  json.end_object();

  const Platform platform{.path = "/chat/completions", .key_header = dialect_.key_header};
  Result<HttpRequest> http = request_at(platform, json.take(), request, endpoint, stream);
  if (http && !endpoint.gateway_failover) add_no_retries(*http, dialect_.gateway);
  return http;
}

}  // namespace backstop::inline v0::detail
