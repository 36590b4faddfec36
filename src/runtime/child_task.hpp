#pragma once

#include <coroutine>
#include <utility>

#include "backstop/runtime/call_context.hpp"
#include "backstop/runtime/parked.hpp"
#include "backstop/runtime/task.hpp"

namespace backstop::inline v0 {

/// A task that runs beside the coroutine that owns it, on the same thread: started now, awaited later.
///
/// The coroutine that starts one asks it to stop when its result is no longer wanted, and awaits its end in any case
/// before destroying it. A class may derive from it and override `on_end`.
/// Thread safety: none; it belongs to the thread that drives the runtime.
///
/// Example: `child.start(std::move(task)); ...; auto end = child.end(); co_await end;
///           auto result = child.take_result();`
template <class T>
class ChildTask : private detail::TaskCompletion {
 public:
  /// `context` is that of the coroutine that owns it.
  explicit ChildTask(const CallContext& context) noexcept : parked_{context.runtime(), &context.state()} {}
  ChildTask(const ChildTask&) = delete;
  ChildTask& operator=(const ChildTask&) = delete;
  virtual ~ChildTask() = default;

  /// Runs the task until it first waits. Call once.
  void start(Task<T> task) {
    task_ = std::move(task);
    running_ = true;
    task_.start(*this);
  }
  [[nodiscard]] bool running() const noexcept { return running_; }
  /// The result, once the task has ended; throws what ended it.
  [[nodiscard]] T take_result() { return task_.take_result(); }

  class [[nodiscard]] End {
   public:
    explicit End(ChildTask& child) noexcept : child_{&child} {}
    [[nodiscard]] bool await_ready() const noexcept { return !child_->running_; }
    void await_suspend(std::coroutine_handle<> waiting) noexcept { child_->parked_.park(waiting); }
    void await_resume() const noexcept {}

   private:
    ChildTask* child_;
  };
  /// Waits for the end, without a limit; does not wait when the task was not started.
  [[nodiscard]] End end() noexcept { return End{*this}; }

 protected:
  /// The task has ended; called from its last step, so that it must not be destroyed yet.
  virtual void on_end() noexcept {}

 private:
  void on_task_done() noexcept override {
    running_ = false;
    on_end();
    parked_.wake();
  }

  Task<T> task_;
  Parked parked_;
  bool running_ = false;
};

}  // namespace backstop::inline v0
