#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>

#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0::detail {

/// So many units a minute, flowing in continuously, of which a burst's worth is kept.
///
/// It is counted in time: a unit is the span in which one flows in, and all there is to remember is the moment at which
/// the bucket would be full. So nothing is lost to rounding as it fills, however long it runs. Spans are rounded down,
/// so that parts of a burst never add up to more than the burst.
/// Thread safety: none.
class TokenBucket {
 public:
  TokenBucket() noexcept = default;  ///< without a limit: everything passes
  /// Starts full; both at least 1.
  TokenBucket(std::int64_t per_minute, std::int64_t burst) noexcept
      : per_minute_{per_minute}, burst_{burst}, one_{minute / per_minute}, capacity_{span_of(burst)} {}

  [[nodiscard]] bool limited() const noexcept { return per_minute_ > 0; }
  [[nodiscard]] std::int64_t per_minute() const noexcept { return per_minute_; }
  [[nodiscard]] std::int64_t burst() const noexcept { return burst_; }

  /// From when on that many can be taken; a burst is the most that is ever waited for.
  [[nodiscard]] TimePoint ready_at(std::int64_t units) const noexcept {
    if (!limited()) return TimePoint::min();
    const Duration short_of_full = capacity_ - std::min(capacity_, span_of(units));
    return std::max(closed_until_, saturating_add(full_at_, -short_of_full));
  }
  void take(std::int64_t units, TimePoint now) noexcept {
    if (limited()) full_at_ = saturating_add(std::max(full_at_, now), span_of(units));
  }
  /// What was taken turns out to be another amount: the difference is given back, or owed, at most a burst of it.
  void correct(std::int64_t taken, std::int64_t actual, TimePoint now) noexcept {
    if (!limited() || taken == actual) return;
    const Duration more = span_of(actual) - span_of(taken);
    const TimePoint most_owed = saturating_add(saturating_add(now, capacity_), capacity_);
    const TimePoint corrected = saturating_add(more > Duration::zero() ? std::max(full_at_, now) : full_at_, more);
    full_at_ = std::min(corrected, std::max(full_at_, most_owed));
  }
  /// Somebody who counts too says that no more than that many are left at that moment.
  void lower_to(std::int64_t units, TimePoint at) noexcept {
    if (!limited()) return;
    const Duration short_of_full = capacity_ - std::min(capacity_, span_of(std::max<std::int64_t>(units, 0)));
    if (short_of_full > Duration::zero()) full_at_ = std::max(full_at_, saturating_add(at, short_of_full));
  }
  void close_until(TimePoint point) noexcept { closed_until_ = std::max(closed_until_, point); }

  /// What is there, rounded down; below zero when some is owed. While it is closed: what is owed when it opens.
  [[nodiscard]] std::int64_t available(TimePoint now) const noexcept {
    const Duration missing = std::max(Duration::zero(), saturating_difference(full_at_, std::max(now, closed_until_)));
    const std::int64_t units = units_in(capacity_ - std::min(missing, 2 * capacity_));
    return now < closed_until_ ? std::min<std::int64_t>(units, 0) : units;
  }
  /// Takes over what is there, owed and closed from another with other limits.
  void take_over(const TokenBucket& before, TimePoint now) noexcept {
    if (!limited() || !before.limited()) return;
    closed_until_ = before.closed_until_;
    const Duration missing = std::max(Duration::zero(), saturating_difference(before.full_at_, now));
    const std::int64_t units = before.units_in(before.capacity_ - std::min(missing, 2 * before.capacity_));
    const Duration level = units < 0 ? -span_of(-units) : span_of(units);
    full_at_ = saturating_add(now, capacity_ - std::clamp(level, -capacity_, capacity_));
  }

 private:
  __extension__ typedef __int128 Wide;
  static constexpr std::int64_t minute = std::chrono::nanoseconds{std::chrono::minutes{1}}.count();
  static constexpr std::int64_t longest = std::numeric_limits<std::int64_t>::max() / 4;

  [[nodiscard]] Duration span_of(std::int64_t units) const noexcept {
    if (units <= 1) return units == 1 ? one_ : Duration{0};  // most questions are about one request or none
    if (units <= std::numeric_limits<std::int64_t>::max() / minute) return Duration{units * minute / per_minute_};
    return Duration{static_cast<std::int64_t>(std::min<Wide>(Wide{units} * minute / per_minute_, longest))};
  }
  [[nodiscard]] std::int64_t units_in(Duration span) const noexcept {
    const Wide units = Wide{span.count()} * per_minute_;
    return static_cast<std::int64_t>(units >= 0 ? units / minute : -((minute - 1 - units) / minute));
  }

  std::int64_t per_minute_ = 0;  // 0: no limit
  std::int64_t burst_ = 0;
  Duration one_{0};  // the span of one unit
  Duration capacity_{0};
  TimePoint full_at_ = TimePoint::min();
  TimePoint closed_until_ = TimePoint::min();
};

}  // namespace backstop::inline v0::detail
