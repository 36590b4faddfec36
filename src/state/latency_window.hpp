#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

/// The latest 256 latencies of something, and how long all but the slowest of them took.
///
/// Thread safety: all functions may be called from any thread. Cost: the percentile is worked out with every 128th
/// sample, so that asking for it reads one atomic; no allocation.
class LatencyWindow {
 public:
  /// `percentile` is in (0, 1); with fewer than `min_samples`, at most 256, there is none.
  LatencyWindow(double percentile, int min_samples) noexcept
      : percentile_{percentile}, min_samples_{static_cast<std::size_t>(min_samples)} {}

  static constexpr int most_samples = 256;

  void record(Duration latency) noexcept;
  /// The latency that the given share of the samples does not exceed.
  [[nodiscard]] std::optional<Duration> percentile() const noexcept {
    const std::int64_t value = value_.load(std::memory_order_relaxed);
    return value < 0 ? std::nullopt : std::optional{Duration{value}};
  }

 private:
  void work_out(std::size_t recorded) noexcept;

  double percentile_;
  std::size_t min_samples_;
  std::atomic<std::int64_t> value_{-1};
  std::array<std::atomic<std::int64_t>, most_samples> samples_{};
  std::atomic<std::size_t> recorded_{0};
};

}  // namespace backstop::inline v0
