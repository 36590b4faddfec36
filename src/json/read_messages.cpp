#include "json/read_messages.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "backstop/json.hpp"
#include "json/parse.hpp"

namespace backstop::inline v0::detail {
namespace {

struct DataUrl {
  std::string media_type;
  std::string data;
};

/// `data:<media type>[;parameter];base64,<data>` (RFC 2397), or nothing.
std::optional<DataUrl> parse_data_url(std::string_view url) {
  constexpr std::string_view scheme = "data:";
  constexpr std::string_view marker = ";base64";
  const std::size_t comma = url.find(',');
  if (!url.starts_with(scheme) || comma == std::string_view::npos) return std::nullopt;
  std::string_view head = url.substr(scheme.size(), comma - scheme.size());
  if (!head.ends_with(marker)) return std::nullopt;
  head.remove_suffix(marker.size());
  return DataUrl{std::string{head}, std::string{url.substr(comma + 1)}};
}

/// Fills in `url`, or `data` and `media_type`, of an image or a document.
template <class Media>
void read_address(const Node& node, Media& media) {
  std::string url = node.non_empty_string();
  if (url.starts_with("data:")) {
    auto parsed = parse_data_url(url);
    if (!parsed || parsed->media_type.empty() || parsed->data.empty()) {
      return node.complain("must be an address or data:<media type>;base64,<data>");
    }
    media.media_type = std::move(parsed->media_type);
    media.data = std::move(parsed->data);
  } else if (url.find("://") != std::string::npos) {
    media.url = std::move(url);
  } else {
    node.complain("must be an address with its scheme, such as https://, or data:<media type>;base64,<data>");
  }
}

[[nodiscard]] bool read_mark(const Node& node) { return node["cache"].boolean().value_or(false); }

Image read_image(const Node& part) {
  part.object({"type", "image_url", "cache"});
  Image image;
  image.cache = read_mark(part);
  const Node node = part["image_url"];
  if (node.json().is_string()) {
    read_address(node, image);
  } else if (node.object({"url", "detail"})) {
    read_address(node["url"], image);
    image.detail = node["detail"].string();
    if (!image.detail.empty() && image.detail != "auto" && image.detail != "low" && image.detail != "high") {
      node["detail"].complain("must be auto, low or high");
    }
  }
  return image;
}

/// OpenAI's `file` with `file_data`; `file_url` is what its Responses API calls an address.
Document read_document(const Node& part) {
  part.object({"type", "file", "cache"});
  Document document;
  document.cache = read_mark(part);
  const Node file = part["file"];
  if (!file.object({"filename", "file_data", "file_url"})) return document;
  document.name = file["filename"].string();
  if (file["file_data"].present() == file["file_url"].present()) {
    file.complain("must have exactly one of file_data and file_url");
  } else if (file["file_url"].present()) {
    read_address(file["file_url"], document);
  } else if (const std::string data = file["file_data"].non_empty_string(); data.starts_with("data:")) {
    read_address(file["file_data"], document);
  } else {
    document.data = data;
    document.media_type = "application/pdf";
  }
  return document;
}

/// The format is the second word of the media type, except for mp3, which is audio/mpeg.
Audio read_audio(const Node& part) {
  part.object({"type", "input_audio", "cache"});
  const Node audio = part["input_audio"];
  if (!audio.object({"data", "format"})) return {};
  const std::string format = audio["format"].non_empty_string();
  return Audio{audio["data"].non_empty_string(), "audio/" + (format == "mp3" ? std::string{"mpeg"} : format),
               read_mark(part)};
}

std::optional<Part> read_part(const Node& node, bool media_allowed) {
  const std::string type = node["type"].non_empty_string();
  if (type == "text") {
    node.object({"type", "text", "cache"});
    if (!node["text"].json().is_string()) node["text"].refuse("a string");
    return Text{node["text"].string(), read_mark(node)};
  }
  if (type == "refusal") {
    node.object({"type", "refusal"});
    return Text{node["refusal"].string()};
  }
  if (media_allowed && type == "image_url") return read_image(node);
  if (media_allowed && type == "file") return read_document(node);
  if (media_allowed && type == "input_audio") return read_audio(node);
  node["type"].complain(media_allowed ? "is not supported; accepted are text, image_url, file, input_audio"
                                      : "is not supported; accepted here is text");
  return std::nullopt;
}

void read_content(const Node& content, bool media_allowed, std::vector<Part>& parts) {
  if (content.json().is_string()) {
    parts.emplace_back(Text{content.string()});
    return;
  }
  const std::size_t count = content.array("content parts, or a string");
  for (std::size_t i = 0; i < count; ++i) {
    const Node node = content[i];
    if (!node.json().is_object()) return node.refuse("an object with a `type`");
    if (auto part = read_part(node, media_allowed)) parts.push_back(std::move(*part));
  }
}

void read_reasoning(const Node& list, std::vector<Part>& parts) {
  const std::size_t count = list.array("objects with text, signature, origin");
  for (std::size_t i = 0; i < count; ++i) {
    const Node node = list[i];
    if (!node.object({"text", "signature", "redacted", "origin"})) return;
    Reasoning reasoning{node["text"].string(), node["signature"].string(), node["redacted"].string(), {}};
    if (reasoning.text.empty() && reasoning.signature.empty() && reasoning.redacted.empty()) {
      node.complain("must have a text, a signature or redacted");
    }
    if (const std::string origin = node["origin"].string(); !origin.empty()) {
      reasoning.origin = Target::parse(origin);
      if (reasoning.origin.provider().empty() || reasoning.origin.model().empty()) {
        node["origin"].complain("must be written provider/model");
      }
    }
    parts.emplace_back(std::move(reasoning));
  }
}

/// A JSON object stays as it is written, byte for byte.
std::string read_arguments(const Node& node) {
  if (node.json().is_object()) return json_text(node.json());
  std::string text = node.string();
  if (nlohmann::ordered_json parsed; nesting_of(text) <= deepest_json) {
    parsed = nlohmann::ordered_json::parse(text, nullptr, false);
    if (parsed.is_object()) return text;
  }
  return json_text(arguments_to_json(text));
}

void read_tool_calls(const Node& list, std::vector<Part>& parts) {
  const std::size_t count = list.array("tool calls");
  for (std::size_t i = 0; i < count; ++i) {
    const Node node = list[i];
    if (!node.object({"id", "type", "index", "function", "cache"})) return;
    if (node["type"].present() && node["type"].string() != "function") {
      node["type"].complain("is not supported; accepted is function");
    }
    const Node function = node["function"];
    if (!function.object({"name", "arguments"})) return;
    parts.emplace_back(ToolCall{node["id"].non_empty_string(), function["name"].non_empty_string(),
                                read_arguments(function["arguments"]), read_mark(node)});
  }
}

Message read_assistant(const Node& node) {
  node.object({"role", "content", "reasoning", "tool_calls", "refusal", "cache"});
  Message message{Role::assistant, {}, read_mark(node)};
  read_reasoning(node["reasoning"], message.parts);
  read_content(node["content"], true, message.parts);
  if (std::string refusal = node["refusal"].string(); !refusal.empty()) {
    message.parts.emplace_back(Text{std::move(refusal)});
  }
  read_tool_calls(node["tool_calls"], message.parts);
  if (message.parts.empty()) node.complain("must have content, reasoning or tool_calls");
  return message;
}

Message read_tool_result(const Node& node) {
  node.object({"role", "content", "tool_call_id", "name", "is_error", "cache"});
  std::vector<Part> content;
  if (!node["content"].present()) node["content"].refuse("a string or an array of content parts");
  read_content(node["content"], true, content);
  ToolResult result{node["tool_call_id"].non_empty_string(), text_of(content),
                    node["is_error"].boolean().value_or(false), read_mark(node)};
  for (Part& part : content) {
    if (auto* image = std::get_if<Image>(&part)) result.files.emplace_back(std::move(*image));
    if (auto* document = std::get_if<Document>(&part)) result.files.emplace_back(std::move(*document));
  }
  return Message{Role::tool, {std::move(result)}};
}

Message read_plain(const Node& node, Role role) {
  node.object({"role", "content", "cache"});
  Message message{role, {}, read_mark(node)};
  read_content(node["content"], role == Role::user, message.parts);
  if (message.parts.empty()) {
    node["content"].complain("must be a string or an array of content parts that is not empty");
  }
  return message;
}

Message read_message(const Node& node) {
  if (!node.json().is_object()) {
    node.refuse("an object with `role` and `content`");
    return {};
  }
  const std::string role = node["role"].string();
  if (role == "user") return read_plain(node, Role::user);
  if (role == "system" || role == "developer") return read_plain(node, Role::system);
  if (role == "assistant") return read_assistant(node);
  if (role == "tool") return read_tool_result(node);
  node["role"].complain("must be one of system, developer, user, assistant, tool");
  return {};
}

}  // namespace

std::vector<Message> read_messages(const Node& node) {
  const std::size_t count = node.array("messages");
  if (count == 0) node.complain("must be an array with at least one message");
  std::vector<Message> messages;
  messages.reserve(count);
  for (std::size_t i = 0; i < count; ++i) messages.push_back(read_message(node[i]));
  return messages;
}

}  // namespace backstop::inline v0::detail
