#include "backstop/state/latency_window.hpp"

#include <algorithm>
#include <cmath>

namespace backstop::inline v0 {

void LatencyWindow::record(Duration latency) noexcept {
  constexpr std::size_t samples_between = 64;
  const std::lock_guard lock{mutex_};
  samples_[recorded_++ % samples_.size()] = latency.count();
  if (recorded_ < min_samples_) return;
  if (recorded_ == min_samples_ || recorded_ % samples_between == 0) work_out();
}

void LatencyWindow::work_out() noexcept {
  std::array<std::int64_t, most_samples> sorted = samples_;
  const std::size_t count = std::min(recorded_, sorted.size());
  const double rank = std::ceil(percentile_ * static_cast<double>(count));
  const std::size_t index = std::min(count, std::max<std::size_t>(1, static_cast<std::size_t>(rank))) - 1;
  const auto end = sorted.begin() + static_cast<std::ptrdiff_t>(count);
  const auto at = sorted.begin() + static_cast<std::ptrdiff_t>(index);
  std::nth_element(sorted.begin(), at, end);
  value_.store(*at, std::memory_order_relaxed);
}

}  // namespace backstop::inline v0
