#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "backstop/json.hpp"
#include "format.hpp"
#include "messages.hpp"
#include "providers/http/platform.hpp"
#include "providers/wire/request_parts.hpp"
#include "providers/wire/schema_subset.hpp"
#include "providers/wire/service_tier.hpp"

namespace backstop::inline v0::detail {
namespace {

using Json = nlohmann::ordered_json;

// The bounds of `p`, by the API's reference.
constexpr double least_p = 0.01;
constexpr double most_p = 0.99;

struct CohereEffort {
  std::string_view name;
  std::optional<std::int64_t> budget;  ///< of thinking tokens; 0 turns it off, none is as many as the model likes
};
constexpr std::array<CohereEffort, 7> cohere_efforts{{
    {"none", 0},
    {"minimal", 512},
    {"low", 2048},
    {"medium", 8192},
    {"high", 16384},
    {"xhigh", 24576},
    {"max", std::nullopt},
}};

// What structured outputs take, by Cohere's guide: no bounds of numbers, of lengths or of lists.
constexpr std::array<std::string_view, 16> cohere_keywords{
    "type",  "title", "description", "enum",  "const",       "pattern",    "format",   "items",
    "anyOf", "oneOf", "$ref",        "$defs", "definitions", "properties", "required", "additionalProperties"};
constexpr std::array<std::string_view, 4> cohere_formats{"date-time", "uuid", "date", "time"};

[[nodiscard]] bool refused_by_cohere(std::string_view keyword, const Json& value) {
  const auto is = [](std::string_view word) { return [word](std::string_view other) { return word == other; }; };
  if (std::none_of(cohere_keywords.begin(), cohere_keywords.end(), is(keyword))) return true;
  if (keyword != "format") return false;
  return !value.is_string() ||
         std::none_of(cohere_formats.begin(), cohere_formats.end(), is(value.get_ref<const std::string&>()));
}

/// Writes the body of one request, key by key.
class CohereBody {
 public:
  CohereBody(const ChatRequest& request, const Target& target) : request_{request}, target_{target} {}

  [[nodiscard]] Result<std::string> write(bool stream) {
    Result<CohereConversation> conversation = encode_cohere_conversation(request_.messages, target_);
    if (!conversation) return std::move(conversation).error();
    body_["model"] = target_.model();
    body_["stream"] = stream;
    if (auto error = write_response_format(*conversation)) return *std::move(error);
    body_["messages"] = std::move(conversation->messages);
    if (!conversation->documents.empty()) body_["documents"] = std::move(conversation->documents);
    if (auto error = write_tools()) return *std::move(error);
    if (auto error = write_thinking()) return *std::move(error);
    if (request_.max_output_tokens) body_["max_tokens"] = *request_.max_output_tokens;
    if (request_.temperature) body_["temperature"] = *request_.temperature;
    if (request_.top_p) body_["p"] = std::clamp(*request_.top_p, least_p, most_p);
    if (request_.top_k) body_["k"] = *request_.top_k;
    if (request_.frequency_penalty) body_["frequency_penalty"] = *request_.frequency_penalty;
    if (request_.presence_penalty) body_["presence_penalty"] = *request_.presence_penalty;
    if (request_.seed) body_["seed"] = *request_.seed;
    if (!request_.stop.empty()) body_["stop_sequences"] = request_.stop;
    return json_text(body_);
  }

 private:
  using Failure = std::optional<Error>;

  [[nodiscard]] bool is_named() const noexcept {
    return request_.tool_choice && request_.tool_choice->mode == ToolChoice::Mode::named;
  }

