#pragma once

#include <coroutine>
#include <functional>
#include <memory>

#include "backstop/runtime/stream_sink.hpp"
#include "call/running_call.hpp"

namespace backstop::inline v0::detail {

/// A call in the background, with the application's callback and sink.
struct PendingState final : RunningCall {
  using Callback = std::function<void(const Result<ChatResponse>&)>;

  static std::shared_ptr<PendingState> launch(CallSetup setup, ChatRequest request, StreamSink* sink);
  PendingState(CallSetup setup, ChatRequest request, StreamSink* sink);

  /// Takes the callback; false when the result is there already, it is then not taken.
  [[nodiscard]] bool set_callback(Callback& callback);
  void forget_callback() noexcept;

 private:
  /// The application's sink as the call sees it: what it does belongs to the call, and it may let go of the call.
  class Consumer final : public StreamSink {
   public:
    Consumer(PendingState& state, StreamSink& sink) noexcept : state_{&state}, sink_{&sink} {}

    void detach() noexcept { sink_ = nullptr; }
    void on_event(const StreamEvent& event) noexcept override;
    [[nodiscard]] bool ready() const noexcept override { return sink_ == nullptr || sink_->ready(); }
    void when_ready(Parked* waiting) noexcept override {
      if (sink_ != nullptr) sink_->when_ready(waiting);
    }
    [[nodiscard]] Duration consumer_time() const noexcept override {
      return sink_ != nullptr ? sink_->consumer_time() : Duration::zero();
    }
    [[nodiscard]] bool holding() const noexcept override { return sink_ != nullptr && sink_->holding(); }
    void on_attempt(const Target& target) noexcept override {
      if (sink_ != nullptr) sink_->on_attempt(target);
    }
    void on_attempt_failed() noexcept override {
      if (sink_ != nullptr) sink_->on_attempt_failed();
    }

   private:
    PendingState* state_;
    StreamSink* sink_;
  };

  void on_end() noexcept override;
  void detach() noexcept override;

  std::optional<Consumer> consumer_;
  Callback callback_;
};

}  // namespace backstop::inline v0::detail
