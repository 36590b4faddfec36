#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/cache.hpp"
#include "backstop/policies/cost_cap.hpp"
#include "backstop/policies/rate_limit.hpp"
#include "backstop/policies/single_flight.hpp"
#include "backstop/testing/event_log.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace own_parameters_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

/// A dollar per token of output; nothing else costs.
ModelFacts facts_of(Parameters defaults, Parameters overrides = {}) {
  ModelFacts facts;
  facts.price = Price{.input = Money{}, .output = Money::usd(1)};
  facts.max_output_tokens = 9000;
  facts.defaults = std::move(defaults);
  facts.overrides = std::move(overrides);
  return facts;
}

ScriptedProvider model(std::string_view name, const ModelFacts& facts, std::vector<Step> steps = {}) {
  return ScriptedProvider{Target{"p", name, facts}, std::move(steps)};
}

FallbackClient client_of(VirtualRuntime& runtime, std::vector<Provider> providers, FallbackOptions options = {}) {
  options.recovery.max_wait = 0s;
  options.runtime = runtime.share();
  return FallbackClient{std::move(providers), std::move(options)};
}

Parameters everything() {
  return {.max_output_tokens = 77,
          .temperature = 0.25,
          .top_p = 0.5,
          .top_k = 5,
          .frequency_penalty = 0.1,
          .presence_penalty = 0.2,
          .seed = 9,
          .stop = {"OWN"},
          .reasoning_effort = "low",
          .service_tier = "flex"};
}

ChatRequest saying_everything() {
  ChatRequest request{"Hi"};
  request.max_output_tokens = 50;
  request.temperature = 1;
  request.top_p = 1;
  request.top_k = 50;
  request.frequency_penalty = 1;
  request.presence_penalty = 1;
  request.seed = 1;
  request.stop = {"END"};
  request.reasoning_effort = "high";
  request.service_tier = "priority";
  return request;
}

Parameters said_by(const ChatRequest& request) {
  return {request.max_output_tokens, request.temperature,      request.top_p, request.top_k,
          request.frequency_penalty, request.presence_penalty, request.seed,  request.stop,
          request.reasoning_effort,  request.service_tier};
}

}  // namespace

TEST_CASE("a target's defaults stand where the request says nothing, its overrides in any case") {
  VirtualRuntime runtime;
  const ScriptedProvider plain = model("plain", facts_of({}));
  const ScriptedProvider defaults = model("defaults", facts_of(everything()));
  const ScriptedProvider overrides = model("overrides", facts_of({}, everything()));
  for (const ScriptedProvider& one : {plain, defaults, overrides}) {
    REQUIRE(runtime.call(one, "Hi"));
    const auto reply = runtime.call(one, saying_everything());
    REQUIRE(reply);
    CHECK(reply->attempts.at(0).reason ==
          (one.target() == overrides.target()
               ? "max_output_tokens, temperature, top_p, top_k, frequency_penalty, presence_penalty, seed, stop, "
                 "reasoning_effort, service_tier replaced by the target's own"
               : ""));
  }
  CHECK(plain.sends()[0].request == ChatRequest{"Hi"});
  CHECK(said_by(defaults.sends()[0].request) == everything());
  CHECK(said_by(overrides.sends()[0].request) == everything());
  CHECK(defaults.sends()[1].request == saying_everything());
  CHECK(said_by(overrides.sends()[1].request) == everything());
}

TEST_CASE("a fallback has the parameters that suit it, and the next one those of the request") {
  VirtualRuntime runtime;
  const ScriptedProvider first = model("first", facts_of({}, {.temperature = 0.1}), {error(ErrorKind::server_error)});
  const ScriptedProvider second = model("second", facts_of({.seed = 4}), {error(ErrorKind::server_error)});
  const ScriptedProvider third = model("third", facts_of({}));
  ChatRequest request{"Hi"};
  request.temperature = 0.7;
  REQUIRE(client_of(runtime, {first, second, third}).chat(request));
  CHECK(first.sends()[0].request.temperature == 0.1);
  CHECK_FALSE(first.sends()[0].request.seed);
  CHECK(second.sends()[0].request.temperature == 0.7);
  CHECK(second.sends()[0].request.seed == 4);
  CHECK(third.sends()[0].request == request);
}

