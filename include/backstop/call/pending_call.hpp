#pragma once

#include <functional>
#include <memory>

#include "backstop/chat/response.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/export.hpp"

namespace backstop::inline v0 {

namespace detail {
struct PendingState;
}

/// A call that runs in the background; a handle that the application keeps as long as it wants the answer.
///
/// Destroying it cancels the call and waits for its end, so that the call does not outlive it. Destroyed from inside
/// the call itself (its sink, a policy's function), it does not wait: the sink and the callback are not used any more,
/// and the call ends soon after.
/// In a child of the process that began it, it is over: with an error of kind `cancelled`, and without its callback.
/// Thread safety: `cancel` and `done` from any thread; everything else from one thread at a time.
class BACKSTOP_EXPORT PendingCall {
 public:
  PendingCall(PendingCall&&) noexcept = default;
  PendingCall& operator=(PendingCall&& other) noexcept;
  ~PendingCall();

  /// Blocks until the result is there and the callback of `on_done` has returned. May be called again. From inside the
  /// call itself (its sink, a policy's function) it does not block: the result is then an error of kind
  /// `invalid_request` that says so. It lives as long as the handle; of a handle that goes away at once it is moved
  /// out. Where a callback destroys the handle meanwhile, it is an error of kind `cancelled`.
  [[nodiscard]] const Result<ChatResponse>& wait() &;
  [[nodiscard]] Result<ChatResponse> wait() &&;
  [[nodiscard]] bool done() const noexcept;
  /// Stops every wait of the call and closes its connection; the result is then an error of kind `cancelled`, unless
  /// it was there already.
  void cancel();
  /// Calls `callback` once with the result, on the thread that drives the runtime; when the call has ended already, on
  /// this thread, before `on_done` returns. It must not block; an exception out of it is dropped.
  void on_done(std::function<void(const Result<ChatResponse>&)> callback);

 private:
  friend class AsyncCall;
  friend class FallbackClient;
  explicit PendingCall(std::shared_ptr<detail::PendingState> state) noexcept;

  std::shared_ptr<detail::PendingState> state_;
};

}  // namespace backstop::inline v0
