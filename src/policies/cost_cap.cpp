#include "backstop/policies/cost_cap.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <stdexcept>
#include <utility>

#include "backstop/chat/token_estimate.hpp"
#include "backstop/handover/worst_usage.hpp"
#include "policies/options_text.hpp"

namespace backstop::inline v0 {
namespace {

/// The prices that a send is reckoned with.
struct Prices {
  const Price* own;
  const Price* first_choice;  ///< set when the send falls over from another target and premiums are capped
};

/// What a send may cost at most, and what that was worked out from.
struct Quote {
  Prices prices;
  std::int64_t input;  ///< tokens, as estimated
  BudgetCharge worst;
};

/// Whether one reservation is enough for a call to the provider: as far as its layers say, it sends once, to one target
/// (what goes out again with another of that target's keys was turned away before, and cost nothing).
[[nodiscard]] bool sends_once(const ChatProvider& provider) {
  const Layer layer = provider.layer();
  if (layer.name == "single_flight") return true;  // its send may outlive the call: nobody asks the call's guards
  if (layer.around.empty()) return true;
  return layer.around.size() == 1 && layer.sends <= 1 && sends_once(*layer.around.front());
}

class CostCap final : public Decorator {
 public:
  CostCap(Provider next, CostCapOptions options, std::string description)
      : Decorator{std::move(next), std::move(description)},
        options_{std::move(options)},
        around_one_send_{sends_once(Decorator::next().get())} {
    if (options_.per_period || options_.fallback_premium_per_period) {
      options_.budgets.emplace_back(BudgetOptions{.per_period = options_.per_period,
                                                  .fallback_premium_per_period = options_.fallback_premium_per_period,
                                                  .period = options_.period});
    }
    caps_premium_ = std::any_of(options_.budgets.begin(), options_.budgets.end(), [](const Budget& budget) {
      return budget.options().fallback_premium_per_period.has_value();
    });
  }

  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override;

 private:
  class EachSend;

  /// Null when it is not known.
  [[nodiscard]] const Price* price_of(const Target& target) const noexcept {
    const std::optional<Price>& price = target.facts().price ? target.facts().price : options_.assume_price;
    return price ? &*price : nullptr;
  }

  [[nodiscard]] Result<Prices> prices_for(const Target& target, const CallContext& context) const {
    const Price* own = price_of(target);
    if (own == nullptr) return no_price(target);
    const Target* first_choice = context.state().first_choice;
    if (!caps_premium_ || first_choice == nullptr || *first_choice == target) return Prices{own, nullptr};
    const Price* first = price_of(*first_choice);
    if (first == nullptr) return no_price(*first_choice);
    return Prices{own, first};
  }

  /// What a send to the target is to be reserved for; an error when the call may not cost that much.
  [[nodiscard]] Result<Quote> quote_for(const Target& target, const ChatRequest& request,
                                        const CallContext& context) const {
    const auto prices = prices_for(target, context);
    if (!prices) return prices.error();
    const std::int64_t input = estimate_input_tokens(request);
    Quote quote{*prices, input, {cost_of(worst_usage(target, request, input), *prices->own), Money{}}};
    if (prices->first_choice != nullptr) {
      const Usage instead = worst_usage(*context.state().first_choice, request, input);
      quote.worst.premium = std::max(quote.worst.cost - cost_of(instead, *prices->first_choice), Money{});
    }
    if (options_.per_request) {
      const Money spent = spent_by(context, input) + beside(request, input, context);
      if (spent + quote.worst.cost > *options_.per_request) return beyond_request(quote.worst.cost, spent);
    }
    return quote;
  }

  /// What an attempt cost; where the ledger cannot say, because the target has no price, at the assumed one.
  [[nodiscard]] Money cost_of_row(const Attempt& row, std::int64_t input) const {
    if (row.target.facts().price || !options_.assume_price || row.replay == ReplaySafety::not_sent) return row.cost;
    Usage usage = row.usage;
    if (!usage.input_tokens) usage.input_tokens = input;
    return cost_of(usage, *options_.assume_price);
  }

  [[nodiscard]] Money spent_by(const CallContext& context, std::int64_t input) const {
    Money spent;
    for (const Attempt& row : context.state().ledger) spent += cost_of_row(row, input);
    return spent;
  }

  /// What the target that is asked at the same time may cost.
  [[nodiscard]] Money beside(const ChatRequest& request, std::int64_t input, const CallContext& context) const {
    const Target* other = context.state().beside;
    if (other == nullptr) return Money{};
    const Price* price = price_of(*other);
    return price != nullptr ? cost_of(worst_usage(*other, request, input), *price) : Money{};
  }

  [[nodiscard]] BudgetCharge charge_of(const Attempt& row, const Quote& quote) const {
    BudgetCharge charge{cost_of_row(row, quote.input), Money{}};
    if (quote.prices.first_choice == nullptr) return charge;
    const bool measured = row.usage.input_tokens || row.usage.output_tokens;
    charge.premium = measured ? std::max(charge.cost - cost_of(row.usage, *quote.prices.first_choice), Money{})
                              : std::min(charge.cost, quote.worst.premium);
    return charge;
  }

