#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backstop/call/call_limits.hpp"
#include "backstop/chat/request.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/provider.hpp"
#include "backstop/runtime/runtime.hpp"
#include "backstop/runtime/stream_sink.hpp"

namespace backstop::inline v0::detail {

/// A call of the application while it runs: its state, its stop source and its deadline around the provider's task.
///
/// Lives on the driving thread between `start` and the end; must outlive the task.
class RootCall final : private TaskCompletion, private Timer {
 public:
  /// Errors: std::bad_alloc. From here on the call itself ends with a result.
  RootCall(Runtime& runtime, const CallLimits& limits, const std::vector<std::shared_ptr<Observer>>* observers,
           bool quote_providers = true);
  ~RootCall();

  /// The client that the application calls, where policies stand around it for this call: its limits are the call's.
  void set_client(const ChatProvider& client) noexcept { state_.root = &client; }
  /// Runs until the call first waits. `on_end` is told on the driving thread when the result is there; it must not
  /// destroy this object.
  void start(const ChatProvider& provider, const ChatRequest& request, StreamSink* sink,
             std::function<void()> on_end) noexcept;
  void stop(StopReason reason) noexcept { stop_.request_stop(reason); }
  /// For the consumer's end of a stream: it has no memory for an event.
  void lose_event() noexcept { context_.lose_event(); }
  [[nodiscard]] bool ended() const noexcept { return result_.has_value(); }
  [[nodiscard]] Result<ChatResponse>& result() noexcept { return *result_; }
  [[nodiscard]] const Result<ChatResponse>& result() const noexcept { return *result_; }
  /// On the driving thread: whether a step of it is on the stack.
  [[nodiscard]] bool is_running() const noexcept { return state_.runtime->is_inside(&state_); }
  /// Whose steps are this call's, for `Runtime::Step`.
  [[nodiscard]] const void* id() const noexcept { return &state_; }

 private:
  /// The consumer of a stream, and what it has been given: what an error says of that is so, whatever happened inside.
  class Consumer final : public ForwardingSink {
   public:
    Consumer(StreamSink& sink, const CallState& call) noexcept : ForwardingSink{sink}, call_{&call} {}

    void on_event(const StreamEvent& event) noexcept override;
    [[nodiscard]] bool has_content() const noexcept { return content_; }
    void stamp(Error& error) noexcept;

   private:
    const CallState* call_;
    bool content_ = false;
    bool complete_ = true;
    std::string text_;
  };

  void on_task_done() noexcept override;
  void fail(Error error) noexcept;
  template <class TakeResult>
  void end(const TakeResult& take_result) noexcept;
  void on_timer() noexcept override { stop_.request_stop(StopReason::deadline); }
  void close(Result<ChatResponse>& result) noexcept;

  CallState state_;
  Branch branch_;
  StopSource stop_;
  std::optional<Consumer> consumer_;
  CallContext context_;
  CallLimits limits_;
  Task<Result<ChatResponse>> task_;
  std::optional<Result<ChatResponse>> result_;
  std::function<void()> on_end_;
};

}  // namespace backstop::inline v0::detail
