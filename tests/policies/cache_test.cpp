#include "backstop/policies/cache.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/intercept.hpp"
#include "backstop/policies/standard.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace cache_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

ChatRequest exact(std::string prompt = "hello") {
  ChatRequest request{std::move(prompt)};
  request.temperature = 0;
  return request;
}

Target priced(std::string_view provider) {
  ModelFacts facts;
  facts.price = Price{.input = Money::usd(1), .output = Money::usd(1)};
  return Target{provider, "model", facts};
}

}  // namespace

TEST_CASE("a request that was asked before is answered without a send") {
  VirtualRuntime runtime;
  const ScriptedProvider model{priced("a"), {answer("hi").usage(3, 4).after(1s)}};
  const Provider cached = model | cache();
  const auto first = runtime.call(cached, exact());
  const auto second = runtime.call(cached, exact());
  REQUIRE(second);
  CHECK(model.send_count() == 1);
  CHECK(first->cost == Money::usd(7));
  CHECK(second->text() == "hi");
  CHECK(second->finish_reason == first->finish_reason);
  CHECK(second->served_by == model.target());
  CHECK(second->cost == Money{});
  CHECK(second->elapsed == 0s);
  CHECK(second->usage.input_tokens == 0);
  CHECK(second->usage.output_tokens == 0);
  REQUIRE(second->attempts.size() == 1);
  CHECK_FALSE(second->attempts[0].sent);
  CHECK_FALSE(second->attempts[0].outcome);
  CHECK(second->attempts[0].target == model.target());
  CHECK(second->attempts[0].reason == "answered from the cache");
}

TEST_CASE("a hit uses nothing of what stands inside: no budget, no breaker, no retry budget, no send",
          "[scenario-222]") {
  VirtualRuntime runtime;
  const Budget budget{{.per_period = Money::usd(1000)}};
  const auto breaker = CircuitBreaker::create();
  const ScriptedProvider model{priced("a"), {answer("hi").usage(1, 1)}};
  const Provider cached =
      model | timeout() | circuit_breaker(breaker) | cost_cap(budget) | retry() | cache();
  ChatRequest request = exact();
  request.max_output_tokens = 10;
  REQUIRE(runtime.call(cached, request));
  const BudgetSnapshot spent = budget.snapshot(runtime.clock().now());
  const BreakerSnapshot counted = breaker->snapshot(runtime.clock().now());
  for (int i = 0; i < 10; ++i) REQUIRE(runtime.call(cached, request));
  CHECK(budget.snapshot(runtime.clock().now()).spent == spent.spent);
  CHECK(budget.snapshot(runtime.clock().now()).reserved == spent.reserved);
  CHECK(breaker->snapshot(runtime.clock().now()).calls == counted.calls);
  CHECK(model.send_count() == 1);
  SECTION("not even leave: an open breaker does not stand in its way") {
    breaker->isolate();
    CHECK(runtime.call(cached, request));
  }
}

TEST_CASE("to a stream a hit comes as events, and first content is noted") {
  VirtualRuntime runtime;
  Step script = deltas({"Hel", "lo"}, 10ms);
  script.tool_call("look_up", R"({"city": "Kyiv"})").finish();
  const ScriptedProvider model{"a/m", {script}};
  const Provider cached = model | cache();
  EventLog first{runtime.runtime()};
  EventLog second{runtime.runtime()};
  REQUIRE(runtime.call(cached, exact(), {.sink = &first}));
  const auto reply = runtime.call(cached, exact(), {.sink = &second});
  REQUIRE(reply);
  CHECK(model.send_count() == 1);
  CHECK(first.text() == "Hello");
  CHECK(second.text() == "Hello");
  CHECK(second.count(StreamEvent::Type::tool_call) == 1);
  CHECK(second.count(StreamEvent::Type::finished) == 1);
  CHECK(reply->tool_calls().size() == 1);
}

TEST_CASE("an answer is given again for its time, up to a tenth shorter or longer") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m"};
  const Provider cached = model | cache({.ttl = 100s});
  const int keys = 50;
  for (int i = 0; i < keys; ++i) REQUIRE(runtime.call(cached, exact(std::to_string(i))));
  const auto sends_at = [&](Duration at) {
    runtime.run_for(at - runtime.elapsed());
    const std::size_t before = model.send_count();
    for (int i = 0; i < keys; ++i) REQUIRE(runtime.call(cached, exact(std::to_string(i))));
    return model.send_count() - before;
  };
  CHECK(sends_at(89s) == 0);
  const std::size_t halfway = sends_at(100s);
  CHECK(halfway > 10);
  CHECK(halfway < 40);
  CHECK(sends_at(110s) == keys - halfway);  // those sent again at 100 s are fresh
}

