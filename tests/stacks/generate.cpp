#include "stacks/generate.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "backstop/testing/faults.hpp"
#include "stacks/targets.hpp"

namespace stacks {
namespace {

using F = Feature;

struct FaultIndex {
  std::vector<int> plain;
  std::vector<int> after_content;
};

/// `every_fault()` by what a fault needs of the case.
const FaultIndex& fault_index() {
  static const FaultIndex index = [] {
    FaultIndex made;
    const auto faults = backstop::testing::every_fault();
    for (std::size_t i = 0; i < faults.size(); ++i) {
      const std::string_view name = faults[i].name;
      const bool content = name.find("content") != name.npos || name == "stalled_after" || name == "garbled_after" ||
                           name == "cut_tool_call";
      (content ? made.after_content : made.plain).push_back(static_cast<int>(i));
    }
    return made;
  }();
  return index;
}

bool has_handle(PolicyKind kind) noexcept {
  return kind == PolicyKind::breaker || kind == PolicyKind::cap_budget || kind == PolicyKind::rate_limit ||
         kind == PolicyKind::bulkhead || kind == PolicyKind::adaptive;
}

class Generator {
 public:
  Generator(std::uint64_t seed, const Features& features) : random_{seed} {
    made_.seed = seed;
    for (const FeatureRow& row : feature_table()) {
      on_[static_cast<std::size_t>(row.feature)] = features.draw(row.feature, random_);
    }
  }

