#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "routing/strategies.hpp"

namespace backstop::inline v0 {
namespace {

constexpr std::int64_t largest_weight = 1'000'000;

/// Smooth weighted round robin, as in nginx (`ngx_http_upstream_get_peer`): each turn every candidate is credited with
/// its weight, and the one with the most credit is picked and pays what all were credited with.
class Rotation {
 public:
  explicit Rotation(const std::vector<std::int64_t>& weights) : weights_{weights}, credits_(weights.size(), 0) {}

  void order(Choice& choice) {
    for (std::size_t candidate = 0; candidate < choice.size(); ++candidate) {
      const std::int64_t weight = weights_[candidate];
      const bool takes_part = weight > 0 && !choice.held_back(candidate) && choice.ready(candidate);
      choice.set_score(candidate, takes_part ? 0 : weight > 0 ? takes_no_part : weightless);
    }
    const std::lock_guard lock{mutex_};  // nobody else's code below
    std::int64_t shared = 0;
    std::optional<std::size_t> picked;
    for (std::size_t candidate = 0; candidate < choice.size(); ++candidate) {
      if (choice.score(candidate) >= takes_no_part) continue;
      const std::int64_t credit = credits_[candidate] + weights_[candidate];
      choice.set_score(candidate, -static_cast<double>(credit));
      shared += weights_[candidate];
      if (!picked || credit > credits_[*picked] + weights_[*picked]) picked = candidate;
    }
    choice.sort();
    if (!picked) return;
    choice.prefer(*picked);  // of equal ones the first, not one by chance
    if (choice.is_dry_run()) return;
    for (std::size_t candidate = 0; candidate < choice.size(); ++candidate) {
      if (choice.score(candidate) < takes_no_part) credits_[candidate] += weights_[candidate];
    }
    credits_[*picked] -= shared;
  }

 private:
  static constexpr double takes_no_part = 1e15;
  static constexpr double weightless = 2e15;

  std::mutex mutex_;
  const std::vector<std::int64_t> weights_;
  std::vector<std::int64_t> credits_;
};

void check_weights(const std::vector<std::int64_t>& weights) {
  for (const std::int64_t weight : weights) {
    if (weight >= 0 && weight <= largest_weight) continue;
    throw std::invalid_argument{
        fmt::format("weighted: a weight is {}; it must be between 0 and {}", weight, largest_weight)};
  }
  const bool any = std::any_of(weights.begin(), weights.end(), [](std::int64_t weight) { return weight > 0; });
  if (!any) throw std::invalid_argument{"weighted: all weights are 0; one must be above"};
}

}  // namespace

Strategy weighted(std::vector<std::int64_t> weights) {
  check_weights(weights);
  std::string description = fmt::format("weighted({})", fmt::join(weights, ", "));
  return Strategy{std::move(description), [weights = std::move(weights)](std::size_t candidates) {
                    if (weights.size() != candidates) {
                      throw std::invalid_argument{fmt::format(
                          "weighted: {} weights for {} candidates; give one for each", weights.size(), candidates)};
                    }
                    auto rotation = std::make_shared<Rotation>(weights);
                    return Strategy::Chooser{.order = [rotation](Choice& choice) { rotation->order(choice); }};
                  }};
}

}  // namespace backstop::inline v0
