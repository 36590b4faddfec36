#pragma once

#include "backstop/config/config.hpp"
#include "config/policy_blocks.hpp"
#include "config/setting.hpp"

namespace backstop::inline v0::detail {

/// The rows of `providers`: an address, a wire, a variable, headers for all targets at a provider.
void check_providers(const Setting& at);

/// A target, a name or an object, with the blocks of what is around it and the file's catalogue.
[[nodiscard]] TargetConfig read_target(const Setting& at, const Above& above, const Catalog& catalog);

}  // namespace backstop::inline v0::detail
