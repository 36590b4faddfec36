#include "routing/recovery.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "text/duration.hpp"

namespace backstop::inline v0 {

std::string problem_with(const RecoveryOptions& options) {
  const auto negative = [](const char* name, Duration value) {
    return fmt::format("RecoveryOptions::{} is {}; it must not be negative", name, detail::duration_text(value));
  };
  if (options.max_wait < Duration::zero()) return negative("max_wait", options.max_wait);
  if (options.min_attempt_time < Duration::zero()) return negative("min_attempt_time", options.min_attempt_time);
  if (options.max_waiting < 0) {
    return fmt::format("RecoveryOptions::max_waiting is {}; it must not be negative", options.max_waiting);
  }
  if (options.probe_interval <= Duration::zero() || options.probe_interval_max < options.probe_interval) {
    return "RecoveryOptions::probe_interval must be above zero, and probe_interval_max not below it";
  }
  if (options.cooldown_max <= Duration::zero()) return "RecoveryOptions::cooldown_max must be above zero";
  return {};
}

namespace detail {

namespace {

/// As that of a breaker's probe (`CircuitBreakerOptions::probe_lease`).
constexpr std::chrono::seconds probe_lease{120};

}  // namespace

TimePoint latest_return(const RecoveryOptions& options, const CallContext& context) noexcept {
  const CallState& call = context.state();
  const Duration allowed = call.recovery_wait.value_or(options.max_wait) - call.recovery_waited;
  const TimePoint by_wait = saturating_add(context.now(), std::max(allowed, Duration::zero()));
  if (context.deadline() == TimePoint::max()) return by_wait;
  return std::min(by_wait, context.deadline() - options.min_attempt_time);
}

bool has_time_for_attempt(const RecoveryOptions& options, const CallContext& context) noexcept {
  return context.deadline() == TimePoint::max() || context.remaining() >= options.min_attempt_time;
}

bool RecoveryQueue::has_waiting() const noexcept {
  const std::lock_guard lock{mutex_};
  return !waiting_.empty();
}

bool RecoveryQueue::has_room() const noexcept {
  const std::lock_guard lock{mutex_};
  return waiting_.size() < static_cast<std::size_t>(options_.max_waiting);
}

TimePoint RecoveryQueue::next_probe(TimePoint now) const noexcept {
  const std::lock_guard lock{mutex_};
  return probing(now) ? std::min(saturating_add(now, interval_), lease_until_) : std::max(now, next_probe_);
}

std::optional<std::uint64_t> RecoveryQueue::begin_probe(TimePoint now) noexcept {
  const std::lock_guard lock{mutex_};
  if (probing(now) || now < next_probe_) return std::nullopt;
  probing_ = true;
  lease_until_ = saturating_add(now, probe_lease);
  return ++probe_;
}

void RecoveryQueue::end_probe(std::uint64_t number, ProbeEnd end, TimePoint now) noexcept {
  const std::lock_guard lock{mutex_};
  if (number == probe_) {
    probing_ = false;
  } else if (end != ProbeEnd::answered) {
    return;  // its lease was over, and a later one is to find out
  }
  if (end == ProbeEnd::answered) {
    interval_ = options_.probe_interval;
    next_probe_ = now;
  } else if (end == ProbeEnd::failed) {
    troubled_.store(true, std::memory_order_relaxed);
    next_probe_ = saturating_add(now, interval_);
    const Duration longest = options_.probe_interval_max;
    interval_ = interval_ > longest / 2 ? longest : 2 * interval_;
  }
  wake_front();
}

void RecoveryQueue::let_more_go() noexcept {
  const std::lock_guard lock{mutex_};
  ++successes_;
  interval_ = options_.probe_interval;
  next_probe_ = TimePoint{};
  if (waiting_.empty() && trials_ == 0) {
    begin_again();
    troubled_.store(false, std::memory_order_relaxed);
    return;
  }
  if (++succeeded_ < step_) return;
  constexpr int most = 1 << 20;
  allowed_ = std::min(2 * allowed_, most);
  succeeded_ = 0;
  step_ = std::max(1, allowed_ - trials_);
  wake_front();
}

void RecoveryQueue::begin_again() noexcept {
  allowed_ = step_ = 1;
  succeeded_ = 0;
}

void RecoveryQueue::wake_front() noexcept {
  const auto room = static_cast<std::size_t>(std::max(allowed_ - trials_, 0));
  const std::size_t count = std::min(room, waiting_.size());
  for (std::size_t i = 0; i < count; ++i) waiting_[i]->wake();
}

RecoveryQueue::Place::Place(RecoveryQueue& queue, const CallContext& context)
    : queue_{&queue}, wakeup_{context}, waker_{wakeup_.waker()} {
  const std::lock_guard lock{queue.mutex_};
  if (queue.waiting_.size() >= static_cast<std::size_t>(queue.options_.max_waiting)) return;
  queue.waiting_.push_back(this);
  queue.troubled_.store(true, std::memory_order_relaxed);
  successes_at_entry_ = queue.successes_;
  joined_ = true;
}

RecoveryQueue::Place::~Place() {
  if (!joined_) return;
  const std::lock_guard lock{queue_->mutex_};
  std::erase(queue_->waiting_, this);
  queue_->wake_front();
}

bool RecoveryQueue::Place::may_go() const noexcept {
  const std::lock_guard lock{queue_->mutex_};
  const int room = queue_->allowed_ - queue_->trials_;
  const auto place = std::find(queue_->waiting_.begin(), queue_->waiting_.end(), this);
  return place - queue_->waiting_.begin() < room;
}

bool RecoveryQueue::Place::saw_success() const noexcept {
  const std::lock_guard lock{queue_->mutex_};
  return queue_->successes_ != successes_at_entry_;
}

void RecoveryQueue::Place::go() noexcept {
  const std::lock_guard lock{queue_->mutex_};
  ++queue_->trials_;
}

void RecoveryQueue::Trial::end(bool failed) noexcept {
  if (!std::exchange(under_way_, false)) return;
  const std::lock_guard lock{queue_->mutex_};
  --queue_->trials_;
  if (failed) queue_->begin_again();
  queue_->wake_front();
}

bool Recovery::may_wait() const noexcept {
  return !context_->committed() && !context_->hint().in_client && !context_->stopping() && context_->sends_left() > 0;
}

Task<Recovery::Next> Recovery::next(const Walk& walk) {
  trial_.fail();
  Next next;
  if (!may_wait()) co_return next;
  const RecoveryOptions& options = queue_->options();
  const TimePoint latest = latest_return(options, *context_);
  std::optional<RecoveryQueue::Place> place;
  for (;;) {
    const TimePoint now = context_->now();
    const Walk::Recovery back = walk.recovery(now, options.probe_interval, options.repeat_failed);
    if (back.at != TimePoint::max()) next.back_at = back.at;
    // Who comes now does not pass those who wait.
    const bool first = place ? place->may_go() : !queue_->has_waiting();
    const bool may_probe = back.probe && back.probe_from <= now && has_time_for_attempt(options, *context_);
    if (may_probe && first) probe_ = queue_->begin_probe(now);
    if (probe_) {
      next.probe = back.probe;
      break;
    }
    const bool back_now = place && (back.at <= now || place->saw_success());
    if (first && back_now) {
      place->go();
      trial_.begin();
      break;
    }
    TimePoint at = back.at;
    if (back.probe) at = std::min(at, std::max(back.probe_from, queue_->next_probe(now)));
    const bool known = at != TimePoint::max();
    const bool in_vain = (!known || at > latest) && !(place && place->saw_success());
    if (now >= latest || in_vain) co_return next;
    if (!place) {
      place.emplace(*queue_, *context_);
      if (!place->joined()) co_return next;
      continue;
    }
    const TimePoint until = first ? std::min(at, latest) : latest;
    context_->note_wait(Target{}, until, "recovery");
    auto wait = place->wakeup().until(until);
    auto waited = co_await wait;
    const Duration span = context_->now() - now;
    context_->branch().waited += span;
    context_->state().recovery_waited += span;
    if (!waited) co_return next;
  }
  next.go_on = true;
  co_return next;
}

void Recovery::end_probe(RecoveryQueue::ProbeEnd end) noexcept {
  if (const auto number = std::exchange(probe_, std::nullopt)) queue_->end_probe(*number, end, context_->now());
}

}  // namespace detail

}  // namespace backstop::inline v0
