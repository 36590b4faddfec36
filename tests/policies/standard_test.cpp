#include "backstop/policies/standard.hpp"

#include <catch2/catch_test_macros.hpp>

#include <memory>
#include <stdexcept>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace standard_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

Target priced(std::string_view provider) {
  ModelFacts facts;
  facts.price = Price{.input = Money{}, .output = Money::usd(1)};
  return Target{provider, "model", facts};
}

ChatRequest short_request() {
  ChatRequest request{"hello"};
  request.max_output_tokens = 10;
  return request;
}

}  // namespace

TEST_CASE("the standard stack has retry outermost and timeout innermost") {
  const ScriptedProvider model{priced("openai")};
  CHECK((Provider{model} | standard()).describe() ==
        (Provider{model} | timeout() | circuit_breaker() | retry()).describe());
  const CostCapOptions cap{.per_request = Money::usd(100)};
  CHECK((Provider{model} | standard({.cost_cap = cap})).describe() ==
        (Provider{model} | timeout() | circuit_breaker() | cost_cap(cap) | retry()).describe());
  const RateLimitOptions rate{.requests_per_minute = 60};
  const BulkheadOptions room{.max_in_flight = 8};
  CHECK((Provider{model} | standard({.bulkhead = room, .rate_limit = rate, .cost_cap = cap})).describe() ==
        (Provider{model} | timeout() | circuit_breaker() | bulkhead(room) | rate_limit(rate) | cost_cap(cap) | retry())
            .describe());
  CHECK_THROWS_AS(standard({.bulkhead = BulkheadOptions{.max_in_flight = 0}}), std::invalid_argument);
  CHECK_THROWS_AS(standard({.rate_limit = RateLimitOptions{}}), std::invalid_argument);
  CHECK_THROWS_AS(standard({.circuit_breaker = {.failure_rate = 2}}), std::invalid_argument);
  CHECK_THROWS_AS(standard({.cost_cap = CostCapOptions{}}), std::invalid_argument);
}

TEST_CASE("a transient failure is retried, and each attempt is counted and paid by itself") {
  VirtualRuntime runtime;
  const Budget budget{{.per_period = Money::usd(1000)}};
  const ScriptedProvider model{priced("openai"), {error(ErrorKind::server_error), answer("hi").usage(0, 4)}};
  const Provider guarded = model | standard({.cost_cap = CostCapOptions{.budgets = {budget}}});
  const auto reply = runtime.call(guarded, short_request());
  REQUIRE(reply);
  CHECK(reply->text() == "hi");
  CHECK(model.send_count() == 2);
  CHECK(budget.snapshot(runtime.clock().now()).spent.cost == Money::usd(4));
  CHECK(budget.snapshot(runtime.clock().now()).reserved == BudgetCharge{});
  CHECK(runtime.idle());
}

TEST_CASE("an open breaker ends the retries at once: no sleep, no send, on to the fallback", "[scenario-97]") {
  VirtualRuntime runtime;
  const ScriptedProvider first{priced("openai"), {error(ErrorKind::server_error)}};
  const ScriptedProvider second{priced("anthropic"), {answer("hi")}};
  const Policy impatient = standard({.circuit_breaker = {.jitter = 0}});
  const Provider first_guarded = first | impatient;
  for (int i = 0; i < 2; ++i) static_cast<void>(runtime.call(first_guarded, short_request()));
  REQUIRE(first.send_count() == 5);  // the breaker opened on the fifth, and the sixth was not sent

  const FallbackClient client{first_guarded, second | impatient};
  const Duration before = runtime.elapsed();
  const auto reply = runtime.call(client, short_request());
  REQUIRE(reply);
  CHECK(reply->served_by == second.target());
  CHECK(runtime.elapsed() == before);
  CHECK(first.send_count() == 5);
  REQUIRE(reply->attempts.size() == 2);
  CHECK_FALSE(reply->attempts[0].sent);
  CHECK(reply->attempts[0].outcome == ErrorKind::circuit_open);

  SECTION("and alone it fails at once") {
    const auto refused = runtime.call(first_guarded, short_request());
    CHECK(refused.error().kind == ErrorKind::circuit_open);
    CHECK(refused.error().retry_after.has_value());
    CHECK(runtime.elapsed() == before);
  }
}

