#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <iterator>

#include "backstop/testing/faults.hpp"
#include "stacks/checks.hpp"

namespace stacks {

using namespace backstop;

bool has_policy(const Node& node, PolicyKind kind) {
  return std::any_of(node.policies.begin(), node.policies.end(),
                     [&](const PolicySpec& policy) { return policy.kind == kind; }) ||
         std::any_of(node.children.begin(), node.children.end(),
                     [&](const Node& child) { return has_policy(child, kind); });
}

namespace {

/// What the calls of the case look like when they are made one after the other: who was asked, and what came of it.
std::string trace_of(const Case& played) {
  testing::VirtualRuntime runtime{played.seed + 1};
  const Stack stack{played, runtime.share()};
  std::string trace;
  for (const ConsumerSpec& consumer : played.consumers) {
    const Duration until = std::chrono::milliseconds{consumer.at};
    if (until > runtime.elapsed()) runtime.run_for(until - runtime.elapsed());
    const auto number = static_cast<std::size_t>(consumer.request) % played.requests.size();
    try {
      const auto result = stack.client->chat(request_of(played.requests[number], static_cast<int>(number)));
      const Ledger& rows = result ? result->attempts : result.error().attempts;
      for (const Attempt& row : rows) {
        if (row.sent) fmt::format_to(std::back_inserter(trace), "{} ", row.target.name());
      }
      fmt::format_to(std::back_inserter(trace), "-> {}; ",
                     result ? result->served_by.name() : std::string{to_string(result.error().kind)});
    } catch (const std::exception& thrown) {
      fmt::format_to(std::back_inserter(trace), "threw {}; ", thrown.what());
    }
  }
  return trace;
}

Case without_waiting(Case played) {
  const auto fail_at_once = [](auto&& self, Node& node) -> void {
    node.client.recovery = 1;
    for (Node& child : node.children) self(self, child);
  };
  fail_at_once(fail_at_once, played.root);
  return played;
}

/// Where a client among the candidates makes a difference: for whom sends are kept before a cap has said that only
/// cheaper ones will do, and which target without its model is probed when everything is out.
bool depends_on_candidates(const Case& played) {
  for (const PolicyKind kind : {PolicyKind::cap_budget, PolicyKind::cap_request, PolicyKind::probe}) {
    if (has_policy(played.root, kind)) return true;
  }
  const auto faults = testing::every_fault();
  return std::any_of(played.leaves.begin(), played.leaves.end(), [&](const LeafSpec& leaf) {
    return std::any_of(leaf.script.begin(), leaf.script.end(), [&](const StepSpec& step) {
      return step.fault >= 0 && faults[static_cast<std::size_t>(step.fault) % faults.size()].name == "no_such_model";
    });
  });
}

bool collect_leaves(const Node& node, bool is_root, std::vector<Node>& leaves) {
  if (node.leaf >= 0) {
    leaves.push_back(node);
    return true;
  }
  if (!is_root && (!(node.client == ClientSpec{}) || !node.policies.empty())) return false;
  return std::all_of(node.children.begin(), node.children.end(),
                     [&](const Node& child) { return collect_leaves(child, false, leaves); });
}

}  // namespace

std::optional<Case> flattened(const Case& nested) {
  const bool has_clients = std::any_of(nested.root.children.begin(), nested.root.children.end(),
                                       [](const Node& child) { return child.leaf < 0; });
  if (!has_clients || !(nested.root.client == ClientSpec{}) || depends_on_candidates(nested)) return std::nullopt;
  Case flat = nested;
  flat.root.children.clear();
  if (!collect_leaves(nested.root, true, flat.root.children)) return std::nullopt;
  return flat;
}

void check_nested(const Case& played, Found& found) {
  const auto flat = flattened(played);
  if (!flat) return;
  // What all wait for together when everything is out is decided by the outermost client, candidate by candidate.
  const std::string nested_trace = trace_of(without_waiting(played));
  const std::string flat_trace = trace_of(without_waiting(*flat));
  if (nested_trace == flat_trace) return;
  found.push_back({"nested-equals-flat", fmt::format("nested: {} flat: {}", nested_trace, flat_trace)});
}

// Of the first call, where nothing refuses that only a send can ask.
void check_plan(const Play& play, Found& found) {
  const Case& played = play.played();
  if (played.consumers.front().at != 0 || play.stack().log->calls().empty() || play.seen().empty()) return;
  for (const Node& child : played.root.children) {
    if (child.leaf < 0) return;
  }
  for (const PolicyKind kind : {PolicyKind::cap_request, PolicyKind::cap_budget, PolicyKind::cache, PolicyKind::before,
                                PolicyKind::around, PolicyKind::single_flight, PolicyKind::rate_limit}) {
    if (has_policy(played.root, kind)) return;
  }
  if (played.root.client.hedge >= 0) return;
  if (!played.consumers.front().around.empty() || !played.consumers.front().targets.empty()) return;
  if (played.consumers.size() > 1 || !play.seen().front().result) return;
  // Another call in the midst of it may put targets out that the plan knew as ready.
  if (acts_in_progress(played, played.consumers.front()) >= 0) return;
  const auto& result = *play.seen().front().result;
  const Ledger& rows = result ? result->attempts : result.error().attempts;
  if (rows.empty()) return;
  std::size_t row = 0;
  for (const Plan::Step& step : play.plan().steps) {
    if (row >= rows.size() || step.target.provider() == "local") return;
    if (step.summary && played.consumers.front().max_attempts > 0) return;  // the plan is made for the client's limits
    const Attempt& first = rows[row];
    const bool agrees = first.target == step.target && first.sent != step.skipped.has_value() &&
                        (!step.skipped || first.outcome == step.skipped->kind);
    if (!agrees) {
      found.push_back({"explain-agrees", fmt::format("the plan says that {} is {}, the row says that {} was {}",
                                                     step.target.name(), step.skipped ? "skipped" : "asked",
                                                     first.target.name(), first.sent ? "asked" : "skipped")});
      return;
    }
    if (!step.skipped) return;  // what comes of that send decides on the next
    ++row;
  }
}

}  // namespace stacks
