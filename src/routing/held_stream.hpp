#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backstop/routing/mid_stream.hpp"
#include "backstop/runtime/call_context.hpp"
#include "backstop/runtime/stream_sink.hpp"
#include "backstop/runtime/timer.hpp"

namespace backstop::inline v0::detail {

/// Stands between a call and the consumer of its stream and keeps the beginning back, see `StreamHold`.
class HeldStream final : public StreamSink, private Timer {
 public:
  /// `context` is the call's; what is given outlives this object.
  HeldStream(const StreamHold& hold, const CallContext& context, StreamSink& consumer) noexcept
      : hold_{hold}, context_{&context}, consumer_{&consumer} {}

  /// Hands over what is kept, and from now on everything at once.
  void hand_over_all() noexcept;
  /// Forgets what is kept; the time begins anew with the next content.
  void forget() noexcept;
  /// Hands over to another consumer from now on.
  void set_consumer(StreamSink& consumer) noexcept { consumer_ = &consumer; }

  void on_event(const StreamEvent& event) noexcept override;
  [[nodiscard]] bool ready() const noexcept override { return keeping_ || consumer_->ready(); }
  void when_ready(Parked* waiting) noexcept override { consumer_->when_ready(waiting); }
  [[nodiscard]] Duration consumer_time() const noexcept override { return consumer_->consumer_time(); }
  [[nodiscard]] bool holding() const noexcept override { return keeping_ || handing_over_ || consumer_->holding(); }
  void on_attempt(const Target& target) noexcept override;
  void on_attempt_failed() noexcept override;

 private:
  /// An event with what it refers to.
  struct Kept {
    explicit Kept(const StreamEvent& event);
    [[nodiscard]] StreamEvent view() const noexcept;

    StreamEvent event;
    std::string delta;
    std::optional<ToolCall> tool_call;
    std::optional<Degradation> degradation;
  };

  void on_timer() noexcept override;
  void hand_over(const StreamEvent& event) noexcept;
  void queue(const StreamEvent& event) noexcept;

  StreamHold hold_;
  const CallContext* context_;
  StreamSink* consumer_;
  bool keeping_ = true;
  bool handing_over_ = false;
  std::size_t bytes_ = 0;
  std::vector<Kept> kept_;
};

}  // namespace backstop::inline v0::detail
