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
/// Thread safety: none, also of `total`, which keeps what it found until a bucket can leave. Cost: constant, however
/// much time has passed since the last entry; most calls look at no bucket.
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
    if (bucket.index < index) {
      if (bucket.index != unused) known_until_ = (TimePoint::min)();  // may have been counted
      bucket = Bucket{index, at, Sums{}};
      known_until_ = (std::min)(known_until_, saturating_add(at, window_));
    }
    bucket.newest = (std::max)(bucket.newest, at);
    bucket.sums += sums;
    total_ += sums;
  }

  [[nodiscard]] Sums total(TimePoint now) const noexcept {
    if (now < known_until_) return total_;
    total_ = Sums{};
    known_until_ = (TimePoint::max)();
    for (const Bucket& bucket : buckets_) {
      if (bucket.index == unused || saturating_difference(now, bucket.newest) >= window_) continue;
      total_ += bucket.sums;
      known_until_ = (std::min)(known_until_, saturating_add(bucket.newest, window_));
    }
    return total_;
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

  Duration window_;
  std::int64_t width_;
  std::array<Bucket, Buckets + 1> buckets_{};  // a window that begins within a bucket touches one more
  mutable Sums total_{};                       // of the buckets, right before ...
  mutable TimePoint known_until_ = (TimePoint::max)();  // ... the first of them leaves
};

}  // namespace backstop::inline v0
