#include "messages.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <set>
#include <string_view>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "backstop/json.hpp"
#include "handover/transcript.hpp"
#include "text/ascii.hpp"

namespace backstop::inline v0::detail {
namespace {

using Json = nlohmann::ordered_json;
using Pairs = std::pair<std::string_view, std::string_view>;

/// Stands in where a conversation begins with a turn of the model, which the wire does not allow.
constexpr std::string_view not_shown = "(The beginning of this conversation is not shown.)";
constexpr std::size_t longest_document_name = 200;

constexpr std::array<Pairs, 5> image_formats{{{"image/png", "png"},
                                              {"image/jpeg", "jpeg"},
                                              {"image/jpg", "jpeg"},
                                              {"image/gif", "gif"},
                                              {"image/webp", "webp"}}};
constexpr std::array<Pairs, 11> document_formats{{
    {"application/pdf", "pdf"},
    {"text/csv", "csv"},
    {"application/msword", "doc"},
    {"application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"},
    {"application/vnd.ms-excel", "xls"},
    {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"},
    {"text/html", "html"},
    {"text/markdown", "md"},
    {"text/plain", "txt"},
    {"application/json", "txt"},
    {"text/", "txt"},  // of any other sort
}};

/// The wire's word for a media type, whose parameters do not count; empty where it has none.
template <std::size_t size>
[[nodiscard]] std::string_view format_of(const std::array<Pairs, size>& table, std::string_view media_type) noexcept {
  media_type = trim(media_type.substr(0, media_type.find(';')));
  for (const auto& [type, format] : table) {
    if (equal_ignoring_case(type, media_type)) return format;
    if (type.ends_with('/') && equal_ignoring_case(type, media_type.substr(0, type.size()))) return format;
  }
  return {};
}

/// Letters, digits, single blanks, hyphens, parentheses and square brackets are what a name may have.
[[nodiscard]] std::string document_name(std::string_view name) {
  std::string allowed;
  for (const char letter : name.substr(0, longest_document_name)) {
    const char lower = to_lower(letter);
    const bool fits = (lower >= 'a' && lower <= 'z') || (letter >= '0' && letter <= '9') ||
                      std::string_view{"-()[]"}.find(letter) != std::string_view::npos;
    if (fits) {
      allowed += letter;
    } else if (!allowed.empty() && !allowed.ends_with(' ')) {
      allowed += ' ';
    }
  }
  while (allowed.ends_with(' ')) allowed.pop_back();
  return allowed.empty() ? "document" : allowed;
}

[[nodiscard]] Json plain_text(std::string text) { return Json{{"text", std::move(text)}}; }

[[nodiscard]] bool holds(const Json& block, const char* sort) { return block.contains(sort); }

/// A part as a content block; null for one that the wire has no place for, such as reasoning without its proof.
class ConverseBlocks {
 public:
  explicit ConverseBlocks(bool tools) noexcept : tools_{tools} {}

  Json operator()(const Text& text) const { return plain_text(text.text); }
  Json operator()(const Image& image) {
    return file(
        "image", format_of(image_formats, image.media_type), image,
        fmt::format("an image of type \"{}\": PNG, JPEG, GIF and WebP are what this API takes", image.media_type));
  }
  Json operator()(const Document& document) {
    Json block = file("document", format_of(document_formats, document.media_type), document,
                      fmt::format("a document of type \"{}\": PDF, CSV, Word, Excel, HTML, Markdown and text are what "
                                  "this API takes",
                                  document.media_type));
    if (!block.is_null()) block["document"]["name"] = own_name(document.name);
    return block;
  }
  Json operator()(const Reasoning& reasoning) const {
    if (!reasoning.redacted.empty()) return Json{{"reasoningContent", {{"redactedContent", reasoning.redacted}}}};
    if (reasoning.signature.empty()) return nullptr;
    Json written{{"text", reasoning.text}, {"signature", reasoning.signature}};
    return Json{{"reasoningContent", {{"reasoningText", std::move(written)}}}};
  }
  Json operator()(const ToolCall& call) const {
    if (!tools_) return plain_text(told_as_text({call}));
    return Json{
        {"toolUse", {{"toolUseId", call.id}, {"name", call.name}, {"input", arguments_to_json(call.arguments)}}}};
  }
  Json operator()(const ToolResult& result) const {
    if (!tools_) return plain_text(told_as_text({result}));
    Json block{{"toolUseId", result.call_id}, {"content", Json::array({plain_text(result.text)})}};
    if (trim(result.text).empty()) block["content"] = Json::array({plain_text("(empty)")});
    if (result.is_error) block["status"] = "error";
    return Json{{"toolResult", std::move(block)}};
  }

  [[nodiscard]] const std::string& unsupported() const noexcept { return unsupported_; }

 private:
  template <class File>
  Json file(const char* sort, std::string_view format, const File& file, std::string wrong_type) {
    Json source;
    if (!file.data.empty()) {
      source["bytes"] = file.data;
    } else if (file.url.starts_with("s3://")) {
      source["s3Location"] = Json{{"uri", file.url}};
    } else {
      unsupported_ = fmt::format("{} {} by its address: this API takes bytes, or what is in S3",
                                 sort[0] == 'i' ? "an" : "a", sort);
      return nullptr;
    }
    if (format.empty()) {
      unsupported_ = std::move(wrong_type);
      return nullptr;
    }
    return Json{{sort, {{"format", format}, {"source", std::move(source)}}}};
  }

  /// Two documents of one name are refused.
  [[nodiscard]] std::string own_name(std::string_view name) {
    const std::string wanted = document_name(name);
    std::string own = wanted;
    for (int number = 2; !names_.insert(own).second; ++number) {
      const std::string suffix = fmt::format(" ({})", number);
      own = wanted.substr(0, longest_document_name - suffix.size()) + suffix;
    }
    return own;
  }

  bool tools_;
  std::set<std::string> names_;
  std::string unsupported_;
};

class ConverseTurns {
 public:
  explicit ConverseTurns(bool tools) noexcept : blocks_{tools} {}

  [[nodiscard]] Result<BedrockConversation> write(const std::vector<Message>& messages) {
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
    for (Json& turn : out_.messages) finish(turn);
    trim_last_turn();
    find_tool_loop();
    return std::move(out_);
  }

 private:
  void add_system(const Message& message) {
    const std::string text = text_of(message.parts);
    if (trim(text).empty()) return;
    if (!out_.system.empty()) out_.system += "\n\n";
    out_.system += text;
  }

  void add(const Message& message, bool plain) {
    const std::string_view role = message.role == Role::assistant ? "assistant" : "user";
    if (message.role == Role::system) {
      // Moving it to the front would change its meaning.
      const std::string text = text_of(message.parts);
      if (!trim(text).empty()) append(role, plain_text(plain ? text : "<system>" + text + "</system>"));
      return;
    }
    for (const Part& part : message.parts) append(role, std::visit(blocks_, part));
  }

  void append(std::string_view role, Json block) {
    if (block.is_null()) return;
    if (out_.messages.empty() && role == "assistant") append("user", plain_text(std::string{not_shown}));
    if (out_.messages.empty() || out_.messages.back()["role"].get_ref<const std::string&>() != role) {
      out_.messages.push_back(Json{{"role", role}, {"content", Json::array()}});
    }
    out_.messages.back()["content"].push_back(std::move(block));
  }

  static void finish(Json& turn) {
    Json& blocks = turn["content"];
    const auto has = [&blocks](const char* sort) {
      return std::any_of(blocks.begin(), blocks.end(), [sort](const Json& block) { return holds(block, sort); });
    };
    if (has("toolResult")) {
      std::stable_partition(blocks.begin(), blocks.end(), [](const Json& block) { return holds(block, "toolResult"); });
    }
    // Calls go last, unless thinking stands between them: its place must not change.
    if (has("toolUse") && !has("reasoningContent")) {
      std::stable_partition(blocks.begin(), blocks.end(), [](const Json& block) { return !holds(block, "toolUse"); });
    }
    if (!has("document") || has("text")) return;
    // A document has to stand beside text.
    const auto document =
        std::find_if(blocks.begin(), blocks.end(), [](const Json& block) { return holds(block, "document"); });
    const std::string name = (*document)["document"]["name"].get<std::string>();
    blocks.insert(document, plain_text(name));
  }

  /// A turn of the model at the end is one that it goes on with; Claude refuses white space at its end.
  void trim_last_turn() {
    Json& last = out_.messages.back();
    if (last["role"] != "assistant" || !holds(last["content"].back(), "text")) return;
    auto& text = last["content"].back()["text"].get_ref<std::string&>();
    text.erase(text.find_last_not_of(" \t\r\n") + 1);
  }

  void find_tool_loop() {
    if (out_.messages.size() < 2) return;
    const Json& results = out_.messages.back();
    const Json& calls = out_.messages[out_.messages.size() - 2];
    out_.in_unthought_tool_loop =
        holds(results["content"].front(), "toolResult") && !holds(calls["content"].front(), "reasoningContent");
  }

  BedrockConversation out_;
  ConverseBlocks blocks_;
};

}  // namespace

Result<BedrockConversation> encode_bedrock_conversation(const std::vector<Message>& messages, bool tools) {
  return ConverseTurns{tools}.write(messages);
}

}  // namespace backstop::inline v0::detail
