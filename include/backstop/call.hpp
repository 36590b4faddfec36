#pragma once

#include <coroutine>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "backstop/chat/request.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/export.hpp"
#include "backstop/provider.hpp"
#include "backstop/runtime/runtime.hpp"

namespace backstop::inline v0 {

/// Bounds on one call of the application, retries and fallbacks included.
struct CallLimits {
  Duration deadline = std::chrono::seconds{600};  ///< from the call's entry; endless: `Duration::max()`
  int max_attempts = 5;                           ///< sends
};

namespace detail {

/// A call of the application while it runs: its state, its stop source and its deadline around the provider's task.
///
/// Lives on the driving thread between `start` and the end; must outlive the task.
class BACKSTOP_EXPORT RootCall final : private TaskCompletion, private Timer {
 public:
  RootCall(Runtime& runtime, const CallLimits& limits, const std::vector<std::shared_ptr<Observer>>* observers) noexcept;
  ~RootCall();

  /// Runs until the call first waits. `on_end` is told on the driving thread when the result is there; it must not
  /// destroy this object.
  void start(const ChatProvider& provider, const ChatRequest& request, StreamSink* sink, std::function<void()> on_end);
  void stop(StopReason reason) noexcept { stop_.request_stop(reason); }
  [[nodiscard]] bool ended() const noexcept { return result_.has_value(); }
  [[nodiscard]] Result<ChatResponse>& result() noexcept { return *result_; }
  [[nodiscard]] const Result<ChatResponse>& result() const noexcept { return *result_; }

 private:
  void on_task_done() noexcept override;
  template <class TakeResult>
  void end(const TakeResult& take_result) noexcept;
  void on_timer() noexcept override { stop_.request_stop(StopReason::deadline); }
  void close(Result<ChatResponse>& result);

  CallState state_;
  StopSource stop_;
  CallContext context_;
  CallLimits limits_;
  Task<Result<ChatResponse>> task_;
  std::optional<Result<ChatResponse>> result_;
  std::function<void()> on_end_;
};

struct PendingState;

}  // namespace detail

/// A call that runs in the background; a handle that the application keeps as long as it wants the answer.
///
/// Destroying it cancels the call and waits for its end, so that nothing outlives it.
/// Thread safety: `cancel` and `done` from any thread; everything else from one thread at a time.
class BACKSTOP_EXPORT PendingCall {
 public:
  PendingCall(PendingCall&&) noexcept = default;
  PendingCall& operator=(PendingCall&& other) noexcept;
  ~PendingCall();

  /// Blocks until the result is there. May be called again.
  [[nodiscard]] const Result<ChatResponse>& wait();
  [[nodiscard]] bool done() const noexcept;
  /// Stops every wait of the call and closes its connection; the result is then an error of kind `cancelled`, unless
  /// it was there already.
  void cancel();
  /// Calls `callback` once with the result, on the thread that drives the runtime; at once, on this thread, when the
  /// call has ended already. It must not block; an exception out of it is dropped.
  void on_done(std::function<void(const Result<ChatResponse>&)> callback);

 private:
  friend class FallbackClient;
  friend class AsyncCall;
  explicit PendingCall(std::shared_ptr<detail::PendingState> state) noexcept;
  void finish() noexcept;

  std::shared_ptr<detail::PendingState> state_;
};

/// What `co_await client.chat_async(request)` waits on, in a coroutine of whatever kind the application uses.
/// The coroutine goes on on the thread that drives the runtime.
class BACKSTOP_EXPORT AsyncCall {
 public:
  AsyncCall(AsyncCall&&) noexcept = default;
  ~AsyncCall() = default;

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting);
  [[nodiscard]] Result<ChatResponse> await_resume();

 private:
  friend class FallbackClient;
  explicit AsyncCall(PendingCall call) noexcept : call_{std::move(call)} {}

  PendingCall call_;
};

}  // namespace backstop::inline v0
