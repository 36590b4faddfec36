#pragma once

#include <algorithm>
#include <optional>

#include "backstop/call/call_limits.hpp"
#include "backstop/runtime/call_context.hpp"
#include "backstop/runtime/stop.hpp"
#include "backstop/runtime/timer.hpp"
#include "runtime/deadline_share.hpp"

namespace backstop::inline v0::detail {

/// The limits of a client that is another's target, inside those of the call.
class InnerLimits final : private Timer {
 public:
  /// Narrows the context; without limits the call's own hold.
  InnerLimits(CallContext& context, const CallLimits* limits) {
    RoutingHint hint = context.hint();
    hint.own_limit = false;
    if (limits == nullptr) {
      hint.whole_deadline = std::min(hint.whole_deadline, context.deadline());
      context.set_hint(hint);
      return;
    }
    bar_sends(hint, context.state().attempts_left, limits->max_attempts);
    const TimePoint deadline = saturating_add(context.now(), limits->deadline);
    const TimePoint whole = hint.whole_deadline;
    if (deadline <= share_end(hint, context.now())) {
      hint.whole_deadline = deadline;
      hint.targets_to_come = 0;  // the time that is kept for the targets around is none of this
    }
    context.set_hint(hint);
    // Beyond the share of the call's time, too: that is given back when content comes.
    if (deadline >= whole && deadline >= context.deadline()) return;
    source_.emplace(context.stop());
    context.set_stop(*source_);
    context.set_deadline(std::min(deadline, context.deadline()));
    if (deadline <= context.now()) {
      source_->request_stop(StopReason::client_deadline);
    } else {
      context.runtime().timers().arm(*this, deadline);
    }
  }

  /// Beyond so many attempts of a client; what is kept for the targets around it is of those.
  static void bar_sends(RoutingHint& hint, int attempts_left, int max_attempts) noexcept {
    const int barred = attempts_left - max_attempts;
    hint.own_limit = barred >= hint.barred_sends;
    if (!hint.own_limit) return;
    hint.barred_sends = barred;
    hint.kept_outside = hint.kept_sends;
  }

 private:
  void on_timer() noexcept override { source_->request_stop(StopReason::client_deadline); }

  std::optional<StopSource> source_;
};

}  // namespace backstop::inline v0::detail
