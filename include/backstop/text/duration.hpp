#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "backstop/export.hpp"

namespace backstop::inline v0 {

/// What `duration_from` takes, for messages.
inline constexpr std::string_view duration_forms = "a duration with a unit (ms, s, m, h), such as \"250ms\" or \"20s\"";

/// A duration as policy files write it: "250ms", "20s", "1.5s", "5m", "24h". Empty for everything else: without a unit,
/// zero, negative, longer than a year.
[[nodiscard]] BACKSTOP_EXPORT std::optional<std::chrono::nanoseconds> duration_from(std::string_view text) noexcept;

}  // namespace backstop::inline v0
