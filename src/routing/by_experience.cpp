#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

#include "routing/strategies.hpp"

namespace backstop::inline v0::detail {
namespace {

/// Behind all of whom something is known.
constexpr double behind_the_known = 1e6;

void check_exploration(const ExplorationOptions& options, const char* strategy) {
  if (options.exploration >= 0 && options.exploration <= 1) return;
  throw std::invalid_argument{
      fmt::format("{}: exploration is {}; it must be a share of the calls, 0 to 1", strategy, options.exploration)};
}

[[nodiscard]] std::string describe(const ExplorationOptions& options, const char* strategy) {
  if (options.exploration == ExplorationOptions{}.exploration) return strategy;
  return fmt::format("{}(exploration = {})", strategy, options.exploration);
}

/// Puts another than the best first in so many of the calls.
void explore(Choice& choice, double share) noexcept {
  if (choice.random() >= share) return;
  const auto may_be_asked = [&choice](std::size_t place) {
    return place > 0 && !choice.held_back(choice.at(place));
  };
  std::size_t others = 0;
  for (std::size_t place = 0; place < choice.size(); ++place) others += may_be_asked(place) ? 1 : 0;
  auto drawn = std::min(static_cast<std::size_t>(choice.random() * static_cast<double>(others)), others - 1);
  for (std::size_t place = 0; others > 0 && place < choice.size(); ++place) {
    if (!may_be_asked(place)) continue;
    if (drawn-- > 0) continue;
    return choice.prefer(choice.at(place));
  }
}

}  // namespace

Strategy by_experience(const char* name, const ExplorationOptions& options,
                       double (*score)(const Choice& choice, std::size_t candidate)) {
  check_exploration(options, name);
  return stateless(describe(options, name), [score, share = options.exploration](Choice& choice) {
    choice.sort_by([&choice, score](std::size_t candidate) {
      const bool tried = choice.in_flight(candidate) > 0 && !choice.known(candidate);
      return (tried ? behind_the_known : 0) + score(choice, candidate);
    });
    explore(choice, share);
  });
}

}  // namespace backstop::inline v0::detail
