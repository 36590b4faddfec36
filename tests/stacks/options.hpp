#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <string_view>
#include <vector>

#include "backstop/policies/bulkhead.hpp"
#include "backstop/policies/cache.hpp"
#include "backstop/policies/circuit_breaker.hpp"
#include "backstop/policies/cost_cap.hpp"
#include "backstop/routing/degrade.hpp"
#include "backstop/routing/hedge.hpp"
#include "backstop/routing/recovery_options.hpp"
#include "backstop/routing/rules.hpp"
#include "backstop/routing/strategy.hpp"
#include "backstop/policies/rate_limit.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/policies/timeout.hpp"

#include "stacks/own_code.hpp"

/// The options that policies of a case may have, by level, each with the text that makes it in a program.
namespace stacks {

template <class T>
struct Option {
  T value;
  std::string_view text;
};
#define STACKS_OPTION(...) \
  { __VA_ARGS__, #__VA_ARGS__ }

template <class T, std::size_t Size>
[[nodiscard]] const Option<T>& at_level(const std::array<Option<T>, Size>& options, int level) {
  return options[static_cast<std::size_t>(level) % options.size()];
}

namespace tables {

using namespace backstop;
using namespace std::chrono_literals;

inline const std::array<Option<RetryOptions>, 4> retry{{
    STACKS_OPTION(RetryOptions{}),
    STACKS_OPTION(RetryOptions{.max_attempts = 1}),
    STACKS_OPTION(RetryOptions{.max_attempts = 4, .max_attempts_with_fallback = 4}),
    STACKS_OPTION(RetryOptions{.max_attempts = 2, .initial = 10ms, .max = 20ms, .budget = {}}),
}};
inline const std::array<Option<TimeoutOptions>, 4> timeout{{
    STACKS_OPTION(TimeoutOptions{}),
    STACKS_OPTION(TimeoutOptions{.attempt = 2s}),
    STACKS_OPTION(TimeoutOptions{.first_token = 1s, .attempt = 30s}),
    STACKS_OPTION(TimeoutOptions{.connect = 1s, .first_byte = 5s, .idle = 5s}),
}};
inline const std::array<Option<CircuitBreakerOptions>, 4> breaker{{
    STACKS_OPTION(CircuitBreakerOptions{}),
    STACKS_OPTION(CircuitBreakerOptions{.consecutive_failures = 1, .open_for = 5s}),
    STACKS_OPTION(CircuitBreakerOptions{.consecutive_failures = 2, .open_for = 1s, .successes_to_close = 1}),
    STACKS_OPTION(CircuitBreakerOptions{.consecutive_failures = 1, .open_for = 1s, .ramp = 30s}),
}};
inline const std::array<Option<Money>, 4> cap{{
    STACKS_OPTION(Money::usd(0.01)),
    STACKS_OPTION(Money::usd(0.05)),
    STACKS_OPTION(Money::usd(0.5)),
    STACKS_OPTION(Money::usd(100)),
}};
inline const std::array<Option<RateLimitOptions>, 4> rate_limit{{
    STACKS_OPTION(RateLimitOptions{.requests_per_minute = 600}),
    STACKS_OPTION(RateLimitOptions{.requests_per_minute = 2}),
    STACKS_OPTION(RateLimitOptions{.requests_per_minute = 12, .burst = 2, .max_wait = 10s}),
    STACKS_OPTION(RateLimitOptions{.tokens_per_minute = 6'000}),
}};
inline const std::array<Option<BulkheadOptions>, 4> bulkhead{{
    STACKS_OPTION(BulkheadOptions{}),
    STACKS_OPTION(BulkheadOptions{.max_in_flight = 1}),
    STACKS_OPTION(BulkheadOptions{.max_in_flight = 1, .max_queued = 2, .max_wait = 5s}),
    STACKS_OPTION(BulkheadOptions{.max_in_flight = 2, .max_queued = 10}),
}};
inline const std::array<Option<AdaptiveConcurrencyOptions>, 4> adaptive{{
    STACKS_OPTION(AdaptiveConcurrencyOptions{}),
    STACKS_OPTION(AdaptiveConcurrencyOptions{.initial = 1, .max = 3, .max_queued = 4}),
    STACKS_OPTION(AdaptiveConcurrencyOptions{}),
    STACKS_OPTION(AdaptiveConcurrencyOptions{}),
}};
inline const std::array<Option<CacheOptions>, 4> cache{{
    STACKS_OPTION(CacheOptions{}),
    STACKS_OPTION(CacheOptions{.ttl = 10s, .any_temperature = true}),
    STACKS_OPTION(CacheOptions{}),
    STACKS_OPTION(CacheOptions{}),
}};
// Delays without samples: no case makes enough calls for a percentile.
inline const std::array<Option<HedgeOptions>, 4> hedge{{
    STACKS_OPTION(HedgeOptions{}),
    STACKS_OPTION(HedgeOptions{.min_delay = 100ms, .delay_without_samples = 100ms, .budget = {.share = 1}}),
    STACKS_OPTION(HedgeOptions{.min_delay = 1s, .delay_without_samples = 1s, .budget = {.share = 0.5}}),
    STACKS_OPTION(HedgeOptions{}),
}};
inline const std::array<Option<RecoveryOptions>, 4> recovery{{
    STACKS_OPTION(RecoveryOptions{}),
    STACKS_OPTION(RecoveryOptions{.max_wait = 0s}),
    STACKS_OPTION(RecoveryOptions{.max_wait = 60s, .max_waiting = 2, .probe_interval = 100ms}),
    STACKS_OPTION(RecoveryOptions{}),
}};

struct LadderOption {
  std::vector<Rung> ladder;
  bool early = false;
};
inline const std::array<Option<LadderOption>, 6> degrade{{
    {{}, ""},
    {{{degrade::images(), degrade::tools()}}, ".degrade = {degrade::images(), degrade::tools()}, "},
    {{{degrade::tools(), degrade::history(), degrade::images()}, true},
     ".degrade = {degrade::tools(), degrade::history(), degrade::images()}, .degrade_early = true, "},
    {{{degrade::images(), degrade::canned("canned ANSWER-MARK")}},
     ".degrade = {degrade::images(), degrade::canned(\"canned ANSWER-MARK\")}, "},
    {{{degrade::tools(), degrade::cached(AnswerCache{})}},
     ".degrade = {degrade::tools(), degrade::cached(AnswerCache{})}, "},
    {{{degrade::history({.keep_turns = 1, .summarized_by = stacks::summary_writer(), .summary_tokens = 12}),
       degrade::images()}},
     ".degrade = {degrade::history({.keep_turns = 1, .summarized_by = stacks::summary_writer(), .summary_tokens = 12}), "
     "degrade::images()}, "},
}};

// A client has at most four candidates, or as many as weights are cut to.
inline const std::array<Option<Strategy>, 14> strategy{{
    STACKS_OPTION(ordered()),
    STACKS_OPTION(first_ready()),
    STACKS_OPTION(stacks::weights({1, 1, 1, 1})),
    STACKS_OPTION(stacks::weights({1, 5, 0, 2})),
    STACKS_OPTION(lowest_latency({.exploration = 0.2})),
    STACKS_OPTION(highest_throughput({.exploration = 0.2})),
    STACKS_OPTION(lowest_cost()),
    STACKS_OPTION(least_in_flight()),
    STACKS_OPTION(sticky(lowest_latency())),
    STACKS_OPTION(sticky(stacks::weights({3, 1, 2, 1}), {.max_sessions = 1, .forget_after = 1s})),
    STACKS_OPTION(rules({{uses_tools() || has_images(), 0}, {input_above(100), 0}})),
    STACKS_OPTION(stacks::throwing_strategy()),
    STACKS_OPTION(ordered({.min_dwell = 2s, .successes = 1})),
    STACKS_OPTION(sticky(first_ready(), {.cache_ttl = 2s, .expected_turns = 2, .min_dwell = 0s})),
}};

}  // namespace tables
}  // namespace stacks
