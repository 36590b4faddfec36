#pragma once

#include <coroutine>
#include <new>
#include <optional>
#include <system_error>
#include <thread>

#include "backstop/providers/function.hpp"
#include "backstop/runtime/call_context.hpp"
#include "runtime/exception_error.hpp"

namespace backstop::inline v0::detail {

/// Awaitable: runs a blocking function on a thread of its own and yields what it returns. When the call is stopped it
/// raises the function's flag and goes on waiting, so that nothing is left behind.
class [[nodiscard]] WorkerCall final : private StopCallback, private Runtime::Posted {
 public:
  WorkerCall(const BlockingFunction& function, const ChatRequest& request, const CallContext& context) noexcept
      : function_{&function},
        request_{&request},
        context_{&context},
        parked_{context.runtime(), &context.state()} {}
  ~WorkerCall() {
    if (thread_.joinable()) thread_.join();
  }

  [[nodiscard]] bool await_ready() const noexcept { return context_->stopping(); }
  [[nodiscard]] bool await_suspend(std::coroutine_handle<> waiting) {
    try {
      thread_ = std::thread{[this] { work(); }};
    } catch (const std::bad_alloc&) {
      answer_.emplace(out_of_memory());
      return false;
    } catch (const std::system_error& failure) {
      answer_.emplace(Error{ErrorKind::local_limit, std::string{"no thread for the model: "} + failure.what()});
      return false;
    }
    parked_.park(waiting);  // the end is told in a later turn of this thread's
    context_->stop().subscribe(*this);
    return true;
  }
  [[nodiscard]] Result<ChatResponse> await_resume() {
    if (context_->stopping()) return context_->stop_error();
    return *std::move(answer_);
  }

 private:
  void work() noexcept {
    try {
      answer_.emplace((*function_)(*request_, stop_));
    } catch (...) {
      answer_.emplace(error_from_exception("the provider's function"));
    }
    context_->runtime().post(*this, nullptr);
  }
  void run() noexcept override {
    unsubscribe();
    thread_.join();
    parked_.wake();
  }
  void on_stop() noexcept override { stop_.request_stop(); }

  const BlockingFunction* function_;
  const ChatRequest* request_;
  const CallContext* context_;
  StopFlag stop_;
  std::optional<Result<ChatResponse>> answer_;  // written by the thread, read after it was joined
  std::thread thread_;
  Parked parked_;
};

}  // namespace backstop::inline v0::detail
