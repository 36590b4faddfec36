#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "backstop/json.hpp"
#include "format.hpp"
#include "messages.hpp"
#include "models.hpp"
#include "providers/anthropic/models.hpp"
#include "providers/anthropic/schema.hpp"
#include "providers/http/platform.hpp"
#include "providers/wire/request_parts.hpp"
#include "providers/wire/service_tier.hpp"
#include "sigv4.hpp"

namespace backstop::inline v0::detail {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t least_claude_budget = 1024;
constexpr std::int64_t room_for_answer = 4096;

struct BedrockEffort {
  std::string_view name;
  std::int64_t budget;      ///< of thinking tokens, for models of Claude that take one
  std::string_view claude;  ///< the effort that newer ones take
  std::string_view level;   ///< of Nova 2 and OpenAI's models
};
constexpr std::array<BedrockEffort, 7> bedrock_efforts{{
    {"none", 0, "", "low"},
    {"minimal", 1024, "low", "low"},
    {"low", 2048, "low", "low"},
    {"medium", 8192, "medium", "medium"},
    {"high", 16384, "high", "high"},
    {"xhigh", 24576, "xhigh", "high"},
    {"max", 32768, "max", "high"},
}};

constexpr std::array bedrock_tiers{ServiceTier{"default", "default"}, ServiceTier{"flex", "flex"},
                                   ServiceTier{"priority", "priority"}, ServiceTier{"reserved", "reserved"}};

[[nodiscard]] bool is_nova(BedrockMaker maker) noexcept {
  return maker == BedrockMaker::amazon_nova || maker == BedrockMaker::amazon_nova_2;
}

/// Writes the body of one request, key by key.
class ConverseBody {
 public:
  ConverseBody(const ChatRequest& request, const Target& target)
      : request_{request},
        target_{target},
        maker_{bedrock_maker(target.model())},
        claude_{claude_family(target.model())},
        enforces_schema_{bedrock_enforces_schema(target.model())} {}

  [[nodiscard]] Result<std::string> write() {
    const bool tools = !request_.tools.empty() && choice().mode != ToolChoice::Mode::none;
    Result<BlockConversation> conversation = encode_bedrock_conversation(request_.messages, tools);
    if (!conversation) return std::move(conversation).error();
    if (tools) {
      if (auto error = write_tools()) return *std::move(error);
    }
    if (auto error = write_response_format(conversation->system)) return *std::move(error);
    if (auto error = write_thinking(conversation->in_unthought_tool_loop)) return *std::move(error);
    body_["messages"] = std::move(conversation->messages);
    if (!conversation->system.empty()) {
      body_["system"] = bedrock_system(*conversation);
    }
    write_inference();
    if (!more_.empty()) body_["additionalModelRequestFields"] = std::move(more_);
    const std::string_view tier = service_tier_word(bedrock_tiers, request_.service_tier).value_or("");
    if (!tier.empty()) body_["serviceTier"] = Json{{"type", tier}};
    return json_text(body_);
  }

 private:
  using Failure = std::optional<Error>;

  [[nodiscard]] ToolChoice choice() const { return request_.tool_choice.value_or(ToolChoice{}); }

