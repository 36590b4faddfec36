#pragma once

#include <optional>
#include <vector>

#include "backstop/config/config.hpp"
#include "config/setting.hpp"

namespace backstop::inline v0::detail {

/// The objects around a target whose blocks hold for it, the outermost first: the policy, then groups.
using Above = std::vector<Setting>;

/// Reads the blocks `timeout`, `retry`, `circuit_breaker`, `rate_limit`, `probe` and `http`, from the outermost to the
/// target's own, key by key, with the short forms `max_retries` and `retry_on`. Complains about explicit limits that
/// contradict each other; a default gives way to what is explicit.
void read_policies(const Above& above, const Setting& target, TargetConfig& out);

/// The blocks `hedge` and `recovery`.
void read_hedge(const Setting& at, Config& out);
void read_recovery(const Setting& at, Config& out);
/// What the file says of them, over what the application gives.
void lay_over(const Config& config, std::optional<HedgeOptions>& hedge, RecoveryOptions& recovery);

inline constexpr int most_repairs = 10;

/// The block `accept_if`.
void read_floor(const Setting& at, FloorConfig& out);

/// The block `cost_cap`.
void read_spending(const Setting& at, SpendingConfig& out);

}  // namespace backstop::inline v0::detail
