#pragma once

#include <vector>

#include "backstop/config/config.hpp"
#include "config/setting.hpp"

namespace backstop::inline v0::detail {

/// The targets of a policy, each over the policy's own blocks, which are every target's defaults.
[[nodiscard]] std::vector<TargetConfig> read_targets(const Setting& list, const Setting& policy);

}  // namespace backstop::inline v0::detail
