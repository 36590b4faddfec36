#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "backstop/config/config.hpp"
#include "backstop/config/target.hpp"

namespace config_errors_test {

using namespace backstop;
using Catch::Matchers::ContainsSubstring;

namespace {

std::string problem_with(const std::string& text) {
  const Result<Config> config = parse_config(text);
  return config ? "no problem" : config.error().message;
}

/// A policy with one good target and these further keys.
std::string policy(const std::string& keys) {
  return R"({"fallback_policy": {"targets": ["openai/gpt-5.6-sol"], )" + keys + "}}";
}

/// A policy whose second target has these further keys.
std::string target(const std::string& keys) {
  return R"({"fallback_policy": {"targets": ["openai/a", {"target": "openai/b", )" + keys + "}]}}";
}

std::string targets(const std::string& list) { return R"({"fallback_policy": {"targets": )" + list + "}}"; }

struct Case {
  std::string text;
  std::vector<std::string> fragments;  ///< of the complaint
};

void check(const std::vector<Case>& cases) {
  for (const Case& bad : cases) {
    CAPTURE(bad.text);
    const std::string problem = problem_with(bad.text);
    for (const std::string& fragment : bad.fragments) CHECK_THAT(problem, ContainsSubstring(fragment));
  }
}

}  // namespace

TEST_CASE("broken JSON is reported with line and column") {
  check({
      {"{\n  \"fallback_policy\": {\n    \"targets\": [\"openai/a\",]\n  }\n}", {"line 3, column 28"}},
      {"", {"line 1, column 1"}},
      {std::string(100'000, '['), {"nested too deeply"}},
      {std::string(2'000'000, ' '), {"larger than 1048576 bytes"}},
  });
}

TEST_CASE("unknown keys are named with their place and what is accepted there") {
  check({
      {"{}", {"`fallback_policy` is missing; it must be an object with `targets`"}},
      {"[]", {"`fallback_policy` is missing"}},
      {R"({"fallback_policy": {"targets": ["openai/a"]}, "x": 1})",
       {"`x` is not known; accepted here is fallback_policy"}},
      {policy(R"("retries": 3)"), {"`fallback_policy.retries` is not known", "max_retries", "cost_cap"}},
      {target(R"("modle": "x")"), {"`fallback_policy.targets[1].modle` is not known", "base_url, api_key_env"}},
      {target(R"("timeout": {"total": "3s"})"),
       {"`fallback_policy.targets[1].timeout.total` is not known", "connect, first_byte, first_token, idle, attempt"}},
      {target(R"("retry": {"count": 3})"),
       {"`fallback_policy.targets[1].retry.count`", "max_attempts, initial, max, on"}},
      {policy(R"("circuit_breaker": {"threshold": 3})"),
       {"`fallback_policy.circuit_breaker.threshold`", "consecutive_failures, failure_rate"}},
      {policy(R"("cost_cap": {"per_month_usd": 3})"), {"`fallback_policy.cost_cap.per_month_usd`", "per_request_usd"}},
      {target(R"("price": {"in": 3})"), {"`fallback_policy.targets[1].price.in`", "input, output"}},
      {target(R"("capabilities": {"smell": true})"),
       {"`fallback_policy.targets[1].capabilities.smell`", "tools, vision"}},
      {target(R"("defaults": {"heat": 1})"),
       {"`fallback_policy.targets[1].defaults.heat` is not known", "max_output_tokens, temperature"}},
      {target(R"("overrides": {"temperature": 3})"),
       {"`fallback_policy.targets[1].overrides.temperature` is 3; it must be a number from 0 to 2"}},
      {target(R"("overrides": {"seed": 1.5})"), {"`fallback_policy.targets[1].overrides.seed` is 1.5", "whole number"}},
      {target(R"("defaults": {"reasoning_effort": "much"})"),
       {R"(`fallback_policy.targets[1].defaults.reasoning_effort` is "much")", "one of none, minimal"}},
      {target(R"("defaults": {"stop": [""]})"), {"`fallback_policy.targets[1].defaults.stop[0]` is \"\""}},
      {target(R"("parameters": "{}")"), {"`fallback_policy.targets[1].parameters` is \"{}\"; it must be an object"}},
      {target(R"("parameters": {"a": ")" + std::string(70'000, 'x') + R"("})"),
       {"`fallback_policy.targets[1].parameters` is longer than the accepted 64 KiB"}},
      {target(R"("parameters": {"top_a": 1, "stream": true})"),
       {"`fallback_policy.targets[1].parameters.stream` is set by the library"}},
      {policy(R"("cost_cap": {"per_request_usd": -1})"),
       {"`fallback_policy.cost_cap.per_request_usd` is -1; it must be"}},
      {policy(R"("deadline": "5s", "deadline": "6s")"), {"the key `deadline` stands twice"}},
  });
}

TEST_CASE("a rate limit needs a limit that can be kept") {
  check({
      {policy(R"("rate_limit": {})"), {"`fallback_policy.rate_limit` has no limit", "requests_per_minute"}},
      {target(R"("rate_limit": {"max_wait": "5s"})"), {"`fallback_policy.targets[1].rate_limit` has no limit"}},
      {target(R"("rate_limit": {"per_second": 1})"),
       {"`fallback_policy.targets[1].rate_limit.per_second`", "requests_per_minute, tokens_per_minute"}},
      {policy(R"("rate_limit": {"requests_per_minute": 0})"),
       {"`fallback_policy.rate_limit.requests_per_minute` is 0", "from 1 to"}},
      {policy(R"("rate_limit": {"requests_per_minute": 1.5})"),
       {"`fallback_policy.rate_limit.requests_per_minute` is 1.5"}},
      {target(R"("rate_limit": {"tokens_per_minute": "many"})"),
       {R"(`fallback_policy.targets[1].rate_limit.tokens_per_minute` is "many")"}},
      {target(R"("rate_limit": {"tokens_per_minute": 5, "burst": 2})"),
       {"`fallback_policy.targets[1].rate_limit.burst` is a burst of `requests_per_minute`, which is not given"}},
      {target(R"("rate_limit": {"requests_per_minute": 5, "burst": 0})"),
       {"`fallback_policy.targets[1].rate_limit.burst` is 0"}},
  });
}

TEST_CASE("keys of features that this build lacks are refused, never ignored") {
  check({
      {policy(R"("strategy": "fastest")"), {R"(`fallback_policy.strategy` is "fastest")", R"("ordered")", R"("cascade")"}},
      {policy(R"("strategy": {"name": "fastest"})"), {R"(`fallback_policy.strategy.name` is "fastest")"}},
      {policy(R"("strategy": {"name": "ordered", "spread": 2})"), {"`fallback_policy.strategy.spread` is not known"}},
      {target(R"("wire": "morse")"),
       {R"(`fallback_policy.targets[1].wire` is "morse")",
        R"("openai" or "openai_responses" or "azure" or "anthropic" or "gemini" or "cohere" or "ollama" or "bedrock" )"
        R"(or "bedrock_anthropic" or "vertex" or "vertex_anthropic")"}},
  });
}

TEST_CASE("a ladder names its rungs, each once, answers last") {
  check({
      {policy(R"("degrade": "images")"), {R"(`fallback_policy.degrade` is "images"; it must be an array of rungs)"}},
      {policy(R"("degrade": [])"), {"`fallback_policy.degrade` is empty; list rungs"}},
      {policy(R"("degrade": ["pictures"])"), {R"(`fallback_policy.degrade[0]` is "pictures")", R"("images", "documents")"}},
      {policy(R"("degrade": ["images", 3])"), {"`fallback_policy.degrade[1]` is 3", R"({"canned": "a text"})"}},
      {policy(R"("degrade": ["canned"])"), {R"(`fallback_policy.degrade[0]` is "canned")", R"({"canned": "a text"})"}},
      {policy(R"("degrade": [{"canned": ""}])"), {R"(`fallback_policy.degrade[0].canned` is "")", "not empty"}},
      {policy(R"("degrade": [{"images": {}}])"), {"`fallback_policy.degrade[0].images` is not known here"}},
      {policy(R"("degrade": [{"history": {"keep": 6}}])"),
       {"`fallback_policy.degrade[0].history.keep` is not known; accepted here are keep_turns"}},
      {policy(R"("degrade": [{"history": {"keep_turns": 0}}])"), {"`fallback_policy.degrade[0].history.keep_turns` is 0"}},
      {policy(R"("degrade": [{"history": {}, "tools": {}}])"), {"`fallback_policy.degrade[0]` is an object"}},
      {policy(R"("degrade": [{"cached": {"max_age": 5}}])"), {"`fallback_policy.degrade[0].cached.max_age` is 5"}},
      {policy(R"("degrade": ["images", "images"])"), {"`fallback_policy.degrade` is no ladder", "images twice"}},
      {policy(R"("degrade": [{"canned": "x"}, "images"])"), {"images behind canned"}},
      {policy(R"("degrade_early": true)"), {"`fallback_policy.degrade_early` is true, and there is no ladder"}},
      {policy(R"("degrade": ["images"], "degrade_early": 1)"), {"`fallback_policy.degrade_early` is 1"}},
      {policy(R"("allow_degradation": ["images"])"),
       {R"(`fallback_policy.allow_degradation[0]` is "images"; it must be "vision", "documents")"}},
      {policy(R"("allow_degradation": ["vision", "vision"])"),
       {R"(`fallback_policy.allow_degradation[1]` is "vision" for the second time)"}},
      {policy(R"("allow_degradation": ["vision"], "degrade": ["images"])"),
       {"`fallback_policy.allow_degradation` is the short form of `degrade`"}},
  });
}

TEST_CASE("values of the wrong kind are shown with what is accepted") {
  check({
      {policy(R"("mid_stream": "rewind")"),
       {R"(`fallback_policy.mid_stream` is "rewind")", R"("fail", "restart", "resume")"}},
      {policy(R"("mid_stream": {"keep": 40})"),
       {"`fallback_policy.mid_stream.keep` is not known; accepted here are hold"}},
      {policy(R"("mid_stream": {"hold": {"tokens": 0}})"), {"`fallback_policy.mid_stream.hold.tokens` is 0"}},
      {policy(R"("mid_stream": {"hold": {"time": 3}})"), {"`fallback_policy.mid_stream.hold.time` is 3"}},
      {policy(R"("mid_stream": {"hold": {"then": "hold"}})"),
       {R"(`fallback_policy.mid_stream.hold.then` is "hold")", R"("fail", "restart" or "resume")"}},
      {target(R"("failure_domain": 7)"), {"`fallback_policy.targets[1].failure_domain` is 7"}},
      {policy(R"("enabled": "yes")"), {R"(`fallback_policy.enabled` is "yes"; it must be true or false)"}},
      {policy(R"("deadline": 60)"), {"`fallback_policy.deadline` is 60", "a duration with a unit (ms, s, m, h)"}},
      {policy(R"("deadline": "60")"), {R"(`fallback_policy.deadline` is "60")", R"("250ms")"}},
      {policy(R"("deadline": "-1s")"), {R"(is "-1s")"}},
      {policy(R"("deadline": "0s")"), {R"(is "0s")"}},
      {policy(R"("deadline": null)"), {"`fallback_policy.deadline` is null"}},
      {target(R"("timeout": {"connect": "fast"})"), {R"(`fallback_policy.targets[1].timeout.connect` is "fast")"}},
      {target(R"("timeout": "5s")"), {R"(`fallback_policy.targets[1].timeout` is "5s"; it must be an object)"}},
      {policy(R"("max_attempts": 0)"), {"`fallback_policy.max_attempts` is 0; it must be a whole number from 1"}},
      {policy(R"("max_retries": -1)"), {"`fallback_policy.max_retries` is -1; it must be a whole number from 0"}},
      {policy(R"("max_retries": 1.5)"), {"`fallback_policy.max_retries` is 1.5"}},
      {policy(R"("retry_on": [429, 9000])"),
       {"`fallback_policy.retry_on[1]` is 9000; it must be a whole number from 400"}},
      {policy(R"("retry_on": ["timeout"])"), {R"(`fallback_policy.retry_on[0]` is "timeout")"}},
      {policy(R"("retry_on": [])"), {"`fallback_policy.retry_on` is empty"}},
      {policy(R"("retry_on": 429)"), {"`fallback_policy.retry_on` is 429; it must be an array of HTTP statuses"}},
      {policy(R"("circuit_breaker": {"failure_rate": 50})"),
       {"`fallback_policy.circuit_breaker.failure_rate` is 50; it must be a number from 0 to 1"}},
      {policy(R"("circuit_breaker": {"failure_rate": 0})"), {"failure_rate` is 0; it must be above 0"}},
      {policy(R"("circuit_breaker": {"consecutive_failures": 0})"), {"consecutive_failures` is 0"}},
      {policy(R"("cost_cap": {"per_day_usd": -1})"), {"`fallback_policy.cost_cap.per_day_usd` is -1"}},
      {policy(R"("cost_cap": {})"), {"`fallback_policy.cost_cap` is empty"}},
      {target(R"("weight": -2)"), {"`fallback_policy.targets[1].weight` is -2; it must be a number from 0"}},
      {target(R"("context_window": 0)"), {"`fallback_policy.targets[1].context_window` is 0"}},
      {target(R"("price": {"input": 3})"), {"`fallback_policy.targets[1].price.output` is missing"}},
      {target(R"("headers": ["a"])"), {"`fallback_policy.targets[1].headers` is an array"}},
      {target(R"("headers": {"x team": "a"})"), {"`fallback_policy.targets[1].headers.x team` has a name or a value"}},
      {target(R"("forward_headers": ["authorization"])"),
       {"`fallback_policy.targets[1].forward_headers[0]` would hand a key"}},
      {target(R"("forward_headers": ["x team"])"),
       {R"(`fallback_policy.targets[1].forward_headers[0]` is "x team"; it must be the name of an HTTP header)"}},
  });
}

TEST_CASE("a list of targets that leads nowhere is refused") {
  check({
      {R"({"fallback_policy": {}})", {"`fallback_policy.targets` is missing"}},
      {targets("[]"), {"`fallback_policy.targets` is empty"}},
      {targets(R"("openai/a")"), {R"(`fallback_policy.targets` is "openai/a"; it must be an array of targets)"}},
      {targets("[3]"), {R"(`fallback_policy.targets[0]` is 3; it must be "provider/model")"}},
      {targets(R"(["gpt-5"])"), {R"(`fallback_policy.targets[0]` is "gpt-5"; it must be "provider/model")"}},
      {targets("[{}]"), {"`fallback_policy.targets[0].target` is missing"}},
      {targets(R"(["openai/a", {"target": "openai/a"}])"),
       {"`fallback_policy.targets[1]` lists openai/a again, after `fallback_policy.targets[0]`"}},
      {targets(R"(["nobody/a"])"),
       {R"(`fallback_policy.targets[0]` goes to the provider "nobody", which this build does not know)",
        "give `wire`, `base_url` too"}},
      {targets(R"(["azure/a"])"), {"give `base_url` too"}},
      {targets(R"([{"target": "openai/a", "wire": "anthropic"}])"), {"give `base_url` too"}},
  });
}

TEST_CASE("explicit limits that contradict each other are refused") {
  check({
      {policy(R"("deadline": "10s", "timeout": {"attempt": "20s"})"),
       {R"(`fallback_policy.timeout.attempt` is "20s", longer than `fallback_policy.deadline`, which is "10s")"}},
      {R"({"fallback_policy": {"deadline": "10s", "targets": [{"target": "openai/a", "timeout": {"idle": "11s"}}]}})",
       {"`fallback_policy.targets[0].timeout.idle`", "longer than `fallback_policy.deadline`"}},
      {R"({"fallback_policy": {"deadline": "10s", "timeout": {"attempt": "5s"},
            "targets": [{"target": "openai/a", "timeout": {"attempt": "20s"}}]}})",
       {"`fallback_policy.targets[0].timeout.attempt`", "longer than `fallback_policy.deadline`"}},
      {policy(R"("timeout": {"connect": "5s", "attempt": "4s"})"),
       {"`fallback_policy.timeout.connect`", "`fallback_policy.timeout.attempt`"}},
      {policy(R"("max_retries": 2, "retry": {"max_attempts": 2})"),
       {"`fallback_policy.max_retries` is 2, and `fallback_policy.retry.max_attempts` is 2", "contradict"}},
      {policy(R"("retry_on": [429], "retry": {"on": [500]})"), {"`fallback_policy.retry_on`", "contradict"}},
      {policy(R"("retry": {"initial": "2s", "max": "1s"})"), {"`fallback_policy.retry.initial`", "longer than"}},
      {policy(R"("circuit_breaker": {"open_for": "2m", "open_for_max": "1m"})"),
       {"`fallback_policy.circuit_breaker.open_for`"}},
  });
}

TEST_CASE("a key in the file is refused and not quoted") {
  const std::string key = "sk-" + std::string("proj-0123456789abcdefghij");
  const std::vector<std::pair<std::string, std::string>> cases{
      {target(R"("api_key": "hunter2")"), "targets[1].api_key"},
      {target(R"("api_key_env": ")" + key + "\""), "targets[1].api_key_env"},
      {target(R"("api_key_env": "hunter2!")"), "targets[1].api_key_env"},
      {target(R"("headers": {"Authorization": "hunter2"})"), "targets[1].headers.Authorization"},
      {target(R"("headers": {"x-api-key": "hunter2"})"), "targets[1].headers.x-api-key"},
      {target(R"("headers": {"x-team": "Bearer hunter2"})"), "targets[1].headers.x-team"},
      {target(R"("headers": {"x-team": "basic hunter2"})"), "targets[1].headers.x-team"},
      {target(R"("note": ")" + key + "\""), "targets[1].note"},
      {target(R"("base_url": "https://host/v1?version=3&api-key=hunter2")"), "targets[1].base_url"},
      {policy(R"("openai_api_key": "hunter2")"), "fallback_policy.openai_api_key"},
  };
  for (const auto& [text, place] : cases) {
    CAPTURE(place);
    const std::string problem = problem_with(text);
    CHECK_THAT(problem, ContainsSubstring(place));
    CHECK_THAT(problem, !ContainsSubstring("hunter2"));
    CHECK_THAT(problem, !ContainsSubstring("0123456789"));
  }
  CHECK_THAT(problem_with(target(R"("api_key": "hunter2")")), ContainsSubstring("`api_key_env`"));
}

TEST_CASE("what looks like a key, or is named like one, is taken for one") {
  for (const char* beginning : {"sk-", "sk_", "AIza", "AKIA", "gsk_", "csk-", "xai-", "hf_", "ghp_", "nvapi-", "r8_",
                                "fw_", "github_pat_", "pplx-"}) {
    CAPTURE(beginning);
    const std::string key = beginning + std::string(20, 'a');
    CHECK_THAT(problem_with(target(R"("failure_domain": ")" + key + "\"")), ContainsSubstring("looks like it"));
  }
  for (const char* name : {"key", "token", "api_key", "apiKey", "x-access-key", "secret_key", "subscription-key",
                           "accessToken", "auth_token", "api-token", "security_token", "client_secret", "password",
                           "Authorization", "credentials", "Cookie", "x-goog-api-key"}) {
    CAPTURE(name);
    CHECK_THAT(problem_with(target("\"" + std::string{name} + R"(": "hunter2")")), ContainsSubstring("by its name"));
  }
  for (const char* harmless : {"sk-short", "monkey", "a sentence that is long enough, sk-", "max_tokens"}) {
    CAPTURE(harmless);
    CHECK_THAT(problem_with(target(R"("failure_domain": ")" + std::string{harmless} + "\"")),
               ContainsSubstring("no problem"));
  }
}

TEST_CASE("all complaints come at once, each once") {
  const std::string problem =
      problem_with(R"({"fallback_policy": {"targets": ["openai/a", "openai/b"], "deadline": 5, "colour": "red",
                       "timeout": {"idle": 3}}})");
  CHECK_THAT(problem, ContainsSubstring("3 problems"));
  CHECK_THAT(problem, ContainsSubstring("fallback_policy.deadline"));
  CHECK_THAT(problem, ContainsSubstring("fallback_policy.colour"));
  CHECK_THAT(problem, ContainsSubstring("fallback_policy.timeout.idle"));
}

