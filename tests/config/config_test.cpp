#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstdlib>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "backstop/config/config.hpp"
#include "backstop/text/duration.hpp"
#include "support/fault_server.hpp"

namespace config_test {

using namespace backstop;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

Config parsed(const std::string& text) {
  Result<Config> config = parse_config(text);
  if (!config) FAIL(config.error().message);
  return *std::move(config);
}

/// Sets a variable of the environment as long as it lives.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_{name} { setenv(name, value, 1); }
  ~Variable() { unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

}  // namespace

TEST_CASE("durations are a number and a unit") {
  CHECK(duration_from("250ms") == 250ms);
  CHECK(duration_from("20s") == 20s);
  CHECK(duration_from("1.5s") == 1500ms);
  CHECK(duration_from("5m") == 5min);
  CHECK(duration_from("24h") == 24h);
  for (const std::string_view bad :
       {"", "5", "s", "-5s", "0s", "5 s", "5S", "5sec", "1.s", "1..5s", "1e3s", "nan", "99999h", "5s5"}) {
    CAPTURE(bad);
    CHECK_FALSE(duration_from(bad));
  }
}

TEST_CASE("the plain form of the field is accepted as it stands") {
  const Config config = parsed(R"({"fallback_policy": {"enabled": true, "strategy": "ordered",
    "targets": ["anthropic/claude-3-5-sonnet", "openai/gpt-4o", "deepseek/deepseek-chat"],
    "retry_on": [429, 500, 503], "max_retries": 2}})");
  REQUIRE(config.targets.size() == 3);
  CHECK(config.targets[0].model.name == "anthropic");
  CHECK(config.targets[2].model.model == "deepseek-chat");
  for (const TargetConfig& target : config.targets) {
    CHECK(target.retry.max_attempts == 3);
    CHECK(target.retry.on_status == std::vector<int>{429, 500, 503});
  }
  CHECK(config.limits.max_attempts == 5);
  CHECK(config.mid_stream == MidStream::fail);
}

TEST_CASE("what happens to streams that break is read in all its forms") {
  const auto with = [](std::string_view value) {
    return parsed(R"({"fallback_policy": {"targets": ["openai/gpt-5"], "mid_stream": )" + std::string{value} + "}}");
  };
  CHECK(with(R"("resume")").mid_stream == MidStream::resume);
  CHECK_FALSE(with(R"("resume")").hold);
  const Config held = with(R"({"hold": {"tokens": 20, "time": "1s", "then": "restart"}})");
  CHECK(held.mid_stream == MidStream::restart);
  CHECK(held.hold == StreamHold{.tokens = 20, .time = 1s});
  const Config plain = with(R"({"hold": {}})");
  CHECK(plain.mid_stream == MidStream::fail);
  CHECK(plain.hold == StreamHold{});
}

TEST_CASE("a ladder is read in its long and its short form, and the client has it") {
  const Config config = parsed(R"({"fallback_policy": {"targets": ["ollama/llama3"], "degrade_early": true, "degrade":
    ["images", "documents", "json_schema", "reasoning", {"history": {"keep_turns": 9}}, {"tools": {"keep_history": false}},
     "output", {"cached": {"max_age": "2h"}}, {"canned": "Sorry."}]}})");
  std::string kinds;
  for (const Rung& rung : config.degrade) kinds.append(to_string(rung.kind)).append(" ");
  CHECK(kinds == "images documents json_schema reasoning history tools output cached canned ");
  CHECK(config.degrade[4].keep_turns == 9);
  CHECK_FALSE(config.degrade[5].keep_tool_history);
  CHECK(config.degrade[7].max_age == 2h);
  CHECK(config.degrade[8].text == "Sorry.");
  CHECK(config.degrade_early);
  const auto client = FallbackClient::from_config(config);
  REQUIRE(client);
  CHECK(client->options().degrade.size() == 9);
  CHECK(client->options().degrade_early);

  const Config brief = parsed(
      R"({"fallback_policy": {"targets": ["ollama/llama3"], "allow_degradation": ["vision", "json_schema", "tools"]}})");
  REQUIRE(brief.degrade.size() == 3);
  CHECK(brief.degrade[0].kind == Rung::Kind::images);
  CHECK(brief.degrade[2].kind == Rung::Kind::tools);
  CHECK(parsed(R"({"fallback_policy": {"targets": ["ollama/llama3"], "allow_degradation": []}})").degrade.empty());
  const auto own = FallbackClient::from_config(parsed(R"({"fallback_policy": {"targets": ["ollama/llama3"]}})"),
                                               {.degrade = {degrade::images()}});
  REQUIRE(own);
  CHECK(own->options().degrade.size() == 1);
}

