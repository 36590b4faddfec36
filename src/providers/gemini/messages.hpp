#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "backstop/chat/message.hpp"
#include "backstop/chat/result.hpp"
#include "models.hpp"

namespace backstop::inline v0::detail {

/// A conversation in Gemini's form: the leading system text apart, turns of `user` and `model` that alternate, all
/// results of a turn's calls in one turn.
struct GeminiConversation {
  std::string instruction;
  nlohmann::ordered_json contents = nlohmann::ordered_json::array();
};

/// Expects a conversation made acceptable by `project`. `call_ids`: calls and results have their ids.
/// Errors: `invalid_request` without any message.
[[nodiscard]] Result<GeminiConversation> encode_gemini_conversation(const std::vector<Message>& messages,
                                                                    const GeminiFamily& family, bool call_ids);

}  // namespace backstop::inline v0::detail
