#pragma once

#include <atomic>
#include <optional>
#include <string>

#include "backstop/chat/error.hpp"
#include "backstop/chat/rate_limit_status.hpp"
#include "backstop/chat/request.hpp"
#include "backstop/export.hpp"
#include "backstop/handover/needs.hpp"
#include "backstop/provider.hpp"
#include "backstop/state/cooldown.hpp"

namespace backstop::inline v0 {

/// A target that a router can choose, and what is remembered of it between calls.
struct Candidate {
  explicit Candidate(Provider candidate) : provider{std::move(candidate)} {}

  /// Its limits are used up, as it said itself: others go first, if there are any.
  [[nodiscard]] bool is_spared(TimePoint now) const noexcept {
    return now < spared_until.load(std::memory_order_relaxed);
  }
  /// What its last answer said of its limits: with no requests or tokens remaining it is spared until they are back, at
  /// most two minutes. Never shortens that.
  BACKSTOP_EXPORT void note_limits(const RateLimitStatus& status, TimePoint now) const noexcept;

  Provider provider;
  mutable Cooldown cooldown;
  mutable std::atomic<TimePoint> spared_until{TimePoint::min()};
};

/// What an earlier failure of the same call asks of the next target.
struct Requirement {
  std::optional<std::int64_t> window_above;  ///< the conversation did not fit this many tokens
  std::optional<Price> cheaper_than;         ///< a budget refused this price
  bool priced = false;                       ///< a budget needs to know the price

  /// Narrows the requirement by a failure; false when it rules out every other target.
  [[nodiscard]] BACKSTOP_EXPORT bool add(const Error& error, bool fall_back_on_content_filter) noexcept;
};

/// Why a candidate cannot take this request now; empty when it can. Kinds: `unsupported_capability`,
/// `context_window_exceeded`, `budget_exceeded` (not cheaper), `local_limit` (cooling down, with `retry_after`), or what
/// its own policies say, such as `circuit_open`.
[[nodiscard]] BACKSTOP_EXPORT std::optional<Error> obstacle(const Candidate& candidate, const ChatRequest& request,
                                                            const Needs& needs, const Requirement& requirement,
                                                            TimePoint now);

/// What one attempt reserves at this price: the estimated input and the most output that is allowed.
/// Empty when the price is not known.
[[nodiscard]] BACKSTOP_EXPORT std::optional<Money> worst_cost(const Target& target, const ChatRequest& request,
                                                              const Needs& needs) noexcept;

}  // namespace backstop::inline v0
