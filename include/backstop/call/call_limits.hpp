#pragma once

#include <chrono>
#include <optional>

#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

/// Bounds on one call of the application, retries and fallbacks included. Those of a client that is another's target
/// hold inside those of the other.
struct CallLimits {
  Duration deadline = std::chrono::seconds{600};  ///< from the call's entry; endless: `Duration::max()`
  int max_attempts = 5;                           ///< sends
  /// How long this call may wait for a target to recover when all are out; unset: `RecoveryOptions::max_wait`.
  std::optional<Duration> recovery_wait{};
};

}  // namespace backstop::inline v0
