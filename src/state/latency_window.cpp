#include "state/latency_window.hpp"

#include <algorithm>
#include <cmath>

namespace backstop::inline v0 {

void LatencyWindow::record(Duration latency) noexcept {
  constexpr std::size_t samples_between = most_samples / 2;
  const std::size_t before = recorded_.fetch_add(1, std::memory_order_relaxed);
  samples_[before % samples_.size()].store(latency.count(), std::memory_order_relaxed);
  const std::size_t recorded = before + 1;
  if (recorded < min_samples_) return;
  if (recorded == min_samples_ || recorded % samples_between == 0) work_out(recorded);
}

// A sample that another thread is writing right now counts as the one it replaces.
void LatencyWindow::work_out(std::size_t recorded) noexcept {
  std::array<std::int64_t, most_samples> sorted;
  for (std::size_t i = 0; i < sorted.size(); ++i) sorted[i] = samples_[i].load(std::memory_order_relaxed);
  const std::size_t count = std::min(recorded, sorted.size());
  const double rank = std::ceil(percentile_ * static_cast<double>(count));
  const std::size_t index = std::min(count, std::max<std::size_t>(1, static_cast<std::size_t>(rank))) - 1;
  const auto end = sorted.begin() + static_cast<std::ptrdiff_t>(count);
  const auto at = sorted.begin() + static_cast<std::ptrdiff_t>(index);
  std::nth_element(sorted.begin(), at, end);
  value_.store(*at, std::memory_order_relaxed);
}

}  // namespace backstop::inline v0
