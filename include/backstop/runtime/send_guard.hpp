#pragma once

#include <optional>

#include "backstop/chat/attempt.hpp"
#include "backstop/chat/error.hpp"
#include "backstop/chat/request.hpp"
#include "backstop/chat/target.hpp"

namespace backstop::inline v0 {

class CallContext;

/// Asked before every send below it, whichever target that goes to and whatever stands between: how a policy around
/// several sends, such as a cap around a whole client, holds for each of them.
///
/// Thread safety: none; it belongs to the thread that drives the runtime.
class SendGuard {
 public:
  /// Why the request must not be sent to the target now; empty when it may.
  [[nodiscard]] virtual std::optional<Error> before_send(const Target& target, const ChatRequest& request,
                                                         const CallContext& context) = 0;
  /// Ends what `before_send` let through. `row` says what came of it; null when it did not happen after all.
  virtual void after_send(const Target& target, const Attempt* row) noexcept = 0;

 protected:
  ~SendGuard() = default;

 private:
  friend class CallContext;
  SendGuard* outer_ = nullptr;
};

}  // namespace backstop::inline v0
