#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <string>
#include <vector>

#include "backstop/config/config.hpp"
#include "backstop/testing/event_log.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"
#include "config/only_when.hpp"

namespace groups_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

/// A policy whose targets need no key, on servers that nobody asks.
std::string policy(const std::string& targets, const std::string& keys = "") {
  return R"({"fallback_policy": {)" + keys + R"("targets": )" + targets + "}}";
}

std::string target(const std::string& model, const std::string& keys = "") {
  return R"({"target": "local/)" + model + R"(", "wire": "openai", "base_url": "http://127.0.0.1:9/v1")" +
         (keys.empty() ? "" : ", " + keys) + "}";
}

FallbackClient client_of(const std::string& text) {
  auto client = FallbackClient::from_config(parse_config(text));
  if (!client) FAIL(client.error().message);
  return *std::move(client);
}

std::string problem_with(const std::string& text) {
  const auto client = FallbackClient::from_config(parse_config(text));
  return client ? "no problem" : client.error().message;
}

/// Who would be asked, in this order.
std::string plan(const FallbackClient& client, const ChatRequest& request = "hello") {
  std::string models;
  for (const Plan::Step& step : client.explain(request).steps) {
    if (!step.skipped) models.append(models.empty() ? "" : " ").append(step.target.model());
  }
  return models;
}

ChatRequest tagged(const std::string& name, const std::string& value) {
  ChatRequest request{"hello"};
  request.metadata.tags.emplace_back(name, value);
  return request;
}

ChatRequest tooled_with(const std::string& tool) {
  ChatRequest request{"hello"};
  request.tools.push_back({.name = tool});
  return request;
}

ChatRequest of_effort(const std::string& effort) {
  ChatRequest request{"hello"};
  request.reasoning_effort = effort;
  return request;
}

}  // namespace

TEST_CASE("a policy file names each strategy, with its options") {
  struct Row {
    std::string key;
    std::string described;
  };
  const std::vector<Row> rows{
      {R"("first_ready")", "first_ready"},
      {R"("weighted")", "weighted(3, 1)"},
      {R"({"name": "weighted"})", "weighted(3, 1)"},
      {R"("lowest_latency")", "lowest_latency"},
      {R"({"name": "lowest_latency", "exploration": 0.1})", "lowest_latency(exploration = 0.1)"},
      {R"("highest_throughput")", "highest_throughput"},
      {R"("lowest_cost")", "lowest_cost"},
      {R"("least_in_flight")", "least_in_flight"},
      {R"("sticky")", "sticky(ordered)"},
      {R"({"name": "sticky", "by": "metadata.user_id", "ttl": "1h", "then": "weighted"})",
       "sticky(weighted(3, 1), key = user_id)"},
      {R"({"name": "sticky", "by": "team", "then": {"name": "lowest_latency"}, "max_sessions": 10, "cache_ttl": "1h",
           "expected_turns": 3, "min_dwell": "1m", "second_is_worth_usd": 0.01})",
       "sticky(lowest_latency, key = team)"},
      {R"({"name": "ordered", "min_dwell": "2m"})", "ordered(min_dwell = 120s, successes = 2)"},
      {R"({"name": "ordered", "successes": 3})", "ordered(min_dwell = 60s, successes = 3)"},
  };
  const std::string targets = "[" + target("a", R"("weight": 0.75)") + ", " + target("b", R"("weight": 0.25)") + "]";
  for (const Row& row : rows) {
    CAPTURE(row.key);
    CHECK_THAT(client_of(policy(targets, R"("strategy": )" + row.key + ", ")).describe(),
               ContainsSubstring("strategy = " + row.described));
  }
  CHECK(client_of(policy(targets, R"("strategy": "ordered", )")).describe().find("strategy") == std::string::npos);
}

TEST_CASE("a group is a client in the place of a target") {
  const FallbackClient client = client_of(policy(
      R"([{"strategy": "weighted", "attempts": 2, "deadline": "20s", "targets": [)" + target("a", R"("weight": 9)") + ", " +
          target("b") + "]}, " + R"({"targets": [{"targets": [)" + target("c") + "]}, " + target("d") + "]}]",
      R"("deadline": "60s", )"));
  CHECK_THAT(client.describe(), ContainsSubstring("strategy = weighted(9, 1)"));
  CHECK(plan(client) == "a b c d");
  const ClientSnapshot snapshot = client.snapshot();
  REQUIRE(snapshot.candidates.size() == 2);
  CHECK(snapshot.candidates[0].members.size() == 2);
  CHECK(snapshot.candidates[1].members.size() == 2);
}

