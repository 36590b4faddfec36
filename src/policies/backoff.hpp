#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

#include "backstop/runtime/clock.hpp"

/// How long to wait before a retry: a ceiling that doubles, capped first and jittered then, so that callers that failed
/// together are spread at the cap too. `unit` is a random number in [0, 1).
namespace backstop::inline v0 {

/// The ceiling of the first wait, and what it grows to.
struct BackoffRange {
  Duration initial;
  Duration max;
};

/// `initial` doubled `repeat` times, at most `max`.
[[nodiscard]] constexpr Duration backoff_ceiling(const BackoffRange& range, unsigned repeat) noexcept {
  if (range.initial <= Duration::zero()) return Duration::zero();
  constexpr unsigned bits = std::numeric_limits<Duration::rep>::digits;
  if (repeat >= bits || range.initial.count() > (range.max.count() >> repeat)) return range.max;
  return Duration{range.initial.count() << repeat};
}

namespace detail {

[[nodiscard]] inline Duration share_of(Duration span, double unit) noexcept {
  const double share = std::floor(static_cast<double>(span.count()) * unit + 0.5);
  if (!(share > 0)) return Duration::zero();
  if (share >= static_cast<double>(span.count())) return span;
  return Duration{static_cast<Duration::rep>(share)};
}

}  // namespace detail

/// Anything from nothing to the ceiling: spreads the most, and waits the least.
[[nodiscard]] inline Duration full_jitter(Duration ceiling, double unit) noexcept {
  return detail::share_of(ceiling, unit);
}

/// From half the ceiling to the ceiling: for a server whose bucket is just empty, which an early retry would hit.
[[nodiscard]] inline Duration equal_jitter(Duration ceiling, double unit) noexcept {
  const Duration half = ceiling / 2;
  return ceiling - half + detail::share_of(half, unit);
}

/// A server's hint is a minimum: up to a tenth of it is added, at most 5 s.
[[nodiscard]] inline Duration hinted_wait(Duration hint, double unit) noexcept {
  const Duration extra = detail::share_of(std::min<Duration>(hint / 10, std::chrono::seconds{5}), unit);
  return saturating_add(TimePoint{hint}, extra).time_since_epoch();
}

/// The waits of one call: counts how often it has waited. A hint starts the doubling anew.
class Backoff {
 public:
  Backoff(const BackoffRange& transient, const BackoffRange& throttled) noexcept
      : transient_{transient}, throttled_{throttled} {}

  [[nodiscard]] Duration next(bool throttled, std::optional<Duration> hint, double unit) noexcept {
    if (hint) {
      repeat_ = 0;
      return hinted_wait(*hint, unit);
    }
    const unsigned repeat = repeat_;
    if (repeat_ < std::numeric_limits<unsigned>::max()) ++repeat_;
    if (throttled) return equal_jitter(backoff_ceiling(throttled_, repeat), unit);
    return full_jitter(backoff_ceiling(transient_, repeat), unit);
  }

 private:
  BackoffRange transient_;
  BackoffRange throttled_;
  unsigned repeat_ = 0;
};

}  // namespace backstop::inline v0
