#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backstop/chat/error_kind.hpp"
#include "backstop/chat/target.hpp"
#include "backstop/export.hpp"
#include "backstop/runtime/clock.hpp"
#include "backstop/state/rolling_window.hpp"

namespace backstop::inline v0 {

class Observer;
class CircuitBreaker;

enum class BreakerState : std::uint8_t {
  closed,        ///< calls pass and are counted
  open,          ///< calls are refused until the open time is over
  half_open,     ///< one probe at a time passes
  isolated,      ///< by hand: everything is refused, forced probes too, until another control is used
  disabled,      ///< by hand: everything passes, nothing is counted
  metrics_only,  ///< by hand: everything passes and is counted; the breaker never opens
};

/// The state's own name, such as "half_open".
[[nodiscard]] BACKSTOP_EXPORT std::string_view to_string(BreakerState state) noexcept;

/// When a breaker opens, and how it closes again.
struct CircuitBreakerOptions {
  int consecutive_failures = 5;                       ///< so many failures in a row open it, or ...
  double failure_rate = 0.5;                          ///< ... this share of failures, above 0 and at most 1, ...
  int min_calls = 10;                                 ///< ... among at least so many calls ...
  Duration window = std::chrono::seconds{60};         ///< ... that ended within this time
  /// The first open time. It doubles with each further one, but for those that this machine's network is at fault for.
  Duration open_for = std::chrono::seconds{30};
  Duration open_for_max = std::chrono::seconds{300};  ///< the longest open time, before jitter; longest hint obeyed
  double jitter = 0.2;                                ///< up to this share is added to an open time
  Duration forgive_after = std::chrono::seconds{60};  ///< closed for so long takes one doubling back
  int successes_to_close = 2;                         ///< probes that must succeed one after the other
  Duration probe_lease = std::chrono::seconds{120};   ///< a probe that has not reported by then is void
  Duration slow_after = std::chrono::seconds{30};     ///< an answer whose first token took longer counts as slow
  std::optional<double> slow_rate{};                  ///< this share of slow answers opens it too; unset: only measured
  /// After the probes have closed it: from a tenth of the calls to all of them over this time, while another target can
  /// take the rest. 0: all.
  Duration ramp{0};
  /// Told of every change, those made by hand too. A client's own observers are told of what its calls bring about.
  std::vector<std::shared_ptr<Observer>> observers{};
};

/// What is wrong with the options, and what would be accepted; empty when nothing is.
[[nodiscard]] BACKSTOP_EXPORT std::string problem_with(const CircuitBreakerOptions& options);

/// How a call ended, as a breaker sees it.
struct BreakerOutcome {
  BreakerVerdict verdict = BreakerVerdict::success;
  TimePoint at{};
  std::optional<Duration> ttft{};         ///< time to first token
  std::optional<Duration> retry_after{};  ///< with a failure: the server's hint
  bool local_network = false;             ///< with a failure: this machine's network is at fault, see `NetworkWatch`
  double jitter = 0;                      ///< a random number in [0, 1), used when this outcome opens the breaker
};

/// On whose behalf a permit was asked for: for the events. What it points to outlives the permit.
struct BreakerAudience {
  const Target* target = nullptr;
  const std::vector<std::shared_ptr<Observer>>* observers = nullptr;
};

/// Permission to make one call. Destroyed without an outcome it is given back, and nothing is counted.
///
/// The breaker must outlive it. Thread safety: one thread at a time.
class BACKSTOP_EXPORT BreakerPermit {
 public:
  /// No permission: the call was refused.
  BreakerPermit() noexcept = default;
  BreakerPermit(BreakerPermit&& other) noexcept { swap(other); }
  BreakerPermit& operator=(BreakerPermit&& other) noexcept {
    BreakerPermit{std::move(other)}.swap(*this);
    return *this;
  }
  ~BreakerPermit() { give_back(); }

  [[nodiscard]] explicit operator bool() const noexcept { return breaker_ != nullptr; }
  [[nodiscard]] bool is_probe() const noexcept { return role_ != Role::counted; }
  /// The call has its first content: a probe has succeeded. A later failure still counts.
  void first_content(TimePoint at) noexcept;
  /// The call has ended. Only the first outcome counts.
  void record(const BreakerOutcome& outcome) noexcept;
  /// As on destruction.
  void give_back() noexcept;

