#include "routing/strategies.hpp"

namespace backstop::inline v0 {
namespace {

/// Seconds per token: the lowest first.
[[nodiscard]] double throughput_score(const Choice& choice, std::size_t candidate) noexcept {
  return 1 / choice.tokens_per_second(candidate);
}

}  // namespace

Strategy highest_throughput(ExplorationOptions options) {
  return detail::by_experience("highest_throughput", options, throughput_score);
}

}  // namespace backstop::inline v0
