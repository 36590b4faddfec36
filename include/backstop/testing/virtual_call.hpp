#pragma once

#include <memory>

#include "backstop/chat/request.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/export.hpp"
#include "backstop/provider.hpp"
#include "backstop/runtime/runtime.hpp"
#include "backstop/runtime/stream_sink.hpp"

namespace backstop::inline v0 {
namespace detail {
class RootCall;
}
}  // namespace backstop::inline v0

namespace backstop::inline v0::testing {

/// What a caller, and a fallback client above the provider, would say about a call.
struct VirtualCallOptions {
  Duration deadline = (Duration::max)();  ///< from its start
  int max_attempts = 5;                 ///< sends over the whole call
  StreamSink* sink = nullptr;           ///< set: the answer is streamed to it
  bool alternative_ready = false;       ///< another target could be sent to right now
};

/// A call of a provider on a virtual runtime, on the same path as an application's; made by `VirtualRuntime::start`.
class BACKSTOP_EXPORT VirtualCall final {
 public:
  VirtualCall(std::shared_ptr<Runtime> runtime, const Provider& provider, ChatRequest request,
              const VirtualCallOptions& options);

  ~VirtualCall();

  [[nodiscard]] bool done() const noexcept;
  /// What came of it, the ledger included; needs `done()`.
  [[nodiscard]] Result<ChatResponse>& result() noexcept;
  /// When it began and ended.
  [[nodiscard]] TimePoint started_at() const noexcept { return started_at_; }
  [[nodiscard]] TimePoint ended_at() const noexcept { return ended_at_; }
  /// How often it has ended; anything but one is a fault.
  [[nodiscard]] int completions() const noexcept { return completions_; }
  /// Stops it, as the application would. For actions at a point of virtual time (`VirtualRuntime::at`) and listeners of
  /// events; before the call has begun it never sends.
  void cancel() noexcept;

 private:
  friend class VirtualRuntime;
  void begin();

  std::shared_ptr<Runtime> runtime_;
  Provider provider_;
  ChatRequest request_;
  StreamSink* sink_;
  std::unique_ptr<detail::RootCall> root_;
  Runtime::Gate gate_;
  TimePoint started_at_{};
  TimePoint ended_at_{};
  int completions_ = 0;
};

}  // namespace backstop::inline v0::testing
