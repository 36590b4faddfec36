#include <limits>

#include "routing/strategies.hpp"

namespace backstop::inline v0 {

Strategy lowest_cost() {
  return detail::stateless("lowest_cost", [](Choice& choice) {
    choice.sort_by([&choice](std::size_t candidate) {
      const std::optional<Money> cost = choice.expected_cost(candidate);
      return cost ? static_cast<double>(cost->units()) * 1e-12 : std::numeric_limits<double>::infinity();
    });
  });
}

}  // namespace backstop::inline v0
