#pragma once

#include <cstdint>

#include "stacks/case.hpp"
#include "stacks/features.hpp"

namespace stacks {

/// The case of that seed. The same seed and features give the same case.
[[nodiscard]] Case generate(std::uint64_t seed, const Features& features);

}  // namespace stacks
