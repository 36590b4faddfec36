#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "backstop/chat/message.hpp"
#include "backstop/chat/result.hpp"

namespace backstop::inline v0::detail {

/// A conversation in Converse's form: the leading system text apart, turns that alternate and begin with the user's,
/// results before everything else in a turn.
struct BedrockConversation {
  std::string system;
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  /// The last turn of the model called tools without thinking first, and their results follow: Claude's budgeted
  /// thinking must then be off, or the turn is refused.
  bool in_unthought_tool_loop = false;
};

/// Expects a conversation made acceptable by `project`. `tools`: the request offers some; else calls and results are
/// told in words, because the wire takes them beside tools only.
/// Errors: `invalid_request` without any message; `unsupported_capability` for an image or a document that the wire has
/// no form for.
[[nodiscard]] Result<BedrockConversation> encode_bedrock_conversation(const std::vector<Message>& messages, bool tools);

}  // namespace backstop::inline v0::detail
