#pragma once

#include <coroutine>
#include <utility>

#include "backstop/call/pending_call.hpp"

namespace backstop::inline v0 {

/// What `co_await client.chat_async(request)` waits on, in a coroutine of whatever kind the application uses.
/// The coroutine goes on on the thread that drives the runtime.
///
/// Destroying the coroutine while it waits cancels the call; it is not resumed any more.
class BACKSTOP_EXPORT AsyncCall {
 public:
  AsyncCall(AsyncCall&&) noexcept = default;
  ~AsyncCall();

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  /// False when the result is there already.
  [[nodiscard]] bool await_suspend(std::coroutine_handle<> waiting);
  [[nodiscard]] Result<ChatResponse> await_resume();

 private:
  friend class FallbackClient;
  explicit AsyncCall(PendingCall call) noexcept : call_{std::move(call)} {}

  PendingCall call_;
};

}  // namespace backstop::inline v0
