#pragma once

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>

#include "backstop/chat/error.hpp"
#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

/// Until when a target is better left alone, because it said so or because nothing would come of it.
///
/// It is set by what a failure's kind means (`CooldownRule`): the server's hint, 5 min doubling to 1 h for an exhausted
/// quota, 5 min for a refused key or a model that is not there. A later, shorter hint never shortens it.
/// Thread safety: all functions from many threads. Cost: no lock while nothing is the matter.
class Cooldown {
 public:
  struct Active {
    TimePoint until;
    ErrorKind why;  ///< the failure that set it
  };

  [[nodiscard]] std::optional<Active> active(TimePoint now) const noexcept {
    if (now >= until_.load(std::memory_order_relaxed)) return std::nullopt;
    const std::lock_guard lock{mutex_};
    const TimePoint until = until_.load(std::memory_order_relaxed);
    if (now >= until) return std::nullopt;
    return Active{until, why_};
  }

  void note(const Error& error, TimePoint now) noexcept {
    // A stream that broke off is judged by what broke it.
    const ErrorKind kind = error.cause.value_or(error.kind);
    const std::lock_guard lock{mutex_};
    Duration span = error.retry_after.value_or(Duration::zero());
    switch (traits_of(kind).cooldown) {
      case CooldownRule::none: return;
      case CooldownRule::hint: break;
      case CooldownRule::quota: {
        const int doublings = std::min(quota_failures_.fetch_add(1), 4);
        span = std::max(span, std::min<Duration>(longest_quota, first_quota * (1 << doublings)));
        break;
      }
      case CooldownRule::credential:
      case CooldownRule::model: span = std::max<Duration>(span, refused); break;
    }
    const TimePoint until = saturating_add(now, span);
    if (span <= Duration::zero() || until <= until_.load(std::memory_order_relaxed)) return;
    why_ = kind;
    until_.store(until, std::memory_order_relaxed);
  }

  void note_success() noexcept {
    if (quota_failures_.load(std::memory_order_relaxed) != 0) quota_failures_ = 0;
  }

  void clear() noexcept {
    const std::lock_guard lock{mutex_};
    until_ = TimePoint{};
    quota_failures_ = 0;
  }

 private:
  static constexpr std::chrono::minutes first_quota{5};
  static constexpr std::chrono::minutes longest_quota{60};
  static constexpr std::chrono::minutes refused{5};

  mutable std::mutex mutex_;  // for changes, and for `why_`
  std::atomic<TimePoint> until_{TimePoint{}};
  ErrorKind why_ = ErrorKind::rate_limited;
  std::atomic<int> quota_failures_{0};
};

}  // namespace backstop::inline v0
