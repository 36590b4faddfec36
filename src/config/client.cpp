#include <algorithm>
#include <cstdlib>
#include <map>
#include <stdexcept>

#include <fmt/format.h>

#include "backstop/config/config.hpp"
#include "backstop/policies/cost_cap.hpp"
#include "backstop/policies/standard.hpp"
#include "config/route.hpp"
#include "config/setting.hpp"
#include "text/ascii.hpp"

namespace backstop::inline v0 {
namespace detail {
namespace {

/// What is wrong with the variable that should hold the target's key; empty when nothing is.
std::string variable_problem(const std::string& variable, const TargetConfig& target) {
  const char* key = std::getenv(variable.c_str());
  if (key != nullptr && !trim(key).empty()) return {};
  // Somebody may have given the key itself for the variable's name.
  const bool usual_name = variable.find_first_of("abcdefghijklmnopqrstuvwxyz") == std::string::npos;
  return fmt::format("the environment variable {}, which should hold the key of {}/{}, is {}; set it, or name another "
                     "with `api_key_env`", usual_name ? variable : "that `api_key_env` names",
                     target.model.name, target.model.model, key == nullptr ? "not set" : "empty");
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

/// The daily limits, one for all targets.
std::vector<Budget> budgets_of(const Config& config) {
  if (!config.spending) return {};
  const BudgetOptions& options = config.spending->per_day;
  if (!options.per_period && !options.fallback_premium_per_period) return {};
  return {Budget{options}};
}

}  // namespace
}  // namespace detail

Result<FallbackClient> FallbackClient::from_config(const Result<Config>& config, FallbackOptions options) {
  if (!config) return config.error();
  detail::Problems problems;
  std::vector<Provider> providers;
  try {
    const std::vector<Budget> budgets = detail::budgets_of(*config);
    detail::KeyRings rings;
    for (std::size_t i = 0; i < config->targets.size(); ++i) {
      const TargetConfig& target = config->targets[i];
      const std::string place = fmt::format("`fallback_policy.targets[{}]`: ", i);
      try {
        const std::string key_problem = detail::key_problem(target);
        if (!key_problem.empty()) problems.add(place + key_problem);
        const Credentials keys = key_problem.empty() ? rings.of(target) : Credentials{};
        providers.push_back(detail::provider_for(target, keys) | standard(detail::stack_of(target, *config, budgets)));
      } catch (const std::invalid_argument& error) {
        problems.add(place + error.what());
      }
    }
    if (!problems.empty()) return Error{ErrorKind::invalid_request, problems.text()};
    options.limits = config->limits;
    options.mid_stream = config->mid_stream;
    options.hold = config->hold;
    if (!config->degrade.empty()) {
      options.degrade = config->degrade;
      options.degrade_early = config->degrade_early;
    }
    // "max_retries": 0 is one request per target.
    const bool once = std::all_of(config->targets.begin(), config->targets.end(),
                                  [](const TargetConfig& target) { return target.retry.max_attempts <= 1; });
    if (once) options.recovery.repeat_failed = false;
    return FallbackClient{std::move(providers), std::move(options)};
  } catch (const std::invalid_argument& error) {
    return Error{ErrorKind::invalid_request, error.what()};
  }
}

}  // namespace backstop::inline v0
