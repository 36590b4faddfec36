#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "backstop/chat/request.hpp"
#include "backstop/chat/response.hpp"

namespace backstop::inline v0::detail {

/// The request with the text so far as the assistant's turn to be continued. What follows is the rest of that text.
[[nodiscard]] ChatRequest continue_from(const ChatRequest& original, std::string_view text_so_far);

/// How much of the rest is no news: a target that continues may repeat what it was given (some servers do), or the
/// white space at its end, which not every target accepts there. Empty while that cannot be told; `complete`: no more
/// of the rest comes.
[[nodiscard]] std::optional<std::size_t> repeated_of(std::string_view text_so_far, std::string_view rest, bool complete);

/// Makes the response whole, which has the rest only: drops what it repeats, and puts the text so far before it.
void put_before(ChatResponse& response, std::string_view text_so_far, std::size_t repeated);

}  // namespace backstop::inline v0::detail
