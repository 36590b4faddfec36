// Which schemas are applied to one and the same value, by way of each other.

#include <algorithm>

#include <fmt/format.h>

#include "schema/rules.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr std::size_t most_for_one_value = 20'000;
constexpr std::size_t longest_way = 500;

/// Those that a schema applies to the value itself, not to what is in it.
[[nodiscard]] std::vector<SchemaNode::Index> for_same_value(const SchemaNode& node) {
  std::vector<SchemaNode::Index> all;
  const auto add = [&](std::optional<SchemaNode::Index> one) {
    if (one) all.push_back(*one);
  };
  for (const auto* list : {&node.all_of, &node.any_of, &node.one_of}) all.insert(all.end(), list->begin(), list->end());
  for (const auto& [name, index] : node.dependent_schemas) all.push_back(index);
  add(node.reference);
  add(node.negated);
  add(node.condition);
  if (node.condition) {
    add(node.when_true);
    add(node.when_false);
  }
  return all;
}

/// One that is on a circle, of those from which a way leads into one.
[[nodiscard]] SchemaNode::Index on_circle(const std::vector<std::vector<SchemaNode::Index>>& next,
                                          const std::vector<std::size_t>& open, SchemaNode::Index at) {
  std::vector<bool> seen(next.size(), false);
  while (!seen[at]) {
    seen[at] = true;
    at = *std::find_if(next[at].begin(), next[at].end(), [&](SchemaNode::Index one) { return open[one] > 0; });
  }
  return at;
}

}  // namespace

std::optional<SchemaProblem> problem_of_references(const std::vector<SchemaNode>& nodes,
                                                   const std::vector<std::string>& places) {
  using Index = SchemaNode::Index;
  std::vector<std::vector<Index>> next;
  std::vector<std::vector<Index>> before(nodes.size());
  std::vector<std::size_t> open;  // of each, how many of the next ones are not done
  for (const SchemaNode& node : nodes) {
    for (const Index one : next.emplace_back(for_same_value(node))) before[one].push_back(next.size() - 1);
    open.push_back(next.back().size());
  }
  std::vector<Index> done;
  for (Index index = 0; index < nodes.size(); ++index) {
    if (open[index] == 0) done.push_back(index);
  }
  std::vector<std::size_t> applied(nodes.size(), 1);
  std::vector<std::size_t> way(nodes.size(), 1);
  for (std::size_t i = 0; i < done.size(); ++i) {
    const Index index = done[i];
    for (const Index one : next[index]) {
      applied[index] += applied[one];
      way[index] = std::max(way[index], way[one] + 1);
    }
    if (applied[index] > most_for_one_value || way[index] > longest_way) {
      return SchemaProblem{
          places[index], fmt::format("applies too many schemas to one value; {} are accepted, {} by way of each other",
                                     most_for_one_value, longest_way)};
    }
    for (const Index one : before[index]) {
      if (--open[one] == 0) done.push_back(one);
    }
  }
  if (done.size() == nodes.size()) return std::nullopt;
  const auto left = std::find_if(open.begin(), open.end(), [](std::size_t count) { return count > 0; });
  const Index index = on_circle(next, open, static_cast<Index>(left - open.begin()));
  return SchemaProblem{places[index],
                       "applies itself to the same value, in a circle; it may refer to itself for what is "
                       "inside the value, as in `properties` or `items`"};
}

}  // namespace backstop::inline v0::detail