TEST_CASE("what an open breaker refuses reserves nothing", "[scenario-221][scenario-224]") {
  VirtualRuntime runtime;
  const Budget budget{{.per_period = Money::usd(1000)}};
  const auto breaker = CircuitBreaker::create();
  const ScriptedProvider model{priced("openai")};
  const Provider guarded = model | timeout() | circuit_breaker(breaker) | cost_cap(budget) | retry();
  breaker->isolate();
  CHECK(runtime.call(guarded, short_request()).error().kind == ErrorKind::circuit_open);
  CHECK(budget.snapshot(runtime.clock().now()).reserved == BudgetCharge{});
  CHECK(budget.snapshot(runtime.clock().now()).spent == BudgetCharge{});
  CHECK(model.send_count() == 0);
}

TEST_CASE("a cap that refuses takes no probe from the breaker", "[scenario-85][scenario-220][scenario-224]") {
  VirtualRuntime runtime;
  const Budget budget{{.per_period = Money::usd(15)}};
  const auto breaker = CircuitBreaker::create({.jitter = 0});
  const ScriptedProvider model{priced("openai"), {error(ErrorKind::connect_failed)}};
  const Provider guarded = model | circuit_breaker(breaker) | cost_cap(budget);
  for (int i = 0; i < 5; ++i) static_cast<void>(runtime.call(guarded, short_request()));
  runtime.run_for(30s);
  ChatRequest dear = short_request();
  dear.max_output_tokens = 16;
  CHECK(runtime.call(guarded, dear).error().kind == ErrorKind::budget_exceeded);
  CHECK(breaker->state() == BreakerState::open);
  static_cast<void>(runtime.call(guarded, short_request()));
  CHECK(model.send_count() == 6);  // the probe was still to be had
}

TEST_CASE("when every breaker is open one call probes and the others fail at once", "[scenario-153]") {
  VirtualRuntime runtime;
  std::vector<Step> down(5, error(ErrorKind::connect_failed));
  const ScriptedProvider first{priced("openai"), down};
  const ScriptedProvider second{priced("anthropic"), down};
  first.then(answer("back").after(1s));
  const Policy policy = circuit_breaker({.jitter = 0});
  const Provider guarded[] = {first | policy, second | policy};
  for (const Provider& provider : guarded) {
    for (int i = 0; i < 5; ++i) static_cast<void>(runtime.call(provider, short_request()));
    runtime.run_for(10s);
  }
  const FallbackClient client{{guarded[0], guarded[1]}, {.recovery = {.max_wait = 0s}, .runtime = runtime.share()}};
  std::vector<std::shared_ptr<VirtualCall>> calls;
  for (int i = 0; i < 10; ++i) calls.push_back(runtime.start(client, short_request()));
  runtime.run_all();
  int answered = 0;
  for (const auto& call : calls) {
    if (call->result()) {
      ++answered;
      continue;
    }
    CHECK(call->result().error().kind == ErrorKind::circuit_open);
    CHECK(call->result().error().retry_after == 10s);
    CHECK(call->ended_at() == call->started_at());
  }
  CHECK(answered == 1);
  CHECK(first.send_count() == 6);
  CHECK(second.send_count() == 5);
}

TEST_CASE("an isolated target is passed over without a probe and without a time to wait", "[scenario-86]") {
  VirtualRuntime runtime;
  const auto breaker = CircuitBreaker::create();
  const ScriptedProvider first{priced("openai")};
  const ScriptedProvider second{priced("anthropic")};
  breaker->isolate();
  const FallbackClient client{first | circuit_breaker(breaker), second | circuit_breaker(breaker)};
  const auto refused = runtime.call(client, short_request());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::circuit_open);
  CHECK(refused.error().retry_after == std::nullopt);
  CHECK(refused.error().attempts.size() == 2);
  CHECK(first.send_count() + second.send_count() == 0);
}

}  // namespace standard_test
