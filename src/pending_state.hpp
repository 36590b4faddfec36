#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "backstop/call.hpp"

namespace backstop::inline v0::detail {

/// What a background call keeps alive until it has ended, wherever its handle is.
struct PendingState : std::enable_shared_from_this<PendingState> {
  PendingState(std::shared_ptr<Runtime> call_runtime, Provider call_provider, ChatRequest call_request,
               const CallLimits& limits, std::shared_ptr<const std::vector<std::shared_ptr<Observer>>> seen_by,
               StreamSink* call_sink);

  static void launch(const std::shared_ptr<PendingState>& state);
  void deliver() noexcept;

  std::shared_ptr<Runtime> runtime;
  Provider provider;
  ChatRequest request;
  std::shared_ptr<const std::vector<std::shared_ptr<Observer>>> observers;
  StreamSink* sink;
  RootCall root;
  Runtime::Gate gate;
  std::mutex mutex;  // guards what follows
  bool done = false;
  std::function<void(const Result<ChatResponse>&)> on_done;
};

}  // namespace backstop::inline v0::detail