  [[nodiscard]] Failure write_tools() {
    Json tools = Json::array();
    for (std::size_t i = 0; i < request_.tools.size(); ++i) {
      const Tool& tool = request_.tools[i];
      Result<Json> schema =
          read_schema(tool.parameters.empty() ? R"({"type": "object", "properties": {}})" : tool.parameters,
                      fmt::format("tools[{}].parameters", i));
      if (!schema) return std::move(schema).error();
      if (!schema->contains("type")) (*schema)["type"] = "object";
      const bool strict = tool.strict.value_or(false) && enforces_schema_;
      Json spec{{"name", tool.name}};
      if (!tool.description.empty()) spec["description"] = tool.description;
      spec["inputSchema"] = Json{{"json", strict ? anthropic_schema(*schema) : *std::move(schema)}};
      if (strict) spec["strict"] = true;
      tools.push_back(Json{{"toolSpec", std::move(spec)}});
      if (tool.cache) tools.push_back(bedrock_cache_point());
    }
    body_["toolConfig"] = Json{{"tools", std::move(tools)}};
    if (!request_.tool_choice) return std::nullopt;
    const ToolChoice wanted = choice();
    forces_call_ = wanted.mode != ToolChoice::Mode::automatic;
    if (forces_call_ && maker_ == BedrockMaker::anthropic && !claude_.can_be_forced_to_call) {
      return Error{ErrorKind::unsupported_capability, "tool_choice: this model cannot be made to call a tool"};
    }
    Json out;
    if (wanted.mode == ToolChoice::Mode::named) {
      out["tool"] = Json{{"name", wanted.name}};
    } else {
      out[wanted.mode == ToolChoice::Mode::required ? "any" : "auto"] = Json::object();
    }
    body_["toolConfig"]["toolChoice"] = std::move(out);
    return std::nullopt;
  }

  [[nodiscard]] Failure write_response_format(std::string& system) {
    if (!request_.response_format || request_.response_format->type == ResponseFormat::Type::text) return std::nullopt;
    const ResponseFormat& format = *request_.response_format;
    if (format.by_instruction) return std::nullopt;
    std::string asked = format_in_words(nullptr);
    if (format.type == ResponseFormat::Type::json_schema) {
      const Result<Json> schema =
          read_schema(format.schema.empty() ? R"({"type": "object"})" : format.schema, "response_format.schema");
      if (!schema) return schema.error();
      if (enforces_schema_) {
        Json written{{"schema", json_text(anthropic_schema(*schema))},
                     {"name", format.name.empty() ? "answer" : format.name}};
        if (!format.description.empty()) written["description"] = format.description;
        body_["outputConfig"] =
            Json{{"textFormat", {{"type", "json_schema"}, {"structure", {{"jsonSchema", std::move(written)}}}}}};
        return std::nullopt;
      }
      asked = format_in_words(&*schema);
    }
    if (!system.empty()) system += "\n\n";
    system += asked;
    return std::nullopt;
  }

  [[nodiscard]] Failure write_thinking(bool in_unthought_tool_loop) {
    const std::string_view wanted = request_.reasoning_effort;
    if (wanted.empty()) return std::nullopt;
    const Result<const BedrockEffort*> found = effort_of(bedrock_efforts, wanted);
    if (!found) return found.error();
    const BedrockEffort& effort = **found;
    switch (maker_) {
      case BedrockMaker::anthropic:
        write_claude_thinking(effort, in_unthought_tool_loop);
        break;
      case BedrockMaker::amazon_nova_2:
        write_nova_reasoning(effort);
        break;
      case BedrockMaker::openai:
        more_["reasoning_effort"] = effort.level;
        break;
      case BedrockMaker::amazon_nova:
      case BedrockMaker::mistral:
      case BedrockMaker::other:
        break;
    }
    return std::nullopt;
  }

  void write_claude_thinking(const BedrockEffort& effort, bool in_unthought_tool_loop) {
    if (effort.budget == 0) {
      const bool adaptive = claude_.thinking == ClaudeThinking::adaptive;
      if (adaptive) more_["thinking"] = Json{{"type", "disabled"}};
      return;
    }
    if (forces_call_ || claude_.thinking == ClaudeThinking::none) return;
    if (claude_.thinking == ClaudeThinking::budget) {
      if (!in_unthought_tool_loop) write_claude_budget(effort.budget);
      return;
    }
    const bool lower = effort.claude == "xhigh" && !claude_.knows_xhigh_effort;
    more_["thinking"] = Json{{"type", "adaptive"}, {"display", "summarized"}};
    more_["output_config"] = Json{{"effort", lower ? std::string_view{"high"} : effort.claude}};
    thinks_ = true;
  }

  /// The budget is part of the output limit; a quarter of it at least stays for the answer.
  void write_claude_budget(std::int64_t budget) {
    if (!max_tokens_) max_tokens_ = target_.facts().max_output_tokens.value_or(budget + room_for_answer);
    if (*max_tokens_ <= least_claude_budget) return;
    budget = std::max(std::min(budget, *max_tokens_ / 4 * 3), least_claude_budget);
    more_["thinking"] = Json{{"type", "enabled"}, {"budget_tokens", budget}};
    thinks_ = true;
  }

