#include "backstop/policies/bulkhead.hpp"

#include <catch2/catch_test_macros.hpp>

#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/circuit_breaker.hpp"
#include "backstop/policies/cost_cap.hpp"
#include "backstop/policies/intercept.hpp"
#include "backstop/policies/rate_limit.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/policies/timeout.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"
#include "support/standing.hpp"

namespace bulkhead_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

struct Lab {
  explicit Lab(BulkheadOptions options, std::vector<Step> steps = {answer("hi").after(10s)})
      : model{"a/m", std::move(steps)}, limit{options} {}

  std::shared_ptr<VirtualCall> start(const VirtualCallOptions& options = {}) {
    auto call = runtime.start(limited, "hello", options);
    runtime.run_for(0s);
    return call;
  }

  VirtualRuntime runtime;
  ScriptedProvider model;
  ConcurrencyLimit limit;
  Provider limited{model | bulkhead(limit)};
};

Target priced(std::string_view provider) {
  ModelFacts facts;
  facts.price = Price{.input = Money{}, .output = Money::usd(1)};
  return Target{provider, "model", facts};
}

}  // namespace

TEST_CASE("of three calls at once the third is refused and falls back", "[scenario-121]") {
  Lab lab{{.max_in_flight = 2}};
  const ScriptedProvider other{"b/m"};
  const FallbackClient client{{lab.limited, other}, FallbackOptions{.recovery = {.max_wait = 0s}, .runtime = lab.runtime.share()}};
  const auto first = lab.start();
  const auto second = lab.start();
  const auto third = lab.start();
  REQUIRE(third->done());
  CHECK(third->result().error().kind == ErrorKind::local_limit);
  CHECK(third->result().error().target == lab.model.target());
  CHECK_FALSE(third->result().error().attempts[0].sent);
  CHECK_FALSE(testing::standing_of(lab.limited, lab.runtime.clock().now()).ready());
  const auto reply = lab.runtime.call(client, "hello");
  REQUIRE(reply);
  CHECK(reply->served_by == other.target());
  CHECK(lab.runtime.elapsed() == 0s);
  lab.runtime.run_all();
  CHECK(first->result());
  CHECK(second->result());
  CHECK(testing::standing_of(lab.limited, lab.runtime.clock().now()).ready());
}

TEST_CASE("a stream holds its permit until its end", "[scenario-122]") {
  Lab lab{{.max_in_flight = 1}, {stream({"a", "b", "c"}, 5s)}};
  EventLog log{lab.runtime.runtime()};
  const auto call = lab.start({.sink = &log});
  lab.runtime.run_for(7s);
  CHECK(log.text() == "ab");
  CHECK(lab.limit.snapshot().in_flight == 1);
  CHECK(lab.start()->result().error().kind == ErrorKind::local_limit);
  lab.runtime.run(*call);
  CHECK(lab.limit.snapshot().in_flight == 0);
}

TEST_CASE("a stream that is dropped mid-way gives its permit back", "[scenario-123]") {
  Lab lab{{.max_in_flight = 1}, {stream({"a", "b", "c"}, 5s)}};
  EventLog log{lab.runtime.runtime()};
  const auto call = lab.start({.sink = &log});
  lab.runtime.run_for(7s);
  call->cancel();
  lab.runtime.run(*call);
  CHECK(lab.limit.snapshot().in_flight == 0);
  CHECK(lab.runtime.elapsed() == 7s);
  CHECK(lab.runtime.idle());

  SECTION("by its handle") {
    const FallbackClient client{std::vector<Provider>{lab.limited}, FallbackOptions{.recovery = {.max_wait = 0s}, .runtime = lab.runtime.share()}};
    {
      ChatStream stream = client.stream("hello");
      const auto first = stream.begin();
      REQUIRE(first != stream.end());
      CHECK(lab.limit.snapshot().in_flight == 1);
    }
    lab.runtime.run_for(0s);
    CHECK(lab.limit.snapshot().in_flight == 0);
    CHECK(lab.runtime.idle());
  }
}

