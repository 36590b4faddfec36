#include "backstop/call/pending_call.hpp"

#include <optional>
#include <utility>

#include "backstop/call/async_call.hpp"
#include "call/pending_state.hpp"
#include "call/pooled_allocator.hpp"

namespace backstop::inline v0 {
namespace detail {
namespace {

void tell(const PendingState::Callback& callback, const Result<ChatResponse>& result) noexcept {
  try {
    callback(result);
  } catch (...) {  // documented: dropped
  }
}

}  // namespace

std::shared_ptr<PendingState> PendingState::launch(CallSetup setup, ChatRequest request, StreamSink* sink,
                                                   bool background) {
  auto state = std::allocate_shared<PendingState>(PooledAllocator<PendingState>{}, std::move(setup), std::move(request));
  if (background) state->leave_to_background();
  state->RunningCall::launch(sink, SinkOf::application);
  return state;
}

bool PendingState::set_callback(Callback& callback) {
  if (is_of_parent()) return false;
  const std::lock_guard lock{mutex()};
  if (done_locked()) return false;
  callback_ = std::move(callback);
  return true;
}

void PendingState::forget_callback() noexcept {
  if (is_of_parent()) return;
  Callback dropped;  // destroyed without the lock
  const std::lock_guard lock{mutex()};
  dropped.swap(callback_);
}

void PendingState::on_end() noexcept {
  Callback callback;
  {
    const std::lock_guard lock{mutex()};
    callback.swap(callback_);
  }
  if (callback) tell(callback, root().result());
}

void PendingState::detach() noexcept {
  RunningCall::detach();
  forget_callback();
}

}  // namespace detail

PendingCall::PendingCall(std::shared_ptr<detail::PendingState> state) noexcept : state_{std::move(state)} {}

PendingCall& PendingCall::operator=(PendingCall&& other) noexcept {
  if (this == &other) return *this;
  const auto before = std::exchange(state_, std::move(other.state_));
  if (before) before->abandon();  // a callback may destroy this handle meanwhile
  return *this;
}

PendingCall::~PendingCall() {
  if (state_) state_->abandon();
}

bool PendingCall::done() const noexcept { return state_->done(); }

const Result<ChatResponse>& PendingCall::wait() & {
  const auto kept = state_;  // a callback may destroy the handle meanwhile
  return kept->wait();
}

Result<ChatResponse> PendingCall::wait() && {
  const auto kept = state_;
  const Result<ChatResponse>& result = kept->wait();
  return &result == &kept->root().result() ? kept->take_result() : result;
}

void PendingCall::cancel() { state_->cancel(); }

void PendingCall::on_done(std::function<void(const Result<ChatResponse>&)> callback) {
  if (!state_->set_callback(callback)) detail::tell(callback, state_->result());
}

AsyncCall::~AsyncCall() {
  if (call_.state_) call_.state_->forget_callback();
}

bool AsyncCall::await_suspend(std::coroutine_handle<> waiting) {
  detail::PendingState::Callback resume = [waiting](const Result<ChatResponse>&) { waiting.resume(); };
  return call_.state_->set_callback(resume);
}

Result<ChatResponse> AsyncCall::await_resume() {
  static_cast<void>(call_.wait());
  return call_.state_->take_result();
}

}  // namespace backstop::inline v0
