#pragma once

#include <algorithm>
#include <coroutine>
#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "backstop/chat/error.hpp"
#include "backstop/chat/money.hpp"
#include "backstop/chat/request.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/export.hpp"
#include "backstop/handover/requirement.hpp"
#include "backstop/runtime/attempt_limits.hpp"
#include "backstop/runtime/attempt_observer.hpp"
#include "backstop/runtime/attempt_progress.hpp"
#include "backstop/runtime/clock.hpp"
#include "backstop/runtime/held_handle.hpp"
#include "backstop/runtime/parked.hpp"
#include "backstop/runtime/routing_hint.hpp"
#include "backstop/runtime/runtime.hpp"
#include "backstop/runtime/stop.hpp"
#include "backstop/runtime/stream_sink.hpp"

namespace backstop::inline v0 {

class Observer;
struct ProgressEvent;
namespace detail {
struct HistorySummary;
class RowListener;
}

/// What is one for the whole of a call, however many attempts it makes.
struct CallState {
  BACKSTOP_EXPORT explicit CallState(Runtime& call_runtime) noexcept;

  Runtime* runtime;
  const void* root = nullptr;  ///< the provider that the application called: its own limits are the call's already
  TimePoint started{};
  int attempts_left = 5;             ///< sends, over all targets and retries
  Money at_stake{};                  ///< what sends under way may cost, and those that are not in the ledger yet
  std::optional<Duration> recovery_wait{};  ///< how long it may wait for a target to recover; unset: the client's
  Duration recovery_waited{0};
  const Target* first_choice = nullptr;  ///< where the call would have gone without failures
  Ledger ledger;
  detail::RowListener* row_listener = nullptr;  ///< of a send that several calls share: the ledger is that send's
  Requirement requirement;      ///< of the failures so far
  /// What stands for older turns that are left out, of each ladder that has asked for it.
  std::vector<std::pair<const void*, std::shared_ptr<const detail::HistorySummary>>> summaries{};
  const std::vector<std::shared_ptr<Observer>>* observers = nullptr;
  bool quote_providers = true;  ///< what providers said may stand in errors
  bool active_probe = false;    ///< nothing is remembered of its sends: no statistics, cooldown or breaker
  std::optional<TimePoint> dry_run_at{};  ///< nothing is sent, and time stands still: for who asks on another thread
  bool lost_event = false;      ///< there was no memory to hand it over: the call fails, and no more are handed over

  /// A row of the ledger. The next one makes the reference invalid.
  [[nodiscard]] BACKSTOP_EXPORT Attempt& add_row(const Target& target);
};

/// What is one for a line of attempts that follow each other; a hedge has a second one beside the call's.
class Branch {
 public:
  /// Content has been handed to the consumer.
  [[nodiscard]] bool committed() const noexcept { return committed_ || (joined_ != nullptr && joined_->committed()); }
  /// A complete tool call has: nothing is replayed any more.
  [[nodiscard]] bool tool_call_delivered() const noexcept {
    return tool_call_delivered_ || (joined_ != nullptr && joined_->tool_call_delivered());
  }
  void commit(bool tool_call) noexcept {
    committed_ = true;
    tool_call_delivered_ = tool_call_delivered_ || tool_call;
    if (joined_ != nullptr) joined_->commit(tool_call);
  }
  /// What was handed over is void, or will be continued: nothing of what comes next has been.
  void take_back() noexcept {
    committed_ = false;
    if (joined_ != nullptr) joined_->take_back();
  }
  /// From now on it is the same line as the other: what is handed over there, by whoever kept it back, is this one's.
  void join(Branch& other) noexcept {
    if (committed_) other.commit(tool_call_delivered_);
    joined_ = &other;
  }

  Duration waited{0};  ///< backoff and queueing since the last attempt; goes to the next row of the ledger

 private:
  bool committed_ = false;
  bool tool_call_delivered_ = false;
  Branch* joined_ = nullptr;
};

class Sleep;

/// Travels inward with a call and makes the policies cooperate: one deadline, one count of attempts, one ledger, one
/// commit state. A policy that narrows something for what is below it (a shorter deadline, its own stop source) makes
/// a copy, changes the copy and passes that on; the copy must outlive the call below.
///
/// Thread safety: none; it belongs to the thread that drives the runtime.
class BACKSTOP_EXPORT CallContext {
 public:
  CallContext(CallState& state, Branch& branch, StopSource& stop, TimePoint deadline) noexcept
      : state_{&state}, branch_{&branch}, stop_{&stop}, deadline_{deadline} {}

