#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "backstop/chat/message.hpp"

namespace backstop::inline v0::detail {

/// The turn behind which only results of tools stand, if any; `messages.size()` where there is none.
[[nodiscard]] std::size_t last_turn(const std::vector<Message>& messages) noexcept;

/// Whether a call of the turns before `end` has no result.
[[nodiscard]] bool has_open_calls(const std::vector<Message>& messages, std::size_t end);

/// Gives the calls of the turns before `end` that have no result an error result with that text, right behind their
/// turn and the results there. How many there were.
std::size_t refuse_open_calls(std::vector<Message>& messages, std::size_t end, std::string_view text);

}  // namespace backstop::inline v0::detail