TEST_CASE("the full form is read, the targets' own blocks over the policy's key by key") {
  const Config config = parsed(R"({"fallback_policy": {
    "strategy": {"name": "ordered"}, "deadline": "60s", "max_attempts": 5, "mid_stream": "restart",
    "targets": [
      "openrouter/meta-llama/llama-3.3-70b",
      {"target": "anthropic/claude-sonnet-5", "base_url": "http://127.0.0.1:8081", "api_key_env": "MY_ANTHROPIC_KEY",
       "wire": "anthropic", "weight": 2, "context_window": 200000, "max_output_tokens": 8192,
       "capabilities": {"vision": false, "prefill": true}, "failure_domain": "our account",
       "defaults": {"max_output_tokens": 100, "temperature": 0.1, "top_p": 0.2, "top_k": 3, "frequency_penalty": 0.4,
                    "presence_penalty": -0.5, "seed": -6, "stop": "END", "reasoning_effort": "low",
                    "service_tier": "flex"},
       "overrides": {"seed": 9007199254740993, "stop": ["A", "B"]},
       "parameters": {"safety": {"level": 3}},
       "price": {"input": 3.0, "output": 15.0, "cache_read": 0.3},
       "headers": {"x-team": "search"}, "forward_headers": ["x-request-id"],
       "timeout": {"connect": "2s", "first_byte": "10s", "attempt": "60s"},
       "retry": {"max_attempts": 2, "initial": "20s", "on": [429]},
       "circuit_breaker": {"consecutive_failures": 3, "failure_rate": 0.25, "min_calls": 4, "window": "30s",
                           "open_for_max": "40s",
                           "ramp": "30s"},
       "rate_limit": {"requests_per_minute": 6, "burst": 2, "input_tokens_per_minute": 1000}}],
    "retry_on": [429, 500, 503], "max_retries": 0, "timeout": {"first_token": "10s", "connect": "3s"},
    "circuit_breaker": {"open_for": "20s"},
    "rate_limit": {"requests_per_minute": 60, "tokens_per_minute": 100000, "max_wait": "5s"},
    "cost_cap": {"per_request_usd": 0.50, "per_day_usd": 20.0, "fallback_premium_per_day_usd": 5.0}}})");
  CHECK(config.limits.deadline == 60s);
  CHECK(config.limits.max_attempts == 5);
  CHECK(config.mid_stream == MidStream::restart);
  CHECK(config.spending->per_request == Money::usd(0.5));
  CHECK(config.spending->per_day.per_period == Money::usd(20));
  CHECK(config.spending->per_day.fallback_premium_per_period == Money::usd(5));

  const TargetConfig& plain = config.targets[0];
  CHECK(plain.model.name == "openrouter");
  CHECK(plain.model.model == "meta-llama/llama-3.3-70b");
  CHECK(plain.retry.max_attempts == 1);
  CHECK(plain.timeout.connect == 3s);
  CHECK(plain.timeout.first_token == 10s);
  CHECK(plain.circuit_breaker.open_for == 20s);
  REQUIRE(plain.rate_limit);
  CHECK(plain.rate_limit->requests_per_minute == 60);
  CHECK(plain.rate_limit->tokens_per_minute == 100'000);
  CHECK(plain.rate_limit->max_wait == 5s);
  CHECK_FALSE(plain.rate_limit->burst);

  const TargetConfig& own = config.targets[1];
  CHECK(own.model.base_url == "http://127.0.0.1:8081");
  CHECK(own.model.api_key_env == "MY_ANTHROPIC_KEY");
  CHECK(own.model.context_window == 200'000);
  CHECK(own.model.max_output_tokens == 8192);
  CHECK(own.model.capabilities->prefill);
  CHECK(own.model.failure_domain == "our account");
  CHECK(own.model.defaults == Parameters{100, 0.1, 0.2, 3, 0.4, -0.5, -6, {"END"}, "low", "flex"});
  CHECK(own.model.overrides == Parameters{.seed = 9007199254740993, .stop = {"A", "B"}});
  CHECK(own.model.parameters == R"({"safety":{"level":3}})");
  CHECK_FALSE(own.model.capabilities->vision);
  CHECK(own.model.capabilities->tools);
  CHECK(own.model.price == Price{.input = Money::usd_per_million(3), .output = Money::usd_per_million(15),
                                 .cache_read = Money::usd_per_million(0.3)});
  CHECK(own.model.headers == std::vector<Header>{{"x-team", "search"}});
  CHECK(own.model.forward_headers == std::vector<std::string>{"x-request-id"});
  CHECK(own.timeout.connect == 2s);
  CHECK(own.timeout.first_byte == 10s);
  CHECK(own.timeout.first_token == 10s);
  CHECK(own.retry.max_attempts == 2);
  CHECK(own.retry.on_status == std::vector<int>{429});
  CHECK(own.circuit_breaker.failure_rate == 0.25);
  CHECK(own.circuit_breaker.open_for == 20s);
  CHECK(own.circuit_breaker.open_for_max == 40s);
  CHECK(own.circuit_breaker.ramp == 30s);
  REQUIRE(own.rate_limit);
  CHECK(own.rate_limit->requests_per_minute == 6);
  CHECK(own.rate_limit->burst == 2);
  CHECK(own.rate_limit->tokens_per_minute == 100'000);
  CHECK(own.rate_limit->input_tokens_per_minute == 1000);
  CHECK(own.rate_limit->max_wait == 5s);
}

TEST_CASE("every key of a target is read into a field of its own") {
  const Config config = parsed(R"({"fallback_policy": {"targets": [{"target": "openai/a",
    "context_window": 11, "max_output_tokens": 12, "failure_domain": "d",
    "capabilities": {"tools": false, "vision": true, "documents": false, "json_schema": true, "reasoning": false,
                     "prefill": true},
    "price": {"input": 21, "output": 22, "cache_read": 23, "cache_write": 24},
    "timeout": {"connect": "31s", "first_byte": "32s", "first_token": "33s", "idle": "34s", "attempt": "35s"},
    "retry": {"max_attempts": 41, "initial": "42s", "max": "43s", "on": [444]},
    "circuit_breaker": {"consecutive_failures": 51, "failure_rate": 0.52, "min_calls": 53, "window": "54s",
                        "open_for": "55s", "open_for_max": "56s", "ramp": "57s"},
    "rate_limit": {"requests_per_minute": 61, "tokens_per_minute": 62, "input_tokens_per_minute": 63,
                   "output_tokens_per_minute": 64, "burst": 65, "max_wait": "66s"}}]}})");
  const TargetConfig& target = config.targets.at(0);
  CHECK(target.model.context_window == 11);
  CHECK(target.model.max_output_tokens == 12);
  CHECK(target.model.failure_domain == "d");
  CHECK(target.model.capabilities == Capabilities{.tools = false, .vision = true, .documents = false,
                                                  .json_schema = true, .reasoning = false, .prefill = true,
                                                  .audio = false});
  CHECK(target.model.price == Price{Money::usd_per_million(21), Money::usd_per_million(22), Money::usd_per_million(23),
                                    Money::usd_per_million(24), {}});
  CHECK(target.timeout.connect == 31s);
  CHECK(target.timeout.first_byte == 32s);
  CHECK(target.timeout.first_token == 33s);
  CHECK(target.timeout.idle == 34s);
  CHECK(target.timeout.attempt == 35s);
  CHECK(target.retry.max_attempts == 41);
  CHECK(target.retry.initial == 42s);
  CHECK(target.retry.max == 43s);
  CHECK(target.retry.on_status == std::vector<int>{444});
  CHECK(target.circuit_breaker.consecutive_failures == 51);
  CHECK(target.circuit_breaker.failure_rate == 0.52);
  CHECK(target.circuit_breaker.min_calls == 53);
  CHECK(target.circuit_breaker.window == 54s);
  CHECK(target.circuit_breaker.open_for == 55s);
  CHECK(target.circuit_breaker.open_for_max == 56s);
  CHECK(target.circuit_breaker.ramp == 57s);
  REQUIRE(target.rate_limit);
  CHECK(target.rate_limit->requests_per_minute == 61);
  CHECK(target.rate_limit->tokens_per_minute == 62);
  CHECK(target.rate_limit->input_tokens_per_minute == 63);
  CHECK(target.rate_limit->output_tokens_per_minute == 64);
  CHECK(target.rate_limit->burst == 65);
  CHECK(target.rate_limit->max_wait == 66s);
}

