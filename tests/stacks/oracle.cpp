#include <algorithm>
#include <string_view>
#include <utility>

#include "backstop/testing/faults.hpp"
#include "stacks/checks.hpp"
#include "stacks/targets.hpp"

namespace stacks {
namespace {

std::string_view fault_name(const StepSpec& step) {
  static const auto faults = backstop::testing::every_fault();
  return step.fault < 0 ? std::string_view{} : faults[static_cast<std::size_t>(step.fault) % faults.size()].name;
}

/// A failure that by its kind does not lead to just any other target.
bool ends_the_walk(const StepSpec& step) {
  const std::string_view name = fault_name(step);
  return name == "bad_request" || name == "filtered" || name == "context_too_long";
}

bool breaks_after_content(const StepSpec& step) {
  const std::string_view name = fault_name(step);
  return name.find("content") != name.npos || name == "stalled_after" || name == "garbled_after" ||
         name == "cut_tool_call";
}

Millis length_of(const StepSpec& step) noexcept { return step.latency + step.gap * (step.pieces - 1); }

bool answers_soon(const StepSpec& step) noexcept { return step.fault == StepSpec::answers && length_of(step) <= 600; }

bool is_well(const LeafSpec& leaf) {
  if (leaf.kind == LeafKind::custom_answers || leaf.kind == LeafKind::custom_emits) return true;
  return leaf.kind == LeafKind::scripted && std::all_of(leaf.script.begin(), leaf.script.end(), answers_soon);
}

/// Lets every call through and changes nothing of an answer.
bool is_transparent(const PolicySpec& policy) noexcept {
  switch (policy.kind) {
    case PolicyKind::retry:
    case PolicyKind::timeout:
    case PolicyKind::cache:
    case PolicyKind::single_flight: return true;
    case PolicyKind::decorator: return policy.level == decorator_passes;
    case PolicyKind::before: return policy.level == before_tags;
    case PolicyKind::after: return policy.level == after_looks || policy.level == after_rescues;
    case PolicyKind::around: return policy.level == around_once || policy.level == around_sleeps;
    case PolicyKind::floor: return policy.level == floor_accepts;
    default: return false;
  }
}

/// Makes calls end for reasons that this oracle does not follow, wherever it stands.
bool is_opaque(const PolicySpec& policy) noexcept {
  switch (policy.kind) {
    case PolicyKind::cap_request:
    case PolicyKind::cap_budget: return true;
    case PolicyKind::decorator:
    case PolicyKind::before:
    case PolicyKind::around: return !is_transparent(policy);
    case PolicyKind::after: return policy.level == after_throws;
    // Repairs and judges use up sends and time.
    case PolicyKind::floor: return policy.level == floor_repairs || policy.level == floor_judges;
    default: return false;
  }
}

struct Way {
  int sends;
  Millis time;
};

class Oracle {
 public:
  Oracle(const Case& played, const ConsumerSpec& consumer)
      : case_{&played}, consumer_{&consumer}, root_{played.root},
        request_{&played.requests[static_cast<std::size_t>(consumer.request) % played.requests.size()]} {
    root_.policies = consumer.around;
  }