  [[nodiscard]] Failure write_tools() {
    if (request_.tools.empty()) return std::nullopt;
    Json tools = Json::array();
    bool strict = true;
    for (std::size_t i = 0; i < request_.tools.size(); ++i) {
      const Tool& tool = request_.tools[i];
      // The wire cannot name a tool: the only one that is offered is the one.
      if (is_named() && tool.name != request_.tool_choice->name) continue;
      const bool held = tool.strict.value_or(false);
      strict = strict && held;
      Json function{{"name", tool.name}};
      if (!tool.description.empty()) function["description"] = tool.description;
      Json parameters{{"type", "object"}, {"properties", Json::object()}};
      if (!tool.parameters.empty()) {
        Result<Json> schema = read_schema(tool.parameters, fmt::format("tools[{}].parameters", i));
        if (!schema) return std::move(schema).error();
        parameters = held ? within_subset(*schema, {.refuses = refused_by_cohere}) : *std::move(schema);
        if (!parameters.contains("type")) parameters["type"] = "object";
      }
      function["parameters"] = std::move(parameters);
      tools.push_back(Json{{"type", "function"}, {"function", std::move(function)}});
    }
    if (tools.empty()) {
      return Error{ErrorKind::invalid_request, "tool_choice.name: no tool of this name is among `tools`"};
    }
    body_["tools"] = std::move(tools);
    if (strict) body_["strict_tools"] = true;
    if (!request_.tool_choice) return std::nullopt;
    switch (request_.tool_choice->mode) {
      case ToolChoice::Mode::automatic: break;  // there is no word for it
      case ToolChoice::Mode::none: body_["tool_choice"] = "NONE"; break;
      case ToolChoice::Mode::required:
      case ToolChoice::Mode::named: body_["tool_choice"] = "REQUIRED"; break;
    }
    return std::nullopt;
  }

  [[nodiscard]] Failure write_response_format(CohereConversation& conversation) {
    if (!request_.response_format || request_.response_format->type == ResponseFormat::Type::text) return std::nullopt;
    const ResponseFormat& format = *request_.response_format;
    if (format.by_instruction) return std::nullopt;
    Json wanted{{"type", "json_object"}};
    std::string asked = format_in_words(nullptr);
    if (format.type == ResponseFormat::Type::json_schema) {
      Result<Json> schema = read_schema(format.schema.empty() ? R"({"type": "object"})" : format.schema,
                                        "response_format.schema");
      if (!schema) return std::move(schema).error();
      asked = format_in_words(&*schema);
      wanted["json_schema"] = within_subset(*schema, {.refuses = refused_by_cohere});
    }
    if (request_.tools.empty() && conversation.documents.empty()) {
      body_["response_format"] = std::move(wanted);
    } else {
      add_instruction(conversation.messages, asked);
    }
    return std::nullopt;
  }

  static void add_instruction(Json& messages, const std::string& text) {
    if (messages.front()["role"] == "system") {
      messages.front()["content"].get_ref<std::string&>() += "\n\n" + text;
    } else {
      messages.insert(messages.begin(), Json{{"role", "system"}, {"content", text}});
    }
  }

  [[nodiscard]] Failure write_thinking() {
    const std::string_view wanted = request_.reasoning_effort;
    if (wanted.empty()) return std::nullopt;
    const Result<const CohereEffort*> found = effort_of(cohere_efforts, wanted);
    if (!found) return found.error();
    const CohereEffort& effort = **found;
    if (!target_.facts().capabilities.reasoning) return std::nullopt;
    const bool off = effort.budget == 0;
    Json thinking{{"type", off ? "disabled" : "enabled"}};
    if (!off && effort.budget) thinking["token_budget"] = within_output(*effort.budget);
    body_["thinking"] = std::move(thinking);
    return std::nullopt;
  }

  /// Thoughts are part of the output; a quarter of its limit stays for the answer.
  [[nodiscard]] std::int64_t within_output(std::int64_t budget) const {
    if (!request_.max_output_tokens) return budget;
    return std::max<std::int64_t>(1, std::min(budget, *request_.max_output_tokens / 4 * 3));
  }

  const ChatRequest& request_;
  const Target& target_;
  Json body_ = Json::object();
};

}  // namespace

Result<std::string> encode_cohere_body(const ChatRequest& request, const Target& target, bool stream) {
  return CohereBody{request, target}.write(stream);
}

RequestLimits CohereFormat::limits(const ChatRequest& request, const Target& target) const noexcept {
  RequestLimits limits = WireFormat::limits(request, target);
  limits.most_top_k = 500;
  limits.least_penalty = 0;
  limits.most_penalty = 1;
  limits.least_seed = 0;
  limits.stop_sequences = 5;
  limits.service_tier = service_tier_word({}, request.service_tier).has_value();
  return limits;
}

Result<HttpRequest> CohereFormat::encode(const ChatRequest& request, const Endpoint& endpoint, bool stream) const {
  Result<std::string> body = encode_cohere_body(request, endpoint.target, stream);
  if (!body) return std::move(body).error();
  constexpr Platform platform{.path = "/chat", .root = "/v2"};
  return request_at(platform, *std::move(body), request, endpoint, stream);
}

}  // namespace backstop::inline v0::detail
