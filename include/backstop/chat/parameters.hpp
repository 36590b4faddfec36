#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backstop/export.hpp"

namespace backstop::inline v0 {

/// Settings of a request that a target may have of its own, under the names that they have in `ChatRequest`. What is
/// empty says nothing.
struct Parameters {
  std::optional<std::int64_t> max_output_tokens{};
  std::optional<double> temperature{};
  std::optional<double> top_p{};
  std::optional<std::int64_t> top_k{};
  std::optional<double> frequency_penalty{};
  std::optional<double> presence_penalty{};
  std::optional<std::int64_t> seed{};
  std::vector<std::string> stop{};
  std::string reasoning_effort{};
  std::string service_tier{};

  friend bool operator==(const Parameters&, const Parameters&) = default;
};

/// What is wrong with them, and what would be accepted; empty when nothing is.
[[nodiscard]] BACKSTOP_EXPORT std::string problem_with(const Parameters& parameters);

}  // namespace backstop::inline v0
