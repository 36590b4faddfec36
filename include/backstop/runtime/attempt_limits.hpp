#pragma once

#include <algorithm>
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

/// Of each limit the tighter one. `inner` decides how plain calls are sent, unless it leaves that open.
[[nodiscard]] constexpr AttemptLimits tighter(const AttemptLimits& inner, const AttemptLimits& outer) noexcept {
  const auto least = [](std::optional<Duration> a, std::optional<Duration> b) {
    return a && b ? std::min(a, b) : a ? a : b;
  };
  AttemptLimits both = inner;
  both.connect = std::min(inner.connect, outer.connect);
  both.first_byte = least(inner.first_byte, outer.first_byte);
  both.first_token = least(inner.first_token, outer.first_token);
  both.idle = std::min(inner.idle, outer.idle);
  both.attempt = std::min(inner.attempt, outer.attempt);
  if (inner.plain_calls_stream == PlainCallsStream::automatic) both.plain_calls_stream = outer.plain_calls_stream;
  return both;
}

}  // namespace backstop::inline v0
