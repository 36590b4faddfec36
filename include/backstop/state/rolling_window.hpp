#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

/// Sums over the last stretch of steady time, kept in `Buckets` buckets. `Sums` is a value with `+=`.
///
/// A bucket is counted for as long as its newest entry is younger than the window: nothing leaves early, and an entry
/// leaves at most one bucket's width late.
///
/// Thread safety: none. Cost: of looking at all buckets, however much time has passed since the last entry.
template <class Sums, std::size_t Buckets>
class RollingWindow {
 public:
  /// `window` must be positive.
  explicit RollingWindow(Duration window) noexcept
      : window_{window}, width_{window.count() / bucket_count + (window.count() % bucket_count != 0 ? 1 : 0)} {}

  void add(TimePoint at, const Sums& sums) noexcept {
    const std::int64_t count = at.time_since_epoch().count();
    const std::int64_t index = count / width_ - (count % width_ < 0 ? 1 : 0);
    Bucket& bucket = buckets_[(static_cast<std::uint64_t>(index) + whole_turns) % buckets_.size()];
    if (bucket.index > index) return;  // older than the whole window
    if (bucket.index < index) bucket = Bucket{index, at, Sums{}};
    bucket.newest = (std::max)(bucket.newest, at);
    bucket.sums += sums;
  }

  [[nodiscard]] Sums total(TimePoint now) const noexcept {
    Sums sums{};
    for (const Bucket& bucket : buckets_) {
      if (counts(bucket, now)) sums += bucket.sums;
    }
    return sums;
  }
  /// When the first of what counts now no longer does; `TimePoint::max()`: nothing counts.
  [[nodiscard]] TimePoint next_leave(TimePoint now) const noexcept {
    TimePoint next = (TimePoint::max)();
    for (const Bucket& bucket : buckets_) {
      if (counts(bucket, now)) next = (std::min)(next, saturating_add(bucket.newest, window_));
    }
    return next;
  }

  void clear() noexcept { *this = RollingWindow{window_}; }

 private:
  static constexpr auto bucket_count = static_cast<std::int64_t>(Buckets);
  /// Makes indexes before the clock's beginning positive: what was before the machine was started.
  static constexpr std::uint64_t whole_turns = (std::uint64_t{1} << 62) / (Buckets + 1) * (Buckets + 1);
  static constexpr std::int64_t unused = (std::numeric_limits<std::int64_t>::min)();

  struct Bucket {
    std::int64_t index = unused;
    TimePoint newest{};
    Sums sums{};
  };

  [[nodiscard]] bool counts(const Bucket& bucket, TimePoint now) const noexcept {
    return bucket.index != unused && saturating_difference(now, bucket.newest) < window_;
  }

  Duration window_;
  std::int64_t width_;
  std::array<Bucket, Buckets + 1> buckets_{};  // a window that begins within a bucket touches one more
};

}  // namespace backstop::inline v0
