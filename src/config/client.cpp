#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>

#include <fmt/format.h>

#include "backstop/config/config.hpp"
#include "backstop/policies/accept_if.hpp"
#include "backstop/policies/cost_cap.hpp"
#include "backstop/policies/probe.hpp"
#include "backstop/policies/standard.hpp"
#include "config/only_when.hpp"
#include "config/policy_blocks.hpp"
#include "config/route.hpp"
#include "config/setting.hpp"
#include "providers/http/environment.hpp"

namespace backstop::inline v0 {
namespace detail {
namespace {

/// What is wrong with the variable that should hold the target's key; empty when nothing is.
std::string variable_problem(const std::string& variable, const TargetConfig& target) {
  if (!from_environment(variable).empty()) return {};
  // Somebody may have given the key itself for the variable's name.
  const bool usual_name = variable.find_first_of("abcdefghijklmnopqrstuvwxyz") == std::string::npos;
  return fmt::format("the environment variable {}, which should hold the key of {}/{}, is not set, or empty; set it, "
                     "or name another with `api_key_env`", usual_name ? variable : "that `api_key_env` names",
                     target.model.name, target.model.model);
}

std::string key_problem(const TargetConfig& target) {
  for (const std::string& variable : target.key_variables) {
    if (std::string problem = variable_problem(variable, target); !problem.empty()) return problem;
  }
  const Route route = route_of(target);
  if (!target.key_variables.empty() || !target.model.api_key.empty() || !route.needs_key) return {};
  if (!route.key_variable.empty()) return variable_problem(route.key_variable, target);
  return fmt::format("{}/{} needs a key; name the environment variable that holds it with `api_key_env`",
                     target.model.name, target.model.model);
}

/// The handles on several keys, one for each list of variables, so that targets share them.
class KeyRings {
 public:
  [[nodiscard]] Credentials of(const TargetConfig& target) {
    if (target.key_variables.empty()) return {};
    Credentials& keys = rings_[target.key_variables];
    if (keys.empty()) keys = credentials_from_env(target.key_variables);
    return keys;
  }

 private:
  std::map<std::vector<std::string>, Credentials> rings_;
};

StandardOptions stack_of(const TargetConfig& target, const Config& config, const std::vector<Budget>& budgets) {
  StandardOptions options;
  options.timeout = target.timeout;
  options.retry = target.retry;
  options.circuit_breaker = target.circuit_breaker;
  options.rate_limit = target.rate_limit;
  if (config.spending) {
    options.cost_cap = CostCapOptions{.per_request = config.spending->per_request, .budgets = budgets};
  }
  return options;
}

Policy floor_of(const FloorConfig& floor) {
  std::optional<Check> all;
  const auto add = [&](bool wanted, const auto& make) {
    if (wanted) all = all ? *all && make() : make();
  };
  // What is cheap to find out first.
  add(floor.finished, finished);
  add(floor.not_empty, not_empty);
  add(floor.not_refused, not_refused);
  add(floor.min_length || floor.max_length, [&] {
    return length_between(static_cast<std::size_t>(floor.min_length.value_or(0)),
                          floor.max_length ? static_cast<std::size_t>(*floor.max_length)
                                           : std::numeric_limits<std::size_t>::max());
  });
  add(!floor.one_of.empty(), [&] { return one_of_labels(floor.one_of); });
  add(floor.matches_schema, [] { return matches_schema(); });
  add(floor.valid_tool_arguments, [] { return valid_tool_arguments(); });
  if (!all) throw std::invalid_argument{"`accept_if` has no check"};
  return accept_if(*all, {.repair = floor.repair});
}

/// The daily limits, one for all targets.
std::vector<Budget> budgets_of(const Config& config) {
  if (!config.spending) return {};
  const BudgetOptions& options = config.spending->per_day;
  if (!options.per_period && !options.fallback_premium_per_period) return {};
  return {Budget{options}};
}

/// Makes the clients of a policy file, the inner ones first.
class Builder {
 public:
  Builder(const Config& config, const FallbackOptions& options, Problems& problems)
      : config_{&config}, options_{&options}, problems_{&problems}, budgets_{budgets_of(config)} {}

