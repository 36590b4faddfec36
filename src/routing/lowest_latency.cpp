#include <algorithm>

#include "routing/strategies.hpp"

namespace backstop::inline v0 {
namespace {

/// So that a target whose answers were all refused can come back.
constexpr double least_accepted_share = 0.1;

[[nodiscard]] double latency_score(const Choice& choice, std::size_t candidate) noexcept {
  // An answer that is refused is waited for in vain: with one of two refused it takes twice as long to get one.
  const double accepted_share = std::max(1 - choice.rejected_share(candidate), least_accepted_share);
  return choice.time_to_first_token(candidate) * (choice.in_flight(candidate) + 1) / accepted_share;
}

}  // namespace

Strategy lowest_latency(ExplorationOptions options) {
  return detail::by_experience("lowest_latency", options, latency_score);
}

}  // namespace backstop::inline v0
