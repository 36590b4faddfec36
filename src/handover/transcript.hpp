#pragma once

#include <string>
#include <vector>

#include "backstop/chat/message.hpp"

namespace backstop::inline v0::detail {

/// What parts say, in words: calls and results of tools too, images, documents and recordings as a mark.
[[nodiscard]] std::string told_as_text(const std::vector<Part>& parts);
/// Turns as material for another model, each between marks of its role.
[[nodiscard]] std::string transcript_of(const std::vector<Message>& messages);

}  // namespace backstop::inline v0::detail
