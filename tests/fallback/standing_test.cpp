#include "backstop/standing.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/handover/needs.hpp"
#include "backstop/policies/circuit_breaker.hpp"
#include "backstop/policies/cost_cap.hpp"
#include "backstop/policies/intercept.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"
#include "handover/cost_estimate.hpp"

namespace standing_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

struct Lab {
  FallbackClient client(std::vector<Provider> providers, const CallLimits& limits = {}) {
    return FallbackClient{std::move(providers),
                          FallbackOptions{.limits = limits, .recovery = {.max_wait = 0s}, .runtime = world.share()}};
  }
  Standing standing(const Provider& provider, const ChatRequest& request) {
    Needs needs = needs_of(request);
    needs.costs = true;
    return provider.standing(request, needs, world.clock().now());
  }

  VirtualRuntime world;
};

Target priced(std::string_view provider, double usd_per_output_token) {
  ModelFacts facts;
  facts.price = Price{.input = Money{}, .output = Money::usd(usd_per_output_token)};
  return Target{provider, "m", facts};
}

Target blind(std::string_view provider) {
  ModelFacts facts;
  facts.capabilities.vision = false;
  return Target{provider, "m", facts};
}

Target with_window(std::string_view provider, std::int64_t tokens) {
  ModelFacts facts;
  facts.context_window = tokens;
  return Target{provider, "m", facts};
}

ChatRequest with_image() {
  ChatRequest request{"what is that?"};
  request.messages.front().parts.emplace_back(Image{.url = "https://example.org/a.png"});
  return request;
}