TEST_CASE("explain knows that a cache has the answer, whether or not its target is ready") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m"};
  const FallbackClient client{{model | cache(), ScriptedProvider{"b/m"}}, {.runtime = runtime.share()}};
  CHECK_FALSE(client.explain(exact()).steps.at(0).cached);
  REQUIRE(client.chat(exact()));
  const Plan plan = client.explain(exact());
  CHECK(plan.steps.at(0).cached);
  CHECK(plan.steps[0].target == model.target());
  CHECK(plan.steps[0].worst_cost == Money{});
  CHECK_FALSE(plan.steps.at(1).cached);
}

TEST_CASE("only a request that has one answer is cached, unless told") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m"};
  ChatRequest request{"hello"};
  const auto sends_for_two = [&](const Provider& cached) {
    const std::size_t before = model.send_count();
    for (int i = 0; i < 2; ++i) REQUIRE(runtime.call(cached, request));
    return model.send_count() - before;
  };
  CHECK(sends_for_two(model | cache()) == 2);
  request.temperature = 0.7;
  CHECK(sends_for_two(model | cache()) == 2);
  CHECK(sends_for_two(model | cache({.any_temperature = true})) == 1);
  request.temperature = 0;
  CHECK(sends_for_two(model | cache()) == 1);
}

TEST_CASE("errors and answers that are not whole are not kept", "[scenario-191]") {
  VirtualRuntime runtime;
  const auto calls = [&](const ScriptedProvider& model, const Policy& twist) {
    const Provider cached = model | twist | cache();
    for (int i = 0; i < 3; ++i) static_cast<void>(runtime.call(cached, exact()));
    return model.send_count();
  };
  const auto finishing = [](std::optional<FinishReason> reason, bool degraded) {
    class Finish final : public Decorator {
     public:
      Finish(Provider next, std::optional<FinishReason> reason, bool degraded, std::string description)
          : Decorator{std::move(next), std::move(description)}, reason_{reason}, degraded_{degraded} {}
      Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
        auto result = co_await next().call(request, context);
        if (result) result->finish_reason = reason_;
        if (result && degraded_) result->degradation.emplace();
        co_return result;
      }

     private:
      std::optional<FinishReason> reason_;
      bool degraded_;
    };
    return make_policy<Finish>("finish", reason, degraded);
  };
  CHECK(calls(ScriptedProvider{"a/m"}, finishing(FinishReason::stop, false)) == 1);
  CHECK(calls(ScriptedProvider{"a/m"}, finishing(FinishReason::tool_calls, false)) == 1);
  CHECK(calls(ScriptedProvider{"a/m"}, finishing(FinishReason::stop, true)) == 3);
  for (const std::optional<FinishReason> reason :
       {std::optional<FinishReason>{}, std::optional{FinishReason::length}, std::optional{FinishReason::content_filter},
        std::optional{FinishReason::context_full}, std::optional{FinishReason::paused},
        std::optional{FinishReason::other}}) {
    CHECK(calls(ScriptedProvider{"a/m"}, finishing(reason, false)) == 3);
  }
  CHECK(calls(ScriptedProvider{"a/m", {error(ErrorKind::server_error)}}, finishing(FinishReason::stop, false)) == 3);
}

