#include "backstop/testing/matchers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <ostream>
#include <vector>

namespace backstop::inline v0::testing {
namespace {

const Ledger& ledger_of(const CallResult& result) noexcept {
  return result ? result->attempts : result.error().attempts;
}

std::string in_quotes(std::string_view text) { return fmt::format("\"{}\"", text); }

/// The result in words, and below it a line for each row of the ledger.
std::string story(const CallResult& result) {
  if (!result) return "it failed: " + to_string(result.error());
  Error rows;
  rows.attempts = result->attempts;
  const std::string lines = to_string(rows);
  return fmt::format("it was answered by {}: {}{}", result->served_by.name(), in_quotes(result->text()),
                     lines.substr(std::min(lines.find('\n'), lines.size())));
}

Match matching(bool holds, std::string_view asked, const CallResult& result) {
  return {holds, fmt::format("{}: {}; {}", asked, holds ? "yes" : "no", story(result))};
}

template <class Condition>
int sends_where(const CallResult& result, Condition condition) {
  const Ledger& rows = ledger_of(result);
  return static_cast<int>(
      std::count_if(rows.begin(), rows.end(), [&](const Attempt& row) { return row.sent && condition(row); }));
}

template <class Condition>
bool any_row(const CallResult& result, Condition condition) {
  const Ledger& rows = ledger_of(result);
  return std::any_of(rows.begin(), rows.end(), condition);
}

Money cost_of_all(const CallResult& result) {
  Money sum;
  for (const Attempt& row : ledger_of(result)) sum += row.cost;
  return sum;
}

std::string list_of(const std::vector<std::string_view>& names) {
  return names.empty() ? "nobody" : fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Match& match) { return out << match.words(); }

Match answers(const CallResult& result) { return matching(result.has_value(), "answers", result); }

Match answers(const CallResult& result, std::string_view text) {
  return matching(result && result->text() == text, "answers " + in_quotes(text), result);
}

Match answered_by(const CallResult& result, std::string_view target) {
  return matching(result && result->served_by.name() == target, fmt::format("answered by {}", target), result);
}

Match fails_with(const CallResult& result, ErrorKind kind) {
  return matching(!result && result.error().kind == kind, fmt::format("fails with {}", to_string(kind)), result);
}

Match fails_with(const CallResult& result, ErrorKind kind, std::string_view target) {
  return matching(!result && result.error().kind == kind && result.error().target.name() == target,
                  fmt::format("fails with {} at {}", to_string(kind), target), result);
}

Match tried(const CallResult& result, std::initializer_list<std::string_view> targets) {
  const std::vector<std::string_view> expected{targets};
  std::vector<std::string_view> found;
  for (const Attempt& row : ledger_of(result)) {
    if (row.sent) found.push_back(row.target.name());
  }
  return matching(found == expected, fmt::format("tried {} (found: {})", list_of(expected), list_of(found)), result);
}

Match sends(const CallResult& result, int count) {
  const int found = sends_where(result, [](const Attempt&) { return true; });
  return matching(found == count, fmt::format("{} sends (found: {})", count, found), result);
}

Match sends_to(const CallResult& result, std::string_view target, int count) {
  const int found = sends_where(result, [&](const Attempt& row) { return row.target.name() == target; });
  return matching(found == count, fmt::format("{} sends to {} (found: {})", count, target, found), result);
}

Match failed_at(const CallResult& result, std::string_view target, ErrorKind kind) {
  const bool holds = any_row(
      result, [&](const Attempt& row) { return row.sent && row.target.name() == target && row.outcome == kind; });
  return matching(holds, fmt::format("a send to {} failed with {}", target, to_string(kind)), result);
}

Match skipped(const CallResult& result, std::string_view target) {
  const bool holds = any_row(result, [&](const Attempt& row) { return !row.sent && row.target.name() == target; });
  return matching(holds, fmt::format("skipped {}", target), result);
}

Match skipped(const CallResult& result, std::string_view target, ErrorKind why) {
  const bool holds = any_row(
      result, [&](const Attempt& row) { return !row.sent && row.target.name() == target && row.outcome == why; });
  return matching(holds, fmt::format("skipped {} because of {}", target, to_string(why)), result);
}

Match costs(const CallResult& result, Money amount) {
  const Money found = cost_of_all(result);
  return matching(found == amount, fmt::format("costs {} (found: {})", to_string(amount), to_string(found)), result);
}

Match costs_at_most(const CallResult& result, Money amount) {
  const Money found = cost_of_all(result);
  return matching(found <= amount, fmt::format("costs at most {} (found: {})", to_string(amount), to_string(found)),
                  result);
}

}  // namespace backstop::inline v0::testing
