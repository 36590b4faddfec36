#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "backstop/routing/strategy.hpp"

namespace backstop::inline v0::detail {

/// A strategy that keeps nothing between calls.
template <class MakeOrder>
[[nodiscard]] Strategy stateless(std::string description, MakeOrder order) {
  return Strategy{std::move(description),
                  [order = std::move(order)](std::size_t) { return Strategy::Chooser{.order = order}; }};
}

/// Throws std::invalid_argument where it is no share of calls.
void check_exploration(const ExplorationOptions& options, const char* strategy);
[[nodiscard]] std::string describe(const ExplorationOptions& options, const char* strategy);
/// Now and then puts another than the best first, by chance: what is remembered of it is old.
void explore(Choice& choice, double share) noexcept;

}  // namespace backstop::inline v0::detail