TEST_CASE("whatever has a say in the answer is part of the key") {
  const std::vector<std::function<void(ChatRequest&)>> changes{
      [](ChatRequest& r) { r.messages.push_back(Message::user("more")); },
      [](ChatRequest& r) { r.messages[0].role = Role::system; },
      [](ChatRequest& r) { r.messages[0].parts = {Text{"hel"}, Text{"lo"}}; },
      [](ChatRequest& r) { r.messages[0].parts = {Reasoning{.text = "hello"}}; },
      [](ChatRequest& r) { r.messages[0].parts.emplace_back(Image{.url = "https://example.com/cat.png"}); },
      [](ChatRequest& r) { r.messages[0].parts.emplace_back(Document{.url = "https://example.com/cat.png"}); },
      [](ChatRequest& r) { r.messages[0].parts.emplace_back(Audio{.data = "A"}); },
      [](ChatRequest& r) { r.messages[0].parts.emplace_back(ToolCall{"1", "f", "{}"}); },
      [](ChatRequest& r) { r.messages[0].parts.emplace_back(ToolCall{"1", "f{", "}"}); },
      [](ChatRequest& r) { r.messages[0].parts.emplace_back(ToolResult{"1", "x", false}); },
      [](ChatRequest& r) { r.messages[0].parts.emplace_back(ToolResult{"1", "x", true}); },
      [](ChatRequest& r) { r.messages[0].parts.emplace_back(ToolResult{"1", "x", true, false, {Image{.data = "A"}}}); },
      [](ChatRequest& r) {
        r.messages[0].parts.emplace_back(ToolResult{"1", "x", true, false, {Document{.data = "A"}}});
      },
      [](ChatRequest& r) { r.tools.push_back({.name = "f"}); },
      [](ChatRequest& r) { r.tools.push_back({.name = "f", .strict = true}); },
      [](ChatRequest& r) { r.tool_choice = ToolChoice{}; },
      [](ChatRequest& r) { r.parallel_tool_calls = false; },
      [](ChatRequest& r) { r.response_format = ResponseFormat{}; },
      [](ChatRequest& r) { r.response_format = ResponseFormat{.schema = "{}"}; },
      [](ChatRequest& r) { r.max_output_tokens = 10; },
      [](ChatRequest& r) { r.top_p = 0.5; },
      [](ChatRequest& r) { r.top_k = 5; },
      [](ChatRequest& r) { r.frequency_penalty = 0.5; },
      [](ChatRequest& r) { r.presence_penalty = 0.5; },
      [](ChatRequest& r) { r.seed = 5; },
      [](ChatRequest& r) { r.service_tier = "flex"; },
      [](ChatRequest& r) { r.stop = {"END"}; },
      [](ChatRequest& r) { r.reasoning_effort = "low"; },
      [](ChatRequest& r) { r.headers.emplace_back("x-tenant", "1"); },
      [](ChatRequest& r) { r.extra = {{"openai", "{}"}}; },
      [](ChatRequest& r) { r.extra = {{"openai", R"({"n": 1})"}}; },
      [](ChatRequest& r) { r.keep_raw = true; },
      [](ChatRequest& r) { r.metadata.user_id = "ada"; },
      [](ChatRequest& r) { r.metadata.user_id = "bob"; },
  };
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m"};
  const Provider cached = model | cache();
  REQUIRE(runtime.call(cached, exact()));
  for (const auto& change : changes) {
    ChatRequest request = exact();
    change(request);
    REQUIRE(runtime.call(cached, request));
  }
  CHECK(model.send_count() == changes.size() + 1);
  CHECK(runtime.call(cached, exact()));
  CHECK(model.send_count() == changes.size() + 1);
}

TEST_CASE("what is only carried along is not part of the key") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m"};
  const Provider cached = model | cache();
  REQUIRE(runtime.call(cached, exact()));
  ChatRequest request = exact();
  request.metadata.session_id = "s";
  request.metadata.request_id = "r";
  request.metadata.trace_parent = "00-1-1-01";
  request.metadata.tags.emplace_back("team", "search");
  request.messages[0].cache = true;
  CHECK(runtime.call(cached, request));
  CHECK(model.send_count() == 1);
}

TEST_CASE("users do not share answers, unless told", "[scenario-193]") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m"};
  ChatRequest ada = exact();
  ada.metadata.user_id = "ada";
  ChatRequest bob = exact();
  bob.metadata.user_id = "bob";
  const bool across = GENERATE(false, true);
  const Provider cached = model | cache({.across_users = across});
  REQUIRE(runtime.call(cached, ada));
  REQUIRE(runtime.call(cached, bob));
  CHECK(model.send_count() == (across ? 1 : 2));
}

TEST_CASE("a cache of the application's own is shared by policies around the same provider, and by no others") {
  VirtualRuntime runtime;
  const AnswerCache answers;
  const ScriptedProvider one{"a/m", {answer("from one")}};
  const ScriptedProvider other{"a/m", {answer("from the other")}};  // the same name at another server
  const Provider server = one;
  const Policy shared = cache({.shared = answers});
  const Provider first = server | shared;
  const Provider second = server | cache({.shared = answers});
  CHECK(runtime.call(first, exact())->text() == "from one");
  CHECK(runtime.call(second, exact())->text() == "from one");
  CHECK(one.send_count() == 1);
  const Provider elsewhere = other | shared;
  CHECK(runtime.call(elsewhere, exact())->text() == "from the other");
  const Provider limited = server | timeout() | shared;  // another stack
  CHECK(runtime.call(limited, exact())->text() == "from one");
  CHECK(one.send_count() == 2);
  CHECK(answers.snapshot().entries == 3);
}

