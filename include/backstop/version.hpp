#pragma once

#include <string_view>

/// The version as one number, for the preprocessor: major * 10000 + minor * 100 + patch.
#define BACKSTOP_VERSION 100

namespace backstop::inline v0 {

/// The version of these headers, by Semantic Versioning. CMake, vcpkg and Conan take theirs from this line.
inline constexpr std::string_view version = "0.1.0";

}  // namespace backstop::inline v0
