#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "chat/token_estimate.hpp"
#include "handover/cost_estimate.hpp"
#include "stacks/checks.hpp"

namespace stacks {

using namespace backstop;

namespace {

std::optional<std::size_t> leaf_of(const Stack& stack, const Attempt& row) {
  for (std::size_t i = 0; i < stack.leaves.size(); ++i) {
    if (stack.leaves[i].target == row.target) return i;
  }
  return std::nullopt;
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

}  // namespace

void check_money(Play& play, Found& found) {
  const Stack& stack = play.stack();
  const std::vector<Money> worst = least_worst_costs(stack);
  const TimePoint now = play.runtime().clock().now();
  for (std::size_t handle = 0; handle < stack.budgets.size(); ++handle) {
    if (!stack.budgets[handle]) continue;
    Money expected;
    Money misestimates;
    for (const CallLog::Call& call : stack.log->calls()) {
      for (const Attempt& row : call.attempts) {
        const auto leaf = leaf_of(stack, row);
        if (!leaf || !row.sent || !stack.charged[handle][*leaf]) continue;
        expected += row.cost;
        misestimates += std::max(Money{}, row.cost - worst[*leaf]);
      }
    }
    const Money spent = stack.budgets[handle]->snapshot(now).spent.cost;
    if (spent != expected) {
      found.push_back({"spent-equals-rows", fmt::format("budget {} has {} spent, the rows below its caps cost {}",
                                                        handle, to_string(spent), to_string(expected))});
    }
    const Money limit = *stack.budgets[handle]->options().per_period + misestimates;
    if (std::max(spent, expected) > limit) {
      found.push_back({"cap-holds", fmt::format("budget {}: {} spent, and no more than {} was allowed", handle,
                                                to_string(std::max(spent, expected)), to_string(limit))});
      return;
    }
  }
  for (const RequestCap& cap : stack.request_caps) {
    for (const CallLog::Call& call : stack.log->calls()) {
      Money spent;
      Money misestimates;
      for (const Attempt& row : call.attempts) {
        const auto leaf = leaf_of(stack, row);
        if (!leaf || !row.sent || !cap.covers[*leaf]) continue;
        spent += row.cost;
        misestimates += std::max(Money{}, row.cost - worst[*leaf]);
      }
      if (spent <= cap.limit + misestimates) continue;
      found.push_back({"cap-holds", fmt::format("a call spent {} below a cap of {} per request", to_string(spent),
                                                to_string(cap.limit))});
      return;
    }
  }
}

}  // namespace stacks