TEST_CASE("what a policy says of the call and of its streams reaches the client") {
  const auto client = FallbackClient::from_config(parse_config(R"({"fallback_policy": {
    "targets": ["ollama/a", "ollama/b"], "deadline": "50s", "max_attempts": 7,
    "mid_stream": {"hold": {"tokens": 20, "time": "1s", "then": "restart"}}}})"));
  if (!client) FAIL(client.error().message);
  CHECK(client->options().limits.deadline == 50s);
  CHECK(client->options().limits.max_attempts == 7);
  CHECK(client->options().mid_stream == MidStream::restart);
  CHECK(client->options().hold == StreamHold{.tokens = 20, .time = 1s});
}

TEST_CASE("where a file bounds retries nothing is repeated beyond that when all targets have failed") {
  const auto repeats = [](std::string_view keys) {
    const auto client = FallbackClient::from_config(
        parse_config(R"({"fallback_policy": {"targets": ["ollama/a"], )" + std::string{keys} + "}}"));
    if (!client) FAIL(client.error().message);
    return client->options().recovery.repeat_failed;
  };
  CHECK_FALSE(repeats(R"("max_retries": 0)"));
  CHECK_FALSE(repeats(R"("max_retries": 1)"));
  CHECK_FALSE(repeats(R"("retry_on": [429])"));
  CHECK_FALSE(repeats(R"("retry": {"max_attempts": 3})"));
  CHECK(repeats(R"("retry": {"initial": "100ms"})"));
  CHECK(repeats(R"("max_retries": 0, "recovery": {"repeat_failed": true})"));
}