TEST_CASE("a single complaint stands alone, and a long value is told by its beginning") {
  CHECK(problem_with(policy(R"("max_attempts": 0)")) ==
        "`fallback_policy.max_attempts` is 0; it must be a whole number from 1 to 1000");
  CHECK(problem_with(policy(R"("enabled": ")" + std::string(500, 'x') + "\"")) ==
        "`fallback_policy.enabled` is \"" + std::string(79, 'x') + "...; it must be true or false");
}

TEST_CASE("complaints about a file begin with its name") {
  const std::string path = (std::filesystem::temp_directory_path() / "backstop_config_errors_test.json").string();
  std::ofstream{path} << "{\n!";
  const Result<Config> broken = load_config(path);
  std::filesystem::remove(path);
  REQUIRE_FALSE(broken);
  CHECK_THAT(broken.error().message, ContainsSubstring(path + ": broken JSON at line 2, column 1"));

  const Result<Config> missing = load_config(path);
  REQUIRE_FALSE(missing);
  CHECK_THAT(missing.error().message, ContainsSubstring(path + ": cannot be read: No such file"));
  REQUIRE_FALSE(load_config(std::filesystem::temp_directory_path().string()));
}

TEST_CASE("a policy names a file of prices, which is looked for beside it") {
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / "backstop_config_errors_test";
  std::filesystem::create_directory(folder);
  const auto write = [&](const char* name, std::string_view text) { std::ofstream{folder / name} << text; };
  const auto load = [&] { return load_config((folder / "policy.json").string()); };
  write("policy.json", R"({"fallback_policy": {"catalog": "prices.json", "targets": [
      {"target": "openai/gpt-next", "capabilities": {"tools": false}}, "openai/gpt-4o"]}})");
  write("prices.json", R"({"gpt-next": {"litellm_provider": "openai", "input_cost_per_token": 1e-6,
                                        "output_cost_per_token": 2e-6, "supports_vision": false}})");
  const Result<Config> config = load();
  REQUIRE(config);
  CHECK(config->catalog.size() == 1);
  CHECK(config->targets[0].model.capabilities == Capabilities{.tools = false, .vision = false, .audio = false});
  const auto price_of = [&](std::string_view name) {
    return backstop::target(name, config->targets[1].model).target().facts().price;
  };
  CHECK(price_of("openai/gpt-next") == Price{Money::usd_per_million(1), Money::usd_per_million(2)});
  CHECK(price_of("openai/gpt-4o") == facts_for("openai", "gpt-4o").price);

  write("prices.json", R"({"gpt-next": {"litellm_provider": "openai", "input_cost_per_token": "dear"}})");
  const Result<Config> bad = load();
  REQUIRE_FALSE(bad);
  CHECK_THAT(bad.error().message, ContainsSubstring("`fallback_policy.catalog` names a file of models: " +
                                                    (folder / "prices.json").string() + ": the model \"gpt-next\": "
                                                    "`input_cost_per_token` must be"));
  std::filesystem::remove_all(folder);
  CHECK_THAT(problem_with(policy(R"("catalog": 7)")), ContainsSubstring("`fallback_policy.catalog` is 7; it must be"));
  CHECK_THAT(problem_with(policy(R"("catalog": "/nowhere/prices.json")")),
             ContainsSubstring("/nowhere/prices.json: cannot be read"));
}

