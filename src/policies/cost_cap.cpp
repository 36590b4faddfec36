#include "backstop/policies/cost_cap.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "backstop/handover/needs.hpp"
#include "chat/token_estimate.hpp"
#include "handover/cost_estimate.hpp"
#include "policies/cost_quote.hpp"
#include "policies/one_target.hpp"
#include "policies/options_text.hpp"
#include "runtime/given_up.hpp"
#include "state/ask_in_turn.hpp"
#include "state/budget_reservation.hpp"
#include "state/budget_turn.hpp"

namespace backstop::inline v0 {
namespace {

using detail::CostQuote;

class CostCap final : public Decorator {
 public:
  CostCap(Provider next, CostCapOptions options, std::string description)
      : Decorator{std::move(next), std::move(description)},
        options_{std::move(options)},
        one_target_{detail::sends_to_one_target(Decorator::next().get())} {
    if (options_.per_period || options_.fallback_premium_per_period) {
      options_.budgets.emplace_back(BudgetOptions{.per_period = options_.per_period,
                                                  .fallback_premium_per_period = options_.fallback_premium_per_period,
                                                  .period = options_.period});
    }
    std::vector<Budget> once;
    for (const Budget& budget : options_.budgets) {
      if (std::find(once.begin(), once.end(), budget) == once.end()) once.push_back(budget);
    }
    options_.budgets = std::move(once);
    caps_premium_ = std::any_of(options_.budgets.begin(), options_.budgets.end(), [](const Budget& budget) {
      return budget.options().fallback_premium_per_period.has_value();
    });
  }

  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override;

  [[nodiscard]] Standing standing(const ChatRequest& request, const Needs& needs, TimePoint now) const noexcept override {
    Needs priced = needs;
    // Of a client its own walk decides on the targets, without it.
    if (one_target_ && options_.assume_price && !priced.assume_price) priced.assume_price = &*options_.assume_price;
    Standing standing = next().standing(request, priced, now);
    if (standing.fit() && one_target_ && !price_for(target())) {
      standing.verdict = Standing::Verdict::unfit;
      standing.why = ErrorKind::budget_exceeded;
      standing.what = "costs are capped and its price is not known; give the target its price (0 for a model that costs "
                      "nothing), or the cap an assume_price";
      return standing;
    }
    if (!standing.fit() || !standing.least_cost) return standing;
    if (options_.per_request && *standing.least_cost > *options_.per_request) {
      standing.what = "a send costs more than a call may";
    } else if (std::any_of(options_.budgets.begin(), options_.budgets.end(), [&](const Budget& budget) {
                 return budget.options().per_period &&
                        budget.snapshot(now).spent.cost + *standing.least_cost > *budget.options().per_period;
               })) {
      standing.what = "a send costs more than is left of a budget";
    } else {
      return standing;
    }
    standing.verdict = Standing::Verdict::unfit;
    standing.why = ErrorKind::budget_exceeded;
    return standing;
  }

  [[nodiscard]] Layer layer() const override;

 private:
  class EachSend;

  [[nodiscard]] std::optional<Price> price_for(const Target& target) const noexcept {
    const std::optional<Price> price = price_of(target);
    return price ? price : options_.assume_price;
  }

  /// What an attempt cost; where the ledger cannot say, because the target has no price, at the assumed one.
  [[nodiscard]] Money cost_of_row(const Attempt& row, std::int64_t input) const {
    if (row.cost_known || !options_.assume_price) return row.cost;
    Usage usage = row.usage;
    if (!usage.input_tokens) usage.input_tokens = input;
    return cost_of(usage, *options_.assume_price);
  }

