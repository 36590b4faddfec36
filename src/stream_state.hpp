#pragma once

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "backstop/call.hpp"
#include "backstop/runtime/stream_sink.hpp"

namespace backstop::inline v0::detail {

/// An event with what it refers to; kept and filled again, so that a warm stream does not allocate.
struct EventSlot {
  void assign(const StreamEvent& event);
  /// Makes `event` refer to what is kept here.
  void show(StreamEvent& event, const RootCall& root) const noexcept;

  StreamEvent::Type type = StreamEvent::Type::text;
  std::string delta;
  Target target;
  std::unique_ptr<ToolCall> tool_call;  // rare: apart, so that a batch of text fits the cache
  std::unique_ptr<Degradation> degradation;
};

/// Events in order, in slots that are used again.
class EventBatch {
 public:
  [[nodiscard]] EventSlot& push() {
    if (used_ == slots_.size()) slots_.emplace_back();
    return slots_[used_++];
  }
  [[nodiscard]] const EventSlot& operator[](std::size_t index) const noexcept { return slots_[index]; }
  [[nodiscard]] std::size_t size() const noexcept { return used_; }
  void clear() noexcept { used_ = 0; }
  void swap(EventBatch& other) noexcept {
    slots_.swap(other.slots_);
    std::swap(used_, other.used_);
  }

 private:
  std::vector<EventSlot> slots_;
  std::size_t used_ = 0;
};

/// The buffer between a streaming call, on the driving thread, and the consumer of its range.
struct StreamState final : StreamSink, std::enable_shared_from_this<StreamState> {
  StreamState(std::shared_ptr<Runtime> call_runtime, Provider call_provider, ChatRequest call_request,
              const CallLimits& limits, std::shared_ptr<const std::vector<std::shared_ptr<Observer>>> seen_by);

  static void launch(const std::shared_ptr<StreamState>& state);
  void end();
  void resume_call();

  void on_event(const StreamEvent& event) noexcept override;
  [[nodiscard]] bool ready() const noexcept override;
  void when_ready(std::coroutine_handle<> handle) noexcept override;
  [[nodiscard]] Duration consumer_time() const noexcept override;

  const StreamEvent* next();

  std::shared_ptr<Runtime> runtime;
  Provider provider;
  ChatRequest request;
  std::shared_ptr<const std::vector<std::shared_ptr<Observer>>> observers;
  RootCall root;
  Runtime::Gate gate;

  // How long the consumer has been busy with what it was given.
  std::atomic<std::int64_t> holding_since{0};  // 0: it waits for the call
  std::atomic<std::int64_t> held_so_far{0};

  // Each is written by one side: the events that have come, and those that the consumer has looked at.
  std::uint64_t produced = 0;
  std::atomic<std::uint64_t> consumed{0};

  std::mutex mutex;  // guards what follows
  EventBatch arrived;
  bool consumer_waits = false;
  bool resuming = false;  // on the way to the driving thread
  bool ended = false;
  std::coroutine_handle<> waiting;  // the call, until there is room

  // The consumer's own.
  EventBatch taken;
  std::size_t next_taken = 0;
  StreamEvent current;

 private:
  void resume_if_waiting();
};

}  // namespace backstop::inline v0::detail
