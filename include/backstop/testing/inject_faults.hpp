#pragma once

#include <optional>

#include "backstop/export.hpp"
#include "backstop/policy.hpp"
#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0::testing {

/// How often a target fails in which way: each a probability in [0, 1], together at most 1; the rest is answered by the
/// target itself. What each fault looks like is in `faults.hpp`.
struct FaultRates {
  double connection_refused = 0;
  double connection_reset = 0;  ///< after the request went out
  double rate_limited = 0;
  double overloaded = 0;
  double server_error = 0;
  double quota_exhausted = 0;
  double bad_key = 0;
  double empty_answer = 0;
  double silence = 0;                     ///< no byte of an answer; have a `timeout` around it
  double pings_only = 0;                  ///< pings and no answer, likewise
  double cut = 0;                         ///< the answer breaks off after some words, which are made up
  double garbled = 0;                     ///< likewise, with an event that is no JSON
  std::optional<Duration> retry_after{};  ///< with `rate_limited` and `overloaded`
  Duration latency{0};                    ///< before every answer and fault
  Duration latency_spread{0};             ///< at random up to that much more
};

/// Makes a target fail at random, to see how an application and its policies react. Put it next to the target, inside
/// all other policies: a fault is then an attempt like any other, with its row in the ledger, and is retried, counted
/// and paid as a real one; strategies and cooldowns know of it. (Around a client of several targets it is nobody's.)
///
/// The faults are drawn from the runtime's random numbers: with `VirtualRuntime{seed}` or `RuntimeOptions::seed` the
/// same seed gives the same faults.
///
/// Errors: throws std::invalid_argument for probabilities outside [0, 1], a sum above 1, and negative times.
/// Thread safety: as every policy.
///
/// Example: `auto shaky = openai({...}) | inject_faults({.overloaded = 0.1, .latency = 200ms}) | standard();`
[[nodiscard]] BACKSTOP_EXPORT Policy inject_faults(FaultRates rates);

}  // namespace backstop::inline v0::testing
