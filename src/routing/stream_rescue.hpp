#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "backstop/chat/error.hpp"
#include "backstop/chat/request.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/routing/mid_stream.hpp"
#include "backstop/runtime/call_context.hpp"
#include "routing/held_stream.hpp"
#include "routing/resumable_stream.hpp"

namespace backstop::inline v0::detail {

/// What one call of a fallback client does about a stream that breaks after content has reached the consumer.
///
/// Cost: with `fail` and `restart`, and without a hold, nothing but a few flags.
class StreamRescue {
 public:
  /// What it is given outlives it.
  StreamRescue(MidStream policy, const std::optional<StreamHold>& hold, const ChatRequest& request,
               CallContext& context);

  /// Stands between the next target and the consumer; tells the consumer where the answer begins anew.
  void enter(const Target& next, CallContext& inner);
  /// What the next target is asked.
  [[nodiscard]] const ChatRequest& request() const noexcept { return rest_ ? *rest_ : *request_; }
  /// The next target has to go on from the text so far.
  [[nodiscard]] bool resuming() const noexcept { return rest_ != nullptr; }
  /// Says in the error what the consumer has seen; after every attempt that failed.
  void stamp(Error& error);
  [[nodiscard]] Error stamped(Error error) {
    stamp(error);
    return error;
  }
  /// After content: whether another target may be asked.
  [[nodiscard]] bool can_go_on();
  void finish(ChatResponse& response);

 private:
  MidStream policy_;
  const ChatRequest* request_;
  CallContext* context_;
  bool delivered_ = false;
  bool restarting_ = false;
  std::unique_ptr<ResumableStream> resumable_;
  std::unique_ptr<HeldStream> held_;
  std::unique_ptr<const ChatRequest> rest_;
};

}  // namespace backstop::inline v0::detail
