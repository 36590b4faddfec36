#include "call/plan.hpp"

#include <algorithm>
#include <cstddef>
#include <deque>
#include <functional>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "backstop/provider.hpp"
#include "backstop/runtime/attempt_observer.hpp"
#include "backstop/runtime/call_context.hpp"
#include "backstop/runtime/stop.hpp"
#include "routing/history_summary.hpp"
#include "routing/inner_limits.hpp"
#include "routing/ladder_answer.hpp"
#include "routing/walk.hpp"

namespace backstop::inline v0::detail {
namespace {

/// A policy that may refuse sends below it, as a cap does.
struct SendLimit {
  std::function<std::optional<Error>(const Send&)> refuses;
  std::optional<Money> most_cost;
};

/// Takes those away again that stand around one provider only.
class LimitsAround {
 public:
  explicit LimitsAround(std::vector<SendLimit>& limits) noexcept : limits_{&limits}, count_{limits.size()} {}
  ~LimitsAround() { limits_->erase(limits_->begin() + static_cast<std::ptrdiff_t>(count_), limits_->end()); }
  LimitsAround(const LimitsAround&) = delete;
  LimitsAround& operator=(const LimitsAround&) = delete;

 private:
  std::vector<SendLimit>* limits_;
  std::size_t count_;
};

/// Writes down what a call would do, client by client.
class Planner {
 public:
  Planner(Plan& plan, TimePoint now) : plan_{&plan}, now_{now} {}

  /// All rounds of a call to a client: that of the whole request, and one for each rung. `given_up` by a client around.
  void add_rounds(const Pool& pool, Walk& walk, const CallContext& context,
                  const std::optional<Degradation>& given_up) {
    std::vector<bool> asked(pool.candidates.size());
    if (context.state().first_choice == nullptr || (context.hint().in_client && context.hint().first_choice)) {
      context.state().first_choice = &pool.candidates[walk.order().at(0)]->provider.target();
    }
    add_round(pool, walk, context, given_up, asked);
    const bool around = std::exchange(again_, true);
    while (walk.take_rung()) add_round(pool, walk, context, given_up, asked);
    again_ = around;
  }
  void add_answer(const Pool& pool, const ChatRequest& request) {
    const std::optional<ChatResponse> answer = answer_of(pool.answers, request, now_);
    if (!answer) return;
    const std::string& name = answer->served_by.name();
    plan_->steps.push_back({answer->served_by, name, std::nullopt, Money{}, answer->degradation, false});
  }

  /// With every attempt spent on the dearest target. A cap lets a send begin only where the whole call stays below it.
  [[nodiscard]] std::optional<Money> worst_cost() const {
    Money dearest;
    std::optional<Money> most = Money{};  // when the last send goes to a target with a cap; empty: to one without
    for (std::size_t index = 0; index < plan_->steps.size(); ++index) {
      const Plan::Step& step = plan_->steps[index];
      const bool never = step.skipped && !step.skipped->retry_after && step.skipped->kind != ErrorKind::circuit_open &&
                         step.skipped->kind != ErrorKind::local_limit;
      if (never || step.worst_cost == Money{}) continue;
      if (!step.worst_cost) return std::nullopt;
      dearest = std::max(dearest, *step.worst_cost);
      const std::optional<Money> cap = index < caps_.size() ? caps_[index] : std::nullopt;
      if (!cap) {
        most.reset();
      } else if (most) {
        most = std::max(*most, *cap);
      }
    }
    const Money all = dearest * plan_->max_attempts;
    return most ? std::min(all, *most) : all;
  }

 private:
  void add_round(const Pool& pool, Walk& walk, const CallContext& context,
                 const std::optional<Degradation>& given_up, std::vector<bool>& asked) {
    while (const std::optional<std::size_t> index = asks_left_ > 0 ? walk.next_turn(now_) : std::nullopt) {
      asked[*index] = add_turn(pool, walk, *index, walk.obstacle(*index, now_), context, given_up) || asked[*index];
    }
    while (const std::optional<std::size_t> index = asks_left_ > 0 ? walk.next_left(now_) : std::nullopt) {
      asked[*index] = asked[*index] || add_turn(pool, walk, *index, std::nullopt, context, given_up);
    }
  }

