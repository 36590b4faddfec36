#pragma once

#include <nlohmann/json_fwd.hpp>

#include "backstop/export.hpp"
#include "backstop/observe/metrics.hpp"

namespace backstop::inline v0 {

/// Counts and money as numbers, kinds of errors by their names, those without any left out. A histogram is `count`,
/// `sum_ms`, `bounds_ms` and `counts`, of which there is one more than bounds.
[[nodiscard]] BACKSTOP_EXPORT nlohmann::ordered_json to_json(const MetricsSnapshot& metrics);

}  // namespace backstop::inline v0
