#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "backstop/export.hpp"
#include "backstop/runtime/clock.hpp"

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
/// Thread safety: any number of threads. Cost: copying copies a pointer; each operation takes a short
/// lock, and where sends wait goes through the queue of them.
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
  /// The same for all copies of the handle, and for no others.
  [[nodiscard]] const void* id() const noexcept { return state_.get(); }

 private:
  friend class RateReservation;
  struct State;

  std::shared_ptr<State> state_;
};

}  // namespace backstop::inline v0
