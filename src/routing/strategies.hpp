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

/// By a score of what is remembered of each candidate, the lowest first. One that nothing is known of and that has a call
/// under way stands behind all others, and now and then another than the best goes first, by chance: what is remembered
/// of it is old. Throws std::invalid_argument for an exploration that is no share of the calls.
[[nodiscard]] Strategy by_experience(const char* name, const ExplorationOptions& options,
                                     double (*score)(const Choice& choice, std::size_t candidate));

}  // namespace backstop::inline v0::detail
