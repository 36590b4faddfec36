#include "backstop/call/chat_stream.hpp"

#include <algorithm>
#include <new>
#include <string_view>
#include <utility>

#include "call/pooled_allocator.hpp"
#include "call/stream_state.hpp"

namespace backstop::inline v0 {
namespace detail {
namespace {

// The network waits when this much is ahead of the consumer.
constexpr std::uint64_t most_events = 64;

}  // namespace

void EventSlot::assign(const StreamEvent& event) {
  type = event.type;
  delta.assign(event.delta);
  if (event.tool_call != nullptr) {
    if (!tool_call) tool_call = std::make_unique<ToolCall>();
    tool_call->id = event.tool_call->id;
    tool_call->name = event.tool_call->name;
    // A piece does not bring along what came before it.
    tool_call->arguments.assign(type == StreamEvent::Type::tool_call ? std::string_view{event.tool_call->arguments}
                                                                     : std::string_view{});
  }
  if (event.degradation != nullptr) degradation = std::make_unique<Degradation>(*event.degradation);
  if (!event.target.empty()) target = event.target;
}

void EventSlot::show(StreamEvent& event, const RootCall& root) const noexcept {
  if (event.type == StreamEvent::Type::restarted) event.target = Target{};
  event.type = type;
  event.delta = delta;
  event.tool_call = nullptr;
  event.degradation = nullptr;
  switch (type) {
    case StreamEvent::Type::text:
    case StreamEvent::Type::reasoning:
    case StreamEvent::Type::progress: break;
    case StreamEvent::Type::tool_call_delta:
    case StreamEvent::Type::tool_call: event.tool_call = tool_call.get(); break;
    case StreamEvent::Type::degraded: event.degradation = degradation.get(); break;
    case StreamEvent::Type::finished: event.response = &*root.result(); break;
    case StreamEvent::Type::failed: event.error = &root.result().error(); break;
    case StreamEvent::Type::restarted: event.target = target; break;
  }
}

std::shared_ptr<StreamState> StreamState::launch(CallSetup setup, ChatRequest request) {
  auto state = std::allocate_shared<StreamState>(PooledAllocator<StreamState>{}, std::move(setup), std::move(request));
  state->holding_since_.store(state->runtime().clock().now().time_since_epoch().count(), std::memory_order_relaxed);
  state->RunningCall::launch(state.get(), SinkOf::call);
  return state;
}

void StreamState::on_end() noexcept {
  alarm_.disarm();
  const std::lock_guard lock{mutex()};
  ended_ = true;
}

void StreamState::on_event(const StreamEvent& event) noexcept {
  bool wake = false;
  try {
    const std::lock_guard lock{mutex()};
    if (event.type == StreamEvent::Type::finished || event.type == StreamEvent::Type::failed) {
      last_.type = event.type;
      last_arrived_ = true;
    } else {
      arrived_.push(event);
    }
    wake = std::exchange(consumer_waits_, false);
  } catch (const std::bad_alloc&) {
    return root().lose_event();
  }
  ++produced_;
  if (wake) runtime().open(gate_);
}

bool StreamState::ready() const noexcept { return produced_ - consumed_.load(std::memory_order_relaxed) < most_events; }

void StreamState::when_ready(Parked* parked) noexcept {
  const std::lock_guard lock{mutex()};
  waiting_ = parked;
  if (parked != nullptr && ready()) resume_if_waiting();  // the consumer has caught up, and will not look again
}

void StreamState::resume_if_waiting() {
  if (waiting_ == nullptr || std::exchange(resuming_, true)) return;
  runtime().post(resume_, shared_from_this());
}

void StreamState::resume_call() noexcept {
  Parked* parked = nullptr;
  {
    const std::lock_guard lock{mutex()};
    resuming_ = false;
    parked = std::exchange(waiting_, nullptr);  // null when the call was stopped meanwhile
  }
  if (parked != nullptr) parked->wake();
}

Duration StreamState::consumer_time() const noexcept {
  const std::int64_t since = holding_since_.load(std::memory_order_acquire);
  const Duration held{held_so_far_.load(std::memory_order_relaxed)};
  if (since == 0) return held;
  return held + std::max(Duration::zero(), runtime().clock().now().time_since_epoch() - Duration{since});
}

void StreamState::wake_at(TimePoint until) {
  {
    const std::lock_guard lock{mutex()};
    alarm_at_ = until;
    if (std::exchange(alarm_posted_, true)) return;
  }
  runtime().post(alarm_, shared_from_this());
}

void StreamState::arm_alarm() noexcept {
  TimePoint at;
  {
    const std::lock_guard lock{mutex()};
    alarm_posted_ = false;
    at = alarm_at_;
  }
  if (root().ended()) return;  // its end releases the consumer
  try {
    alarm_.arm(at);
  } catch (const std::bad_alloc&) {  // then it looks at the clock itself
    runtime().open(gate_);
  }
}

void StreamState::wait_for_more() {
  const auto now = [this] { return runtime().clock().now().time_since_epoch().count(); };
  // From the moment of an event to the next look for one it is the consumer that takes the time; within a callback that
  // this wait runs that may happen anew. In this order: who looks in between counts some of it twice, so that limits
  // fire late, never early.
  const auto count_held = [&] {
    const std::int64_t since = holding_since_.load(std::memory_order_relaxed);
    if (since != 0) held_so_far_.fetch_add(now() - since, std::memory_order_relaxed);
  };
  count_held();
  holding_since_.store(0, std::memory_order_release);
  runtime().block_until(gate_);
  count_held();
  holding_since_.store(now(), std::memory_order_relaxed);
}

const StreamEvent* StreamState::next(Duration most) {
  if (is_of_parent()) return nullptr;
  std::shared_ptr<RunningCall> kept;  // while it waits: a callback may destroy the stream
  const TimePoint until = most == Duration::max() ? TimePoint::max() : saturating_add(runtime().clock().now(), most);
  bool looked = false;  // however short the time is, the loop has a turn
  while (!abandoned()) {
    if (next_taken_ < taken_.size()) {
      taken_[next_taken_++].show(current_, root());
      consumed_.store(consumed_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      return &current_;
    }
    {
      const std::lock_guard lock{mutex()};
      taken_.clear();
      next_taken_ = 0;
      taken_.swap(arrived_);
      resume_if_waiting();
      if (taken_.size() == 0 && std::exchange(last_arrived_, false)) {
        given_all_ = true;
        last_.show(current_, root());
        consumed_.store(consumed_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        return &current_;
      }
      if (taken_.size() == 0) {
        given_all_ = given_all_ || ended_;
        if (ended_) return nullptr;
        consumer_waits_ = true;
      }
    }
    if (taken_.size() != 0) continue;
    // Inside the call itself no event would come.
    if (runtime().driven_by_this_thread() && root().is_running()) return nullptr;
    if (until != TimePoint::max()) {
      if (std::exchange(looked, true) && runtime().clock().now() >= until) return nullptr;
      wake_at(until);
    }
    if (!kept) kept = shared_from_this();
    wait_for_more();
  }
  return nullptr;
}

}  // namespace detail

ChatStream::ChatStream(std::shared_ptr<detail::StreamState> state) noexcept : state_{std::move(state)} {}

ChatStream& ChatStream::operator=(ChatStream&& other) noexcept {
  if (this == &other) return *this;
  const auto before = std::exchange(state_, std::move(other.state_));
  if (before) before->abandon();  // a callback may destroy this handle meanwhile
  return *this;
}

ChatStream::~ChatStream() {
  if (state_) state_->abandon();
}

const StreamEvent* ChatStream::next() { return state_->next(); }

const StreamEvent* ChatStream::next_for(Duration most) { return state_->next(most); }

bool ChatStream::ended() const noexcept { return state_->ended(); }

const Result<ChatResponse>& ChatStream::result() {
  const auto kept = state_;  // a callback may destroy the stream meanwhile
  while (kept->next() != nullptr) {
  }
  return kept->wait();
}

void ChatStream::cancel() { state_->cancel(); }

}  // namespace backstop::inline v0
