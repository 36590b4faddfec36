#pragma once

#include <optional>
#include <utility>

#include "backstop/policies/circuit_breaker.hpp"
#include "backstop/policies/cost_cap.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/policies/timeout.hpp"
#include "backstop/policy.hpp"

namespace backstop::inline v0 {

/// Defaults are right for most applications.
struct StandardOptions {
  TimeoutOptions timeout{};
  CircuitBreakerOptions circuit_breaker{};
  std::optional<CostCapOptions> cost_cap{};  ///< unset: costs are not capped
  RetryOptions retry{};
};

/// What every hosted model should have around it, in the order that makes the policies work together, outermost first:
///
/// 1. `retry`, because each attempt below is checked, counted and paid by itself;
/// 2. `cost_cap`, which reserves for a single send;
/// 3. `circuit_breaker`, asked last before the send, so that no probe's permit is held while something else refuses;
///    each attempt is evidence, and once it opens the retries end;
/// 4. `timeout`, because waiting in the layers above is not the provider's fault.
///
/// Errors: std::invalid_argument, as the policies' own factories. Thread safety: as every policy.
///
/// Example: `FallbackClient client{anthropic({...}) | standard(), openai({...}) | standard()};`
[[nodiscard]] inline Policy standard(StandardOptions options = {}) {
  Policy policy = timeout(std::move(options.timeout)) | circuit_breaker(std::move(options.circuit_breaker));
  if (options.cost_cap) policy = policy | cost_cap(std::move(*options.cost_cap));
  return policy | retry(std::move(options.retry));
}

}  // namespace backstop::inline v0