TEST_CASE("two policies that edit requests do not answer for each other") {
  VirtualRuntime runtime;
  const AnswerCache answers;
  const ScriptedProvider model{"a/m", {answer("one"), answer("two")}};
  const auto with_style = [](std::string style) {
    InterceptOptions options;
    options.before = [style](RequestEdit& request) -> Result<void> {
      request.edit().messages.push_back(Message::system(style));
      return {};
    };
    return intercept(std::move(options));
  };
  const Policy shared = cache({.shared = answers});
  const Provider server = model;
  const Provider terse = server | with_style("terse") | shared;
  const Provider long_winded = server | with_style("long-winded") | shared;
  CHECK(runtime.call(terse, exact())->text() == "one");
  CHECK(runtime.call(long_winded, exact())->text() == "two");
  CHECK(runtime.call(terse, exact())->text() == "one");
}

TEST_CASE("what a policy left in a shared cache is not found by one that is made after it") {
  VirtualRuntime runtime;
  const AnswerCache answers;
  const ScriptedProvider model{"a/m", {answer("old"), answer("new")}};
  const Policy shared = cache({.shared = answers});
  CHECK(runtime.call(model | shared, exact())->text() == "old");
  CHECK(runtime.call(model | shared, exact())->text() == "new");  // most likely where the first one stood in memory
}

TEST_CASE("policies under one name share what is kept, whatever they stand around") {
  VirtualRuntime runtime;
  const AnswerCache answers;
  const ScriptedProvider model{"a/m", {answer("old"), answer("new")}};
  const Policy shared = cache({.shared = answers, .shared_as = "chat"});
  CHECK(runtime.call(model | shared, exact())->text() == "old");
  CHECK(runtime.call(model | timeout() | shared, exact())->text() == "old");
  CHECK(runtime.call(model | cache({.shared = answers, .shared_as = "other"}), exact())->text() == "new");
  CHECK_THROWS_AS(cache({.shared_as = "chat"}), std::invalid_argument);
}

TEST_CASE("around a client it answers also while every target is out, and keeps no second choice") {
  VirtualRuntime runtime;
  const auto breaker = CircuitBreaker::create();
  const ScriptedProvider first{"a/m", {error(ErrorKind::server_error), answer("from a")}};
  const ScriptedProvider second{"b/m", {answer("from b")}};
  const FallbackClient inner{first | circuit_breaker(breaker), second | circuit_breaker(breaker)};
  const FallbackClient client{inner | cache()};
  CHECK(runtime.call(client, exact())->text() == "from b");
  CHECK(runtime.call(client, exact())->text() == "from a");  // the second choice's answer was not kept
  breaker->isolate();
  const auto reply = runtime.call(client, exact());
  REQUIRE(reply);
  CHECK(reply->text() == "from a");
  CHECK(first.send_count() == 2);
  CHECK(second.send_count() == 1);
  CHECK_FALSE(runtime.call(client, exact("something else")));
}

TEST_CASE("a plan says that a cache around a client has the answer") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m", {answer("hi"), error(ErrorKind::authentication)}};
  const FallbackClient inner{{model}, {.recovery = {.max_wait = 0s}, .runtime = runtime.share()}};
  const FallbackClient client{{inner | cache({.any_temperature = true})}, {.recovery = {.max_wait = 0s}, .runtime = runtime.share()}};
  REQUIRE(client.chat("known"));
  REQUIRE_FALSE(client.chat("other"));
  CHECK(client.chat("known"));
  CHECK_FALSE(client.explain("known").steps[0].skipped);
  CHECK_FALSE(client.explain("known").waits);
  CHECK(client.explain("other").steps[0].skipped);
}

TEST_CASE("an answer for all users is found for each of them while every target is out") {
  VirtualRuntime runtime;
  const auto breaker = CircuitBreaker::create();
  const ScriptedProvider model{"a/m", {answer("for all")}};
  const FallbackClient client{model | circuit_breaker(breaker) | cache({.across_users = true})};
  ChatRequest request = exact();
  request.metadata.user_id = "ann";
  REQUIRE(runtime.call(client, request));
  breaker->isolate();
  request.metadata.user_id = "bob";
  const auto reply = runtime.call(client, request);
  REQUIRE(reply);
  CHECK(reply->text() == "for all");
  CHECK(model.send_count() == 1);
}

TEST_CASE("a cache describes itself and refuses what cannot be") {
  CHECK((ScriptedProvider{"a/m"} | cache()).describe() == "a/m | cache");
  CHECK(cache({.ttl = 10min, .any_temperature = true}).describe() == "cache(ttl = 600s, any_temperature = true)");
  CHECK_THROWS_AS(cache({.ttl = 0s}), std::invalid_argument);
  CHECK_THROWS_AS(cache({.max_bytes = 0}), std::invalid_argument);
}

}  // namespace cache_test
