#pragma once

#include <vector>

#include <nlohmann/json.hpp>

#include "backstop/chat/message.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/chat/target.hpp"

namespace backstop::inline v0::detail {

/// A conversation in Ollama's form. Expects one made acceptable by `project`.
/// Errors: `invalid_request` without any message, `unsupported_capability` for documents and images by address.
[[nodiscard]] Result<nlohmann::ordered_json> encode_ollama_messages(const std::vector<Message>& messages,
                                                                    const Target& target);

}  // namespace backstop::inline v0::detail