  [[nodiscard]] Runtime& runtime() const noexcept { return *state_->runtime; }
  [[nodiscard]] CallState& state() const noexcept { return *state_; }
  [[nodiscard]] Branch& branch() const noexcept { return *branch_; }
  /// For a task that runs beside another of the same call.
  void set_branch(Branch& branch) noexcept { branch_ = &branch; }
  [[nodiscard]] TimePoint now() const noexcept { return state_->dry_run_at ? *state_->dry_run_at : runtime().now(); }

  // Time and stopping.

  [[nodiscard]] TimePoint deadline() const noexcept { return deadline_; }
  [[nodiscard]] Duration remaining() const noexcept { return saturating_difference(deadline_, now()); }
  void set_deadline(TimePoint deadline) noexcept { deadline_ = deadline; }
  [[nodiscard]] StopSource& stop() const noexcept { return *stop_; }
  void set_stop(StopSource& stop) noexcept { stop_ = &stop; }
  [[nodiscard]] bool stopping() const noexcept { return stop_->stop_requested(); }
  /// For sinks that have no memory to hand an event on: the call ends with an error.
  void lose_event() const noexcept {
    state_->lost_event = true;
    stop_->request_stop(StopReason::no_memory);
  }
  /// Why the call below this point was stopped, as an error: `cancelled`, `deadline_exceeded`, or the limit's.
  [[nodiscard]] Error stop_error() const noexcept;
  /// Waits on the runtime's timer; ends early, with that error, when the call is stopped.
  [[nodiscard]] Sleep sleep(Duration span) const noexcept;
  [[nodiscard]] Sleep sleep_until(TimePoint point) const noexcept;
  /// The limits of every attempt below; null for the defaults.
  [[nodiscard]] const AttemptLimits* limits() const noexcept { return limits_; }
  void set_limits(const AttemptLimits& limits) noexcept { limits_ = &limits; }

  // Streaming.

  /// Whether the consumer takes the answer as it comes.
  [[nodiscard]] bool streaming() const noexcept { return sink_ != nullptr; }
  [[nodiscard]] StreamSink* sink() const noexcept { return sink_; }
  void set_sink(StreamSink* sink) noexcept { sink_ = sink; }
  [[nodiscard]] bool committed() const noexcept { return branch_->committed(); }
  /// Hands an event to the consumer; the first content commits the call. In a plain call the event is dropped, and its
  /// content counts as the attempt's first all the same.
  void deliver(const StreamEvent& event) const noexcept;
  /// For sinks that keep events back: this one has now been handed over.
  void note_delivered(const StreamEvent& event) const noexcept;
  /// For providers: the attempt has its first content; `deliver` says so by itself, a plain answer says it here.
  void note_first_content() const noexcept { note_first_content(runtime().refresh_now()); }
  void note_first_content(TimePoint at) const noexcept;

  // The attempts below.

  /// Of the attempt in flight; null above the provider that sends.
  [[nodiscard]] AttemptProgress* progress() const noexcept { return progress_; }
  void set_progress(AttemptProgress* progress) noexcept { progress_ = progress; }
  void add_observer(AttemptObserver& observer) noexcept {
    observer.outer_ = observers_;
    observers_ = &observer;
  }
  /// For a question of its own beside the call's: to the observers so far its sends are `aside`.
  void set_aside() noexcept { aside_from_ = observers_; }
  /// For providers: asks the observers whether a send may begin, the innermost first. When it may, `end_send` has to
  /// follow.
  [[nodiscard]] std::optional<Error> begin_send(Send& send) const;
  void end_send(Send& send, const Attempt* row) const noexcept { end_send(send, row, nullptr); }

  /// What it holds permits of at this point; null for nothing.
  [[nodiscard]] const HeldHandle* held() const noexcept { return held_; }
  [[nodiscard]] bool holds(const void* handle) const noexcept { return is_held(held_, handle); }
  /// `held` is the innermost, and must outlive the call below.
  void set_held(const HeldHandle& held) noexcept { held_ = &held; }

