#pragma once

#include <vector>

#include "backstop/routing/degrade.hpp"
#include "config/setting.hpp"

namespace backstop::inline v0::detail {

/// Reads `degrade`, a list of rungs by their names, or as objects of one key where there is more to say.
void read_ladder(const Setting& at, std::vector<Rung>& out);

/// Reads `allow_degradation`, the short form: a list of what may be given up.
void read_allowed_degradation(const Setting& at, std::vector<Rung>& out);

}  // namespace backstop::inline v0::detail
