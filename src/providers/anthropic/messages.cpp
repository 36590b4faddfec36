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

constexpr const char* cache_field = "cache_control";

[[nodiscard]] Json bytes_source(const std::string& media_type, const std::string& data) {
  return Json{{"type", "base64"}, {"media_type", media_type}, {"data", data}};
}

[[nodiscard]] Json url_source(const std::string& url) { return Json{{"type", "url"}, {"url", url}}; }

[[nodiscard]] bool is_block(const Json& block, std::string_view type) {
  return block["type"].get_ref<const std::string&>() == type;
}

/// A part as a content block; null for one that the wire has no place for, such as reasoning without its proof.
class AnthropicBlocks {
 public:
  Json operator()(const Text& part) const { return text(part.text); }
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
  Json operator()(const Audio&) {
    unsupported_ = "a recording, which this API does not take";
    return nullptr;
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
  Json operator()(const ToolResult& result) {
    Json block{{"type", "tool_result"}, {"tool_use_id", result.call_id}};
    if (!result.files.empty()) {
      Json content = Json::array();
      if (!trim(result.text).empty()) content.push_back(text(result.text));
      for (const ToolFile& file : result.files) content.push_back(std::visit(*this, file));
      block["content"] = std::move(content);
    } else if (!result.text.empty()) {
      block["content"] = result.text;
    }
    if (result.is_error) block["is_error"] = true;
    return block;
  }

  [[nodiscard]] const std::string& unsupported() const noexcept { return unsupported_; }

  [[nodiscard]] static Json text(std::string words) { return Json{{"type", "text"}, {"text", std::move(words)}}; }
  static void mark(Json& block) { mark_for_cache(block); }
  static void place_marks(const Json&) {}
  [[nodiscard]] static bool is_result(const Json& block) { return is_block(block, "tool_result"); }
  [[nodiscard]] static bool is_thinking(const Json& block) {
    return is_block(block, "thinking") || is_block(block, "redacted_thinking");
  }
  /// Results go first. Calls go last, unless thinking stands between them: its place must not change.
  static void arrange(Json& blocks) {
    std::stable_partition(blocks.begin(), blocks.end(), is_result);
    if (std::any_of(blocks.begin(), blocks.end(), is_thinking)) return;
    std::stable_partition(blocks.begin(), blocks.end(), [](const Json& block) { return !is_block(block, "tool_use"); });
  }

 private:
  [[nodiscard]] static std::optional<std::string> text_of_document(const Document& document) {
    if (std::string_view{document.media_type}.substr(0, 5) != "text/") return std::nullopt;
    return decode_base64(document.data);
  }

  std::string unsupported_;
};

}  // namespace

void mark_for_cache(Json& block) { block[cache_field] = Json{{"type", "ephemeral"}}; }

Json anthropic_system(const BlockConversation& conversation) {
  if (conversation.system_marks.empty()) return conversation.system;
  Json blocks = Json::array();
  std::size_t marks = conversation.system_marks.size();
  for (std::string& piece : pieces_of_system(conversation)) {
    if (piece.empty()) continue;
    blocks.push_back(AnthropicBlocks::text(std::move(piece)));
    if (marks == 0) continue;
    mark_for_cache(blocks.back());
    --marks;
  }
  return blocks;
}

Result<BlockConversation> encode_anthropic_conversation(const std::vector<Message>& messages) {
  Result<BlockConversation> conversation = BlockTurns<AnthropicBlocks>{}.write(messages);
  if (!conversation) return conversation;
  // A turn of one text is written as that text.
  for (Json& turn : conversation->messages) {
    Json& blocks = turn["content"];
    const bool plain = blocks.size() == 1 && is_block(blocks.front(), "text") && !blocks.front().contains(cache_field);
    if (!plain) continue;
    std::string text = std::move(blocks.front()["text"].get_ref<std::string&>());
    blocks = std::move(text);
  }
  return conversation;
}

}  // namespace backstop::inline v0::detail