 private:
  friend class CircuitBreaker;
  enum class Role : std::uint8_t { counted, probe, judged_probe };

  BreakerPermit(CircuitBreaker& breaker, std::uint64_t generation, Role role, BreakerAudience audience) noexcept
      : breaker_{&breaker}, generation_{generation}, role_{role}, audience_{audience} {}
  void swap(BreakerPermit& other) noexcept {
    std::swap(breaker_, other.breaker_);
    std::swap(generation_, other.generation_);
    std::swap(role_, other.role_);
    std::swap(audience_, other.audience_);
  }

  CircuitBreaker* breaker_ = nullptr;
  std::uint64_t generation_ = 0;
  Role role_ = Role::counted;
  BreakerAudience audience_;
};

/// A breaker at one moment.
struct BreakerSnapshot {
  BreakerState state = BreakerState::closed;
  std::uint64_t generation = 0;  ///< rises with every change of state; outcomes of older ones change nothing
  bool probe_out = false;        ///< a probe is under way
  std::int64_t calls = 0;        ///< counted within the window
  std::int64_t failures = 0;     ///< of these
  std::int64_t slow = 0;         ///< of these
  int consecutive_failures = 0;
  int probe_successes = 0;  ///< so far, when half-open
  int doublings = 0;        ///< of the open time, when it opens next
  std::int64_t times_opened = 0;
  TimePoint open_until{};  ///< when open
};

/// Stops calls to a target that keeps failing, and lets probes find out when it has recovered.
///
/// Time is passed in, so that one breaker serves calls of any runtime; it must be steady time.
///
/// Thread safety: any number of threads. Observers are called without a lock held, in the order of the changes; they
/// may use the breaker. Cost: a permit of a closed breaker and a refusal read one or two atomics; an outcome takes a
/// short lock.
class BACKSTOP_EXPORT CircuitBreaker {
 public:
  /// `target` is who the events made by hand are about.
  /// Errors: std::invalid_argument with `problem_with(options)`.
  [[nodiscard]] static std::shared_ptr<CircuitBreaker> create(CircuitBreakerOptions options = {}, Target target = {});
  explicit CircuitBreaker(CircuitBreakerOptions options, Target target = {});
  CircuitBreaker(const CircuitBreaker&) = delete;
  CircuitBreaker& operator=(const CircuitBreaker&) = delete;

  // For calls.

  /// Permission for one call, or an empty permit. `forced` asks for a probe before the open time is over: one at a
  /// time, and one that fails does not lengthen it.
  [[nodiscard]] BreakerPermit try_acquire(TimePoint now, bool forced = false, BreakerAudience audience = {}) noexcept;
  /// While calls are refused: the earliest moment that may change; the end of time when isolated. Changes nothing.
  [[nodiscard]] std::optional<TimePoint> refuses_until(TimePoint now) const noexcept;
  /// What share of calls should be let in, as far as the ramp goes: from 0.1 to 1. The caller that asks for a permit
  /// decides by a random number.
  [[nodiscard]] double ramp_share(TimePoint now) const noexcept;

  // By hand.

  void isolate() noexcept;
  /// Closed, with nothing counted. The open time's doublings stay.
  void force_close() noexcept;
  void disable() noexcept;
  void metrics_only() noexcept;
  /// As new.
  void reset() noexcept;

  // To look at.

  [[nodiscard]] BreakerState state() const noexcept { return word().state(); }
  [[nodiscard]] bool probe_out() const noexcept { return word().probe_out(); }
  /// Closed, disabled or metrics_only: no call is refused.
  [[nodiscard]] bool lets_all_through() const noexcept { return word().lets_all_through(); }
  [[nodiscard]] BreakerSnapshot snapshot(TimePoint now) const noexcept;
  /// What share of its calls would succeed now. Of the calls counted within the window, how many did not fail; while
  /// there are none (it is open), what those before it opened let expect, n successes of m as (n + 1) / (m + 2), halved
  /// with each probe that has failed since; 1 when there were none.
  [[nodiscard]] double success_share(TimePoint now) const noexcept;
  [[nodiscard]] const CircuitBreakerOptions& options() const noexcept { return options_; }

