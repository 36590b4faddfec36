#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "backstop/chat/target.hpp"
#include "backstop/export.hpp"

namespace backstop::inline v0 {

enum class Role : std::uint8_t { system, user, assistant, tool };

[[nodiscard]] BACKSTOP_EXPORT std::string_view to_string(Role role) noexcept;

/// Text that people read.
struct Text {
  std::string text{};
  bool cache = false;  ///< see `Message::cache`: up to and with this

  friend bool operator==(const Text&, const Text&) = default;
};

/// An image: by address, or its bytes in base64 with their media type. Exactly one of `url` and `data` is set.
struct Image {
  std::string url{};         ///< https address
  std::string data{};        ///< base64
  std::string media_type{};  ///< such as image/png; needed with `data`
  std::string detail{};      ///< OpenAI's `detail`: auto, low, high; empty for the provider's default
  bool cache = false;  ///< see `Message::cache`: up to and with this

  friend bool operator==(const Image&, const Image&) = default;
};

/// A file the model should read, such as a PDF; as with images by address or by its bytes.
struct Document {
  std::string url{};
  std::string data{};        ///< base64
  std::string media_type{};  ///< such as application/pdf
  std::string name{};        ///< file name
  bool cache = false;  ///< see `Message::cache`: up to and with this

  friend bool operator==(const Document&, const Document&) = default;
};

/// A recording that the model should hear.
struct Audio {
  std::string data{};        ///< base64
  std::string media_type{};  ///< audio/wav and audio/mpeg are what all take that take any
  bool cache = false;  ///< see `Message::cache`: up to and with this

  friend bool operator==(const Audio&, const Audio&) = default;
};

/// A model's visible thinking. It belongs to the provider that wrote it: a signature is valid for its `origin` only.
struct Reasoning {
  std::string text{};
  std::string signature{};  ///< opaque proof of origin, sent back byte for byte to the same origin
  std::string redacted{};   ///< opaque encrypted reasoning (Anthropic `redacted_thinking`)
  Target origin{};          ///< who wrote it; empty when unknown

  friend bool operator==(const Reasoning&, const Reasoning&) = default;
};

/// The model wants a function of the application called.
struct ToolCall {
  std::string id{};         ///< unique within the conversation; adapters make one up where the provider sent none
  std::string name{};
  std::string arguments{};  ///< a JSON object as text
  bool cache = false;  ///< see `Message::cache`: up to and with this

  friend bool operator==(const ToolCall&, const ToolCall&) = default;
};

using ToolFile = std::variant<Image, Document>;

/// What that function returned.
struct ToolResult {
  std::string call_id{};
  std::string text{};
  bool is_error = false;
  bool cache = false;  ///< see `Message::cache`: up to and with this
  /// What it returned beside the text. A target that takes text only in results gets them in a turn of the user's
  /// behind the results, with a note in the attempt's row.
  std::vector<ToolFile> files{};

  friend bool operator==(const ToolResult&, const ToolResult&) = default;
};

using Part = std::variant<Text, Image, Document, Audio, Reasoning, ToolCall, ToolResult>;

/// One turn of a conversation.
struct Message {
  Role role = Role::user;
  std::vector<Part> parts{};
  /// The provider is asked to keep what it has read up to the end of this for the next requests that begin alike: a
  /// mark for Anthropic's models and Amazon's, at most four in a request; of more the first and the last three are
  /// sent, with a note in the attempt's row. Others decide themselves, and ignore it.
  bool cache = false;

  [[nodiscard]] BACKSTOP_EXPORT static Message system(std::string text);
  [[nodiscard]] BACKSTOP_EXPORT static Message user(std::string text);
  [[nodiscard]] BACKSTOP_EXPORT static Message assistant(std::string text);
  [[nodiscard]] BACKSTOP_EXPORT static Message tool_result(std::string call_id, std::string text,
                                                                 bool is_error = false);

  friend bool operator==(const Message&, const Message&) = default;
};

/// All text parts joined without a separator.
[[nodiscard]] BACKSTOP_EXPORT std::string text_of(const std::vector<Part>& parts);

}  // namespace backstop::inline v0
