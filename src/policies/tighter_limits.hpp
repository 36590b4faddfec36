#pragma once

#include <algorithm>
#include <optional>

#include "backstop/runtime/attempt_limits.hpp"

namespace backstop::inline v0::detail {

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

}  // namespace backstop::inline v0::detail
