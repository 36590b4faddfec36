#pragma once

#include <coroutine>
#include <functional>
#include <memory>

#include "call/running_call.hpp"

namespace backstop::inline v0::detail {

/// A call in the background, with the application's callback and sink.
struct PendingState final : RunningCall {
  using Callback = std::function<void(const Result<ChatResponse>&)>;

  /// `sink` is the application's, or null. Nobody drives the call before it is waited for, unless it is left to the
  /// background.
  static std::shared_ptr<PendingState> launch(CallSetup setup, ChatRequest request, StreamSink* sink, bool background);
  using RunningCall::RunningCall;

  /// Takes the callback; false when the result is there already, it is then not taken.
  [[nodiscard]] bool set_callback(Callback& callback);
  void forget_callback() noexcept;

 private:
  void on_end() noexcept override;
  void detach() noexcept override;

  Callback callback_;
};

}  // namespace backstop::inline v0::detail
