#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "backstop/chat/error_kind.hpp"
#include "backstop/chat/money.hpp"
#include "backstop/export.hpp"
#include "backstop/observe/observer.hpp"

namespace backstop::inline v0 {

/// A count for each `ErrorKind`.
class KindCounts {
 public:
  [[nodiscard]] std::uint64_t operator[](ErrorKind kind) const noexcept {
    return counts_[static_cast<std::size_t>(kind)];
  }
  void add(ErrorKind kind) noexcept { ++counts_[static_cast<std::size_t>(kind)]; }
  [[nodiscard]] std::uint64_t total() const noexcept {
    std::uint64_t sum = 0;
    for (const std::uint64_t count : counts_) sum += count;
    return sum;
  }

 private:
  std::array<std::uint64_t, error_kind_count> counts_{};
};

/// How long something took, counted in buckets whose bounds double.
class LatencyHistogram {
 public:
  /// The longest time in each bucket but the last, which takes the rest. Source: OpenTelemetry's conventions for
  /// generative AI, `gen_ai.client.operation.duration`.
  static constexpr std::array<std::chrono::milliseconds, 14> bounds{
      std::chrono::milliseconds{10},    std::chrono::milliseconds{20},    std::chrono::milliseconds{40},
      std::chrono::milliseconds{80},    std::chrono::milliseconds{160},   std::chrono::milliseconds{320},
      std::chrono::milliseconds{640},   std::chrono::milliseconds{1280},  std::chrono::milliseconds{2560},
      std::chrono::milliseconds{5120},  std::chrono::milliseconds{10240}, std::chrono::milliseconds{20480},
      std::chrono::milliseconds{40960}, std::chrono::milliseconds{81920}};

  BACKSTOP_EXPORT void add(std::chrono::nanoseconds span) noexcept;
  [[nodiscard]] const std::array<std::uint64_t, bounds.size() + 1>& counts() const noexcept { return counts_; }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::chrono::nanoseconds sum() const noexcept { return sum_; }
  /// The bound that at least that share (from 0 to 1) did not exceed: for 0.5 at most twice the median. 0 when nothing
  /// was counted; the longest of all in the last bucket.
  [[nodiscard]] BACKSTOP_EXPORT std::chrono::nanoseconds at_most(double share) const noexcept;

 private:
  std::array<std::uint64_t, bounds.size() + 1> counts_{};
  std::uint64_t count_ = 0;
  std::chrono::nanoseconds sum_{0};
  std::chrono::nanoseconds longest_{0};
};

/// What became of the attempts at one target.
struct TargetMetrics {
  std::string target;                   ///< `provider/model`
  std::uint64_t attempts = 0;           ///< sent
  std::uint64_t succeeded = 0;
  std::uint64_t rejected = 0;           ///< of those, how many answers a quality floor refused
  std::uint64_t broken_after_content = 0;  ///< failed when the model had already begun to answer
  KindCounts failures;                  ///< of what was sent, by kind
  KindCounts skips;                     ///< candidates that were not sent to, by kind
  std::chrono::nanoseconds elapsed{0};  ///< of all attempts together
  LatencyHistogram latency;             ///< of those that succeeded, from the send to the end
  LatencyHistogram ttft;                ///< from the send to the first content, where there was any
  Money spend;                          ///< of all attempts, estimates included
  Money estimated_spend;                ///< the part of it that is estimated
  std::string breaker;                  ///< the last state that its circuit breaker reported; empty for none
  std::uint64_t breaker_changes = 0;

  /// From 0 to 1, without attempts that the application ended by cancelling or by its deadline, and those for which it
  /// had no memory; 1 where none is left.
  [[nodiscard]] BACKSTOP_EXPORT double success_rate() const noexcept;
};

/// All counts since the start, at one moment.
struct MetricsSnapshot {
  std::uint64_t calls = 0;      ///< that have ended
  std::uint64_t in_flight = 0;  ///< calls that have begun and not ended
  std::uint64_t succeeded = 0;
  std::uint64_t fallbacks = 0;  ///< calls that went on from their first choice to another target
  std::uint64_t troubled = 0;   ///< calls in which a target failed or was out
  std::uint64_t rescued = 0;    ///< those of them that were answered all the same
  KindCounts failures;          ///< failed calls by the kind of their error
  Money spend;                  ///< of all calls
  Money compared_spend;         ///< of answered calls whose first choice has a known price
  Money first_choice_cost;      ///< what that first choice would have cost for the same answers
  LatencyHistogram latency;     ///< of answered calls, from the entry to the end
  std::vector<TargetMetrics> targets;  ///< by name

  /// From 0 to 1: fallbacks by calls; 0 before the first call.
  [[nodiscard]] double fallback_rate() const noexcept { return share(fallbacks, calls, 0); }
  /// From 0 to 1: rescued by troubled calls; 1 while nothing has gone wrong.
  [[nodiscard]] double rescued_share() const noexcept { return share(rescued, troubled, 1); }
  [[nodiscard]] double success_rate() const noexcept { return share(succeeded, calls, 1); }
  /// What falling over, retrying and hedging cost (or, negative, saved) against the first choices alone.
  [[nodiscard]] Money cost_differential() const noexcept { return compared_spend - first_choice_cost; }
  /// The row of a target, null where nothing has happened there.
  [[nodiscard]] BACKSTOP_EXPORT const TargetMetrics* find(std::string_view target) const noexcept;

 private:
  [[nodiscard]] static double share(std::uint64_t part, std::uint64_t whole, double of_none) noexcept {
    return whole == 0 ? of_none : static_cast<double>(part) / static_cast<double>(whole);
  }
};

/// An observer that counts.
///
/// Thread safety: any number of threads. Cost: a short lock per event; memory grows with the number of targets only.
/// Errors: an event for which there is no memory is not counted.
///
/// Example: `auto metrics = std::make_shared<Metrics>();`, given to a client as an observer, then
/// `fmt::print("{:.1f} % fell back\n", 100 * metrics->snapshot().fallback_rate());`
class BACKSTOP_EXPORT Metrics final : public Observer {
 public:
  [[nodiscard]] MetricsSnapshot snapshot() const;

  void on_begin() noexcept override;
  void on_attempt(const AttemptEvent& event) noexcept override;
  void on_call(const CallEvent& event) noexcept override;
  void on_breaker(const BreakerEvent& event) noexcept override;

 private:
  TargetMetrics& row(const Target& target);
  void count_attempt(const Attempt& attempt);
  void count_call(const CallEvent& event);

  mutable std::mutex mutex_;
  MetricsSnapshot totals_;  ///< without its targets
  std::map<std::string, TargetMetrics, std::less<>> targets_;
};

}  // namespace backstop::inline v0
