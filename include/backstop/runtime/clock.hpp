#pragma once

#include <chrono>

#include "backstop/export.hpp"

namespace backstop::inline v0 {

using Duration = std::chrono::nanoseconds;
/// A point on the steady clock; all limits, waits and windows are measured with it.
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;
/// Calendar time, used only for HTTP dates and reports.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

/// Where the library gets the time from; tests put a virtual one here.
///
/// Thread safety: both functions may be called from any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual TimePoint now() const noexcept = 0;
  [[nodiscard]] virtual WallTime wall_now() const noexcept = 0;
};

/// `later - earlier` without overflow; saturates at the ends.
[[nodiscard]] constexpr Duration saturating_difference(TimePoint later, TimePoint earlier) noexcept {
  std::int64_t difference = 0;
  if (__builtin_sub_overflow(later.time_since_epoch().count(), earlier.time_since_epoch().count(), &difference)) {
    return later > earlier ? (Duration::max)() : (Duration::min)();
  }
  return Duration{difference};
}

/// `start + span` without overflow; an endless span gives the end of time.
[[nodiscard]] constexpr TimePoint saturating_add(TimePoint start, Duration span) noexcept {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(start.time_since_epoch().count(), span.count(), &sum)) {
    return span.count() > 0 ? (TimePoint::max)() : (TimePoint::min)();
  }
  return TimePoint{Duration{sum}};
}

/// The machine's own clocks.
[[nodiscard]] BACKSTOP_EXPORT const Clock& machine_clock() noexcept;

}  // namespace backstop::inline v0
