#pragma once

#include <atomic>
#include <concepts>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "backstop/export.hpp"
#include "backstop/provider.hpp"

namespace backstop::inline v0 {

/// Tells a function on a worker thread that its answer is no longer wanted.
///
/// Thread safety: may be read from any thread.
class StopFlag {
 public:
  StopFlag() noexcept = default;
  StopFlag(const StopFlag&) = delete;
  StopFlag& operator=(const StopFlag&) = delete;

  [[nodiscard]] bool stop_requested() const noexcept { return requested_.load(std::memory_order_relaxed); }
  void request_stop() noexcept { requested_.store(true, std::memory_order_relaxed); }

 private:
  std::atomic<bool> requested_{false};
};

/// An asynchronous provider: a coroutine, or a function that returns one's task. What it emits to the context streams;
/// when it emits nothing its answer is streamed whole. The rules of `ChatProvider::call` hold for it.
using ProviderFunction = std::function<Task<Result<ChatResponse>>(const ChatRequest&, CallContext&)>;
/// A quick function, called on the thread that drives the call: it must not block.
using AnswerFunction = std::function<Result<ChatResponse>(const ChatRequest&)>;
/// A slow function, called on a thread of its own. It should look at the flag repeatedly.
using BlockingFunction = std::function<Result<ChatResponse>(const ChatRequest&, const StopFlag&)>;

namespace detail {

[[nodiscard]] BACKSTOP_EXPORT Provider function_provider(Target target, ProviderFunction function);
[[nodiscard]] BACKSTOP_EXPORT Provider function_provider(Target target, AnswerFunction function);
[[nodiscard]] BACKSTOP_EXPORT Provider function_provider(Target target, BlockingFunction function);

/// `provider/model`, or `local/model` for a name without a slash.
[[nodiscard]] BACKSTOP_EXPORT Target function_target(std::string_view name);

[[nodiscard]] BACKSTOP_EXPORT ChatResponse text_answer(std::string text);
[[nodiscard]] BACKSTOP_EXPORT Result<ChatResponse> as_answer(ChatResponse answer);
[[nodiscard]] BACKSTOP_EXPORT Result<ChatResponse> as_answer(Error error);
[[nodiscard]] BACKSTOP_EXPORT Result<ChatResponse> as_answer(Result<ChatResponse> answer);
[[nodiscard]] BACKSTOP_EXPORT Result<ChatResponse> as_answer(std::string text);
[[nodiscard]] BACKSTOP_EXPORT Result<ChatResponse> as_answer(Result<std::string> text);

template <class T>
concept Answer = requires(T answer) { detail::as_answer(std::move(answer)); };

template <class F>
concept AsyncFunction =
    std::invocable<F&, const ChatRequest&, CallContext&> &&
    std::same_as<std::invoke_result_t<F&, const ChatRequest&, CallContext&>, Task<Result<ChatResponse>>>;
template <class F>
concept RequestFunction =
    std::invocable<F&, const ChatRequest&> && Answer<std::invoke_result_t<F&, const ChatRequest&>>;
template <class F>
concept StoppableFunction = std::invocable<F&, const ChatRequest&, const StopFlag&> &&
                            Answer<std::invoke_result_t<F&, const ChatRequest&, const StopFlag&>>;

}  // namespace detail

/// A provider from a function of the application.
///
/// `function` is either asynchronous (`ProviderFunction`) or quick (`const ChatRequest&` to an answer, on the thread
/// that drives the call). An answer is a `Result<ChatResponse>`, a `ChatResponse`, an `Error`, or just text. For work
/// that blocks there is `local_model`. A coroutine lambda should capture nothing: g++ 12 mistreats captures.
///
/// Thread safety: the function may be called for several calls at the same time, on the threads that drive them.
/// Errors: what the function throws becomes a `server_error` with the exception's words, a `BadResult` the error in it;
/// an answer without text, reasoning and tool calls is `malformed_response`. An error that tells of the model
/// (`connect_failed`, `timeout`, `rate_limited`, `overloaded`, `server_error`, `malformed_response`,
/// `stream_interrupted`) is that of a send. Any other whose `replay` is `not_sent` was refused before anything went
/// out: it takes no attempt of the call and is not counted.
///
/// Example: `make_provider("canned/apology", [](const ChatRequest&) { return "We are down, sorry."; })`
template <class F>
  requires(detail::AsyncFunction<F> || detail::RequestFunction<F>)
[[nodiscard]] Provider make_provider(Target target, F function) {
  if constexpr (detail::AsyncFunction<F>) {
    return detail::function_provider(std::move(target), ProviderFunction{std::move(function)});
  } else {
    return detail::function_provider(
        std::move(target), AnswerFunction{[function = std::move(function)](const ChatRequest& request) mutable {
          return detail::as_answer(function(request));
        }});
  }
}

/// The same under a name: `provider/model`, or `local/model` when it has no slash.
template <class F>
  requires(detail::AsyncFunction<F> || detail::RequestFunction<F>)
[[nodiscard]] Provider make_provider(std::string_view name, F function) {
  return backstop::make_provider(detail::function_target(name), std::move(function));
}

/// A provider from a function that blocks, such as a model that runs inside the application.
///
/// `function` takes the request, and a `const StopFlag&` if it likes, and returns an answer as with `make_provider`.
/// Every call runs it on a thread of its own, which has ended when the call ends: a call that is cancelled or runs out
/// of time raises the flag and then waits for the function.
///
/// Thread safety and errors: as with `make_provider`; a thread that cannot be had is a `local_limit`.
template <class F>
  requires(detail::StoppableFunction<F> || detail::RequestFunction<F>)
[[nodiscard]] Provider local_model(Target target, F function) {
  return detail::function_provider(
      std::move(target),
      BlockingFunction{[function = std::move(function)](const ChatRequest& request, const StopFlag& stop) mutable {
        if constexpr (detail::StoppableFunction<F>) {
          return detail::as_answer(function(request, stop));
        } else {
          static_cast<void>(stop);
          return detail::as_answer(function(request));
        }
      }});
}

/// The same under a name: `provider/model`, or `local/model` when it has no slash.
template <class F>
  requires(detail::StoppableFunction<F> || detail::RequestFunction<F>)
[[nodiscard]] Provider local_model(std::string_view name, F function) {
  return backstop::local_model(detail::function_target(name), std::move(function));
}

}  // namespace backstop::inline v0
