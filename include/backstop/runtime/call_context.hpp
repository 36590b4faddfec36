#pragma once

#include <coroutine>
#include <memory>
#include <optional>
#include <vector>

#include "backstop/chat/error.hpp"
#include "backstop/chat/request.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/export.hpp"
#include "backstop/runtime/alternatives.hpp"
#include "backstop/runtime/attempt_progress.hpp"
#include "backstop/runtime/clock.hpp"
#include "backstop/runtime/runtime.hpp"
#include "backstop/runtime/send_guard.hpp"
#include "backstop/runtime/stop.hpp"
#include "backstop/runtime/stream_sink.hpp"

namespace backstop::inline v0 {

class Observer;

/// What is one for the whole of a call, however many attempts it makes.
struct CallState {
  explicit CallState(Runtime& call_runtime) noexcept : runtime{&call_runtime} {}

  Runtime* runtime;
  TimePoint started{};
  int attempts_left = 5;             ///< sends, over all targets and retries
  bool committed = false;            ///< content has been handed to the consumer
  bool tool_call_delivered = false;  ///< a complete tool call has: nothing is replayed any more
  Duration waited{0};                ///< backoff and queueing since the last attempt; goes to the next row of the ledger
  const Target* first_choice = nullptr;  ///< where the call would have gone without failures
  const Target* beside = nullptr;  ///< who is asked at the same time, by a hedge: what that may cost is spoken for
  int hedges_sent = 0;             ///< sends that hedges took from `attempts_left`
  Ledger ledger;
  const std::vector<std::shared_ptr<Observer>>* observers = nullptr;

  /// A row of the ledger. Most calls have few; room for them is made at once.
  [[nodiscard]] Attempt& add_row(const Target& target) {
    if (ledger.capacity() == 0) ledger.reserve(3);
    Attempt& row = ledger.emplace_back();
    row.target = target;
    return row;
  }
};

class Sleep;

/// Travels inward with a call and makes the policies cooperate: one deadline, one count of attempts, one ledger, one
/// commit state. A policy that narrows something for what is below it (a shorter deadline, its own stop source) makes
/// a copy, changes the copy and passes that on; the copy must outlive the call below.
///
/// Thread safety: none; it belongs to the thread that drives the runtime.
class BACKSTOP_EXPORT CallContext {
 public:
  CallContext(CallState& state, StopSource& stop, TimePoint deadline) noexcept
      : state_{&state}, stop_{&stop}, deadline_{deadline} {}

  [[nodiscard]] Runtime& runtime() const noexcept { return *state_->runtime; }
  [[nodiscard]] CallState& state() const noexcept { return *state_; }
  /// For a task that runs beside another of the same call: it keeps its own rows and its own commit state.
  void set_state(CallState& state) noexcept { state_ = &state; }
  [[nodiscard]] TimePoint now() const noexcept { return runtime().now(); }

  // Time and stopping.

  [[nodiscard]] TimePoint deadline() const noexcept { return deadline_; }
  [[nodiscard]] Duration remaining() const noexcept { return saturating_difference(deadline_, now()); }
  void set_deadline(TimePoint deadline) noexcept { deadline_ = deadline; }
  [[nodiscard]] StopSource& stop() const noexcept { return *stop_; }
  void set_stop(StopSource& stop) noexcept { stop_ = &stop; }
  [[nodiscard]] bool stopping() const noexcept { return stop_->stop_requested(); }
  /// Why the call below this point was stopped, as an error: `cancelled`, `deadline_exceeded`, or the limit's.
  [[nodiscard]] Error stop_error() const;
  /// Waits on the runtime's timer; ends early, with that error, when the call is stopped.
  [[nodiscard]] Sleep sleep(Duration span) const noexcept;
  [[nodiscard]] Sleep sleep_until(TimePoint point) const noexcept;

  // Streaming.

  [[nodiscard]] bool streaming() const noexcept { return sink_ != nullptr; }
  [[nodiscard]] StreamSink* sink() const noexcept { return sink_; }
  void set_sink(StreamSink* sink) noexcept { sink_ = sink; }
  [[nodiscard]] bool committed() const noexcept { return state_->committed; }
  /// Hands an event to the consumer; the first content commits the call.
  void emit(const StreamEvent& event) const noexcept;
  /// For sinks that keep events back: this one has now been let go.
  void note_delivered(const StreamEvent& event) const noexcept;
  /// For providers: the attempt has its first content; `emit` says so by itself, a plain answer says it here.
  void note_first_content() const noexcept { note_first_content(runtime().refresh_now()); }
  void note_first_content(TimePoint at) const noexcept;

