#pragma once

#include <cstdlib>
#include <string>
#include <string_view>

#include "text/ascii.hpp"

namespace backstop::inline v0::detail {

/// What the variable holds, without the blanks around it; empty where it is not set.
[[nodiscard]] inline std::string_view from_environment(std::string_view variable) {
  const char* const value = std::getenv(std::string{variable}.c_str());
  return value == nullptr ? std::string_view{} : trim(value);
}

}  // namespace backstop::inline v0::detail
