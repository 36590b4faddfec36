#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backstop/routing/rules.hpp"

namespace backstop::inline v0::detail {

/// The strategy of `rules`. `otherwise`: who is asked before the others that no rule names.
[[nodiscard]] Strategy branches(std::string description, std::vector<Rule> rules, std::optional<std::size_t> otherwise);

}  // namespace backstop::inline v0::detail
