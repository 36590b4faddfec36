#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>

#include "backstop/chat/error.hpp"
#include "backstop/chat/error_kind.hpp"
#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

/// Until when a target is not to be asked, because it said so or because a send would fail again.
///
/// It is set by what a failure's kind means (`CooldownRule`): the server's hint, 5 min doubling to 1 h for an exhausted
/// quota, 5 min for a refused key or a model that is not there. A later, shorter hint never shortens it. A hint above
/// the longest allowed one keeps the target out for that longest time; then one call probes it, and the others wait for
/// the result.
/// Thread safety: any number of threads. Cost: no lock until a cooldown is first set.
class Cooldown {
 public:
  struct Active {
    TimePoint until;  ///< with `finds_out`: until another call may probe, unless the probe has an answer before
    ErrorKind why;    ///< the failure that set it
  };

  [[nodiscard]] std::optional<Active> active(TimePoint now) const noexcept {
    if (!set_.load(std::memory_order_relaxed)) return std::nullopt;
    const std::lock_guard lock{mutex_};
    if (now < until_) return Active{until_, why_};
    if (doubted_ && now < finding_out_until_) return Active{finding_out_until_, why_};
    return std::nullopt;
  }
  /// It is over, but the hint was longer: one call at a time probes the target.
  [[nodiscard]] bool finds_out() const noexcept {
    if (!set_.load(std::memory_order_relaxed)) return false;
    const std::lock_guard lock{mutex_};
    return doubted_;
  }

  /// A send begins; it is the probe, if one is needed.
  void note_begin(TimePoint now) noexcept {
    if (!set_.load(std::memory_order_relaxed)) return;
    const std::lock_guard lock{mutex_};
    if (doubted_ && now >= until_) finding_out_until_ = saturating_add(now, lease);
  }
  /// It has ended and tells nothing about the target.
  void note_nothing() noexcept {
    if (!set_.load(std::memory_order_relaxed)) return;
    const std::lock_guard lock{mutex_};
    finding_out_until_ = TimePoint{};
  }

  /// `longest_hint`: a server's hint counts for no longer.
  void note(const Error& error, TimePoint now, Duration longest_hint) noexcept {
    // A stream that broke off is judged by what broke it.
    const ErrorKind kind = error.cause.value_or(error.kind);
    const Duration hint = error.retry_after.value_or(Duration::zero());
    const CooldownRule rule = traits_of(kind).cooldown;
    if (rule == CooldownRule::none || (rule == CooldownRule::hint && hint <= Duration::zero())) return note_nothing();
    const std::lock_guard lock{mutex_};
    finding_out_until_ = TimePoint{};
    Duration span = std::min(hint, longest_hint);
    if (rule == CooldownRule::quota) {
      span = std::max(span, std::min<Duration>(longest_quota, first_quota * (1 << std::min(quota_failures_++, 4))));
    } else if (rule != CooldownRule::hint) {
      span = std::max<Duration>(span, refused);
    }
    const TimePoint until = saturating_add(now, span);
    if (until <= until_) return;
    why_ = kind;
    until_ = until;
    doubted_ = hint > span;
    set_.store(true, std::memory_order_relaxed);
  }

  void note_success() noexcept {
    if (!set_.load(std::memory_order_relaxed)) return;
    const std::lock_guard lock{mutex_};
    quota_failures_ = 0;
    finding_out_until_ = TimePoint{};
    doubted_ = false;
    if (traits_of(why_).cooldown == CooldownRule::model) until_ = TimePoint{};  // it is there after all
  }

  void clear() noexcept {
    const std::lock_guard lock{mutex_};
    until_ = finding_out_until_ = TimePoint{};
    quota_failures_ = 0;
    doubted_ = false;
    set_.store(false, std::memory_order_relaxed);
  }

 private:
  static constexpr std::chrono::minutes first_quota{5};
  static constexpr std::chrono::minutes longest_quota{60};
  static constexpr std::chrono::minutes refused{5};
  static constexpr std::chrono::seconds lease{120};

  std::atomic<bool> set_{false};  // has ever been, since it was cleared
  mutable std::mutex mutex_;      // for what follows
  TimePoint until_{};
  TimePoint finding_out_until_{};
  ErrorKind why_ = ErrorKind::rate_limited;
  int quota_failures_ = 0;
  bool doubted_ = false;  // the hint was longer than counts
};

}  // namespace backstop::inline v0
