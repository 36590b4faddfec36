#pragma once

#include <string>

#include "backstop/chat/target.hpp"
#include "backstop/runtime/attempt_limits.hpp"
#include "backstop/runtime/attempt_progress.hpp"
#include "backstop/runtime/call_context.hpp"
#include "backstop/runtime/stop.hpp"
#include "backstop/runtime/timer.hpp"

namespace backstop::inline v0::detail {

/// The limits as they are for one attempt; `Duration::max()` where there is none.
struct ArmedLimits {
  Duration connect;
  Duration first_byte;
  Duration first_token;
  Duration idle;
  Duration attempt;
};

/// What the limits come to for an attempt at the target. `streamed`: its answer comes in pieces.
[[nodiscard]] ArmedLimits armed(const AttemptLimits& limits, const Target& target, bool streamed,
                                bool other_ready) noexcept;

/// The limit that was broken and when each phase of the attempt was reached, in words.
[[nodiscard]] std::string broken_limit(StopReason reason, const ArmedLimits& limits, const AttemptProgress& progress);

/// Looks at an attempt's progress when the nearest limit may have passed, and stops the attempt when it has. Between
/// these moments it costs nothing: what happens meanwhile it reads from the progress and from the consumer's time.
/// Made when the attempt begins, on its own stop source.
class AttemptWatchdog final : private Timer {
 public:
  AttemptWatchdog(const ArmedLimits& limits, const CallContext& context, StopSource& stop,
                  const AttemptProgress& progress) noexcept;

  /// Errors: std::bad_alloc, without the timer.
  void watch();
  /// Which limit stopped the attempt; `none` when none did.
  [[nodiscard]] StopReason fired() const noexcept { return fired_; }
  void stop_watching() noexcept { disarm(); }

 private:
  /// A moment from which a limit runs, and how long the consumer had held the stream up by then at least. That is known
  /// for the last look before that moment only, so that a limit may fire late after a pause, never early.
  struct Mark {
    TimePoint at{};
    Duration held{0};
  };
  struct Due {
    TimePoint at = TimePoint::max();
    StopReason reason = StopReason::none;
  };

  /// That it is armed again takes no memory: its place among the timers has just become free.
  void on_timer() noexcept override;
  void arm_at(TimePoint at);
  void look() noexcept;
  void mark(Mark& mark, TimePoint at) const noexcept;
  void consider(StopReason reason, Duration limit, const Mark& from) noexcept;
  [[nodiscard]] Duration held() const noexcept;

  ArmedLimits limits_;
  const CallContext* context_;
  StopSource* stop_;
  const AttemptProgress* progress_;
  Mark started_;
  Mark connecting_;
  Mark connected_;
  Mark last_byte_;
  Duration held_now_{0};
  Duration held_at_last_look_{0};
  Due due_;
  StopReason fired_ = StopReason::none;
};

}  // namespace backstop::inline v0::detail