  /// The members that there is nothing wrong with. `name`: of the group, for those that have no place in a file.
  [[nodiscard]] std::vector<Provider> members_of(const GroupConfig& group, const std::string& name) {
    std::vector<Provider> members;
    if (group.members.empty()) problems_->add(fmt::format("`{}` has no members; at least one is needed", name));
    for (std::size_t i = 0; i < group.members.size(); ++i) {
      const GroupConfig::Member& member = group.members[i];
      const std::string place = member.place.empty() ? fmt::format("{}.members[{}]", name, i) : member.place;
      std::optional<Provider> made =
          member.group.empty() ? target(member, place) : client(member.group.front(), place + ".group");
      if (!made) continue;
      if (member.floor) made = *std::move(made) | floor_of(*member.floor);
      members.push_back(member.when ? *made | only_when(*member.when) : *std::move(made));
    }
    return members;
  }

 private:
  [[nodiscard]] std::optional<Provider> target(const GroupConfig::Member& member, const std::string& at) {
    const std::string place = fmt::format("`{}`: ", at);
    if (member.target >= config_->targets.size()) {
      problems_->add(fmt::format("{}its target is number {}, of {}", place, member.target, config_->targets.size()));
      return std::nullopt;
    }
    const TargetConfig& target = config_->targets[member.target];
    try {
      const std::string problem = key_problem(target);
      if (!problem.empty()) problems_->add(place + problem);
      Provider provider = provider_for(target, problem.empty() ? rings_.of(target) : Credentials{});
      if (target.probe) provider = provider | probe(*target.probe);
      provider = std::move(provider) | standard(stack_of(target, *config_, budgets_));
      return target.accept_if ? std::move(provider) | floor_of(*target.accept_if) : std::move(provider);
    } catch (const std::invalid_argument& error) {
      problems_->add(place + error.what());
      return std::nullopt;
    }
  }
  [[nodiscard]] std::optional<Provider> client(const GroupConfig& group, const std::string& name) {
    std::vector<Provider> members = members_of(group, name);
    if (members.empty()) return std::nullopt;
    FallbackOptions options = *options_;
    options.strategy = group.strategy && members.size() == group.members.size() ? *group.strategy : ordered();
    options.escalation = group.escalation.value_or(Escalation::none);
    if (group.deadline) options.limits.deadline = *group.deadline;
    if (group.attempts) options.limits.max_attempts = *group.attempts;
    options.observers.clear();  // those of the outermost are told of every attempt
    options.hedge.reset();
    options.hold.reset();
    options.degrade.clear();  // the outermost has the ladder, with all targets below it
    return Provider{FallbackClient{std::move(members), std::move(options)}};
  }

  const Config* config_;
  const FallbackOptions* options_;
  Problems* problems_;
  std::vector<Budget> budgets_;
  KeyRings rings_;
};

/// Without groups of its own it has the targets as they are listed.
[[nodiscard]] GroupConfig root_of(const Config& config) {
  GroupConfig root = config.root;
  if (!root.members.empty()) return root;
  for (std::size_t i = 0; i < config.targets.size(); ++i) {
    root.members.push_back({.target = i, .place = fmt::format("fallback_policy.targets[{}]", i)});
  }
  return root;
}

}  // namespace
}  // namespace detail

Result<FallbackClient> FallbackClient::from_config(const Result<Config>& config, FallbackOptions options) {
  if (!config) return config.error();
  detail::Problems problems;
  try {
    options.limits = config->limits;
    options.mid_stream = config->mid_stream;
    options.hold = config->hold;
    detail::lay_over(*config, options.hedge, options.recovery);
    if (!config->degrade.empty()) {
      options.degrade = config->degrade;
      options.degrade_early = config->degrade_early;
    }
    const bool bounded = std::all_of(config->targets.begin(), config->targets.end(),
                                     [](const TargetConfig& target) { return target.retries_given; });
    const std::vector<std::string>& given = config->given;
    const bool said = std::find(given.begin(), given.end(), "recovery.repeat_failed") != given.end();
    if (bounded && !said) options.recovery.repeat_failed = false;
    const GroupConfig root = detail::root_of(*config);
    std::vector<Provider> members = detail::Builder{*config, options, problems}.members_of(root, "root");
    if (!problems.empty()) return Error{ErrorKind::invalid_request, problems.text()};
    if (root.strategy) options.strategy = *root.strategy;
    if (root.escalation) options.escalation = *root.escalation;
    return FallbackClient{std::move(members), std::move(options)};
  } catch (const std::invalid_argument& error) {
    return Error{ErrorKind::invalid_request, error.what()};
  }
}

}  // namespace backstop::inline v0