TEST_CASE("a quality floor that says nothing, or what cannot be, is refused") {
  check({
      {target(R"("accept_if": {})"), {"`fallback_policy.targets[1].accept_if` has no check", "matches_schema, finished"}},
      {target(R"("accept_if": {"repair": 1, "finished": false})"), {"has no check"}},
      {target(R"("accept_if": true)"), {"`fallback_policy.targets[1].accept_if` is true", "an object with keys out of"}},
      {target(R"("accept_if": {"schema": true})"), {"accept_if.schema` is not known", "valid_tool_arguments"}},
      {target(R"("accept_if": {"finished": "yes"})"), {R"(accept_if.finished` is "yes")"}},
      {target(R"("accept_if": {"finished": true, "repair": 11})"), {"accept_if.repair` is 11", "0", "10"}},
      {target(R"("accept_if": {"length": {}})"), {"accept_if.length` is empty; give it min, max or both"}},
      {target(R"("accept_if": {"length": {"min": 3, "max": 2}})"), {"accept_if.length.max` is 2, below `min`, which is 3"}},
      {target(R"("accept_if": {"length": {"least": 3}})"), {"accept_if.length.least` is not known", "min, max"}},
      {target(R"("accept_if": {"one_of": []})"), {"accept_if.one_of` is empty"}},
      {target(R"("accept_if": {"one_of": ["a", 3]})"), {"accept_if.one_of[1]` is 3"}},
      {policy(R"("accept_if": {"finished": true})"), {"`fallback_policy.accept_if` is not known"}},
      {policy(R"("escalation": "draft")"), {R"(`fallback_policy.escalation` is "draft")", R"("none" or "with_draft")"}},
      {policy(R"("strategy": {"name": "cascade", "spread": 1})"),
       {"`fallback_policy.strategy.spread` is not known", "accept_if, escalation, repair"}},
      {policy(R"("strategy": {"name": "cascade", "accept_if": {}})"), {"`fallback_policy.strategy.accept_if` has no check"}},
      {policy(R"("strategy": {"name": "cascade", "repair": -1})"), {"`fallback_policy.strategy.repair` is -1"}},
      {policy(R"("strategy": {"name": "cascade", "repair": 1, "accept_if": {"finished": true, "repair": 2}})"),
       {"`fallback_policy.strategy.repair` is given again as `fallback_policy.strategy.accept_if.repair`"}},
      {policy(R"("escalation": "none", "strategy": {"name": "cascade", "escalation": "with_draft"})"),
       {R"(`fallback_policy.strategy.escalation` is "with_draft", and `fallback_policy.escalation` is "none")"}},
  });
}

}  // namespace config_errors_test
