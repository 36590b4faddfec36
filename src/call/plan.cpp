#include "call/plan.hpp"

#include <algorithm>
#include <utility>

#include "backstop/provider.hpp"
#include "backstop/runtime/call_context.hpp"
#include "backstop/runtime/stop.hpp"
#include "routing/ladder_answer.hpp"
#include "routing/walk.hpp"

namespace backstop::inline v0::detail {
namespace {

/// Writes down what a call would do, client by client.
class Planner {
 public:
  Planner(Plan& plan, const CallContext& context, TimePoint now) : plan_{&plan}, context_{&context}, now_{now} {}

  /// All rounds of a call to a client: that of the whole request, and one for each rung. `given_up` by a client around.
  void add_rounds(const Pool& pool, Walk& walk, const std::optional<Degradation>& given_up) {
    add_round(pool, walk, given_up);
    const bool around = std::exchange(again_, true);
    while (walk.take_rung()) add_round(pool, walk, given_up);
    again_ = around;
  }
  void add_answers(const Pool& pool, const ChatRequest& request) {
    for (const ChatResponse& answer : answers_of(pool.answers, request, now_)) {
      Plan::Step& step = plan_->steps.emplace_back();
      step.target = answer.served_by;
      step.stack = answer.served_by.name();
      step.worst_cost = Money{};
      step.degradation = answer.degradation;
    }
  }

 private:
  void add_round(const Pool& pool, Walk& walk, const std::optional<Degradation>& given_up) {
    for (std::size_t place = 0; place < walk.order().size(); ++place) {
      const std::size_t index = walk.take_turn(place);
      if (!walk.has_turn(index, now_)) continue;
      const std::optional<Error> refused = walk.obstacle(index, now_);
      const Offer offer = walk.offer(index);
      std::optional<Degradation> all = given_up;
      if (offer.degradation != nullptr) all = given_up ? merged(*given_up, *offer.degradation) : *offer.degradation;
      add(pool.candidates[index]->provider.get(), refused, offer, all, walk, index);
    }
  }

  /// The steps that a candidate stands for, the walk's at `index`: itself, or the targets of the client that it is.
  void add(const ChatProvider& provider, const std::optional<Error>& refused, const Offer& offer,
           const std::optional<Degradation>& given_up, Walk& walk, std::size_t index) {
    const ChatProvider* inside = &provider;
    Layer layer = inside->layer();
    while (layer.around.size() == 1 && layer.name != "fallback") {
      inside = layer.around.front();
      layer = inside->layer();
    }
    const ChatRequest& request = *offer.request;
    const Needs& needs = *offer.needs;
    const Standing standing = provider.standing(request, needs, now_);
    if (layer.around.empty()) {
      const bool told_before = again_ && refused && !standing.fit();
      if (told_before) return;
      Plan::Step& step = plan_->steps.emplace_back();
      step.target = provider.target();
      step.stack = provider.describe();
      step.skipped = refused;
      step.worst_cost = standing.worst_cost;
      step.degradation = given_up;
      if (refused && refused->kind == ErrorKind::budget_exceeded) walk.must_be_cheaper_than(step.target);
      return;
    }
    if (standing.ready() && !inside->standing(request, needs, now_).ready()) {  // a cache has the answer
      plan_->steps.push_back({provider.target(), provider.describe(), refused, Money{}, given_up});
      return;
    }
    if (!refused && layer.pool != nullptr && layer.pool->degrades()) {
      CallContext context = *context_;
      context.set_hint(walk.hint(index, walk.ready_behind(), false));
      Walk inner{*layer.pool, request, context, now_, Choosing::Mode::dry_run};
      inner.needs().costs = true;
      return add_rounds(*layer.pool, inner, given_up);
    }
    Order order{layer.around.size()};
    if (layer.pool != nullptr && layer.pool->choosing) {
      layer.pool->choosing->decide(order, request, needs, now_, Choosing::Mode::dry_run);
    }
    for (std::size_t place = 0; place < order.size(); ++place) {
      const ChatProvider& member = *layer.around[order.at(place)];
      std::optional<Error> out = refused;
      const Standing own = member.standing(request, needs, now_);
      if (!own.ready()) out = refusal_of(own, request, needs, now_);
      add(member, out, offer, given_up, walk, index);
    }
  }

  Plan* plan_;
  const CallContext* context_;
  TimePoint now_;
  bool again_ = false;  // who is unfit has been told in an earlier round
};

[[nodiscard]] std::optional<Money> worst_cost_of(const Plan& plan) {
  Money dearest;
  for (const Plan::Step& step : plan.steps) {
    if (!step.worst_cost) return std::nullopt;
    dearest = std::max(dearest, *step.worst_cost);
  }
  return dearest * plan.max_attempts;
}

/// How long a call would wait for the first target to be back, or to find out.
[[nodiscard]] std::optional<Duration> wait_of(const Walk& walk, const RecoveryQueue& recovery,
                                              const CallContext& context) {
  const TimePoint now = context.now();
  const RecoveryOptions& options = recovery.options();
  const Walk::Recovery back = walk.recovery(now, options.probe_interval);
  const TimePoint probe_at = back.probe ? std::max(back.probe_from, recovery.next_probe(now)) : TimePoint::max();
  const TimePoint at = std::min(back.at, probe_at);
  if (at > latest_return(options, context)) return std::nullopt;
  return saturating_difference(at, now);
}

}  // namespace

Plan plan_of(const Pool& pool, const RecoveryQueue& recovery, Runtime& runtime, const CallLimits& limits,
             const ChatRequest& request) {
  const TimePoint now = runtime.clock().now();
  CallState call{runtime};
  Branch branch;
  StopSource stop;
  call.recovery_wait = limits.recovery_wait;
  CallContext context{call, branch, stop, saturating_add(now, limits.deadline)};
  Walk walk{pool, request, context, now, Choosing::Mode::dry_run};
  walk.needs().costs = true;
  Plan plan;
  plan.estimated_input_tokens = walk.needs().input_tokens;
  plan.max_attempts = limits.max_attempts;
  plan.worst_time = limits.deadline;
  Planner planner{plan, context, now};
  planner.add_rounds(pool, walk, {});
  plan.worst_cost = worst_cost_of(plan);
  const bool all_out = std::all_of(plan.steps.begin(), plan.steps.end(),
                                   [](const Plan::Step& step) { return step.skipped.has_value(); });
  if (all_out) plan.waits = wait_of(walk, recovery, context);
  planner.add_answers(pool, request);
  return plan;
}

}  // namespace backstop::inline v0::detail
