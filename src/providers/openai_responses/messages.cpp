#include "messages.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <variant>

#include "providers/wire/request_parts.hpp"

namespace backstop::inline v0::detail {
namespace {

using Messages = std::vector<Message>;

/// The first message that is not system text; the end where there is none.
Messages::const_iterator first_turn(const Messages& messages) {
  return std::find_if(messages.begin(), messages.end(),
                      [](const Message& message) { return message.role != Role::system; });
}

bool is_only_system(const Messages& messages) { return first_turn(messages) == messages.end(); }

bool is_text(const Part& part) noexcept { return std::holds_alternative<Text>(part); }

/// Writes one message after the other as items.
class InputWriter {
 public:
  InputWriter(JsonWriter& json, const Target& target, std::string_view system_role)
      : json_{json}, target_{target}, system_role_{system_role} {}

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

  [[nodiscard]] bool wrote_any() const noexcept { return wrote_any_; }

 private:
  [[nodiscard]] Error misplaced(std::string_view what, Role role) const {
    return {ErrorKind::invalid_request, "messages[" + std::to_string(place_) + "]: " + std::string{what} +
                                            " cannot stand in a message of the role " + std::string{to_string(role)}};
  }

  void begin_item() {
    wrote_any_ = true;
    json_.begin_object();
  }

  void write_text_message(std::string_view role, std::string_view text) {
    begin_item();
    json_.field("role", role);
    json_.field("content", text);
    json_.end_object();
  }

  Result<void> write_system(const Message& message) {
    if (!std::all_of(message.parts.begin(), message.parts.end(), is_text)) {
      return misplaced("anything but text", message.role);
    }
    if (const std::string text = text_of(message.parts); !text.empty()) write_text_message(system_role_, text);
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
    if (std::count_if(message.parts.begin(), message.parts.end(), is_text) == others) {
      write_text_message("user", text_of(message.parts));
      return {};
    }
    begin_item();
    json_.field("role", "user");
    if (auto written = write_parts(message); !written) return written;
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
        json_.field("type", "input_text");
        json_.field("text", text->text);
      } else if (const auto* image = std::get_if<Image>(&part)) {
        write_file(*image);
      } else if (const auto* document = std::get_if<Document>(&part)) {
        write_file(*document);
      } else if (std::holds_alternative<Audio>(part)) {
        return Error{ErrorKind::unsupported_capability, target_.name() + " takes no recordings over this wire"};
      } else {
        return misplaced("reasoning or a tool call", message.role);
      }
      json_.end_object();
    }
    json_.end_array();
    return {};
  }

  void write_data_url(std::string_view key, std::string_view media_type, std::string_view data) {
    json_.key(key);
    json_.begin_string();
    json_.add_to_string("data:");
    json_.add_to_string(media_type);
    json_.add_to_string(";base64,");
    json_.add_to_string(data);
    json_.end_string();
  }

  void write_file(const Image& image) {
    json_.field("type", "input_image");
    if (image.url.empty()) {
      write_data_url("image_url", image.media_type, image.data);
    } else {
      json_.field("image_url", image.url);
    }
    json_.field("detail", image.detail.empty() ? std::string_view{"auto"} : std::string_view{image.detail});
  }

  void write_file(const Document& document) {
    json_.field("type", "input_file");
    if (!document.url.empty()) return json_.field("file_url", document.url);
    json_.field("filename", document.name.empty() ? std::string_view{"document"} : std::string_view{document.name});
    write_data_url("file_data", document.media_type, document.data);
  }

  void write_result(const ToolResult& result) {
    begin_item();
    json_.field("type", "function_call_output");
    json_.field("call_id", result.call_id);
    json_.key("output");
    if (result.files.empty()) {
      write_words(result);
    } else {
      json_.begin_array();
      if (!result.text.empty() || result.is_error) {
        json_.begin_object();
        json_.field("type", "input_text");
        json_.key("text");
        write_words(result);
        json_.end_object();
      }
      for (const ToolFile& file : result.files) {
        json_.begin_object();
        std::visit([this](const auto& one) { write_file(one); }, file);
        json_.end_object();
      }
      json_.end_array();
    }
    json_.end_object();
  }

