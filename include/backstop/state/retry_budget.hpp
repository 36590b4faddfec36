#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "backstop/export.hpp"
#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

/// How many retries a target may get before its failures stop them. The defaults allow a burst of 7 transient or 20
/// throttled retries, and then as many as 7 or 20 in a hundred calls that succeed at the first try.
struct RetryBudgetOptions {
  std::int64_t capacity = 100;
  std::int64_t transient_cost = 14;   ///< of a retry after a failure such as 500
  std::int64_t throttle_cost = 5;     ///< of a retry after 429, 503, 529
  std::int64_t success_reward = 1;    ///< for a call that succeeds at the first try
  std::int64_t refill_per_second = 1; ///< so that an idle client recovers; 0 for none
};

/// Keeps an outage from multiplying traffic: a bucket of tokens that retries take from and successes put into. First
/// tries never wait for it and are never refused.
///
/// Thread safety: all functions may be called from any thread. Cost: an atomic read while the bucket is full.
class BACKSTOP_EXPORT RetryBudget {
 public:
  /// Starts full. Throws std::invalid_argument for negative options.
  explicit RetryBudget(const RetryBudgetOptions& options);

  [[nodiscard]] const RetryBudgetOptions& options() const noexcept { return options_; }
  /// Takes the cost of one retry; false when there is not that much.
  [[nodiscard]] bool acquire(std::int64_t cost, TimePoint now) noexcept;
  /// Puts back what a retry took that succeeded or did not happen, or a success's reward; never above the capacity.
  void put_back(std::int64_t tokens) noexcept;
  /// Whole tokens that are there.
  [[nodiscard]] std::int64_t available(TimePoint now) const noexcept;

 private:
  void refill(TimePoint now) const noexcept;

  RetryBudgetOptions options_;
  std::int64_t capacity_;  // in billionths of a token: what one token per second brings in a nanosecond
  mutable std::mutex mutex_;
  mutable std::int64_t level_;
  mutable TimePoint refilled_at_{(TimePoint::min)()};
  mutable std::atomic<bool> full_{true};
};

}  // namespace backstop::inline v0
