#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

/// Whether a plain call asks its target for a stream and hands over the whole answer at its end. The limits of streams
/// then hold for it, so that a silent target is told from one that writes a long answer.
enum class PlainCallsStream : std::uint8_t {
  /// Where another target is ready, the target is known to report its usage in streams, and the answer is not known to
  /// be short (an output limit of at most 256 tokens).
  automatic,
  never,
  always,
};

/// The limits of one attempt, each above zero; `Duration::max()` turns one off.
struct AttemptLimits {
  Duration connect = std::chrono::seconds{5};  ///< DNS, TCP and TLS
  /// From the request's sending to the first byte of the answer. Unset: 60 s for streams, of a model on this machine
  /// 300 s; for an answer that comes whole 120 s while another target is ready, otherwise, and of a model on this
  /// machine, none.
  std::optional<Duration> first_byte{};
  /// From the request's sending to the first content, reasoning or tool call; other bytes do not count. For an answer
  /// that comes whole it limits the whole answer. Unset: for streams 30 s while another target is ready, 300 s for
  /// models that think before they write and for models on this machine; otherwise none.
  std::optional<Duration> first_token{};
  Duration idle = std::chrono::seconds{120};  ///< between two bytes of the answer, of whatever kind
  Duration attempt = std::chrono::seconds{600};  ///< the whole attempt, from the send
  PlainCallsStream plain_calls_stream = PlainCallsStream::automatic;

  friend bool operator==(const AttemptLimits&, const AttemptLimits&) = default;
};

}  // namespace backstop::inline v0
