#pragma once

#include <utility>

#include "backstop/chat/target.hpp"
#include "backstop/runtime/stream_sink.hpp"

namespace backstop::inline v0::detail {

/// Tells the consumer that the answer begins anew, when that answer's first event comes: not before it is known who
/// gives it.
class RestartSink final : public ForwardingSink {
 public:
  explicit RestartSink(StreamSink& consumer) noexcept : ForwardingSink{consumer} {}

  void announce() noexcept { pending_ = true; }
  [[nodiscard]] bool pending() const noexcept { return pending_; }
  /// Tells it now, if it is still to be told.
  void begin_anew() noexcept {
    if (!std::exchange(pending_, false)) return;
    StreamEvent begin;
    begin.type = StreamEvent::Type::restarted;
    begin.target = target_;
    next().on_event(begin);
  }
  void on_event(const StreamEvent& event) noexcept override {
    begin_anew();
    next().on_event(event);
  }
  void on_attempt(const Target& target) noexcept override {
    target_ = target;
    next().on_attempt(target);
  }

 private:
  Target target_;
  bool pending_ = false;
};

}  // namespace backstop::inline v0::detail
