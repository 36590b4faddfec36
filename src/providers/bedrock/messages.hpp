#pragma once

#include <vector>

#include "backstop/chat/message.hpp"
#include "backstop/chat/result.hpp"
#include "providers/wire/block_turns.hpp"

namespace backstop::inline v0::detail {

/// A conversation in Converse's form: results stand before everything else in a turn.
/// Expects one made acceptable by `project`. `tools`: the request offers some; else calls and results are
/// told in words, because the wire takes them beside tools only.
/// Errors: `invalid_request` without any message; `unsupported_capability` for an image or a document that the wire has
/// no form for.
[[nodiscard]] Result<BlockConversation> encode_bedrock_conversation(const std::vector<Message>& messages, bool tools);

/// The system text as blocks, with the marks for the prompt cache between them.
[[nodiscard]] nlohmann::ordered_json bedrock_system(const BlockConversation& conversation);

/// A mark, as a block of its own.
[[nodiscard]] nlohmann::ordered_json bedrock_cache_point();

}  // namespace backstop::inline v0::detail
