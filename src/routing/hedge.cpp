#include "backstop/routing/hedge.hpp"

#include <fmt/format.h>

#include "state/latency_window.hpp"

namespace backstop::inline v0 {

std::string problem_with(const HedgeOptions& options) {
  if (!(options.percentile > 0 && options.percentile < 1)) {
    return fmt::format("hedge: percentile is {}; it must be above 0 and below 1", options.percentile);
  }
  if (options.min_samples < 1 || options.min_samples > LatencyWindow::most_samples) {
    return fmt::format("hedge: min_samples is {}; it must be between 1 and {}", options.min_samples,
                       LatencyWindow::most_samples);
  }
  if (options.min_delay < Duration::zero() || options.delay_without_samples < Duration::zero()) {
    return "hedge: min_delay and delay_without_samples must not be negative";
  }
  return problem_with(options.budget);
}

}  // namespace backstop::inline v0