  /// Whether it is asked.
  bool add_turn(const Pool& pool, Walk& walk, std::size_t index, const std::optional<Error>& out,
                const CallContext& context, const std::optional<Degradation>& given_up) {
    if (const auto wanted = walk.summary_wanted(index); wanted && !out) add_summary(walk, index, *wanted, context);
    const Offer offer = walk.offer(index);
    std::optional<Degradation> all = given_up;
    if (offer.degradation != nullptr) all = given_up ? merged(*given_up, *offer.degradation) : *offer.degradation;
    const Candidate& candidate = *pool.candidates[index];
    bool asks = false;
    if (out) {
      add_skipped(candidate.provider.get(), *out, offer, all);
    } else {
      Requirement& requirement = context.requirement();
      const bool left_before = std::exchange(requirement.left_some, false);
      const RoutingHint hint = walk.hint(index, walk.ready_behind(), false);
      const std::optional<Error> refused = add_asked(candidate.provider.get(), offer, context, hint, all);
      const bool left_some = std::exchange(requirement.left_some, left_before);
      if (refused) note_refusal(walk, index, *refused, hint, left_some, !candidate.is_pool);
      asks = !refused;
    }
    return asks;
  }

  void add_summary(Walk& walk, std::size_t index, const Walk::SummaryWanted& wanted, const CallContext& outer) {
    const ChatRequest asked = summary_request(wanted, *walk.offer(index).request);
    Branch branch;
    Requirement requirement;
    const CallContext context = summary_context(outer, branch, requirement, walk.ready_behind() + 1);
    const Needs needs = needs_of(asked);
    const Offer offer{&asked, &needs, nullptr};
    const std::size_t steps_before = plan_->steps.size();
    std::optional<Error> refused = summary_refusal(wanted, asked, context);
    if (refused) {
      add_step(wanted.by->get(), offer, std::nullopt).skipped = refused;
    } else {
      refused = add_asked(wanted.by->get(), offer, context, context.hint(), std::nullopt);
    }
    for (std::size_t step = steps_before; step < plan_->steps.size(); ++step) plan_->steps[step].summary = true;
    HistorySummary summary;
    summary.turns = wanted.turns->size();
    summary.by = wanted.by->target().name();
    if (refused) {
      summary.why = to_string(refused->kind);
    } else {
      summary.text.assign(1, '-');  // there will be one
    }
    walk.note_summary(index, std::move(summary), now_);
  }

  /// A call to a provider: what it is asked, and in which context; null: it is not asked.
  struct Asked {
    const ChatRequest* request;
    CallContext* context;
  };
  /// How a policy ends a call without asking what is below it.
  using End = std::optional<Result<Target>>;

  /// Goes on to what sends, or to what is several; notes what stands in between and may refuse sends, and what ends the
  /// call on the way there.
  const ChatProvider& inside_of(const ChatProvider& provider, Layer& layer, Asked asked = {}, End* end = nullptr) {
    const ChatProvider* inside = &provider;
    layer = inside->layer();
    while (layer.around.size() == 1 && layer.pool == nullptr) {
      if (end != nullptr && !*end && layer.ends_call) *end = layer.ends_call(*asked.request, *asked.context);
      if (end != nullptr && layer.handle != nullptr) {
        asked.context->set_held(held_.emplace_back(HeldHandle{layer.handle, asked.context->held()}));
      }
      if (layer.refuses) limits_.push_back({layer.refuses, layer.most_cost});
      inside = layer.around.front();
      layer = inside->layer();
    }
    return *inside;
  }

