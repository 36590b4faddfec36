#include "backstop/policies/rate_limit.hpp"

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/accept_if.hpp"
#include "backstop/policies/bulkhead.hpp"
#include "backstop/policies/checks.hpp"
#include "backstop/policies/circuit_breaker.hpp"
#include "backstop/policies/cost_cap.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/policies/timeout.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"
#include "context_edit.hpp"
#include "support/standing.hpp"

namespace rate_limit_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

struct Lab {
  explicit Lab(RateLimitOptions options, std::vector<Step> steps = {})
      : model{"a/m", std::move(steps)}, limit{options} {}

  [[nodiscard]] RateLimitSnapshot snapshot() { return limit.snapshot(runtime.clock().now()); }
  [[nodiscard]] std::int64_t requests_left() { return snapshot().requests->available; }
  [[nodiscard]] std::int64_t tokens_left() { return snapshot().tokens->available; }
  void use_up() {
    while (requests_left() > 0) REQUIRE(runtime.call(limited, "hello"));
  }

  VirtualRuntime runtime;
  ScriptedProvider model;
  RateLimit limit;
  Provider limited{model | rate_limit(limit)};
};

/// 400 bytes, so estimated at 100 tokens.
ChatRequest hundred_tokens(std::int64_t max_output_tokens) {
  ChatRequest request{std::string(400, 'x')};
  request.max_output_tokens = max_output_tokens;
  return request;
}

}  // namespace

TEST_CASE("the eleventh call waits a second for its turn, and the ledger says so", "[scenario-101]") {
  Lab lab{{.requests_per_minute = 60, .burst = 10}};
  lab.use_up();
  CHECK(lab.runtime.elapsed() == 0s);
  const auto reply = lab.runtime.call(lab.limited, "hello");
  REQUIRE(reply);
  CHECK(lab.runtime.elapsed() == 1s);
  REQUIRE(reply->attempts.size() == 1);
  CHECK(reply->attempts[0].waited == 1s);
  CHECK(lab.runtime.idle());
}

TEST_CASE("six requests a minute are one at once and then one every ten seconds") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m"};
  const Provider limited = model | rate_limit({.requests_per_minute = 6});
  std::vector<std::shared_ptr<VirtualCall>> calls;
  for (int i = 0; i < 4; ++i) calls.push_back(runtime.start(limited, "hello"));
  runtime.run_all();
  REQUIRE(model.send_count() == 4);
  for (int i = 0; i < 4; ++i) CHECK(runtime.since(model.sends()[static_cast<std::size_t>(i)].at) == i * 10s);
}

TEST_CASE("a call that would wait too long is refused at once and says for how long", "[scenario-102]") {
  Lab lab{{.requests_per_minute = 60, .burst = 10, .max_wait = 500ms}};
  lab.use_up();
  const auto refused = lab.runtime.call(lab.limited, "hello");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::local_limit);
  CHECK(refused.error().retry_after == 1s);
  CHECK(refused.error().target == lab.model.target());
  CHECK(refused.error().replay == ReplaySafety::not_sent);
  REQUIRE(refused.error().attempts.size() == 1);
  CHECK_FALSE(refused.error().attempts[0].sent);
  CHECK(refused.error().attempts[0].out_for == 1s);
  CHECK(lab.requests_left() == 0);
  CHECK(lab.model.send_count() == 10);
  CHECK(lab.runtime.elapsed() == 0s);
}

TEST_CASE("one call a second never waits", "[scenario-103]") {
  Lab lab{{.requests_per_minute = 60, .burst = 10}};
  for (int second = 0; second < 600; ++second) {
    const auto reply = lab.runtime.call(lab.limited, "hello");
    REQUIRE(reply->attempts[0].waited == 0s);
    lab.runtime.run_for(1s);
  }
}

