#pragma once

#include "backstop/chat/response.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/provider.hpp"
#include "backstop/runtime/call_context.hpp"
#include "backstop/runtime/stream_sink.hpp"
#include "backstop/runtime/task.hpp"
#include "routing/descent.hpp"

namespace backstop::inline v0::detail {

/// Tells the consumer what was given up when the first event of an answer comes: not before it is known who gives it.
class DegradedSink final : public ForwardingSink {
 public:
  DegradedSink(StreamSink& consumer, const Degradation& degradation) noexcept
      : ForwardingSink{consumer}, degradation_{&degradation} {}

  void on_event(const StreamEvent& event) noexcept override;
  void on_attempt(const Target& target) noexcept override {
    pending_ = true;
    next().on_attempt(target);
  }

 private:
  void tell(const Degradation& degradation) noexcept;

  const Degradation* degradation_;
  bool pending_ = true;
};

/// Calls a candidate with what it is offered. Where something was given up for it, its answer says so, and so does its
/// stream. `provider` and `context` outlive the task, and so does what the offer refers to.
[[nodiscard]] Task<Result<ChatResponse>> call_with(const Offer& offer, const Provider& provider, CallContext& context);

}  // namespace backstop::inline v0::detail
