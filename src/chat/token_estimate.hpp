#pragma once

#include <cstdint>

#include "backstop/chat/request.hpp"

namespace backstop::inline v0 {

/// About how many tokens the request's conversation and tools are: a quarter of their bytes (English text has about
/// four bytes to a token), a flat 1,000 per image, a quarter of the decoded bytes for documents up to 100,000, and a
/// token to 125 bytes of a recording. What comes by address counts as much as may stand there: 1,600 per image, 100,000
/// per document.
/// For reservations and costs of attempts that reported no usage. O(parts), no allocation.
[[nodiscard]] std::int64_t estimate_input_tokens(const ChatRequest& request) noexcept;

/// The same for a text.
[[nodiscard]] constexpr std::int64_t estimate_tokens(std::size_t bytes) noexcept {
  return static_cast<std::int64_t>((bytes + 3) / 4);
}

/// The same for what a tool returned.
[[nodiscard]] std::int64_t estimate_tokens(const ToolResult& result) noexcept;

}  // namespace backstop::inline v0
