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

[[nodiscard]] bool holds(const Json& block, const char* sort) { return block.contains(sort); }

constexpr const char* cache_point = "cachePoint";

/// A part as a content block; null for one that the wire has no place for, such as reasoning without its proof.
class ConverseBlocks {
 public:
  explicit ConverseBlocks(bool tools) noexcept : tools_{tools} {}

  Json operator()(const Text& part) const { return text(part.text); }
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
  Json operator()(const Audio&) {
    unsupported_ = "a recording, which this API does not take";
    return nullptr;
  }
  Json operator()(const Reasoning& reasoning) const {
    if (!reasoning.redacted.empty()) return Json{{"reasoningContent", {{"redactedContent", reasoning.redacted}}}};
    if (reasoning.signature.empty()) return nullptr;
    Json written{{"text", reasoning.text}, {"signature", reasoning.signature}};
    return Json{{"reasoningContent", {{"reasoningText", std::move(written)}}}};
  }
  Json operator()(const ToolCall& call) const {
    if (!tools_) return text(told_as_text({call}));
    return Json{
        {"toolUse", {{"toolUseId", call.id}, {"name", call.name}, {"input", arguments_to_json(call.arguments)}}}};
  }
  Json operator()(const ToolResult& result) {
    if (!tools_) return text(told_as_text({result}));
    const bool blank = trim(result.text).empty();
    Json content = Json::array({text(!blank ? result.text : result.files.empty() ? "(empty)" : "(see the files)")});
    for (const ToolFile& file : result.files) content.push_back(std::visit(*this, file));
    Json block{{"toolUseId", result.call_id}, {"content", std::move(content)}};
    if (result.is_error) block["status"] = "error";
    return Json{{"toolResult", std::move(block)}};
  }

  [[nodiscard]] const std::string& unsupported() const noexcept { return unsupported_; }

  [[nodiscard]] static Json text(std::string words) { return Json{{"text", std::move(words)}}; }
  static void mark(Json& block) { block[cache_point] = Json{{"type", "default"}}; }
  /// A mark is a block of its own behind the one that it is for.
  static void place_marks(Json& blocks) {
    Json placed = Json::array();
    for (Json& block : blocks) {
      const bool marked = block.erase(cache_point) > 0;
      placed.push_back(std::move(block));
      if (marked) placed.push_back(bedrock_cache_point());
    }
    blocks = std::move(placed);
  }
  [[nodiscard]] static bool is_result(const Json& block) { return holds(block, "toolResult"); }
  [[nodiscard]] static bool is_thinking(const Json& block) { return holds(block, "reasoningContent"); }
  static void arrange(Json& blocks) {
    std::stable_partition(blocks.begin(), blocks.end(), is_result);
    // Calls go last, unless thinking stands between them: its place must not change.
    if (std::none_of(blocks.begin(), blocks.end(), is_thinking)) {
      std::stable_partition(blocks.begin(), blocks.end(), [](const Json& block) { return !holds(block, "toolUse"); });
    }
    const auto find = [&blocks](const char* sort) {
      return std::find_if(blocks.begin(), blocks.end(), [sort](const Json& block) { return holds(block, sort); });
    };
    const auto document = find("document");
    if (document == blocks.end() || find("text") != blocks.end()) return;
    // A document has to stand beside text.
    const std::string name = (*document)["document"]["name"].get<std::string>();
    blocks.insert(document, text(name));
  }

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

}  // namespace

Json bedrock_cache_point() { return Json{{cache_point, {{"type", "default"}}}}; }

Json bedrock_system(const BlockConversation& conversation) {
  Json blocks = Json::array();
  std::size_t marks = conversation.system_marks.size();
  for (std::string& piece : pieces_of_system(conversation)) {
    if (piece.empty()) continue;
    blocks.push_back(ConverseBlocks::text(std::move(piece)));
    if (marks == 0) continue;
    blocks.push_back(bedrock_cache_point());
    --marks;
  }
  return blocks;
}

Result<BlockConversation> encode_bedrock_conversation(const std::vector<Message>& messages, bool tools) {
  return BlockTurns<ConverseBlocks>{ConverseBlocks{tools}}.write(messages);
}

}  // namespace backstop::inline v0::detail