ChatRequest long_request() { return ChatRequest{std::string(60'000, 'x')}; }

}  // namespace

TEST_CASE("a client inside a client takes what one of its targets can take") {
  Lab lab;
  struct Row {
    Target unable;
    ChatRequest request;
  };
  for (const Row& row : {Row{blind("one"), with_image()}, Row{with_window("one", 1000), long_request()}}) {
    const ScriptedProvider unable{row.unable};
    const ScriptedProvider able{"two/m", {answer("from two")}};
    const ScriptedProvider behind{"three/m"};
    const FallbackClient inner = lab.client({unable, able});
    CHECK(lab.standing(inner, row.request).ready());
    const FallbackClient outer = lab.client({inner, behind});
    const auto reply = outer.chat(row.request);
    REQUIRE(reply);
    CHECK(reply->served_by == able.target());
    const Plan plan = outer.explain(row.request);
    REQUIRE(plan.steps.size() == 3);
    CHECK(plan.steps[0].skipped);
    CHECK_FALSE(plan.steps[1].skipped);
  }
}

TEST_CASE("explain gives a client inside as many of its targets as it asks in one visit") {
  Lab lab;
  const ScriptedProvider one{"one/m", {error(ErrorKind::quota_exhausted)}};
  const ScriptedProvider two{"two/m"};
  const ScriptedProvider three{"three/m", {answer("from three")}};
  FallbackOptions options = lab.client({one}).options();
  options.limits.max_attempts = 1;
  const FallbackClient inner{{one, two}, options};
  const FallbackClient client = lab.client({inner, three});
  std::vector<std::string> order;
  for (const Plan::Step& step : client.explain("hello").steps) order.push_back(step.target.name());
  CHECK(order == std::vector<std::string>{"one/m", "three/m"});
  const auto reply = client.chat("hello");
  REQUIRE(reply);
  CHECK(reply->served_by == three.target());
}

TEST_CASE("a client none of whose targets can take a request is passed over") {
  Lab lab;
  const ScriptedProvider one{blind("one")};
  const ScriptedProvider two{blind("two")};
  const ScriptedProvider able{"three/m"};
  const FallbackClient inner = lab.client({one, two});
  CHECK_FALSE(lab.standing(inner, with_image()).fit());
  const auto reply = lab.client({inner, able}).chat(with_image());
  REQUIRE(reply);
  CHECK(reply->served_by == able.target());
  CHECK(one.send_count() + two.send_count() == 0);
}

TEST_CASE("a client costs what its targets cost: at least the cheapest, at worst the dearest that can") {
  Lab lab;
  ModelFacts dear_and_blind = blind("three").facts();
  dear_and_blind.price = Price{.input = Money{}, .output = Money::usd(9)};
  const ScriptedProvider dear{priced("one", 3), {answer("hi").usage(0, 10)}};
  const ScriptedProvider cheap{priced("two", 1), {answer("hi").usage(0, 10)}};
  const ScriptedProvider dearest{Target{"three", "m", dear_and_blind}};
  const FallbackClient inner = lab.client({dear, cheap, dearest});
  ChatRequest request = with_image();
  request.max_output_tokens = 50;
  const Standing standing = lab.standing(inner, request);
  CHECK(standing.least_cost == Money::usd(50));
  CHECK(standing.worst_cost == Money::usd(150));

  const Provider capped = inner | cost_cap({.per_request = Money::usd(100)});
  CHECK(lab.standing(capped, request).ready());
  const auto reply = lab.client({capped, ScriptedProvider{priced("four", 0)}}).chat(request);
  REQUIRE(reply);
  CHECK(reply->served_by == cheap.target());
  CHECK_FALSE(lab.standing(inner | cost_cap({.per_request = Money::usd(49)}), request).fit());
  CHECK_FALSE(lab.standing(lab.client({cheap, ScriptedProvider{"five/m"}}), request).worst_cost);
}

TEST_CASE("what one target of a client failed with last puts nothing else of it to rest") {
  Lab lab;
  const ErrorKind kind = GENERATE(ErrorKind::authentication, ErrorKind::quota_exhausted, ErrorKind::model_not_found,
                                  ErrorKind::rate_limited);
  CAPTURE(to_string(kind));
  const ScriptedProvider flaky{"one/m", {error(ErrorKind::server_error), answer("from one")}};
  const ScriptedProvider refused{"two/m", {error(kind, {.retry_after = 60s})}};
  const FallbackClient inner = lab.client({flaky, refused});
  const ScriptedProvider last{"three/m"};
  const FallbackClient outer = lab.client({inner, last});
  REQUIRE(outer.chat("hello"));
  CHECK(last.send_count() == 1);
  CHECK(lab.standing(inner, "hello").ready());
  CHECK(lab.standing(inner, "hello").ready_targets == 1);
  const auto reply = outer.chat("hello");
  REQUIRE(reply);
  CHECK(reply->text() == "from one");
  CHECK(refused.send_count() == 1);
}

TEST_CASE("of the call's sends one is kept for each target behind that is ready, also within a client") {
  Lab lab;
  const Policy eager = retry({.max_attempts = 5, .max_attempts_with_fallback = 5, .initial = 1ms, .max = 1ms});
  const Step fails = error(ErrorKind::server_error);
  const ScriptedProvider first{"one/m", {fails}};
  const ScriptedProvider second{"two/m", {fails}};
  const ScriptedProvider third{"three/m", {fails}};
  const ScriptedProvider fourth{"four/m", {answer("from four")}};
  const FallbackClient inner = lab.client({second | eager, third | eager});
  const FallbackClient outer = lab.client({first | eager, inner, fourth}, {.max_attempts = 5});
  const auto reply = outer.chat("hello");
  REQUIRE(reply);
  CHECK(reply->text() == "from four");
  CHECK(first.send_count() == 2);
  CHECK(second.send_count() == 1);
  CHECK(third.send_count() == 1);
}

TEST_CASE("a target within a client knows of one that is ready outside of it") {
  Lab lab;
  const ScriptedProvider busy{"one/m", {error(ErrorKind::rate_limited, {.retry_after = 10s}), answer("late")}};
  const ScriptedProvider other{"two/m", {answer("at once")}};
  const FallbackClient inner = lab.client({busy | retry()});
  const auto reply = lab.client({inner, other}).chat("hello");
  REQUIRE(reply);
  CHECK(reply->text() == "at once");
  CHECK(reply->elapsed == 0s);
  const auto alone = lab.client({inner}).chat("hello", {.limits = {.recovery_wait = 20s}});
  REQUIRE(alone);
  CHECK(alone->elapsed == 10s);
}

TEST_CASE("what was not sent teaches nothing of the target") {
  class WithoutKey final : public ModelProvider {
   public:
    WithoutKey() : ModelProvider{Target{"one", "m"}}, asked_{std::make_shared<int>(0)} {}
    [[nodiscard]] int asked() const noexcept { return *asked_; }

   private:
    Task<Result<ChatResponse>> send(const ChatRequest&, CallContext&) const override {
      ++*asked_;
      co_return Error{ErrorKind::authentication, "no key is set"};
    }
    std::shared_ptr<int> asked_;
  };
  Lab lab;
  const WithoutKey model;
  const FallbackClient client = lab.client({model});
  for (int i = 1; i <= 2; ++i) {
    const auto reply = client.chat("hello");
    REQUIRE_FALSE(reply);
    CHECK(reply.error().kind == ErrorKind::authentication);
    CHECK_FALSE(reply.error().attempts.at(0).sent);
    CHECK(model.asked() == i);
  }
}

TEST_CASE("a client's own deadline holds inside another, and the next target is asked") {
  Lab lab;
  const ScriptedProvider silent{"one/m", {silence()}};
  const ScriptedProvider next{"two/m", {answer("from two")}};
  const FallbackClient inner = lab.client({silent}, {.deadline = 3s});
  const auto reply = lab.client({inner, next}).chat("hello");
  REQUIRE(reply);
  CHECK(reply->served_by == next.target());
  CHECK(reply->elapsed == 3s);
  CHECK(reply->attempts[0].outcome == ErrorKind::timeout);

  const auto alone = lab.client({inner}).chat("hello");
  REQUIRE_FALSE(alone);
  CHECK(alone.error().kind == ErrorKind::timeout);
  CHECK(alone.error().timeout_limit == TimeoutLimit::client_deadline);
  CHECK(alone.error().elapsed == 3s);

  const auto tighter = lab.client({inner}).chat("hello", {.limits = {.deadline = 2s}});
  REQUIRE_FALSE(tighter);
  CHECK(tighter.error().kind == ErrorKind::deadline_exceeded);
  CHECK(tighter.error().elapsed == 2s);
  CHECK(lab.world.idle());
}

TEST_CASE("a client's own deadline holds for a stream that flows, also beyond its share of the call's time") {
  for (const Duration own : {4s, 6s, 7s}) {
    CAPTURE(own / 1s);
    VirtualRuntime world;
    const ScriptedProvider slow{"one/a", {stream({"a", "b", "c", "d", "e", "f", "g", "h", "i"}, 1s)}};
    const FallbackClient inner{{slow}, {.limits = {.deadline = own}}};
    const FallbackClient client{{inner, ScriptedProvider{"two/b"}}, {.runtime = world.share()}};
    EventLog log{world.runtime()};
    const auto reply = world.call(client, "hello", {.deadline = 12s, .sink = &log});
    REQUIRE_FALSE(reply);
    CHECK(reply.error().timeout_limit == TimeoutLimit::client_deadline);
    CHECK(world.elapsed() == own);
  }
}

TEST_CASE("a client's own deadline says nothing of its targets' health") {
  Lab lab;
  const auto breaker = CircuitBreaker::create({.consecutive_failures = 1});
  const ScriptedProvider silent{"one/m", {silence()}};
  const FallbackClient inner = lab.client({silent | circuit_breaker(breaker)}, {.deadline = 3s});
  CHECK_FALSE(lab.client({inner}).chat("hello"));
  CHECK(breaker->state() == BreakerState::closed);
}

TEST_CASE("a client's own number of sends holds inside another") {
  Lab lab;
  const Step fails = error(ErrorKind::server_error);
  const ScriptedProvider first{"one/m", {fails}};
  const ScriptedProvider second{"two/m", {fails}};
  const ScriptedProvider third{"three/m"};
  const ScriptedProvider last{"four/m", {answer("from four")}};
  const FallbackClient inner = lab.client({first, second, third}, {.max_attempts = 2});
  const auto reply = lab.client({inner, last}).chat("hello");
  REQUIRE(reply);
  CHECK(reply->text() == "from four");
  CHECK(first.send_count() == 1);
  CHECK(second.send_count() == 1);
  CHECK(third.send_count() == 0);
  const auto few = lab.client({inner, last}).chat("hello", {.limits = {.max_attempts = 1}});
  REQUIRE_FALSE(few);
  CHECK(first.send_count() == 2);
  CHECK(second.send_count() == 1);
}

TEST_CASE("a refusal of the application's own cools nothing down") {
  Lab lab;
  const ErrorKind kind = GENERATE(ErrorKind::permission, ErrorKind::authentication, ErrorKind::quota_exhausted);
  CAPTURE(to_string(kind));
  const ScriptedProvider model{"one/m"};
  InterceptOptions options;
  options.before = [kind](RequestEdit& request) -> Result<void> {
    if (request->metadata.user_id == "mallory") return Error{kind, "not for you"};
    return {};
  };
  const FallbackClient client = lab.client({model | intercept(options)});
  ChatRequest request{"hello"};
  request.metadata.user_id = "mallory";
  const auto refused = client.chat(request);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == kind);
  CHECK(refused.error().message == "not for you");
  request.metadata.user_id = "ada";
  CHECK(client.chat(request));
  CHECK(model.send_count() == 1);
}

TEST_CASE("a target that cools down still says what it can never take") {
  Lab lab;
  const ScriptedProvider model{blind("one"), {error(ErrorKind::rate_limited, {.retry_after = 60s})}};
  const FallbackClient client = lab.client({model});
  REQUIRE_FALSE(client.chat("hello"));
  CHECK(lab.standing(client, "hello").verdict == Standing::Verdict::later);
  CHECK(lab.standing(client, "hello").ready_at == lab.world.clock().now() + 60s);
  CHECK_FALSE(lab.standing(client, with_image()).fit());
  const auto reply = client.chat(with_image());
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::unsupported_capability);
  CHECK_FALSE(reply.error().retry_after);
}

