#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "backstop/json.hpp"
#include "format.hpp"
#include "messages.hpp"
#include "models.hpp"
#include "providers/wire/request_parts.hpp"
#include "providers/wire/service_tier.hpp"
#include "providers/wire/schema_subset.hpp"

namespace backstop::inline v0::detail {
namespace {

using Json = nlohmann::ordered_json;

struct GeminiEffort {
  std::string_view name;
  std::int64_t budget;     ///< of thinking tokens, where the model takes a budget
  std::string_view level;  ///< where it takes a level
};
constexpr std::array<GeminiEffort, 7> gemini_efforts{{
    {"none", 0, "minimal"},
    {"minimal", 512, "minimal"},
    {"low", 2048, "low"},
    {"medium", 8192, "medium"},
    {"high", 16384, "high"},
    {"xhigh", 24576, "high"},
    {"max", 32768, "high"},
}};

// `responseJsonSchema` and `parametersJsonSchema`, by the API's reference.
constexpr std::array<std::string_view, 22> gemini_keywords{
    "$id",      "$defs",    "$ref",     "$anchor",     "type",       "format",  "title",
    "description", "enum",  "items",    "prefixItems", "minItems",   "maxItems", "minimum",
    "maximum",  "anyOf",    "oneOf",    "properties",  "additionalProperties",  "required", "propertyOrdering",
    "definitions"};

[[nodiscard]] bool refused_by_gemini(std::string_view keyword, const Json&) {
  return std::find(gemini_keywords.begin(), gemini_keywords.end(), keyword) == gemini_keywords.end();
}

[[nodiscard]] Result<Json> gemini_schema(const std::string& text, std::string_view place) {
  const Result<Json> schema = read_schema(text, place);
  if (!schema) return schema.error();
  return within_subset(*schema, {.refuses = refused_by_gemini, .const_as_enum = true});
}

constexpr std::array gemini_tiers{ServiceTier{"default", "standard"}, ServiceTier{"standard", "standard"},
                                  ServiceTier{"flex", "flex"}, ServiceTier{"priority", "priority"}};

/// Writes the body of one request, key by key.
class GeminiBody {
 public:
  GeminiBody(const ChatRequest& request, const Target& target, const GeminiPlatform& platform)
      : request_{request}, family_{gemini_family(target.model())}, call_ids_{platform.call_ids} {}

  [[nodiscard]] Result<std::string> write() {
    Result<GeminiConversation> conversation = encode_gemini_conversation(request_.messages, family_, call_ids_);
    if (!conversation) return std::move(conversation).error();
    if (auto error = write_response_format(conversation->instruction)) return *std::move(error);
    if (!conversation->instruction.empty()) {
      body_["systemInstruction"] = Json{{"parts", Json::array({Json{{"text", std::move(conversation->instruction)}}})}};
    }
    body_["contents"] = std::move(conversation->contents);
    if (auto error = write_tools()) return *std::move(error);
    if (auto error = write_thinking()) return *std::move(error);
    if (request_.max_output_tokens) config_["maxOutputTokens"] = *request_.max_output_tokens;
    if (request_.temperature) config_["temperature"] = *request_.temperature;
    if (request_.top_p) config_["topP"] = *request_.top_p;
    if (request_.top_k) config_["topK"] = *request_.top_k;
    if (request_.frequency_penalty) config_["frequencyPenalty"] = *request_.frequency_penalty;
    if (request_.presence_penalty) config_["presencePenalty"] = *request_.presence_penalty;
    if (request_.seed) config_["seed"] = *request_.seed;
    if (!request_.stop.empty()) config_["stopSequences"] = request_.stop;
    if (!config_.empty()) body_["generationConfig"] = std::move(config_);
    const std::string_view tier = service_tier_word(gemini_tiers, request_.service_tier).value_or("");
    if (!tier.empty()) body_["serviceTier"] = tier;
    return json_text(body_);
  }

 private:
  using Failure = std::optional<Error>;