  Case make() {
    // A third of the cases has few policies, so that what is seen can be told apart.
    most_policies_ = random_.pick({0, 1, 1, 2, 2, 3, 4, 6});
    if (random_.one_in(8)) {
      make_twofold();
    } else {
      made_.root = client(0);
      made_.root.policies.clear();
    }
    const int requests = on(F::several_calls) ? random_.between(1, 3) : 1;
    for (int i = 0; i < requests; ++i) made_.requests.push_back(request());
    const int consumers = on(F::several_calls) ? random_.between(2, 6) : 1;
    Millis at = 0;
    for (int i = 0; i < consumers; ++i) {
      made_.consumers.push_back(consumer(at));
      if (random_.one_in(2)) at += random_.pick<Millis>({1, 10, 100, 500, 2'000, 20'000, 120'000});
    }
    return std::move(made_);
  }

 private:
  [[nodiscard]] bool on(F feature) const noexcept { return on_[static_cast<std::size_t>(feature)]; }

  /// Clients of targets in a client, none of them with options or policies: such a tree is to behave as the flat one.
  void make_twofold() {
    const int groups = on(F::nested) ? random_.between(1, 3) : 0;
    for (int i = 0; i < groups; ++i) {
      Node inner;
      const int targets = random_.between(1, 3);
      for (int k = 0; k < targets; ++k) inner.children.push_back(leaf_node());
      made_.root.children.push_back(std::move(inner));
    }
    if (groups == 0 || random_.one_in(2)) made_.root.children.push_back(leaf_node());
  }

  Node client(int depth) {
    Node node;
    const int children = depth == 0 ? random_.between(1, 4) : random_.between(1, 3);
    for (int i = 0; i < children && made_.leaves.size() < 8; ++i) {
      const bool inner = depth < 2 && on(F::nested) && random_.below(100) < 35;
      node.children.push_back(inner ? client(depth + 1) : leaf_node());
    }
    if (node.children.empty()) node.children.push_back(leaf_node());
    if (on(F::client_options)) node.client = client_options(depth);
    if (on(F::strategy) && random_.one_in(2)) node.client.strategy = random_.between(1, strategies - 1);
    if (depth > 0 && on(F::around_clients)) node.policies = policies();
    if (on(F::degrade) && random_.one_in(depth == 0 ? 1 : 3)) node.client.degrade = random_.between(1, 5);
    return node;
  }

  /// The one place where the options of a client are drawn.
  ClientSpec client_options(int depth) {
    ClientSpec options;
    if (depth > 0 && random_.one_in(2)) return options;
    options.mid_stream = random_.below(3);
    options.hold = random_.one_in(4);
    if (on(F::hedge) && random_.one_in(2)) options.hedge = random_.below(3);
    if (random_.one_in(2)) options.recovery = random_.between(1, 2);
    if (random_.one_in(2)) options.max_attempts = random_.between(1, 8);
    if (random_.one_in(3)) options.deadline = random_.pick<Millis>({1'000, 5'000, 30'000, 120'000});
    options.filter_falls_back = random_.one_in(4);
    options.with_draft = on(F::floor) && random_.one_in(2);
    return options;
  }

  Node leaf_node() {
    Node node;
    node.leaf = static_cast<int>(made_.leaves.size());
    made_.leaves.push_back(leaf());
    node.policies = policies();
    return node;
  }

  LeafSpec leaf() {
    LeafSpec leaf;
    leaf.price = random_.pick({PriceSpec::cheap, PriceSpec::cheap, PriceSpec::dear, PriceSpec::dear, PriceSpec::zero,
                               PriceSpec::unknown});
    leaf.prefill = random_.one_in(2);
    if (on(F::misfits)) {
      if (random_.one_in(3)) leaf.window = small_window;
      leaf.tools = !random_.one_in(3);
      leaf.vision = !random_.one_in(3);
    }
    if (on(F::own_parameters)) {
      if (random_.one_in(2)) leaf.default_output = random_.pick({10, 500, 3'000});
      if (random_.one_in(2)) leaf.override_output = random_.pick({10, 500, 3'000});
      leaf.always_cold = random_.one_in(3);
    }
    if (on(F::custom_provider) && random_.one_in(2)) leaf.kind = custom_kind();
    const int steps = random_.pick({1, 1, 2, 3});
    const bool well = !on(F::faults) || random_.one_in(3);
    for (int i = 0; i < steps; ++i) leaf.script.push_back(step(well));
    return leaf;
  }

  LeafKind custom_kind() {
    if (on(F::throwing_provider) && random_.one_in(2)) {
      return random_.pick({LeafKind::custom_throws, LeafKind::custom_throws_plain, LeafKind::custom_claims});
    }
    return on(F::emit_blindly) ? LeafKind::custom_emits : LeafKind::custom_answers;
  }

  StepSpec step(bool well) {
    StepSpec step;
    step.latency = random_.pick<Millis>({0, 0, 0, 5, 50, 300, 1'500, 12'000});
    step.pieces = random_.pick({1, 1, 2, 3, 6});
    if (on(F::many_pieces) && random_.one_in(2)) step.pieces = random_.pick({60, 70, 150});
    if (random_.one_in(4)) step.gap = random_.pick<Millis>({1, 20, 400});
    step.usage = !random_.one_in(4);
    step.written = random_.pick({2, 2, 2, 300, 4'000});
    if (on(F::misestimates) && random_.one_in(3)) step.written = 50'000;
    if (well || random_.one_in(3)) return step;
    const FaultIndex& faults = fault_index();
    const auto& kind = on(F::content_faults) && random_.one_in(3) ? faults.after_content : faults.plain;
    step.fault = kind[static_cast<std::size_t>(random_.below(static_cast<int>(kind.size())))];
    return step;
  }

  std::vector<PolicySpec> policies() {
    std::vector<PolicySpec> stack;
    for (int i = random_.below(most_policies_ + 1); i > 0; --i) {
      if (const auto policy = this->policy()) stack.push_back(*policy);
    }
    return stack;
  }

  std::optional<PolicySpec> policy() {
    struct Choice {
      F feature;
      PolicyKind kind;
      int levels;
    };
    static constexpr std::array<Choice, 16> choices{{{F::retry, PolicyKind::retry, 4},
                                                     {F::timeout, PolicyKind::timeout, 4},
                                                     {F::breaker, PolicyKind::breaker, 4},
                                                     {F::cap_request, PolicyKind::cap_request, 4},
                                                     {F::cap_budget, PolicyKind::cap_budget, 4},
                                                     {F::rate_limit, PolicyKind::rate_limit, 4},
                                                     {F::bulkhead, PolicyKind::bulkhead, 4},
                                                     {F::adaptive, PolicyKind::adaptive, 2},
                                                     {F::cache, PolicyKind::cache, 2},
                                                     {F::single_flight, PolicyKind::single_flight, 1},
                                                     {F::before, PolicyKind::before, 2},
                                                     {F::after, PolicyKind::after, 2},
                                                     {F::around, PolicyKind::around, 5},
                                                     {F::decorator, PolicyKind::decorator, 2},
                                                     {F::probe, PolicyKind::probe, 2},

                                                     {F::floor, PolicyKind::floor, 4}}};
    std::array<const Choice*, choices.size()> open{};
    int count = 0;
    for (const Choice& choice : choices) {
      if (on(choice.feature)) open[static_cast<std::size_t>(count++)] = &choice;
    }
    if (count == 0) return std::nullopt;
    const Choice& choice = *open[static_cast<std::size_t>(random_.below(count))];
    PolicySpec spec;
    spec.kind = choice.kind;
    spec.level = random_.below(choice.levels);
    spec.handle = random_.below(2);
    const bool throws = on(F::throwing_intercept) && random_.one_in(3);
    if (on(F::after_rejects) && spec.kind == PolicyKind::after) spec.level = after_rejects;
    if (throws && spec.kind == PolicyKind::before) spec.level = before_throws;
    if (throws && spec.kind == PolicyKind::after) spec.level = after_throws;
    if (throws && spec.kind == PolicyKind::around) {
      spec.level = random_.between(around_throws_before, around_throws_after);
    }
    if (spec.kind == PolicyKind::decorator && on(F::throwing_decorator)) spec.level = decorator_throws;
    // Whoever refuses or answers everything leaves little to see: half as often.
    const bool blunt = (spec.kind == PolicyKind::before && spec.level != before_tags) ||
                       (spec.kind == PolicyKind::around && spec.level >= around_never);
    if (blunt && random_.one_in(2)) spec.level = 0;
    // Of a limit, a budget or a breaker the handle decides on the options, since it is one for all who have it.
    if (has_handle(spec.kind)) spec.level = handle_level(spec);
    return spec;
  }

  int handle_level(const PolicySpec& spec) {
    auto& levels = handle_levels_[static_cast<std::size_t>(spec.kind)];
    int& level = levels[static_cast<std::size_t>(spec.handle)];
    if (level < 0) level = spec.level;
    return level;
  }

  RequestSpec request() {
    RequestSpec request;
    request.cold = random_.one_in(3);
    if (random_.one_in(3)) request.max_output = random_.pick({20, 300, 2'000});
    if (!on(F::misfits)) return request;
    request.tools = random_.one_in(3);
    request.image = random_.one_in(3);
    request.long_prompt = random_.one_in(4);
    if (random_.one_in(3)) request.old_turns = random_.between(1, 3);
    return request;
  }

  static constexpr int strategies = 14;  // as `tables::strategy` has them

  ConsumerSpec consumer(Millis at) {
    ConsumerSpec one;
    one.at = at;
    one.request = random_.below(static_cast<int>(made_.requests.size()));
    one.face = face();
    if (random_.one_in(4)) one.deadline = random_.pick<Millis>({1, 100, 1'000, 8'000, 60'000, 3'600'000});
    if (random_.one_in(4)) one.max_attempts = random_.between(1, 8);
    if (one.face == Face::stream) {
      if (on(F::leave_stream)) one.leave_after = random_.pick({0, 1, 2, 3, 5, 66});
      if (on(F::slow_reader)) one.read_gap = random_.pick<Millis>({1, 50, 700, 5'000});
    }
    if (one.face == Face::start || one.face == Face::start_sink || one.face == Face::chat_async) handle_of(one);
    if (one.face == Face::start_sink) one.sink = sink();
    // A call cannot end while its own consumer waits for another inside `on_event`; who waits for its end there waits
    // for ever.
    if (one.sink == SinkDoes::chats && one.destroy_in_callback) one.destroy_at = -1;
    if (on(F::call_around) && random_.one_in(2)) {
      for (int i = random_.between(1, 2); i > 0; --i) {
        if (const auto policy = this->policy()) one.around.push_back(*policy);
      }
    }
    if (on(F::call_targets) && random_.one_in(2)) one.targets = targets();
    return one;
  }

  /// Some of the targets in any order; rarely some that the client cannot ask by themselves.
  std::vector<int> targets() {
    if (random_.one_in(16)) return {random_.below(static_cast<int>(made_.leaves.size()))};
    std::vector<std::vector<int>> choosable;
    collect_choosable(made_.root, choosable);
    std::vector<int> chosen;
    for (int left = random_.between(1, static_cast<int>(choosable.size())); left > 0; --left) {
      const auto which = choosable.begin() + random_.below(static_cast<int>(choosable.size()));
      chosen.insert(chosen.end(), which->begin(), which->end());
      choosable.erase(which);
    }
    return chosen;
  }

  Face face() {
    std::array<Face, 5> open{Face::chat};
    int count = 1;
    const auto add = [&](bool is_on, Face face) {
      if (is_on) open[static_cast<std::size_t>(count++)] = face;
    };
    add(on(F::stream), Face::stream);
    add(on(F::start), Face::start);
    add(on(F::start) && on(F::sink), Face::start_sink);
    add(on(F::async), Face::chat_async);
    return open[static_cast<std::size_t>(random_.below(count))];
  }

  void handle_of(ConsumerSpec& one) {
    const auto moment = [&] { return one.at + random_.pick<Millis>({0, 0, 1, 6, 60, 400, 1'600, 9'000, 40'000}); };
    if (one.face == Face::chat_async) {
      if (on(F::async_destroy)) one.destroy_at = moment();
      return;
    }
    if (on(F::cancel)) one.cancel_at = moment();
    if (on(F::destroy)) one.destroy_at = moment();
    if (one.destroy_at < 0 && on(F::destroy_in_callback)) {
      one.destroy_at = moment();
      one.destroy_in_callback = true;
    }
    if (!on(F::on_done)) return;
    one.on_done = OnDone::looks;
    if (on(F::on_done_throws)) one.on_done = OnDone::throws;
    if (on(F::on_done_starts)) one.on_done = OnDone::starts;
    if (on(F::on_done_chats)) one.on_done = OnDone::chats;
    if (on(F::on_done_destroys) && one.destroy_at < 0) one.on_done = OnDone::destroys;
  }

  SinkDoes sink() {
    if (on(F::sink_starts)) return SinkDoes::starts;
    if (on(F::sink_chats)) return SinkDoes::chats;
    if (on(F::sink_cancels)) return SinkDoes::cancels;
    if (on(F::slow_sink)) return SinkDoes::pauses;
    return SinkDoes::takes;
  }

  Random random_;
  std::array<bool, feature_count> on_{};
  std::array<std::array<int, 2>, 16> handle_levels_ = [] {
    std::array<std::array<int, 2>, 16> none{};
    for (auto& one : none) one.fill(-1);
    return none;
  }();
  int most_policies_ = 0;
  Case made_;
};

}  // namespace

Case generate(std::uint64_t seed, const Features& features) {
  Generator generator{seed, features};
  return generator.make();
}

}  // namespace stacks