  // The attempt in flight.

  [[nodiscard]] AttemptProgress* progress() const noexcept { return progress_; }
  void set_progress(AttemptProgress* progress) noexcept { progress_ = progress; }
  /// Adds a listener for the attempts below this context.
  void add_listener(ContentListener& listener) noexcept {
    listener.outer_ = listener_;
    listener_ = &listener;
  }

  /// Adds a guard for the sends below this context.
  void add_guard(SendGuard& guard) noexcept {
    guard.outer_ = guard_;
    guard_ = &guard;
  }
  /// For providers: asks the guards whether a send may begin. When it may, `note_send_ended` has to follow.
  [[nodiscard]] std::optional<Error> refusal_of_send(const Target& target, const ChatRequest& request) const {
    return guard_ != nullptr ? ask_guards(target, request) : std::nullopt;
  }
  void note_send_ended(const Attempt& row) const noexcept {
    for (SendGuard* guard = guard_; guard != nullptr; guard = guard->outer_) guard->after_send(row.target, &row);
  }

  // What the routing above decided.

  [[nodiscard]] Alternatives alternatives() const noexcept { return alternatives_; }
  void set_alternatives(Alternatives alternatives) noexcept { alternatives_ = alternatives; }
  /// Every target is out and this one was chosen for one attempt all the same: breakers let one probe through.
  [[nodiscard]] bool forced_probe() const noexcept { return forced_probe_; }
  void set_forced_probe(bool forced) noexcept { forced_probe_ = forced; }

  // The ledger.

  /// Notes a candidate or a send that did not happen, and why.
  void note_skipped(const Target& target, const Error& error) const;

 private:
  [[nodiscard]] std::optional<Error> ask_guards(const Target& target, const ChatRequest& request) const;

  CallState* state_;
  StopSource* stop_;
  TimePoint deadline_;
  StreamSink* sink_ = nullptr;
  AttemptProgress* progress_ = nullptr;
  ContentListener* listener_ = nullptr;
  SendGuard* guard_ = nullptr;
  Alternatives alternatives_;
  bool forced_probe_ = false;
};

/// Awaitable of `CallContext::sleep`.
class [[nodiscard]] Sleep final : private Timer, private StopCallback {
 public:
  Sleep(const CallContext& context, TimePoint until) noexcept : context_{&context}, until_{until} {}

  [[nodiscard]] bool await_ready() const noexcept { return context_->stopping() || until_ <= context_->now(); }
  void await_suspend(std::coroutine_handle<> waiting) {
    waiting_ = waiting;
    context_->runtime().timers().arm(*this, until_);
    context_->stop().subscribe(*this);
  }
  [[nodiscard]] Result<void> await_resume() const {
    if (context_->stopping()) return context_->stop_error();
    return {};
  }

 private:
  void on_timer() noexcept override {
    unsubscribe();
    context_->runtime().schedule(waiting_);
  }
  void on_stop() noexcept override {
    disarm();
    context_->runtime().schedule(waiting_);
  }

  const CallContext* context_;
  TimePoint until_;
  std::coroutine_handle<> waiting_;
};

inline Sleep CallContext::sleep_until(TimePoint point) const noexcept { return Sleep{*this, point}; }
inline Sleep CallContext::sleep(Duration span) const noexcept { return Sleep{*this, saturating_add(now(), span)}; }

/// Awaitable: waits until the consumer of the stream can take more. Ends early when the call is stopped.
class [[nodiscard]] ConsumerReady final : private StopCallback {
 public:
  explicit ConsumerReady(const CallContext& context) noexcept : context_{&context} {}

  [[nodiscard]] bool await_ready() const noexcept {
    return context_->stopping() || !context_->streaming() || context_->sink()->ready();
  }
  void await_suspend(std::coroutine_handle<> waiting) noexcept {
    waiting_ = waiting;
    context_->stop().subscribe(*this);
    context_->sink()->when_ready(waiting);
  }
  void await_resume() noexcept { unsubscribe(); }

 private:
  void on_stop() noexcept override {
    context_->sink()->when_ready({});
    context_->runtime().schedule(waiting_);
  }

  const CallContext* context_;
  std::coroutine_handle<> waiting_;
};

}  // namespace backstop::inline v0