TEST_CASE("a rate limit of the file stands around each target") {
  const auto client = FallbackClient::from_config(parsed(
      R"({"fallback_policy": {"targets": ["ollama/a", "ollama/b"], "rate_limit": {"requests_per_minute": 6}}})"));
  REQUIRE(client);
  const std::string text = client->describe();
  CHECK_THAT(text, ContainsSubstring("ollama/a") && ContainsSubstring("| rate_limit(requests_per_minute = 6) | retry"));
  CHECK_FALSE(parsed(R"({"fallback_policy": {"targets": ["ollama/a"]}})").targets[0].rate_limit);
}

TEST_CASE("a default gives way to what is explicit") {
  const Config config = parsed(R"({"fallback_policy": {"targets": ["openai/a", "openai/b"], "deadline": "5s",
    "max_retries": 6, "retry": {"initial": "20s"}, "circuit_breaker": {"open_for": "10m"}}})");
  const TargetConfig& target = config.targets[0];
  CHECK(target.retry.max == 20s);
  CHECK(target.circuit_breaker.open_for_max == 10min);
  // Two sends to the first target, while the second is ready, and seven to that one.
  CHECK(config.limits.max_attempts == 9);
}

TEST_CASE("the first backoff gives way to an explicit longest one, and the first open time likewise") {
  const Config config = parsed(R"({"fallback_policy": {"targets": ["openai/a"], "retry": {"max": "100ms"},
    "circuit_breaker": {"open_for_max": "7s"}}})");
  CHECK(config.targets[0].retry.initial == 100ms);
  CHECK(config.targets[0].circuit_breaker.open_for == 7s);
}

TEST_CASE("each kind of cap stands around the targets, also alone") {
  const auto stack_with = [](std::string_view caps) {
    const auto client = FallbackClient::from_config(
        parse_config(R"({"fallback_policy": {"targets": ["ollama/a"], "cost_cap": {)" + std::string{caps} + "}}}"));
    if (!client) FAIL(client.error().message);
    return client->describe();
  };
  CHECK_THAT(stack_with(R"("per_request_usd": 0.5)"), ContainsSubstring("cost_cap(per_request = $0.50)"));
  CHECK_THAT(stack_with(R"("per_day_usd": 20)"), ContainsSubstring("budget") && ContainsSubstring("$20.00"));
  CHECK_THAT(stack_with(R"("fallback_premium_per_day_usd": 5)"),
             ContainsSubstring("budget") && ContainsSubstring("$5.00"));
}

