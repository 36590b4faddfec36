#pragma once

#include <algorithm>
#include <optional>

#include "backstop/routing/hedge.hpp"
#include "state/latency_window.hpp"

namespace backstop::inline v0::detail {

/// How long a target usually takes to its first content, and what is slow for it.
///
/// Thread safety: all functions may be called from any thread.
class HedgeDelays {
 public:
  /// `options` must outlive it.
  explicit HedgeDelays(const HedgeOptions& options) noexcept
      : options_{&options},
        streamed_{options.percentile, options.min_samples},
        plain_{options.percentile, options.min_samples} {}

  [[nodiscard]] Duration delay(bool streamed) const noexcept {
    const std::optional<Duration> usual = (streamed ? streamed_ : plain_).percentile();
    return usual ? std::max(*usual, options_->min_delay) : options_->delay_without_samples;
  }
  void took(Duration latency, bool streamed) const noexcept { (streamed ? streamed_ : plain_).record(latency); }

 private:
  const HedgeOptions* options_;
  mutable LatencyWindow streamed_;
  mutable LatencyWindow plain_;
};

}  // namespace backstop::inline v0::detail
