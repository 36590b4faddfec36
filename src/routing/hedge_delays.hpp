#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "backstop/provider.hpp"
#include "backstop/routing/hedge.hpp"
#include "state/latency_window.hpp"

namespace backstop::inline v0::detail {

/// How long a target usually takes to its first content, and what is slow for it.
///
/// Thread safety: all functions may be called from any thread.
class HedgeDelays {
 public:
  explicit HedgeDelays(const HedgeOptions& options) noexcept
      : min_delay_{options.min_delay},
        without_samples_{options.delay_without_samples},
        streamed_{options.percentile, options.min_samples},
        plain_{options.percentile, options.min_samples} {}

  [[nodiscard]] Duration delay(bool streamed) const noexcept {
    const std::optional<Duration> usual = (streamed ? streamed_ : plain_).percentile();
    return usual ? std::max(*usual, min_delay_) : without_samples_;
  }
  void took(Duration latency, bool streamed) const noexcept { (streamed ? streamed_ : plain_).record(latency); }

 private:
  Duration min_delay_;
  Duration without_samples_;
  mutable LatencyWindow streamed_;
  mutable LatencyWindow plain_;
};

/// Those of a client's candidates, and of the clients that are made of some of them.
///
/// Thread safety: as theirs.
class HedgeMemory {
 public:
  [[nodiscard]] std::shared_ptr<const HedgeDelays> of(const ChatProvider& provider, const HedgeOptions& options) {
    const std::lock_guard lock{mutex_};
    std::shared_ptr<const HedgeDelays>& delays = delays_[&provider];
    if (delays == nullptr) delays = std::make_shared<const HedgeDelays>(options);
    return delays;
  }

 private:
  std::mutex mutex_;
  std::map<const ChatProvider*, std::shared_ptr<const HedgeDelays>> delays_;
};

}  // namespace backstop::inline v0::detail