TEST_CASE("a policy that is not enabled keeps the first target") {
  const Config config =
      parsed(R"({"fallback_policy": {"enabled": false, "targets": ["ollama/a", "openai/b"], "max_retries": 1}})");
  REQUIRE(config.targets.size() == 1);
  CHECK(config.targets[0].retry.max_attempts == 2);
  CHECK(FallbackClient::from_config(config).has_value());
}

TEST_CASE("a policy that is not enabled leaves what its strategy asks behind, and keeps what the target has") {
  const auto floor_of_first = [](std::string_view targets) {
    const Config config = parsed(fmt::format(
        R"({{"fallback_policy": {{"enabled": false, "strategy": "cascade", "targets": [{}, "openai/b"]}}}})", targets));
    REQUIRE(config.targets.size() == 1);
    CHECK_THAT(FallbackClient::from_config(config)->describe(), !ContainsSubstring("matches_schema"));
    return config.targets[0].accept_if;
  };
  CHECK_FALSE(floor_of_first(R"("ollama/a")"));
  CHECK_FALSE(floor_of_first(R"({"strategy": "cascade", "targets": ["ollama/a", "ollama/c"]})"));
  CHECK(floor_of_first(R"({"target": "ollama/a", "accept_if": {"not_empty": true}})") == FloorConfig{.not_empty = true});
}

TEST_CASE("without blocks every target stands in the standard stack") {
  const auto client = FallbackClient::from_config(parse_config(
      R"({"fallback_policy": {"targets": ["ollama/llama3.2", {"target": "vllm/qwen3", "timeout": {"attempt": "9s"}}],
          "cost_cap": {"per_request_usd": 0.5}}})"));
  if (!client) FAIL(client.error().message);
  const std::string stack = client->describe();
  for (const char* part : {"ollama/llama3.2 | timeout", "vllm/qwen3 | timeout", "attempt = 9s", "circuit_breaker",
                           "cost_cap", "retry"}) {
    CHECK_THAT(stack, ContainsSubstring(part));
  }
  CHECK(client->options().limits.deadline == 600s);
  const Plan plan = client->explain("Hi");
  REQUIRE(plan.steps.size() == 2);
  CHECK(plan.steps[1].target == Target::parse("vllm/qwen3"));
}

TEST_CASE("a key's variable that is not set or empty is an error before anything is sent") {
  const Result<Config> config = parse_config(R"({"fallback_policy": {"targets": [
    "ollama/a", {"target": "nobody/b", "wire": "openai", "base_url": "http://127.0.0.1:1/v1",
                 "api_key_env": "BACKSTOP_TEST_KEY"}]}})");
  const auto unset = FallbackClient::from_config(config);
  REQUIRE_FALSE(unset);
  CHECK_THAT(unset.error().message,
             ContainsSubstring("`fallback_policy.targets[1]`: the environment variable BACKSTOP_TEST_KEY, which should "
                               "hold the key of nobody/b, is not set"));
  {
    const Variable variable{"BACKSTOP_TEST_KEY", " "};
    const auto empty = FallbackClient::from_config(config);
    REQUIRE_FALSE(empty);
    CHECK_THAT(empty.error().message, ContainsSubstring("is not set, or empty"));
  }
  const Variable variable{"BACKSTOP_TEST_KEY", "hunter2"};
  const auto client = FallbackClient::from_config(config);
  if (!client) FAIL(client.error().message);
  CHECK_THAT(client->describe(), !ContainsSubstring("hunter2"));
}

TEST_CASE("a server that the build does not know needs no key, and gets none that is another's") {
  faults::FaultServer server;
  for (int wire = 0; wire < 3; ++wire) server.next(faults::answer("All is well."));
  server.always(faults::unauthorized());
  const Variable openai{"OPENAI_API_KEY", "sk-hunter2"};
  const Variable anthropic{"ANTHROPIC_API_KEY", "sk-hunter2"};
  for (const std::string wire : {"openai", "openai_responses", "anthropic"}) {
    CAPTURE(wire);
    const auto client = FallbackClient::from_config(parse_config(
        R"({"fallback_policy": {"targets": [{"target": "local/llama", "wire": ")" + wire + R"(", "base_url": ")" +
        server.base_url(wire == "anthropic" ? "" : "/v1") + R"("}]}})"));
    REQUIRE(client);
    CHECK(client->chat("Hi"));
  }
  for (const faults::ReceivedRequest& request : server.requests()) {
    for (const auto& [name, value] : request.headers) CHECK_THAT(value, !ContainsSubstring("hunter2"));
  }
  const auto refused = FallbackClient::from_config(parse_config(
      R"({"fallback_policy": {"targets": [{"target": "local/llama", "wire": "openai", "base_url": ")" +
      server.base_url("/v1") + R"("}]}})"))->chat("Hi");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::authentication);
  CHECK_THAT(refused.error().message, ContainsSubstring("no key was sent: give one with `api_key`"));
}