  bool answered() {
    if (!consumer_->targets.empty() && !can_be_chosen(case_->root, consumer_->targets)) return false;
    const bool opaque = any_opaque(root_);
    const bool streams = consumer_->face == Face::stream || consumer_->face == Face::start_sink;
    if (leaves_early() || opaque || (streams && rejects_)) return false;
    for (const LeafSpec& leaf : case_->leaves) {
      for (const StepSpec& step : leaf.script) {
        if (ends_the_walk(step)) return false;
        // What has been delivered may break off, by a limit of time as well.
        if (streams && (breaks_after_content(step) || (step.fault < 0 && length_of(step) > 600))) return false;
      }
    }
    const auto leaves = static_cast<int>(case_->leaves.size());
    sends_needed_ = leaves;
    // A send is kept for each target that is ready when another is asked; which of them are changes with other calls
    // and with limits. Where it does, each target may use up all its retries before the next.
    if (repeats_ && (limited_ || case_->consumers.size() > 1)) sends_needed_ = 4 * leaves;
    // With less to do a target may be asked once more for each rung; and summaries are sends, too.
    if (degrades_) sends_needed_ = 4 * leaves + 3;
    time_needed_ = Millis{2'000} << static_cast<unsigned>(leaves);
    const Way way{consumer_->max_attempts > 0 ? consumer_->max_attempts : sends_of(root_.client),
                  consumer_->deadline > 0 ? consumer_->deadline : time_of(root_.client)};
    return reaches(root_, way, true);
  }

 private:
  [[nodiscard]] static int sends_of(const ClientSpec& client) noexcept {
    return client.max_attempts > 0 ? client.max_attempts : 5;
  }
  [[nodiscard]] static Millis time_of(const ClientSpec& client) noexcept {
    return client.deadline > 0 ? client.deadline : 600'000;
  }
  [[nodiscard]] bool leaves_early() const noexcept {
    return consumer_->leave_after >= 0 || consumer_->read_gap > 0 || consumer_->cancel_at >= 0 ||
           consumer_->destroy_at >= 0 || consumer_->sink == SinkDoes::cancels || consumer_->sink == SinkDoes::pauses;
  }
  bool any_opaque(const Node& node) {
    degrades_ = degrades_ || node.client.degrade > 0;
    for (const PolicySpec& policy : node.policies) {
      if (is_opaque(policy)) return true;
      // What others share with this call, and what ends theirs, is not followed.
      if (policy.kind == PolicyKind::single_flight && case_->consumers.size() > 1) return true;
      repeats_ = repeats_ || policy.kind == PolicyKind::retry;
      rejects_ = rejects_ || (policy.kind == PolicyKind::after && policy.level == after_rejects) ||
                 (policy.kind == PolicyKind::floor && policy.level == floor_rejects);
      limited_ = limited_ || policy.kind == PolicyKind::breaker || policy.kind == PolicyKind::rate_limit ||
                 policy.kind == PolicyKind::bulkhead || policy.kind == PolicyKind::adaptive ||
                 policy.kind == PolicyKind::probe;
    }
    return std::any_of(node.children.begin(), node.children.end(),
                       [&](const Node& child) { return any_opaque(child); });
  }
  [[nodiscard]] bool reaches(const Node& node, Way way, bool is_root) const {
    if (!std::all_of(node.policies.begin(), node.policies.end(), is_transparent)) return false;
    if (node.leaf >= 0) {
      const auto& targets = consumer_->targets;
      if (!targets.empty() && std::find(targets.begin(), targets.end(), node.leaf) == targets.end()) return false;
      const LeafSpec& leaf = case_->leaves[static_cast<std::size_t>(node.leaf)];
      return is_well(leaf) && !misfit(leaf, *request_) && way.sends >= sends_needed_ && way.time >= time_needed_;
    }
    if (!is_root) way = {std::min(way.sends, sends_of(node.client)), std::min(way.time, time_of(node.client))};
    return std::any_of(node.children.begin(), node.children.end(),
                       [&](const Node& child) { return reaches(child, way, false); });
  }

  const Case* case_;
  const ConsumerSpec* consumer_;
  Node root_;  // with what is around it for this call
  const RequestSpec* request_;
  bool repeats_ = false;
  bool rejects_ = false;  // what may have been delivered
  bool limited_ = false;
  bool degrades_ = false;
  int sends_needed_ = 0;
  Millis time_needed_ = 0;
};

}  // namespace

bool must_be_answered(const Case& played, const ConsumerSpec& consumer) {
  Oracle oracle{played, consumer};
  return oracle.answered();
}

}  // namespace stacks