  [[nodiscard]] static Error no_price(const Target& target) {
    return Error{ErrorKind::budget_exceeded,
                 fmt::format("costs are capped and the price of {} is not known; give the target its price (0 for a "
                             "model that costs nothing), or the cap an assume_price",
                             target.name())};
  }
  [[nodiscard]] Error beyond_request(Money cost, Money spent) const {
    return Error{ErrorKind::budget_exceeded,
                 fmt::format("this send may cost {}, and of the {} that the call may cost {} are spent",
                             to_string(cost), to_string(*options_.per_request), to_string(spent))};
  }
  [[nodiscard]] static Error beyond_budget(const BudgetCharge& charge, const BudgetRefusal& refusal) {
    const bool premium = refusal.limit_name == "fallback_premium_per_period";
    return Error{
        ErrorKind::budget_exceeded,
        fmt::format("this send may cost {}{}, and of the {} ({}) for {} {} are spent and {} reserved",
                    to_string(premium ? charge.premium : charge.cost), premium ? " more than at the first choice" : "",
                    to_string(refusal.limit), refusal.limit_name, period_text(refusal.period),
                    to_string(refusal.spent), to_string(refusal.reserved))};
  }
  /// Why the budget will not have room for it, whatever is settled.
  [[nodiscard]] static std::optional<Error> used_up(const Budget& budget, BudgetSnapshot used, const BudgetCharge& charge) {
    const BudgetCharge reserved = std::exchange(used.reserved, BudgetCharge{});
    std::optional<BudgetRefusal> refusal = refusal_by(budget.options(), used, charge);
    if (!refusal) return std::nullopt;
    refusal->reserved = refusal->limit_name == "per_period" ? reserved.cost : reserved.premium;
    return beyond_budget(charge, *refusal);
  }
  [[nodiscard]] static std::string period_text(Duration period) {
    return period == Duration::max() ? "all time" : detail::duration_text(period);
  }

  CostCapOptions options_;
  bool one_target_;
  bool caps_premium_ = false;
};

/// The sends of one call below a cap: each is reserved for on its own, whichever target it goes to.
class CostCap::EachSend final : public AttemptObserver {
 public:
  EachSend(const CostCap& cap, const CallContext& context) noexcept : cap_{&cap}, context_{&context} {}

  [[nodiscard]] std::optional<Error> on_begin(Send& send) override {
    const CostQuote quote = quote_for(*send.target, *send.request, *send.context);
    if (!quote.priced()) return no_price(quote.unpriced());
    const std::optional<std::int64_t>& limit = send.request->max_output_tokens;
    for (int round = 0;; ++round) {
      std::int64_t output = quote.usual_output(limit);
      if (send.output_limit) output = std::min(output, *send.output_limit);
      const bool may_limit = !limit;
      if (const std::int64_t most = most_output(send, quote); most < output) {
        if (!may_limit || most < std::min(output, least_limited_output)) {
          const std::int64_t needed = may_limit ? std::min(output, least_limited_output) : output;
          return refusal(send, quote, needed);
        }
        output = most;
      }
      UnderWay& added = add(send, quote, output);
      if (!added.reservation.refusal()) {
        if (output < quote.usual_output(limit)) send.output_limit = output;
        added.counted = send.stake(context_->state(), added.worst.cost);
        added.reservation.add_to(send.reservations);
        turn_.reset();
        wait_until_.reset();
        return std::nullopt;
      }
      // Others have reserved meanwhile.
      Error beyond = beyond_budget(added.worst, *added.reservation.refusal());
      remove(send);
      if (round == 3) return beyond;
    }
  }

  void on_end(Send& send, const Attempt* row) noexcept override {
    UnderWay* ended = find(send);
    if (ended == nullptr) return;
    ended->reservation.remove_from(send.reservations);
    if (row != nullptr && row->sent) {
      const BudgetCharge charge = charge_of(*row, *ended);
      send.booked = std::max(send.booked, charge.cost);
      ended->reservation.settle(charge, context_->now());
    }
    remove(send);
  }

  /// Before anything further in takes part: why no send to that target could be made, whatever is settled. `least` is
  /// set to what one needs.
  [[nodiscard]] std::optional<Error> hopeless(const Target& target, const ChatRequest& request,
                                              std::optional<BudgetCharge>& least) {
    const CostQuote quote = quote_for(target, request, *context_);
    if (!quote.priced()) return no_price(quote.unpriced());
    const BudgetCharge charge = least_charge(quote, request, target);
    least = charge;
    if (const Money spent = spent_by_call(); cap_->options_.per_request && spent + charge.cost > *cap_->options_.per_request) {
      return cap_->beyond_request(charge.cost, spent);
    }
    for (const Budget& budget : cap_->options_.budgets) {
      if (auto refusal = used_up(budget, budget.snapshot(context_->now()), charge)) return refusal;
    }
    return std::nullopt;
  }

