#include "messages.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "backstop/json.hpp"
#include "providers/wire/base64.hpp"

namespace backstop::inline v0::detail {
namespace {

using Json = nlohmann::ordered_json;

/// What a turn says that has nothing but documents, which stand apart.
constexpr std::string_view only_documents = "(See the documents.)";

[[nodiscard]] Json cohere_text(const std::string& text) { return Json{{"type", "text"}, {"text", text}}; }

[[nodiscard]] Json cohere_image(const Image& image) {
  Json address{{"url", image.url.empty() ? "data:" + image.media_type + ";base64," + image.data : image.url}};
  if (!image.detail.empty()) address["detail"] = image.detail;
  return Json{{"type", "image_url"}, {"image_url", std::move(address)}};
}

/// Parts as they are where one of them is no text; else the texts as one string, which all servers take.
[[nodiscard]] Json cohere_content(Json parts) {
  std::string text;
  for (const Json& part : parts) {
    if (part["type"] != "text") return parts;
    text += part["text"].get_ref<const std::string&>();
  }
  return text;
}

class CohereTurns {
 public:
  explicit CohereTurns(const Target& target) noexcept : target_{&target} {}

  [[nodiscard]] Result<CohereConversation> write(const std::vector<Message>& messages) {
    // Instructions alone are no conversation: they are asked as a question.
    const bool only_system = std::all_of(messages.begin(), messages.end(),
                                         [](const Message& message) { return message.role == Role::system; });
    for (const Message& message : messages) {
      switch (message.role) {
        case Role::system: add_system(message, only_system ? "user" : "system"); break;
        case Role::user:
        case Role::tool: add_user(message); break;
        case Role::assistant: add_assistant(message); break;
      }
    }
    if (unsupported_) return *std::move(unsupported_);
    if (out_.messages.empty()) {
      return Error{ErrorKind::invalid_request, "messages: the conversation is empty; it needs a message with content"};
    }
    return std::move(out_);
  }

 private:
  void add_system(const Message& message, std::string_view role) {
    std::string text = text_of(message.parts);
    if (!text.empty()) out_.messages.push_back(Json{{"role", role}, {"content", std::move(text)}});
  }

  /// Results first: they have to follow the calls that they answer.
  void add_user(const Message& message) {
    Json parts = Json::array();
    bool has_document = false;
    for (const Part& part : message.parts) {
      if (const auto* result = std::get_if<ToolResult>(&part)) {
        add_result(*result);
      } else if (const auto* text = std::get_if<Text>(&part)) {
        if (!text->text.empty()) parts.push_back(cohere_text(text->text));
      } else if (const auto* image = std::get_if<Image>(&part)) {
        parts.push_back(cohere_image(*image));
      } else if (const auto* document = std::get_if<Document>(&part)) {
        add_document(*document);
        has_document = true;
      } else if (std::holds_alternative<Audio>(part) && !unsupported_) {
        unsupported_ = Error{ErrorKind::unsupported_capability, fmt::format("{} takes no recordings", target_->name())};
      }
    }
    if (parts.empty() && has_document) parts.push_back(cohere_text(std::string{only_documents}));
    if (!parts.empty()) out_.messages.push_back(Json{{"role", "user"}, {"content", cohere_content(std::move(parts))}});
  }

  void add_result(const ToolResult& result) {
    out_.messages.push_back(Json{{"role", "tool"},
                                 {"tool_call_id", result.call_id},
                                 {"content", (result.is_error ? "Error: " : "") + result.text}});
  }

  void add_document(const Document& document) {
    const bool is_text = document.media_type.starts_with("text/") && !document.data.empty();
    std::optional<std::string> text = is_text ? decode_base64(document.data) : std::nullopt;
    if (!text) {
      if (unsupported_) return;
      unsupported_ = Error{ErrorKind::unsupported_capability,
                           fmt::format("{} takes documents that are texts, by their bytes; one has the type \"{}\"",
                                       target_->name(), document.media_type)};
      return;
    }
    Json data = Json::object();
    if (!document.name.empty()) data["title"] = document.name;
    data["text"] = *std::move(text);
    out_.documents.push_back(Json{{"data", std::move(data)}});
  }

  /// Models that reason write their thoughts among the content; the others have a plan beside their calls.
  void add_assistant(const Message& message) {
    const bool reasons = target_->facts().capabilities.reasoning;
    Json parts = Json::array();
    Json calls = Json::array();
    std::string plan;
    for (const Part& part : message.parts) {
      if (const auto* text = std::get_if<Text>(&part)) {
        if (!text->text.empty()) parts.push_back(cohere_text(text->text));
      } else if (const auto* thought = std::get_if<Reasoning>(&part)) {
        if (reasons && !thought->text.empty()) {
          parts.push_back(Json{{"type", "thinking"}, {"thinking", thought->text}});
        }
        plan += thought->text;
      } else if (const auto* call = std::get_if<ToolCall>(&part)) {
        calls.push_back(Json{{"id", call->id},
                             {"type", "function"},
                             {"function",
                              {{"name", call->name},
                               {"arguments", json_text(arguments_to_json(call->arguments))}}}});
      }
    }
    if (parts.empty() && calls.empty()) return;
    Json turn{{"role", "assistant"}};
    if (!parts.empty()) turn["content"] = cohere_content(std::move(parts));
    if (!calls.empty()) {
      if (!reasons && !plan.empty()) turn["tool_plan"] = std::move(plan);
      turn["tool_calls"] = std::move(calls);
    }
    out_.messages.push_back(std::move(turn));
  }

  const Target* target_;
  CohereConversation out_;
  std::optional<Error> unsupported_;
};

}  // namespace

Result<CohereConversation> encode_cohere_conversation(const std::vector<Message>& messages, const Target& target) {
  return CohereTurns{target}.write(messages);
}

}  // namespace backstop::inline v0::detail
