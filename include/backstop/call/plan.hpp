#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backstop/chat/error.hpp"
#include "backstop/chat/money.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/chat/target.hpp"
#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

/// What a call would do, found out without sending anything. Caps are asked about each send, wherever they stand; what
/// other calls have reserved does not count. Rate limits and caches are asked about each call that would reach them; what
/// changes while it waits in a queue is not foreseen.
struct Plan {
  struct Step {
    Target target;
    std::string stack;                  ///< the target with its policies
    std::optional<Error> skipped;       ///< why it would be passed over now
    /// Of one attempt, as far as the caps around it let it; empty when the price is not known.
    std::optional<Money> worst_cost;
    std::optional<Degradation> degradation{};  ///< what would be given up for it; empty: nothing
    bool summary = false;               ///< asked for a summary of the turns that the step behind it leaves out
    bool cached = false;                ///< answered from a cache, and nothing is sent
  };
  /// In the order in which they would be tried; of a client inside its targets, as many as it asks before it leaves the
  /// call to others (its `max_attempts`). One that the ladder would bring in again, with
  /// less to do, has a second step. The last may be the answer that a ladder has of its own, with when it is given as
  /// its `degradation->reason`.
  std::vector<Step> steps;
  std::int64_t estimated_input_tokens = 0;
  Duration worst_time{0};               ///< the call's deadline
  /// With every attempt spent on the dearest target, as far as caps on the call let it; of targets that cannot take the
  /// request, or for which the caps leave too little, nothing. Empty when unknown.
  std::optional<Money> worst_cost;
  int max_attempts = 0;
  /// Set when every target is out, on every rung: how long the call would wait for the first to be back, or to find
  /// out.
  std::optional<Duration> waits{};
};

}  // namespace backstop::inline v0
