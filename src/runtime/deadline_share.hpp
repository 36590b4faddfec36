#pragma once

#include <algorithm>
#include <chrono>

#include "backstop/runtime/call_context.hpp"
#include "backstop/runtime/stop.hpp"
#include "backstop/runtime/timer.hpp"

namespace backstop::inline v0::detail {

/// When the time is over that is not kept for the targets to come: ten seconds for each, at most half of what is left.
[[nodiscard]] inline TimePoint share_end(const RoutingHint& hint, TimePoint now) noexcept {
  constexpr std::chrono::seconds per_target{10};
  if (hint.targets_to_come == 0 || hint.whole_deadline == TimePoint::max()) return hint.whole_deadline;
  const Duration left = saturating_difference(hint.whole_deadline, now);
  return hint.whole_deadline - std::min<Duration>(left / 2, per_target * hint.targets_to_come);
}

/// Keeps a part of the call's time for the targets still to come: ten seconds for each, at most half of what is left.
/// While an answer comes the part is given back: a stream that flows is not cut for a fallback that can no longer be
/// used.
class DeadlineShare final : private Timer, private AttemptObserver {
 public:
  /// For the targets to come at all levels, of the deadline before anything was kept of it.
  /// Of a pool each target has its own share, at its turn.
  DeadlineShare(CallContext& inner, bool is_pool) : source_{inner.stop()} {
    inner.set_stop(source_);
    if (!is_pool) begin(inner);
  }
  /// For what is asked of a target, or about its answer, after that answer: of the time that is left now.
  explicit DeadlineShare(CallContext& inner) : source_{inner.stop()} {
    inner.set_stop(source_);
    if (inner.hint().targets_to_come > 0) inner.set_deadline(inner.hint().whole_deadline);
    begin(inner);
  }

 private:
  void begin(CallContext& inner) {
    const TimePoint until = share_end(inner.hint(), inner.now());
    if (inner.hint().targets_to_come == 0 || until >= inner.deadline()) return;
    inner.set_deadline(until);
    runtime_ = &inner.runtime();
    until_ = inner.deadline();
    runtime_->timers().arm(*this, until_);
    inner.add_observer(*this);
  }
  void on_timer() noexcept override { source_.request_stop(StopReason::deadline_share); }
  void on_first_content(TimePoint) noexcept override { disarm(); }
  void on_end(Send& send, const Attempt* row) noexcept override {
    if (send.aside || row == nullptr || !row->outcome || armed() || source_.stop_requested()) return;
    try {
      runtime_->timers().arm(*this, until_);  // for a repeat
    } catch (...) {  // no memory for a timer: the call's own deadline holds
    }
  }

  StopSource source_;
  Runtime* runtime_ = nullptr;
  TimePoint until_{};
};

}  // namespace backstop::inline v0::detail
