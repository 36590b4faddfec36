#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "backstop/chat/rate_limit_status.hpp"
#include "backstop/export.hpp"
#include "backstop/runtime/clock.hpp"
#include "backstop/runtime/wakeup.hpp"

namespace backstop::inline v0 {

/// How much may be sent in a minute. At least one limit is needed; a send needs room in all that are set.
struct RateLimitOptions {
  std::optional<std::int64_t> requests_per_minute{};
  std::optional<std::int64_t> tokens_per_minute{};  ///< input and output together
  std::optional<std::int64_t> input_tokens_per_minute{};
  std::optional<std::int64_t> output_tokens_per_minute{};
  /// How many requests may be sent together after a pause. Unset: ten seconds' worth, at least one. The burst of tokens
  /// is always a full minute's.
  std::optional<std::int64_t> burst{};
  /// The longest that a call waits for its turn; its own deadline bounds that too. Within a minute all is full again.
  Duration max_wait = std::chrono::minutes{1};
  Duration failover_wait = std::chrono::seconds{2};  ///< the longest wait while another target is ready
  double safety_factor = 1;  ///< the share of the limits that is used: less than 1 where others count differently
};

/// What is wrong with the options, and what would be accepted; empty when nothing is.
[[nodiscard]] BACKSTOP_EXPORT std::string problem_with(const RateLimitOptions& options);

/// One of the things that are limited.
enum class LimitDimension : std::uint8_t { requests, tokens, input_tokens, output_tokens };
inline constexpr std::size_t limit_dimension_count = 4;

[[nodiscard]] constexpr std::string_view to_string(LimitDimension dimension) noexcept {
  constexpr std::array<std::string_view, limit_dimension_count> names{"requests", "tokens", "input_tokens",
                                                                      "output_tokens"};
  return names[static_cast<std::size_t>(dimension)];
}

/// What a send is expected to need, and how long it may wait for it.
struct RateDemand {
  std::int64_t input_tokens = 0;                     ///< estimated
  std::optional<std::int64_t> max_output_tokens{};   ///< a limit of its own; unset: as much as others wrote lately
  TimePoint deadline = TimePoint::max();
  bool other_target_ready = false;  ///< then it waits no longer than `failover_wait`
};

/// What came of a send. Empty counts keep what was reserved.
struct RateOutcome {
  std::int64_t requests = 1;
  std::optional<std::int64_t> input_tokens{};
  std::optional<std::int64_t> output_tokens{};
  const RateLimitStatus* reported = nullptr;  ///< what the provider says is left; null when it says nothing
  bool throttled = false;                     ///< it refused the send as one too many ...
  std::optional<Duration> retry_after{};      ///< ... and gave this hint
};

/// Why a send was not let through.
struct RateRefusal {
  LimitDimension dimension = LimitDimension::requests;
  /// When it would have had its turn; empty when the send needs more than a burst for certain.
  std::optional<TimePoint> turn{};
  std::int64_t needed = 0;
  std::int64_t burst = 0;
};

/// A rate limit at one moment.
struct RateLimitSnapshot {
  struct Dimension {
    std::int64_t per_minute = 0;
    std::int64_t burst = 0;
    std::int64_t available = 0;  ///< below zero while some is owed
    std::int64_t reserved = 0;   ///< for sends under way
    std::int64_t charged = 0;    ///< for sends that have ended, since the limit was made
  };
  std::optional<Dimension> requests{};
  std::optional<Dimension> tokens{};
  std::optional<Dimension> input_tokens{};
  std::optional<Dimension> output_tokens{};
  std::size_t waiting = 0;  ///< sends in the queue
};

/// A rate of requests and tokens, shared by all that hold the handle: policies of several targets, several clients, on
/// several runtimes.
///
/// The limits refill continuously. A send reserves what it is expected to need, in all dimensions or in none, and
/// settles what it really needed: the rest is given back, what is missing is owed (at most a burst of it), and later
/// sends wait for it. Sends that have to wait do so in the order of arrival; one whose turn would come too late is
/// refused at once. What a provider says is left can only lower what is available.
///
/// Thread safety: any number of threads. Cost: copying copies a pointer; each operation takes a short lock.
///
/// Example: `RateLimit account{{.requests_per_minute = 500, .tokens_per_minute = 200'000}};
///           auto guard = rate_limit(account);`
class BACKSTOP_EXPORT RateLimit {
 public:
  /// Starts full. Errors: std::invalid_argument with `problem_with(options)`.
  explicit RateLimit(RateLimitOptions options);

  [[nodiscard]] RateLimitOptions options() const;
  /// Changes the limits; what has been refilled by now, at the old rate, stays, up to the new burst. The turns of sends
  /// that wait are worked out again. Errors: as the constructor.
  void change(RateLimitOptions options, TimePoint now) const;
  [[nodiscard]] RateLimitSnapshot snapshot(TimePoint now) const noexcept;
  /// Whether tokens are limited, so that it pays to estimate them.
  [[nodiscard]] bool counts_tokens() const noexcept;
  /// From when on a send could be let through; empty when it could now, if need be after a wait.
  [[nodiscard]] std::optional<TimePoint> refuses_until(TimePoint now) const noexcept;

 private:
  friend class RateReservation;
  struct State;

  std::shared_ptr<State> state_;
};

/// What one send has reserved of a rate limit, or its place in the queue. Destroyed without having been settled it
/// gives everything back, for a send that did not happen.
///
/// The limit must outlive it. Thread safety: one thread at a time.
class BACKSTOP_EXPORT RateReservation {
 public:
  enum class Stage : std::uint8_t {
    held,
    waiting,  ///< for its turn
    refused,
    settled,
  };

  RateReservation(const RateLimit& limit, const RateDemand& demand, TimePoint now);
  ~RateReservation();
  RateReservation(const RateReservation&) = delete;
  RateReservation& operator=(const RateReservation&) = delete;

  [[nodiscard]] Stage stage() const noexcept { return stage_; }
  /// When it refused: why.
  [[nodiscard]] const RateRefusal& refusal() const noexcept { return refusal_; }

  /// Tokens, as they were estimated.
  [[nodiscard]] std::int64_t expected_input() const noexcept { return input_; }
  [[nodiscard]] std::int64_t expected_output() const noexcept { return output_; }

  /// While it waits: when its turn is to be expected. It is woken when that may be sooner.
  [[nodiscard]] TimePoint turn() const noexcept { return turn_; }
  void wake_through(Wakeup::Waker waker);
  /// Checks whether it is its turn; while it still waits, `turn` is more exact. It may also be refused now.
  Stage look(TimePoint now);

  /// Books what the send needed. Once only; a second time does nothing.
  void settle(const RateOutcome& outcome, TimePoint now) noexcept;

 private:
  friend struct RateLimit::State;
  using Amounts = std::array<std::int64_t, limit_dimension_count>;

  RateLimit::State* state_;
  Stage stage_ = Stage::refused;
  bool admitted_ = false;  // set by whichever thread moves the queue, read under the limit's lock
  std::int64_t input_;     // as expected, before a burst bounds it
  std::int64_t output_ = 0;
  Amounts needed_{};
  Amounts taken_{};
  TimePoint latest_{};
  TimePoint turn_{};
  Wakeup::Waker waker_;
  RateRefusal refusal_;
};

}  // namespace backstop::inline v0
