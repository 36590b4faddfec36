#pragma once

#include <string>

#include "stacks/case.hpp"

namespace stacks {

/// The case as a C++ program against the public API (and `own_code.hpp`, for what an application may write itself).
[[nodiscard]] std::string program_of(const Case& shown);

}  // namespace stacks
