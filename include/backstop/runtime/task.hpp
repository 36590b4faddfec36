#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "backstop/memory_pool.hpp"

namespace backstop::inline v0 {

template <class T>
class Task;

namespace detail {

/// Told when a task that no coroutine awaits has finished; the runtime's end of a call.
class TaskCompletion {
 public:
  virtual void on_task_done() noexcept = 0;

 protected:
  ~TaskCompletion() = default;
};

class TaskPromiseBase {
 public:
  static void* operator new(std::size_t size) { return allocate_pooled(size); }
  static void operator delete(void* frame, std::size_t size) noexcept { deallocate_pooled(frame, size); }

  std::suspend_always initial_suspend() const noexcept { return {}; }

  struct FinalAwaiter {
    FinalAwaiter() noexcept {}
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> finished) const noexcept {
      TaskPromiseBase& promise = finished.promise();
      if (promise.continuation_) return promise.continuation_;
      if (promise.completion_ != nullptr) promise.completion_->on_task_done();
      return std::noop_coroutine();
    }
    void await_resume() const noexcept {}
  };
  FinalAwaiter final_suspend() const noexcept { return FinalAwaiter{}; }

  void unhandled_exception() noexcept { exception_ = std::current_exception(); }

  std::coroutine_handle<> continuation_;
  TaskCompletion* completion_ = nullptr;
  std::exception_ptr exception_;
};

template <class T>
class TaskPromise final : public TaskPromiseBase {
 public:
  Task<T> get_return_object() noexcept;
  template <class U>
    requires std::is_constructible_v<T, U&&>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }
  T take() {
    if (exception_) std::rethrow_exception(exception_);
    return std::move(*value_);
  }

 private:
  std::optional<T> value_;
};

}  // namespace detail

/// A lazily started coroutine that yields one T; the building block of every call.
///
/// It starts when it is awaited and resumes its awaiter directly (symmetric transfer). It must be awaited in the scope
/// that made it, so that its reference parameters stay alive; destroying a task that is suspended destroys its frame.
/// Frames come from a per-thread pool.
template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::TaskPromise<T>;

  Task() noexcept = default;
  explicit Task(std::coroutine_handle<promise_type> handle) noexcept : handle_{handle} {}
  Task(Task&& other) noexcept : handle_{std::exchange(other.handle_, {})} {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (handle_) handle_.destroy();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiter) noexcept {
    handle_.promise().continuation_ = awaiter;
    return handle_;
  }
  T await_resume() { return handle_.promise().take(); }

  /// For executors: runs the task until it suspends or ends; `completion` is told of the end. Call once.
  void start(detail::TaskCompletion& completion) {
    handle_.promise().completion_ = &completion;
    handle_.resume();
  }
  /// For executors: the result of a task that has ended.
  T take_result() { return handle_.promise().take(); }

 private:
  std::coroutine_handle<promise_type> handle_;
};

namespace detail {

template <class T>
Task<T> TaskPromise<T>::get_return_object() noexcept {
  return Task<T>{std::coroutine_handle<TaskPromise>::from_promise(*this)};
}

}  // namespace detail

}  // namespace backstop::inline v0
