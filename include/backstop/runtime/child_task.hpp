#pragma once

#include <coroutine>
#include <utility>

#include "backstop/runtime/runtime.hpp"
#include "backstop/runtime/task.hpp"

namespace backstop::inline v0 {

/// A task that runs beside the coroutine that owns it, on the same thread: started now, awaited later.
///
/// Whoever starts one asks it to stop when its result is no longer wanted, and awaits its end before letting go of it
/// in any case. A class may derive from it to be told of the end at once.
/// Thread safety: none; it belongs to the thread that drives the runtime.
///
/// Example: `child.start(std::move(task)); ...; auto end = child.end(); co_await end;
///           auto result = child.take_result();`
template <class T>
class ChildTask : private detail::TaskCompletion {
 public:
  explicit ChildTask(Runtime& runtime) noexcept : runtime_{&runtime} {}
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
    void await_suspend(std::coroutine_handle<> waiting) noexcept { child_->waiting_ = waiting; }
    void await_resume() const noexcept {}

   private:
    ChildTask* child_;
  };
  /// Waits for the end, however long that takes; at once when the task was never started.
  [[nodiscard]] End end() noexcept { return End{*this}; }

 protected:
  /// The task has ended; called from its last step, so that it must not be destroyed yet.
  virtual void on_end() noexcept {}

 private:
  void on_task_done() noexcept override {
    running_ = false;
    on_end();
    if (waiting_) runtime_->schedule(std::exchange(waiting_, {}));
  }

  Runtime* runtime_;
  Task<T> task_;
  std::coroutine_handle<> waiting_;
  bool running_ = false;
};

}  // namespace backstop::inline v0
