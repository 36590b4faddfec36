#include "stacks/shrink.hpp"

#include <cstddef>
#include <utility>
#include <vector>

namespace stacks {
namespace {

void collect(Node& node, std::vector<Node*>& nodes) {
  nodes.push_back(&node);
  for (Node& child : node.children) collect(child, nodes);
}

/// Drops targets that stand nowhere in the tree, and requests that nobody makes.
void compact(Case& one) {
  std::vector<Node*> nodes;
  collect(one.root, nodes);
  std::vector<LeafSpec> leaves;
  std::vector<int> new_places(one.leaves.size(), -1);
  for (Node* node : nodes) {
    if (node->leaf < 0) continue;
    const auto old = static_cast<std::size_t>(node->leaf);
    leaves.push_back(one.leaves[old]);
    node->leaf = new_places[old] = static_cast<int>(leaves.size()) - 1;
  }
  one.leaves = std::move(leaves);
  for (ConsumerSpec& consumer : one.consumers) {
    for (int& leaf : consumer.targets) leaf = new_places[static_cast<std::size_t>(leaf)];
    std::erase(consumer.targets, -1);
  }
  std::vector<RequestSpec> requests;
  std::vector<int> numbers(one.requests.size(), -1);
  for (ConsumerSpec& consumer : one.consumers) {
    const auto old = static_cast<std::size_t>(consumer.request);
    if (numbers[old] < 0) {
      numbers[old] = static_cast<int>(requests.size());
      requests.push_back(one.requests[old]);
    }
    consumer.request = numbers[old];
  }
  one.requests = std::move(requests);
}

class Shrinker {
 public:
  Shrinker(Case failing, const std::function<bool(const Case&)>& still_fails, int most_tries)
      : best_{std::move(failing)}, still_fails_{&still_fails}, tries_left_{most_tries} {}

  Case run() {
    for (bool smaller = true; smaller && tries_left_ > 0;) {
      smaller = false;
      smaller = drop_consumers() || smaller;
      smaller = drop_nodes() || smaller;
      smaller = drop_policies() || smaller;
      smaller = drop_steps() || smaller;
      smaller = simplify() || smaller;
    }
    return std::move(best_);
  }

 private:
  /// Takes the case where it still fails.
  bool take(Case candidate) {
    if (tries_left_ <= 0) return false;
    --tries_left_;
    compact(candidate);
    if (!(*still_fails_)(candidate)) return false;
    best_ = std::move(candidate);
    return true;
  }
  [[nodiscard]] std::size_t node_count() {
    std::vector<Node*> nodes;
    collect(best_.root, nodes);
    return nodes.size();
  }
  static Node& node_at(Case& one, std::size_t index) {
    std::vector<Node*> nodes;
    collect(one.root, nodes);
    return *nodes[index];
  }

  bool drop_consumers() {
    bool smaller = false;
    for (std::size_t i = best_.consumers.size(); i-- > 0 && best_.consumers.size() > 1;) {
      Case candidate = best_;
      candidate.consumers.erase(candidate.consumers.begin() + static_cast<std::ptrdiff_t>(i));
      smaller = take(std::move(candidate)) || smaller;
    }
    return smaller;
  }

  bool drop_nodes() {
    bool smaller = false;
    for (std::size_t index = 0; index < node_count(); ++index) {
      for (std::size_t child = node_at(best_, index).children.size(); child-- > 0;) {
        Case candidate = best_;
        Node& node = node_at(candidate, index);
        const auto place = node.children.begin() + static_cast<std::ptrdiff_t>(child);
        if (node.children.size() > 1) {
          node.children.erase(place);
          if (take(candidate)) {
            smaller = true;
            continue;
          }
          candidate = best_;
        }
        // An inner client gives its place to its children.
        Node& parent = node_at(candidate, index);
        Node inner = parent.children[child];
        if (inner.leaf >= 0) continue;
        const auto at = parent.children.erase(parent.children.begin() + static_cast<std::ptrdiff_t>(child));
        parent.children.insert(at, inner.children.begin(), inner.children.end());
        smaller = take(std::move(candidate)) || smaller;
      }
    }
    return smaller;
  }

  bool drop_policies() {
    bool smaller = false;
    for (std::size_t index = 0; index < node_count(); ++index) {
      for (std::size_t i = node_at(best_, index).policies.size(); i-- > 0;) {
        Case candidate = best_;
        auto& policies = node_at(candidate, index).policies;
        policies.erase(policies.begin() + static_cast<std::ptrdiff_t>(i));
        smaller = take(std::move(candidate)) || smaller;
      }
    }
    return smaller;
  }

  bool drop_steps() {
    bool smaller = false;
    for (std::size_t leaf = 0; leaf < best_.leaves.size(); ++leaf) {
      for (std::size_t i = best_.leaves[leaf].script.size(); i-- > 0 && best_.leaves[leaf].script.size() > 1;) {
        Case candidate = best_;
        auto& script = candidate.leaves[leaf].script;
        script.erase(script.begin() + static_cast<std::ptrdiff_t>(i));
        smaller = take(std::move(candidate)) || smaller;
      }
    }
    return smaller;
  }