 private:
  friend class BreakerPermit;

  /// State, whether a probe is out, and generation, which change together.
  struct Word {
    std::uint64_t bits = 0;

    [[nodiscard]] static Word of(BreakerState state, bool probe_out, std::uint64_t generation) noexcept {
      return Word{static_cast<std::uint64_t>(state) | (probe_out ? 8U : 0U) | generation << 4U};
    }
    [[nodiscard]] BreakerState state() const noexcept { return static_cast<BreakerState>(bits & 7U); }
    [[nodiscard]] bool probe_out() const noexcept { return (bits & 8U) != 0; }
    [[nodiscard]] bool lets_all_through() const noexcept {
      const BreakerState now = state();
      return now == BreakerState::closed || now == BreakerState::disabled || now == BreakerState::metrics_only;
    }
    [[nodiscard]] std::uint64_t generation() const noexcept { return bits >> 4U; }
  };
  struct Counts {
    std::int64_t calls = 0;
    std::int64_t failures = 0;
    std::int64_t slow = 0;

    Counts& operator+=(const Counts& other) noexcept {
      calls += other.calls;
      failures += other.failures;
      slow += other.slow;
      return *this;
    }
    [[nodiscard]] double success_share() const noexcept {
      return 1 - static_cast<double>(failures) / static_cast<double>(calls);
    }
    /// Of the next one, by the rule of succession: few failures do not say that none will succeed.
    [[nodiscard]] double expected_share() const noexcept {
      return static_cast<double>(calls - failures + 1) / static_cast<double>(calls + 2);
    }
  };
  struct Change {
    BreakerState from;
    BreakerState to;
    std::string_view reason;
    Target target;
    std::vector<std::shared_ptr<Observer>> observers;
  };

  [[nodiscard]] Word word() const noexcept { return Word{word_.load(std::memory_order_acquire)}; }
  void set_word(Word word) noexcept { word_.store(word.bits, std::memory_order_release); }
  [[nodiscard]] bool admits_probe(Word word, TimePoint now, bool forced) const noexcept;
  [[nodiscard]] BreakerPermit acquire_probe(TimePoint now, bool forced, BreakerAudience audience) noexcept;

  // With the lock held.
  void judge(BreakerPermit& permit, const BreakerOutcome& outcome) noexcept;
  void judge_probe(const BreakerOutcome& outcome, BreakerAudience audience) noexcept;
  void count(const BreakerOutcome& outcome) noexcept;
  [[nodiscard]] std::string_view reason_to_open(TimePoint now) const noexcept;
  [[nodiscard]] int doublings_at(TimePoint now) const noexcept;
  [[nodiscard]] Duration next_open_time(const BreakerOutcome& outcome) noexcept;
  void open(const BreakerOutcome& outcome, std::string_view reason, BreakerAudience audience) noexcept;
  void change(BreakerState to, std::string_view reason, BreakerAudience audience) noexcept;
  void clear_counts() noexcept;

  void set_by_hand(BreakerState state, bool as_new) noexcept;
  /// Tells the observers what is untold, with the lock released meanwhile.
  void tell(std::unique_lock<std::mutex>& lock) noexcept;

  const CircuitBreakerOptions options_;
  const Target target_;

  alignas(64) std::atomic<std::uint64_t> word_{0};
  std::atomic<TimePoint> open_until_{};
  std::atomic<TimePoint> lease_until_{};
  std::atomic<TimePoint> ramp_until_{(TimePoint::min)()};

  alignas(64) mutable std::mutex mutex_;  // everything below; the atomics above are written with it held
  RollingWindow<Counts, 10> window_;
  double share_before_ = 1;  // of the window that was cleared when it opened
  int consecutive_ = 0;
  int successes_ = 0;
  int doublings_ = 0;
  std::int64_t times_opened_ = 0;
  std::optional<TimePoint> closed_since_;  // empty after a change by hand, until the next outcome
  std::uint64_t recovery_ = 0;             // the generation in which the recovery began that led to the present state
  std::vector<Change> untold_;
  bool telling_ = false;
};

}  // namespace backstop::inline v0
