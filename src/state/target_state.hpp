#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>

#include "backstop/chat/rate_limit_status.hpp"
#include "backstop/runtime/clock.hpp"
#include "state/cooldown.hpp"
#include "state/target_statistics.hpp"

namespace backstop::inline v0 {

/// What is remembered of a target between calls, by the provider that sends to it; copies of that provider share it.
///
/// Thread safety: all functions from many threads.
struct TargetState {
  TargetState() = default;
  TargetState(const TargetState&) = delete;
  TargetState& operator=(const TargetState&) = delete;
  ~TargetState() { delete statistics_.load(std::memory_order_relaxed); }

  Cooldown cooldown;
  /// Its limits are used up, as it said itself: others go first until then, if there are any.
  std::atomic<TimePoint> soft_limited_until{TimePoint::min()};

  /// What an answer said of the target's limits: with no requests or tokens remaining others go first until they are
  /// back, at most two minutes. Never shortens that.
  void note_limits(const RateLimitStatus& status, TimePoint now) noexcept {
    constexpr std::chrono::minutes longest{2};
    for (const RateLimitWindow* window :
         {&status.requests, &status.tokens, &status.input_tokens, &status.output_tokens}) {
      if (!window->remaining || *window->remaining > 0 || !window->reset_after) continue;
      const TimePoint until = saturating_add(now, std::min<Duration>(*window->reset_after, longest));
      TimePoint before = soft_limited_until.load(std::memory_order_relaxed);
      while (before < until && !soft_limited_until.compare_exchange_weak(before, until, std::memory_order_relaxed)) {
      }
    }
  }

  /// Null until somebody keeps them: a target that nobody chooses among others pays nothing for them.
  [[nodiscard]] detail::TargetStatistics* statistics() const noexcept {
    return statistics_.load(std::memory_order_acquire);
  }
  /// From now on what its sends tell is remembered.
  [[nodiscard]] detail::TargetStatistics& keep_statistics() {
    if (detail::TargetStatistics* kept = statistics()) return *kept;
    auto made = std::make_unique<detail::TargetStatistics>();
    detail::TargetStatistics* kept = nullptr;
    if (statistics_.compare_exchange_strong(kept, made.get(), std::memory_order_acq_rel)) return *made.release();
    return *kept;
  }

 private:
  std::atomic<detail::TargetStatistics*> statistics_{nullptr};
};

}  // namespace backstop::inline v0
