#include <algorithm>

#include "routing/strategies.hpp"

namespace backstop::inline v0 {
namespace {

/// Behind all of whom something is known.
constexpr double behind_the_known = 1e6;
/// So that a target whose answers were all refused can come back.
constexpr double least_accepted_share = 0.1;

[[nodiscard]] double latency_score(const Choice& choice, std::size_t candidate) noexcept {
  const int in_flight = choice.in_flight(candidate);
  // An answer that is refused is waited for in vain: with one of two refused it takes twice as long to get one.
  const double accepted_share = std::max(1 - choice.rejected_share(candidate), least_accepted_share);
  const double seconds = choice.time_to_first_token(candidate) * (in_flight + 1) / accepted_share;
  return in_flight > 0 && !choice.known(candidate) ? behind_the_known + seconds : seconds;
}

}  // namespace

Strategy lowest_latency(ExplorationOptions options) {
  constexpr const char* name = "lowest_latency";
  detail::check_exploration(options, name);
  return detail::stateless(detail::describe(options, name), [share = options.exploration](Choice& choice) {
    choice.sort_by([&choice](std::size_t candidate) { return latency_score(choice, candidate); });
    detail::explore(choice, share);
  });
}

}  // namespace backstop::inline v0
