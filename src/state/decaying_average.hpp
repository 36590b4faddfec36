#pragma once

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <optional>

#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0::detail {

/// An average over the last while, about `tau`. While no sample comes it decays towards what is expected of the unknown:
/// after `tau` 63 % of the way. What is old therefore says less and less, and nothing falls to zero by waiting.
///
/// Thread safety: any number of threads, without a lock. Value and time change together.
class DecayingAverage {
 public:
  DecayingAverage(double prior, Duration tau) noexcept : prior_{prior}, tau_{ticks(tau)} {}

  void add(double sample, TimePoint now) noexcept { update(sample, now, false); }
  /// A sample above the average becomes the average.
  void add_peak(double sample, TimePoint now) noexcept { update(sample, now, true); }

  [[nodiscard]] double estimate(TimePoint now) const noexcept {
    return estimate(latest_.load(std::memory_order_relaxed), tick(now));
  }
  [[nodiscard]] bool known() const noexcept { return is_known(latest_.load(std::memory_order_relaxed)); }
  /// Since the last sample, to 17 ms; empty without one.
  [[nodiscard]] std::optional<Duration> age(TimePoint now) const noexcept {
    const Latest latest = latest_.load(std::memory_order_relaxed);
    if (!is_known(latest)) return std::nullopt;
    return Duration{static_cast<std::int64_t>(elapsed(latest, tick(now))) << tick_bits};
  }

 private:
  // So small that it is read and written as one.
  struct Latest {
    float value;
    std::uint32_t at;
  };
  static constexpr int tick_bits = 24;  // of nanoseconds: 17 ms, so that an age of 400 days still is one

  [[nodiscard]] static std::uint32_t tick(TimePoint at) noexcept {
    return static_cast<std::uint32_t>(at.time_since_epoch().count() >> tick_bits);
  }
  [[nodiscard]] static double ticks(Duration span) noexcept {
    return static_cast<double>(span.count()) / static_cast<double>(std::int64_t{1} << tick_bits);
  }
  [[nodiscard]] static bool is_known(Latest latest) noexcept { return latest.value >= 0; }
  [[nodiscard]] static std::int32_t elapsed(Latest latest, std::uint32_t now) noexcept {
    const auto span = static_cast<std::int32_t>(now - latest.at);
    return span > 0 ? span : 0;  // threads read the clock in their own order
  }
  [[nodiscard]] double kept(Latest latest, std::uint32_t now) const noexcept {
    const std::int32_t span = elapsed(latest, now);
    return span == 0 ? 1 : static_cast<double>(std::exp(static_cast<float>(-span / tau_)));
  }
  [[nodiscard]] double estimate(Latest latest, std::uint32_t now) const noexcept {
    if (!is_known(latest)) return prior_;
    return prior_ + (static_cast<double>(latest.value) - prior_) * kept(latest, now);
  }

  void update(double sample, TimePoint now, bool peak) noexcept {
    const std::uint32_t at = tick(now);
    Latest before = latest_.load(std::memory_order_relaxed);
    Latest after{};
    do {
      double value = sample;
      if (is_known(before)) {
        // Not from where it has decayed to: that would draw a target that is asked often towards the prior.
        const double average = before.value;
        const double weight = kept(before, at);
        value = peak && sample > average ? sample : average * weight + sample * (1 - weight);
      }
      const bool is_late = is_known(before) && static_cast<std::int32_t>(at - before.at) < 0;
      after = {static_cast<float>(value), is_late ? before.at : at};
    } while (!latest_.compare_exchange_weak(before, after, std::memory_order_relaxed));
  }

  double prior_;
  double tau_;
  std::atomic<Latest> latest_{Latest{-1, 0}};
};

/// An average in which each sample counts for a sixteenth, the first ones for more; it does not age.
///
/// Thread safety: any number of threads, without a lock.
class RunningAverage {
 public:
  void add(double sample) noexcept {
    Latest before = latest_.load(std::memory_order_relaxed);
    Latest after{};
    do {
      after.count = before.count < 16 ? before.count + 1 : 16;
      after.value = before.value + (static_cast<float>(sample) - before.value) / static_cast<float>(after.count);
    } while (!latest_.compare_exchange_weak(before, after, std::memory_order_relaxed));
  }
  /// Empty without a sample.
  [[nodiscard]] std::optional<double> value() const noexcept {
    const Latest latest = latest_.load(std::memory_order_relaxed);
    return latest.count == 0 ? std::nullopt : std::optional{static_cast<double>(latest.value)};
  }

 private:
  struct Latest {
    float value;
    std::uint32_t count;
  };
  std::atomic<Latest> latest_{Latest{0, 0}};
};

}  // namespace backstop::inline v0::detail
