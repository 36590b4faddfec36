#pragma once

#include "backstop/chat/error.hpp"
#include "backstop/chat/request.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/runtime/task.hpp"

namespace backstop::inline v0 {

class CallContext;

/// Another target of the call, offered by the fallback client above to a policy that wants to ask it beside its own.
///
/// It takes part in the fallback client's walk: what its failure means for later calls is noted, and once it has failed
/// it is not asked again by the same call.
/// Thread safety: none; it belongs to the thread that drives the runtime, and lives as long as the call below.
class Substitute {
 public:
  /// Chooses the next target that would take the request now and is known to be well: not cooling down, no breaker
  /// open or being probed, nothing asked that it cannot do. Null when there is none.
  [[nodiscard]] virtual const Target* choose() = 0;
  /// Asks the chosen target. As `ChatProvider::call`.
  [[nodiscard]] virtual Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) = 0;
  /// Its result is the call's. `other` is what the target it stood in for failed with, if that failed by itself.
  virtual void took_over(const Error* other) noexcept = 0;

 protected:
  ~Substitute() = default;
};

/// What a fallback client tells the policies of one target about the others.
struct Alternatives {
  bool ready = false;  ///< another target could be sent to right now
  int kept_sends = 0;  ///< of the call's sends, how many are kept for targets still to come: one each
  Substitute* substitute = nullptr;  ///< null where no other target may be asked meanwhile
};

}  // namespace backstop::inline v0
