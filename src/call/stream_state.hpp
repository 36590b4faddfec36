#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "backstop/runtime/call_context.hpp"
#include "call/running_call.hpp"

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
  /// Errors: std::bad_alloc; the batch is then as it was.
  void push(const StreamEvent& event) {
    if (used_ == slots_.size()) slots_.emplace_back();
    slots_[used_].assign(event);
    ++used_;
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
struct StreamState final : RunningCall, StreamSink {
  static std::shared_ptr<StreamState> launch(CallSetup setup, ChatRequest request);
  StreamState(CallSetup setup, ChatRequest request) : RunningCall{std::move(setup), std::move(request)} {}

  void on_event(const StreamEvent& event) noexcept override;
  [[nodiscard]] bool ready() const noexcept override;
  void when_ready(Parked* parked) noexcept override;
  [[nodiscard]] Duration consumer_time() const noexcept override;

  /// Null when nothing has come for that long, too.
  const StreamEvent* next(Duration most = Duration::max());
  [[nodiscard]] bool ended() const noexcept { return given_all_ || is_of_parent(); }

 private:
  /// Releases the consumer when it has waited long enough.
  class Alarm final : public Runtime::Posted, private Timer {
   public:
    explicit Alarm(StreamState& state) noexcept : state_{&state} {}
    using Timer::disarm;
    void run() noexcept override { state_->arm_alarm(); }
    void arm(TimePoint at) { state_->runtime().timers().arm(*this, at); }

   private:
    void on_timer() noexcept override { state_->runtime().open(state_->gate_); }

    StreamState* state_;
  };

  class Resume final : public Runtime::Posted {
   public:
    explicit Resume(StreamState& state) noexcept : state_{&state} {}
    void run() noexcept override { state_->resume_call(); }

   private:
    StreamState* state_;
  };

  void on_end() noexcept override;
  void resume_call() noexcept;
  void resume_if_waiting();
  void wait_for_more();
  void wake_at(TimePoint until);
  void arm_alarm() noexcept;

  // How long the consumer has been busy with what it was given.
  std::atomic<std::int64_t> holding_since_{0};  // 0: it waits for the call
  std::atomic<std::int64_t> held_so_far_{0};

  // Each is written by one side: the events that have come, and those that the consumer has looked at.
  std::uint64_t produced_ = 0;
  std::atomic<std::uint64_t> consumed_{0};

  // With the lock held.
  EventBatch arrived_;
  EventSlot last_;  // `finished` or `failed`, behind all that has arrived: it takes no memory
  bool last_arrived_ = false;
  bool consumer_waits_ = false;
  Resume resume_{*this};
  bool resuming_ = false;  // on the way to the driving thread
  bool ended_ = false;
  Parked* waiting_ = nullptr;  // the call, until there is room
  TimePoint alarm_at_{};
  bool alarm_posted_ = false;

  Alarm alarm_{*this};  // the driving thread's

  // The consumer's own.
  EventBatch taken_;
  std::size_t next_taken_ = 0;
  bool given_all_ = false;
  StreamEvent current_;
};

}  // namespace backstop::inline v0::detail