TEST_CASE("blocks of a group hold for all below, and a target's own over them") {
  const Result<Config> config = parse_config(policy(
      R"([{"timeout": {"idle": "9s", "connect": "1s"}, "max_retries": 0, "probe": {"every": "30s"}, "targets": [)" +
          target("a") + ", " + target("b", R"("timeout": {"idle": "7s"}, "probe": {"timeout": "5s"})") + "]}, " + target("c") + "]",
      R"("timeout": {"connect": "3s"}, "max_retries": 2, )"));
  REQUIRE(config);
  REQUIRE(config->targets.size() == 3);
  CHECK(config->targets[0].timeout.idle == 9s);
  CHECK(config->targets[0].timeout.connect == 1s);
  CHECK(config->targets[0].retry.max_attempts == 1);
  CHECK(config->targets[0].probe->every == 30s);
  CHECK(config->targets[1].timeout.idle == 7s);
  CHECK(config->targets[1].timeout.connect == 1s);
  CHECK(config->targets[1].probe->every == 30s);
  CHECK(config->targets[1].probe->timeout == 5s);
  CHECK(config->targets[2].timeout.connect == 3s);
  CHECK(config->targets[2].retry.max_attempts == 3);
  CHECK_FALSE(config->targets[2].probe);
  CHECK_THAT(FallbackClient::from_config(config)->describe(), ContainsSubstring("| probe(every = 30s, timeout = 5s)"));
}

TEST_CASE("an id tells deployments of one model apart") {
  const FallbackClient client = client_of(policy("[" + target("m", R"("id": "eu-1")") + ", " + target("m", R"("id": "us-1")") +
                                                 ", " + target("m") + "]"));
  const Plan plan_of_all = client.explain("hello");
  REQUIRE(plan_of_all.steps.size() == 3);
  CHECK(plan_of_all.steps[0].target.name() == "eu-1/m");
  CHECK(plan_of_all.steps[1].target.name() == "us-1/m");
  CHECK(plan_of_all.steps[2].target.name() == "local/m");
}

