#include "messages.hpp"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>
#include <variant>

#include "backstop/json.hpp"

namespace backstop::inline v0::detail {
namespace {

using Json = nlohmann::ordered_json;

/// Stands in where a conversation begins with a turn of the model, which the wire does not allow.
constexpr std::string_view missing_opening = "(The beginning of this conversation is not shown.)";
/// In place of a signature where another provider's model made the call; documented for that.
constexpr std::string_view no_signature = "skip_thought_signature_validator";

[[nodiscard]] Json gemini_text(std::string text) { return Json{{"text", std::move(text)}}; }

/// Bytes, or an address.
template <class File>
[[nodiscard]] Json file_part(const File& file) {
  if (!file.data.empty()) return Json{{"inlineData", {{"mimeType", file.media_type}, {"data", file.data}}}};
  Json data{{"fileUri", file.url}};
  if (!file.media_type.empty()) data["mimeType"] = file.media_type;
  return Json{{"fileData", std::move(data)}};
}

class GeminiTurns {
 public:
  GeminiTurns(const GeminiFamily& family, bool call_ids) noexcept : family_{&family}, call_ids_{call_ids} {}

  [[nodiscard]] Result<GeminiConversation> write(const std::vector<Message>& messages) {
    const auto first_turn = std::find_if(messages.begin(), messages.end(),
                                         [](const Message& message) { return message.role != Role::system; });
    // Instructions alone are no conversation: they are asked as a question.
    const bool only_system = first_turn == messages.end();
    const bool apart = family_->takes_instruction && !only_system;
    for (auto message = messages.begin(); message != first_turn; ++message) add_system(*message, apart, true);
    for (auto message = first_turn; message != messages.end(); ++message) add(*message);
    if (out_.contents.empty()) {
      return Error{ErrorKind::invalid_request, "messages: the conversation is empty; it needs a message with content"};
    }
    return std::move(out_);
  }

 private:
  void add_system(const Message& message, bool apart, bool leading) {
    const std::string text = text_of(message.parts);
    if (text.empty()) return;
    if (!apart) {
      // Moving it to the front would change its meaning.
      append("user", gemini_text(leading ? text : "<system>" + text + "</system>"));
      return;
    }
    if (!out_.instruction.empty()) out_.instruction += "\n\n";
    out_.instruction += text;
  }

  void add(const Message& message) {
    if (message.role == Role::system) return add_system(message, false, false);
    const std::string_view role = message.role == Role::assistant ? "model" : "user";
    signature_.clear();
    called_ = false;
    for (const Part& part : message.parts) std::visit([&](const auto& one) { add_part(role, one); }, part);
    flush_signature(role);
  }

  void add_part(std::string_view role, const Text& text) {
    if (text.text.empty()) return;
    flush_signature(role);
    append(role, gemini_text(text.text));
  }
  void add_part(std::string_view role, const Image& image) { append(role, file_part(image)); }
  void add_part(std::string_view role, const Document& document) { append(role, file_part(document)); }
  void add_part(std::string_view role, const Audio& audio) {
    append(role, Json{{"inlineData", {{"mimeType", audio.media_type}, {"data", audio.data}}}});
  }
  /// Its text is a summary, and is not asked back; its signature goes with what follows it.
  void add_part(std::string_view role, const Reasoning& reasoning) {
    if (reasoning.signature.empty()) return;
    flush_signature(role);
    signature_ = reasoning.signature;
  }
  void add_part(std::string_view role, const ToolCall& call) {
    names_[call.id] = call.name;
    Json part{{"functionCall", identified(call.id)}};
    part["functionCall"]["name"] = call.name;
    part["functionCall"]["args"] = arguments_to_json(call.arguments);
    if (!signature_.empty()) {
      part["thoughtSignature"] = std::exchange(signature_, {});
    } else if (family_->needs_signature && !called_) {
      part["thoughtSignature"] = no_signature;
    }
    called_ = true;
    append(role, std::move(part));
  }
  void add_part(std::string_view role, const ToolResult& result) {
    const auto name = names_.find(result.call_id);
    Json answer = identified(result.call_id);
    answer["name"] = name == names_.end() ? std::string{"unknown"} : name->second;
    answer["response"] = Json{{result.is_error ? "error" : "output", result.text}};
    for (const ToolFile& file : result.files) {
      answer["parts"].push_back(std::visit([](const auto& one) { return file_part(one); }, file));
    }
    append(role, Json{{"functionResponse", std::move(answer)}});
  }

  [[nodiscard]] Json identified(const std::string& id) const {
    return call_ids_ ? Json{{"id", id}} : Json::object();
  }

  /// One that no call has taken stands on its own.
  void flush_signature(std::string_view role) {
    if (signature_.empty()) return;
    Json part = gemini_text("");
    part["thoughtSignature"] = std::exchange(signature_, {});
    append(role, std::move(part));
  }

  void append(std::string_view role, Json part) {
    if (out_.contents.empty() && role == "model") append("user", gemini_text(std::string{missing_opening}));
    if (out_.contents.empty() || out_.contents.back()["role"].get_ref<const std::string&>() != role) {
      out_.contents.push_back(Json{{"role", role}, {"parts", Json::array()}});
    }
    out_.contents.back()["parts"].push_back(std::move(part));
  }

  const GeminiFamily* family_;
  bool call_ids_;
  GeminiConversation out_;
  std::map<std::string, std::string> names_;  // of the calls so far, by id
  std::string signature_;                     // read, and not yet written
  bool called_ = false;                       // the turn has a call
};

}  // namespace

Result<GeminiConversation> encode_gemini_conversation(const std::vector<Message>& messages,
                                                      const GeminiFamily& family, bool call_ids) {
  return GeminiTurns{family, call_ids}.write(messages);
}

}  // namespace backstop::inline v0::detail