TEST_CASE("a call that lacks tokens takes no request", "[scenario-104]") {
  Lab lab{{.requests_per_minute = 60, .tokens_per_minute = 600, .burst = 10, .max_wait = 0s},
          {answer("hi").usage(100, 400)}};
  REQUIRE(lab.runtime.call(lab.limited, hundred_tokens(400)));
  CHECK(lab.requests_left() == 9);
  const auto refused = lab.runtime.call(lab.limited, hundred_tokens(100));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().retry_after == 10s);
  CHECK(lab.requests_left() == 9);
  CHECK(lab.tokens_left() == 100);
}

TEST_CASE("when a waiting call is cancelled, the next one's turn comes sooner", "[scenario-105][scenario-195]") {
  Lab lab{{.requests_per_minute = 60, .burst = 1}};
  lab.use_up();
  const auto first = lab.runtime.start(lab.limited, "hello");
  const auto second = lab.runtime.start(lab.limited, "hello");
  lab.runtime.at(400ms, [&] { first->cancel(); });
  lab.runtime.run_all();
  CHECK(first->result().error().kind == ErrorKind::cancelled);
  CHECK(first->result().error().target == lab.model.target());
  CHECK(lab.runtime.since(first->ended_at()) == 400ms);
  REQUIRE(second->result());
  CHECK(lab.runtime.since(second->ended_at()) == 1s);
  CHECK(lab.model.send_count() == 2);
  lab.runtime.run_for(1h);
  CHECK(lab.model.send_count() == 2);
  CHECK(lab.snapshot().waiting == 0);
  CHECK(lab.requests_left() == 1);
  CHECK(lab.runtime.idle());
}

TEST_CASE("a call that is cancelled in the very moment of its turn loses nothing to the queue",
          "[scenario-105][scenario-195]") {
  Lab lab{{.requests_per_minute = 60, .burst = 1}};
  lab.use_up();
  std::shared_ptr<VirtualCall> first;
  lab.runtime.at(1s, [&] { first->cancel(); });
  first = lab.runtime.start(lab.limited, "hello");
  const auto second = lab.runtime.start(lab.limited, "hello");
  lab.runtime.run_all();
  CHECK(first->result().error().kind == ErrorKind::cancelled);
  CHECK(lab.runtime.since(second->ended_at()) == 1s);
  CHECK(lab.model.send_count() == 2);
  CHECK(lab.snapshot().requests->reserved == 0);
}

TEST_CASE("a deadline before the turn is refused when it joins the queue, and may fall back", "[scenario-106]") {
  Lab lab{{.requests_per_minute = 60, .burst = 1}};
  lab.use_up();
  const auto waiting = lab.runtime.start(lab.limited, "hello");
  lab.runtime.run_for(0s);
  const auto refused = lab.runtime.call(lab.limited, "hello", {.deadline = 1900ms});
  CHECK(lab.runtime.elapsed() == 0s);
  CHECK(refused.error().kind == ErrorKind::local_limit);
  CHECK(refused.error().retry_after == 2s);
  lab.runtime.run_all();
  REQUIRE(waiting->result());
}

TEST_CASE("tokens that were not used let those who wait go sooner", "[scenario-107]") {
  Lab lab{{.tokens_per_minute = 1000}, {answer("hi").after(5s).usage(100, 200)}};
  const auto first = lab.runtime.start(lab.limited, hundred_tokens(900));
  const auto second = lab.runtime.start(lab.limited, hundred_tokens(600));
  lab.runtime.run_all();
  // 42 s at the pace of the limit; but 700 are back after 5 s, by when 83 have flowed in.
  REQUIRE(lab.model.send_count() == 2);
  CHECK(lab.runtime.since(lab.model.sends()[1].at) == 5s);
  REQUIRE(second->result());
  CHECK(second->result()->attempts[0].waited == 5s);
}

