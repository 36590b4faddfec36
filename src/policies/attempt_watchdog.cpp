#include "attempt_watchdog.hpp"

#include <algorithm>

namespace backstop::inline v0::detail {

AttemptWatchdog::AttemptWatchdog(const AttemptLimits& limits, const CallContext& context, StopSource& stop,
                                 const AttemptProgress& progress)
    : limits_{limits}, context_{&context}, stop_{&stop}, progress_{&progress} {
  held_now_ = held_at_last_look_ = held();
  entered_ = {context.now(), held_now_};
  if (stop_->stop_requested()) return;
  // Nothing has begun yet: no limit can pass before the shortest has.
  const Duration shortest =
      std::min({limits.connect, limits.first_byte, limits.first_token, limits.idle, limits.attempt});
  arm_at(saturating_add(entered_.at, shortest));
}

void AttemptWatchdog::on_timer() noexcept {
  if (stop_->stop_requested()) return;
  look();
  if (due_.at > context_->now()) return arm_at(due_.at);
  fired_ = due_.reason;
  stop_->request_stop(fired_);
}

void AttemptWatchdog::arm_at(TimePoint at) {
  if (at != TimePoint::max()) context_->runtime().timers().arm(*this, at);
}

void AttemptWatchdog::look() noexcept {
  held_now_ = held();
  mark(started_, progress_->started);
  mark(connected_, progress_->connected);
  mark(last_byte_, progress_->last_byte);
  held_at_last_look_ = held_now_;

  // A limit whose beginning is still to come cannot pass before its own time from now.
  const Mark still_to_come{context_->now(), held_now_};
  due_ = {};
  const bool under_way = AttemptProgress::reached(progress_->started) && !progress_->ended;
  const bool unseen = !AttemptProgress::reached(progress_->started);
  consider(StopReason::attempt, limits_.attempt, under_way ? started_ : unseen ? entered_ : still_to_come);
  if (under_way && !progress_->network) {
    if (!AttemptProgress::reached(progress_->first_content)) {
      consider(StopReason::first_token, limits_.first_token, started_);
    }
    return;
  }
  const bool connected = under_way && AttemptProgress::reached(progress_->connected);
  const Mark& sent = connected ? connected_ : still_to_come;
  if (!connected) consider(StopReason::connect, limits_.connect, under_way ? started_ : still_to_come);
  const bool answering = connected && AttemptProgress::reached(progress_->first_byte);
  if (!answering) consider(StopReason::first_byte, limits_.first_byte, sent);
  consider(StopReason::idle, limits_.idle, answering ? last_byte_ : still_to_come);
  const bool content = connected && AttemptProgress::reached(progress_->first_content);
  if (!content) consider(StopReason::first_token, limits_.first_token, sent);
}

void AttemptWatchdog::mark(Mark& mark, TimePoint at) const noexcept {
  if (mark.at == at) return;
  const Duration most_since = saturating_difference(context_->now(), at);
  mark = {at, std::max(held_at_last_look_, held_now_ - most_since)};
}

void AttemptWatchdog::consider(StopReason reason, Duration limit, const Mark& from) noexcept {
  if (limit == Duration::max()) return;
  const TimePoint at = saturating_add(saturating_add(from.at, limit), held_now_ - from.held);
  if (at < due_.at) due_ = {at, reason};
}

Duration AttemptWatchdog::held() const noexcept {
  return context_->streaming() ? context_->sink()->consumer_time() : Duration::zero();
}

}  // namespace backstop::inline v0::detail