TEST_CASE("a member takes only the requests for which its `when` holds") {
  struct Row {
    std::string when;
    ChatRequest holds;
    ChatRequest not_for;
  };
  ChatRequest user{"hello"};
  user.metadata.user_id = "somebody";
  ChatRequest headed{"hello"};
  headed.headers.emplace_back("X-Plan", "paid");
  ChatRequest tooled{"hello"};
  tooled.tools.push_back(Tool{.name = "search"});
  ChatRequest warm{"hello"};
  warm.temperature = 0.7;
  ChatRequest picture{"look"};
  picture.messages[0].parts.emplace_back(Image{.url = "https://example.org/a.png"});
  const ChatRequest paid = tagged("plan", "paid");
  const ChatRequest free = tagged("plan", "free");
  const ChatRequest plain{"hello"};
  const std::vector<Row> rows{
      {R"({"metadata.plan": "paid"})", paid, free},
      {R"({"metadata.plan": {"!=": "paid"}})", plain, paid},
      {R"({"metadata.plan": {"in": ["paid", "trial"]}})", paid, plain},
      {R"({"metadata.plan": {"not_in": ["paid"]}})", plain, paid},
      {R"({"metadata.plan": {"matches": "^p.*d$"}})", paid, free},
      {R"({"metadata.plan": {"matches": "ai"}})", paid, free},
      {R"({"metadata.plan": {"matches": "(a+)+i"}})", paid, tagged("plan", std::string(999, 'a'))},
      {R"({"metadata.plan": {"matches": "a"}})", paid, tagged("plan", std::string(1001, 'a'))},
      {R"({"metadata.seats": {">": 9}})", tagged("seats", "10"), tagged("seats", "9")},
      {R"({"metadata.seats": 10})", tagged("seats", "10.0"), tagged("seats", "ten")},
      {R"({"metadata.seats": {"in": [1, 10]}})", tagged("seats", "10"), tagged("seats", "2")},
      {R"({"tools": {"has": "look_up"}})", tooled_with("look_up"), tooled_with("other")},
      {R"({"reasoning": true})", of_effort("low"), plain},
      {R"({"reasoning": "high"})", of_effort("high"), of_effort("low")},
      {R"({"reasoning": {"in": ["medium", "high"]}})", of_effort("medium"), plain},
      {R"({"metadata.plan": {"has": "re"}})", free, paid},
      {R"({"tags": {"has": "plan"}})", free, plain},
      {R"({"metadata.user_id": "somebody"})", user, plain},
      {R"({"user_id": "somebody"})", user, plain},
      {R"({"header.x-plan": "paid"})", headed, plain},
      {R"({"input_tokens": {">": 1000}})", ChatRequest{std::string(10'000, 'a')}, plain},
      {R"({"input_tokens": {"<=": 1000, ">": 0}})", plain, ChatRequest{std::string(10'000, 'a')}},
      {R"({"tools": true})", tooled, plain},
      {R"({"images": false})", plain, picture},
      {R"({"params.temperature": {">=": 0.5}})", warm, plain},
      {R"({"params.temperature": {"<": 0.5}})", [] { ChatRequest cold{"hello"}; cold.temperature = 0; return cold; }(), plain},
      {R"({"any": [{"metadata.plan": "paid"}, {"tools": true}]})", tooled, free},
      {R"({"all": [{"metadata.plan": "paid"}, {"tools": false}]})", paid, free},
      {R"({"not": {"metadata.plan": "paid"}})", free, paid},
      {R"({"metadata.plan": "paid", "tools": false})", paid, plain},
  };
  for (const Row& row : rows) {
    CAPTURE(row.when);
    const FallbackClient client = client_of(policy("[" + target("a", R"("when": )" + row.when) + ", " + target("b") + "]"));
    CHECK(plan(client, row.holds) == "a b");
    CHECK(plan(client, row.not_for) == "b");
    const auto skipped = client.explain(row.not_for).steps;
    REQUIRE(skipped[0].skipped);
    CHECK_THAT(skipped[0].skipped->message, ContainsSubstring("`when` does not hold"));
  }
  const FallbackClient groups = client_of(
      policy(R"([{"when": {"metadata.plan": "paid"}, "targets": [)" + target("a") + ", " + target("b") + "]}, " + target("c") + "]"));
  CHECK(plan(groups, paid) == "a b c");
  CHECK(plan(groups, free) == "c");
}

TEST_CASE("what a member is does not depend on the requests that it takes") {
  const FallbackClient client = client_of(policy(R"([{"when": {"metadata.plan": "paid"}, "targets": [)" + target("a") + ", " +
                                                 target("b") + "]}, " + target("c", R"("when": {"tools": true})") + ", " +
                                                 target("d") + "]"));
  const ClientSnapshot snapshot = client.snapshot();
  REQUIRE(snapshot.candidates.size() == 3);
  for (const ClientSnapshot::Candidate& candidate : snapshot.candidates) CHECK(candidate.ready);
  CHECK(client.standing("hello", needs_of("hello"), TimePoint{1h}).targets == 4);
}

TEST_CASE("what a member is for goes by the request as it came, though it is asked for what is left of it") {
  VirtualRuntime world;
  ModelFacts facts;
  facts.capabilities.vision = false;
  facts.capabilities.prefill = true;
  const ScriptedProvider blind{Target{"x", "blind", facts}};
  ChatRequest picture{"what is this?"};
  picture.messages[0].parts.emplace_back(Image{.url = "http://127.0.0.1/cat.png"});
  FallbackOptions options{.recovery = {.max_wait = 0s}, .degrade = {degrade::images()}};
  options.runtime = world.share();
  const FallbackClient reduced{{Provider{blind} | detail::only_when(has_images())}, options};
  const auto left = reduced.chat(picture);
  if (!left) FAIL_CHECK(left.error().message);
  CHECK_FALSE(reduced.chat("hello"));

  const ScriptedProvider breaks{Target{"x", "breaks", facts}, {deltas({"a "}).cut()}};
  const ScriptedProvider goes_on{Target{"x", "goes-on", facts}, {answer("b")}};
  FallbackOptions resumes{.mid_stream = MidStream::resume, .recovery = {.max_wait = 0s}};
  resumes.runtime = world.share();
  const FallbackClient client{{breaks, Provider{goes_on} | detail::only_when(wants_reasoning())}, resumes};
  ChatRequest thinking{"hello"};
  thinking.reasoning_effort = "high";
  EventLog log{*world.share()};
  PendingCall call = client.start(thinking, {.sink = &log});
  const auto reply = call.wait();
  REQUIRE(reply);
  CHECK(log.text() == "a b");
}

TEST_CASE("hedging and recovery have blocks of their own") {
  const Result<Config> config = parse_config(policy("[" + target("a") + ", " + target("b") + "]",
      R"("hedge": {"percentile": 0.9, "min_samples": 20, "min_delay": "500ms", "delay_without_samples": "5s",
                   "budget": {"share": 0.1}},
         "recovery": {"max_wait": "3s", "max_waiting": 7, "probe_interval": "2s", "probe_interval_max": "20s",
                      "repeat_failed": false, "min_attempt_time": "1s", "cooldown_max": "5m"}, )"));
  REQUIRE(config);
  const auto client = FallbackClient::from_config(config);
  REQUIRE(client);
  REQUIRE(client->options().hedge);
  CHECK(client->options().hedge->percentile == 0.9);
  CHECK(client->options().hedge->min_samples == 20);
  CHECK(client->options().hedge->min_delay == 500ms);
  CHECK(client->options().hedge->delay_without_samples == 5s);
  CHECK(client->options().hedge->budget.share == 0.1);
  CHECK(client->options().recovery == RecoveryOptions{.max_wait = 3s,
                                                      .max_waiting = 7,
                                                      .probe_interval = 2s,
                                                      .probe_interval_max = 20s,
                                                      .repeat_failed = false,
                                                      .min_attempt_time = 1s,
                                                      .cooldown_max = 5min});
}

TEST_CASE("what the file says nothing of stays as the application has it") {
  const std::string targets = "[" + target("a") + ", " + target("b") + "]";
  const FallbackOptions own{.strategy = lowest_cost(),
                            .hedge = HedgeOptions{.percentile = 0.5, .min_delay = 2s},
                            .recovery = {.max_wait = 1s, .max_waiting = 3}};
  const auto options_with = [&](const std::string& keys) {
    auto client = FallbackClient::from_config(parse_config(policy(targets, keys)), own);
    if (!client) FAIL(client.error().message);
    return client->options();
  };
  const FallbackOptions silent = options_with("");
  CHECK(silent.strategy.describe() == "lowest_cost");
  CHECK(silent.recovery == own.recovery);
  CHECK(silent.hedge->percentile == 0.5);
  CHECK(silent.hedge->min_delay == 2s);
  // 10 s and 0.95 are the defaults.
  const FallbackOptions laid_over = options_with(R"("strategy": "ordered", "recovery": {"max_wait": "10s", "repeat_failed": false},
                                                    "hedge": {"percentile": 0.95, "budget": {"share": 0.2}}, )");
  CHECK(laid_over.strategy.is_ordered());
  CHECK(laid_over.recovery.max_wait == 10s);
  CHECK_FALSE(laid_over.recovery.repeat_failed);
  CHECK(laid_over.recovery.max_waiting == 3);
  CHECK(laid_over.hedge->percentile == 0.95);
  CHECK(laid_over.hedge->budget.share == 0.2);
  CHECK(laid_over.hedge->min_delay == 2s);
}

TEST_CASE("a weight above zero takes part, however small it is beside the others") {
  const FallbackClient client = client_of(policy("[" + target("a", R"("weight": 0.0001)") + ", " + target("b", R"("weight": 1)") + ", " +
                                                 target("c", R"("weight": 0)") + "]", R"("strategy": "weighted", )"));
  CHECK_THAT(client.describe(), ContainsSubstring("weighted(1, 1000, 0)"));
}

TEST_CASE("a duration that may be zero may be zero") {
  const std::string targets = "[" + target("a") + ", " + target("b") + "]";
  const FallbackClient client = client_of(policy(targets, R"("strategy": {"name": "ordered", "min_dwell": "0s"},
      "recovery": {"max_wait": "0s", "min_attempt_time": "0ms"}, )"));
  CHECK(client.options().strategy.describe() == "ordered(min_dwell = 0s, successes = 2)");
  CHECK(client.options().recovery.max_wait == 0s);
  CHECK(client.options().recovery.min_attempt_time == 0s);
  static_cast<void>(client_of(policy(targets, R"("strategy": {"name": "sticky", "min_dwell": "0s"}, )")));
  CHECK(problem_with(policy(targets, R"("recovery": {"probe_interval": "0s"}, )")) != "no problem");
  CHECK(problem_with(policy(targets, R"("recovery": {"max_wait": "-1s"}, )")) != "no problem");
}

TEST_CASE("what is wrong with a strategy, a group or a condition is named by its place") {
  struct Row {
    std::string text;
    std::vector<std::string> fragments;
  };
  const std::string two = "[" + target("a") + ", " + target("b") + "]";
  const std::vector<Row> rows{
      {policy(two, R"("strategy": "fastest", )"), {R"(`fallback_policy.strategy` is "fastest")", R"("lowest_latency")"}},
      {policy(two, R"("strategy": {"name": "weighted", "exploration": 1}, )"),
       {"`fallback_policy.strategy.exploration` is not known; accepted here are name"}},
      {policy(two, R"("strategy": {"name": "sticky", "ttl": "soon"}, )"), {"`fallback_policy.strategy.ttl` is \"soon\""}},
      {policy(two, R"("strategy": {"name": "sticky", "then": "best"}, )"), {"`fallback_policy.strategy.then` is \"best\""}},
      {policy(two, R"("strategy": {"name": "sticky", "then": "cascade"}, )"), {R"("least_in_flight" or "sticky")"}},
      {policy("[" + target("a", R"("weight": 0)") + "]", R"("strategy": "weighted", )"),
       {"`fallback_policy.strategy` cannot be: weighted: all weights are 0"}},
      {policy("[" + target("a", R"("weight": -1)") + "]"), {"`fallback_policy.targets[0].weight` is -1"}},
      {policy(R"([{"targets": []}])"), {"`fallback_policy.targets[0].targets` is empty"}},
      {policy(R"([{"targets": ["openai/a"], "model": "x"}])"), {"`fallback_policy.targets[0].model` is not known"}},
      {policy(R"([{"targets": [)" + target("a") + "]}, " + target("a") + "]"),
       {"`fallback_policy.targets[1]` lists local/a again, after `fallback_policy.targets[0].targets[0]`", "`id`"}},
      {policy("[" + target("a", R"("id": "x/y")") + "]"), {"`fallback_policy.targets[0].id` is \"x/y\""}},
      {policy("[" + target("a", R"("when": {"colour": "red"})") + "]"),
       {"`fallback_policy.targets[0].when.colour` is not known", "input_tokens"}},
      {policy("[" + target("a", R"("when": {"input_tokens": {">": "many"}})") + "]"), {"must be a number"}},
      {policy("[" + target("a", R"("when": {"input_tokens": {"~": 1}})") + "]"), {"accepted here are ==, !="}},
      {policy("[" + target("a", R"("when": {"input_tokens": true})") + "]"), {"must be a number"}},
      {policy("[" + target("a", R"("when": {"images": 1})") + "]"), {"when.images` is 1; it must be true or false"}},
      {policy("[" + target("a", R"("when": {"documents": {"in": ["yes"]}})") + "]"), {"must be true or false"}},
      {policy("[" + target("a", R"("when": {"tools": {">": 1}})") + "]"), {"`fallback_policy.targets[0].when.tools.>` does not compare such a field; accepted here are ==, !=, in, not_in"}},
      {policy("[" + target("a", R"("when": {})") + "]"), {"`fallback_policy.targets[0].when` is empty; give a field"}},
      {policy("[" + target("a", R"("when": {"tags": "plan"})") + "]"), {"when.tags` does not compare such a field; accepted here is has"}},
      {policy("[" + target("a", R"("when": {"reasoning": "hgih"})") + "]"), {"true, false, or an effort"}},
      {policy("[" + target("a", R"("when": {"metadata.a": {"matches": "(a"}})") + "]"), {"a regular expression"}},
      {policy("[" + target("a", R"("when": {"metadata.a": {"matches": ")" + std::string(201, 'a') + R"("}})") + "]"), {"a regular expression"}},
      {policy("[" + target("a", R"("when": {"any": []})") + "]"), {"when.any` is empty"}},
      {policy("[" + target("a", R"("when": {})") + "]"), {"`fallback_policy.targets[0].when`"}},
      {policy("[" + target("a", R"("when": {"tools": null})") + "]"), {"a string, a number, true or false"}},
      {policy("[" + target("a", R"("probe": {"every": "10ms"})") + "]"), {"probe: every is 10ms"}},
      {policy(two, R"("hedge": {"percentile": 2}, )"), {"`fallback_policy.hedge.percentile` is 2"}},
      {policy(two, R"("recovery": {"max_wait": 3}, )"), {"`fallback_policy.recovery.max_wait` is 3"}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    const std::string problem = problem_with(row.text);
    for (const std::string& fragment : row.fragments) CHECK_THAT(problem, ContainsSubstring(fragment));
  }
  std::string deep = target("a");
  for (int i = 0; i < 50; ++i) deep = R"({"targets": [)" + deep + "]}";
  CHECK_THAT(problem_with(policy("[" + deep + "]")), ContainsSubstring("is nested too deeply"));
}

}  // namespace groups_test
