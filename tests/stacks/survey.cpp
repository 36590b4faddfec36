#include "stacks/survey.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string_view>

#include "stacks/data.hpp"
#include "stacks/generate.hpp"
#include "stacks/isolate.hpp"
#include "stacks/program.hpp"
#include "stacks/shrink.hpp"

namespace stacks {
namespace {

constexpr int shrink_patience_ms = 2'000;
constexpr std::size_t most_seeds = 200;

const Violation* find(const std::vector<Violation>& violations, const std::string& check) {
  const auto found = std::find_if(violations.begin(), violations.end(),
                                  [&](const Violation& one) { return one.check == check; });
  return found == violations.end() ? nullptr : &*found;
}

void shape_of(const Node& node, std::string& shape) {
  if (node.leaf < 0) {
    shape += node.client == ClientSpec{} ? "client(" : "client with options(";
    for (const Node& child : node.children) shape_of(child, shape);
    shape += ")";
  } else {
    shape += "t";
  }
  for (const PolicySpec& policy : node.policies) {
    fmt::format_to(std::back_inserter(shape), "|{}.{}", static_cast<int>(policy.kind), policy.level);
  }
  shape += " ";
}

/// What cases have in common that most likely show the same fault.
std::string shape_of(const Case& small) {
  std::string shape;
  shape_of(small.root, shape);
  for (const LeafSpec& leaf : small.leaves) {
    if (leaf.kind == LeafKind::scripted) continue;
    fmt::format_to(std::back_inserter(shape), "own{} ", static_cast<int>(leaf.kind));
  }
  for (const ConsumerSpec& one : small.consumers) {
    fmt::format_to(std::back_inserter(shape), "face{}{}{}{} ", static_cast<int>(one.face),
                   one.leave_after >= 0 ? " leaves" : "", one.cancel_at >= 0 ? " cancels" : "",
                   one.destroy_at >= 0 ? " destroys" : "");
    const auto add = [&](std::string_view what, auto value) {
      fmt::format_to(std::back_inserter(shape), "{}{} ", what, static_cast<int>(value));
    };
    if (one.on_done > OnDone::looks) add("done", one.on_done);
    if (one.sink > SinkDoes::takes) add("sink", one.sink);
  }
  return shape;
}

}  // namespace

Survey survey(std::uint64_t first, std::uint64_t count, const Features& features) {
  Survey survey;
  survey.cases = count;
  play_all(
      first, count, [&](std::uint64_t seed) { return generate(seed, features); },
      [&](std::uint64_t seed, const std::vector<Violation>& violations) {
        ++survey.failing;
        for (const Violation& violation : violations) {
          Survey::Finding& finding = survey.by_check[violation.check];
          ++finding.count;
          if (finding.seeds.size() < most_seeds) finding.seeds.push_back(seed);
        }
      });
  return survey;
}

std::string report_of(const Survey& survey, const Features& features, int to_shrink) {
  std::string text = fmt::format("{} of {} cases break something\n", survey.failing, survey.cases);
  for (const auto& entry : survey.by_check) {
    const std::string& check = entry.first;
    const Survey::Finding& finding = entry.second;
    fmt::format_to(std::back_inserter(text), "\n{}: {} cases, first with seed {}\n", check, finding.count,
                   finding.seeds.front());
    const auto still_fails = [&](const Case& one) { return find(play_one(one, shrink_patience_ms), check) != nullptr; };
    std::map<std::string, int> shapes;
    for (std::size_t i = 0; i < finding.seeds.size() && i < static_cast<std::size_t>(std::max(1, to_shrink)); ++i) {
      const Case small = shrunk(generate(finding.seeds[i], features), still_fails);
      if (shapes[shape_of(small)]++ > 0) continue;
      const auto violations = play_one(small, shrink_patience_ms);
      const Violation* left = find(violations, check);
      fmt::format_to(std::back_inserter(text), "// {}: {}\n{}// to keep it:\n// {}\n\n", check,
                     left != nullptr ? left->detail : "(does not fail alone)", program_of(small), data_of(small));
    }
    for (const auto& [shape, count] : shapes) {
      fmt::format_to(std::back_inserter(text), "{} of {}: {}\n", count, std::max(1, to_shrink), shape);
    }
  }
  return text;
}

}  // namespace stacks
