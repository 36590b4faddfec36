#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "chat/token_estimate.hpp"
#include "handover/cost_estimate.hpp"
#include "stacks/checks.hpp"
#include "stacks/options.hpp"

namespace stacks {

using namespace backstop;

namespace {

std::optional<std::size_t> leaf_of(const Stack& stack, const Attempt& row) {
  for (std::size_t i = 0; i < stack.leaves.size(); ++i) {
    if (stack.leaves[i].target == row.target) return i;
  }
  return std::nullopt;
}

bool has_cap(const std::vector<PolicySpec>& around, PolicyKind kind, std::size_t handle) {
  return std::any_of(around.begin(), around.end(), [&](const PolicySpec& policy) {
    return policy.kind == kind && static_cast<std::size_t>(policy.handle) % 2 == handle;
  });
}

/// By leaf: the least that a send to it was reserved for. What a send costs above that may exceed a cap.
std::vector<Money> least_worst_costs(const Stack& stack) {
  std::vector<Money> worst;
  for (const Leaf& leaf : stack.leaves) {
    Money least = Money::max();
    const auto& price = leaf.target.facts().price;
    for (const ChatRequest& request : leaf.requests()) {
      if (!price) continue;
      const EstimatedInput input{estimate_input_tokens(request)};
      least = std::min(least, cost_of(worst_usage(leaf.target, request.max_output_tokens, input), *price));
    }
    worst.push_back(least);
  }
  return worst;
}

struct Sum {
  Money cost;
  Money misestimates;  // what sends cost above their worst case
};

template <class Covers>
Sum sum_of(const Stack& stack, const std::vector<Money>& worst, const CallLog::Call& call, Covers covers) {
  Sum sum;
  for (const Attempt& row : call.attempts) {
    const auto leaf = leaf_of(stack, row);
    if (!leaf || !row.sent || !covers(*leaf)) continue;
    sum.cost += row.cost;
    sum.misestimates += std::max(Money{}, row.cost - worst[*leaf]);
  }
  return sum;
}

}  // namespace

void check_money(Play& play, Found& found) {
  const Stack& stack = play.stack();
  const std::vector<Money> worst = least_worst_costs(stack);
  const TimePoint now = play.runtime().clock().now();
  for (std::size_t handle = 0; handle < stack.budgets.size(); ++handle) {
    if (!stack.budgets[handle]) continue;
    Sum expected;
    const auto add = [&](const CallLog::Call& call, bool charged) {
      const Sum sum = sum_of(stack, worst, call, [&](std::size_t leaf) { return stack.charged[handle][leaf] == charged; });
      expected.cost += sum.cost;
      expected.misestimates += sum.misestimates;
    };
    for (const CallLog::Call& call : stack.log->calls()) add(call, true);
    for (std::size_t i = 0; i < play.seen().size(); ++i) {
      if (!has_cap(play.played().consumers[i].around, PolicyKind::cap_budget, handle)) continue;
      for (const CallLog::Call& call : play.seen()[i].log->calls()) add(call, false);  // a send counts once
    }
    const Money spent = stack.budgets[handle]->snapshot(now).spent.cost;
    if (spent != expected.cost) {
      found.push_back({"spent-equals-rows", fmt::format("budget {} has {} spent, the rows below its caps cost {}",
                                                        handle, to_string(spent), to_string(expected.cost))});
    }
    const Money limit = *stack.budgets[handle]->options().per_period + expected.misestimates;
    const Money most = std::max(spent, expected.cost);
    if (most > limit) {
      found.push_back({"cap-holds", fmt::format("budget {}: {} spent, and no more than {} was allowed", handle,
                                                to_string(most), to_string(limit))});
      return;
    }
  }
  const auto exceeds = [&](const CallLog::Call& call, Money limit, auto covers) {
    const Sum sum = sum_of(stack, worst, call, covers);
    if (sum.cost <= limit + sum.misestimates) return false;
    found.push_back({"cap-holds", fmt::format("a call spent {} below a cap of {} per request", to_string(sum.cost),
                                              to_string(limit))});
    return true;
  };
  for (const RequestCap& cap : stack.request_caps) {
    for (const CallLog::Call& call : stack.log->calls()) {
      if (exceeds(call, cap.limit, [&](std::size_t leaf) { return cap.covers[leaf]; })) return;
    }
  }
  for (std::size_t i = 0; i < play.seen().size(); ++i) {
    for (const PolicySpec& policy : play.played().consumers[i].around) {
      if (policy.kind != PolicyKind::cap_request) continue;
      const Money limit = at_level(tables::cap, policy.level).value;
      for (const CallLog::Call& call : play.seen()[i].log->calls()) {
        if (exceeds(call, limit, [](std::size_t) { return true; })) return;
      }
    }
  }
}

}  // namespace stacks