  /// What a call to a client needs at least, where that is known: what its cheapest target does.
  [[nodiscard]] std::optional<BudgetCharge> least_needed(const ChatRequest& request) const {
    Needs needs = needs_of(request);
    needs.costs = true;
    const std::optional<Money> least = cap_->next().standing(request, needs, context_->now()).least_cost;
    return least ? std::optional{BudgetCharge{*least, Money{}}} : std::nullopt;
  }
  /// Why the budgets have no room for the charge beside what others have reserved; empty when they have. `turn` is set
  /// where it is worth waiting, as long as the send may wait. `has`: what another cap has reserved for the send.
  [[nodiscard]] std::optional<Error> no_room(const BudgetCharge& charge, const BudgetReservation* has,
                                             BudgetTurn::Waits who, std::shared_ptr<BudgetTurn>& turn) {
    std::optional<Error> for_now;
    const Budget* reserved = nullptr;
    for (const Budget& budget : cap_->options_.budgets) {
      if (BudgetReservation::any_in(budget, has)) continue;
      const BudgetSnapshot used = budget.snapshot(context_->now());
      if (auto refusal = used_up(budget, used, charge)) return refusal;
      const std::optional<BudgetRefusal> refused = refusal_by(budget.options(), used, charge);
      if (!refused || for_now) continue;
      for_now = beyond_budget(charge, *refused);
      reserved = &budget;
    }
    if (!for_now || cap_->options_.wait_for_reserved == Duration::zero()) return for_now;
    if (context_->hint().other_ready) {
      for_now->kind = ErrorKind::local_limit;  // the next target need not be a cheaper one
      return for_now;
    }
    if (!wait_until_) wait_until_ = saturating_add(context_->now(), cap_->options_.wait_for_reserved);
    if (*wait_until_ <= context_->now()) return for_now;
    turn = std::make_shared<BudgetTurn>(*reserved, charge, *wait_until_, who, &context_->state());
    return for_now;
  }
  /// The place in a queue is kept until a send has reserved.
  void keep(std::shared_ptr<BudgetTurn> turn) noexcept { turn_ = std::move(turn); }

 private:
  struct UnderWay {
    UnderWay(const Send& which, const CostQuote& its_quote, const BudgetCharge& at_most, const std::vector<Budget>& budgets,
             TimePoint now)
        : send{&which},
          quote{its_quote},
          worst{at_most},
          some{some_of(budgets, which)},
          reservation{some ? *some : budgets, at_most, now} {}

    const Send* send;
    CostQuote quote;
    BudgetCharge worst;
    std::optional<std::vector<Budget>> some;  // of the cap's budgets; unset: all
    BudgetReservation reservation;
    bool counted = false;  // among what is at stake in the call
  };

  /// Where another cap has reserved for the send in one of them, the others.
  [[nodiscard]] static std::optional<std::vector<Budget>> some_of(const std::vector<Budget>& budgets, const Send& send) {
    if (send.reservations == nullptr) return std::nullopt;
    std::vector<Budget> some = budgets;
    std::erase_if(some, [&](const Budget& budget) { return BudgetReservation::any_in(budget, send.reservations); });
    return some;
  }
  [[nodiscard]] CostQuote quote_for(const Target& target, const ChatRequest& request, const CallContext& context) {
    // What is asked beside the call's own question is no falling over.
    const bool falls_over = cap_->caps_premium_ && !context.hint().judges && !context.hint().summarizes;
    return CostQuote{target, input_of(request), falls_over ? context_->state().first_choice : nullptr,
                     [this](const Target& one) { return cap_->price_for(one); }};
  }
  [[nodiscard]] EstimatedInput input_of(const ChatRequest& request) noexcept {
    const EstimatedInput input = v0::input_of(needs_of(request));
    input_ = input.tokens;  // every time: another request may stand where the last one did
    return input;
  }