  // What the routing above decided.

  /// What the failures so far ask of the next target.
  [[nodiscard]] Requirement& requirement() const noexcept {
    return requirement_ != nullptr ? *requirement_ : state_->requirement;
  }
  /// For what is asked beside the call's own question: its failures say nothing on the call's targets. `requirement`
  /// must outlive the call below.
  void set_requirement(Requirement& requirement) noexcept { requirement_ = &requirement; }

  [[nodiscard]] const RoutingHint& hint() const noexcept { return hint_; }
  void set_hint(const RoutingHint& hint) noexcept { hint_ = hint; }
  /// Of the call's sends, those that may still be made at this point.
  [[nodiscard]] int sends_left() const noexcept { return state_->attempts_left - hint_.barred_sends; }
  /// The same without taking any from targets still to come: for what is not the first send to a target.
  [[nodiscard]] int spare_sends() const noexcept {
    const int kept_here = (std::max)(hint_.kept_sends - hint_.kept_outside, 0);
    return state_->attempts_left - (std::max)(hint_.barred_sends + kept_here, hint_.kept_sends);
  }

  // The ledger.

  /// Tells the observers that nothing is sent until then at the latest. `target` may be empty; `reason` as
  /// `ProgressEvent` has it.
  void note_wait(const Target& target, TimePoint until, std::string_view reason) const noexcept;
  /// Tells them of a row of the ledger.
  void note_progress(ProgressEvent& event, std::size_t row) const noexcept;
  /// Notes a candidate or a send that did not happen, and why.
  void note_skipped(const Target& target, const Error& error) const;

 private:
  /// For the observers further in than `until`.
  void end_send(Send& send, const Attempt* row, const AttemptObserver* until) const noexcept;

  CallState* state_;
  Branch* branch_;
  StopSource* stop_;
  TimePoint deadline_;
  StreamSink* sink_ = nullptr;
  const AttemptLimits* limits_ = nullptr;
  AttemptProgress* progress_ = nullptr;
  AttemptObserver* observers_ = nullptr;
  const AttemptObserver* aside_from_ = nullptr;  // it and those further out observe something else
  const HeldHandle* held_ = nullptr;
  Requirement* requirement_ = nullptr;  // null: the call's
  RoutingHint hint_;
};

/// Awaitable of `CallContext::sleep`.
class [[nodiscard]] Sleep final {
 public:
  Sleep(const CallContext& context, TimePoint until) noexcept
      : context_{&context}, until_{until}, parked_{context.runtime(), &context.state()} {}

  [[nodiscard]] bool await_ready() const noexcept { return context_->stopping() || until_ <= context_->now(); }
  void await_suspend(std::coroutine_handle<> waiting) {
    parked_.park(waiting);
    parked_.wake_at(until_);
    parked_.wake_on(context_->stop());
  }
  [[nodiscard]] BACKSTOP_EXPORT Result<void> await_resume() const;

 private:
  const CallContext* context_;
  TimePoint until_;
  Parked parked_;
};

inline Sleep CallContext::sleep_until(TimePoint point) const noexcept { return Sleep{*this, point}; }
inline Sleep CallContext::sleep(Duration span) const noexcept { return Sleep{*this, saturating_add(now(), span)}; }

/// Awaitable: waits until the consumer of the stream can take more. Ends early when the call is stopped.
class [[nodiscard]] ConsumerReady final {
 public:
  explicit ConsumerReady(const CallContext& context) noexcept
      : context_{&context}, parked_{context.runtime(), &context.state()} {}
  ~ConsumerReady() { leave(); }

  [[nodiscard]] bool await_ready() const noexcept {
    return context_->stopping() || !context_->streaming() || context_->sink()->ready();
  }
  void await_suspend(std::coroutine_handle<> waiting) noexcept {
    parked_.park(waiting);
    parked_.wake_on(context_->stop());
    waited_ = true;
    context_->sink()->when_ready(&parked_);
  }
  void await_resume() noexcept { leave(); }

 private:
  void leave() noexcept {
    if (waited_) context_->sink()->when_ready(nullptr);
    waited_ = false;
  }

  const CallContext* context_;
  Parked parked_;
  bool waited_ = false;
};

}  // namespace backstop::inline v0
