#pragma once

#include <vector>

#include "backstop/chat/message.hpp"
#include "backstop/chat/result.hpp"
#include "providers/wire/block_turns.hpp"

namespace backstop::inline v0::detail {

/// A conversation in Anthropic's form: results stand before everything else in a user's turn, calls behind it in the
/// model's, and a turn of one text is that text.
/// Expects one made acceptable by `project`.
/// Errors: `invalid_request` without any message; `unsupported_capability` for a document that the wire has no form
/// for.
[[nodiscard]] Result<BlockConversation> encode_anthropic_conversation(const std::vector<Message>& messages);

/// The system text: as it is, or in blocks where something of it is marked for the prompt cache.
[[nodiscard]] nlohmann::ordered_json anthropic_system(const BlockConversation& conversation);

/// Marks a block, or a tool.
void mark_for_cache(nlohmann::ordered_json& block);

}  // namespace backstop::inline v0::detail
