#pragma once

#include <string>

#include "stacks/case.hpp"

namespace stacks {

/// The case as the C++ expression that makes it, with what differs from the defaults: for `kept_cases.hpp`.
[[nodiscard]] std::string data_of(const Case& shown);

}  // namespace stacks
