#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "stacks/checks.hpp"
#include "stacks/features.hpp"

namespace stacks {

/// What a run over many seeds has found.
struct Survey {
  struct Finding {
    std::uint64_t count = 0;
    std::vector<std::uint64_t> seeds;  ///< the first of them
  };
  std::uint64_t cases = 0;
  std::uint64_t failing = 0;
  std::map<std::string, Finding> by_check;
};

[[nodiscard]] Survey survey(std::uint64_t first, std::uint64_t count, const Features& features);
/// For people: each check that failed, how often, and the smallest cases of it as programs. `to_shrink` cases of each
/// check are made small; those that look alike then are shown once.
[[nodiscard]] std::string report_of(const Survey& survey, const Features& features, int to_shrink);

}  // namespace stacks
