#pragma once

#include <optional>

#include "backstop/routing/rules.hpp"
#include "config/setting.hpp"

namespace backstop::inline v0::detail {

/// A `when`: fields of the request and what they are compared with, joined by `all`, `any` and `not`. Empty when absent
/// or wrong, which is complained of.
[[nodiscard]] std::optional<Condition> read_condition(const Setting& at);

}  // namespace backstop::inline v0::detail
