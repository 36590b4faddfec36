#pragma once

#include <algorithm>
#include <mutex>
#include <optional>

#include "backstop/chat/error.hpp"
#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

/// Until when a target is better left alone, because it said so or because nothing would come of it.
///
/// It is set by what a failure's kind means (`CooldownRule`): the server's hint, 5 min doubling to 1 h for an exhausted
/// quota, 5 min for a refused key or a model that is not there. A later, shorter hint never shortens it.
/// Thread safety: all functions from many threads.
class Cooldown {
 public:
  struct Active {
    TimePoint until;
    ErrorKind why;  ///< the failure that set it
  };

  [[nodiscard]] std::optional<Active> active(TimePoint now) const noexcept {
    const std::lock_guard lock{mutex_};
    if (now >= until_) return std::nullopt;
    return Active{until_, why_};
  }

  void note(const Error& error, TimePoint now) noexcept {
    // A stream that broke off is judged by what broke it.
    const ErrorKind kind = error.cause.value_or(error.kind);
    const std::lock_guard lock{mutex_};
    Duration span = error.retry_after.value_or(Duration::zero());
    switch (traits_of(kind).cooldown) {
      case CooldownRule::none: return;
      case CooldownRule::hint: break;
      case CooldownRule::quota:
        span = std::max(span, std::min<Duration>(longest_quota, first_quota * (1 << std::min(quota_failures_, 4))));
        ++quota_failures_;
        break;
      case CooldownRule::credential:
      case CooldownRule::model: span = std::max<Duration>(span, refused); break;
    }
    const TimePoint until = saturating_add(now, span);
    if (span <= Duration::zero() || until <= until_) return;
    until_ = until;
    why_ = kind;
  }

  void note_success() noexcept {
    const std::lock_guard lock{mutex_};
    quota_failures_ = 0;
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

  mutable std::mutex mutex_;
  TimePoint until_{};
  ErrorKind why_ = ErrorKind::rate_limited;
  int quota_failures_ = 0;
};

}  // namespace backstop::inline v0
