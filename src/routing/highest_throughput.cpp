#include "routing/strategies.hpp"

namespace backstop::inline v0 {
namespace {

/// Behind all of whom something is known.
constexpr double after_the_known = 1e6;

/// Seconds per token: the lowest first.
[[nodiscard]] double throughput_score(const Choice& choice, std::size_t candidate) noexcept {
  const bool probed = choice.in_flight(candidate) > 0 && !choice.known(candidate);
  return (probed ? after_the_known : 0) + 1 / choice.tokens_per_second(candidate);
}

}  // namespace

Strategy highest_throughput(ExplorationOptions options) {
  constexpr const char* name = "highest_throughput";
  detail::check_exploration(options, name);
  return detail::stateless(detail::describe(options, name), [share = options.exploration](Choice& choice) {
    choice.sort_by([&choice](std::size_t candidate) { return throughput_score(choice, candidate); });
    detail::explore(choice, share);
  });
}

}  // namespace backstop::inline v0
