#include "messages.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "backstop/json.hpp"
#include "providers/wire/base64.hpp"

namespace backstop::inline v0::detail {
namespace {

using Json = nlohmann::ordered_json;

/// Stands in where a conversation begins with a turn of the model, which the wire does not allow.
constexpr std::string_view missing_beginning = "(The beginning of this conversation is not shown.)";

[[nodiscard]] Json text_block(std::string text) { return Json{{"type", "text"}, {"text", std::move(text)}}; }

[[nodiscard]] Json bytes_source(const std::string& media_type, const std::string& data) {
  return Json{{"type", "base64"}, {"media_type", media_type}, {"data", data}};
}

[[nodiscard]] Json url_source(const std::string& url) { return Json{{"type", "url"}, {"url", url}}; }

/// A part as a content block; null for one that the wire has no place for, such as reasoning without its proof.
class BlockWriter {
 public:
  Json operator()(const Text& text) const { return text_block(text.text); }
  Json operator()(const Image& image) const {
    return Json{{"type", "image"},
                {"source", image.data.empty() ? url_source(image.url) : bytes_source(image.media_type, image.data)}};
  }
  Json operator()(const Document& document) {
    Json block{{"type", "document"}};
    if (document.data.empty()) {
      block["source"] = url_source(document.url);
    } else if (document.media_type == "application/pdf") {
      block["source"] = bytes_source(document.media_type, document.data);
    } else if (std::optional<std::string> text = text_of_document(document)) {
      block["source"] = Json{{"type", "text"}, {"media_type", "text/plain"}, {"data", *std::move(text)}};
    } else {
      unsupported_ =
          fmt::format("a document of type \"{}\": PDF and UTF-8 text are what this API takes", document.media_type);
      return nullptr;
    }
    if (!document.name.empty()) block["title"] = document.name;
    return block;
  }
  Json operator()(const Reasoning& reasoning) const {
    if (!reasoning.redacted.empty()) return Json{{"type", "redacted_thinking"}, {"data", reasoning.redacted}};
    if (reasoning.signature.empty()) return nullptr;
    return Json{{"type", "thinking"}, {"thinking", reasoning.text}, {"signature", reasoning.signature}};
  }
  Json operator()(const ToolCall& call) const {
    return Json{
        {"type", "tool_use"}, {"id", call.id}, {"name", call.name}, {"input", arguments_to_json(call.arguments)}};
  }
  Json operator()(const ToolResult& result) const {
    Json block{{"type", "tool_result"}, {"tool_use_id", result.call_id}};
    if (!result.text.empty()) block["content"] = result.text;
    if (result.is_error) block["is_error"] = true;
    return block;
  }

  [[nodiscard]] const std::string& unsupported() const noexcept { return unsupported_; }

 private:
  [[nodiscard]] static std::optional<std::string> text_of_document(const Document& document) {
    if (std::string_view{document.media_type}.substr(0, 5) != "text/") return std::nullopt;
    return decode_base64(document.data);
  }

  std::string unsupported_;
};

[[nodiscard]] bool is_block(const Json& block, std::string_view type) {
  return block["type"].get_ref<const std::string&>() == type;
}

/// Puts the blocks of that type first and leaves the order otherwise.
void move_first(Json& blocks, std::string_view type) {
  std::stable_partition(blocks.begin(), blocks.end(), [type](const Json& block) { return is_block(block, type); });
}

/// Calls go last, unless thinking stands between them: its place must not change.
void move_calls_last(Json& blocks) {
  const bool thinks = std::any_of(blocks.begin(), blocks.end(), [](const Json& block) {
    return is_block(block, "thinking") || is_block(block, "redacted_thinking");
  });
  if (thinks) return;
  std::stable_partition(blocks.begin(), blocks.end(), [](const Json& block) { return !is_block(block, "tool_use"); });
}

class ConversationWriter {
 public:
  [[nodiscard]] Result<AnthropicConversation> write(const std::vector<Message>& messages) {
    const auto first_turn = std::find_if(messages.begin(), messages.end(),
                                         [](const Message& message) { return message.role != Role::system; });
    // Instructions alone are no conversation: they are asked as a question.
    const bool only_system = first_turn == messages.end();
    if (!only_system) {
      std::for_each(messages.begin(), first_turn, [this](const Message& message) { add_system(message); });
    }
    for (auto message = only_system ? messages.begin() : first_turn; message != messages.end(); ++message) {
      add(*message, only_system);
      if (!blocks_.unsupported().empty()) {
        return Error{ErrorKind::unsupported_capability, "the conversation has " + blocks_.unsupported()};
      }
    }
    if (out_.messages.empty()) {
      return Error{ErrorKind::invalid_request, "messages: the conversation is empty; it needs a message with content"};
    }
    finish();
    return std::move(out_);
  }

 private:
  void add_system(const Message& message) {
    const std::string text = text_of(message.parts);
    if (text.empty()) return;
    if (!out_.system.empty()) out_.system += "\n\n";
    out_.system += text;
  }

  void add(const Message& message, bool plain) {
    const std::string_view role = message.role == Role::assistant ? "assistant" : "user";
    if (message.role == Role::system) {
      // Moving it to the front would change its meaning, and break the provider's prompt cache.
      const std::string text = text_of(message.parts);
      if (!text.empty()) append(role, text_block(plain ? text : "<system>" + text + "</system>"));
      return;
    }
    for (const Part& part : message.parts) append(role, std::visit(blocks_, part));
  }

  void append(std::string_view role, Json block) {
    if (block.is_null()) return;
    if (out_.messages.empty() && role == "assistant") append("user", text_block(std::string{missing_beginning}));
    if (out_.messages.empty() || out_.messages.back()["role"].get_ref<const std::string&>() != role) {
      out_.messages.push_back(Json{{"role", role}, {"content", Json::array()}});
    }
    out_.messages.back()["content"].push_back(std::move(block));
  }

  void finish() {
    for (Json& turn : out_.messages) {
      if (turn["role"] == "user") {
        move_first(turn["content"], "tool_result");
      } else {
        move_calls_last(turn["content"]);
      }
    }
    trim_prefill();
    find_tool_loop();
    for (Json& turn : out_.messages) shorten(turn);
  }

  /// A turn of the model at the end is one that it goes on with; the wire refuses white space at its end.
  void trim_prefill() {
    Json& last = out_.messages.back();
    if (last["role"] != "assistant" || !is_block(last["content"].back(), "text")) return;
    auto& text = last["content"].back()["text"].get_ref<std::string&>();
    text.erase(text.find_last_not_of(" \t\r\n") + 1);
  }

  void find_tool_loop() {
    if (out_.messages.size() < 2) return;
    const Json& results = out_.messages.back();
    const Json& calls = out_.messages[out_.messages.size() - 2];
    const bool in_loop = results["role"] == "user" && is_block(results["content"].front(), "tool_result");
    const Json& opening = calls["content"].front();
    out_.in_unthought_tool_loop = in_loop && !is_block(opening, "thinking") && !is_block(opening, "redacted_thinking");
  }

  /// A turn of one text is written as that text.
  static void shorten(Json& turn) {
    Json& blocks = turn["content"];
    if (blocks.size() != 1 || !is_block(blocks.front(), "text")) return;
    std::string text = std::move(blocks.front()["text"].get_ref<std::string&>());
    blocks = std::move(text);
  }

  AnthropicConversation out_;
  BlockWriter blocks_;
};

}  // namespace

Result<AnthropicConversation> encode_anthropic_conversation(const std::vector<Message>& messages) {
  return ConversationWriter{}.write(messages);
}

}  // namespace backstop::inline v0::detail