TEST_CASE("a provider of OpenAI's wire is asked over Responses by `wire`, or by a name of its own") {
  faults::FaultServer server;
  const Variable openai{"OPENAI_API_KEY", "sk-openai"};
  const Variable xai{"XAI_API_KEY", "sk-xai"};
  const std::string base_url = R"("base_url": ")" + server.base_url("/v1") + "\"";
  for (const auto& [target, key] :
       {std::pair{R"({"target": "openai/gpt-5.6-sol", "wire": "openai_responses", )" + base_url + "}", "sk-openai"},
        std::pair{R"({"target": "openai_responses/gpt-5.6-sol", )" + base_url + "}", "sk-openai"},
        std::pair{R"({"target": "xai/grok-4", "wire": "openai_responses", )" + base_url + "}", "sk-xai"}}) {
    CAPTURE(target);
    server.always(faults::answer("All is well."));
    const auto client =
        FallbackClient::from_config(parse_config(R"({"fallback_policy": {"targets": [)" + target + "]}}"));
    REQUIRE(client);
    const auto reply = client->chat("Hi");
    REQUIRE(reply);
    CHECK(reply->cost_known);
    CHECK(server.requests().back().path == "/v1/responses");
    CHECK(server.requests().back().header("authorization") == std::string{"Bearer "} + key);
  }
  // The address is the one of the chat wire: it need not be given.
  CHECK(parse_config(R"({"fallback_policy": {"targets": ["openai_responses/gpt-5.6-sol",
    {"target": "xai/grok-4", "wire": "openai_responses"}]}})"));
}

TEST_CASE("providers with a wire of their own need no address, and Ollama's is chosen by `wire` or by a name") {
  CHECK(parse_config(R"({"fallback_policy": {"targets": ["cohere/command-a-03-2025", "ollama_native/qwen3",
    {"target": "ollama/qwen3", "wire": "ollama"}]}})"));
  faults::FaultServer server;
  for (const auto& [target, path] : {std::pair{R"("target": "ollama/qwen3", "wire": "ollama")", "/api/chat"},
                                     std::pair{R"("target": "ollama_native/qwen3")", "/api/chat"},
                                     std::pair{R"("target": "ollama/qwen3")", "/v1/chat/completions"},
                                     std::pair{R"("target": "local/c", "wire": "cohere")", "/v2/chat"}}) {
    CAPTURE(target);
    const auto client = FallbackClient::from_config(parse_config(
        R"({"fallback_policy": {"targets": [{)" + std::string{target} + R"(, "base_url": ")" + server.base_url() +
        R"("}]}})"));
    REQUIRE(client);
    static_cast<void>(client->chat("Hi"));
    REQUIRE_FALSE(server.requests().empty());
    CHECK(server.requests().back().path == path);
  }
}

