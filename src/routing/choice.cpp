#include "backstop/routing/choice.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "handover/cost_estimate.hpp"
#include "handover/misfit.hpp"
#include "handover/own_parameters.hpp"
#include "process/never_destroyed.hpp"
#include "routing/choosing.hpp"
#include "runtime/mixed_bits.hpp"

namespace backstop::inline v0 {
namespace {

using detail::Candidate;
using detail::Candidates;
using detail::TargetStatistics;

constexpr double expected_output_of_the_unknown = 512;

/// How many tokens the answer is expected to have.
[[nodiscard]] double expected_output(const Candidates& candidates, std::size_t candidate) noexcept {
  if (const auto usual = candidates[candidate]->statistics->output_tokens().value()) return *usual;
  double sum = 0;
  int known = 0;
  for (const auto& other : candidates) {
    if (const auto usual = other->statistics->output_tokens().value()) {
      sum += *usual;
      ++known;
    }
  }
  return known > 0 ? sum / known : expected_output_of_the_unknown;
}

}  // namespace

Choice::Choice(const detail::Choosing& choosing, detail::Order& order, const ChatRequest& request, const Needs& needs,
               TimePoint now, std::uint64_t random_state, bool dry_run) noexcept
    : choosing_{&choosing},
      order_{&order},
      request_{&request},
      needs_{&needs},
      now_{now},
      random_state_{random_state},
      dry_run_{dry_run} {}

std::uint64_t Choice::random_bits() noexcept {
  random_state_ += detail::mixing_step;
  return detail::mixed_bits(random_state_);
}

double Choice::random() noexcept { return static_cast<double>(random_bits() >> 11U) * 0x1p-53; }

std::size_t Choice::size() const noexcept { return order_->size(); }

const detail::Candidate* Choice::find(std::size_t candidate) const noexcept {
  return candidate < size() ? choosing_->candidates()[candidate].get() : nullptr;
}

const Target& Choice::target(std::size_t candidate) const noexcept {
  static detail::NeverDestroyed<Target> nobody;
  const Candidate* asked = find(candidate);
  return asked != nullptr ? asked->provider.target() : *nobody;
}

bool Choice::ready(std::size_t candidate) const noexcept {
  const Candidate* asked = find(candidate);
  return asked != nullptr && asked->provider.standing(*request_, *needs_, now_).ready();
}

bool Choice::fit(std::size_t candidate) const noexcept {
  const Candidate* asked = find(candidate);
  return asked != nullptr && asked->provider.standing(*request_, *needs_, now_).fit();
}

bool Choice::held_back(std::size_t candidate) const noexcept {
  return candidate < size() && order_->rank_of(candidate) > 0;
}

int Choice::in_flight(std::size_t candidate) const noexcept {
  const Candidate* asked = find(candidate);
  return asked != nullptr ? asked->statistics->in_flight() : 0;
}

double Choice::time_to_first_token(std::size_t candidate) const noexcept {
  const Candidate* asked = find(candidate);
  return asked != nullptr ? asked->statistics->ttft().estimate(now_) : TargetStatistics::prior_ttft;
}

double Choice::rejected_share(std::size_t candidate) const noexcept {
  const Candidate* asked = find(candidate);
  return asked != nullptr ? asked->statistics->rejected_share() : 0;
}

double Choice::tokens_per_second(std::size_t candidate) const noexcept {
  const Candidate* asked = find(candidate);
  const double time = asked != nullptr ? asked->statistics->token_time().estimate(now_) : TargetStatistics::prior_token_time;
  return 1 / std::max(time, 1e-9);
}

bool Choice::known(std::size_t candidate) const noexcept {
  const Candidate* asked = find(candidate);
  return asked != nullptr && asked->statistics->ttft().known();
}

std::optional<Money> Choice::expected_cost(std::size_t candidate) const noexcept {
  const Candidate* asked = find(candidate);
  if (asked == nullptr) return std::nullopt;
  const double share = asked->statistics->cached_share().value().value_or(0);
  return expected_cost(candidate, std::llround(share * static_cast<double>(needs_->input_tokens)));
}

std::optional<Money> Choice::expected_cost(std::size_t candidate, std::int64_t cached_tokens) const noexcept {
  if (find(candidate) == nullptr) return std::nullopt;
  const Candidates& candidates = choosing_->candidates();
  const Candidate& asked = *candidates[candidate];
  const double output = expected_output(candidates, candidate);
  std::optional<Money> least;
  for (const Target& target : asked.targets) {
    const std::optional<Price> price = price_of(target);
    if (!price) continue;
    if (asked.targets.size() > 1 && misfit_of(target, *request_, *needs_)) continue;
    const auto limit = detail::output_limit_of(target, *request_, detail::GivenUp{*needs_});
    Usage usage = worst_usage(target, limit, {needs_->input_tokens});
    const bool limited = limit || target.facts().max_output_tokens;
    const std::int64_t usual = std::llround(output);
    usage.output_tokens = limited ? (std::min)(*usage.output_tokens, usual) : usual;
    usage.cached_input_tokens = (std::min)(cached_tokens, needs_->input_tokens);
    const Money cost = cost_of(usage, *price);
    if (!least || cost < *least) least = cost;
  }
  return least;
}

std::size_t Choice::at(std::size_t place) const noexcept { return place < size() ? order_->at(place) : size(); }

void Choice::prefer(std::size_t candidate) noexcept {
  if (candidate < size()) order_->move(order_->place_of(candidate), 0);
}

void Choice::put_last(std::size_t candidate) noexcept {
  if (candidate < size()) order_->move(order_->place_of(candidate), size() - 1);
}

void Choice::note(std::size_t candidate, const SessionMove& move) noexcept {
  if (candidate < size()) order_->set_note(candidate, move);
}

void Choice::set_score(std::size_t candidate, double score) noexcept {
  if (candidate >= size()) return;
  // What is no number is no recommendation.
  order_->set_score(candidate, std::isnan(score) ? std::numeric_limits<double>::infinity() : score);
}

double Choice::score(std::size_t candidate) const noexcept {
  return candidate < size() ? order_->score_of(candidate) : 0;
}

void Choice::sort() noexcept {
  const std::uint64_t chance = random_bits();
  order_->sort([&](std::size_t a, std::size_t b) {
    const double first = order_->score_of(a);
    const double second = order_->score_of(b);
    if (first < second) return true;
    return first == second && detail::mixed_bits(chance + a) < detail::mixed_bits(chance + b);
  });
}

}  // namespace backstop::inline v0
