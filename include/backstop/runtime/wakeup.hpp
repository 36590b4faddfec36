#pragma once

#include <coroutine>
#include <memory>

#include "backstop/chat/result.hpp"
#include "backstop/export.hpp"
#include "backstop/runtime/call_context.hpp"

namespace backstop::inline v0 {

/// Where a coroutine waits in a queue that other calls, on other threads and runtimes too, may move: until it is woken,
/// until a moment comes, or until its call is stopped, whichever is first.
///
/// The coroutine owns the object; what wakes it keeps a `Waker`. A wake while the coroutine does not wait is kept for
/// the next wait; several count as one.
/// Thread safety: it belongs to the thread that drives the runtime; a `Waker` may be used from any thread, also after
/// the object was destroyed.
///
/// Example: `Wakeup wakeup{context}; queue.push(wakeup.waker());
///           auto wait = wakeup.until(context.deadline()); auto woken = co_await wait;`
class BACKSTOP_EXPORT Wakeup final {
  struct Link;

 public:
  explicit Wakeup(const CallContext& context);
  ~Wakeup();

  /// What wakes the coroutine.
  class BACKSTOP_EXPORT Waker {
   public:
    Waker() noexcept = default;
    /// False when the object was destroyed, so that nothing was woken.
    bool wake() const;

   private:
    friend class Wakeup;
    explicit Waker(std::shared_ptr<Link> link) noexcept : link_{std::move(link)} {}
    std::shared_ptr<Link> link_;
  };
  [[nodiscard]] Waker waker() const noexcept { return Waker{link_}; }

  class [[nodiscard]] Wait {
   public:
    Wait(Wakeup& wakeup, TimePoint until) noexcept : wakeup_{&wakeup}, until_{until} {}
    [[nodiscard]] bool await_ready() const noexcept { return wakeup_->over(until_); }
    void await_suspend(std::coroutine_handle<> waiting) { wakeup_->suspend(waiting, until_); }
    /// The stop's error when the call is stopped.
    [[nodiscard]] Result<void> await_resume() { return wakeup_->outcome(); }

   private:
    Wakeup* wakeup_;
    TimePoint until_;
  };
  /// Waits; `TimePoint::max()` means without an end of its own.
  [[nodiscard]] Wait until(TimePoint point) noexcept { return Wait{*this, point}; }

 private:
  [[nodiscard]] bool over(TimePoint until) const noexcept;
  void suspend(std::coroutine_handle<> waiting, TimePoint until);
  [[nodiscard]] Result<void> outcome();
  void on_wake() noexcept;

  const CallContext* context_;
  std::shared_ptr<Link> link_;
  Parked parked_;
  bool woken_ = false;
};

}  // namespace backstop::inline v0