TEST_CASE("an answer by another than the first choice says so, at whatever level") {
  Lab lab;
  const auto answered_as_fallback = [&](bool first_fails, bool second_fails) {
    const Step fails = error(ErrorKind::server_error);
    const ScriptedProvider first{"one/m", {first_fails ? fails : answer("hi")}};
    const ScriptedProvider second{"two/m", {second_fails ? fails : answer("hi")}};
    const ScriptedProvider third{"three/m"};
    const auto reply = lab.client({lab.client({first, second}), third}).chat("hello");
    REQUIRE(reply);
    return reply->fallback;
  };
  CHECK_FALSE(answered_as_fallback(false, false));
  CHECK(answered_as_fallback(true, false));
  CHECK(answered_as_fallback(true, true));
}

TEST_CASE("one target twice in a tree of clients is refused with its name") {
  Lab lab;
  const ScriptedProvider one{"one/m"};
  const ScriptedProvider two{"two/m"};
  const FallbackClient inner = lab.client({one, two});
  const auto message = [&](std::vector<Provider> providers) -> std::string {
    try {
      static_cast<void>(lab.client(std::move(providers)));
    } catch (const std::invalid_argument& refused) {
      return refused.what();
    }
    return {};
  };
  CHECK(message({one, one}).find("one/m is listed twice") != std::string::npos);
  CHECK(message({two | retry(), inner}).find("two/m is listed twice") != std::string::npos);
  CHECK(message({inner | retry(), lab.client({ScriptedProvider{"three/m"}, one})}).find("one/m") != std::string::npos);
  CHECK(message({inner, ScriptedProvider{"three/m"}}).empty());
}

