#include "messages.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <variant>

#include "providers/wire/request_parts.hpp"

namespace backstop::inline v0::detail {
namespace {

template <class P>
std::ptrdiff_t count_of_kind(const std::vector<Part>& parts) noexcept {
  return std::count_if(parts.begin(), parts.end(), [](const Part& part) { return std::holds_alternative<P>(part); });
}

/// Writes one message after the other.
class Writer {
 public:
  Writer(JsonWriter& json, const Target& target, const OpenAiDialect& dialect, std::string_view system_role,
         bool plain_image_urls)
      : json_{json},
        target_{target},
        dialect_{dialect},
        system_role_{system_role},
        plain_image_urls_{plain_image_urls} {}

  [[nodiscard]] Result<void> write(const Message& message, std::size_t place, bool last) {
    place_ = place;
    last_ = last;
    switch (message.role) {
      case Role::system: return write_system(message);
      case Role::user:
      case Role::tool: return write_user(message);
      case Role::assistant: return write_assistant(message);
    }
    return {};
  }

  [[nodiscard]] bool wrote_any() const noexcept { return wrote_any_; }

 private:
  [[nodiscard]] Error misplaced(std::string_view what, Role role) const {
    return {ErrorKind::invalid_request, "messages[" + std::to_string(place_) + "]: " + std::string{what} +
                                            " cannot stand in a message of the role " + std::string{to_string(role)}};
  }

  void begin(std::string_view role) {
    wrote_any_ = true;
    json_.begin_object();
    json_.field("role", role);
  }

  // All texts, joined without a separator: a string is what every server takes.
  void write_text(const std::vector<Part>& parts) {
    json_.key("content");
    json_.begin_string();
    for (const Part& part : parts) {
      if (const auto* text = std::get_if<Text>(&part)) json_.add_to_string(text->text);
    }
    json_.end_string();
  }

  Result<void> write_system(const Message& message) {
    if (count_of_kind<Text>(message.parts) != std::ssize(message.parts)) {
      return misplaced("anything but text", message.role);
    }
    begin(system_role_);
    write_text(message.parts);
    json_.end_object();
    return {};
  }

  // Results first: they have to follow the calls that they answer.
  Result<void> write_user(const Message& message) {
    std::ptrdiff_t results = 0;
    for (const Part& part : message.parts) {
      if (const auto* result = std::get_if<ToolResult>(&part)) {
        write_result(*result);
        ++results;
      }
    }
    const std::ptrdiff_t others = std::ssize(message.parts) - results;
    if (others == 0) return {};
    begin("user");
    if (others == 1 && count_of_kind<Text>(message.parts) == 1) {
      write_text(message.parts);
    } else if (auto written = write_parts(message); !written) {
      return written;
    }
    json_.end_object();
    return {};
  }

  Result<void> write_parts(const Message& message) {
    json_.key("content");
    json_.begin_array();
    for (const Part& part : message.parts) {
      if (std::holds_alternative<ToolResult>(part)) continue;
      json_.begin_object();
      if (const auto* text = std::get_if<Text>(&part)) {
        json_.field("type", "text");
        json_.field("text", text->text);
      } else if (const auto* image = std::get_if<Image>(&part)) {
        write_image(*image);
      } else if (const auto* document = std::get_if<Document>(&part)) {
        if (auto written = write_document(*document); !written) return written;
      } else if (const auto* audio = std::get_if<Audio>(&part)) {
        if (auto written = write_audio(*audio); !written) return written;
      } else {
        return misplaced("reasoning or a tool call", message.role);
      }
      json_.end_object();
    }
    json_.end_array();
    return {};
  }

  // An address as it is, bytes as a data URL.
  void write_address(std::string_view key, std::string_view url, std::string_view media_type, std::string_view data) {
    json_.key(key);
    json_.begin_string();
    if (url.empty()) {
      json_.add_to_string("data:");
      json_.add_to_string(media_type);
      json_.add_to_string(";base64,");
      json_.add_to_string(data);
    } else {
      json_.add_to_string(url);
    }
    json_.end_string();
  }

  void write_image(const Image& image) {
    json_.field("type", "image_url");
    if (plain_image_urls_) return write_address("image_url", image.url, image.media_type, image.data);
    json_.key("image_url");
    json_.begin_object();
    write_address("url", image.url, image.media_type, image.data);
    if (!image.detail.empty()) json_.field("detail", image.detail);
    json_.end_object();
  }

  Result<void> write_document(const Document& document) {
    if (dialect_.document_urls) {
      json_.field("type", "document_url");
      write_address("document_url", document.url, document.media_type, document.data);
      if (!document.name.empty()) json_.field("document_name", document.name);
      return {};
    }
    if (!document.url.empty()) {
      return Error{ErrorKind::unsupported_capability,
                   target_.name() + " takes documents by their bytes only, not by an address"};
    }
    json_.field("type", "file");
    json_.key("file");
    json_.begin_object();
    json_.field("filename", document.name.empty() ? std::string_view{"document"} : std::string_view{document.name});
    write_address("file_data", {}, document.media_type, document.data);
    json_.end_object();
    return {};
  }

  Result<void> write_audio(const Audio& audio) {
    if (dialect_.plain_audio) {
      json_.field("type", "input_audio");
      json_.field("input_audio", audio.data);
      return {};
    }
    const std::string_view type = audio.media_type;
    const bool wav = type == "audio/wav" || type == "audio/x-wav" || type == "audio/wave";
    if (!wav && type != "audio/mpeg" && type != "audio/mp3") {
      return Error{ErrorKind::unsupported_capability,
                   "the conversation has a recording of type \"" + audio.media_type +
                       "\": audio/wav and audio/mpeg are what this API takes"};
    }
    json_.field("type", "input_audio");
    json_.key("input_audio");
    json_.begin_object();
    json_.field("data", audio.data);
    json_.field("format", wav ? "wav" : "mp3");
    json_.end_object();
    return {};
  }