TEST_CASE("explain and the call count the output limit that the target has of its own") {
  VirtualRuntime runtime;
  const ScriptedProvider a = model("a", facts_of({.max_output_tokens = 100}), {error(ErrorKind::server_error)});
  const ScriptedProvider b = model("b", facts_of({}, {.max_output_tokens = 300}), {error(ErrorKind::server_error)});
  const ScriptedProvider c = model("c", facts_of({}));
  const FallbackClient client = client_of(runtime, {a, b, c});
  const auto costs = [&](const ChatRequest& request) {
    std::vector<double> dollars;
    for (const Plan::Step& step : client.explain(request).steps) dollars.push_back(step.worst_cost->usd());
    return dollars;
  };
  CHECK(costs("Hi") == std::vector<double>{100, 300, 9000});
  ChatRequest request{"Hi"};
  request.max_output_tokens = 200;
  CHECK(costs(request) == std::vector<double>{200, 300, 200});

  // A cap that has room for 250 dollars: what the targets themselves ask for counts.
  const FallbackClient capped = client_of(runtime, {client_of(runtime, {a, b, c}) |
                                                    cost_cap({.per_request = Money::usd(250)})});
  const auto reply = capped.chat(request);
  REQUIRE(reply);
  CHECK(reply->served_by == c.target());
  CHECK(a.sends().back().request.max_output_tokens == 200);
  CHECK(b.send_count() == 0);
  REQUIRE(reply->attempts.size() == 3);
  CHECK_THAT(reply->attempts[1].reason, ContainsSubstring("this send may cost $300"));
  const FallbackClient alone = client_of(runtime, {b | cost_cap({.per_request = Money::usd(250)})});
  CHECK(alone.explain("Hi").steps.at(0).skipped);
  CHECK_FALSE(alone.chat("Hi"));
  CHECK(b.send_count() == 0);
}

TEST_CASE("the cheapest target is chosen by what each would be asked to write") {
  VirtualRuntime runtime;
  const ScriptedProvider first = model("first", facts_of({}));
  const ScriptedProvider brief = model("brief", facts_of({}, {.max_output_tokens = 10}));
  FallbackOptions options;
  options.strategy = lowest_cost();
  REQUIRE(client_of(runtime, {first, brief}, options).chat("Hi"));
  CHECK(brief.send_count() == 1);
  CHECK(first.send_count() == 0);
}

TEST_CASE("a rate limit reserves for the target's own output limit") {
  VirtualRuntime runtime;
  const RateLimit limit{{.output_tokens_per_minute = 1000}};
  const ScriptedProvider b = model("b", facts_of({}, {.max_output_tokens = 300}), {silence()});
  const auto call = runtime.start(b | rate_limit(limit), "Hi");
  runtime.run_for(0s);
  CHECK(limit.snapshot(runtime.clock().now()).output_tokens->reserved == 300);
  call->cancel();
  runtime.run_all();
}

TEST_CASE("whether a target has to reason is decided by its own effort") {
  VirtualRuntime runtime;
  ModelFacts cannot = facts_of({}, {.reasoning_effort = "none"});
  cannot.capabilities.reasoning = false;
  ModelFacts wants = facts_of({.reasoning_effort = "high"});
  wants.capabilities.reasoning = false;
  ChatRequest thinking{"Hi"};
  thinking.reasoning_effort = "high";
  const ScriptedProvider relieved = model("relieved", cannot);
  REQUIRE(client_of(runtime, {relieved}).chat(thinking));
  CHECK(relieved.sends()[0].request.reasoning_effort == "none");

  const ScriptedProvider overtaxed = model("overtaxed", wants);
  const auto reply = client_of(runtime, {overtaxed}).chat("Hi");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::unsupported_capability);
  CHECK(overtaxed.send_count() == 0);
}

TEST_CASE("reasoning that a ladder gave up is not asked for by a target's own parameters") {
  VirtualRuntime runtime;
  ModelFacts facts = facts_of({}, {.reasoning_effort = "high"});
  const ScriptedProvider one = model("one", facts, {error(ErrorKind::unsupported_capability), answer("Hi")});
  FallbackOptions options;
  options.degrade = {degrade::reasoning()};
  ChatRequest request{"Hi"};
  request.reasoning_effort = "medium";
  const auto reply = client_of(runtime, {one}, options).chat(request);
  REQUIRE(reply);
  REQUIRE(one.send_count() == 2);
  CHECK(one.sends()[0].request.reasoning_effort == "high");
  CHECK(one.sends()[1].request.reasoning_effort.empty());
}

