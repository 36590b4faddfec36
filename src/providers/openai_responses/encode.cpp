#include <string>
#include <string_view>
#include <utility>

#include "format.hpp"
#include "messages.hpp"
#include "providers/http/platform.hpp"
#include "providers/openai_chat/gateway.hpp"
#include "providers/openai_chat/models.hpp"
#include "providers/wire/json_writer.hpp"
#include "providers/wire/request_parts.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr std::size_t longest_user_id = 64;
constexpr std::int64_t least_output_limit = 16;

Error no_schema(std::string_view what) {
  return {ErrorKind::invalid_request, std::string{what} + " is no JSON object; a JSON Schema is expected"};
}

// The wire takes a tool without `strict` as one whose schema may be made strict: it has to be told not to.
Result<void> write_tools(JsonWriter& json, const std::vector<Tool>& tools) {
  json.key("tools");
  json.begin_array();
  for (const Tool& tool : tools) {
    if (!tool.parameters.empty() && !is_json_object(tool.parameters)) {
      return no_schema("the tool `" + tool.name + "`: `parameters`");
    }
    json.begin_object();
    json.field("type", "function");
    json.field("name", tool.name);
    if (!tool.description.empty()) json.field("description", tool.description);
    json.key("parameters");
    json.raw(tool.parameters.empty() ? std::string_view{R"({"type":"object","properties":{}})"} : tool.parameters);
    json.field("strict", tool.strict.value_or(false));
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
  json.field("name", choice.name);
  json.end_object();
}

Result<void> write_answer_format(JsonWriter& json, const ResponseFormat& format) {
  if (format.type == ResponseFormat::Type::text) return {};
  const bool schema = format.type == ResponseFormat::Type::json_schema;
  if (schema && !is_json_object(format.schema)) return no_schema("`response_format.schema`");
  json.key("text");
  json.begin_object();
  json.key("format");
  json.begin_object();
  json.field("type", schema ? "json_schema" : "json_object");
  if (schema) {
    json.field("name", format.name.empty() ? std::string_view{"answer"} : std::string_view{format.name});
    if (!format.description.empty()) json.field("description", format.description);
    json.key("schema");
    json.raw(format.schema);
    if (format.strict) json.field("strict", *format.strict);
  }
  json.end_object();
  json.end_object();
  return {};
}

// Models that do not reason refuse to be asked for their reasoning. Where nothing is known of the model, the request
// tells: who asks for an effort expects reasoning.
bool may_reason(const ChatRequest& request, const Target& target) noexcept {
  const bool asked = !request.reasoning_effort.empty() && request.reasoning_effort != "none";
  const bool catalogued = target.facts().context_window && target.facts().capabilities.reasoning;
  return asked || catalogued || is_reasoning_model(target.model());
}

void write_reasoning(JsonWriter& json, const ChatRequest& request, const Target& target, std::string_view summary) {
  if (!request.reasoning_effort.empty()) {
    json.key("reasoning");
    json.begin_object();
    json.field("effort", request.reasoning_effort);
    if (!summary.empty() && request.reasoning_effort != "none") json.field("summary", summary);
    json.end_object();
  }
  if (!may_reason(request, target)) return;
  json.key("include");
  json.begin_array();
  json.string("reasoning.encrypted_content");
  json.end_array();
}

void write_user_id(JsonWriter& json, std::string_view user_id, OpenAiDialect::UserField field) {
  if (user_id.empty() || field == OpenAiDialect::UserField::none) return;
  const bool safety = field == OpenAiDialect::UserField::safety_identifier;
  json.field(safety ? "safety_identifier" : "user", user_id.substr(0, longest_user_id));
}

}  // namespace

RequestLimits OpenAiResponses::limits(const ChatRequest& request, const Target& target) const noexcept {
  RequestLimits limits = WireFormat::limits(request, target);
  limits.least_output_tokens = least_output_limit;
  limits.sampling = !dialect_.developer_role || takes_sampling(target.model(), request);
  limits.most_temperature = dialect_.most_temperature;
  // The wire has no fields for these.
  limits.top_k = false;
  limits.penalties = false;
  limits.seed = false;
  limits.stop_sequences = 0;
  limits.service_tier = dialect_.any_service_tier || service_tier_word(dialect_.service_tiers, request.service_tier);
  return limits;
}

Result<HttpRequest> OpenAiResponses::encode(const ChatRequest& request, const Endpoint& endpoint, bool stream) const {
  const Target& target = endpoint.target;
  const bool developer = dialect_.developer_role && is_reasoning_model(target.model());
  JsonWriter json;
  json.reserve(expected_size(request));
  json.begin_object();
  json.field("model", target.model());
  if (const std::string text = leading_instructions(request.messages); !text.empty()) json.field("instructions", text);
  json.key("input");
  const std::string_view system_role = developer ? "developer" : "system";
  if (auto written = write_responses_input(json, request.messages, target, system_role); !written) {
    return std::move(written).error();
  }
  if (!request.tools.empty()) {
    if (auto written = write_tools(json, request.tools); !written) return std::move(written).error();
    if (request.parallel_tool_calls) json.field("parallel_tool_calls", *request.parallel_tool_calls);
    if (request.tool_choice) write_tool_choice(json, *request.tool_choice);
  }
  if (request.response_format && !request.response_format->by_instruction) {
    if (auto written = write_answer_format(json, *request.response_format); !written) return std::move(written).error();
  }
  if (request.max_output_tokens) json.field("max_output_tokens", *request.max_output_tokens);
  if (request.temperature) json.field("temperature", *request.temperature);
  if (request.top_p) json.field("top_p", *request.top_p);
  write_reasoning(json, request, target, summary_);
  const std::string_view tier = dialect_.any_service_tier
                                    ? std::string_view{request.service_tier}
                                    : service_tier_word(dialect_.service_tiers, request.service_tier).value_or("");
  if (!tier.empty()) json.field("service_tier", tier);
  json.field("store", false);  // the server keeps what is not told otherwise
  write_user_id(json, request.metadata.user_id, dialect_.user);
  json.field("stream", stream);  // some gateways stream unless told not to
  if (!endpoint.gateway_failover) write_no_failover(json, dialect_.gateway);
  json.end_object();

  const Platform platform{.path = "/responses", .key_header = dialect_.key_header};
  Result<HttpRequest> http = request_at(platform, json.take(), request, endpoint, stream);
  if (http && !endpoint.gateway_failover) add_no_retries(*http, dialect_.gateway);
  return http;
}

const HandoverRules& OpenAiResponses::handover_rules(const Target& target) const noexcept {
  static_cast<void>(target);
  return v0::handover_rules("openai_responses");
}

}  // namespace backstop::inline v0::detail
