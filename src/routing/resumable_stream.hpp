#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "backstop/chat/request.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/runtime/call_context.hpp"
#include "backstop/runtime/stream_sink.hpp"

namespace backstop::inline v0::detail {

/// Stands between a call and the consumer of its stream and remembers the text that was delivered, so that another
/// target can write the rest.
///
/// The beginning of the rest is kept back until it is known whether it repeats something, which is dropped.
class ResumableStream final : public StreamSink {
 public:
  /// `context` is the call's; what is given outlives this object.
  ResumableStream(const CallContext& context, StreamSink& consumer) noexcept
      : context_{&context}, consumer_{&consumer} {}

  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  /// There is text to go on from, and no tool call was begun.
  [[nodiscard]] bool can_resume() const noexcept;
  /// The request with the text so far as the assistant's turn to be continued. What follows is the rest of that text.
  [[nodiscard]] ChatRequest begin_rest(const ChatRequest& original);
  /// What the rest follows: of the whole answer, what clients around have delivered included.
  [[nodiscard]] const std::string& text_so_far() const noexcept { return text_so_far_; }
  /// Hands over what is still kept back, and makes the response, which has the rest only, whole.
  void finish(ChatResponse& response);

  void on_event(const StreamEvent& event) noexcept override;
  [[nodiscard]] bool ready() const noexcept override { return consumer_->ready(); }
  void when_ready(Parked* waiting) noexcept override { consumer_->when_ready(waiting); }
  [[nodiscard]] Duration consumer_time() const noexcept override { return consumer_->consumer_time(); }
  [[nodiscard]] bool holding() const noexcept override { return comparing_ || consumer_->holding(); }
  void on_attempt(const Target& target) noexcept override;
  void on_attempt_failed() noexcept override;

 private:
  /// Hands on what is new of the rest, if that can be told by now.
  void compare(bool complete) noexcept;
  void deliver(const StreamEvent& event, bool kept_back) noexcept;
  /// What was written is forgotten where it was kept back.
  void forget_what_is_kept() noexcept;
  void note_degradation(const StreamEvent& event) noexcept;
  /// A client further in has begun its answer anew: what it had written so far is void.
  void begin_anew(const StreamEvent& restarted) noexcept;

  const CallContext* context_;
  StreamSink* consumer_;
  std::string text_;    // delivered so far
  bool tool_call_begun_ = false;
  bool text_incomplete_ = false;
  bool comparing_ = false;
  std::string given_;   // what the target that continues was given
  std::string text_so_far_;
  std::string rest_;    // of its text: what is kept back
  std::size_t dropped_ = 0;
  std::optional<Degradation> degradation_;  // of all who have written a part of it
};

}  // namespace backstop::inline v0::detail
