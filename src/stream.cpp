#include "backstop/stream.hpp"

#include <algorithm>
#include <utility>

#include "stream_state.hpp"

namespace backstop::inline v0 {
namespace detail {
namespace {

// The network waits when this much is ahead of the consumer.
constexpr std::uint64_t most_events = 64;

}  // namespace

void EventSlot::assign(const StreamEvent& event) {
  type = event.type;
  delta.assign(event.delta);
  if (event.tool_call != nullptr) tool_call = std::make_unique<ToolCall>(*event.tool_call);
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
    case StreamEvent::Type::reasoning: break;
    case StreamEvent::Type::tool_call_delta:
    case StreamEvent::Type::tool_call: event.tool_call = tool_call.get(); break;
    case StreamEvent::Type::degraded: event.degradation = degradation.get(); break;
    case StreamEvent::Type::finished: event.response = &*root.result(); break;
    case StreamEvent::Type::failed: event.error = &root.result().error(); break;
    case StreamEvent::Type::restarted: event.target = target; break;
  }
}

StreamState::StreamState(std::shared_ptr<Runtime> call_runtime, Provider call_provider, ChatRequest call_request,
                         const CallLimits& limits,
                         std::shared_ptr<const std::vector<std::shared_ptr<Observer>>> seen_by)
    : runtime{std::move(call_runtime)},
      provider{std::move(call_provider)},
      request{std::move(call_request)},
      observers{std::move(seen_by)},
      root{*runtime, limits, observers.get()} {}

void StreamState::launch(const std::shared_ptr<StreamState>& state) {
  state->holding_since.store(state->runtime->clock().now().time_since_epoch().count(), std::memory_order_relaxed);
  state->runtime->post([state] {
    state->root.start(state->provider.get(), state->request, state.get(), [raw = state.get()] {
      // Told from inside the call's last step: the consumer may destroy the call once it knows.
      raw->runtime->post([kept = raw->shared_from_this()] { kept->end(); });
    });
  });
}

void StreamState::end() {
  {
    const std::lock_guard lock{mutex};
    ended = true;
  }
  runtime->open(gate);
}

void StreamState::on_event(const StreamEvent& event) noexcept {
  bool wake = false;
  ++produced;
  {
    const std::lock_guard lock{mutex};
    arrived.push().assign(event);
    wake = std::exchange(consumer_waits, false);
  }
  if (wake) runtime->open(gate);
}

bool StreamState::ready() const noexcept { return produced - consumed.load(std::memory_order_relaxed) < most_events; }

void StreamState::when_ready(std::coroutine_handle<> handle) noexcept {
  const std::lock_guard lock{mutex};
  waiting = handle;
  if (handle && ready()) resume_if_waiting();  // the consumer has caught up meanwhile, and will not look again
}

void StreamState::resume_if_waiting() {
  if (!waiting || std::exchange(resuming, true)) return;
  runtime->post([state = shared_from_this()] { state->resume_call(); });
}

void StreamState::resume_call() {
  std::coroutine_handle<> handle;
  {
    const std::lock_guard lock{mutex};
    resuming = false;
    handle = std::exchange(waiting, {});  // empty when the call was stopped meanwhile
  }
  if (handle) runtime->schedule(handle);
}

Duration StreamState::consumer_time() const noexcept {
  const std::int64_t since = holding_since.load(std::memory_order_relaxed);
  const Duration held{held_so_far.load(std::memory_order_relaxed)};
  if (since == 0) return held;
  return held + std::max(Duration::zero(), runtime->clock().now().time_since_epoch() - Duration{since});
}

const StreamEvent* StreamState::next() {
  for (;;) {
    if (next_taken < taken.size()) {
      taken[next_taken++].show(current, root);
      consumed.store(consumed.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      return &current;
    }
    {
      const std::lock_guard lock{mutex};
      taken.clear();
      next_taken = 0;
      taken.swap(arrived);
      resume_if_waiting();
      if (taken.size() == 0) {
        if (ended) return nullptr;
        consumer_waits = true;
      }
    }
    if (taken.size() != 0) continue;
    const std::int64_t now = runtime->clock().now().time_since_epoch().count();
    held_so_far.fetch_add(now - holding_since.exchange(0, std::memory_order_relaxed), std::memory_order_relaxed);
    runtime->block_until(gate);
    holding_since.store(runtime->clock().now().time_since_epoch().count(), std::memory_order_relaxed);
  }
}

}  // namespace detail

ChatStream::ChatStream(std::shared_ptr<detail::StreamState> state) noexcept : state_{std::move(state)} {}

ChatStream& ChatStream::operator=(ChatStream&& other) noexcept {
  if (this != &other) {
    finish();
    state_ = std::move(other.state_);
  }
  return *this;
}

ChatStream::~ChatStream() { finish(); }

void ChatStream::finish() noexcept {
  if (!state_) return;
  bool ended = false;
  {
    const std::lock_guard lock{state_->mutex};
    ended = state_->ended;
  }
  if (!ended) {
    cancel();
    static_cast<void>(result());
  }
  state_.reset();
}

const StreamEvent* ChatStream::next() { return state_->next(); }

const Result<ChatResponse>& ChatStream::result() {
  while (next() != nullptr) {
  }
  return state_->root.result();
}

void ChatStream::cancel() {
  state_->runtime->post([state = state_] { state->root.stop(StopReason::cancelled); });
}

}  // namespace backstop::inline v0
