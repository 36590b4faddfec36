#pragma once

#include <coroutine>

#include "backstop/runtime/clock.hpp"
#include "backstop/runtime/ready_queue.hpp"
#include "backstop/runtime/runtime.hpp"
#include "backstop/runtime/stop.hpp"
#include "backstop/runtime/timer.hpp"

namespace backstop::inline v0 {

/// A coroutine that waits: the one thing that awaitables are made of.
///
/// Whatever it waits for (`wake`, a point in time, a stop), the first of them puts it into the runtime's queue, and the
/// others then do nothing. It is resumed exactly once, by the loop, never from inside of what woke it. Destroying it
/// takes it out of all of them and of the queue.
/// Thread safety: none; it belongs to the thread that drives the runtime. Cost: links pointers, a timer only if asked.
class Parked final : private ReadyNode, private Timer, private StopCallback {
 public:
  /// `call` is the call whose coroutine waits, for `Runtime::is_inside`.
  Parked(Runtime& runtime, const void* call) noexcept : runtime_{&runtime} { call_ = call; }

  [[nodiscard]] bool waits() const noexcept { return static_cast<bool>(handle_) && !woken(); }
  /// The coroutine waits from now on. Called by `await_suspend`.
  void park(std::coroutine_handle<> waiting) noexcept { handle_ = waiting; }
  /// Wakes it then, if nothing has before. Call after `park`; for the end of time it does nothing.
  void wake_at(TimePoint at) {
    if (at != (TimePoint::max)()) runtime_->timers().arm(*this, at);
  }
  /// Wakes it when that scope is stopped, if nothing has before. Call after `park`, while it is not stopped.
  void wake_on(StopSource& stop) noexcept { stop.subscribe(*this); }
  /// Wakes it if it waits.
  void wake() noexcept {
    if (!waits()) return;
    disarm();
    unsubscribe();
    runtime_->ready_.push(*this);
  }

 private:
  [[nodiscard]] bool woken() const noexcept { return ready_in_ != nullptr; }
  void on_timer() noexcept override { wake(); }
  void on_stop() noexcept override { wake(); }

  Runtime* runtime_;
};

}  // namespace backstop::inline v0
