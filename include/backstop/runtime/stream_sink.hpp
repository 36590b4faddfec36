#pragma once

#include <coroutine>

#include "backstop/chat/stream_event.hpp"
#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

/// Where a streaming call delivers its events. Runs on the thread that drives the runtime; must not block or throw.
class StreamSink {
 public:
  /// The event's data lives only during this call.
  virtual void on_event(const StreamEvent& event) noexcept = 0;
  /// False while the consumer has all it can hold; the call then pauses reading from the network.
  [[nodiscard]] virtual bool ready() const noexcept { return true; }
  /// Resumes the coroutine on the runtime once `ready()` is true again; a null handle takes that back.
  virtual void when_ready(std::coroutine_handle<> waiting) noexcept { static_cast<void>(waiting); }
  /// How long the consumer has kept the call waiting so far; limits of an attempt stand still during that time.
  [[nodiscard]] virtual Duration consumer_time() const noexcept { return Duration::zero(); }
  /// Events are kept back for now and may yet be forgotten: content does not commit the call. Whoever keeps them
  /// commits it when letting them go.
  [[nodiscard]] virtual bool holding() const noexcept { return false; }
  /// An attempt begins. What is kept back of earlier ones will not be finished, and is to be forgotten.
  virtual void on_attempt() noexcept {}

 protected:
  ~StreamSink() = default;
};

}  // namespace backstop::inline v0