  /// What the call has cost so far, and what its sends under way may.
  [[nodiscard]] Money spent_by_call() const {
    Money spent = context_->state().at_stake;
    for (const Attempt& row : context_->state().ledger) spent += cap_->cost_of_row(row, input_);
    if (under_way_ && !under_way_->counted) spent += under_way_->worst.cost;
    for (const auto& one : others_) spent += one->counted ? Money{} : one->worst.cost;
    return spent;
  }

  /// The same without that send, for which another cap of the call may have answered already.
  [[nodiscard]] Money spent_beside(const Send& send) const {
    return spent_by_call() - send.staked_in(context_->state());
  }

  [[nodiscard]] std::int64_t most_output(const Send& send, const CostQuote& quote) const {
    std::int64_t most = INT64_MAX;
    if (cap_->options_.per_request) {
      most = quote.most_output(*cap_->options_.per_request - spent_beside(send), std::nullopt);
    }
    for (const Budget& budget : cap_->options_.budgets) {
      if (BudgetReservation::any_in(budget, send.reservations)) continue;
      const BudgetOptions& limits = budget.options();
      const BudgetSnapshot used = budget.snapshot(context_->now());
      const Money room = limits.per_period ? *limits.per_period - used.spent.cost - used.reserved.cost : Money::max();
      std::optional<Money> premium;
      if (limits.fallback_premium_per_period) {
        premium = *limits.fallback_premium_per_period - used.spent.premium - used.reserved.premium;
      }
      most = std::min(most, quote.most_output(room, premium));
    }
    return most;
  }

  /// Which limit leaves no room for so much output, and whether it may do so soon.
  [[nodiscard]] Error refusal(Send& send, const CostQuote& quote, std::int64_t output) {
    const BudgetCharge charge = quote.charge(output);
    if (const Money spent = spent_beside(send);
        cap_->options_.per_request && spent + charge.cost > *cap_->options_.per_request) {
      return cap_->beyond_request(charge.cost, spent);
    }
    if (auto error = no_room(charge, send.reservations, BudgetTurn::Waits::send, send.turn)) return *std::move(error);
    return Error{ErrorKind::budget_exceeded, "what may be spent has been reserved by other sends"};
  }

  /// With the least output that it may be limited to.
  [[nodiscard]] BudgetCharge least_charge(const CostQuote& quote, const ChatRequest& request, const Target& target) const {
    const auto limit = detail::output_limit_of(target, request, detail::given_up_by(context_->hint()));
    std::int64_t output = quote.usual_output(limit);
    if (!limit) output = std::min(output, least_limited_output);
    return quote.charge(output);
  }

  [[nodiscard]] BudgetCharge charge_of(const Attempt& row, const UnderWay& send) const {
    BudgetCharge charge{cap_->cost_of_row(row, send.quote.input()), Money{}};
    if (const auto instead = send.quote.instead(row.usage)) {
      const bool measured = row.usage.input_tokens || row.usage.output_tokens;
      charge.premium = measured ? std::max(charge.cost - *instead, Money{}) : std::min(charge.cost, send.worst.premium);
    }
    return charge;
  }

  UnderWay& add(Send& send, const CostQuote& quote, std::int64_t output) {
    const BudgetCharge worst = quote.charge(output);
    if (!under_way_) return under_way_.emplace(send, quote, worst, cap_->options_.budgets, context_->now());
    return *others_.emplace_back(
        std::make_unique<UnderWay>(send, quote, worst, cap_->options_.budgets, context_->now()));
  }
  [[nodiscard]] UnderWay* find(const Send& send) noexcept {
    if (under_way_ && under_way_->send == &send) return &*under_way_;
    const auto place =
        std::find_if(others_.begin(), others_.end(), [&](const auto& one) { return one->send == &send; });
    return place == others_.end() ? nullptr : place->get();
  }
  void remove(const Send& send) noexcept {
    if (under_way_ && under_way_->send == &send) return under_way_.reset();
    std::erase_if(others_, [&](const auto& one) { return one->send == &send; });
  }

