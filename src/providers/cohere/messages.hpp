#pragma once

#include <vector>

#include <nlohmann/json.hpp>

#include "backstop/chat/message.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/chat/target.hpp"

namespace backstop::inline v0::detail {

/// A conversation in Cohere's form: its turns, and apart from them the documents that it names.
struct CohereConversation {
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  nlohmann::ordered_json documents = nlohmann::ordered_json::array();
};

/// Expects a conversation made acceptable by `project`.
/// Errors: `invalid_request` without any message, `unsupported_capability` for a document that is no text.
[[nodiscard]] Result<CohereConversation> encode_cohere_conversation(const std::vector<Message>& messages,
                                                                    const Target& target);

}  // namespace backstop::inline v0::detail
