#pragma once

#include <optional>

#include "backstop/export.hpp"
#include "backstop/policies/bulkhead.hpp"
#include "backstop/policies/circuit_breaker.hpp"
#include "backstop/policies/cost_cap.hpp"
#include "backstop/policies/rate_limit.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/policies/timeout.hpp"
#include "backstop/policy.hpp"

namespace backstop::inline v0 {

/// Defaults are right for most applications.
struct StandardOptions {
  TimeoutOptions timeout{};
  CircuitBreakerOptions circuit_breaker{};
  std::optional<BulkheadOptions> bulkhead{};      ///< unset: any number of sends at the same time
  std::optional<RateLimitOptions> rate_limit{};   ///< unset: any number of requests and tokens a minute
  std::optional<CostCapOptions> cost_cap{};       ///< unset: costs are not capped
  RetryOptions retry{};
};

/// What every hosted model should have around it, in the order that makes the policies work together, outermost first:
///
/// 1. `retry`, because each attempt below is checked, counted and paid by itself;
/// 2. `cost_cap`, which reserves for a single send; a refusal here takes nothing from the limits;
/// 3. `rate_limit`, where a call may wait;
/// 4. `bulkhead`, after that wait, so that no permit is held while nothing is sent;
/// 5. `circuit_breaker`, asked last before the send, so that no probe's permit is held while another layer refuses or
///    waits; each attempt is counted, and once it opens the retries end;
/// 6. `timeout`, because waiting in the layers above is not the provider's fault.
///
/// What a layer refuses gives back at once what the layers outside it have reserved. A limit that several targets share
/// is a handle: put the policies together by hand then, in this order.
///
/// Errors: std::invalid_argument, as the policies' own factories. Thread safety: as every policy.
///
/// Example: `FallbackClient client{anthropic({...}) | standard(), openai({...}) | standard()};`
[[nodiscard]] BACKSTOP_EXPORT Policy standard(StandardOptions options = {});

}  // namespace backstop::inline v0
