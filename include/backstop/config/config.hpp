#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backstop/chat/result.hpp"
#include "backstop/export.hpp"
#include "backstop/fallback_client.hpp"
#include "backstop/policies/circuit_breaker.hpp"
#include "backstop/policies/rate_limit.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/policies/timeout.hpp"
#include "backstop/providers/model_options.hpp"
#include "backstop/state/budget.hpp"

namespace backstop::inline v0 {

/// A target of a policy file, the policy's own blocks merged in.
struct TargetConfig {
  ModelOptions model{};  ///< `name` is the provider's; a file sets no key
  /// Several variables, each with a key, where `api_key_env` is a list. Targets that name the same ones share the
  /// state of the keys.
  std::vector<std::string> key_variables{};
  std::string wire{};    ///< "openai" or "anthropic"; empty: the provider's usual one, "openai" where none is known
  TimeoutOptions timeout{};
  RetryOptions retry{};
  CircuitBreakerOptions circuit_breaker{};
  std::optional<RateLimitOptions> rate_limit{};  ///< each target's own, where the policy gives one for all, too
};

/// What the calls may cost; the daily limits are one for all targets.
struct SpendingConfig {
  std::optional<Money> per_request{};
  BudgetOptions per_day{};
};

/// A policy file, read: which targets in which order, and how they are called.
struct Config {
  std::vector<TargetConfig> targets;
  CallLimits limits;
  MidStream mid_stream = MidStream::fail;
  std::optional<StreamHold> hold;
  std::optional<SpendingConfig> spending;
  std::vector<Rung> degrade;  ///< with `allow_degradation` written out; empty where the file has none
  bool degrade_early = false;
};

/// Reads a policy in JSON.
///
/// ```json
/// {"fallback_policy": {"targets": ["openai/gpt-5.6-sol", {"target": "anthropic/claude-sonnet-5"}],
///                      "deadline": "60s", "timeout": {"first_token": "10s"}, "max_retries": 2}}
/// ```
///
/// Limits that are not given keep their defaults, or give way to those that are. `max_retries` and `retry.max_attempts`
/// bound the sends to one target; while another target is ready the smaller bound of `RetryOptions` holds as well.
///
/// Errors: `invalid_request` with every complaint, each naming its place
/// (`fallback_policy.targets[1].timeout.connect`), the value, and what is accepted: unknown keys, keys that this build
/// cannot enforce, values of the wrong kind, limits that contradict each other, a target listed twice, a JSON key that
/// stands twice, and the key of a provider. A provider's key is never quoted. Broken JSON is reported with its line and
/// column.
[[nodiscard]] BACKSTOP_EXPORT Result<Config> parse_config(std::string_view text);

/// The same from a file; its name stands in front of the complaints.
///
/// Example: `auto client = FallbackClient::from_config(load_config("policy.json"));`
[[nodiscard]] BACKSTOP_EXPORT Result<Config> load_config(const std::string& path);

}  // namespace backstop::inline v0
