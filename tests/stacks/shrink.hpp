#pragma once

#include <functional>

#include "stacks/case.hpp"

namespace stacks {

/// Makes a case smaller as long as it still fails: drops consumers, targets, policies and faults, and sets what is left
/// to the simplest value. At most `most_tries` questions are asked.
[[nodiscard]] Case shrunk(Case failing, const std::function<bool(const Case&)>& still_fails, int most_tries = 600);

}  // namespace stacks
