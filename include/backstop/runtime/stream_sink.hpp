#pragma once

#include "backstop/chat/stream_event.hpp"
#include "backstop/chat/target.hpp"
#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

class Parked;

/// Where a streaming call delivers its events. Runs on the thread that drives the runtime; must not block or throw.
class StreamSink {
 public:
  /// The event's data lives only during this call.
  virtual void on_event(const StreamEvent& event) noexcept = 0;
  /// False while the consumer can take no more; the call then pauses reading from the network.
  [[nodiscard]] virtual bool ready() const noexcept { return true; }
  /// `waiting` waits until `ready()` is true again; then call `waiting->wake()` on the driving thread. Null: it waits
  /// no more. One at a time.
  virtual void when_ready(Parked* waiting) noexcept { static_cast<void>(waiting); }
  /// How long the consumer has kept the call waiting so far; limits of an attempt stand still during that time.
  [[nodiscard]] virtual Duration consumer_time() const noexcept { return Duration::zero(); }
  /// Events are kept back for now and may still be dropped: content does not commit the call. The sink that keeps them
  /// commits it when it hands them over.
  [[nodiscard]] virtual bool holding() const noexcept { return false; }
  /// An attempt at that target begins. What is kept back of earlier ones will not be finished, and is to be dropped.
  virtual void on_attempt(const Target& target) noexcept { static_cast<void>(target); }
  /// The attempt has failed: what is kept back of it is to be dropped now, while a repeat is waited for.
  virtual void on_attempt_failed() noexcept {}

 protected:
  ~StreamSink() = default;
};

/// Base of sinks around another: forwards everything but what is overridden.
class ForwardingSink : public StreamSink {
 public:
  void on_event(const StreamEvent& event) noexcept override { next_->on_event(event); }
  [[nodiscard]] bool ready() const noexcept override { return next_->ready(); }
  void when_ready(Parked* waiting) noexcept override { next_->when_ready(waiting); }
  [[nodiscard]] Duration consumer_time() const noexcept override { return next_->consumer_time(); }
  [[nodiscard]] bool holding() const noexcept override { return next_->holding(); }
  void on_attempt(const Target& target) noexcept override { next_->on_attempt(target); }
  void on_attempt_failed() noexcept override { next_->on_attempt_failed(); }

 protected:
  /// `next` must outlive this.
  explicit ForwardingSink(StreamSink& next) noexcept : next_{&next} {}
  ~ForwardingSink() = default;
  [[nodiscard]] StreamSink& next() const noexcept { return *next_; }

 private:
  StreamSink* next_;
};

}  // namespace backstop::inline v0
