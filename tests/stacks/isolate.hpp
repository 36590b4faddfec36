#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "stacks/case.hpp"
#include "stacks/checks.hpp"

/// Cases are played in child processes, so that one that crashes or turns for ever is a finding with its seed (checks
/// `no-crash` and `no-hang`) and the others go on.
namespace stacks {

using OnFound = std::function<void(std::uint64_t seed, const std::vector<Violation>& violations)>;
using MakeCase = std::function<Case(std::uint64_t seed)>;

/// Plays the cases of the seeds `first` to `first + count - 1`; tells of those that break something.
void play_all(std::uint64_t first, std::uint64_t count, const MakeCase& make, const OnFound& on_found);

/// Plays that one.
[[nodiscard]] std::vector<Violation> play_one(const Case& played, int patience_ms);

}  // namespace stacks
