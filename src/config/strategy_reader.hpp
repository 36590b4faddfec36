#pragma once

#include <vector>

#include "backstop/routing/strategy.hpp"
#include "config/setting.hpp"

namespace backstop::inline v0::detail {

/// A strategy, by its name or as an object with options; `ordered` where it is absent or wrong. `weights`: those of the
/// group's members, in their order. `is_inner`: of another strategy, which cannot be a cascade.
[[nodiscard]] Strategy read_strategy(const Setting& at, const std::vector<double>& weights, bool is_inner = false);

}  // namespace backstop::inline v0::detail
