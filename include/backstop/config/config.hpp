#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backstop/catalog/catalog.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/export.hpp"
#include "backstop/fallback_client.hpp"
#include "backstop/policies/circuit_breaker.hpp"
#include "backstop/policies/probe.hpp"
#include "backstop/policies/rate_limit.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/policies/timeout.hpp"
#include "backstop/providers/model_options.hpp"
#include "backstop/routing/hedge.hpp"
#include "backstop/routing/recovery_options.hpp"
#include "backstop/routing/rules.hpp"
#include "backstop/routing/strategy.hpp"
#include "backstop/state/budget.hpp"

namespace backstop::inline v0 {

/// The quality floor of a target (`accept_if`): what its answers must be like. All that is set must hold.
struct FloorConfig {
  bool matches_schema = false;
  bool finished = false;
  bool not_empty = false;
  bool not_refused = false;
  bool valid_tool_arguments = false;
  std::optional<int> min_length{};  ///< characters
  std::optional<int> max_length{};
  std::vector<std::string> one_of{};
  int repair = 0;

  friend bool operator==(const FloorConfig&, const FloorConfig&) = default;
};

/// What the place has to know where a wire is offered. A key that the target's wire has no use for is an error.
struct PlatformConfig {
  std::string region{};    ///< of `bedrock` and `bedrock_anthropic`, see `BedrockOptions`
  std::string project{};   ///< of `vertex` and `vertex_anthropic`, see `VertexOptions`
  std::string location{};  ///< likewise
  std::string api_version{};  ///< of `azure`, see `AzureOptions`, and of `anthropic`, see `AnthropicOptions`

  friend bool operator==(const PlatformConfig&, const PlatformConfig&) = default;
};

/// A target of a policy file, the policy's own blocks merged in.
struct TargetConfig {
  ModelOptions model{};  ///< `name` is the provider's; a file sets no key
  /// Several variables, each with a key, where `api_key_env` is a list. Targets that name the same ones share the
  /// state of the keys.
  std::vector<std::string> key_variables{};
  /// "openai", "openai_responses", "azure" (Chat Completions there), "anthropic", "gemini", "cohere", "ollama"
  /// (Ollama's own), "bedrock", "bedrock_anthropic", "vertex" or "vertex_anthropic"; empty: the provider's usual one,
  /// "openai" where none is known
  std::string wire{};
  PlatformConfig platform{};
  TimeoutOptions timeout{};
  RetryOptions retry{};
  bool retries_given = false;  ///< the file says how often it is retried, or on what
  CircuitBreakerOptions circuit_breaker{};
  std::optional<FloorConfig> accept_if{};  ///< with the strategy `cascade` each but the last has one
  std::optional<RateLimitOptions> rate_limit{};  ///< each target's own, where the policy gives one for all, too
  std::optional<ProbeOptions> probe{};           ///< likewise
};

/// What the calls may cost; the daily limits are one for all targets.
struct SpendingConfig {
  std::optional<Money> per_request{};
  BudgetOptions per_day{};
};

/// A group of a policy file: a client inside a client.
struct GroupConfig {
  struct Member {
    std::size_t target = 0;             ///< its place in `Config::targets`, unless it is a group
    std::vector<GroupConfig> group{};   ///< that one, or empty
    std::optional<Condition> when{};    ///< a request for which it does not hold passes the member over
    std::optional<FloorConfig> floor{};  ///< of a group in a cascade; targets have their own
    std::string place{};                ///< in the file
  };
  std::vector<Member> members{};
  std::optional<Strategy> strategy{};  ///< unset: of the root the application's, of other groups `ordered()`
  std::optional<Escalation> escalation{};  ///< unset: likewise, of other groups none
  std::optional<Duration> deadline{};  ///< of a visit to it
  std::optional<int> attempts{};       ///< sends of one visit to it
};

/// A policy file, read: which targets in which order, and how they are called.
struct Config {
  std::vector<TargetConfig> targets;    ///< those of all groups
  Catalog catalog;                      ///< of the file that `catalog` names; each target has it, too
  GroupConfig root;                     ///< who is asked; without members: the targets as they are listed
  /// Of these two what is not the default, or is `given`, is laid over what the application gives.
  std::optional<HedgeOptions> hedge;
  std::optional<RecoveryOptions> recovery;
  CallLimits limits;
  MidStream mid_stream = MidStream::fail;
  std::optional<StreamHold> hold;
  std::optional<SpendingConfig> spending;
  std::vector<Rung> degrade;  ///< with `allow_degradation` written out; empty where the file has none
  bool degrade_early = false;
  std::vector<std::string> given;  ///< keys of `hedge` and `recovery` in the file: "recovery.max_wait"
};

/// Reads a policy in JSON. `examples/policies/README.md` has its keys, with values, meanings and defaults.
///
/// An element of `targets` is a target, or a group: an object with `targets` of its own, a `strategy`, and blocks that
/// hold for all below. `when` names fields of the request and what they are compared with:
/// `{"metadata.plan": "paid", "input_tokens": {">": 60000}, "tools": {"has": "look_up"}, "reasoning": "high"}`.
/// `matches` is a regular expression (ECMAScript, at most 200 characters) that is found in a text of at most 1,000.
///
/// ```json
/// {"fallback_policy": {"targets": ["openai/gpt-5.6-sol", {"target": "anthropic/claude-sonnet-5"}],
///                      "deadline": "60s", "timeout": {"first_token": "10s"}, "max_retries": 2}}
/// ```
///
/// `providers` tells of a provider once what all targets there have in common, and so adds one that is not known:
/// `{"my-gateway": {"base_url": "https://llm.example/v1", "wire": "openai", "api_key_env": "GATEWAY_KEY"}}`. What a
/// target says itself stands in its place.
///
/// `catalog` names a file of prices and limits in the form of `parse_catalog`, which is read with the policy:
/// `"catalog": "model_prices_and_context_window.json"`. A name that is no whole path starts from the policy's folder, or
/// from the working directory where the policy is a text.
///
/// `"enabled": false` keeps the first target alone, with its own policies. What a strategy has put on it goes with the
/// strategy: the floor of `cascade` has no next target to leave the call to.
///
/// Limits that are not given keep their defaults, or give way to those that are. `max_retries` and `retry.max_attempts`
/// bound the sends to one target, and `retry_on` what they follow: where each target has one of them, a call does not ask
/// again who has failed (`recovery.repeat_failed`), unless the file says so. While another target is ready the smaller
/// bound of `RetryOptions` holds as well.
///
/// Errors: `invalid_request` with every complaint, each naming its place
/// (`fallback_policy.targets[1].timeout.connect`), the value, and what is accepted: unknown keys, values of the
/// wrong kind, limits that contradict each other, a target listed twice, a JSON key that stands twice, and the key of a
/// provider. A provider's key is never quoted. Broken JSON is reported with its line and column.
[[nodiscard]] BACKSTOP_EXPORT Result<Config> parse_config(std::string_view text);

/// The same from a file; its name stands in front of the complaints.
///
/// Example: `auto client = FallbackClient::from_config(load_config("policy.json"));`
[[nodiscard]] BACKSTOP_EXPORT Result<Config> load_config(const std::string& path);

}  // namespace backstop::inline v0