  const CostCap* cap_;
  const CallContext* context_;
  std::int64_t input_ = 0;  // of the last one that was looked at
  std::optional<UnderWay> under_way_;  // most calls have one send at a time
  std::vector<std::unique_ptr<UnderWay>> others_;
  std::shared_ptr<BudgetTurn> turn_;        // what was waited for before the first send
  std::optional<TimePoint> wait_until_;     // for the next send
};

Layer CostCap::layer() const {
  Layer layer = Decorator::layer();
  layer.refuses = [this](const Send& send) {
    std::optional<BudgetCharge> least;
    return EachSend{*this, *send.context}.hopeless(*send.target, *send.request, least);
  };
  if (one_target_) {  // asked before what is further in
    layer.ends_call = [this](const ChatRequest& request, const CallContext& context) -> std::optional<Result<Target>> {
      std::optional<BudgetCharge> least;
      std::optional<Error> refusal = EachSend{*this, context}.hopeless(target(), request, least);
      if (!refusal) return std::nullopt;
      refusal->target = target();
      return *std::move(refusal);
    };
  }
  layer.most_cost = options_.per_request;
  for (const Budget& budget : options_.budgets) {
    const std::optional<Money>& whole = budget.options().per_period;
    if (whole) layer.most_cost = std::min(layer.most_cost.value_or(*whole), *whole);
  }
  return layer;
}

Task<Result<ChatResponse>> CostCap::call(const ChatRequest& request, CallContext& context) const {
  EachSend sends{*this, context};
  const Target& to = target();
  std::optional<BudgetCharge> least;
  std::optional<Error> refusal;
  if (one_target_) {
    refusal = sends.hopeless(to, request, least);
  } else if (!options_.budgets.empty()) {
    least = sends.least_needed(request);
  }
  // What others have reserved is waited for before policies further in give permits that others could use.
  if (!refusal && least) {
    const auto ask = [&](std::shared_ptr<BudgetTurn>& turn) {
      return sends.no_room(*least, nullptr, BudgetTurn::Waits::call, turn);
    };
    std::shared_ptr<BudgetTurn> turn;
    refusal = ask(turn);
    if (refusal && turn) {
      Task<Result<void>> waiting = detail::ask_in_turn(ask, refusal, turn, context, to);
      Result<void> waited = co_await waiting;
      if (!waited) {
        waited.error().target = to;
        co_return std::move(waited).error();
      }
    }
    if (!refusal) sends.keep(std::move(turn));
  }
  if (refusal && one_target_) {  // of a client its targets decide
    refusal->target = to;
    context.note_skipped(to, *refusal);
    co_return *std::move(refusal);
  }
  CallContext inner = context;
  inner.add_observer(sends);
  auto result = co_await next().call(request, inner);
  co_return result;
}

[[nodiscard]] std::string describe_cost_cap(const CostCapOptions& options) {
  detail::OptionsText text{"cost_cap"};
  text.add("per_request", options.per_request)
      .add("per_period", options.per_period)
      .add("fallback_premium_per_period", options.fallback_premium_per_period)
      .add("period", options.period, CostCapOptions{}.period)
      .add("wait_for_reserved", options.wait_for_reserved, CostCapOptions{}.wait_for_reserved);
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
  std::string description = describe_cost_cap(options);
  return make_policy<CostCap>(std::move(description), std::move(options));
}

Policy cost_cap(Budget budget) {
  CostCapOptions options;
  options.budgets.push_back(std::move(budget));
  return cost_cap(std::move(options));
}

std::string problem_with(const CostCapOptions& options) {
  if (options.per_request && *options.per_request < Money{}) return "cost_cap: per_request must not be below $0";
  if (options.per_period && *options.per_period < Money{}) return "cost_cap: per_period must not be below $0";
  if (options.fallback_premium_per_period && *options.fallback_premium_per_period < Money{}) {
    return "cost_cap: fallback_premium_per_period must not be below $0";
  }
  if (options.period <= Duration::zero()) return "cost_cap: period must be longer than 0";
  if (options.wait_for_reserved < Duration::zero()) return "cost_cap: wait_for_reserved must not be negative";
  if (!options.per_request && !options.per_period && !options.fallback_premium_per_period && options.budgets.empty()) {
    return "cost_cap: no limit is set; give it per_request, per_period, fallback_premium_per_period or a budget";
  }
  return {};
}

}  // namespace backstop::inline v0
