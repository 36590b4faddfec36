#pragma once

#include <vector>

#include "backstop/config/config.hpp"
#include "config/policy_blocks.hpp"
#include "config/setting.hpp"

namespace backstop::inline v0::detail {

/// The members of a group, which are targets and groups, and its strategy. `above` ends with the group itself; the
/// targets are added to those of the file. Where the policy is not `enabled` strategies put nothing on their targets.
void read_group(const Above& above, bool enabled, const Catalog& catalog, std::vector<TargetConfig>& targets,
                GroupConfig& out);

}  // namespace backstop::inline v0::detail