  [[nodiscard]] Error skipped(const CallContext& context, Error error) const {
    error.target = target();
    context.note_skipped(target(), error);
    return error;
  }
  [[nodiscard]] static Error no_price(const Target& target) {
    return Error{ErrorKind::budget_exceeded,
                 fmt::format("costs are capped and the price of {} is not known; give the target its price (0 for a "
                             "model that costs nothing), or the cap an assume_price",
                             target.name())};
  }
  [[nodiscard]] Error beyond_request(Money worst, Money spent) const {
    return Error{ErrorKind::budget_exceeded,
                 fmt::format("this send may cost {}, and of the {} that the call may cost {} are spent",
                             to_string(worst), to_string(*options_.per_request), to_string(spent))};
  }
  [[nodiscard]] static Error beyond_budget(const BudgetCharge& worst, const BudgetRefusal& refusal) {
    const bool premium = refusal.limit_name == "fallback_premium_per_period";
    return Error{
        ErrorKind::budget_exceeded,
        fmt::format("this send may cost {}{}, and of the {} ({}) for {} {} are spent and {} reserved",
                    to_string(premium ? worst.premium : worst.cost), premium ? " more than at the first choice" : "",
                    to_string(refusal.limit), refusal.limit_name, detail::duration_text(refusal.period),
                    to_string(refusal.spent), to_string(refusal.reserved))};
  }

  CostCapOptions options_;
  bool around_one_send_;
  bool caps_premium_ = false;
};

/// The sends of one call under a cap that stands around several: each is reserved for on its own.
class CostCap::EachSend final : public SendGuard {
 public:
  EachSend(const CostCap& cap, const CallContext& context) noexcept : cap_{&cap}, context_{&context} {}

  [[nodiscard]] std::optional<Error> before_send(const Target& target, const ChatRequest& request,
                                                 const CallContext& context) override {
    auto quote = cap_->quote_for(target, request, context);
    if (!quote) return std::move(quote).error();
    const UnderWay& send = under_way_.emplace_back(target, *quote, cap_->options_.budgets, context.now());
    if (!send.reservation.refusal()) return std::nullopt;
    Error refusal = beyond_budget(quote->worst, *send.reservation.refusal());
    under_way_.pop_back();
    return refusal;
  }
  void after_send(const Target& target, const Attempt* row) noexcept override {
    // A call never has two sends to one target under way.
    const auto send = std::find_if(under_way_.begin(), under_way_.end(),
                                   [&](const UnderWay& one) { return one.target == target; });
    if (send == under_way_.end()) return;
    if (row != nullptr) send->reservation.settle(cap_->charge_of(*row, send->quote), context_->now());
    under_way_.erase(send);
  }

 private:
  struct UnderWay {
    UnderWay(const Target& to, const Quote& at_most, const std::vector<Budget>& budgets, TimePoint now) noexcept
        : target{to}, quote{at_most}, reservation{budgets, quote.worst, now} {}

    Target target;
    Quote quote;
    BudgetReservation reservation;
  };

  const CostCap* cap_;
  const CallContext* context_;
  std::list<UnderWay> under_way_;
};

Task<Result<ChatResponse>> CostCap::call(const ChatRequest& request, CallContext& context) const {
  if (!around_one_send_) {
    EachSend sends{*this, context};
    CallContext inner = context;
    inner.add_guard(sends);
    auto result = co_await next().call(request, inner);
    co_return result;
  }
  const auto quote = quote_for(target(), request, context);
  if (!quote) co_return skipped(context, quote.error());
  BudgetReservation reservation{options_.budgets, quote->worst, context.now()};
  if (reservation.refusal()) co_return skipped(context, beyond_budget(quote->worst, *reservation.refusal()));

  const std::size_t first_row = context.state().ledger.size();
  auto result = co_await next().call(request, context);
  BudgetCharge charge;
  const Ledger& ledger = context.state().ledger;
  for (std::size_t i = first_row; i < ledger.size(); ++i) charge += charge_of(ledger[i], *quote);
  reservation.settle(charge, context.now());
  co_return result;
}

[[nodiscard]] std::string describe(const CostCapOptions& options) {
  detail::OptionsText text{"cost_cap"};
  text.add("per_request", options.per_request)
      .add("per_period", options.per_period)
      .add("fallback_premium_per_period", options.fallback_premium_per_period)
      .add("period", options.period, CostCapOptions{}.period);
  for (const Budget& budget : options.budgets) {
    const BudgetOptions& limits = budget.options();
    detail::OptionsText shared{"shared"};
    shared.add("per_period", limits.per_period)
        .add("fallback_premium_per_period", limits.fallback_premium_per_period)
        .add("period", limits.period, BudgetOptions{}.period);
    text.append("budget", shared.text());
  }
  return text.text();
}

}  // namespace

Policy cost_cap(CostCapOptions options) {
  if (const std::string problem = problem_with(options); !problem.empty()) throw std::invalid_argument{problem};
  std::string description = describe(options);
  return make_policy<CostCap>(std::move(description), std::move(options));
}

Policy cost_cap(Budget budget) {
  CostCapOptions options;
  options.budgets.push_back(std::move(budget));
  return cost_cap(std::move(options));
}

std::string problem_with(const CostCapOptions& options) {
  if (options.per_request && *options.per_request <= Money{}) return "cost_cap: per_request must be above $0";
  if (options.per_period && *options.per_period <= Money{}) return "cost_cap: per_period must be above $0";
  if (options.fallback_premium_per_period && *options.fallback_premium_per_period < Money{}) {
    return "cost_cap: fallback_premium_per_period must not be below $0";
  }
  if (options.period <= Duration::zero()) return "cost_cap: period must be longer than 0";
  if (!options.per_request && !options.per_period && !options.fallback_premium_per_period && options.budgets.empty()) {
    return "cost_cap: no limit is set; give it per_request, per_period, fallback_premium_per_period or a budget";
  }
  return {};
}

}  // namespace backstop::inline v0