TEST_CASE("Bedrock's address is its region's, and its key an API key or an access key") {
  for (const char* name : {"AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION",
                           "AWS_DEFAULT_REGION"}) {
    ::unsetenv(name);
  }
  const auto client_of = [](const std::string& target) {
    return FallbackClient::from_config(parse_config(R"({"fallback_policy": {"targets": [)" + target + "]}}"));
  };
  const std::string nova = R"("bedrock/amazon.nova-pro-v1:0")";
  const auto no_key = client_of(nova);
  REQUIRE_FALSE(no_key);
  CHECK(no_key.error().message.find("AWS_BEARER_TOKEN_BEDROCK, which should hold the key of "
                                    "bedrock/amazon.nova-pro-v1:0, is not set") != std::string::npos);
  ::setenv("AWS_ACCESS_KEY_ID", "AKID", 1);
  ::setenv("AWS_SECRET_ACCESS_KEY", "the-secret", 1);
  const auto no_region = client_of(nova);
  REQUIRE_FALSE(no_region);
  CHECK(no_region.error().message.find("`region` is needed") != std::string::npos);
  CHECK(client_of(R"({"target": "bedrock/m", "base_url": "https://bedrock-runtime.eu-west-1.amazonaws.com"})"));
  ::setenv("AWS_REGION", "us-east-1", 1);
  CHECK(client_of(nova));
  ::unsetenv("AWS_ACCESS_KEY_ID");
  ::unsetenv("AWS_SECRET_ACCESS_KEY");
  ::setenv("AWS_BEARER_TOKEN_BEDROCK", "the-key", 1);
  CHECK(client_of(nova));

  faults::FaultServer server;
  server.next(faults::overloaded());
  const auto client = client_of(R"({"target": "bedrock/a:0", "base_url": ")" + server.base_url() + R"("},
    {"target": "local/m", "wire": "bedrock", "base_url": ")" + server.base_url() + R"("})");
  REQUIRE(client);
  static_cast<void>(client->chat("Hi"));
  REQUIRE(server.requests().size() >= 2);
  CHECK(server.requests().front().path.starts_with("/model/a%3A0/converse"));
  CHECK(server.requests().front().header("authorization") == "Bearer the-key");
  CHECK(server.requests().back().path.starts_with("/model/m/converse"));
  CHECK_FALSE(server.requests().back().header("authorization"));
  ::unsetenv("AWS_BEARER_TOKEN_BEDROCK");
  ::unsetenv("AWS_REGION");
}

TEST_CASE("a target's own certificate and proxy do not get what belongs to the policy's") {
  const Result<Config> config = parse_config(R"({"fallback_policy": {
    "http": {"client_certificate": "/policy.pem", "client_key": "/policy.key", "proxy": "http://policy:1",
             "no_proxy": "*", "connections_per_host": 8, "connections": 100, "idle_connections": 0},
    "targets": ["openai/a", {"target": "openai/b", "http": {"client_certificate": "/own.pem", "proxy": "http://own:1",
                                                             "connections": 7}}]}})");
  REQUIRE(config);
  const HttpOptions& of_policy = config->targets[0].model.http;
  CHECK(of_policy.client_key == "/policy.key");
  CHECK(of_policy.no_proxy == "*");
  CHECK(of_policy.connections == 100);
  CHECK(of_policy.idle_connections == 0);
  const HttpOptions& own = config->targets[1].model.http;
  CHECK(own.client_certificate == "/own.pem");
  CHECK(own.client_key.empty());
  CHECK(own.no_proxy.empty());
  CHECK(own.connections == 7);
  CHECK(own.connections_per_host == 8);
}

TEST_CASE("an address that cannot be right is named by its target") {
  for (const std::string url : {"localhost:8080", "ftp://host", "http://user:hunter2@host"}) {
    const auto client = FallbackClient::from_config(
        parse_config(R"({"fallback_policy": {"targets": [{"target": "vllm/a", "base_url": ")" + url + R"("}]}})"));
    REQUIRE_FALSE(client);
    CHECK_THAT(client.error().message,
               ContainsSubstring("`fallback_policy.targets[0]`") && ContainsSubstring("`base_url`"));
    CHECK_THAT(client.error().message, !ContainsSubstring("hunter2"));
  }
}

TEST_CASE("a policy file's complaints come through to the client") {
  const auto client = FallbackClient::from_config(parse_config("{}"));
  REQUIRE_FALSE(client);
  CHECK(client.error().kind == ErrorKind::invalid_request);
}

TEST_CASE("a config made by hand works as one from a file") {
  Config config;
  config.targets.push_back({.model = {.model = "m", .base_url = "http://127.0.0.1:1/v1", .name = "my-server"}});
  CHECK(FallbackClient::from_config(config).has_value());
  config.targets[0].wire = "smoke";
  const auto bad = FallbackClient::from_config(config);
  REQUIRE_FALSE(bad);
  CHECK_THAT(bad.error().message, ContainsSubstring(R"(`wire` is "smoke")"));
  config.targets.clear();
  CHECK_FALSE(FallbackClient::from_config(config).has_value());
}