  /// The steps of a candidate that is passed over, or of the targets of the client that it is.
  void add_skipped(const ChatProvider& provider, const Error& why, const Offer& offer,
                   const std::optional<Degradation>& given_up) {
    const LimitsAround around{limits_};
    Layer layer;
    static_cast<void>(inside_of(provider, layer));
    if (layer.around.empty()) {
      const bool told_before = again_ && !provider.standing(*offer.request, *offer.needs, now_).fit();
      if (!told_before) add_step(provider, offer, given_up).skipped = why;
      return;
    }
    Order order{layer.around.size()};
    if (layer.pool != nullptr && layer.pool->choosing) {
      layer.pool->choosing->decide(order, *offer.request, *offer.needs, now_, Choosing::Mode::dry_run,
                                   entered_before(*layer.pool));
    }
    for (std::size_t place = 0; place < order.size(); ++place) {
      const ChatProvider& member = *layer.around[order.at(place)];
      const Standing own = member.standing(*offer.request, *offer.needs, now_);
      add_skipped(member, own.ready() ? why : refusal_of(own, *offer.request, *offer.needs, now_), offer, given_up);
    }
  }

  /// The steps of a candidate that is asked; the error where that ends without a send.
  std::optional<Error> add_asked(const ChatProvider& provider, const Offer& offer, const CallContext& context,
                                 const RoutingHint& hint, const std::optional<Degradation>& given_up) {
    const LimitsAround around{limits_};
    CallContext inner = context;
    inner.set_hint(hint);
    Layer layer;
    End end;
    const ChatProvider& inside = inside_of(provider, layer, {offer.request, &inner}, &end);
    if (end) {
      Plan::Step& step = add_step(provider, offer, given_up);
      if (*end) {
        step.target = **std::move(end);
        step.worst_cost = Money{};
        step.cached = true;
      } else {
        step.target = end->error().target;
        step.skipped = std::move(*end).error();
      }
      return step.skipped;
    }
    if (layer.around.empty()) {
      Plan::Step& step = add_step(provider, offer, given_up);
      if (layer.model) step.skipped = refusal_by_limits(inside.target(), *offer.request, inner);
      if (!step.skipped) --asks_left_;
      return step.skipped;
    }
    if (!inside.standing(*offer.request, *offer.needs, now_).ready()) {  // a policy of the application's own answers
      plan_->steps.push_back({provider.target(), provider.describe(), std::nullopt, Money{}, given_up, false, true});
      return std::nullopt;
    }
    if (layer.pool == nullptr) {  // several, and who is asked is not known
      for (const ChatProvider* member : layer.around) static_cast<void>(add_asked(*member, offer, context, hint, given_up));
      return std::nullopt;
    }
    const std::size_t steps_before = plan_->steps.size();
    RoutingHint narrowed = hint;
    InnerLimits::bar_sends(narrowed, context.state().attempts_left, layer.sends);
    inner.set_hint(narrowed);
    Walk walk{*layer.pool, *offer.request, inner, now_, Choosing::Mode::dry_run, entered_before(*layer.pool)};
    entered_.push_back(layer.pool);
    const int asks_before = asks_left_;
    asks_left_ = std::min(asks_left_, layer.sends);
    const int may_ask = asks_left_;
    add_rounds(*layer.pool, walk, inner, given_up);
    asks_left_ += asks_before - may_ask;
    const bool asks = std::any_of(plan_->steps.begin() + static_cast<std::ptrdiff_t>(steps_before), plan_->steps.end(),
                                  [](const Plan::Step& step) { return !step.skipped && !step.summary; });
    if (asks) return std::nullopt;
    if (Error* const failure = walk.failure()) return std::move(*failure);
    if (Error* const refusal = walk.refusal()) return std::move(*refusal);
    return Error{ErrorKind::local_limit, "no target of the client may be asked in this call"};
  }

  /// How often the call has asked that client before: each time it chooses anew.
  [[nodiscard]] std::uint64_t entered_before(const Pool& pool) const {
    return static_cast<std::uint64_t>(std::count(entered_.begin(), entered_.end(), &pool));
  }

