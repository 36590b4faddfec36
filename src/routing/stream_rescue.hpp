#pragma once

#include <memory>
#include <optional>
#include <string>

#include "backstop/chat/error.hpp"
#include "backstop/chat/request.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/routing/mid_stream.hpp"
#include "backstop/runtime/call_context.hpp"
#include "routing/held_stream.hpp"
#include "routing/resumable_stream.hpp"
#include "runtime/restart_sink.hpp"

namespace backstop::inline v0::detail {

/// What one call of a fallback client does about a stream that breaks after content has reached the consumer.
///
/// Cost: with `fail` and `restart`, and without a hold, nothing but a few flags until a stream breaks.
class StreamRescue {
 public:
  /// What it is given outlives it.
  StreamRescue(MidStream policy, const std::optional<StreamHold>& hold, const ChatRequest& request,
               CallContext& context);
  /// That the consumer has been given something is known to whoever stands around, also where an exception ends the call.
  ~StreamRescue();
  StreamRescue(const StreamRescue&) = delete;
  StreamRescue& operator=(const StreamRescue&) = delete;

  /// Stands between the next target and the consumer.
  void enter(CallContext& inner);
  /// What the next target is asked.
  [[nodiscard]] const ChatRequest& request() const noexcept { return rest_ ? *rest_ : *request_; }
  /// The next target has to go on from the text so far.
  [[nodiscard]] bool resuming() const noexcept { return rest_ != nullptr; }
  /// What has been delivered of that text.
  [[nodiscard]] const std::string& text_so_far() const noexcept { return resumable_->text_so_far(); }
  /// Says in the error what the consumer has seen; after every attempt that failed.
  void stamp(Error& error);
  /// The error that the call fails with. What the consumer has of it stays: nothing further out may begin anew.
  [[nodiscard]] Error ended(Error error);
  /// After content: whether another target may be asked. `error` is what the answer broke off with.
  [[nodiscard]] bool can_go_on(const Error& error);
  void finish(ChatResponse& response);

 private:
  MidStream policy_;
  const ChatRequest* request_;
  CallContext* context_;
  bool delivered_ = false;
  std::string partial_;  // what the consumer has
  std::unique_ptr<RestartSink> restart_;
  std::unique_ptr<ResumableStream> resumable_;
  std::unique_ptr<HeldStream> held_;
  std::unique_ptr<const ChatRequest> rest_;
};

}  // namespace backstop::inline v0::detail
