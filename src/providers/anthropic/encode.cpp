#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "backstop/json.hpp"
#include "format.hpp"
#include "messages.hpp"
#include "models.hpp"
#include "providers/wire/request_parts.hpp"
#include "providers/wire/service_tier.hpp"
#include "schema.hpp"

namespace backstop::inline v0::detail {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t default_max_tokens = 4096;
constexpr std::int64_t least_thinking_budget = 1024;

struct Effort {
  std::string_view name;
  std::int64_t budget;        ///< of thinking tokens, where the model takes a budget
  std::string_view adaptive;  ///< the effort that a model with adaptive thinking takes
};
constexpr std::array<Effort, 6> efforts{{
    {"minimal", 1024, "low"},
    {"low", 2048, "low"},
    {"medium", 8192, "medium"},
    {"high", 16384, "high"},
    {"xhigh", 24576, "xhigh"},
    {"max", 32768, "max"},
}};

// Priority is bought for an account, and then used unless a request says otherwise.
constexpr std::array claude_tiers{ServiceTier{"auto", "auto"}, ServiceTier{"priority", "auto"},
                                  ServiceTier{"default", "standard_only"},
                                  ServiceTier{"standard_only", "standard_only"}};

[[nodiscard]] bool is_by_address(const Part& part) noexcept {
  if (const auto* image = std::get_if<Image>(&part)) return image->data.empty();
  if (const auto* document = std::get_if<Document>(&part)) return document->data.empty();
  const auto* result = std::get_if<ToolResult>(&part);
  return result != nullptr && std::any_of(result->files.begin(), result->files.end(), [](const ToolFile& file) {
           return std::visit([](const auto& one) { return one.data.empty(); }, file);
         });
}

[[nodiscard]] bool names_a_file(const ChatRequest& request) noexcept {
  return std::any_of(request.messages.begin(), request.messages.end(), [](const Message& message) {
    return std::any_of(message.parts.begin(), message.parts.end(), is_by_address);
  });
}

/// Writes the body of one request, key by key.
class BodyWriter {
 public:
  BodyWriter(const ChatRequest& request, const Target& target, const AnthropicPlatform& platform)
      : request_{request},
        target_{target},
        platform_{platform},
        family_{claude_family(target.model())},
        enforces_schema_{family_.enforces_schema && platform.enforces_schema} {}

  [[nodiscard]] Result<std::string> write(bool stream) {
    Result<BlockConversation> conversation = encode_anthropic_conversation(request_.messages);
    if (!conversation) return std::move(conversation).error();

    if (platform_.at.version_header.empty()) body_["anthropic_version"] = platform_.at.version;
    if (!platform_.at.model_in_path()) body_["model"] = target_.model();
    body_["max_tokens"] = max_tokens();
    if (auto error = write_tools()) return *std::move(error);
    if (auto error = write_response_format(conversation->system)) return *std::move(error);
    if (auto error = write_thinking(conversation->in_unthought_tool_loop)) return *std::move(error);
    if (!conversation->system.empty()) body_["system"] = anthropic_system(*conversation);
    body_["messages"] = std::move(conversation->messages);
    write_sampling();
    if (!request_.stop.empty()) body_["stop_sequences"] = request_.stop;
    if (!request_.metadata.user_id.empty()) body_["metadata"] = Json{{"user_id", request_.metadata.user_id}};
    if (platform_.stream_in_body) body_["stream"] = stream;  // some gateways stream unless told not to
    if (platform_.service_tiers) {
      const std::string_view tier = service_tier_word(claude_tiers, request_.service_tier).value_or("");
      if (!tier.empty()) body_["service_tier"] = tier;
    }
    return json_text(body_);
  }

 private:
  using Failure = std::optional<Error>;

  [[nodiscard]] std::int64_t max_tokens() const noexcept {
    return request_.max_output_tokens.value_or(target_.facts().max_output_tokens.value_or(default_max_tokens));
  }

  [[nodiscard]] Failure write_tools() {
    if (request_.tools.empty()) return std::nullopt;
    Json tools = Json::array();
    for (std::size_t i = 0; i < request_.tools.size(); ++i) {
      const Tool& tool = request_.tools[i];
      Result<Json> schema = parse_schema(tool.parameters, fmt::format("tools[{}].parameters", i));
      if (!schema) return std::move(schema).error();
      if (!schema->contains("type")) (*schema)["type"] = "object";
      const bool strict = tool.strict.value_or(false) && enforces_schema_;

      Json entry{{"name", tool.name}};
      if (!tool.description.empty()) entry["description"] = tool.description;
      entry["input_schema"] = strict ? anthropic_schema(*schema) : std::move(*schema);
      if (strict) entry["strict"] = true;
      if (tool.cache) mark_for_cache(entry);
      tools.push_back(std::move(entry));
    }
    body_["tools"] = std::move(tools);
    return write_tool_choice();
  }