TEST_CASE("an output limit of the target's own is what its window leaves no room for, and stays lowered") {
  for (const bool overrides : {false, true}) {
    VirtualRuntime runtime;
    const Parameters own{.max_output_tokens = 4000};
    ModelFacts facts = overrides ? facts_of({}, own) : facts_of(own);
    facts.context_window = 3000;
    const ScriptedProvider one = model("one", facts, {error(ErrorKind::context_window_exceeded), answer("Hi")});
    FallbackOptions options;
    options.degrade = {degrade::output()};
    ChatRequest request{std::string(4000, 'x')};  // about 1000 tokens
    if (overrides) request.max_output_tokens = 50;
    const auto reply = client_of(runtime, {one}, options).chat(request);
    REQUIRE(reply);
    REQUIRE(one.send_count() == 2);
    CHECK(one.sends()[0].request.max_output_tokens == 4000);
    const auto lowered = one.sends()[1].request.max_output_tokens;
    REQUIRE(lowered);
    CHECK(*lowered > 1000);
    CHECK(*lowered < 2000);
    REQUIRE(reply->degradation);
    CHECK_THAT(reply->degradation->notice, ContainsSubstring("where 4000 were wanted"));
  }
}

TEST_CASE("an answer that another target goes on with is not thought about again") {
  VirtualRuntime runtime;
  ModelFacts facts = facts_of({.reasoning_effort = "high"}, {.max_output_tokens = 100, .temperature = 0.5});
  facts.capabilities.prefill = true;
  const ScriptedProvider first = model("first", facts, {deltas({"One, ", "two, "}).cut()});
  const ScriptedProvider second = model("second", facts, {answer("three.")});
  FallbackOptions options;
  options.mid_stream = MidStream::resume;
  const FallbackClient client = client_of(runtime, {first, second}, options);
  EventLog log{runtime.runtime()};
  const auto reply = client.start("Count.", {.sink = &log}).wait();
  REQUIRE(reply);
  CHECK(reply->text() == "One, two, three.");
  CHECK(first.sends()[0].request.reasoning_effort == "high");
  CHECK(second.sends()[0].request.reasoning_effort.empty());
  CHECK(second.sends()[0].request.temperature == 0.5);
}

TEST_CASE("two targets that answer differently do not answer for each other out of a shared cache") {
  VirtualRuntime runtime;
  const AnswerCache answers;
  const ScriptedProvider cool = model("m", facts_of({}, {.temperature = 0}), {answer("cool")});
  const Parameters both{.max_output_tokens = 5, .temperature = 0};
  const ScriptedProvider brief = model("m", facts_of({}, both), {answer("brief")});
  const Policy cached = cache({.shared = answers});
  const Provider one = cool | cached;
  const Provider two = brief | cached;
  for (int round = 0; round < 2; ++round) {
    CHECK(runtime.call(one, "Hi")->text() == "cool");
    CHECK(runtime.call(two, "Hi")->text() == "brief");
  }
  CHECK(cool.send_count() == 1);
  CHECK(brief.send_count() == 1);
}

TEST_CASE("whether answers repeat is told by the temperature that the one target is asked at") {
  VirtualRuntime runtime;
  ChatRequest exact{"Hi"};
  exact.temperature = 0;
  const ScriptedProvider warm = model("warm", facts_of({}, {.temperature = 1}));
  const ScriptedProvider cool = model("cool", facts_of({.temperature = 0}));
  for (const ScriptedProvider& one : {warm, cool}) {
    const Provider cached = one | cache();
    const Provider joined = one | single_flight({.deterministic_only = true});
    const ChatRequest& request = one.target() == warm.target() ? exact : ChatRequest{"Hi"};
    REQUIRE(runtime.call(cached, request));
    REQUIRE(runtime.call(cached, request));
    const std::size_t before = one.send_count();
    CHECK(before == (one.target() == warm.target() ? 2 : 1));
    one.then(answer("late").after(1s));
    const auto first = runtime.start(joined, request);
    const auto second = runtime.start(joined, request);
    runtime.run_all();
    CHECK(one.send_count() - before == (one.target() == warm.target() ? 2 : 1));
  }
}

}  // namespace own_parameters_test
