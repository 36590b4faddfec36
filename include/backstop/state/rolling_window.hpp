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
/// Thread safety: none. Cost: constant, however much time has passed since the last entry.
template <class Sums, std::size_t Buckets>
class RollingWindow {
 public:
  /// `window` must be positive.
  explicit RollingWindow(Duration window) noexcept
      : window_{window}, width_{window.count() / bucket_count + (window.count() % bucket_count != 0 ? 1 : 0)} {}

  void add(TimePoint at, const Sums& sums) noexcept {
    const std::int64_t index = at.time_since_epoch().count() / width_;
    Bucket& bucket = buckets_[static_cast<std::uint64_t>(index) % buckets_.size()];
    if (bucket.index > index) return;  // older than the whole window
    if (bucket.index < index) bucket = Bucket{index, at, Sums{}};
    bucket.newest = std::max(bucket.newest, at);
    bucket.sums += sums;
  }

  [[nodiscard]] Sums total(TimePoint now) const noexcept {
    Sums total{};
    for (const Bucket& bucket : buckets_) {
      if (bucket.index != unused && saturating_difference(now, bucket.newest) < window_) total += bucket.sums;
    }
    return total;
  }

  void clear() noexcept { buckets_ = {}; }

 private:
  static constexpr auto bucket_count = static_cast<std::int64_t>(Buckets);
  static constexpr std::int64_t unused = std::numeric_limits<std::int64_t>::min();

  struct Bucket {
    std::int64_t index = unused;
    TimePoint newest{};
    Sums sums{};
  };

  Duration window_;
  std::int64_t width_;
  std::array<Bucket, Buckets + 1> buckets_{};  // a window that begins within a bucket touches one more
};

}  // namespace backstop::inline v0
