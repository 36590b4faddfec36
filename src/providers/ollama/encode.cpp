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
#include "providers/http/platform.hpp"
#include "providers/wire/request_parts.hpp"
#include "providers/wire/service_tier.hpp"

namespace backstop::inline v0::detail {
namespace {

using Json = nlohmann::ordered_json;

/// The levels are for gpt-oss; other models are told whether to think, and some refuse a level.
struct OllamaEffort {
  std::string_view name;
  std::string_view level;
};
constexpr std::array<OllamaEffort, 7> ollama_efforts{{
    {"none", "low"},
    {"minimal", "low"},
    {"low", "low"},
    {"medium", "medium"},
    {"high", "high"},
    {"xhigh", "high"},
    {"max", "high"},
}};

/// Writes the body of one request, key by key.
class OllamaBody {
 public:
  OllamaBody(const ChatRequest& request, const Target& target) : request_{request}, target_{target} {}

  [[nodiscard]] Result<std::string> write(bool stream) {
    Result<Json> messages = encode_ollama_messages(request_.messages, target_);
    if (!messages) return std::move(messages).error();
    body_["model"] = target_.model();
    body_["stream"] = stream;
    // Else the server leaves out the beginning, or what was said before the answer, without a word.
    body_["truncate"] = false;
    body_["shift"] = false;
    if (auto error = write_tools()) return *std::move(error);
    if (auto error = write_format(*messages)) return *std::move(error);
    body_["messages"] = *std::move(messages);
    if (auto error = write_thinking()) return *std::move(error);
    write_options();
    return json_text(body_);
  }

 private:
  using Failure = std::optional<Error>;

  [[nodiscard]] Failure write_tools() {
    if (request_.tools.empty()) return std::nullopt;
    const ToolChoice::Mode mode = request_.tool_choice ? request_.tool_choice->mode : ToolChoice::Mode::automatic;
    if (mode == ToolChoice::Mode::none) return std::nullopt;
    if (mode != ToolChoice::Mode::automatic) {
      return Error{ErrorKind::unsupported_capability,
                   fmt::format("{} cannot be made to call a tool (`tool_choice`)", target_.name())};
    }
    Json tools = Json::array();
    for (std::size_t i = 0; i < request_.tools.size(); ++i) {
      const Tool& tool = request_.tools[i];
      Json function{{"name", tool.name}, {"description", tool.description}};
      Json parameters{{"type", "object"}, {"properties", Json::object()}};
      if (!tool.parameters.empty()) {
        Result<Json> schema = read_schema(tool.parameters, fmt::format("tools[{}].parameters", i));
        if (!schema) return std::move(schema).error();
        parameters = *std::move(schema);
        if (!parameters.contains("type")) parameters["type"] = "object";
      }
      function["parameters"] = std::move(parameters);
      tools.push_back(Json{{"type", "function"}, {"function", std::move(function)}});
    }
    body_["tools"] = std::move(tools);
    return std::nullopt;
  }

  [[nodiscard]] Failure write_format(Json& messages) {
    if (!request_.response_format || request_.response_format->type == ResponseFormat::Type::text) return std::nullopt;
    const ResponseFormat& format = *request_.response_format;
    if (format.by_instruction) return std::nullopt;
    Json wanted = "json";
    std::string asked = format_in_words(nullptr);
    if (format.type == ResponseFormat::Type::json_schema) {
      Result<Json> schema = read_schema(format.schema.empty() ? R"({"type": "object"})" : format.schema,
                                        "response_format.schema");
      if (!schema) return std::move(schema).error();
      wanted = *std::move(schema);
      asked = format_in_words(&wanted);
    }
    if (!body_.contains("tools")) {
      body_["format"] = std::move(wanted);
    } else if (messages.front()["role"] == "system") {
      messages.front()["content"].get_ref<std::string&>() += "\n\n" + asked;
    } else {
      messages.insert(messages.begin(), Json{{"role", "system"}, {"content", std::move(asked)}});
    }
    return std::nullopt;
  }

  [[nodiscard]] Failure write_thinking() {
    const std::string_view wanted = request_.reasoning_effort;
    if (wanted.empty()) return std::nullopt;
    const Result<const OllamaEffort*> found = effort_of(ollama_efforts, wanted);
    if (!found) return found.error();
    const OllamaEffort& effort = **found;
    if (!target_.facts().capabilities.reasoning) return std::nullopt;
    const std::string_view model = target_.model().substr(target_.model().rfind('/') + 1);
    if (model.starts_with("gpt-oss")) {
      body_["think"] = effort.level;
    } else {
      body_["think"] = wanted != "none";
    }
    return std::nullopt;
  }

  void write_options() {
    Json options = Json::object();
    if (const auto window = target_.facts().context_window) options["num_ctx"] = *window;
    if (request_.max_output_tokens) options["num_predict"] = *request_.max_output_tokens;
    if (request_.temperature) options["temperature"] = *request_.temperature;
    if (request_.top_p) options["top_p"] = *request_.top_p;
    if (request_.top_k) options["top_k"] = *request_.top_k;
    if (request_.frequency_penalty) options["frequency_penalty"] = *request_.frequency_penalty;
    if (request_.presence_penalty) options["presence_penalty"] = *request_.presence_penalty;
    if (request_.seed) options["seed"] = *request_.seed;
    if (!request_.stop.empty()) options["stop"] = request_.stop;
    if (!options.empty()) body_["options"] = std::move(options);
  }

  const ChatRequest& request_;
  const Target& target_;
  Json body_ = Json::object();
};

}  // namespace

Result<std::string> encode_ollama_body(const ChatRequest& request, const Target& target, bool stream) {
  return OllamaBody{request, target}.write(stream);
}

RequestLimits OllamaFormat::limits(const ChatRequest& request, const Target& target) const noexcept {
  RequestLimits limits = WireFormat::limits(request, target);
  limits.service_tier = service_tier_word({}, request.service_tier).has_value();
  return limits;
}

Result<HttpRequest> OllamaFormat::encode(const ChatRequest& request, const Endpoint& endpoint, bool stream) const {
  Result<std::string> body = encode_ollama_body(request, endpoint.target, stream);
  if (!body) return std::move(body).error();
  constexpr Platform platform{.path = "/chat", .root = "/api"};
  return request_at(platform, *std::move(body), request, endpoint, stream);
}

}  // namespace backstop::inline v0::detail
