#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "stacks/case.hpp"

/// What `CallOptions::targets` may name in a case.
namespace stacks {

inline void collect_leaves_below(const Node& node, std::vector<int>& leaves) {
  if (node.leaf >= 0) leaves.push_back(node.leaf);
  for (const Node& child : node.children) collect_leaves_below(child, leaves);
}

/// The targets that are asked together or not at all: each by itself, and those behind policies around a client.
inline void collect_choosable(const Node& client, std::vector<std::vector<int>>& choosable) {
  for (const Node& child : client.children) {
    if (child.leaf < 0 && child.policies.empty()) {
      collect_choosable(child, choosable);
    } else {
      collect_leaves_below(child, choosable.emplace_back());
    }
  }
}

/// Whether the client can ask just these targets.
[[nodiscard]] inline bool can_be_chosen(const Node& root, std::vector<int> targets) {
  std::sort(targets.begin(), targets.end());
  if (std::adjacent_find(targets.begin(), targets.end()) != targets.end()) return false;
  std::vector<std::vector<int>> choosable;
  collect_choosable(root, choosable);
  return std::all_of(choosable.begin(), choosable.end(), [&](const std::vector<int>& together) {
    const auto named = std::count_if(together.begin(), together.end(), [&](int leaf) {
      return std::binary_search(targets.begin(), targets.end(), leaf);
    });
    return named == 0 || named == static_cast<std::ptrdiff_t>(together.size());
  });
}

}  // namespace stacks
