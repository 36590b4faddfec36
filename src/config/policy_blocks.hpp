#pragma once

#include "backstop/config/config.hpp"
#include "config/setting.hpp"

namespace backstop::inline v0::detail {

/// Reads the blocks `timeout`, `retry`, `circuit_breaker`, `rate_limit` and `http`, first the policy's, then the target's
/// over them key by key, with the short forms `max_retries` and `retry_on`. Complains about explicit limits that contradict each other;
/// a default gives way to what is explicit.
void read_policies(const Setting& policy, const Setting& target, TargetConfig& out);

inline constexpr int most_repairs = 10;

/// The block `accept_if`.
void read_floor(const Setting& at, FloorConfig& out);

/// The block `cost_cap`.
void read_spending(const Setting& at, SpendingConfig& out);

}  // namespace backstop::inline v0::detail
