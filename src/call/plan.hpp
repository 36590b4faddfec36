#pragma once

#include "backstop/call/call_limits.hpp"
#include "backstop/call/plan.hpp"
#include "backstop/chat/request.hpp"
#include "backstop/runtime/runtime.hpp"
#include "routing/choosing.hpp"
#include "routing/recovery.hpp"

namespace backstop::inline v0::detail {

/// What a call of a client with these candidates would do now.
[[nodiscard]] Plan plan_of(const Pool& pool, const RecoveryQueue& recovery, Runtime& runtime,
                           const CallLimits& limits, const ChatRequest& request);

}  // namespace backstop::inline v0::detail