  void write_result(const ToolResult& result) {
    begin("tool");
    json_.field("tool_call_id", result.call_id);
    json_.key("content");
    json_.begin_string();
    if (result.is_error) json_.add_to_string("Error: ");
    json_.add_to_string(result.text);
    json_.end_string();
    json_.end_object();
  }

  Result<void> write_assistant(const Message& message) {
    const std::ptrdiff_t texts = count_of_kind<Text>(message.parts);
    const std::ptrdiff_t calls = count_of_kind<ToolCall>(message.parts);
    if (texts + calls + count_of_kind<Reasoning>(message.parts) != std::ssize(message.parts)) {
      return misplaced("an image, a document or a tool result", message.role);
    }
    if (calls == 0 && says_nothing(message.parts)) return {};
    begin("assistant");
    if (!write_thinking_part(message.parts)) {
      if (texts == 0 && calls != 0) {
        json_.key("content");
        json_.null();  // not an empty string beside calls
      } else {
        write_text(message.parts);
      }
    }
    write_reasoning(message.parts);
    if (calls != 0) write_calls(message.parts);
    if (dialect_.prefix && last_ && calls == 0) json_.field("prefix", true);
    json_.end_object();
    return {};
  }

  // Such a turn is refused by some servers, and tells the others nothing.
  [[nodiscard]] bool says_nothing(const std::vector<Part>& parts) const {
    return std::all_of(parts.begin(), parts.end(), [this](const Part& part) {
      const auto* text = std::get_if<Text>(&part);
      const auto* thought = std::get_if<Reasoning>(&part);
      if (text != nullptr) return text->text.empty();
      return thought == nullptr || thought->text.empty() || thought->origin.provider() != target_.provider();
    });
  }

  // Mistral has what the model thought in front of the text, in the same list. Only what this very model thought.
  bool write_thinking_part(const std::vector<Part>& parts) {
    if (dialect_.reasoning != OpenAiDialect::ReasoningField::thinking_part) return false;
    const auto is_own = [this](const Part& part) {
      const auto* thought = std::get_if<Reasoning>(&part);
      return thought != nullptr && thought->origin == target_ && !thought->text.empty();
    };
    if (std::none_of(parts.begin(), parts.end(), is_own)) return false;
    json_.key("content");
    json_.begin_array();
    for (const Part& part : parts) {
      if (is_own(part)) write_thought(std::get<Reasoning>(part));
      const auto* text = std::get_if<Text>(&part);
      if (text == nullptr || text->text.empty()) continue;
      json_.begin_object();
      json_.field("type", "text");
      json_.field("text", text->text);
      json_.end_object();
    }
    json_.end_array();
    return true;
  }

  void write_thought(const Reasoning& thought) {
    json_.begin_object();
    json_.field("type", "thinking");
    json_.key("thinking");
    json_.begin_array();
    json_.begin_object();
    json_.field("type", "text");
    json_.field("text", thought.text);
    json_.end_object();
    json_.end_array();
    json_.field("closed", true);
    json_.end_object();
  }

  // DeepSeek's fourth generation wants the field on every assistant message, its earlier ones on none.
  void write_reasoning(const std::vector<Part>& parts) {
    using Field = OpenAiDialect::ReasoningField;
    std::string reasoning;
    for (const Part& part : parts) {
      const auto* thought = std::get_if<Reasoning>(&part);
      if (thought != nullptr && thought->origin.provider() == target_.provider()) reasoning += thought->text;
    }
    if (dialect_.reasoning == Field::reasoning_content) {
      if (target_.model().starts_with("deepseek-v4")) json_.field("reasoning_content", reasoning);
    } else if (dialect_.reasoning == Field::reasoning && !reasoning.empty()) {
      json_.field("reasoning", reasoning);
    }
  }

  void write_calls(const std::vector<Part>& parts) {
    json_.key("tool_calls");
    json_.begin_array();
    for (const Part& part : parts) {
      const auto* call = std::get_if<ToolCall>(&part);
      if (call == nullptr) continue;
      json_.begin_object();
      json_.field("id", call->id);
      json_.field("type", "function");
      json_.key("function");
      json_.begin_object();
      json_.field("name", call->name);
      write_arguments(json_, call->arguments);
      json_.end_object();
      json_.end_object();
    }
    json_.end_array();
  }

  JsonWriter& json_;
  const Target& target_;
  const OpenAiDialect& dialect_;
  std::string_view system_role_;
  bool plain_image_urls_;
  std::size_t place_ = 0;
  bool last_ = false;
  bool wrote_any_ = false;
};

}  // namespace

Result<void> write_openai_messages(JsonWriter& json, const std::vector<Message>& messages, const Target& target,
                                   const OpenAiDialect& dialect, std::string_view system_role, bool plain_image_urls) {
  Writer writer{json, target, dialect, system_role, plain_image_urls};
  json.begin_array();
  for (std::size_t place = 0; place < messages.size(); ++place) {
    if (auto written = writer.write(messages[place], place, place + 1 == messages.size()); !written) return written;
  }
  json.end_array();
  if (writer.wrote_any()) return {};
  return Error{ErrorKind::invalid_request, "messages: the conversation is empty; it needs a message with content"};
}

}  // namespace backstop::inline v0::detail
