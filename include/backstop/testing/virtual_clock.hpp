#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0::testing {

/// Time that moves only when it is told to. Steady time starts at 1000 s, calendar time at 2026-01-01 00:00 UTC.
///
/// Thread safety: all functions may be called from any thread.
class VirtualClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const noexcept override { return TimePoint{Duration{steady_.load()}}; }
  [[nodiscard]] WallTime wall_now() const noexcept override {
    return WallTime{Duration{steady_.load() + wall_offset_.load()}};
  }

  /// Both clocks go on; not back.
  void advance_to(TimePoint point) noexcept {
    const std::int64_t to = point.time_since_epoch().count();
    std::int64_t from = steady_.load();
    while (from < to && !steady_.compare_exchange_weak(from, to)) {
    }
  }
  void advance(Duration span) noexcept { advance_to(saturating_add(now(), span)); }
  /// The calendar alone is set forward or back, as by a time server.
  void jump_wall(Duration span) noexcept { wall_offset_ += span.count(); }

 private:
  static constexpr Duration start_ = std::chrono::seconds{1000};
  static constexpr Duration wall_start_ = std::chrono::seconds{1'767'225'600};

  std::atomic<std::int64_t> steady_{start_.count()};
  std::atomic<std::int64_t> wall_offset_{(wall_start_ - start_).count()};
};

}  // namespace backstop::inline v0::testing
