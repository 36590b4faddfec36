#pragma once

#include "backstop/call/client_snapshot.hpp"
#include "backstop/routing/strategy.hpp"
#include "routing/choosing.hpp"

namespace backstop::inline v0::detail {

[[nodiscard]] ClientSnapshot snapshot_of(const Pool& pool, const Strategy& strategy, TimePoint now);

}  // namespace backstop::inline v0::detail
