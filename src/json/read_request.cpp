#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "backstop/json.hpp"
#include "json/added_fields.hpp"
#include "json/node.hpp"
#include "json/parse.hpp"
#include "json/read_messages.hpp"
#include "text/ascii.hpp"
#include "text/efforts.hpp"

namespace backstop::inline v0 {
namespace detail {
namespace {

std::vector<Tool> read_tools(const Node& list) {
  std::vector<Tool> tools;
  const std::size_t count = list.array("tools");
  for (std::size_t i = 0; i < count; ++i) {
    const Node node = list[i];
    if (!node.object({"type", "function", "cache"})) return tools;
    if (node["type"].string() != "function") node["type"].complain("is not supported; accepted is function");
    const Node function = node["function"];
    if (!function.object({"name", "description", "parameters", "strict"})) return tools;
    Tool tool{function["name"].non_empty_string(), function["description"].string(),
              function["parameters"].object_text(), function["strict"].boolean(),
              node["cache"].boolean().value_or(false)};
    if (std::any_of(tools.begin(), tools.end(), [&](const Tool& other) { return other.name == tool.name; })) {
      function["name"].complain("is the name of an earlier tool; names must differ");
    }
    tools.push_back(std::move(tool));
  }
  return tools;
}

std::optional<ToolChoice> read_tool_choice(const Node& node, const std::vector<Tool>& tools) {
  if (!node.present()) return std::nullopt;
  if (node.json().is_string()) {
    const std::string mode = node.string();
    if (mode == "auto") return ToolChoice{ToolChoice::Mode::automatic, {}};
    if (mode == "none") return ToolChoice{ToolChoice::Mode::none, {}};
    if (mode == "required") return ToolChoice{ToolChoice::Mode::required, {}};
  } else if (node.json().is_object()) {
    node.object({"type", "function"});
    if (node["type"].string() != "function") node["type"].complain("is not supported; accepted is function");
    const Node function = node["function"];
    function.object({"name"});
    ToolChoice choice{ToolChoice::Mode::named, function["name"].non_empty_string()};
    if (std::none_of(tools.begin(), tools.end(), [&](const Tool& tool) { return tool.name == choice.name; })) {
      function["name"].complain("is not the name of one of `tools`");
    }
    return choice;
  }
  node.complain(R"(must be "auto", "none", "required" or {"type": "function", "function": {"name": ...}})");
  return std::nullopt;
}

std::optional<ResponseFormat> read_response_format(const Node& node) {
  if (!node.present()) return std::nullopt;
  if (!node.object({"type", "json_schema", "by_instruction"})) return std::nullopt;
  const std::string type = node["type"].string();
  const Node schema = node["json_schema"];
  ResponseFormat format;
  format.by_instruction = node["by_instruction"].boolean().value_or(false);
  if (type == "json_schema") {
    format.type = ResponseFormat::Type::json_schema;
    if (!schema.object({"name", "schema", "description", "strict"})) return format;
    if (!schema["schema"].present()) schema["schema"].refuse("an object");
    format.name = schema["name"].string();
    format.schema = schema["schema"].object_text();
    format.description = schema["description"].string();
    format.strict = schema["strict"].boolean();
    return format;
  }
  if (type == "json_object") {
    format.type = ResponseFormat::Type::json_object;
  } else if (type != "text") {
    node["type"].complain("must be text, json_object or json_schema");
  }
  if (schema.present()) schema.complain("goes with the type json_schema only");
  return format;
}

std::vector<std::string> read_stop(const Node& node) {
  std::vector<std::string> stop;
  if (node.json().is_string()) {
    stop.push_back(node.non_empty_string());
    return stop;
  }
  const std::size_t count = node.array("strings, or a string");
  for (std::size_t i = 0; i < count; ++i) stop.push_back(node[i].non_empty_string());
  return stop;
}

std::string read_reasoning_effort(const Node& node) {
  std::string effort = node.string();
  if (!effort.empty() && !is_effort(effort)) node.complain(std::string{"must be one of "}.append(efforts_text));
  return effort;
}

Metadata read_metadata(const Node& node) {
  Metadata metadata;
  if (!node.present() || !node.object({"user_id", "session_id", "request_id", "trace_parent", "tags"})) return metadata;
  metadata.user_id = node["user_id"].string();
  metadata.session_id = node["session_id"].string();
  metadata.request_id = node["request_id"].string();
  metadata.trace_parent = node["trace_parent"].string();
  const Node tags = node["tags"];
  if (!tags.present()) return metadata;
  if (!tags.json().is_object()) {
    tags.refuse("an object of strings");
    return metadata;
  }
  for (const auto& [name, value] : tags.json().items()) {
    if (!value.is_string()) tags[name].refuse("a string");
    metadata.tags.emplace_back(name, tags[name].string());
  }
  return metadata;
}

bool is_header_name(std::string_view name) noexcept {
  // RFC 9110, section 5.6.2: token.
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  const auto allowed = [&](char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || (letter >= '0' && letter <= '9') ||
           marks.find(letter) != std::string_view::npos;
  };
  return !name.empty() && std::all_of(name.begin(), name.end(), allowed);
}

/// A `traceparent` is the trace context, not a header to forward.
void read_headers(const Node& node, ChatRequest& request) {
  if (!node.present()) return;
  if (!node.json().is_object()) return node.refuse("an object of strings");
  for (const auto& [name, value] : node.json().items()) {
    const Node header = node[name];
    if (!is_header_name(name)) header.complain("is no header name; accepted are letters, digits, !#$%&'*+-.^_`|~");
    if (!value.is_string()) header.refuse("a string");
    std::string text = header.string();
    if (text.find_first_of(std::string_view{"\r\n\0", 3}) != std::string::npos) {
      header.complain("must not hold line breaks or zero bytes");
    }
    if (lower_case(name) == "traceparent") {
      request.metadata.trace_parent = std::move(text);
    } else {
      request.headers.emplace_back(name, std::move(text));
    }
  }
}

void read_extra(const Node& node, ChatRequest& request) {
  if (!node.present()) return;
  if (!node.json().is_object()) return node.refuse("an object of objects, each under a provider's name");
  for (const auto& [to, fields] : node.json().items()) {
    const Node one = node[to];
    if (to.empty()) one.complain("is for nobody; accepted are a provider's name and wire:<wire>");
    if (!fields.is_object()) one.refuse("an object");
    std::string text = one.object_text();
    if (text.size() > longest_fields) {
      one.complain(std::string{"is longer than the accepted "}.append(longest_fields_text));
    }
    request.extra.push_back({to, std::move(text)});
  }
}

ChatRequest read_request(const Node& node) {
  ChatRequest request;
  if (!node.object({"messages", "tools", "tool_choice", "parallel_tool_calls", "response_format", "max_output_tokens",
                    "temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "seed", "stop",
                    "reasoning_effort", "service_tier", "metadata", "headers", "extra", "keep_raw"})) {
    return request;
  }
  request.messages = read_messages(node["messages"]);
  request.tools = read_tools(node["tools"]);
  request.tool_choice = read_tool_choice(node["tool_choice"], request.tools);
  request.parallel_tool_calls = node["parallel_tool_calls"].boolean();
  request.response_format = read_response_format(node["response_format"]);
  request.max_output_tokens = node["max_output_tokens"].positive_integer();
  request.temperature = node["temperature"].number(0, 2);
  request.top_p = node["top_p"].number(0, 1);
  request.top_k = node["top_k"].positive_integer();
  request.frequency_penalty = node["frequency_penalty"].number(-2, 2);
  request.presence_penalty = node["presence_penalty"].number(-2, 2);
  request.seed = node["seed"].integer();
  request.stop = read_stop(node["stop"]);
  request.reasoning_effort = read_reasoning_effort(node["reasoning_effort"]);
  request.service_tier = node["service_tier"].string();
  request.metadata = read_metadata(node["metadata"]);
  read_headers(node["headers"], request);
  read_extra(node["extra"], request);
  request.keep_raw = node["keep_raw"].boolean().value_or(false);
  return request;
}

/// What `read` makes of the document, or its complaint.
template <class Read>
auto finish(const nlohmann::ordered_json& json, Read read) -> Result<decltype(read(std::declval<const Node&>()))> {
  std::string problem;
  auto value = read(Node{json, problem});
  if (!problem.empty()) return Error{ErrorKind::invalid_request, std::move(problem)};
  return value;
}

}  // namespace
}  // namespace detail

Result<ChatRequest> request_from_json(const nlohmann::ordered_json& json) {
  return detail::finish(json, detail::read_request);
}

Result<ChatRequest> request_from_json(const nlohmann::json& json) {
  return request_from_json(nlohmann::ordered_json(json));
}

Result<ChatRequest> request_from_text(std::string_view text) {
  const auto json = detail::parse_json(text);
  if (!json) return json.error();
  return request_from_json(*json);
}

Result<std::vector<Message>> messages_from_json(const nlohmann::ordered_json& json) {
  return detail::finish(json, detail::read_messages);
}

Result<std::vector<Message>> messages_from_json(const nlohmann::json& json) {
  return messages_from_json(nlohmann::ordered_json(json));
}

}  // namespace backstop::inline v0
