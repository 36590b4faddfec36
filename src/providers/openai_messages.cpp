#include "openai_messages.hpp"

#include <string>
#include <utility>
#include <variant>

#include <nlohmann/json.hpp>

namespace backstop::inline v0::detail {
namespace {

using Json = nlohmann::ordered_json;

std::string data_url(std::string_view media_type, std::string_view data) {
  std::string url = "data:";
  return url.append(media_type).append(";base64,").append(data);
}

Json image_part(const Image& image) {
  Json address{{"url", image.url.empty() ? data_url(image.media_type, image.data) : image.url}};
  if (!image.detail.empty()) address["detail"] = image.detail;
  return Json{{"type", "image_url"}, {"image_url", std::move(address)}};
}

Result<Json> document_part(const Document& document, const Target& target, const OpenAiDialect& dialect) {
  if (dialect.document_urls) {
    const std::string url = document.url.empty() ? data_url(document.media_type, document.data) : document.url;
    Json part{{"type", "document_url"}, {"document_url", url}};
    if (!document.name.empty()) part["document_name"] = document.name;
    return part;
  }
  if (!document.url.empty()) {
    return Error{ErrorKind::unsupported_capability,
                 target.name() + " takes documents by their bytes only, not by an address"};
  }
  return Json{{"type", "file"},
              {"file", Json{{"filename", document.name.empty() ? "document" : document.name},
                            {"file_data", data_url(document.media_type, document.data)}}}};
}

Json text_part(const Text& text) { return Json{{"type", "text"}, {"text", text.text}}; }

/// Writes one message after the other.
class Writer {
 public:
  Writer(const Target& target, const OpenAiDialect& dialect, std::string_view system_role)
      : target_{target}, dialect_{dialect}, system_role_{system_role} {}

  [[nodiscard]] Result<void> write(const Message& message, std::size_t place) {
    place_ = place;
    switch (message.role) {
      case Role::system: return write_system(message);
      case Role::user:
      case Role::tool: return write_user(message);
      case Role::assistant: return write_assistant(message);
    }
    return {};
  }
  [[nodiscard]] Json take() { return std::move(messages_); }

 private:
  [[nodiscard]] Error misplaced(std::string_view what, Role role) const {
    return {ErrorKind::invalid_request, "messages[" + std::to_string(place_) + "]: " + std::string{what} +
                                            " cannot stand in a message of the role " + std::string{to_string(role)}};
  }

  Result<void> write_system(const Message& message) {
    for (const Part& part : message.parts) {
      if (!std::holds_alternative<Text>(part)) return misplaced("anything but text", message.role);
    }
    messages_.push_back(Json{{"role", system_role_}, {"content", text_of(message.parts)}});
    return {};
  }

  // Results first: they have to follow the calls that they answer.
  Result<void> write_user(const Message& message) {
    Json content = Json::array();
    bool only_text = true;
    for (const Part& part : message.parts) {
      if (const auto* result = std::get_if<ToolResult>(&part)) {
        write_result(*result);
      } else if (const auto* text = std::get_if<Text>(&part)) {
        content.push_back(text_part(*text));
      } else if (const auto* image = std::get_if<Image>(&part)) {
        content.push_back(image_part(*image));
        only_text = false;
      } else if (const auto* document = std::get_if<Document>(&part)) {
        Result<Json> written = document_part(*document, target_, dialect_);
        if (!written) return std::move(written).error();
        content.push_back(*std::move(written));
        only_text = false;
      } else {
        return misplaced("reasoning or a tool call", message.role);
      }
    }
    if (content.empty()) return {};
    // A string is what every server takes.
    if (only_text && content.size() == 1) content = std::move(content[0]["text"]);
    messages_.push_back(Json{{"role", "user"}, {"content", std::move(content)}});
    return {};
  }

  void write_result(const ToolResult& result) {
    messages_.push_back(Json{{"role", "tool"},
                             {"tool_call_id", result.call_id},
                             {"content", result.is_error ? "Error: " + result.text : result.text}});
  }

  Result<void> write_assistant(const Message& message) {
    std::string text;
    std::string reasoning;
    Json calls = Json::array();
    for (const Part& part : message.parts) {
      if (const auto* said = std::get_if<Text>(&part)) {
        text += said->text;
      } else if (const auto* thought = std::get_if<Reasoning>(&part)) {
        if (thought->origin.provider() == target_.provider()) reasoning += thought->text;
      } else if (const auto* call = std::get_if<ToolCall>(&part)) {
        calls.push_back(
            Json{{"id", call->id},
                 {"type", "function"},
                 {"function",
                  Json{{"name", call->name}, {"arguments", call->arguments.empty() ? "{}" : call->arguments}}}});
      } else {
        return misplaced("an image, a document or a tool result", message.role);
      }
    }
    Json written{{"role", "assistant"}};
    // OpenAI wants null, not an empty string, beside calls.
    written["content"] = text.empty() && !calls.empty() ? Json{} : Json(std::move(text));
    add_reasoning(written, std::move(reasoning));
    if (!calls.empty()) written["tool_calls"] = std::move(calls);
    messages_.push_back(std::move(written));
    return {};
  }

  // DeepSeek's fourth generation wants the field on every assistant message, its earlier ones on none.
  void add_reasoning(Json& written, std::string reasoning) const {
    using Field = OpenAiDialect::ReasoningField;
    if (dialect_.reasoning == Field::reasoning_content) {
      if (target_.model().starts_with("deepseek-v4")) written["reasoning_content"] = std::move(reasoning);
    } else if (dialect_.reasoning == Field::reasoning && !reasoning.empty()) {
      written["reasoning"] = std::move(reasoning);
    }
  }

  const Target& target_;
  const OpenAiDialect& dialect_;
  std::string_view system_role_;
  std::size_t place_ = 0;
  Json messages_ = Json::array();
};

}  // namespace

Result<Json> openai_messages(const std::vector<Message>& messages, const Target& target, const OpenAiDialect& dialect,
                             std::string_view system_role) {
  Writer writer{target, dialect, system_role};
  for (std::size_t place = 0; place < messages.size(); ++place) {
    if (auto written = writer.write(messages[place], place); !written) return std::move(written).error();
  }
  return writer.take();
}

}  // namespace backstop::inline v0::detail
