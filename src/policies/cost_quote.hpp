#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "backstop/chat/money.hpp"
#include "backstop/chat/target.hpp"
#include "backstop/chat/usage.hpp"
#include "backstop/state/budget.hpp"
#include "handover/cost_estimate.hpp"

namespace backstop::inline v0::detail {

/// What a send costs, by what it has for output; the input is fixed.
struct Tariff {
  Money input{};
  Money per_output_token{};

  Tariff() = default;
  Tariff(const Price& price, const EstimatedInput& sent) noexcept {
    Usage usage = sent.usage(price);
    usage.output_tokens = 0;
    input = cost_of(usage, price);
    usage.output_tokens = 1;
    per_output_token = cost_of(usage, price) - input;
  }
  [[nodiscard]] Money of(std::int64_t output_tokens) const noexcept { return input + per_output_token * output_tokens; }
};

/// The most output for which `fixed` and so much `per_token` stay within `room`; negative when the fixed part does not.
/// What costs nothing has room in any.
[[nodiscard]] inline std::int64_t affordable(Money room, Money fixed, Money per_token) noexcept {
  if (room < fixed && (fixed > Money{} || per_token > Money{})) return -1;
  if (per_token <= Money{}) return INT64_MAX;
  return (room - fixed).units() / per_token.units();
}

/// What a send to a target costs, and how much more than at the call's first choice.
class CostQuote {
 public:
  /// `first`: that choice, where what falling over adds is capped; null: it is not. `price_for` gives the price of a
  /// target, or nothing.
  template <class PriceFor>
  CostQuote(const Target& target, const EstimatedInput& input, const Target* first, const PriceFor& price_for)
      : target_{&target}, input_{input} {
    const std::optional<Price> price = price_for(target);
    if (!price) {
      unpriced_ = &target;
      return;
    }
    own_ = Tariff{*price, input};
    if (first == nullptr || *first == target) return;
    first_price_ = price_for(*first);
    if (first_price_) {
      first_ = Tariff{*first_price_, input};
    } else {
      unpriced_ = first;
    }
  }

  [[nodiscard]] bool priced() const noexcept { return unpriced_ == nullptr; }
  /// Whose price is missing; only where it is not priced.
  [[nodiscard]] const Target& unpriced() const noexcept { return *unpriced_; }
  [[nodiscard]] std::int64_t input() const noexcept { return input_.tokens; }
  /// What the request asks for, else what the model writes at most.
  [[nodiscard]] std::int64_t usual_output(std::optional<std::int64_t> limit) const noexcept {
    return *worst_usage(*target_, limit, input_).output_tokens;
  }
  /// At the worst: where the first choice's output is the dearer one, the premium is highest for an empty answer.
  [[nodiscard]] BudgetCharge charge(std::int64_t output) const noexcept {
    BudgetCharge charge{own_.of(output), Money{}};
    if (first_price_) {
      charge.premium = std::max({charge.cost - first_.of(output), own_.input - first_.input, Money{}});
    }
    return charge;
  }
  /// The most output that a room for costs, and one for premiums, leave.
  [[nodiscard]] std::int64_t most_output(Money cost, std::optional<Money> premium) const noexcept {
    const std::int64_t most = affordable(cost, own_.input, own_.per_output_token);
    if (!premium || !first_price_) return most;
    // Without a premium it is never refused for the premiums of others.
    return std::min(most, affordable(std::max(*premium, Money{}), own_.input - first_.input,
                                     own_.per_output_token - first_.per_output_token));
  }
  /// What the first choice would have cost for that usage.
  [[nodiscard]] std::optional<Money> instead(const Usage& usage) const noexcept {
    return first_price_ ? std::optional{cost_of(usage, *first_price_)} : std::nullopt;
  }

 private:
  const Target* target_;
  EstimatedInput input_;
  const Target* unpriced_ = nullptr;
  Tariff own_;
  std::optional<Price> first_price_;  // set when the send falls over from another target and premiums are capped
  Tariff first_;
};

}  // namespace backstop::inline v0::detail