  void write_nova_reasoning(const BedrockEffort& effort) {
    if (effort.budget == 0) {
      more_["reasoningConfig"] = Json{{"type", "disabled"}};
      return;
    }
    // With the highest effort the model takes neither an output limit nor sampling parameters.
    const bool high = effort.level == "high" && !max_tokens_;
    const std::string_view level = effort.level == "high" && !high ? std::string_view{"medium"} : effort.level;
    more_["reasoningConfig"] = Json{{"type", "enabled"}, {"maxReasoningEffort", level}};
    thinks_ = high;
  }

  void write_inference() {
    Json config = Json::object();
    if (max_tokens_) config["maxTokens"] = *max_tokens_;
    if (!thinks_) {
      if (request_.temperature) config["temperature"] = *request_.temperature;
      // Newer models of Claude refuse the two together.
      const bool both = request_.temperature && maker_ == BedrockMaker::anthropic;
      if (request_.top_p && !both) config["topP"] = *request_.top_p;
      if (request_.top_k && maker_ == BedrockMaker::anthropic) more_["top_k"] = *request_.top_k;
      if (request_.top_k && is_nova(maker_)) more_["inferenceConfig"] = Json{{"topK", *request_.top_k}};
    }
    if (!request_.stop.empty()) config["stopSequences"] = request_.stop;
    if (!config.empty()) body_["inferenceConfig"] = std::move(config);
  }

  const ChatRequest& request_;
  const Target& target_;
  const BedrockMaker maker_;
  const ClaudeFamily& claude_;
  const bool enforces_schema_;
  Json body_ = Json::object();
  Json more_ = Json::object();
  std::optional<std::int64_t> max_tokens_ = request_.max_output_tokens;
  bool forces_call_ = false;
  bool thinks_ = false;
};

}  // namespace

Result<std::string> encode_bedrock_body(const ChatRequest& request, const Target& target) {
  return ConverseBody{request, target}.write();
}

RequestLimits BedrockFormat::limits(const ChatRequest& request, const Target& target) const noexcept {
  RequestLimits limits = WireFormat::limits(request, target);
  const BedrockMaker maker = bedrock_maker(target.model());
  if (maker == BedrockMaker::anthropic) limits.sampling = claude_family(target.model()).takes_sampling;
  // Beside the fields of the API a model takes what its maker says.
  limits.top_k = maker == BedrockMaker::anthropic || is_nova(maker);
  limits.penalties = false;
  limits.seed = false;
  limits.most_temperature = 1;
  limits.stop_sequences = 2500;
  limits.blank_stop_sequences = false;
  // Amazon's guide to prompt caching has these makers.
  limits.cache_marks = maker == BedrockMaker::anthropic || is_nova(maker) ? 4 : 0;
  limits.cache_marks_of_tools = maker == BedrockMaker::anthropic;
  limits.service_tier = service_tier_word(bedrock_tiers, request.service_tier).has_value();
  return limits;
}

Result<HttpRequest> BedrockFormat::encode(const ChatRequest& request, const Endpoint& endpoint, bool stream) const {
  Result<std::string> body = encode_bedrock_body(request, endpoint.target);
  if (!body) return std::move(body).error();
  constexpr Platform platform{.path = "/model/{model}/converse",
                              .stream_path = "/model/{model}/converse-stream",
                              .stream_type = event_stream_type};
  return request_at(platform, *std::move(body), request, endpoint, stream);
}

Result<void> BedrockFormat::sign(HttpRequest& http, const Endpoint& endpoint, WallTime now) const {
  if (endpoint.access_key_id.empty()) return {};
  const AwsSigner signer{endpoint.access_key_id, endpoint.api_key, endpoint.session_token, region_, "bedrock"};
  return sign_request(http, signer, now);
}

}  // namespace backstop::inline v0::detail
