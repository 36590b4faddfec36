#include "backstop/routing/rules.hpp"

#include <algorithm>
#include <memory>
#include <stdexcept>

#include <fmt/format.h>

#include "routing/branches.hpp"

namespace backstop::inline v0 {
namespace detail {
namespace {

void order_by(const std::vector<Rule>& rules, std::optional<std::size_t> otherwise, Choice& choice) {
  for (std::size_t candidate = 0; candidate < choice.size(); ++candidate) {
    const bool named =
        std::any_of(rules.begin(), rules.end(), [candidate](const Rule& rule) { return rule.branch == candidate; });
    if (named) choice.put_last(candidate);
  }
  if (otherwise) choice.prefer(*otherwise);
  for (auto rule = rules.rbegin(); rule != rules.rend(); ++rule) {
    if (rule->when.holds(choice.request(), choice.needs())) choice.prefer(rule->branch);
  }
}

}  // namespace

Strategy branches(std::string description, std::vector<Rule> rules, std::optional<std::size_t> otherwise) {
  auto shared = std::make_shared<const std::vector<Rule>>(std::move(rules));
  std::string name = description.substr(0, description.find('('));
  return Strategy{std::move(description), [shared, otherwise, name = std::move(name)](std::size_t candidates) {
                    const auto check = [&](std::size_t branch) {
                      if (branch < candidates) return;
                      throw std::invalid_argument{fmt::format("{}: branch {} of a client with {} candidates; the first "
                                                              "one is 0",
                                                              name, branch, candidates)};
                    };
                    for (const Rule& rule : *shared) check(rule.branch);
                    if (otherwise) check(*otherwise);
                    return Strategy::Chooser{
                        .order = [shared, otherwise](Choice& choice) { order_by(*shared, otherwise, choice); }};
                  }};
}

}  // namespace detail

Strategy rules(std::vector<Rule> rules) {
  if (rules.empty()) throw std::invalid_argument{"rules: there are none"};
  std::string description = "rules(";
  for (const Rule& rule : rules) {
    description += fmt::format("{}{}: {}", description.back() == '(' ? "" : ", ", rule.when.describe(), rule.branch);
  }
  return detail::branches(description + ")", std::move(rules), std::nullopt);
}

}  // namespace backstop::inline v0
