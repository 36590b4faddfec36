#pragma once

#include <chrono>
#include <string>

#include "backstop/export.hpp"
#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

/// What a call does when every target is out: it waits for one to recover, within these bounds, in the order of
/// arrival; when one has, the waiting calls are admitted in steps: one, two, four. A call that cannot be admitted
/// within the bounds fails at once, with `retry_after`. Waiting takes no send, but a call that has none left of its
/// `max_attempts` does not wait: with `standard()` three targets that fail twice each use the usual 5 up. A call never
/// waits after content has reached its consumer, unless `mid_stream` has another answer take its place, nor while a
/// client around this one has another target ready, nor for a failure that does not pass with time.
///
/// An option of `FallbackOptions`; of clients within each other, the outermost decides.
struct RecoveryOptions {
  /// How long a call waits, over its whole life, for a target to recover; never beyond its deadline. 0: it does not
  /// wait; where a forced probe is due it may be that one, else it fails at once.
  Duration max_wait = std::chrono::seconds{10};
  int max_waiting = 100;  ///< calls of this client that wait; the next ones fail at once
  /// Between forced probes of this client, one at a time: calls sent to a target although its breaker or its cooldown
  /// refuses. Doubles up to `probe_interval_max` while they fail; one that hangs keeps others back for two minutes.
  /// Open breakers are probed before cooldowns. Never probed is a target whose cooldown comes from a server's hint,
  /// refused credentials, a missing permission or a used-up quota, or whose breaker was isolated by hand.
  Duration probe_interval = std::chrono::seconds{1};
  Duration probe_interval_max = std::chrono::seconds{10};
  /// Whether targets that this call has sent to already may be asked again; if not, it waits only for those that were
  /// passed over.
  bool repeat_failed = true;
  /// Kept of the deadline for the attempt after a wait, and for a forced probe.
  Duration min_attempt_time = std::chrono::seconds{5};
  /// The longest cooldown that a server's hint sets; one call then probes the target.
  Duration cooldown_max = std::chrono::minutes{10};

  friend bool operator==(const RecoveryOptions&, const RecoveryOptions&) = default;
};

/// What is wrong with the options, and what would be accepted; empty when nothing is.
[[nodiscard]] BACKSTOP_EXPORT std::string problem_with(const RecoveryOptions& options);

}  // namespace backstop::inline v0