TEST_CASE("clients that have copies of one target share what is known of it") {
  Lab lab;
  const ScriptedProvider shared{"one/m", {error(ErrorKind::rate_limited, {.retry_after = 30s}), answer("back")}};
  const FallbackClient here = lab.client({shared});
  const FallbackClient there = lab.client({shared | retry(), ScriptedProvider{"two/m"}});
  REQUIRE_FALSE(here.chat("hello"));
  const auto reply = there.chat("hello");
  REQUIRE(reply);
  CHECK(reply->served_by.name() == "two/m");
  CHECK(shared.send_count() == 1);
  lab.world.run_for(30s);
  CHECK(there.chat("hello")->served_by.name() == "one/m");
}

TEST_CASE("the row of a target that was passed over says how long it will be out") {
  Lab lab;
  const ScriptedProvider first{"one/a", {error(ErrorKind::rate_limited, {.retry_after = 30s})}};
  const ScriptedProvider second{"two/b", {answer("hi").after(4s)}};
  const FallbackClient client = lab.client({first, second});
  REQUIRE(client.chat("hello"));
  const auto reply = client.chat("hello");
  REQUIRE(reply);
  REQUIRE(reply->attempts.size() == 2);
  CHECK_FALSE(reply->attempts[0].sent);
  CHECK(reply->attempts[0].out_for == 26s);
  CHECK(reason_of(reply->attempts[0]) == "cooling down after rate_limited (for another 26.0 s)");
}