TEST_CASE("a waiting call that is cancelled frees its place and never sends", "[scenario-124][scenario-195]") {
  Lab lab{{.max_in_flight = 1, .max_queued = 1}};
  const auto first = lab.start();
  const auto waiting = lab.start();
  CHECK(lab.limit.snapshot().waiting == 1);
  lab.runtime.run_for(3s);
  waiting->cancel();
  lab.runtime.run(*waiting);
  CHECK(waiting->result().error().kind == ErrorKind::cancelled);
  CHECK(lab.runtime.since(waiting->ended_at()) == 3s);
  CHECK(lab.limit.snapshot().waiting == 0);
  const auto next = lab.start();
  lab.runtime.run_all();
  REQUIRE(next->result());
  CHECK(next->result()->attempts[0].waited == 7s);
  CHECK(lab.model.send_count() == 2);
  CHECK(lab.limit.snapshot().in_flight == 0);
  CHECK(lab.runtime.idle());
}

TEST_CASE("a permit that is granted in the moment of a cancellation is not lost", "[scenario-125]") {
  for (const Duration when : {10s - 1ns, 10s + 0ns, 10s + 1ns}) {
    Lab lab{{.max_in_flight = 1, .max_queued = 2}};
    std::shared_ptr<VirtualCall> second;
    lab.runtime.at(when, [&] { second->cancel(); });
    const auto first = lab.start();
    second = lab.start();
    const auto third = lab.start();
    lab.runtime.run_all();
    CHECK(second->result().error().kind == ErrorKind::cancelled);
    REQUIRE(third->result());
    CHECK(lab.limit.snapshot().in_flight == 0);
    CHECK(lab.limit.snapshot().waiting == 0);
    CHECK(lab.runtime.idle());
  }
}

TEST_CASE("a call waits no longer than it may") {
  Lab lab{{.max_in_flight = 1, .max_queued = 9, .max_wait = 4s}};
  const auto first = lab.start();
  CHECK(lab.runtime.call(lab.limited, "hello").error().kind == ErrorKind::local_limit);
  CHECK(lab.runtime.elapsed() == 4s);
  CHECK(lab.runtime.call(lab.limited, "hello", {.alternative_ready = true}).error().kind == ErrorKind::local_limit);
  CHECK(lab.runtime.elapsed() == 6s);
  lab.runtime.run_all();
}

TEST_CASE("a lowered limit admits nobody until there is room", "[scenario-126]") {
  Lab lab{{.max_in_flight = 10}};
  std::vector<std::shared_ptr<VirtualCall>> calls;
  for (int i = 0; i < 8; ++i) {
    calls.push_back(lab.start());
    lab.runtime.run_for(1s);
  }
  lab.limit.resize(2);
  lab.runtime.run_for(7s);  // two are left
  CHECK(lab.limit.snapshot().in_flight == 2);
  CHECK(lab.start()->done());
  lab.runtime.run_for(1s);
  CHECK_FALSE(lab.start()->done());
  lab.runtime.run_all();
  CHECK(lab.limit.snapshot().in_flight == 0);
}

TEST_CASE("a bulkhead that is full now forbids no retry later") {
  VirtualRuntime runtime;
  const ConcurrencyLimit limit{{.max_in_flight = 1}};
  std::unique_ptr<ConcurrencyPermit> other;
  const auto take_its_place = intercept({.after = [&](const ChatRequest&, Result<ChatResponse>& result) {
    if (result) return;
    other = std::make_unique<ConcurrencyPermit>(limit, runtime.clock().now(), TimePoint::max(), false);
    REQUIRE(limit.full());
  }});
  const ScriptedProvider model{"a/m", {error(ErrorKind::rate_limited, {.retry_after = 5s}), answer("hi")}};
  runtime.at(1s, [&] { other.reset(); });
  CHECK(runtime.call(model | bulkhead(limit) | take_its_place | retry(), "hello"));
  CHECK(model.send_count() == 2);
}