  /// Sets one field to its simplest value.
  template <class Get, class T>
  bool set(Get get, const T& value) {
    Case candidate = best_;
    T& field = get(candidate);
    if (field == value) return false;
    field = value;
    return take(std::move(candidate));
  }

  bool simplify() {
    bool smaller = false;
    const auto note = [&](bool taken) { smaller = taken || smaller; };
    for (std::size_t i = 0; i < best_.consumers.size(); ++i) {
      const auto of = [i](auto field) { return [i, field](Case& one) -> auto& { return one.consumers[i].*field; }; };
      note(set(of(&ConsumerSpec::face), Face::chat));
      note(set(of(&ConsumerSpec::at), Millis{0}));
      note(set(of(&ConsumerSpec::request), 0));
      note(set(of(&ConsumerSpec::deadline), Millis{0}));
      note(set(of(&ConsumerSpec::max_attempts), 0));
      note(set(of(&ConsumerSpec::leave_after), -1));
      note(set(of(&ConsumerSpec::read_gap), Millis{0}));
      note(set(of(&ConsumerSpec::cancel_at), Millis{-1}));
      note(set(of(&ConsumerSpec::destroy_at), Millis{-1}));
      note(set(of(&ConsumerSpec::destroy_in_callback), false));
      note(set(of(&ConsumerSpec::on_done), OnDone::none));
      note(set(of(&ConsumerSpec::sink), SinkDoes::takes));
      note(set(of(&ConsumerSpec::around), std::vector<PolicySpec>{}));
      note(set(of(&ConsumerSpec::targets), std::vector<int>{}));
      for (std::size_t k = best_.consumers[i].around.size(); k-- > 0 && best_.consumers[i].around.size() > 1;) {
        Case candidate = best_;
        candidate.consumers[i].around.erase(candidate.consumers[i].around.begin() + static_cast<std::ptrdiff_t>(k));
        note(take(std::move(candidate)));
      }
    }
    for (std::size_t i = 0; i < best_.requests.size(); ++i) {
      const auto of = [i](auto field) { return [i, field](Case& one) -> auto& { return one.requests[i].*field; }; };
      note(set(of(&RequestSpec::tools), false));
      note(set(of(&RequestSpec::image), false));
      note(set(of(&RequestSpec::long_prompt), false));
      note(set(of(&RequestSpec::old_turns), 0));
      note(set(of(&RequestSpec::cold), false));
      note(set(of(&RequestSpec::max_output), 0));
    }
    for (std::size_t i = 0; i < best_.leaves.size(); ++i) {
      const auto of = [i](auto field) { return [i, field](Case& one) -> auto& { return one.leaves[i].*field; }; };
      note(set(of(&LeafSpec::kind), LeafKind::scripted));
      note(set(of(&LeafSpec::price), PriceSpec::cheap));
      note(set(of(&LeafSpec::window), std::int64_t{0}));
      note(set(of(&LeafSpec::tools), true));
      note(set(of(&LeafSpec::vision), true));
      note(set(of(&LeafSpec::prefill), false));
      note(set(of(&LeafSpec::default_output), 0));
      note(set(of(&LeafSpec::override_output), 0));
      note(set(of(&LeafSpec::always_cold), false));
      for (std::size_t k = 0; k < best_.leaves[i].script.size(); ++k) {
        const auto of_step = [i, k](auto field) {
          return [i, k, field](Case& one) -> auto& { return one.leaves[i].script[k].*field; };
        };
        note(set(of_step(&StepSpec::fault), int{StepSpec::answers}));
        note(set(of_step(&StepSpec::pieces), 1));
        note(set(of_step(&StepSpec::latency), Millis{0}));
        note(set(of_step(&StepSpec::gap), Millis{0}));
        note(set(of_step(&StepSpec::usage), true));
        note(set(of_step(&StepSpec::written), 2));
      }
    }
    for (std::size_t i = 0; i < node_count(); ++i) {
      const auto of = [i](auto field) {
        return [i, field](Case& one) -> auto& { return node_at(one, i).client.*field; };
      };
      note(set(of(&ClientSpec::mid_stream), 0));
      note(set(of(&ClientSpec::hold), false));
      note(set(of(&ClientSpec::max_attempts), 0));
      note(set(of(&ClientSpec::deadline), Millis{0}));
      note(set(of(&ClientSpec::filter_falls_back), false));
      note(set(of(&ClientSpec::with_draft), false));
      note(set(of(&ClientSpec::strategy), 0));
      note(set(of(&ClientSpec::degrade), 0));
      for (std::size_t k = 0; k < node_at(best_, i).policies.size(); ++k) {
        note(set([i, k](Case& one) -> int& { return node_at(one, i).policies[k].level; }, 0));
        note(set([i, k](Case& one) -> int& { return node_at(one, i).policies[k].handle; }, 0));
      }
    }
    return smaller;
  }

  Case best_;
  const std::function<bool(const Case&)>* still_fails_;
  int tries_left_;
};

}  // namespace

Case shrunk(Case failing, const std::function<bool(const Case&)>& still_fails, int most_tries) {
  Shrinker shrinker{std::move(failing), still_fails, most_tries};
  return shrinker.run();
}

}  // namespace stacks