  [[nodiscard]] Failure write_tool_choice() {
    const bool one_at_a_time = request_.parallel_tool_calls == false;
    if (!request_.tool_choice && !one_at_a_time) return std::nullopt;
    const ToolChoice choice = request_.tool_choice.value_or(ToolChoice{});
    Json out;
    switch (choice.mode) {
      case ToolChoice::Mode::automatic:
        out["type"] = "auto";
        break;
      case ToolChoice::Mode::none:
        out["type"] = "none";
        break;
      case ToolChoice::Mode::required:
        out["type"] = "any";
        break;
      case ToolChoice::Mode::named:
        out["type"] = "tool";
        out["name"] = choice.name;
        break;
    }
    forces_call_ = choice.mode == ToolChoice::Mode::required || choice.mode == ToolChoice::Mode::named;
    if (forces_call_ && !family_.can_be_forced_to_call) {
      return Error{ErrorKind::unsupported_capability, "tool_choice: this model cannot be made to call a tool"};
    }
    if (one_at_a_time && choice.mode != ToolChoice::Mode::none) out["disable_parallel_tool_use"] = true;
    body_["tool_choice"] = std::move(out);
    return std::nullopt;
  }

  [[nodiscard]] Failure write_response_format(std::string& system) {
    if (!request_.response_format || request_.response_format->type == ResponseFormat::Type::text) return std::nullopt;
    const ResponseFormat& format = *request_.response_format;
    if (format.by_instruction) return std::nullopt;
    std::string instruction = format_in_words(nullptr);
    if (format.type == ResponseFormat::Type::json_schema) {
      Result<Json> schema = parse_schema(format.schema, "response_format.schema");
      if (!schema) return std::move(schema).error();
      if (enforces_schema_) {
        body_["output_config"]["format"] = Json{{"type", "json_schema"}, {"schema", anthropic_schema(*schema)}};
        return std::nullopt;
      }
      instruction = format_in_words(&*schema);
    }
    if (!system.empty()) system += "\n\n";
    system += instruction;
    return std::nullopt;
  }

  [[nodiscard]] Failure write_thinking(bool in_unthought_tool_loop) {
    const std::string_view wanted = request_.reasoning_effort;
    if (wanted.empty()) return std::nullopt;
    if (wanted == "none") {
      // The others do not think unless asked to.
      if (family_.thinking == ClaudeThinking::adaptive) body_["thinking"] = Json{{"type", "disabled"}};
      return std::nullopt;
    }
    const Result<const Effort*> found = effort_of(efforts, wanted);
    if (!found) return found.error();
    const Effort& effort = **found;
    // Whoever demands a call gets it: the two exclude one another.
    if (forces_call_ || family_.thinking == ClaudeThinking::none) return std::nullopt;
    if (family_.thinking == ClaudeThinking::budget) {
      if (!in_unthought_tool_loop) write_budget(effort.budget);
      return std::nullopt;
    }
    const bool lower = effort.adaptive == "xhigh" && !family_.knows_xhigh_effort;
    body_["thinking"] = Json{{"type", "adaptive"}, {"display", "summarized"}};
    body_["output_config"]["effort"] = lower ? std::string_view{"high"} : effort.adaptive;
    thinks_ = true;
    return std::nullopt;
  }

  /// The budget is part of the output limit; a quarter of it at least stays for the answer.
  void write_budget(std::int64_t budget) {
    const std::int64_t limit = body_["max_tokens"].get<std::int64_t>();
    if (limit <= least_thinking_budget) return;
    budget = std::max(std::min(budget, limit / 4 * 3), least_thinking_budget);
    body_["thinking"] = Json{{"type", "enabled"}, {"budget_tokens", budget}};
    thinks_ = true;
  }

  void write_sampling() {
    if (thinks_) return;
    if (request_.temperature) body_["temperature"] = *request_.temperature;
    // Newer models refuse the two together, and advise to set one only.
    if (request_.top_p && !request_.temperature) body_["top_p"] = *request_.top_p;
    if (request_.top_k) body_["top_k"] = *request_.top_k;
  }

  [[nodiscard]] static Result<Json> parse_schema(const std::string& text, std::string_view place) {
    return read_schema(text.empty() ? R"({"type": "object", "properties": {}})" : text, place);
  }

  const ChatRequest& request_;
  const Target& target_;
  const AnthropicPlatform& platform_;
  const ClaudeFamily& family_;
  const bool enforces_schema_;
  Json body_ = Json::object();
  bool forces_call_ = false;
  bool thinks_ = false;
};

}  // namespace

Result<std::string> encode_anthropic_body(const ChatRequest& request, const Target& target, bool stream,
                                          const AnthropicPlatform& platform) {
  return BodyWriter{request, target, platform}.write(stream);
}

RequestLimits AnthropicFormat::limits(const ChatRequest& request, const Target& target) const noexcept {
  RequestLimits limits = WireFormat::limits(request, target);
  limits.sampling = platform_.takes_sampling && claude_family(target.model()).takes_sampling;
  limits.most_temperature = 1;
  limits.penalties = false;
  limits.seed = false;
  limits.blank_stop_sequences = false;
  limits.cache_marks = 4;
  using Tiers = std::span<const ServiceTier>;
  limits.service_tier =
      service_tier_word(platform_.service_tiers ? Tiers{claude_tiers} : Tiers{}, request.service_tier).has_value();
  return limits;
}

Result<HttpRequest> AnthropicFormat::encode(const ChatRequest& request, const Endpoint& endpoint, bool stream) const {
  if (!platform_.fetches_files && names_a_file(request)) {
    return Error{ErrorKind::unsupported_capability,
                 "the conversation has an image or a document by its address: the target takes bytes"};
  }
  Result<std::string> body = encode_anthropic_body(request, endpoint.target, stream, platform_);
  if (!body) return std::move(body).error();
  return request_at(platform_.at, *std::move(body), request, endpoint, stream);
}

}  // namespace backstop::inline v0::detail
