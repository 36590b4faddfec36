#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>

#include "backstop/chat/error.hpp"
#include "backstop/chat/usage.hpp"
#include "backstop/runtime/clock.hpp"
#include "backstop/state/rolling_window.hpp"
#include "state/decaying_average.hpp"

namespace backstop::inline v0::detail {

/// How a send ended, or a call to a client that stands among others.
struct SendEnd {
  TimePoint at{};
  Duration elapsed{0};
  std::optional<Duration> ttft{};  ///< time to first token; of an answer that came in one piece the whole time
  const Error* error = nullptr;    ///< null: it was answered
  Usage usage{};                   ///< of an answer
};

/// What is remembered of a target between calls, so that strategies can choose: how many sends are under way, how soon
/// and how fast it answers, how often it fails, and whether it fails so often that others go first.
///
/// - TTFT is a peak-sensitive average, tau 60 s. A failure counts as the largest of the present value, 5 s and the
///   server's hint, so that fast failures do not look fast; what was cancelled, superseded or cut by the caller's own
///   limit counts what had passed. What is wrong with the request says nothing.
/// - Ejection: when of at least five sends within 60 s half have failed, the target is out for 30 s, doubling up to
///   300 s. Then one send at a time finds out; after the first that succeeds its share of the calls rises from 10 % to
///   all of them over 30 s. Being out is advice: who chooses decides how many of its targets may be out.
///
/// Thread safety: any number of threads; reading takes no lock, but for `counts`.
class TargetStatistics {
 public:
  static constexpr double prior_ttft = 1;                  // seconds
  static constexpr double failure_ttft = 5;                // seconds
  static constexpr double prior_token_time = 0.02;         // seconds: 50 tokens a second
  static constexpr double failure_token_time = 0.2;        // seconds
  static constexpr std::chrono::seconds slow_start{30};
  static constexpr double slow_start_from = 0.1;

  void begin() noexcept { in_flight_.fetch_add(1, std::memory_order_relaxed); }
  void end(const SendEnd& end) noexcept;
  /// It ended, and says nothing.
  void abandon() noexcept { in_flight_.fetch_sub(1, std::memory_order_relaxed); }

  [[nodiscard]] int in_flight() const noexcept { return in_flight_.load(std::memory_order_relaxed); }
  [[nodiscard]] const DecayingAverage& ttft() const noexcept { return ttft_; }              ///< seconds
  [[nodiscard]] const DecayingAverage& token_time() const noexcept { return token_time_; }  ///< seconds per output token
  [[nodiscard]] const RunningAverage& output_tokens() const noexcept { return output_tokens_; }
  /// Of the input, what the provider had in its prompt cache.
  [[nodiscard]] const RunningAverage& cached_share() const noexcept { return cached_share_; }

  /// Which share of the calls that are meant for it a target should get.
  struct Health {
    bool ejected = false;
    double share = 1;
    bool finds_out = false;  ///< one send at a time does, whether it is back
  };
  [[nodiscard]] Health health(TimePoint now) const noexcept;
  /// Of its answers, when it was ejected last: who is worse.
  [[nodiscard]] double success_share_then() const noexcept { return share_then_.load(std::memory_order_relaxed); }

  struct Counts {
    std::int64_t ends = 0;  ///< that tell of the target
    std::int64_t failures = 0;
    std::int64_t rejections = 0;

    Counts& operator+=(const Counts& other) noexcept {
      ends += other.ends;
      failures += other.failures;
      rejections += other.rejections;
      return *this;
    }
  };
  struct Shares {
    Counts lately;  ///< within 60 s
    Counts ever;
  };
  [[nodiscard]] Shares counts(TimePoint now) const noexcept;
  /// What a quality floor has said of an answer that has ended.
  void note_verdict(TimePoint at, bool rejected) noexcept;
  /// Of its judged answers lately, how many were refused; 0 where none was judged.
  [[nodiscard]] double rejected_share() const noexcept { return rejected_share_.value().value_or(0); }

 private:
  void note_answer(const SendEnd& end) noexcept;
  void count(TimePoint at, bool failed, bool rejected) noexcept;
  // With the lock held.
  void note_success(TimePoint at) noexcept;
  void note_failure(TimePoint at) noexcept;
  void eject(TimePoint at) noexcept;

  std::atomic<int> in_flight_{0};
  DecayingAverage ttft_{prior_ttft, std::chrono::seconds{60}};
  DecayingAverage token_time_{prior_token_time, std::chrono::seconds{300}};
  RunningAverage output_tokens_;
  RunningAverage cached_share_;
  RunningAverage rejected_share_;
  std::atomic<TimePoint> out_until_{TimePoint::min()};  // then one at a time finds out; the beginning of time: in
  std::atomic<TimePoint> ramp_from_{TimePoint::min()};
  std::atomic<double> share_then_{1};

  mutable std::mutex mutex_;  // for what follows; the atomics above are written with it held
  RollingWindow<Counts, 10> window_{std::chrono::seconds{60}};
  Counts ever_;
  int ejections_ = 0;  // one after the other
};

}  // namespace backstop::inline v0::detail