TEST_CASE("a call that meets one limit of sends at once twice needs one permit") {
  VirtualRuntime runtime;
  const ConcurrencyLimit few{BulkheadOptions{.max_in_flight = 2, .max_queued = 10}};
  const ConcurrencyLimit adaptive{AdaptiveConcurrencyOptions{.initial = 2, .max = 2}};
  for (const ConcurrencyLimit& limit : {few, adaptive}) {
    CAPTURE(limit.description());
    const ScriptedProvider model{"a/m", {answer("hi").after(10s)}};
    const FallbackOptions options{.recovery = {.max_wait = 0s}, .runtime = runtime.share()};
    const FallbackClient inner{model | bulkhead(limit), options};
    const FallbackClient outer{inner | bulkhead(limit), options};
    const auto first = runtime.start(outer, "1");
    const auto second = runtime.start(outer, "2");
    runtime.run_for(5s);
    CHECK(limit.snapshot().in_flight == 2);
    CHECK(model.send_count() == 2);
    runtime.run_for(5s);
    REQUIRE(first->done());
    REQUIRE(second->done());
    CHECK(first->result());
    CHECK(second->result());
    CHECK(limit.snapshot().in_flight == 0);
    CHECK(inner.chat("3", {.around = bulkhead(limit)}));
  }
}

TEST_CASE("when every bulkhead is full the error gives no time to come back") {
  VirtualRuntime runtime;
  const ConcurrencyLimit limit{{.max_in_flight = 1}};
  const ConcurrencyPermit other{limit, runtime.clock().now(), TimePoint::max(), false};
  const ScriptedProvider model{"a/m"};
  const FallbackClient client{std::vector<Provider>{model | bulkhead(limit)},
                              FallbackOptions{.recovery = {.max_wait = 0s}, .runtime = runtime.share()}};
  const auto refused = runtime.call(client, "hello");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::local_limit);
  CHECK_FALSE(refused.error().retry_after);
  CHECK(model.send_count() == 0);
}

TEST_CASE("an exception under a permit gives it back", "[scenario-127]") {
  VirtualRuntime runtime;
  const ConcurrencyLimit limit{{.max_in_flight = 1}};
  const ScriptedProvider model{"a/m"};
  const auto thrower = intercept({.before = [](RequestEdit&) -> Result<void> {
    throw std::runtime_error{"boom"};
  }});
  CHECK_FALSE(runtime.call(model | thrower | bulkhead(limit), "hello"));
  CHECK(limit.snapshot().in_flight == 0);
}

TEST_CASE("calls that come, wait, fail and are cancelled at random leave nothing in flight", "[scenario-128]") {
  std::mt19937_64 random{5};
  std::vector<Step> steps;
  for (int i = 0; i < 500; ++i) {
    const Duration span = std::chrono::milliseconds{random() % 3000};
    steps.push_back(random() % 3 == 0 ? error(ErrorKind::overloaded).after(span) : answer("hi").after(span));
  }
  Lab lab{{.max_in_flight = 3, .max_queued = 4, .max_wait = 2s}, steps};
  std::vector<std::shared_ptr<VirtualCall>> calls;
  for (int i = 0; i < 2000; ++i) {
    calls.push_back(lab.start());
    if (random() % 3 == 0) calls[random() % calls.size()]->cancel();
    lab.runtime.run_for(std::chrono::milliseconds{random() % 700});
    const ConcurrencySnapshot snapshot = lab.limit.snapshot();
    REQUIRE(snapshot.in_flight >= 0);
    REQUIRE(snapshot.in_flight <= 3);
    REQUIRE(snapshot.waiting <= 4);
  }
  lab.runtime.run_all();
  CHECK(lab.limit.snapshot().in_flight == 0);
  CHECK(lab.limit.snapshot().waiting == 0);
  CHECK(lab.runtime.idle());
}