  [[nodiscard]] Failure write_tools() {
    if (request_.tools.empty()) return std::nullopt;
    Json declarations = Json::array();
    for (std::size_t i = 0; i < request_.tools.size(); ++i) {
      const Tool& tool = request_.tools[i];
      Json entry{{"name", tool.name}};
      if (!tool.description.empty()) entry["description"] = tool.description;
      if (!tool.parameters.empty()) {
        Result<Json> schema = gemini_schema(tool.parameters, fmt::format("tools[{}].parameters", i));
        if (!schema) return std::move(schema).error();
        if (!schema->contains("type")) (*schema)["type"] = "object";
        entry["parametersJsonSchema"] = *std::move(schema);
      }
      declarations.push_back(std::move(entry));
    }
    body_["tools"] = Json::array({Json{{"functionDeclarations", std::move(declarations)}}});
    if (!request_.tool_choice) return std::nullopt;
    Json calling;
    switch (request_.tool_choice->mode) {
      case ToolChoice::Mode::automatic: calling["mode"] = "AUTO"; break;
      case ToolChoice::Mode::none: calling["mode"] = "NONE"; break;
      case ToolChoice::Mode::required: calling["mode"] = "ANY"; break;
      case ToolChoice::Mode::named:
        calling["mode"] = "ANY";
        calling["allowedFunctionNames"] = Json::array({request_.tool_choice->name});
        break;
    }
    body_["toolConfig"] = Json{{"functionCallingConfig", std::move(calling)}};
    return std::nullopt;
  }

  [[nodiscard]] Failure write_response_format(std::string& instruction) {
    if (!request_.response_format || request_.response_format->type == ResponseFormat::Type::text) return std::nullopt;
    const ResponseFormat& format = *request_.response_format;
    if (format.by_instruction) return std::nullopt;
    const bool enforced = request_.tools.empty() || family_.schema_beside_tools;
    std::string asked = format_in_words(nullptr);
    if (format.type == ResponseFormat::Type::json_schema) {
      Result<Json> schema = gemini_schema(format.schema.empty() ? R"({"type": "object"})" : format.schema,
                                          "response_format.schema");
      if (!schema) return std::move(schema).error();
      if (enforced) {
        config_["responseJsonSchema"] = *std::move(schema);
      } else {
        asked = format_in_words(&*schema);
      }
    }
    if (enforced) {
      config_["responseMimeType"] = "application/json";
      return std::nullopt;
    }
    if (!instruction.empty()) instruction += "\n\n";
    instruction += asked;
    return std::nullopt;
  }

  [[nodiscard]] Failure write_thinking() {
    const std::string_view wanted = request_.reasoning_effort;
    if (wanted.empty()) return std::nullopt;
    const Result<const GeminiEffort*> found = effort_of(gemini_efforts, wanted);
    if (!found) return found.error();
    const GeminiEffort& effort = **found;
    Json thinking;
    switch (family_.thinking) {
      case GeminiThinking::none: return std::nullopt;
      case GeminiThinking::budget:
        thinking["thinkingBudget"] = std::clamp(effort.budget, family_.least_budget, family_.most_budget);
        break;
      case GeminiThinking::level:
        thinking["thinkingLevel"] = effort.level == "minimal" ? family_.least_level : effort.level;
        break;
    }
    if (wanted != "none") thinking["includeThoughts"] = true;
    config_["thinkingConfig"] = std::move(thinking);
    return std::nullopt;
  }

  const ChatRequest& request_;
  const GeminiFamily& family_;
  const bool call_ids_;
  Json body_ = Json::object();
  Json config_ = Json::object();
};

}  // namespace

Result<std::string> encode_gemini_body(const ChatRequest& request, const Target& target,
                                       const GeminiPlatform& platform) {
  return GeminiBody{request, target, platform}.write();
}

RequestLimits GeminiFormat::limits(const ChatRequest& request, const Target& target) const noexcept {
  RequestLimits limits = WireFormat::limits(request, target);
  limits.penalties = gemini_family(target.model()).takes_penalties;
  limits.least_seed = std::numeric_limits<std::int32_t>::min();
  limits.most_seed = std::numeric_limits<std::int32_t>::max();
  limits.stop_sequences = 5;
  limits.service_tier = service_tier_word(gemini_tiers, request.service_tier).has_value();
  return limits;
}

Result<HttpRequest> GeminiFormat::encode(const ChatRequest& request, const Endpoint& endpoint, bool stream) const {
  Result<std::string> body = encode_gemini_body(request, endpoint.target, platform_);
  if (!body) return std::move(body).error();
  return request_at(platform_.at, *std::move(body), request, endpoint, stream);
}

}  // namespace backstop::inline v0::detail