TEST_CASE("a target's quality floor and what escalates are read") {
  const Config config = parsed(R"({"fallback_policy": {"escalation": "with_draft", "targets": [
    {"target": "openai/a", "accept_if": {"matches_schema": true, "finished": true, "not_empty": true,
     "not_refused": true, "valid_tool_arguments": true, "length": {"min": 2, "max": 80}, "one_of": ["a", "b"],
     "repair": 1}}, "openai/b"]}})");
  CHECK(config.root.escalation == Escalation::with_draft);
  CHECK(config.targets[0].accept_if == FloorConfig{.matches_schema = true,
                                                   .finished = true,
                                                   .not_empty = true,
                                                   .not_refused = true,
                                                   .valid_tool_arguments = true,
                                                   .min_length = 2,
                                                   .max_length = 80,
                                                   .one_of = {"a", "b"},
                                                   .repair = 1});
  CHECK_FALSE(config.targets[1].accept_if);
}

TEST_CASE("in a cascade every target but the last wears a floor") {
  SECTION("the usual one") {
    const Config config = parsed(R"({"fallback_policy": {"strategy": "cascade",
      "targets": ["openai/a", {"target": "openai/b", "accept_if": {"not_empty": true}}, "openai/c"]}})");
    CHECK(config.targets[0].accept_if == FloorConfig{.matches_schema = true, .finished = true});
    CHECK(config.targets[1].accept_if == FloorConfig{.not_empty = true});
    CHECK_FALSE(config.targets[2].accept_if);
    CHECK_FALSE(config.root.escalation);
  }
  SECTION("one of its own") {
    const Config config = parsed(R"({"fallback_policy": {"targets": ["openai/a", "openai/b"], "strategy":
      {"name": "cascade", "accept_if": {"one_of": ["x"]}, "escalation": "with_draft", "repair": 2}}})");
    CHECK(config.targets[0].accept_if == FloorConfig{.one_of = {"x"}, .repair = 2});
    CHECK_FALSE(config.targets[1].accept_if);
    CHECK(config.root.escalation == Escalation::with_draft);
  }
}

TEST_CASE("a client of a policy file has the floors of its targets") {
  const auto client = FallbackClient::from_config(parse_config(R"({"fallback_policy": {"escalation": "with_draft",
    "targets": [{"target": "ollama/a", "accept_if": {"length": {"min": 2}, "not_refused": true, "finished": true,
                 "not_empty": true, "one_of": ["yes", "no"], "matches_schema": true, "valid_tool_arguments": true,
                 "repair": 1}},
                "ollama/b"]}})"));
  REQUIRE(client);
  CHECK(client->options().escalation == Escalation::with_draft);
  const std::string described = client->describe();
  CHECK(described.find("| accept_if(finished && not_empty && not_refused && length(at least 2) && one_of(\"yes\", "
                       "\"no\") && matches_schema && valid_tool_arguments, repair = 1), ") != std::string::npos);
}

TEST_CASE("a config made by hand whose members lead nowhere is refused with their places") {
  Config config;
  config.targets.push_back({.model = {.model = "m", .base_url = "http://127.0.0.1:1/v1", .name = "my-server"}});
  config.root.members = {{.target = 99}, {.target = 0}, {.group = {GroupConfig{}}},
                         {.group = {GroupConfig{.members = {{.target = 1, .place = "inside"}}}}}};
  const auto bad = FallbackClient::from_config(config);
  REQUIRE_FALSE(bad);
  CHECK(bad.error().kind == ErrorKind::invalid_request);
  CHECK_THAT(bad.error().message, ContainsSubstring("`root.members[0]`: its target is number 99, of 1"));
  CHECK_THAT(bad.error().message, ContainsSubstring("`root.members[2].group` has no members"));
  CHECK_THAT(bad.error().message, ContainsSubstring("`inside`: its target is number 1, of 1"));
  config.root.members = {{.target = 0}};
  CHECK(FallbackClient::from_config(config).has_value());
  config.targets.clear();
  CHECK_FALSE(FallbackClient::from_config(config).has_value());
}

TEST_CASE("text behind the document is refused, after a zero byte too") {
  const std::string text = R"({"fallback_policy": {"targets": ["openai/gpt-4o"]}})";
  using namespace std::string_literals;
  CHECK(parse_config(text).has_value());
  CHECK(parse_config(text + " \n").has_value());
  for (const std::string& rest : {"x"s, "{}"s, "\0"s, "\0x"s, " \0{}"s, "\xff"s}) CHECK_FALSE(parse_config(text + rest).has_value());
}

}  // namespace config_test