TEST_CASE("what the bulkhead refuses gives limits and costs back in the same moment",
          "[scenario-223][scenario-224]") {
  VirtualRuntime runtime;
  const Budget budget{{.per_period = Money::usd(10'000)}};
  const RateLimit rate{{.requests_per_minute = 60, .tokens_per_minute = 60'000}};
  const ConcurrencyLimit in_flight{{.max_in_flight = 1}};
  const auto breaker = CircuitBreaker::create();
  const ScriptedProvider model{priced("a"), {answer("hi").after(10s)}};
  const Provider guarded =
      model | circuit_breaker(breaker) | bulkhead(in_flight) | rate_limit(rate) | cost_cap(budget);
  const auto untouched = [&] {
    const RateLimitSnapshot limits = rate.snapshot(runtime.clock().now());
    return limits.requests->available == 10 && limits.tokens->available == 60'000 && limits.requests->charged == 0 &&
           budget.snapshot(runtime.clock().now()).reserved == BudgetCharge{} && in_flight.snapshot().waiting == 0;
  };
  ChatRequest request{"hello"};
  request.max_output_tokens = 10;

  SECTION("the bulkhead") {
    const ConcurrencyPermit other{in_flight, runtime.clock().now(), TimePoint::max(), false};
    CHECK(runtime.call(guarded, request).error().kind == ErrorKind::local_limit);
    CHECK(untouched());
    CHECK(in_flight.snapshot().in_flight == 1);
  }
  SECTION("the breaker") {
    breaker->isolate();
    CHECK(runtime.call(guarded, request).error().kind == ErrorKind::circuit_open);
    CHECK(untouched());
    CHECK(in_flight.snapshot().in_flight == 0);
  }
  SECTION("the rate limit") {
    request.max_output_tokens = 60'001;
    CHECK(runtime.call(guarded, request).error().kind == ErrorKind::budget_exceeded);
    request.max_output_tokens = 10;
    const Provider small = model | circuit_breaker(breaker) | bulkhead(in_flight) |
                           rate_limit({.tokens_per_minute = 5}) | cost_cap(budget);
    CHECK(runtime.call(small, request).error().kind == ErrorKind::local_limit);
    CHECK(untouched());
    CHECK(in_flight.snapshot().in_flight == 0);
  }
  SECTION("the cost cap") {
    request.max_output_tokens = 10'001;
    CHECK(runtime.call(guarded, request).error().kind == ErrorKind::budget_exceeded);
    CHECK(untouched());
    CHECK(in_flight.snapshot().in_flight == 0);
  }
  SECTION("a call that is cancelled before it is sent") {
    const auto call = runtime.start(guarded, request);
    call->cancel();
    runtime.run(*call);
    CHECK(untouched());
    CHECK(in_flight.snapshot().in_flight == 0);
  }
  CHECK(model.send_count() == 0);
}

TEST_CASE("failures that tell of load shrink an adaptive limit, others do not", "[scenario-129][scenario-131]") {
  for (const ErrorTraits& row : error_table) {
    INFO(row.name);
    VirtualRuntime runtime;
    const ConcurrencyLimit limit{AdaptiveConcurrencyOptions{.initial = 10}};
    const ScriptedProvider model{"a/m", {error(row.kind)}};
    CHECK_FALSE(runtime.call(model | adaptive_concurrency(limit), "hello"));
    const bool load = row.kind == ErrorKind::rate_limited || row.kind == ErrorKind::overloaded ||
                      row.kind == ErrorKind::timeout;
    CHECK(limit.snapshot().limit == (load ? 9 : 10));
  }
}

TEST_CASE("cancelled calls say nothing on the load", "[scenario-131]") {
  VirtualRuntime runtime;
  const ConcurrencyLimit limit{AdaptiveConcurrencyOptions{.initial = 10}};
  const Provider limited = ScriptedProvider{"a/m", {testing::silence()}} | adaptive_concurrency(limit);
  for (int i = 0; i < 20; ++i) {
    const auto call = runtime.start(limited, "hello");
    runtime.run_for(1s);
    call->cancel();
    runtime.run(*call);
  }
  CHECK(limit.snapshot().limit == 10);
}

TEST_CASE("a limit of time that the call itself sets says nothing on the load", "[scenario-131]") {
  VirtualRuntime runtime;
  FallbackOptions options;
  options.runtime = runtime.share();
  const ConcurrencyLimit limit{AdaptiveConcurrencyOptions{.initial = 10}};
  const Provider silent = ScriptedProvider{"a/m", {testing::silence()}} | adaptive_concurrency(limit);
  const ScriptedProvider other{"b/m"};
  SECTION("the end of the target's share of the deadline") {
    const FallbackClient client{{silent, other}, options};
    const auto reply = client.chat("hello", {.limits = {.deadline = 20s}});
    REQUIRE(reply);
    CHECK(runtime.elapsed() == 10s);
  }
  SECTION("the deadline of a client that is another's target") {
    FallbackOptions inside = options;
    inside.limits.deadline = 5s;
    const FallbackClient client{{FallbackClient{{silent}, inside}, other}, options};
    const auto reply = client.chat("hello");
    REQUIRE(reply);
    CHECK(runtime.elapsed() == 5s);
  }
  CHECK(limit.snapshot().limit == 10);
}

TEST_CASE("long answers do not shrink an adaptive limit", "[scenario-133]") {
  VirtualRuntime runtime;
  const ConcurrencyLimit limit{AdaptiveConcurrencyOptions{.initial = 10}};
  const Provider limited = ScriptedProvider{"a/m", {answer("long").after(5min)}} | adaptive_concurrency(limit);
  for (int i = 0; i < 4; ++i) CHECK(runtime.start(limited, "hello"));
  runtime.run_all();
  CHECK(limit.snapshot().limit == 10);
}

TEST_CASE("bulkheads describe themselves and refuse what makes no sense") {
  const ScriptedProvider model{"a/m"};
  CHECK((model | bulkhead({.max_in_flight = 8, .max_queued = 32})).describe() ==
        "a/m | bulkhead(max_in_flight = 8, max_queued = 32)");
  CHECK((model | adaptive_concurrency()).describe() ==
        "a/m | adaptive_concurrency(initial = 10, min = 1, max = 200)");
  CHECK_THROWS_AS(bulkhead({.max_in_flight = 0}), std::invalid_argument);
  CHECK_THROWS_AS(adaptive_concurrency({.initial = 0}), std::invalid_argument);

  SECTION("and are one for each provider") {
    VirtualRuntime runtime;
    const Policy policy = bulkhead({.max_in_flight = 1});
    const ScriptedProvider slow{"a/m", {answer("hi").after(1s)}};
    const ScriptedProvider other{"b/m"};
    const auto call = runtime.start(slow | policy, "hello");
    CHECK(runtime.call(other | policy, "hello"));
    runtime.run_all();
  }
}

TEST_CASE("a permit that was taken further out is for one call at a time") {
  VirtualRuntime world;
  const ConcurrencyLimit one{BulkheadOptions{.max_in_flight = 1}};
  const ScriptedProvider silent{"a/m", {answer("late").after(20s)}};
  const ScriptedProvider quick{"b/m", {answer("soon").after(1s)}};
  FallbackOptions options;
  options.hedge = HedgeOptions{.delay_without_samples = 1s};
  options.runtime = world.share();
  const FallbackClient client{{silent | bulkhead(one), quick | bulkhead(one)}, options};
  const auto call = world.start(client | bulkhead(one), "hello");
  world.run_for(10s);
  CHECK(quick.send_count() == 0);
  world.run_all();
  REQUIRE(call->result());
  CHECK(call->result()->text() == "late");
  CHECK(one.snapshot().in_flight == 0);
  // Three levels are one call.
  CHECK(world.call(quick | bulkhead(one) | bulkhead(one) | bulkhead(one), "hello"));
}

}  // namespace bulkhead_test