  Plan::Step& add_step(const ChatProvider& provider, const Offer& offer, const std::optional<Degradation>& given_up) {
    Needs needs = *offer.needs;
    needs.costs = true;
    Plan::Step& step = plan_->steps.emplace_back();
    step.target = provider.target();
    step.stack = provider.describe();
    step.worst_cost = provider.standing(*offer.request, needs, now_).worst_cost;
    std::optional<Money> cap;
    for (const SendLimit& limit : limits_) {
      if (limit.most_cost) cap = std::min(cap.value_or(*limit.most_cost), *limit.most_cost);
    }
    if (cap) step.worst_cost = std::min(step.worst_cost.value_or(*cap), *cap);
    caps_.resize(plan_->steps.size());
    caps_.back() = cap;
    step.degradation = given_up;
    return step;
  }

  [[nodiscard]] std::optional<Error> refusal_by_limits(const Target& target, const ChatRequest& request,
                                                       const CallContext& context) const {
    const Send send{target, request, context};
    for (auto limit = limits_.rbegin(); limit != limits_.rend(); ++limit) {
      std::optional<Error> refused = limit->refuses(send);
      if (!refused) continue;
      refused->target = target;
      return refused;
    }
    return std::nullopt;
  }

  /// As a call does.
  static void note_refusal(Walk& walk, std::size_t index, const Error& error, const RoutingHint& hint, bool left_some,
                           bool real) {
    if (is_refusal(error.kind)) return walk.note_refusal(index, error, hint.other_ready || left_some);
    static_cast<void>(walk.note_failure(index, error, true, left_some));
    walk.set_failure(error, real);
  }

  Plan* plan_;
  TimePoint now_;
  int asks_left_ = std::numeric_limits<int>::max();  // of the visit to a client inside, as its `max_attempts` lets it
  bool again_ = false;  // who is unfit has been told in an earlier round
  std::vector<const Pool*> entered_;
  std::deque<HeldHandle> held_;  // all that the call would have taken a permit of
  std::vector<SendLimit> limits_;  // around what is added, the outermost first
  std::vector<std::optional<Money>> caps_;  // by step, as far as it reaches: what the caps around it let a call cost
};

/// How long a call would wait for the first target to be back, or to find out.
[[nodiscard]] std::optional<Duration> wait_of(const Walk& walk, const RecoveryQueue& recovery,
                                              const CallContext& context) {
  const TimePoint now = context.now();
  const RecoveryOptions& options = recovery.options();
  const Walk::Recovery back = walk.recovery(now, options.probe_interval);
  const TimePoint probe_at = back.probe ? std::max(back.probe_from, recovery.next_probe(now)) : TimePoint::max();
  if (probe_at <= now && has_time_for_attempt(options, context)) return Duration::zero();
  const TimePoint at = std::min(back.at, probe_at);
  if (at == TimePoint::max() || at > latest_return(options, context) || !recovery.has_room()) return std::nullopt;
  return saturating_difference(at, now);
}

}  // namespace

Plan plan_of(const Pool& pool, const RecoveryQueue& recovery, Runtime& runtime, const CallLimits& limits,
             const ChatRequest& request) {
  const TimePoint now = runtime.clock().now();
  CallState call{runtime};
  Branch branch;
  StopSource stop;
  call.dry_run_at = now;
  call.recovery_wait = limits.recovery_wait;
  call.attempts_left = limits.max_attempts;
  CallContext context{call, branch, stop, saturating_add(now, limits.deadline)};
  Walk walk{pool, request, context, now, Choosing::Mode::dry_run};
  Plan plan;
  plan.estimated_input_tokens = walk.needs().input_tokens;
  plan.max_attempts = limits.max_attempts;
  plan.worst_time = limits.deadline;
  Planner planner{plan, now};
  planner.add_rounds(pool, walk, context, {});
  plan.worst_cost = planner.worst_cost();
  const bool all_out = std::all_of(plan.steps.begin(), plan.steps.end(),
                                   [](const Plan::Step& step) { return step.skipped || step.summary; });
  if (all_out) plan.waits = wait_of(walk, recovery, context);
  planner.add_answer(pool, request);
  return plan;
}

}  // namespace backstop::inline v0::detail