TEST_CASE("tokens that were used above the reservation make later calls wait", "[scenario-108]") {
  Lab lab{{.tokens_per_minute = 1200}, {answer("hi").usage(400, 600), answer("ho")}};
  REQUIRE(lab.runtime.call(lab.limited, hundred_tokens(200)));
  CHECK(lab.tokens_left() == 200);
  REQUIRE(lab.runtime.call(lab.limited, hundred_tokens(300)));
  CHECK(lab.runtime.elapsed() == 10s);
}

TEST_CASE("an estimated input above all limits is let through when the bucket is full, a demanded output is refused",
          "[scenario-110]") {
  Lab lab{{.tokens_per_minute = 600}, {answer("hi").usage(50, 10)}};
  REQUIRE(lab.runtime.call(lab.limited, hundred_tokens(1)));
  ChatRequest large{std::string(40'000, 'x')};
  large.max_output_tokens = 10;
  REQUIRE(lab.runtime.call(lab.limited, large));
  CHECK(lab.runtime.elapsed() == 6s);
  const auto refused = lab.runtime.call(lab.limited, hundred_tokens(601));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::local_limit);
  CHECK_FALSE(refused.error().retry_after);
  CHECK(refused.error().message == "the request may need 601 tokens, and at most 600 may be sent at once");
}

TEST_CASE("the output limit is reserved in full", "[scenario-111]") {
  Lab lab{{.tokens_per_minute = 20'000}, {testing::silence()}};
  const auto call = lab.runtime.start(lab.limited, hundred_tokens(10'000));
  lab.runtime.run_for(0s);
  CHECK(lab.snapshot().tokens->reserved == 10'100);
  call->cancel();
  lab.runtime.run_all();
}

TEST_CASE("what never went out is given back altogether", "[scenario-112]") {
  Lab lab{{.requests_per_minute = 60, .tokens_per_minute = 6000, .burst = 10}, {error(ErrorKind::connect_failed)}};
  CHECK(lab.runtime.call(lab.limited, hundred_tokens(500)).error().kind == ErrorKind::connect_failed);
  CHECK(lab.model.send_count() == 1);
  CHECK(lab.requests_left() == 10);
  CHECK(lab.tokens_left() == 6000);
}

TEST_CASE("a stream that is cancelled after forty tokens is charged its input and those", "[scenario-113]") {
  Lab lab{{.requests_per_minute = 60, .tokens_per_minute = 6000, .burst = 10},
          {deltas({std::string(160, 'x')}).silence()}};
  EventLog log{lab.runtime.runtime()};
  const auto call = lab.runtime.start(lab.limited, hundred_tokens(500), {.sink = &log});
  lab.runtime.run_for(0s);
  CHECK(lab.snapshot().tokens->reserved == 600);
  call->cancel();
  lab.runtime.run_all();
  CHECK(call->result().error().kind == ErrorKind::cancelled);
  CHECK(lab.snapshot().tokens->charged == 140);
  CHECK(lab.tokens_left() == 5860);
  CHECK(lab.requests_left() == 9);
}

TEST_CASE("an answer that broke off is charged its input at least", "[scenario-113][scenario-207]") {
  Lab lab{{.tokens_per_minute = 6000}, {}};
  SECTION("a timeout") {
    lab.model.then(testing::silence());
    CHECK_FALSE(lab.runtime.call(lab.model | timeout(5s) | rate_limit(lab.limit), hundred_tokens(500)));
    CHECK(lab.snapshot().tokens->charged == 100);
  }
  SECTION("a broken stream") {
    EventLog log{lab.runtime.runtime()};
    lab.model.then(deltas({std::string(80, 'x')}).cut());
    CHECK_FALSE(lab.runtime.call(lab.limited, hundred_tokens(500), {.sink = &log}));
    CHECK(lab.snapshot().tokens->charged == 120);
  }
  SECTION("a server's error") {
    lab.model.then(error(ErrorKind::server_error));
    CHECK_FALSE(lab.runtime.call(lab.limited, hundred_tokens(500)));
    CHECK(lab.snapshot().tokens->charged == 100);
  }
  SECTION("what a success does not report keeps its reservation") {
    lab.model.then(answer("hi"));
    CHECK(lab.runtime.call(lab.limited, hundred_tokens(500)));
    CHECK(lab.snapshot().tokens->charged == 600);
  }
}

TEST_CASE("what is turned away costs its request, not its tokens", "[scenario-114]") {
  for (const ErrorKind kind : {ErrorKind::rate_limited, ErrorKind::invalid_request, ErrorKind::authentication}) {
    INFO(to_string(kind));
    Lab lab{{.requests_per_minute = 60, .tokens_per_minute = 6000, .burst = 10}, {error(kind)}};
    CHECK(lab.runtime.call(lab.limited, hundred_tokens(500)).error().kind == kind);
    CHECK(lab.snapshot().requests->charged == 1);
    CHECK(lab.snapshot().tokens->charged == 0);
    CHECK(lab.tokens_left() == 6000);
    CHECK(lab.requests_left() == (kind == ErrorKind::rate_limited ? 0 : 9));
  }
}

TEST_CASE("after a 429 nothing goes out until its hint", "[scenario-114]") {
  Lab lab{{.requests_per_minute = 60, .burst = 10},
          {error(ErrorKind::rate_limited, {.retry_after = 20s}), answer("hi"),
           error(ErrorKind::rate_limited, {.retry_after = 30s})}};
  CHECK_FALSE(lab.runtime.call(lab.limited, "hello"));
  lab.runtime.run_for(1s);
  REQUIRE(lab.runtime.call(lab.limited, "hello"));
  CHECK(lab.runtime.elapsed() == 20s);

  SECTION("and a call with less time is refused at once") {
    CHECK_FALSE(lab.runtime.call(lab.limited, "hello"));
    CHECK(lab.runtime.call(lab.limited, "hello", {.deadline = 20s}).error().retry_after == 30s);
  }
}

TEST_CASE("what the headers say is left lowers what is there, of successes too", "[scenario-115]") {
  Lab lab{{.requests_per_minute = 60, .tokens_per_minute = 6000, .burst = 10}, {answer("hi").usage(1, 1)}};
  RateLimitStatus status;
  status.requests.remaining = 4;
  status.tokens.remaining = 1'000'000;
  const ScriptedProvider reporting{"a/m", {answer("hi").usage(1, 1).rate_limit(status)}};
  REQUIRE(lab.runtime.call(reporting | rate_limit(lab.limit), "hello"));
  CHECK(lab.requests_left() == 4);
  CHECK(lab.tokens_left() == 5998);
}

TEST_CASE("threads that call through one limit on runtimes of their own are let through at its pace",
          "[scenario-116]") {
  const RateLimit limit{{.requests_per_minute = 60'000, .burst = 20}};
  const ScriptedProvider model{"a/m"};
  std::atomic<int> answered{0};
  const TimePoint began = machine_clock().now();
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        const auto runtime = std::make_shared<Runtime>(RuntimeOptions{});
        FallbackOptions options;
        options.runtime = runtime;
        const FallbackClient client{{model | rate_limit(limit)}, options};
        for (int call = 0; call < 30; ++call) answered += client.chat("hello") ? 1 : 0;
      });
    }
  }
  const Duration took = machine_clock().now() - began;
  CHECK(answered == 120);
  CHECK(model.send_count() == 120);
  CHECK(took >= 100ms);  // a hundred more than the burst, one a millisecond
  CHECK(limit.snapshot(machine_clock().now()).waiting == 0);
  CHECK(limit.snapshot(machine_clock().now()).requests->reserved == 0);
}

TEST_CASE("waiting in the queue does not count against the attempt's limits", "[scenario-58]") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m", {answer("hi").after(4s)}};
  const Provider limited = model | timeout(5s) | rate_limit({.requests_per_minute = 7, .burst = 1});
  REQUIRE(runtime.call(limited, "hello"));
  const Duration first = runtime.elapsed();
  const auto reply = runtime.call(limited, "hello");
  REQUIRE(reply);
  CHECK(reply->attempts[0].waited > 4500ms);
  CHECK(reply->attempts[0].elapsed == 4s);
  CHECK(runtime.elapsed() == first + reply->attempts[0].waited + 4s);

  SECTION("eight seconds of it") {
    const Provider queue = model | timeout(5s) | rate_limit({.requests_per_minute = 60, .burst = 1});
    std::vector<std::shared_ptr<VirtualCall>> calls;
    for (int i = 0; i < 9; ++i) calls.push_back(runtime.start(queue, "hello"));
    runtime.run_all();
    REQUIRE(calls.back()->result());
    CHECK(calls.back()->result()->attempts[0].waited == 8s);
    CHECK(calls.back()->result()->attempts[0].elapsed == 4s);
  }
}

TEST_CASE("while another target is ready a call falls over instead of waiting long") {
  VirtualRuntime runtime;
  const ScriptedProvider first{"a/m"};
  const ScriptedProvider second{"b/m"};
  const FallbackClient client{first | rate_limit({.requests_per_minute = 6}), second};
  CHECK(runtime.call(client, "hello")->served_by == first.target());
  const auto reply = runtime.call(client, "hello");
  REQUIRE(reply);
  CHECK(reply->served_by == second.target());
  CHECK(runtime.elapsed() == 0s);
  REQUIRE(reply->attempts.size() == 2);
  CHECK(reply->attempts[0].outcome == ErrorKind::local_limit);

  SECTION("a short wait is worth it") {
    runtime.run_for(9s);
    CHECK(runtime.call(client, "hello")->served_by == first.target());
    CHECK(runtime.elapsed() == 10s);
  }
}

TEST_CASE("explain lets a call that meets one limit twice through there, as the call does") {
  VirtualRuntime runtime;
  const RateLimit limit{{.requests_per_minute = 6, .max_wait = 60s}};
  const ScriptedProvider first{"a/m"};
  const ScriptedProvider second{"b/m"};
  const FallbackOptions options{.recovery = {.max_wait = 0s}, .runtime = runtime.share()};
  const FallbackClient inner{{first | rate_limit(limit), second}, options};
  const FallbackClient client{{inner | rate_limit(limit)}, options};
  REQUIRE(runtime.call(first | rate_limit(limit), "hello"));
  CHECK(client.explain("hello").steps[0].target == first.target());
  CHECK_FALSE(client.explain("hello").steps[0].skipped);
  const auto reply = runtime.call(client, "hello");
  REQUIRE(reply);
  CHECK(reply->served_by == first.target());
  CHECK(reply->attempts[0].waited == 10s);
}

TEST_CASE("a fallback client passes over a target whose limit would refuse") {
  VirtualRuntime runtime;
  const ScriptedProvider first{"a/m"};
  const ScriptedProvider second{"b/m"};
  const Provider limited = first | rate_limit({.requests_per_minute = 6, .max_wait = 1s});
  const FallbackClient client{{limited, second}, FallbackOptions{.recovery = {.max_wait = 0s}, .runtime = runtime.share()}};
  REQUIRE(runtime.call(client, "hello"));
  const Standing standing = testing::standing_of(limited, runtime.clock().now());
  CHECK_FALSE(standing.ready());
  CHECK(standing.why == ErrorKind::local_limit);
  CHECK(runtime.since(standing.ready_at) == 9s);
  CHECK(testing::standing_of(limited, runtime.clock().now() + 9s).ready());
  REQUIRE(client.explain("hello").steps[0].skipped);
  CHECK(runtime.call(client, "hello")->served_by == second.target());

  SECTION("when all are out the error says which recovers first") {
    const FallbackClient alone{std::vector<Provider>{limited}, FallbackOptions{.recovery = {.max_wait = 0s}, .runtime = runtime.share()}};
    const auto refused = runtime.call(alone, "hello");
    CHECK(refused.error().kind == ErrorKind::local_limit);
    CHECK(refused.error().retry_after == 9s);
    CHECK(first.send_count() == 1);
  }
}

TEST_CASE("no probe's permit is held in the queue", "[scenario-220]") {
  VirtualRuntime runtime;
  const auto breaker = CircuitBreaker::create({.open_for = 5s, .jitter = 0});
  const ScriptedProvider model{"a/m", std::vector<Step>(5, error(ErrorKind::server_error))};
  model.then(answer("back"));
  const Provider guarded = model | circuit_breaker(breaker) | rate_limit({.requests_per_minute = 6, .burst = 5});
  for (int i = 0; i < 5; ++i) CHECK_FALSE(runtime.call(guarded, "hello"));
  CHECK(breaker->state() == BreakerState::open);
  runtime.run_for(5s);
  const auto waiting = runtime.start(guarded, "hello");
  runtime.run_for(2s);
  CHECK_FALSE(waiting->done());
  CHECK(model.send_count() == 5);
  CHECK_FALSE(breaker->snapshot(runtime.clock().now()).probe_out);
  REQUIRE(runtime.call(model | circuit_breaker(breaker), "hello"));  // the probe was still to be had
  runtime.run_all();
  CHECK(waiting->result());
}

TEST_CASE("what an open breaker refuses is not waited for and takes nothing", "[scenario-221]") {
  Lab lab{{.requests_per_minute = 6, .tokens_per_minute = 6000, .burst = 2}};
  const auto breaker = CircuitBreaker::create();
  const Provider guarded = lab.model | circuit_breaker(breaker) | rate_limit(lab.limit);
  breaker->isolate();
  CHECK(lab.runtime.call(guarded, "hello").error().kind == ErrorKind::circuit_open);
  CHECK(lab.requests_left() == 2);
  CHECK(lab.tokens_left() == 6000);
  CHECK(lab.snapshot().requests->charged == 0);
  lab.use_up();
  const auto refused = lab.runtime.call(guarded, "hello");
  CHECK(refused.error().kind == ErrorKind::circuit_open);
  CHECK(lab.runtime.elapsed() == 0s);
  CHECK(lab.snapshot().waiting == 0);
}

TEST_CASE("a call waits for its turn although a bulkhead further in is full until then") {
  VirtualRuntime runtime;
  ScriptedProvider model{"a/m", {answer("hi").after(500ms)}};
  const Provider guarded =
      model | bulkhead({.max_in_flight = 1}) | rate_limit({.requests_per_minute = 60, .burst = 1});
  const auto first = runtime.start(guarded, "hello");
  const auto second = runtime.start(guarded, "hello");
  runtime.run_all();
  CHECK(first->result());
  REQUIRE(second->result());
  CHECK(second->result()->attempts[0].waited == 1s);
  CHECK(runtime.elapsed() == 1500ms);
}

TEST_CASE("the row says how long its attempt has waited in all queues together") {
  VirtualRuntime runtime;
  ScriptedProvider model{"a/m", {answer("hi").after(3s)}};
  const Provider guarded = model | bulkhead({.max_in_flight = 1, .max_queued = 1}) |
                           rate_limit({.requests_per_minute = 60, .burst = 1});
  const auto first = runtime.start(guarded, "hello");
  const auto second = runtime.start(guarded, "hello");
  runtime.run_all();
  CHECK(first->result()->attempts[0].waited == 0s);
  CHECK(second->result()->attempts[0].waited == 3s);  // one for its turn, two for the permit
}

TEST_CASE("one limit is shared by the targets and clients that have its handle") {
  Lab lab{{.requests_per_minute = 60, .burst = 2, .max_wait = 0s}};
  const ScriptedProvider other{"b/m"};
  const Provider other_limited = other | rate_limit(lab.limit);
  REQUIRE(lab.runtime.call(lab.limited, "hello"));
  REQUIRE(lab.runtime.call(other_limited, "hello"));
  CHECK_FALSE(lab.runtime.call(lab.limited, "hello"));
  CHECK_FALSE(lab.runtime.call(other_limited, "hello"));

  SECTION("while options make one for each") {
    const Policy policy = rate_limit({.requests_per_minute = 6, .max_wait = 0s});
    const Provider one = lab.model | policy;
    const Provider two = other | policy;
    CHECK(lab.runtime.call(one, "hello"));
    CHECK(lab.runtime.call(two, "hello"));
    CHECK_FALSE(lab.runtime.call(one, "hello"));
  }
}

TEST_CASE("a call that meets one rate limit twice is charged once, and waits once") {
  Lab lab{{.requests_per_minute = 60, .tokens_per_minute = 6000, .burst = 2},
          {answer("hi").usage(90, 10), answer("hi").usage(90, 10), answer("hi").usage(90, 10)}};
  const FallbackOptions options{.recovery = {.max_wait = 0s}, .runtime = lab.runtime.share()};
  const FallbackClient inner{lab.limited, options};
  const FallbackClient outer{inner | rate_limit(lab.limit), options};
  REQUIRE(outer.chat("hello"));
  REQUIRE(inner.chat("hello", {.around = rate_limit(lab.limit)}));
  CHECK(lab.runtime.elapsed() == 0s);
  CHECK(lab.snapshot().requests->charged == 2);
  REQUIRE(outer.chat("hello"));
  CHECK(lab.runtime.elapsed() == 1s);
  CHECK(lab.snapshot().requests->charged == 3);
  CHECK(lab.snapshot().requests->reserved == 0);
  CHECK(lab.snapshot().tokens->charged == 300);
}

TEST_CASE("sends of a retry further in are all counted") {
  Lab lab{{.requests_per_minute = 60, .tokens_per_minute = 6000, .burst = 10},
          {error(ErrorKind::server_error), error(ErrorKind::rate_limited), answer("hi").usage(90, 10)}};
  REQUIRE(lab.runtime.call(lab.model | retry() | rate_limit(lab.limit), hundred_tokens(500)));
  CHECK(lab.snapshot().requests->charged == 3);
  CHECK(lab.snapshot().tokens->charged == 200);  // the first one's input, and the last one's own
}

TEST_CASE("a rate limit describes itself and refuses what makes no sense") {
  const ScriptedProvider model{"a/m"};
  CHECK((model | rate_limit({.requests_per_minute = 60})).describe() == "a/m | rate_limit(requests_per_minute = 60)");
  CHECK((model | rate_limit(RateLimit{{.tokens_per_minute = 1000, .max_wait = 5s}})).describe() ==
        "a/m | rate_limit(tokens_per_minute = 1000, max_wait = 5s)");
  CHECK_THROWS_AS(rate_limit(RateLimitOptions{}), std::invalid_argument);
}

TEST_CASE("a rate limit around a floor does not take the judge's limits for its own") {
  VirtualRuntime runtime;
  const RateLimitStatus used_up{.requests = {.limit = 600, .remaining = 0, .reset_after = 60s}};
  const ScriptedProvider model{"a/m"};
  const ScriptedProvider judge{"j/m", {answer("yes").rate_limit(used_up)}};
  const RateLimit limit{{.requests_per_minute = 600}};
  const Provider limited = model | accept_if(judged_by(judge, "Is it right?")) | rate_limit(limit);
  for (int call = 0; call < 3; ++call) CHECK(runtime.call(limited, "hello"));
  CHECK(runtime.elapsed() == 0s);
  CHECK(judge.send_count() == 3);
}

}  // namespace rate_limit_test
