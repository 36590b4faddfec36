#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "backstop/chat/request.hpp"
#include "backstop/chat/result.hpp"

namespace backstop::inline v0::detail {

/// A conversation in Anthropic's form: the leading system text apart, turns that alternate, results before everything
/// else in a user's turn.
struct AnthropicConversation {
  std::string system;
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  /// The last turn of the model called tools without thinking first, and their results follow: budgeted thinking must
  /// then be off, or the turn is refused.
  bool in_unthought_tool_loop = false;
};

/// Expects a conversation made acceptable by `project`.
/// Errors: `invalid_request` without any message; `unsupported_capability` for a document that the wire has no form
/// for.
[[nodiscard]] Result<AnthropicConversation> encode_anthropic_conversation(const std::vector<Message>& messages);

}  // namespace backstop::inline v0::detail
