#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "handover/rules.hpp"

namespace backstop::inline v0::detail {

/// True for a name of ASCII letters, digits, `_` and `-` with at most that many.
[[nodiscard]] bool is_tool_name(std::string_view name, std::size_t most_size) noexcept;

/// Gives every tool call of a conversation an id that the target accepts and that no other call has, deterministically
/// and in the order of the calls, so that a longer conversation keeps the ids of its beginning.
class ToolIdAssigner {
 public:
  explicit ToolIdAssigner(const ToolIdRule& rule) noexcept : rule_{&rule} {}

  [[nodiscard]] std::string assign(const std::string& id);
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> take_renamed() noexcept { return std::move(renamed_); }

 private:
  [[nodiscard]] std::string replacement(std::string_view id);

  const ToolIdRule* rule_;
  std::unordered_set<std::string> used_;
  std::vector<std::pair<std::string, std::string>> renamed_;
};

/// Gives every tool a name that the target accepts; the same tool always the same one, different tools different ones.
class ToolNameAssigner {
 public:
  explicit ToolNameAssigner(std::size_t most_size) noexcept : most_size_{most_size} {}

  /// Keeps a name that is acceptable from being taken by another tool.
  void reserve(const std::string& name);
  [[nodiscard]] const std::string& assign(const std::string& name);
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> take_renamed() noexcept { return std::move(renamed_); }

 private:
  std::size_t most_size_;
  std::unordered_map<std::string, std::string> assigned_;
  std::unordered_set<std::string> used_;
  std::vector<std::pair<std::string, std::string>> renamed_;
};

}  // namespace backstop::inline v0::detail
