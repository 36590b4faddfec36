#include "backstop/chat/parameters.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

#include "text/efforts.hpp"

namespace backstop::inline v0 {

std::string problem_with(const Parameters& parameters) {
  const auto [output, temperature, top_p, top_k, frequency, presence, seed, stop, effort, tier] = parameters;
  static_cast<void>(seed), static_cast<void>(tier);
  struct Range {
    std::string_view name;
    const std::optional<double>* value;
    double least;
    double most;
  };
  const std::array<Range, 4> ranges{{{"temperature", &temperature, 0, 2},
                                     {"top_p", &top_p, 0, 1},
                                     {"frequency_penalty", &frequency, -2, 2},
                                     {"presence_penalty", &presence, -2, 2}}};
  for (const Range& range : ranges) {
    if (!*range.value || (**range.value >= range.least && **range.value <= range.most)) continue;
    return fmt::format("{} is {}; it must be from {} to {}", range.name, **range.value, range.least, range.most);
  }
  if (output && *output < 1) return fmt::format("max_output_tokens is {}; it must be above 0", *output);
  if (top_k && *top_k < 1) return fmt::format("top_k is {}; it must be above 0", *top_k);
  if (!effort.empty() && !detail::is_effort(effort)) {
    return fmt::format("reasoning_effort is \"{}\"; it must be one of {}", effort, detail::efforts_text);
  }
  if (std::any_of(stop.begin(), stop.end(), [](const std::string& sequence) { return sequence.empty(); })) {
    return "stop has an empty sequence; each must have a character";
  }
  return {};
}

}  // namespace backstop::inline v0
