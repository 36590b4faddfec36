#pragma once

#include <cstddef>

namespace backstop::inline v0 {

/// How much of an answer is taken. A server, or a model that repeats itself, may send without end; an answer beyond a
/// limit is a `malformed_response` whose message names the limit.
struct AnswerLimits {
  /// Of its content (text, reasoning, arguments of tool calls), and of the body of one that comes whole.
  std::size_t bytes = std::size_t{64} << 20;
  /// Of all that a stream sends. Larger, because the JSON around a word takes hundreds of bytes, and some servers
  /// repeat the answer so far beside every piece.
  std::size_t stream_bytes = std::size_t{256} << 20;
  std::size_t tool_calls = 1000;
};

}  // namespace backstop::inline v0