  void write_words(const ToolResult& result) {
    json_.begin_string();
    if (result.is_error) json_.add_to_string("Error: ");
    json_.add_to_string(result.text);
    json_.end_string();
  }

  // Items in the order of the parts; texts that follow one another are one message.
  Result<void> write_assistant(const Message& message) {
    std::vector<const Reasoning*> thoughts;  // written with what follows them, or not at all
    std::string text;
    const auto end_text = [&] {
      if (!text.empty()) write_text_message("assistant", text);
      text.clear();
    };
    for (const Part& part : message.parts) {
      if (const auto* words = std::get_if<Text>(&part)) {
        if (!words->text.empty()) write_thoughts(thoughts);
        text += words->text;
      } else if (const auto* call = std::get_if<ToolCall>(&part)) {
        end_text();
        write_thoughts(thoughts);
        write_call(*call);
      } else if (const auto* thought = std::get_if<Reasoning>(&part)) {
        end_text();
        if (thought->origin == target_ && !thought->signature.empty()) thoughts.push_back(thought);
      } else {
        return misplaced("an image, a document or a tool result", message.role);
      }
    }
    end_text();
    return {};
  }

  void write_thoughts(std::vector<const Reasoning*>& thoughts) {
    for (const Reasoning* thought : thoughts) write_thought(*thought);
    thoughts.clear();
  }

  void write_thought(const Reasoning& thought) {
    const std::string_view proof = thought.signature;
    const std::size_t blank = proof.find(' ');
    begin_item();
    json_.field("type", "reasoning");
    if (blank != std::string_view::npos) json_.field("id", proof.substr(0, blank));
    json_.key("summary");
    json_.begin_array();
    if (!thought.text.empty()) {
      json_.begin_object();
      json_.field("type", "summary_text");
      json_.field("text", thought.text);
      json_.end_object();
    }
    json_.end_array();
    json_.field("encrypted_content", blank == std::string_view::npos ? proof : proof.substr(blank + 1));
    json_.end_object();
  }

  void write_call(const ToolCall& call) {
    begin_item();
    json_.field("type", "function_call");
    json_.field("call_id", call.id);
    json_.field("name", call.name);
    write_arguments(json_, call.arguments);
    json_.end_object();
  }

  JsonWriter& json_;
  const Target& target_;
  std::string_view system_role_;
  std::size_t place_ = 0;
  bool wrote_any_ = false;
};

}  // namespace

std::string reasoning_signature(std::string_view id, std::string_view encrypted_content) {
  if (encrypted_content.empty()) return {};
  const bool fits = !id.empty() && id.find(' ') == std::string_view::npos;
  return fits ? std::string{id}.append(1, ' ').append(encrypted_content) : std::string{encrypted_content};
}

std::string leading_instructions(const Messages& messages) {
  std::string instructions;
  if (is_only_system(messages)) return instructions;
  std::for_each(messages.begin(), first_turn(messages), [&](const Message& message) {
    const std::string text = text_of(message.parts);
    if (!text.empty()) instructions.append(instructions.empty() ? "" : "\n\n").append(text);
  });
  return instructions;
}

Result<void> write_responses_input(JsonWriter& json, const Messages& messages, const Target& target,
                                   std::string_view system_role) {
  const auto first = is_only_system(messages) ? messages.begin() : first_turn(messages);
  for (auto message = messages.begin(); message != first; ++message) {
    if (std::all_of(message->parts.begin(), message->parts.end(), is_text)) continue;
    return Error{ErrorKind::invalid_request, "messages[" + std::to_string(message - messages.begin()) +
                                                 "]: anything but text cannot stand in a message of the role system"};
  }
  InputWriter writer{json, target, system_role};
  json.begin_array();
  for (auto message = first; message != messages.end(); ++message) {
    if (auto written = writer.write(*message, static_cast<std::size_t>(message - messages.begin())); !written) {
      return written;
    }
  }
  json.end_array();
  if (writer.wrote_any()) return {};
  return Error{ErrorKind::invalid_request, "messages: the conversation is empty; it needs a message with content"};
}

}  // namespace backstop::inline v0::detail
