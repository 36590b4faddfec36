#pragma once

#include <chrono>
#include <string>

#include "backstop/chat/request.hpp"
#include "backstop/export.hpp"
#include "backstop/policy.hpp"
#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

/// How a target is probed.
struct ProbeOptions {
  Duration every = std::chrono::seconds{60};    ///< from the end of a probe to the next, +-20 %; 1 s to 24 h
  Duration timeout = std::chrono::seconds{10};  ///< a probe that has no answer by then has failed; above zero
  /// What is sent: a request that costs little. By default the user turn "ping", with an answer of at most 16 tokens.
  ChatRequest request = [] {
    ChatRequest ping{"ping"};
    ping.max_output_tokens = 16;
    return ping;
  }();
};

/// Sends a small request of its own from time to time, so that a target that is down is known before a call finds out,
/// and one that is back is known too. Each probe is paid for, which is why nothing probes unless told to.
///
/// After two failed probes in a row the target is down: a client passes it over while another is ready. After two that
/// succeed, or one answer to a call, it is back. What a breaker would not count as the target's failure counts neither
/// way; an answer to a call ends a row of failed probes. While it is down a client that has no other may still ask it.
/// When no probe has ended for three times `every` and `timeout`, what they found is forgotten: it stands ready.
///
/// Probes begin with the first call, on the runtime of that call (where a `std::shared_ptr` owns it), and end with the
/// policy: its destruction stops the one under way and waits for its end, except inside that probe itself. There is at
/// most one at a time. Where nothing drives the runtime (no background driver, and no call or `poll`) they wait.
///
/// A probe is in no ledger, no observer's hands, no statistics and no cooldown, and opens or closes no circuit breaker.
/// Of a client that is probed it takes no turn, and its strategy learns nothing of it. Put it right around the
/// provider: limits and caps inside it count its probes, those around it do not.
///
/// Errors: std::invalid_argument from the factory with `problem_with(options)`.
/// Thread safety: as every policy. Example: `openai({...}) | probe({.every = 30s}) | standard()`
[[nodiscard]] BACKSTOP_EXPORT Policy probe(ProbeOptions options = {});

/// What is wrong with the options; empty when nothing is.
[[nodiscard]] BACKSTOP_EXPORT std::string problem_with(const ProbeOptions& options);

}  // namespace backstop::inline v0
