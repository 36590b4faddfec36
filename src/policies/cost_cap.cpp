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
        one_target_{detail::sends_to_one_target(Decorator::next().get())},
        shares_{detail::may_share_sends(Decorator::next().get())} {
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
                 const BudgetSnapshot settled{budget.snapshot(now).spent, BudgetCharge{}};
                 return refusal_by(budget.options(), settled, {*standing.least_cost, Money{}}).has_value();
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
  [[nodiscard]] bool exceeds_request(Money cost, Money spent) const noexcept {
    return options_.per_request && cost > Money{} && spent + cost > *options_.per_request;
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
  bool shares_;  // then each send is asked about where it is made: another call may account for it
  bool caps_premium_ = false;
};

/// The sends of one call below a cap: each is reserved for on its own, whichever target it goes to.
class CostCap::EachSend final : public AttemptObserver {
  static constexpr int most_rounds = 100;  // while other threads reserve and settle

 public:
  EachSend(const CostCap& cap, const CallContext& context) noexcept : cap_{&cap}, context_{&context} {}

  [[nodiscard]] std::optional<Error> on_begin(Send& send) override {
    const CostQuote quote = quote_for(*send.target, *send.request, *send.context);
    if (!quote.priced()) return no_price(quote.unpriced());
    const std::optional<std::int64_t>& limit = send.request->max_output_tokens;
    for (int round = 0; round < most_rounds; ++round) {
      std::int64_t output = quote.usual_output(limit);
      if (send.output_limit) output = std::min(output, *send.output_limit);
      const bool may_limit = !limit && !send.begun;
      if (const std::int64_t most = most_output(send, quote); most < output) {
        if (!may_limit || most < std::min(output, least_limited_output)) {
          const std::int64_t needed = may_limit ? std::min(output, least_limited_output) : output;
          if (auto refusal = refusal_of(send, quote.charge(needed))) return refusal;
          continue;  // others have settled meanwhile
        }
        output = most;
      }
      UnderWay& added = add(send, quote, output);
      if (!added.reservation.refusal()) {
        if (output < quote.usual_output(limit)) send.output_limit = output;
        added.counted = send.stake(context_->state(), added.worst.cost);
        added.reservation.add_to(send.reservations);
        waits_since_.reset();
        return std::nullopt;
      }
      remove(added);  // others have reserved meanwhile
    }
    return Error{ErrorKind::local_limit, "what may be spent changes faster than it can be asked about"};
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
    remove(*ended);
  }

  /// Before anything further in takes part: why no send to that target could be made, whatever is settled. `least` is
  /// set to what one needs.
  [[nodiscard]] std::optional<Error> hopeless(const Target& target, const ChatRequest& request,
                                              std::optional<BudgetCharge>& least) {
    const CostQuote quote = quote_for(target, request, *context_);
    if (!quote.priced()) return no_price(quote.unpriced());
    const BudgetCharge charge = least_charge(quote, request, target);
    least = charge;
    if (const Money spent = spent_by_call(); cap_->exceeds_request(charge.cost, spent)) {
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
  /// Where it has to wait for what others have reserved.
  [[nodiscard]] bool may_wait() const noexcept {
    return cap_->options_.wait_for_reserved > Duration::zero() && !context_->hint().other_ready;
  }
  [[nodiscard]] TimePoint wait_begin() noexcept {
    if (!waits_since_) waits_since_ = context_->now();
    return *waits_since_;
  }
  /// Whoever has not waited yet waits behind those who do, and does not take what is left before them.
  enum class Newcomer : bool { no, yes };
  /// Why the budgets have no room for the charge beside what others have reserved; empty when they have. `turn` is set
  /// where it is worth waiting. `since`: when the wait began; empty: it does not wait. `send`: null before there is one.
  [[nodiscard]] std::optional<Error> no_room(const BudgetCharge& charge, std::optional<TimePoint> since,
                                             const Send* send, Newcomer newcomer,
                                             std::shared_ptr<BudgetTurn>& turn) const {
    std::optional<Error> for_now;
    const Budget* reserved = nullptr;
    for (const Budget& budget : cap_->options_.budgets) {
      if (charge == BudgetCharge{} || (send != nullptr && has_money_in(budget, *send))) continue;
      const BudgetSnapshot used = budget.snapshot(context_->now());
      if (auto refusal = used_up(budget, used, charge)) return refusal;
      if (for_now) continue;
      if (const auto refused = refusal_by(budget.options(), used, charge)) {
        for_now = beyond_budget(charge, *refused);
      } else if (since && newcomer == Newcomer::yes && BudgetTurn::anyone_waits_for(budget)) {
        for_now = Error{ErrorKind::budget_exceeded, "other calls have waited longer for what is left of a budget"};
      }
      if (for_now) reserved = &budget;
    }
    if (!for_now) return std::nullopt;
    if (context_->hint().other_ready && cap_->options_.wait_for_reserved > Duration::zero()) {
      for_now->kind = ErrorKind::local_limit;  // the next target need not be a cheaper one
    }
    if (!since) return for_now;
    const TimePoint until = saturating_add(*since, cap_->options_.wait_for_reserved);
    const auto who = has_begun_ ? BudgetTurn::Waits::send : BudgetTurn::Waits::call;
    if (context_->now() < until) turn = std::make_shared<BudgetTurn>(*reserved, charge, until, who);
    return for_now;
  }
  /// The call goes on to what is further in.
  void begin() noexcept { has_begun_ = true; }

 private:
  struct UnderWay {
    UnderWay(const Send& which, const CostQuote& its_quote, const BudgetCharge& at_most, const std::vector<Budget>& budgets,
             TimePoint now)
        : send{&which},
          quote{its_quote},
          worst{at_most},
          some{some_of(budgets, which)},
          reservation{some ? *some : budgets, at_most, now, which.reserved_so_far} {}

    const Send* send;
    CostQuote quote;
    BudgetCharge worst;
    std::optional<std::vector<Budget>> some;  // of the cap's budgets; unset: all
    BudgetReservation reservation;
    bool counted = false;  // among what is at stake in the call
  };

  /// Another cap of the call has reserved for the send there, or the call that it is taken over from.
  [[nodiscard]] static bool has_money_in(const Budget& budget, const Send& send) noexcept {
    return BudgetReservation::any_in(budget, send.reservations) ||
           BudgetReservation::any_in(budget, send.reserved_so_far);
  }
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
      if (has_money_in(budget, send)) continue;
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

  /// Which limit leaves no room for it, and whether it may do so soon; empty: all do by now.
  [[nodiscard]] std::optional<Error> refusal_of(Send& send, const BudgetCharge& charge) {
    if (const Money spent = spent_beside(send); cap_->exceeds_request(charge.cost, spent)) {
      return cap_->beyond_request(charge.cost, spent);
    }
    if (!send.waits_since) send.waits_since = wait_begin();
    // The call may hold itself what a hedge would wait for.
    const bool waits = may_wait() && !send.context->hint().hedges;
    return no_room(charge, waits ? send.waits_since : std::nullopt, &send, Newcomer::no, send.turn);
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
  void remove(const UnderWay& ended) noexcept {
    if (under_way_ && &*under_way_ == &ended) return under_way_.reset();
    std::erase_if(others_, [&](const auto& one) { return one.get() == &ended; });
  }

  const CostCap* cap_;
  const CallContext* context_;
  std::int64_t input_ = 0;  // of the last one that was looked at
  std::optional<UnderWay> under_way_;  // most calls have one send at a time
  std::vector<std::unique_ptr<UnderWay>> others_;
  bool has_begun_ = false;
  std::optional<TimePoint> waits_since_;  // since a send was admitted last: the targets of a client have one wait
};

Layer CostCap::layer() const {
  Layer layer = Decorator::layer();
  layer.refuses = [this](const Send& send) {
    std::optional<BudgetCharge> least;
    return EachSend{*this, *send.context}.hopeless(*send.target, *send.request, least);
  };
  if (one_target_ && !shares_) {  // asked before what is further in
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
  if (shares_) {
    // Nothing is asked.
  } else if (one_target_) {
    refusal = sends.hopeless(to, request, least);
  } else if (!options_.budgets.empty()) {
    least = sends.least_needed(request);
  }
  // What others have reserved is waited for before policies further in give permits that others could use.
  if (!refusal && least) {
    const std::optional<TimePoint> since = sends.may_wait() ? std::optional{context.now()} : std::nullopt;
    std::shared_ptr<BudgetTurn> turn;
    refusal = sends.no_room(*least, since, nullptr, EachSend::Newcomer::yes, turn);
    if (refusal && turn) {
      static_cast<void>(sends.wait_begin());
      const auto ask = [&](std::shared_ptr<BudgetTurn>& next) {
        return sends.no_room(*least, since, nullptr, EachSend::Newcomer::no, next);
      };
      Task<Result<void>> waiting = detail::ask_in_turn(ask, refusal, turn, context, to);
      Result<void> waited = co_await waiting;
      if (!waited) {
        waited.error().target = to;
        co_return std::move(waited).error();
      }
    }
  }
  sends.begin();
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
