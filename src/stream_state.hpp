#pragma once

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backstop/call.hpp"
#include "backstop/runtime/stream_sink.hpp"

namespace backstop::inline v0::detail {

/// An event with what it refers to; kept and filled again, so that a warm stream does not allocate.
struct EventSlot {
  void assign(const StreamEvent& event);
  [[nodiscard]] StreamEvent view(const RootCall& root) const noexcept;

  StreamEvent::Type type = StreamEvent::Type::text;
  std::string delta;
  ToolCall tool_call;
  Degradation degradation;
  Target target;
};

/// The buffer between a streaming call, on the driving thread, and the consumer of its range.
struct StreamState final : StreamSink, std::enable_shared_from_this<StreamState> {
  StreamState(std::shared_ptr<Runtime> call_runtime, Provider call_provider, ChatRequest call_request,
              const CallLimits& limits, std::shared_ptr<const std::vector<std::shared_ptr<Observer>>> seen_by);

  static void launch(const std::shared_ptr<StreamState>& state);
  void end();
  void resume_call();

  void on_event(const StreamEvent& event) noexcept override;
  [[nodiscard]] bool ready() const noexcept override;
  void when_ready(std::coroutine_handle<> handle) noexcept override;
  [[nodiscard]] Duration consumer_time() const noexcept override;

  const StreamEvent* next(const std::shared_ptr<StreamState>& state);

  std::shared_ptr<Runtime> runtime;
  Provider provider;
  ChatRequest request;
  std::shared_ptr<const std::vector<std::shared_ptr<Observer>>> observers;
  RootCall root;
  Runtime::Gate gate;

  // How long the consumer has been busy with what it was given.
  std::atomic<std::int64_t> holding_since{0};  // 0: it waits for the call
  std::atomic<std::int64_t> held_so_far{0};

  mutable std::mutex mutex;  // guards what follows
  std::vector<std::unique_ptr<EventSlot>> slots;  // by pointer: the consumer's slot stays where it is when others come
  std::size_t first = 0;
  std::size_t count = 0;
  bool taken = false;  // the consumer looks at the first slot
  bool consumer_waits = false;
  bool resuming = false;  // on the way to the driving thread
  bool ended = false;
  std::coroutine_handle<> waiting;  // the call, until there is room
  StreamEvent current;
};

}  // namespace backstop::inline v0::detail
