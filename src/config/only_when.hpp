#pragma once

#include "backstop/policy.hpp"
#include "backstop/routing/rules.hpp"

namespace backstop::inline v0::detail {

/// Takes only requests for which the condition holds; for all others it is unfit.
[[nodiscard]] Policy only_when(Condition condition);

}  // namespace backstop::inline v0::detail
