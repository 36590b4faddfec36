#pragma once

#include <memory>
#include <optional>

#include "backstop/chat/request.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/export.hpp"
#include "backstop/provider.hpp"
#include "backstop/runtime/call_context.hpp"

namespace backstop::inline v0::testing {

/// What a caller, and a fallback client above the provider, would say about a call.
struct VirtualCallOptions {
  std::optional<Duration> deadline;  ///< from its start; unset: endless
  int max_attempts = 5;              ///< sends over the whole call
  StreamSink* sink = nullptr;        ///< set: the answer is streamed to it
  bool alternative_ready = false;    ///< another target could be sent to right now
};

/// A call of a provider on a virtual runtime; made by `VirtualRuntime::start`.
class BACKSTOP_EXPORT VirtualCall final : private detail::TaskCompletion, private Timer {
 public:
  VirtualCall(std::shared_ptr<Runtime> runtime, Provider provider, ChatRequest request,
              const VirtualCallOptions& options);

  [[nodiscard]] bool done() const noexcept { return result_.has_value(); }
  /// What came of it, the ledger included; needs `done()`.
  [[nodiscard]] const Result<ChatResponse>& result() const noexcept { return *result_; }
  /// When it began and ended.
  [[nodiscard]] TimePoint started_at() const noexcept { return state_.started; }
  [[nodiscard]] TimePoint ended_at() const noexcept { return ended_at_; }
  /// How often it has ended; anything but one is a fault.
  [[nodiscard]] int completions() const noexcept { return completions_; }
  /// Stops it, as the application would. To be called while the runtime is being driven (`VirtualRuntime::at`).
  void cancel() noexcept { stop_.request_stop(StopReason::cancelled); }

 private:
  friend class VirtualRuntime;
  void begin();
  void on_task_done() noexcept override;
  void on_timer() noexcept override { stop_.request_stop(StopReason::deadline); }

  std::shared_ptr<Runtime> runtime_;
  Provider provider_;
  ChatRequest request_;
  VirtualCallOptions options_;
  CallState state_;
  StopSource stop_;
  CallContext context_;
  std::optional<Result<ChatResponse>> result_;
  TimePoint ended_at_{};
  int completions_ = 0;
  Task<Result<ChatResponse>> task_;
};

}  // namespace backstop::inline v0::testing
