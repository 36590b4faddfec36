#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "backstop/chat/rate_limit_status.hpp"
#include "backstop/export.hpp"
#include "backstop/runtime/clock.hpp"
#include "backstop/runtime/wakeup.hpp"
#include "backstop/state/rate_limit.hpp"

namespace backstop::inline v0 {

/// One of the things that are limited.
enum class LimitDimension : std::uint8_t { requests, tokens, input_tokens, output_tokens };
inline constexpr std::size_t limit_dimension_count = 4;

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

  /// What would come of a reservation now.
  struct Forecast {
    Stage stage = Stage::refused;  ///< held, waiting or refused
    RateRefusal refusal{};         ///< unless it would be held
    TimePoint turn{};              ///< while it would wait
  };
  [[nodiscard]] static Forecast forecast(const RateLimit& limit, const RateDemand& demand, TimePoint now);

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
  struct Decision;

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