TEST_CASE("the worst cost of a plan is that of its dearest target for every attempt of the call") {
  Lab lab;
  const ScriptedProvider cheap{priced("cheap", 1)};
  const ScriptedProvider dear{priced("dear", 3)};
  const FallbackClient client = lab.client({cheap, dear}, {.max_attempts = 4});
  ChatRequest request{"hello"};
  request.max_output_tokens = 10;
  const Plan plan = client.explain(request);
  CHECK(plan.worst_cost == Money::usd(4 * 3 * 10));
  const ScriptedProvider unpriced{"one/a"};
  CHECK_FALSE(lab.client({cheap, unpriced}).explain(request).worst_cost);
}

TEST_CASE("a target that fails before anything goes out uses none of the call's attempts") {
  class Keyless final : public ModelProvider {
   public:
    explicit Keyless(std::string_view name) : ModelProvider{Target{name, "m"}} {}

   private:
    Task<Result<ChatResponse>> send(const ChatRequest&, CallContext&) const override {
      co_return Error{ErrorKind::authentication, "there is no key"};
    }
  };
  Lab lab;
  const ScriptedProvider last{"two/b", {answer("hi")}};
  const FallbackClient client = lab.client({Keyless{"one"}, last}, {.max_attempts = 1});
  const auto reply = client.chat("hello");
  REQUIRE(reply);
  CHECK(reply->served_by == last.target());
  CHECK_FALSE(reply->attempts.front().sent);
}

TEST_CASE("a client within another knows when the target around it is no longer ready") {
  Lab lab;
  const auto breaker = CircuitBreaker::create();
  const ScriptedProvider first{"one/a", {error(ErrorKind::server_error).after(1s)}};
  const ScriptedProvider second{
      "two/b", {error(ErrorKind::server_error), error(ErrorKind::server_error), answer("hi")}};
  const ScriptedProvider around{"three/c"};
  const FallbackClient inner = lab.client({first, second | retry()});
  const FallbackClient outer = lab.client({inner, around | circuit_breaker(breaker)});
  lab.world.at(500ms, [&] { breaker->isolate(); });
  const auto reply = outer.chat("hello");
  REQUIRE(reply);
  CHECK(reply->served_by == second.target());
  CHECK(second.send_count() == 3);  // as often as alone
}

TEST_CASE("a provider of the application's own is passed over by the facts of its target, like any other") {
  struct Own final : ChatProvider {
    explicit Own(Target its) : named{std::move(its)} {}
    [[nodiscard]] const Target& target() const noexcept override { return named; }
    Task<Result<ChatResponse>> call(const ChatRequest&, CallContext&) const override {
      ++*asked;
      ChatResponse response;
      response.parts = {Text{"own"}};
      co_return response;
    }
    [[nodiscard]] std::string describe() const override { return named.name(); }
    Target named;
    std::shared_ptr<int> asked = std::make_shared<int>(0);
  };
  ModelFacts facts;
  facts.capabilities.tools = false;
  facts.price = Price{.input = Money{}, .output = Money::usd_per_million(1)};
  const Own own{Target{"own", "m", facts}};
  VirtualRuntime world;
  const ScriptedProvider other{"two/b", {answer("other")}};
  const FallbackClient client{{own, other}, {.runtime = world.share()}};
  ChatRequest with_tools{"hello"};
  with_tools.tools = {Tool{.name = "look"}};
  const auto reply = client.chat(with_tools);
  REQUIRE(reply);
  CHECK(reply->text() == "other");
  CHECK(*own.asked == 0);
  REQUIRE(client.explain(with_tools).steps[0].skipped);
  CHECK(client.explain(with_tools).steps[0].skipped->kind == ErrorKind::unsupported_capability);
  CHECK(client.explain("hello").steps[0].worst_cost);
  CHECK(client.chat("hello")->text() == "own");
}

}  // namespace standing_test
