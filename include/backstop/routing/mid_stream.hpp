#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "backstop/export.hpp"
#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

/// What happens when a stream breaks after content has reached the consumer. Once a complete tool call has, the call
/// fails in any case.
enum class MidStream : std::uint8_t {
  fail,     ///< the call fails with `stream_interrupted` and the partial text
  restart,  ///< the consumer gets `restarted`, then the next target's answer from its beginning
  /// The next target that continues an answer others have begun (`Capabilities::prefill`) is given the text so far and
  /// writes the rest, which is appended; the response has the whole text. The rest is written without reasoning, and
  /// within what is left of the output limit. Only once text has been delivered, while no tool call has been begun, and
  /// not where a quality floor has refused that text. Where no target can, as `fail`.
  resume,
};

/// Keeps the beginning of a streamed answer back, so that failures meanwhile stay invisible: until `tokens` (estimated)
/// have arrived or `time` has passed since the first content, or the answer is complete.
struct StreamHold {
  std::int64_t tokens = 40;
  Duration time = std::chrono::milliseconds{800};

  friend bool operator==(const StreamHold&, const StreamHold&) = default;
};

/// What is wrong with the options, and what would be accepted; empty when nothing is.
[[nodiscard]] BACKSTOP_EXPORT std::string problem_with(const StreamHold& hold);

}  // namespace backstop::inline v0
