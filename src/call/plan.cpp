#include "call/plan.hpp"

#include <algorithm>

#include "backstop/provider.hpp"
#include "backstop/runtime/call_context.hpp"
#include "backstop/runtime/stop.hpp"
#include "routing/walk.hpp"

namespace backstop::inline v0::detail {
namespace {

/// The steps that a candidate stands for: itself, or the targets of the client that it is.
void explain_into(Plan& plan, const ChatProvider& provider, const std::optional<Error>& refused,
                  const ChatRequest& request, Walk& walk, TimePoint now) {
  const ChatProvider* inside = &provider;
  Layer layer = inside->layer();
  while (layer.around.size() == 1 && layer.name != "fallback") {
    inside = layer.around.front();
    layer = inside->layer();
  }
  const Needs& needs = walk.needs();
  const Standing standing = provider.standing(request, needs, now);
  if (layer.around.empty()) {
    Plan::Step& step = plan.steps.emplace_back();
    step.target = provider.target();
    step.stack = provider.describe();
    step.skipped = refused;
    step.worst_cost = standing.worst_cost;
    if (refused && refused->kind == ErrorKind::budget_exceeded) walk.must_be_cheaper_than(step.target);
    return;
  }
  if (standing.ready() && !inside->standing(request, needs, now).ready()) {  // a cache has the answer
    plan.steps.push_back({provider.target(), provider.describe(), refused, Money{}});
    return;
  }
  Order order{layer.around.size()};
  if (layer.pool != nullptr && layer.pool->choosing) {
    layer.pool->choosing->decide(order, request, needs, now, Choosing::Mode::dry_run);
  }
  for (std::size_t place = 0; place < order.size(); ++place) {
    const ChatProvider& member = *layer.around[order.at(place)];
    std::optional<Error> out = refused;
    const Standing own = member.standing(request, needs, now);
    if (!own.ready()) out = refusal_of(own, request, needs, now);
    explain_into(plan, member, out, request, walk, now);
  }
}

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
  for (std::size_t place = 0; place < walk.order().size(); ++place) {
    const std::size_t index = walk.order().at(place);
    const ChatProvider& provider = pool.candidates[index]->provider.get();
    explain_into(plan, provider, walk.obstacle(index, now), request, walk, now);
  }
  plan.worst_cost = worst_cost_of(plan);
  const bool all_out = std::all_of(plan.steps.begin(), plan.steps.end(),
                                   [](const Plan::Step& step) { return step.skipped.has_value(); });
  if (all_out) plan.waits = wait_of(walk, recovery, context);
  return plan;
}

}  // namespace backstop::inline v0::detail
