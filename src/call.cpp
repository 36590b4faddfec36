#include "backstop/call.hpp"

#include <atomic>
#include <exception>
#include <mutex>
#include <utility>

#include "backstop/observe/observer.hpp"
#include "pending_state.hpp"

namespace backstop::inline v0 {
namespace detail {

RootCall::RootCall(Runtime& runtime, const CallLimits& limits,
                   const std::vector<std::shared_ptr<Observer>>* observers) noexcept
    : state_{runtime}, context_{state_, stop_, TimePoint::max()}, limits_{limits} {
  state_.attempts_left = limits.max_attempts;
  if (observers != nullptr && !observers->empty()) state_.observers = observers;
}

RootCall::~RootCall() = default;

void RootCall::start(const ChatProvider& provider, const ChatRequest& request, StreamSink* sink,
                     std::function<void()> on_end) {
  on_end_ = std::move(on_end);
  Runtime& runtime = context_.runtime();
  state_.started = runtime.now();
  context_.set_sink(sink);
  context_.set_deadline(saturating_add(state_.started, limits_.deadline));
  if (limits_.deadline <= Duration::zero()) {
    stop_.request_stop(StopReason::deadline);
  } else if (context_.deadline() != TimePoint::max()) {
    runtime.timers().arm(*this, context_.deadline());
  }
  try {
    task_ = provider.call(request, context_);
  } catch (...) {  // no memory for it
    end([]() -> Result<ChatResponse> { throw; });
    return;
  }
  task_.start(*this);
}

void RootCall::on_task_done() noexcept {
  end([this] { return task_.take_result(); });
}

template <class TakeResult>
void RootCall::end(const TakeResult& take_result) noexcept {
  disarm();
  try {
    result_.emplace(take_result());
  } catch (const std::exception& thrown) {
    result_.emplace(Error{ErrorKind::invalid_request, std::string{"an exception ended the call: "} + thrown.what()});
  } catch (...) {
    result_.emplace(Error{ErrorKind::invalid_request, "an exception of an unknown type ended the call"});
  }
  close(*result_);
  on_end_();
}

void RootCall::close(Result<ChatResponse>& result) {
  Money cost;
  for (const Attempt& attempt : state_.ledger) cost += attempt.cost;
  const Duration elapsed = context_.now() - state_.started;
  if (result) {
    result->cost = cost;
    result->elapsed = elapsed;
    result->attempts = std::move(state_.ledger);
  } else {
    result.error().elapsed = elapsed;
    result.error().attempts = std::move(state_.ledger);
  }
  if (StreamSink* sink = context_.sink()) {
    StreamEvent end;
    if (result) {
      end.type = StreamEvent::Type::finished;
      end.response = &*result;
    } else {
      end.type = StreamEvent::Type::failed;
      end.error = &result.error();
    }
    sink->on_event(end);
  }
  if (state_.observers == nullptr) return;
  const Ledger& attempts = result ? result->attempts : result.error().attempts;
  CallEvent event{nullptr, nullptr, attempts, elapsed, cost, {}};
  if (state_.first_choice != nullptr) event.first_choice = *state_.first_choice;
  if (result) {
    event.response = &*result;
  } else {
    event.error = &result.error();
  }
  for (const auto& observer : *state_.observers) observer->on_call(event);
}

PendingState::PendingState(std::shared_ptr<Runtime> call_runtime, Provider call_provider, ChatRequest call_request,
                           const CallLimits& limits, std::shared_ptr<const std::vector<std::shared_ptr<Observer>>> seen_by,
                           StreamSink* call_sink)
    : runtime{std::move(call_runtime)},
      provider{std::move(call_provider)},
      request{std::move(call_request)},
      observers{std::move(seen_by)},
      sink{call_sink},
      root{*runtime, limits, observers.get()} {}

void PendingState::launch(const std::shared_ptr<PendingState>& state) {
  state->runtime->ensure_background_driver();
  state->runtime->add_unattended(1);
  state->runtime->post([state] {
    state->root.start(state->provider.get(), state->request, state->sink, [raw = state.get()] {
      // Told from inside the task's last step: callbacks go on when that is over, they may destroy the call.
      raw->runtime->post([kept = raw->shared_from_this()] { kept->deliver(); });
    });
  });
}

void PendingState::deliver() noexcept {
  std::function<void(const Result<ChatResponse>&)> callback;
  {
    const std::lock_guard lock{mutex};
    done = true;
    callback = std::move(on_done);
  }
  if (callback) {
    try {
      callback(root.result());
    } catch (...) {  // documented: dropped
    }
  }
  runtime->add_unattended(-1);
  runtime->open(gate);
}

}  // namespace detail

PendingCall::PendingCall(std::shared_ptr<detail::PendingState> state) noexcept : state_{std::move(state)} {}

PendingCall& PendingCall::operator=(PendingCall&& other) noexcept {
  if (this != &other) {
    finish();
    state_ = std::move(other.state_);
  }
  return *this;
}

PendingCall::~PendingCall() { finish(); }

void PendingCall::finish() noexcept {
  if (!state_) return;
  if (!done()) {
    cancel();
    static_cast<void>(wait());
  }
  state_.reset();
}

bool PendingCall::done() const noexcept {
  const std::lock_guard lock{state_->mutex};
  return state_->done;
}

const Result<ChatResponse>& PendingCall::wait() {
  while (!done()) state_->runtime->block_until(state_->gate);
  return state_->root.result();
}

void PendingCall::cancel() {
  state_->runtime->post([state = state_] { state->root.stop(StopReason::cancelled); });
}

void PendingCall::on_done(std::function<void(const Result<ChatResponse>&)> callback) {
  {
    const std::lock_guard lock{state_->mutex};
    if (!state_->done) {
      state_->on_done = std::move(callback);
      return;
    }
  }
  callback(state_->root.result());
}

void AsyncCall::await_suspend(std::coroutine_handle<> waiting) {
  call_.on_done([waiting](const Result<ChatResponse>&) { waiting.resume(); });
}

Result<ChatResponse> AsyncCall::await_resume() { return call_.wait(); }

}  // namespace backstop::inline v0
