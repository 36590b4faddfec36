#include "backstop/policies/single_flight.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/observe/observer.hpp"
#include "backstop/policies/accept_if.hpp"
#include "backstop/policies/bulkhead.hpp"
#include "backstop/policies/cache.hpp"
#include "backstop/policies/checks.hpp"
#include "backstop/policies/circuit_breaker.hpp"
#include "backstop/policies/cost_cap.hpp"
#include "backstop/policies/intercept.hpp"
#include "backstop/policies/rate_limit.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/policies/standard.hpp"
#include "backstop/policies/timeout.hpp"
#include "backstop/providers/function.hpp"
#include "backstop/routing/degrade.hpp"
#include "backstop/routing/hedge.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace single_flight_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

/// A model that takes its time, behind one flight at a time.
struct Lab {
  explicit Lab(std::vector<Step> steps, SingleFlightOptions options = {})
      : model{target(), std::move(steps)}, shared{model | single_flight(options)} {}

  static Target target() {
    ModelFacts facts;
    facts.price = Price{.input = Money::usd(1), .output = Money::usd(1)};
    return Target{"a", "m", facts};
  }
  std::shared_ptr<VirtualCall> start(ChatRequest request = "hello", const VirtualCallOptions& options = {}) {
    return runtime.start(shared, std::move(request), options);
  }
  std::vector<std::shared_ptr<VirtualCall>> start_many(int count) {
    std::vector<std::shared_ptr<VirtualCall>> calls;
    for (int i = 0; i < count; ++i) calls.push_back(start());
    return calls;
  }
  void cancel_at(Duration at, VirtualCall& call) {
    runtime.at(at, [&call] { call.cancel(); });
  }

  VirtualRuntime runtime;
  ScriptedProvider model;
  Provider shared;
};

Step slow_answer() { return answer("hi").usage(3, 4).after(1s); }

Task<Result<ChatResponse>> twice(const Provider& next, const ChatRequest& request, CallContext& context) {
  Task<Result<ChatResponse>> first = next.call(request, context);
  auto result = co_await first;
  if (result) co_return result;
  Sleep pause = context.sleep(100ms);
  auto slept = co_await pause;
  if (!slept) co_return std::move(slept).error();
  Task<Result<ChatResponse>> second = next.call(request, context);
  result = co_await second;
  co_return result;
}

}  // namespace

TEST_CASE("ten identical calls are one send, and all have the result", "[scenario-187]") {
  Lab lab{{slow_answer()}};
  const auto calls = lab.start_many(10);
  lab.runtime.run_all();
  CHECK(lab.model.send_count() == 1);
  Money cost;
  int paid = 0;
  for (const auto& call : calls) {
    REQUIRE(call->result());
    CHECK(call->result()->text() == "hi");
    CHECK(call->ended_at() == call->started_at() + 1s);
    CHECK(call->completions() == 1);
    REQUIRE(call->result()->attempts.size() == 1);
    const Attempt& row = call->result()->attempts.front();
    CHECK(row.target == lab.model.target());
    CHECK_FALSE(row.outcome);
    paid += row.sent ? 1 : 0;
    if (!row.sent) CHECK(row.reason == "shared the send of an identical call");
    cost += call->result()->cost;
  }
  CHECK(paid == 1);
  CHECK(calls.front()->result()->attempts.front().sent);
  CHECK(cost == Money::usd(7));  // once
  CHECK(lab.runtime.idle());
}

TEST_CASE("who began the send may leave: the others have the answer, of one send", "[scenario-188][scenario-195]") {
  Lab lab{{slow_answer()}};
  const auto calls = lab.start_many(3);
  lab.cancel_at(400ms, *calls[0]);
  lab.runtime.run_all();
  CHECK(lab.model.send_count() == 1);
  CHECK(calls[0]->result().error().kind == ErrorKind::cancelled);
  CHECK(calls[0]->ended_at() == calls[0]->started_at() + 400ms);  // without waiting for anything
  REQUIRE(calls[0]->result().error().attempts.size() == 1);
  CHECK_FALSE(calls[0]->result().error().attempts[0].sent);
  CHECK(calls[0]->result().error().attempts[0].outcome == ErrorKind::cancelled);
  CHECK(calls[0]->result().error().target == calls[0]->result().error().attempts[0].target);
  REQUIRE(calls[1]->result());
  REQUIRE(calls[2]->result());
  CHECK(calls[1]->result()->attempts[0].sent);  // it has waited longest of those who stayed
  CHECK_FALSE(calls[2]->result()->attempts[0].sent);
  CHECK(calls[1]->result()->cost == Money::usd(7));
}

TEST_CASE("a cap around a shared client refuses one target, and the cheaper one is asked") {
  VirtualRuntime runtime;
  const auto priced = [](const char* name, double dollars) {
    ModelFacts facts;
    facts.price = Price{.input = Money{}, .output = Money::usd(dollars)};
    facts.max_output_tokens = 10;
    return ScriptedProvider{Target{name, "m", facts}, {answer("hi").usage(1, 1).after(1s)}};
  };
  const ScriptedProvider dear = priced("dear", 1);
  const ScriptedProvider cheap = priced("cheap", 0.001);
  const Provider shared = FallbackClient{dear, cheap} | single_flight();
  const auto reply = runtime.call(shared | cost_cap({.per_request = Money::usd(1)}), "hello");
  REQUIRE(reply);
  CHECK(reply->served_by == cheap.target());
  CHECK(dear.send_count() == 0);

  const auto rich = runtime.start(shared, "hello");
  const auto poor = runtime.start(shared | cost_cap({.per_request = Money::usd(1)}), "hello");
  runtime.run_all();
  CHECK(rich->result()->served_by == dear.target());
  CHECK(poor->result()->served_by == dear.target());  // somebody else pays
}

TEST_CASE("a shared send outlives the call that began it, with what that call was asked by") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m", {error(ErrorKind::server_error).after(1s), answer("hi")}};
  const Provider shared = model | retry({.initial = 1s, .max = 1s}) | single_flight();
  FallbackOptions options{.strategy = weighted({1}), .recovery = {.max_wait = 0s}};
  options.runtime = runtime.share();
  auto first = std::make_unique<FallbackClient>(std::vector<Provider>{shared}, options);
  auto begun = runtime.start(*first, "hello");
  const auto joined = runtime.start(shared, "hello");
  runtime.run_for(100ms);
  begun->cancel();
  runtime.run_for(1ms);
  begun.reset();
  first.reset();
  runtime.run_all();
  REQUIRE(joined->result());
  CHECK(joined->result()->text() == "hi");
  CHECK(model.send_count() == 2);
}

TEST_CASE("what is asked aside within a shared send is no attempt of it to a retry around") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m"};
  const ScriptedProvider judge{"j/m", {answer("no")}};
  const Provider shared = model | accept_if(judged_by(judge, "Is it right?")) | single_flight();
  const auto always = [](const RetryQuestion&) { return true; };
  const RetryOptions again{.max_attempts = 3, .initial = 1s, .max = 1s, .should_retry = always};
  REQUIRE_FALSE(runtime.call(shared | retry(again), "hello", {.max_attempts = 20}));
  CHECK(model.send_count() == 3);
}

TEST_CASE("the first choice of a shared client is that of its own strategy") {
  struct Seen final : Observer {
    void on_call(const CallEvent& event) noexcept override { first_choice = event.first_choice.name(); }
    std::string first_choice;
  };
  VirtualRuntime runtime;
  const auto seen = std::make_shared<Seen>();
  const FallbackClient pool{{ScriptedProvider{"a/m"}, ScriptedProvider{"b/m"}}, {.strategy = weighted({0, 1})}};
  FallbackOptions options{.observers = {seen}};
  options.runtime = runtime.share();
  const auto reply = FallbackClient{{pool | single_flight()}, options}.chat("hello");
  REQUIRE(reply);
  CHECK(seen->first_choice == "b/m");
  CHECK_FALSE(reply->fallback);
}

TEST_CASE("when the last one leaves the send is stopped, and the next call begins anew", "[scenario-189][scenario-195]") {
  Lab lab{{silence(), answer("hi")}};
  const auto calls = lab.start_many(3);
  for (int i = 0; i < 3; ++i) lab.cancel_at(100ms * (i + 1), *calls[static_cast<std::size_t>(i)]);
  lab.runtime.run_all();
  for (const auto& call : calls) CHECK(call->result().error().kind == ErrorKind::cancelled);
  CHECK(calls[2]->ended_at() == calls[2]->started_at() + 300ms);
  const Ledger& rows = calls[2]->result().error().attempts;
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].sent);  // the abandoned send is accounted to whom it was stopped for
  CHECK(rows[0].outcome == ErrorKind::cancelled);
  CHECK(lab.runtime.idle());
  CHECK(lab.runtime.call(lab.shared, "hello")->text() == "hi");
  CHECK(lab.model.send_count() == 2);
}

TEST_CASE("a call whose deadline is shorter fails alone; the send has the time of the most patient",
          "[scenario-190]") {
  Lab lab{{slow_answer()}};
  const auto hasty = lab.start("hello", {.deadline = 300ms});
  const auto patient = lab.start("hello", {.deadline = 10s});
  const auto also_hasty = lab.start("hello", {.deadline = 600ms});
  lab.runtime.run_all();
  CHECK(hasty->result().error().kind == ErrorKind::deadline_exceeded);
  CHECK(hasty->ended_at() == hasty->started_at() + 300ms);
  CHECK(also_hasty->result().error().kind == ErrorKind::deadline_exceeded);
  REQUIRE(patient->result());
  CHECK(lab.model.send_count() == 1);
}

TEST_CASE("a retry inside has the time of the most patient call", "[scenario-190]") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m", {error(ErrorKind::rate_limited, {.retry_after = 10s}).after(1s), answer("hi")}};
  const Provider shared = model | retry() | single_flight();
  const auto hasty = runtime.start(shared, "hello", {.deadline = 5s});
  const auto patient = runtime.start(shared, "hello", {.deadline = 60s});
  runtime.run_all();
  CHECK(hasty->result().error().kind == ErrorKind::deadline_exceeded);
  REQUIRE(patient->result());
  CHECK(patient->ended_at() >= patient->started_at() + 11s);
}

TEST_CASE("a send that fails fails all of its calls, and the next call begins anew", "[scenario-191]") {
  Step failing = error(ErrorKind::server_error, {.http_status = 502});
  failing.after(1s);
  Lab lab{{failing, answer("hi")}};
  const auto calls = lab.start_many(3);
  lab.runtime.run_all();
  for (const auto& call : calls) {
    CHECK(call->result().error().kind == ErrorKind::server_error);
    CHECK(call->result().error().http_status == 502);
    CHECK(call->result().error().attempts.size() == 1);
  }
  CHECK(lab.model.send_count() == 1);
  CHECK(lab.runtime.call(lab.shared, "hello")->text() == "hi");
}

TEST_CASE("a call that comes at the moment the send ends has that answer or one of its own", "[scenario-192]") {
  Lab lab{{slow_answer()}};
  const auto first = lab.start();
  std::vector<std::shared_ptr<VirtualCall>> late;
  for (const Duration at : {1s - 1ns, Duration{1s}, 1s + 1ns}) {
    lab.runtime.at(at, [&] { late.push_back(lab.start()); });
  }
  lab.runtime.run(*first);
  lab.runtime.run_for(5s);
  REQUIRE(late.size() == 3);
  for (const auto& call : late) {
    REQUIRE(call->done());
    CHECK(call->result());
    CHECK(call->completions() == 1);
  }
  CHECK(lab.model.send_count() <= 3);
  CHECK(lab.runtime.idle());
}

TEST_CASE("an answer that comes at once leaves nothing behind") {
  Lab lab{{answer("hi")}};
  for (int i = 0; i < 3; ++i) CHECK(lab.runtime.call(lab.shared, "hello")->text() == "hi");
  CHECK(lab.model.send_count() == 3);
  CHECK(lab.runtime.idle());
}

TEST_CASE("different users, requests, targets and kinds of calls do not share", "[scenario-193]") {
  Lab lab{{slow_answer()}};
  EventLog log{lab.runtime.runtime()};
  ChatRequest ada{"hello"};
  ada.metadata.user_id = "ada";
  ChatRequest bob{"hello"};
  bob.metadata.user_id = "bob";
  static_cast<void>(lab.start(ada));
  static_cast<void>(lab.start(bob));
  static_cast<void>(lab.start("hello"));
  static_cast<void>(lab.start("hullo"));
  static_cast<void>(lab.start("hello", {.sink = &log}));
  static_cast<void>(lab.runtime.start(lab.model | single_flight(), "hello"));
  lab.runtime.run_all();
  CHECK(lab.model.send_count() == 6);
}

TEST_CASE("requests with more than one right answer are shared, unless told") {
  for (const bool deterministic_only : {false, true}) {
    Lab lab{{slow_answer()}, {.deterministic_only = deterministic_only}};
    static_cast<void>(lab.start_many(2));
    ChatRequest exact{"exact"};
    exact.temperature = 0;
    static_cast<void>(lab.start(exact));
    static_cast<void>(lab.start(exact));
    lab.runtime.run_all();
    CHECK(lab.model.send_count() == (deterministic_only ? 3 : 2));
  }
}

TEST_CASE("a stream fans out; who comes later has it from its beginning", "[scenario-194]") {
  Lab lab{{stream({"one ", "two ", "three"}, 1s)}};
  EventLog early{lab.runtime.runtime()};
  EventLog late{lab.runtime.runtime()};
  const auto first = lab.start("hello", {.sink = &early});
  std::shared_ptr<VirtualCall> second;
  lab.runtime.at(1500ms, [&] { second = lab.start("hello", {.sink = &late}); });
  lab.runtime.run(*first);
  lab.runtime.run_for(1s);
  CHECK(lab.model.send_count() == 1);
  CHECK(early.text() == "one two three");
  CHECK(late.text() == "one two three");
  REQUIRE(late.events().size() == 4);
  const TimePoint start = first->started_at();
  CHECK(late.events()[0].at == start + 1500ms);
  CHECK(late.events()[1].at == start + 1500ms);
  CHECK(late.events()[2].at == start + 2s);
  CHECK(late.count(StreamEvent::Type::finished) == 1);
  CHECK(second->result()->text() == "one two three");
}

TEST_CASE("a slow reader does not hold up the others, and reads what is kept for it", "[scenario-194]") {
  Lab lab{{stream({"one ", "two ", "three"}, 1s)}};
  EventLog quick{lab.runtime.runtime()};
  EventLog slow{lab.runtime.runtime()};
  slow.pause();
  const auto first = lab.start("hello", {.sink = &quick});
  const auto second = lab.start("hello", {.sink = &slow});
  lab.runtime.run(*first);
  CHECK(first->ended_at() == first->started_at() + 2s);
  CHECK(quick.text() == "one two three");
  CHECK(slow.events().empty());
  CHECK_FALSE(second->done());
  lab.runtime.at(10s, [&] { slow.resume(); });
  lab.runtime.run(*second);
  CHECK(slow.text() == "one two three");
  CHECK(second->result());
  CHECK(lab.model.send_count() == 1);
}

TEST_CASE("a reader who falls too far behind is let go, and the buffer stays within its bound", "[scenario-194]") {
  std::vector<std::string> pieces(40, std::string(1000, 'x'));
  Step script;
  for (const std::string& piece : pieces) script.text(piece).wait(10ms);
  script.finish();
  Lab lab{{script}, {.max_replay_bytes = 10'000}};
  EventLog quick{lab.runtime.runtime()};
  EventLog slow{lab.runtime.runtime()};
  EventLog stuck{lab.runtime.runtime()};
  stuck.pause();
  slow.on_each([&](const RecordedEvent&) { slow.pause(); });  // takes one, and no more
  const auto first = lab.start("hello", {.sink = &quick});
  const auto second = lab.start("hello", {.sink = &slow});
  const auto third = lab.start("hello", {.sink = &stuck});
  EventLog newcomer{lab.runtime.runtime()};
  std::shared_ptr<VirtualCall> fourth;
  lab.runtime.at(300ms, [&] { fourth = lab.start("hello", {.sink = &newcomer}); });
  lab.runtime.at(10s, [&] {
    slow.on_each({});
    slow.resume();
    stuck.resume();
  });
  lab.runtime.run_all();
  REQUIRE(first->result());
  CHECK(quick.text().size() == 40'000);
  CHECK(second->result().error().kind == ErrorKind::stream_interrupted);
  CHECK(second->result().error().committed);
  CHECK(slow.text().size() == 1000);
  CHECK(third->result().error().kind == ErrorKind::local_limit);
  CHECK_FALSE(third->result().error().committed);
  REQUIRE(fourth);
  lab.runtime.run(*fourth);
  CHECK(fourth->result());  // the beginning was gone: a send of its own
  CHECK(lab.model.send_count() == 2);
}

TEST_CASE("a stream whose only reader is slow waits for it, as without sharing") {
  std::vector<std::string> pieces(40, std::string(1000, 'x'));
  Step script;
  for (const std::string& piece : pieces) script.text(piece);
  script.finish();
  Lab lab{{script}, {.max_replay_bytes = 5'000}};
  EventLog log{lab.runtime.runtime()};
  int seen = 0;
  log.on_each([&](const RecordedEvent&) {
    if (++seen % 4 != 0) return;
    log.pause();
    lab.runtime.at(lab.runtime.elapsed() + 1s, [&] { log.resume(); });
  });
  REQUIRE(lab.runtime.call(lab.shared, "hello", {.sink = &log}));
  CHECK(log.text().size() == 40'000);
  CHECK(lab.runtime.elapsed() >= 9s);
}

TEST_CASE("a stream that breaks off breaks off for all, after what had come") {
  Lab lab{{deltas({"one ", "two "}, 1s).cut()}};
  EventLog logs[2] = {EventLog{lab.runtime.runtime()}, EventLog{lab.runtime.runtime()}};
  const auto first = lab.start("hello", {.sink = &logs[0]});
  const auto second = lab.start("hello", {.sink = &logs[1]});
  lab.runtime.run_all();
  for (const auto& call : {first, second}) {
    CHECK(call->result().error().kind == ErrorKind::stream_interrupted);
    CHECK(call->result().error().committed);
  }
  CHECK(logs[0].text() == "one two ");
  CHECK(logs[1].text() == "one two ");
  CHECK(logs[1].count(StreamEvent::Type::failed) == 1);
}

TEST_CASE("a consumer that cancels out of an event leaves alone") {
  Lab lab{{stream({"one ", "two ", "three"}, 1s)}};
  EventLog leaving{lab.runtime.runtime()};
  EventLog staying{lab.runtime.runtime()};
  const auto first = lab.start("hello", {.sink = &leaving});
  const auto second = lab.start("hello", {.sink = &staying});
  leaving.on_each([&](const RecordedEvent&) { first->cancel(); });
  lab.runtime.run_all();
  CHECK(first->result().error().kind == ErrorKind::cancelled);
  CHECK(leaving.count(StreamEvent::Type::text) == 1);
  CHECK(staying.text() == "one two three");
  CHECK(second->result());
}

TEST_CASE("around a client one walk over the targets is shared, its restarts too") {
  VirtualRuntime runtime;
  const ScriptedProvider first{"a/m", {deltas({"one "}, 1s).cut()}};
  const ScriptedProvider second{"b/m", {stream({"all ", "new"}, 1s)}};
  FallbackOptions options;
  options.mid_stream = MidStream::restart;
  const FallbackClient inner{{first, second}, options};
  const FallbackClient client{inner | single_flight()};
  EventLog logs[2] = {EventLog{runtime.runtime()}, EventLog{runtime.runtime()}};
  const auto one = runtime.start(client, "hello", {.sink = &logs[0]});
  const auto two = runtime.start(client, "hello", {.sink = &logs[1]});
  runtime.run_all();
  for (const auto& call : {one, two}) {
    REQUIRE(call->result());
    CHECK(call->result()->text() == "all new");
    CHECK(call->result()->fallback);
  }
  for (const EventLog& log : logs) {
    CHECK(log.text() == "all new");
    CHECK(log.count(StreamEvent::Type::restarted) == 1);
  }
  CHECK(first.send_count() == 1);
  CHECK(second.send_count() == 1);
  CHECK(one->result()->attempts.size() == 2);
  CHECK(two->result()->attempts.size() == 1);
}

TEST_CASE("retries inside the flight are the flight's, and count for the call that pays") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m", {error(ErrorKind::server_error), answer("hi")}};
  const Provider shared = model | standard() | single_flight();
  const auto one = runtime.start(shared, "hello");
  const auto two = runtime.start(shared, "hello");
  runtime.run_all();
  CHECK(model.send_count() == 2);
  CHECK(one->result()->attempts.size() == 2);
  CHECK(two->result()->attempts.size() == 1);
  CHECK(runtime.idle());
}

TEST_CASE("what a shared send has used of the call's attempts is not there for the next target") {
  VirtualRuntime runtime;
  const ScriptedProvider first{"a/m", {error(ErrorKind::server_error)}};
  const ScriptedProvider second{"b/m", {error(ErrorKind::server_error)}};
  FallbackOptions options;
  options.recovery.max_wait = 0s;
  options.runtime = runtime.share();
  const FallbackClient client{{first | retry() | single_flight(), second | retry()}, options};
  CHECK_FALSE(client.chat("hello", {.limits = {.max_attempts = 3}}));
  CHECK(first.send_count() == 2);
  CHECK(second.send_count() == 1);
}

TEST_CASE("the error of a shared send says what this call's consumer has of it") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m", {deltas({"Once "}).cut()}};
  std::optional<bool> committed;
  InterceptOptions looks;
  looks.after = [&](const ChatRequest&, Result<ChatResponse>& result) { committed = result.error().committed; };
  const Provider shared = model | single_flight() | intercept(looks);
  const auto seen_with = [&](std::optional<StreamHold> hold) {
    EventLog log{runtime.runtime()};
    FallbackOptions options;
    options.hold = hold;
    options.recovery.max_wait = 0s;
    options.runtime = runtime.share();
    CHECK_FALSE(runtime.call(FallbackClient{{shared}, options}, "hello", {.sink = &log}));
    return committed;
  };
  CHECK(seen_with(std::nullopt) == true);
  CHECK(seen_with(StreamHold{.tokens = 1000, .time = 1h}) == false);
}

TEST_CASE("a send that is shared counts for the call while it is under way: no hedge beyond its attempts") {
  VirtualRuntime runtime;
  const ScriptedProvider slow{"a/m", {answer("A").after(20s)}};
  const ScriptedProvider other{"b/m", {answer("B")}};
  const FallbackClient client{{slow | single_flight(), other},
                              {.limits = {.max_attempts = 1}, .hedge = HedgeOptions{}, .runtime = runtime.share()}};
  SECTION("the call's own") { CHECK(client.chat("hello")); }
  SECTION("those of a client within another") {
    const ScriptedProvider last{"c/m"};
    const FallbackClient outer{{client, last}, {.runtime = runtime.share()}};
    CHECK(outer.chat("hello"));
  }
  CHECK(slow.send_count() == 1);
  CHECK(other.send_count() == 0);
}

TEST_CASE("a hedge that nobody who shares the sends may make is not made, and nobody fails for it") {
  VirtualRuntime runtime;
  const bool by_cap = GENERATE(false, true);
  const int count = GENERATE(1, 2);
  CAPTURE(by_cap, count);
  const ScriptedProvider first{Lab::target(), {answer("first").usage(0, 10).after(3s)}};
  const ScriptedProvider second{Target{"b", "m", {.price = Price{.output = Money::usd(1)}}},
                                {answer("second").usage(0, 10).after(1s)}};
  const FallbackClient hedging{{first, second},
                               {.hedge = HedgeOptions{.delay_without_samples = 500ms}, .runtime = runtime.share()}};
  const FallbackClient client{{hedging | single_flight()}, {.runtime = runtime.share()}};
  ChatRequest request{"hello"};
  request.max_output_tokens = 1000;
  CallOptions options;
  if (by_cap) {
    options.around = cost_cap({.per_request = Money::usd(1500)});
  } else {
    options.limits.max_attempts = 1;
  }
  std::vector<PendingCall> calls;
  for (int i = 0; i < count; ++i) calls.push_back(client.start(request, options));
  runtime.run_for(20s);
  // Two calls have an attempt each: one for the send, one for the hedge.
  CHECK(second.send_count() == (count == 2 ? 1U : 0U));
  for (PendingCall& call : calls) {
    REQUIRE(call.done());
    CHECK(call.wait());
  }
}

TEST_CASE("a shared send goes by the permits that the call which begins it has taken further out") {
  VirtualRuntime runtime;
  SECTION("a breaker that is probed") {
    const auto breaker = CircuitBreaker::create({.consecutive_failures = 1, .open_for = 5s});
    const ScriptedProvider model{"a/m", {error(ErrorKind::server_error), answer("back")}};
    const Provider stack = model | circuit_breaker(breaker) | single_flight() | circuit_breaker(breaker);
    CHECK_FALSE(runtime.call(stack, "hello"));
    CHECK(breaker->state() == BreakerState::open);
    for (int i = 0; i < 5 && breaker->state() != BreakerState::closed; ++i) {
      runtime.run_for(10s);
      CHECK(runtime.call(stack, "hello"));
    }
    CHECK(breaker->state() == BreakerState::closed);
  }
  SECTION("a bulkhead") {
    const ConcurrencyLimit one{BulkheadOptions{.max_in_flight = 1, .max_queued = 5}};
    const ScriptedProvider model{"a/m", {slow_answer()}};
    CHECK(runtime.call(model | bulkhead(one) | single_flight() | bulkhead(one), "hello"));
    CHECK(one.snapshot().in_flight == 0);
  }
  SECTION("a rate limit") {
    const RateLimit limit{{.requests_per_minute = 6, .max_wait = 60s}};
    const ScriptedProvider model{"a/m", {slow_answer()}};
    const Provider stack = model | rate_limit(limit) | single_flight() | rate_limit(limit);
    CHECK(runtime.call(stack, "hello"));
    const auto second = runtime.call(stack, "hello");
    REQUIRE(second);
    CHECK(second->attempts[0].waited == 9s);
  }
}

TEST_CASE("what a shared send has cost is booked with the call that leaves when no other may account for it") {
  VirtualRuntime runtime;
  const Budget first_budget{{.per_period = Money::usd(1000)}};
  const Budget other_budget{{.per_period = Money::usd(1)}};
  const ScriptedProvider model{Lab::target(), {stream({"one ", "two ", "three ", "four"}, 1s)}};
  const FallbackClient client{{model | single_flight()}, {.recovery = {.max_wait = 0s}, .runtime = runtime.share()}};
  ChatRequest request{"hello"};
  request.max_output_tokens = 100;
  const auto start = [&](const Budget& budget) {
    CallOptions options;
    options.around = cost_cap(budget);
    options.on_event = [](const StreamEvent&) {};
    return client.start(request, options);
  };
  PendingCall first = start(first_budget);
  PendingCall other = start(other_budget);
  runtime.run_for(2500ms);
  first.cancel();
  runtime.run_for(10s);
  REQUIRE(first.done());
  REQUIRE(other.done());
  const Money cost = first.wait().error().cost;
  CHECK(cost > Money{});
  CHECK(first_budget.snapshot(runtime.clock().now()).spent.cost == cost);
  CHECK(other.wait().error().kind == ErrorKind::stream_interrupted);
  CHECK(other.wait().error().cost == Money{});
  CHECK(other_budget.snapshot(runtime.clock().now()) == BudgetSnapshot{});
  CHECK(model.send_count() == 1);
}

namespace {

/// A stream of four seconds whose worst case is $100 and some, for calls that come at once.
struct SharedStream {
  std::shared_ptr<VirtualCall> start(const Provider& by, EventLog& sink) {
    ChatRequest request{"hello"};
    request.max_output_tokens = 100;
    return runtime.start(by, std::move(request), {.sink = &sink});
  }

  VirtualRuntime runtime;
  ScriptedProvider model{Lab::target(), {stream({"one ", "two ", "three ", "four"}, 1s)}};
  Provider shared = model | single_flight();
  EventLog of_first{runtime.runtime()};
  EventLog of_other{runtime.runtime()};
};

}  // namespace

TEST_CASE("what a shared send has cost is booked with the call that leaves, also where its budget is overspent by then") {
  const Budget first_budget{{.per_period = Money::usd(150)}};
  SharedStream lab;
  VirtualRuntime& runtime = lab.runtime;
  const auto first = lab.start(lab.shared | cost_cap(first_budget), lab.of_first);
  const auto other = lab.start(lab.shared | cost_cap({.per_request = Money::usd(1)}), lab.of_other);
  runtime.at(2s, [&] { first_budget.book(Money::usd(80), runtime.runtime().now()); });
  runtime.at(2500ms, [&] { first->cancel(); });
  runtime.run_all();
  REQUIRE_FALSE(first->result());
  const Ledger& rows = first->result().error().attempts;
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].cost > Money{});
  CHECK(first_budget.snapshot(runtime.runtime().now()) ==
        BudgetSnapshot{BudgetCharge{Money::usd(80) + rows[0].cost, Money{}}, BudgetCharge{}});
  REQUIRE_FALSE(other->result());
  CHECK(lab.model.send_count() == 1);
}

TEST_CASE("a shared send stays paid for by the budget that both calls pay out of, whatever else has been spent of it") {
  const Budget budget{{.per_period = Money::usd(150)}};
  SharedStream lab;
  VirtualRuntime& runtime = lab.runtime;
  const Provider shared = lab.shared;
  const auto first = lab.start(shared | cost_cap(budget), lab.of_first);
  const auto other = lab.start(shared | cost_cap(budget), lab.of_other);
  runtime.at(2s, [&] { budget.book(Money::usd(80), runtime.runtime().now()); });
  runtime.at(2500ms, [&] { first->cancel(); });
  runtime.run_all();
  REQUIRE(other->result());
  CHECK(other->result()->text() == "one two three four");
  REQUIRE(other->result()->attempts.size() == 1);
  CHECK(other->result()->attempts[0].sent);
  CHECK(budget.snapshot(runtime.runtime().now()) ==
        BudgetSnapshot{BudgetCharge{Money::usd(80) + other->result()->cost, Money{}}, BudgetCharge{}});
}

TEST_CASE("a budget that a cap inside of a shared send pays out of counts the send once, whoever takes it over") {
  const Budget budget{{.per_period = Money::usd(150)}};
  SharedStream lab;
  VirtualRuntime& runtime = lab.runtime;
  const Provider shared = lab.model | cost_cap(budget) | single_flight();
  const auto first = lab.start(shared | cost_cap(budget), lab.of_first);
  const auto other = lab.start(shared | cost_cap(budget), lab.of_other);
  runtime.run_for(1s);
  const Money reserved = budget.snapshot(runtime.runtime().now()).reserved.cost;
  first->cancel();
  runtime.run_for(1s);
  CHECK(budget.snapshot(runtime.runtime().now()).reserved.cost == reserved);
  runtime.run_all();
  REQUIRE(other->result());
  CHECK(budget.snapshot(runtime.runtime().now()) ==
        BudgetSnapshot{BudgetCharge{other->result()->cost, Money{}}, BudgetCharge{}});
}

TEST_CASE("a cap does not limit the output of a shared send that has gone out: it has room for it or refuses it") {
  const bool with_room = GENERATE(true, false);
  VirtualRuntime runtime;
  const Target target{"a", "m", {.price = Price{.input = Money{}, .output = Money::usd(1)}, .max_output_tokens = 2000}};
  const ScriptedProvider model{target, {stream({"one ", "two ", "three ", "four"}, 1s).usage(1, 1900)}};
  const Provider shared = model | single_flight();
  EventLog of_first{runtime.runtime()};
  EventLog of_other{runtime.runtime()};
  const auto first = runtime.start(shared, "hello", {.sink = &of_first});
  const auto other =
      runtime.start(shared | cost_cap({.per_request = Money::usd(with_room ? 2000 : 300)}), "hello", {.sink = &of_other});
  runtime.at(1500ms, [&] { first->cancel(); });
  runtime.run_all();
  CHECK(model.send_count() == 1);
  if (with_room) {
    REQUIRE(other->result());
    CHECK(other->result()->cost == Money::usd(1900));
  } else {
    REQUIRE_FALSE(other->result());
    CHECK(other->result().error().kind == ErrorKind::stream_interrupted);
    CHECK(other->result().error().cause == ErrorKind::budget_exceeded);
    CHECK(other->result().error().cost == Money{});
  }
}

TEST_CASE("a call with no attempt left takes over a shared send also from behind another shared send") {
  for (const int attempts : {1, 2, 3}) {
    VirtualRuntime runtime;
    const ScriptedProvider slow{"a/m", {deltas({"a", "b"}, 10ms).after(4500ms).wait(3s).text("c").finish()}};
    const ScriptedProvider other{"b/m", {silence()}};
    FallbackOptions options;
    options.hedge = HedgeOptions{.delay_without_samples = 200ms};
    options.recovery.max_wait = 0s;
    const Provider inner = slow | single_flight();
    const Provider outer = FallbackClient{{inner | single_flight(), other}, options};
    EventLog of_first{runtime.runtime()};
    EventLog of_other{runtime.runtime()};
    const auto leaves = runtime.start(inner, "hello", {.sink = &of_first});
    runtime.run_for(2s);
    const auto stays = runtime.start(outer, "hello", {.max_attempts = attempts, .sink = &of_other});
    runtime.at(5500ms, [&] { leaves->cancel(); });
    runtime.run_all();
    CAPTURE(attempts);
    REQUIRE(stays->result());
    CHECK(stays->result()->text() == "abc");
    CHECK(slow.send_count() == 1);
  }
}

TEST_CASE("a stream goes on through several shared sends when a hold in between hands over what it has kept") {
  for (int around = 1; around <= 3; ++around) {
    VirtualRuntime runtime;
    const ScriptedProvider model{"a/m", {stream({"aaaa ", "bbbb ", "cccc ", "dddd"}, 10ms)}};
    Provider shared = FallbackClient{{model | single_flight()}, {.hold = StreamHold{.tokens = 40, .time = 20ms}}};
    for (int i = 0; i < around; ++i) shared = shared | single_flight();
    const FallbackClient client{{shared}, {.runtime = runtime.share()}};
    std::string text;
    PendingCall call = client.start("hello", {.on_event = [&](const StreamEvent& event) { text += event.delta; }});
    runtime.run_for(1s);
    CAPTURE(around);
    REQUIRE(call.done());
    CHECK(call.wait());
    CHECK(text == "aaaa bbbb cccc dddd");
  }
}

TEST_CASE("a consumer that destroys another call of the same shared sends is served on") {
  for (int levels = 1; levels <= 4; ++levels) {
    VirtualRuntime runtime;
    const ScriptedProvider model{"a/m", {stream({"a", "b", "c"}, 10ms)}};
    Provider shared = model;
    for (int i = 0; i < levels; ++i) shared = shared | single_flight();
    const FallbackClient client{{shared}, {.runtime = runtime.share()}};
    std::string text;
    std::optional<PendingCall> other = client.start("hello", {.on_event = [](const StreamEvent&) {}});
    PendingCall call = client.start("hello", {.on_event = [&](const StreamEvent& event) {
                                      if (event.type == StreamEvent::Type::text) other.reset();
                                      text += event.delta;
                                    }});
    runtime.run_for(1s);
    CAPTURE(levels);
    REQUIRE(call.done());
    CHECK(call.wait());
    CHECK(text == "abc");
  }
}

TEST_CASE("a call whose cap has no room for a send shares one that is under way") {
  VirtualRuntime runtime;
  const ScriptedProvider model{Lab::target(), {slow_answer()}};
  const auto under = [&](int usd) { return cost_cap({.per_request = Money::usd(usd)}); };
  const Provider shared = model | single_flight();
  ChatRequest request{"hello"};
  request.max_output_tokens = 100;
  const auto pays = runtime.start(shared | under(1000), request);
  const auto shares = runtime.start(shared | under(1), request);
  runtime.run_all();
  CHECK(pays->result());
  CHECK(shares->result());
  CHECK(model.send_count() == 1);
  CHECK_FALSE(runtime.call(shared | under(1), request));
}

TEST_CASE("a call whose own send failed has a row for the answer that another accounts for") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m", {error(ErrorKind::server_error).after(3s), answer("hi")}};
  const FallbackClient client{{model | retry() | single_flight()},
                              {.limits = {.max_attempts = 1}, .recovery = {.max_wait = 0s}, .runtime = runtime.share()}};
  PendingCall first = client.start("hello");
  runtime.run_for(1s);
  PendingCall second = client.start("hello");
  runtime.run_for(20s);
  REQUIRE(first.wait());
  REQUIRE(second.wait());
  const Ledger& rows = first.wait()->attempts;
  REQUIRE(rows.size() == 2);
  CHECK((rows[0].sent && rows[0].outcome == ErrorKind::server_error));
  CHECK((!rows[1].sent && !rows[1].outcome));
  CHECK(rows[1].reason == "shared the send of an identical call");
  CHECK(second.wait()->attempts.size() == 1);
}

TEST_CASE("who takes over a shared send has no more attempts for it than its own") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m", {error(ErrorKind::server_error).after(1s)}};
  const Provider shared = model | retry({.max_attempts = 5}) | single_flight();
  const auto patient = runtime.start(shared, "hello");
  const auto modest = runtime.start(shared, "hello", {.max_attempts = 2});
  runtime.at(500ms, [&] { patient->cancel(); });
  runtime.run_all();
  CHECK(model.send_count() == 2);
  REQUIRE_FALSE(modest->result().has_value());
  CHECK(modest->result().error().kind == ErrorKind::server_error);
  CHECK(modest->result().error().attempts.size() == 2);
}

TEST_CASE("who takes over pays for the send under way, not for those before, and makes no more than its own") {
  VirtualRuntime runtime;
  std::vector<Provider> failing;
  for (const char* name : {"a/m", "b/m", "c/m", "d/m"}) {
    failing.push_back(ScriptedProvider{name, {error(ErrorKind::server_error).after(2s)}});
  }
  const Provider shared = FallbackClient{failing, {.recovery = {.max_wait = 0s}}} | single_flight();
  const auto patient = runtime.start(shared, "hello");
  const auto modest = runtime.start(shared, "hello", {.max_attempts = 2});
  const Duration leaves = GENERATE(Duration{1s}, Duration{3s});
  runtime.at(leaves, [&] { patient->cancel(); });
  runtime.run_all();
  REQUIRE_FALSE(modest->result().has_value());
  CHECK(modest->result().error().kind == ErrorKind::server_error);
  std::vector<std::string> sent_to;
  for (const Attempt& row : modest->result().error().attempts) {
    if (row.sent) sent_to.push_back(row.target.name());
  }
  CHECK(sent_to == (leaves < Duration{2s} ? std::vector<std::string>{"a/m", "b/m"} : std::vector<std::string>{"b/m", "c/m"}));
}

TEST_CASE("each send stands in the ledger and the budget of the call on whose account it was") {
  VirtualRuntime runtime;
  const Target target{"a", "m", {.price = Price{Money::usd_per_million(1), Money::usd_per_million(5)}}};
  const ScriptedProvider model{target, {answer("bad").usage(10, 100), stream({"good", "!"}, 1s).usage(10, 100)}};
  const auto good = satisfies("good", [](const Answer& one) -> Objection {
    if (one.response.text() == "bad") return "bad";
    return std::nullopt;
  });
  const Provider shared = model | accept_if(good, {.repair = 1}) | single_flight();
  const Budget of_first{{.per_period = Money::usd(1)}};
  const Budget of_second{{.per_period = Money::usd(1)}};
  ChatRequest request{"x"};
  request.max_output_tokens = 100;
  const auto first = runtime.start(shared | cost_cap(of_first), request);
  const auto second = runtime.start(shared | cost_cap({.per_request = Money::usd(0.0007), .budgets = {of_second}}), request,
                                    {.max_attempts = 1});
  runtime.at(300ms, [&] { first->cancel(); });
  runtime.run_all();
  const auto spent_in = [](const Ledger& rows) {
    Money sum;
    for (const Attempt& row : rows) sum += row.cost;
    return sum;
  };
  const auto sent_in = [](const Ledger& rows) {
    return std::count_if(rows.begin(), rows.end(), [](const Attempt& row) { return row.sent; });
  };
  REQUIRE_FALSE(first->result());
  const Ledger& rows_of_first = first->result().error().attempts;
  CHECK(sent_in(rows_of_first) == 1);
  CHECK(of_first.snapshot(runtime.runtime().now()).spent.cost == spent_in(rows_of_first));
  REQUIRE(second->result());
  CHECK(second->result()->text() == "good!");
  CHECK(sent_in(second->result()->attempts) == 1);
  CHECK(second->result()->cost == Money::usd(0.00051));
  CHECK(of_second.snapshot(runtime.runtime().now()).spent.cost == second->result()->cost);
}

TEST_CASE("a shared send within a shared send has its row in the call that accounts for it, whoever leaves") {
  const auto sent_in = [](const Ledger& rows) {
    return std::count_if(rows.begin(), rows.end(), [](const Attempt& row) { return row.sent; });
  };
  const auto spent_in = [](const Ledger& rows) {
    Money sum;
    for (const Attempt& row : rows) sum += row.cost;
    return sum;
  };
  const auto rows_of = [](const std::shared_ptr<VirtualCall>& call) -> const Ledger& {
    return call->result() ? call->result()->attempts : call->result().error().attempts;
  };
  const Target target{"a", "m", {.price = Price{Money{}, Money::usd_per_million(5)}}};
  const bool around_a_client = GENERATE(false, true);
  const auto leaves = GENERATE(std::optional<Duration>{}, Duration{150ms}, Duration{900ms});
  CAPTURE(around_a_client, leaves.has_value());
  VirtualRuntime runtime;
  const ScriptedProvider model{target, {error(ErrorKind::server_error).after(100ms), answer("hi").usage(1, 100).after(1s)}};
  const Provider inner = model | retry() | single_flight();
  const Provider shared =
      (around_a_client ? Provider{FallbackClient{{inner}, {.recovery = {.max_wait = 0s}}}} : inner) | single_flight();
  const Budget of_first{{.per_period = Money::usd(1)}};
  const Budget of_second{{.per_period = Money::usd(1)}};
  ChatRequest request{"hello"};
  request.max_output_tokens = 100;
  // The first may pay nothing when it stays to the end.
  const auto first = runtime.start(shared | cost_cap({.per_request = Money::usd(leaves ? 1 : 0.0001), .budgets = {of_first}}),
                                   request);
  const auto second = runtime.start(shared | cost_cap(of_second), request);
  if (leaves) runtime.at(*leaves, [&] { first->cancel(); });
  runtime.run_all();

  CHECK(model.send_count() == 2);
  REQUIRE(second->result());
  CHECK(sent_in(rows_of(first)) == (leaves ? 1 : 0));
  CHECK(sent_in(rows_of(second)) == (leaves ? 1 : 2));
  CHECK(of_first.snapshot(runtime.runtime().now()).spent.cost == spent_in(rows_of(first)));
  CHECK(of_second.snapshot(runtime.runtime().now()).spent.cost == spent_in(rows_of(second)));
  CHECK(second->result()->cost == Money::usd(0.0005));
}

namespace {

/// A shared send whose answer costs $10 and is to be repaired, and whose repair finds the money of the call that began it reserved by another.
struct ShortOfMoney {
  ShortOfMoney() {
    request.max_output_tokens = 50;
    ChatRequest rest{"rest"};
    rest.max_output_tokens = 80;
    first = world.start(shared | cost_cap(taken), request);
    world.run_for(500ms);
    reserves = world.start(slow | cost_cap(taken), rest);
  }

  static Target dollar(std::string_view provider) {
    return Target{provider, "m", {.price = Price{.input = Money{}, .output = Money::usd(1)}}};
  }

  VirtualRuntime world;
  Budget taken{{.per_period = Money::usd(130)}};
  Budget free{{.per_period = Money::usd(100)}};
  ScriptedProvider model{dollar("a"), {answer("no").usage(0, 10).after(1s), answer("yes").usage(0, 10)}};
  ScriptedProvider slow{dollar("slow"), {answer("late").usage(0, 80).after(20s)}};
  Provider shared = model | accept_if(length_between(3, 9), {.repair = 1}) | single_flight();
  ChatRequest request{"hello"};
  std::shared_ptr<VirtualCall> first;
  std::shared_ptr<VirtualCall> reserves;
};

}  // namespace

TEST_CASE("a shared send waits for nobody's money while one of those who share it can pay") {
  ShortOfMoney lab;
  Money spent = Money::usd(10);
  SECTION("who has joined before") {
    const auto second = lab.world.start(lab.shared | cost_cap(lab.free), lab.request);
    lab.world.run_for(2s);
    REQUIRE(second->done());
    CHECK(second->result());
    CHECK(lab.first->result());
  }
  SECTION("who comes while it waits") {
    lab.world.run_for(3s);
    CHECK(lab.model.send_count() == 1);
    const auto second = lab.world.start(lab.shared | cost_cap(lab.free), lab.request);
    lab.world.run_for(1s);
    REQUIRE(second->done());
    CHECK(second->result());
    CHECK(lab.first->result());
  }
  SECTION("who is left when the one that waits goes") {
    const auto second = lab.world.start(lab.shared | cost_cap({.per_request = Money::usd(60), .budgets = {lab.free}}), lab.request);
    lab.world.run_for(300ms);
    lab.first->cancel();
    lab.world.run_for(2s);
    REQUIRE(second->done());
    CHECK(second->result());
    spent = Money::usd(20);  // what was under way is its own, too
  }
  CHECK(to_string(lab.free.snapshot(lab.world.clock().now()).spent.cost) == to_string(spent));
  CHECK(lab.model.send_count() == 2);
  lab.world.run_all();
}

TEST_CASE("who is left when the one for whose money a shared send waits goes does not wait for it") {
  ShortOfMoney lab;
  const Budget other{{.per_period = Money::usd(130)}};
  const auto second = lab.world.start(lab.shared | cost_cap({.wait_for_reserved = 0s, .budgets = {other}}), lab.request);
  ChatRequest rest{"rest"};
  rest.max_output_tokens = 90;
  const auto reserves = lab.world.start(lab.slow | cost_cap(other), rest);
  lab.world.run_for(2s);
  CHECK_FALSE(second->done());
  lab.first->cancel();
  lab.world.run_for(100ms);
  CHECK(second->done());
  lab.world.run_all();
}

TEST_CASE("a shared send that waits for money does so when nobody else holds the budget any more") {
  VirtualRuntime world;
  auto budget = std::make_unique<Budget>(BudgetOptions{.per_period = Money::usd(130)});
  const ScriptedProvider model{ShortOfMoney::dollar("a"), {answer("no").usage(0, 10).after(1s), answer("yes").usage(0, 10)}};
  const ScriptedProvider slow{ShortOfMoney::dollar("slow"), {answer("late").usage(0, 80).after(20s)}};
  const Provider shared = model | accept_if(length_between(3, 9), {.repair = 1}) | single_flight();
  ChatRequest request{"hello"};
  request.max_output_tokens = 50;
  ChatRequest rest{"rest"};
  rest.max_output_tokens = 80;
  auto first = world.start(shared | cost_cap(*budget), request);
  world.run_for(500ms);
  auto reserves = world.start(slow | cost_cap(*budget), rest);
  world.run_for(1s);
  CHECK(model.send_count() == 1);
  const Budget tight{{.per_period = Money::usd(60)}};
  const auto blocks = world.start(slow | cost_cap(tight), request);
  const auto second = world.start(shared | retry() | cost_cap({.wait_for_reserved = 0s, .budgets = {tight}}), request);
  budget.reset();
  first->cancel();
  reserves->cancel();
  world.run_all();
  first.reset();
  reserves.reset();
  CHECK(second->done());
}

TEST_CASE("an answer that is there when the time of a shared call ends is its answer") {
  VirtualRuntime world;
  const ScriptedProvider silent{"a/m", {silence()}};
  FallbackOptions options;
  options.degrade = {degrade::canned("Sorry.")};
  options.recovery.max_wait = 0s;
  options.runtime = world.share();
  const FallbackClient client{{silent | timeout({.attempt = 60s})}, options};
  CallOptions call{.limits = {.deadline = 5s}};
  SECTION("alone") {}
  SECTION("shared") { call.around = single_flight(); }
  const auto reply = client.chat("hello", call);
  REQUIRE(reply);
  CHECK(reply->text() == "Sorry.");
  std::string text;
  for (const StreamEvent& event : client.stream("hello", call)) {
    if (event.type == StreamEvent::Type::text) text += event.delta;
  }
  CHECK(text == "Sorry.");
}

TEST_CASE("what was waited for before a shared send stands in its row") {
  const auto waits = [](bool shares) {
    VirtualRuntime world;
    const ScriptedProvider model{"a/m", {error(ErrorKind::overloaded), error(ErrorKind::overloaded), answer("yes")}};
    FallbackOptions options;
    options.runtime = world.share();
    const Provider once = model | retry({.max_attempts = 1});
    const auto reply = FallbackClient{{shares ? once | single_flight() : once}, options}.chat("hello");
    std::vector<Duration> waited;
    for (const Attempt& row : reply->attempts) waited.push_back(row.waited);
    return waited;
  };
  CHECK(waits(true) == waits(false));
  CHECK(waits(true).back() > 0s);
}

TEST_CASE("an answer from a cache, or of a shared send, that a floor refuses has a row that says so") {
  VirtualRuntime world;
  const ScriptedProvider model{"a/m", {answer("yes")}};
  bool refuses = false;
  const auto floor = accept_if(satisfies("right", [&](const Answer&) -> Objection {
    if (refuses) return "not this time";
    return std::nullopt;
  }));
  const Provider cached = model | cache({.any_temperature = true}) | floor;
  REQUIRE(world.call(cached, "hello"));
  refuses = true;
  const auto reply = world.call(cached, "hello");
  REQUIRE_FALSE(reply);
  REQUIRE(reply.error().attempts.size() == 1);
  CHECK(reply.error().attempts[0].outcome == ErrorKind::rejected_response);
  CHECK(reply.error().attempts[0].reason.find("answered from the cache") != std::string::npos);
}

TEST_CASE("who shares a send that none of them can pay is told what its own budget says") {
  ShortOfMoney lab;
  const ScriptedProvider breaks{ShortOfMoney::dollar("a"), {error(ErrorKind::server_error).after(1s), answer("yes")}};
  const Provider shared = breaks | intercept({.around = twice}) | single_flight();
  std::vector<Budget> budgets;
  std::vector<std::shared_ptr<VirtualCall>> calls;
  for (const int dollars : {130, 129}) {
    budgets.push_back(Budget{{.per_period = Money::usd(dollars)}});
    const Policy cap = cost_cap({.wait_for_reserved = 0s, .budgets = {budgets.back()}});
    calls.push_back(lab.world.start(shared | cap, lab.request));
  }
  ChatRequest rest{"rest"};
  rest.max_output_tokens = 80;
  lab.world.run_for(500ms);
  for (const Budget& budget : budgets) calls.push_back(lab.world.start(lab.slow | cost_cap(budget), rest));
  lab.world.run_for(550ms);  // between the two sends
  ChatRequest ten{"ten"};
  ten.max_output_tokens = 10;
  calls.push_back(lab.world.start(lab.slow | cost_cap(budgets.front()), ten));
  lab.world.run_for(1s);
  CHECK(breaks.send_count() == 1);
  for (const std::size_t index : {0U, 1U}) {
    REQUIRE(calls[index]->done());
    REQUIRE_FALSE(calls[index]->result());
    const Error& error = calls[index]->result().error();
    CHECK(error.kind == ErrorKind::budget_exceeded);
    CHECK(error.message.find(index == 0 ? "$130.00" : "$129.00") != std::string::npos);
  }
  lab.world.run_all();
}

TEST_CASE("a shared send is repeated for as long as one of those who share it has attempts left") {
  VirtualRuntime world;
  const ScriptedProvider model{ShortOfMoney::dollar("a"), {error(ErrorKind::overloaded).after(1s), answer("yes")}};
  const Provider shared = model | retry({.max_attempts = 3, .initial = 10ms, .max = 20ms}) | single_flight();
  const auto first = world.start(shared, "hello", {.max_attempts = 1});
  world.run_for(500ms);
  const auto second = world.start(shared, "hello", {.max_attempts = 5});
  world.run_all();
  CHECK(second->result());
  CHECK(model.send_count() == 2);
}

TEST_CASE("a cap with an assumed price counts what a shared send has cost before its rows are there") {
  const Price assumed{.input = Money{}, .output = Money::usd(1)};
  const auto sends = [&](bool shares) {
    VirtualRuntime world;
    const ScriptedProvider model{Target{"own", "m", ModelFacts{}}, {answer("bad").usage(0, 5)}};
    const Policy floor = accept_if(length_between(100, 200), {.repair = 5});
    const Provider inside = shares ? model | floor | single_flight() : model | floor;
    ChatRequest request{"hello"};
    request.max_output_tokens = 5;
    static_cast<void>(world.call(inside | cost_cap({.per_request = Money::usd(12), .assume_price = assumed}), request));
    return model.send_count();
  };
  CHECK(sends(false) == 2);
  CHECK(sends(true) == 2);
}

TEST_CASE("a call that is being served by a shared send is served on when it takes it over with no attempt left") {
  for (const MidStream policy : {MidStream::fail, MidStream::restart, MidStream::resume}) {
    for (const int attempts : {1, 2, 3}) {
      VirtualRuntime runtime;
      const ScriptedProvider slow{"a/m", {deltas({"a", "b"}, 10ms).after(4500ms).wait(3s).text("c").finish()}};
      const ScriptedProvider other{"b/m", {silence(), answer("another")}};
      FallbackOptions options;
      options.mid_stream = policy;
      options.hedge = HedgeOptions{.delay_without_samples = 200ms};
      options.recovery.max_wait = 0s;
      options.runtime = runtime.share();
      const Provider client = FallbackClient{{slow | single_flight(), other}, options};
      EventLog first{runtime.runtime()};
      EventLog second{runtime.runtime()};
      const auto leaves = runtime.start(client, "hello", {.max_attempts = 1, .sink = &first});
      runtime.run_for(2s);
      const auto stays = runtime.start(client, "hello", {.max_attempts = attempts, .sink = &second});
      runtime.at(5500ms, [&] { leaves->cancel(); });
      runtime.run_all();
      REQUIRE(stays->result().has_value());
      CHECK(stays->result()->text() == "abc");
      CHECK(second.text() == "abc");
    }
  }
}

TEST_CASE("a cap that has no room for a shared send in the middle of its answer breaks the stream off") {
  VirtualRuntime runtime;
  const Target dear = Lab::target();
  const ScriptedProvider slow{dear, {deltas({"a", "b"}, 10ms).after(1s).wait(3s).text("c").finish()}};
  const ScriptedProvider other{"b/m", {answer("another")}};
  const Provider shared = slow | single_flight();
  FallbackOptions options;
  options.recovery.max_wait = 0s;
  options.runtime = runtime.share();
  const Budget budget{{.per_period = Money::usd(190)}};
  const FallbackClient capped{{shared | cost_cap(budget), other}, options};
  ChatRequest request{"hello"};
  request.max_output_tokens = 100;
  const ScriptedProvider spends{Target{"c", "m", dear.facts()}, {GENERATE(false, true) ? answer("hi").usage(0, 100) : silence()}};
  runtime.at(1500ms, [&] { static_cast<void>(runtime.start(spends | cost_cap(budget), request)); });
  EventLog first{runtime.runtime()};
  EventLog second{runtime.runtime()};
  const auto leaves = runtime.start(shared, request, {.sink = &first});
  const auto stays = runtime.start(capped, request, {.sink = &second});
  runtime.at(2s, [&] { leaves->cancel(); });
  runtime.run(*stays);
  REQUIRE_FALSE(stays->result().has_value());
  CHECK(stays->result().error().kind == ErrorKind::stream_interrupted);
  CHECK(stays->result().error().partial_text == "ab");
  CHECK(other.send_count() == 0);
}

TEST_CASE("what a hold keeps back of a shared stream has not been delivered: another target may answer") {
  VirtualRuntime runtime;
  const ScriptedProvider first{"a/m", {deltas({"half "}).wait(100ms).cut()}};
  const ScriptedProvider second{"b/m", {answer("whole")}};
  const Provider shared = first | single_flight();
  FallbackOptions options;
  options.hold.emplace();
  const FallbackClient client{{shared, second}, options};
  EventLog open{runtime.runtime()};
  EventLog held{runtime.runtime()};
  const auto without_hold = runtime.start(shared, "hello", {.sink = &open});
  const auto with_hold = runtime.start(client, "hello", {.sink = &held});
  runtime.run_all();
  CHECK(first.send_count() == 1);
  CHECK(without_hold->result().error().committed);
  CHECK(open.text() == "half ");
  REQUIRE(with_hold->result());
  CHECK(held.text() == "whole");
  CHECK(held.count(StreamEvent::Type::restarted) == 0);
}

TEST_CASE("a shared send that its last call leaves ends for the reason of that call") {
  VirtualRuntime runtime;
  const ScriptedProvider slow{"a/m", {silence()}};
  const ScriptedProvider other{"b/m", {answer("B")}};
  const auto first_row = [&](bool shares, const HedgeOptions* hedge, const LimitOverrides& limits) {
    FallbackOptions options;
    if (hedge != nullptr) options.hedge = *hedge;
    options.recovery.max_wait = 0s;
    options.runtime = runtime.share();
    const FallbackClient client{{shares ? slow | single_flight() : Provider{slow}, other}, options};
    const auto reply = client.chat("hello", {.limits = limits});
    const Ledger& rows = reply ? reply->attempts : reply.error().attempts;
    for (const Attempt& row : rows) {
      if (row.sent && row.target == slow.target()) return std::pair{row.outcome, row.reason};
    }
    return std::pair{std::optional<ErrorKind>{}, std::string{"no row"}};
  };
  const HedgeOptions hedge;
  CHECK(first_row(true, nullptr, {.deadline = 20s}) == first_row(false, nullptr, {.deadline = 20s}));
  CHECK(first_row(true, nullptr, {.deadline = 20s}).first == ErrorKind::timeout);
  CHECK(first_row(true, &hedge, {}) == first_row(false, &hedge, {}));
  CHECK(first_row(true, &hedge, {}).second == "another attempt won");
}

TEST_CASE("who asks the same in a callback of a shared send, and waits, shares that send") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m", {stream({"a", "b"}, 1s)}};
  const Provider shared = model | single_flight();
  struct AsksStreamed final : StreamSink {
    AsksStreamed(const FallbackClient& what, EventLog& into) : client{&what}, log{&into} {}
    void on_event(const StreamEvent& event) noexcept override {
      if (event.type != StreamEvent::Type::text || ++pieces != 1) return;
      PendingCall call = client->start("hello", {.limits = {.deadline = 60s}, .sink = log});
      answered = call.wait().has_value();
    }
    const FallbackClient* client;
    EventLog* log;
    int pieces = 0;
    bool answered = false;
  };
  const FallbackClient client{{shared}, {.runtime = runtime.share()}};
  EventLog log{runtime.runtime()};
  AsksStreamed asks{client, log};
  PendingCall call = client.start("hello", {.sink = &asks});
  CHECK(call.wait());
  CHECK(asks.answered);
  CHECK(log.text() == "ab");
  CHECK(model.send_count() == 1);
}

TEST_CASE("who waits in a callback of a shared send for another of its calls waits for the answer") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m", {stream({"a", "b", "c"}, 100ms).after(50ms)}};
  const FallbackClient client{{model | single_flight()}, {.runtime = runtime.share()}};
  const CallOptions impatient{.limits = {.deadline = 5s}};
  bool acted = false;
  std::optional<PendingCall> other;
  std::optional<ChatStream> stream;
  const auto leader = [&](auto act) {
    return client.start("hello", {.on_event = [&acted, act](const StreamEvent& event) {
      if (event.type == StreamEvent::Type::text && !std::exchange(acted, true)) act();
    }});
  };
  SECTION("a call in the background") {
    PendingCall first = leader([&] { static_cast<void>(other->wait()); });
    other.emplace(client.start("hello", {.limits = impatient.limits, .on_event = [](const StreamEvent&) {}}));
    CHECK(first.wait());
    CHECK(other->done());
  }
  SECTION("a stream that is being waited for") {
    PendingCall first = leader([&] {
      while (stream->next() != nullptr) {
      }
    });
    stream.emplace(client.stream("hello", impatient));
    static_cast<void>(stream->next_for(500ms));
    CHECK(first.wait());
    CHECK(stream->ended());
  }
  SECTION("a stream, for so long") {
    PendingCall first = leader([&] {
      while (!stream->ended()) static_cast<void>(stream->next_for(200ms));
    });
    stream.emplace(client.stream("hello", impatient));
    while (!stream->ended()) static_cast<void>(stream->next_for(10ms));
    CHECK(first.wait());
  }
  SECTION("the callback of a call that joined") {
    std::optional<PendingCall> first;
    other.emplace(leader([&] { static_cast<void>(first->wait()); }));
    first.emplace(client.start("hello", {.on_event = [](const StreamEvent&) {}}));
    CHECK(other->wait());
    CHECK(first->done());
  }
  CHECK(acted);
  CHECK(runtime.elapsed() <= 1200ms);
  runtime.run_for(10s);
  CHECK(runtime.idle());
}

TEST_CASE("progress of a shared send is told neither within an event of the call that began it nor after its end") {
  VirtualRuntime world;
  const ScriptedProvider model{Lab::target(), {answer("yes").after(5ms)}};
  FallbackOptions options;
  options.runtime = world.share();
  const FallbackClient client{model | single_flight(), options};
  std::vector<StreamEvent::Type> told;
  bool within = false;
  bool nested = false;
  std::optional<PendingCall> first;
  first.emplace(client.start("hello", {.on_event = [&](const StreamEvent& event) {
    nested = nested || within;
    within = true;
    told.push_back(event.type);
    if (event.type == StreamEvent::Type::failed) static_cast<void>(client.chat("hello", {.on_event = [](const auto&) {}}));
    within = false;
  }}));
  world.run_for(1ms);
  const PendingCall second = client.start("hello", {.on_event = [](const StreamEvent&) {}});
  world.run_for(1ms);
  first->cancel();
  first.reset();
  world.run_for(1s);
  REQUIRE(second.done());
  CHECK_FALSE(nested);
  CHECK(told == std::vector{StreamEvent::Type::progress, StreamEvent::Type::failed});
  CHECK(model.send_count() == 1);
}

TEST_CASE("every send has one event, though several calls share it") {
  struct Counter final : Observer {
    void on_attempt(const AttemptEvent&) noexcept override { ++attempts; }
    void on_call(const CallEvent&) noexcept override { ++calls; }
    int attempts = 0;
    int calls = 0;
  };
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m", {slow_answer()}};
  FallbackOptions options;
  options.recovery.max_wait = 0s;
  options.runtime = runtime.share();
  const auto counter = std::make_shared<Counter>();
  options.observers = {counter};
  const Provider shared = model | single_flight();
  auto first = std::make_unique<FallbackClient>(std::vector<Provider>{shared}, options);
  const FallbackClient second{{shared}, options};
  auto leaves = std::make_unique<PendingCall>(first->start("hello"));
  PendingCall stays = second.start("hello");
  runtime.run_for(100ms);
  leaves->cancel();
  runtime.run_for(1ms);
  leaves.reset();  // the first call is gone, with the client and the observers that the send began with
  first.reset();
  runtime.run_for(2s);
  CHECK(stays.wait());
  CHECK(counter->attempts == 1);
  CHECK(counter->calls == 2);
}

TEST_CASE("calls on different runtimes never wait for each other", "[scenario-187]") {
  const ScriptedProvider model{"a/m", {slow_answer()}};
  const Provider shared = model | single_flight();
  std::vector<std::thread> threads;
  std::atomic<int> answered{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      VirtualRuntime runtime;
      for (int round = 0; round < 20; ++round) {
        const auto one = runtime.start(shared, "hello");
        const auto two = runtime.start(shared, "hello");
        runtime.run_all();
        answered += (one->result() ? 1 : 0) + (two->result() ? 1 : 0);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(answered == 160);
  CHECK(model.send_count() == 80);
}

TEST_CASE("threads that call one client share sends, come and go, and all get an answer or their own deadline",
          "[scenario-187][scenario-190]") {
  std::atomic<int> sends{0};
  struct Slow {
    static Task<Result<ChatResponse>> answer(const ChatRequest&, CallContext& context) {
      auto waited = co_await context.sleep(300us);
      if (!waited) co_return waited.error();
      ChatResponse response;
      response.parts.emplace_back(Text{"hi"});
      co_return response;
    }
  };
  FallbackOptions options;
  options.runtime = std::make_shared<Runtime>(RuntimeOptions{});
  const Provider slow = make_provider("local/slow", [&](const ChatRequest& request, CallContext& context) {
    ++sends;
    return Slow::answer(request, context);
  });
  const FallbackClient client{{slow | single_flight()}, options};
  std::atomic<int> answered{0};
  std::atomic<int> late{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 6; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 50; ++i) {
        const bool hasty = (i + thread) % 3 == 0;
        const auto reply = client.chat("hello", {.limits = {.deadline = hasty ? Duration{150us} : Duration{1min}}});
        if (reply) {
          ++answered;
        } else if (hasty && reply.error().kind == ErrorKind::deadline_exceeded) {
          ++late;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(answered + late == 300);
  CHECK(answered >= 200);
  CHECK(sends <= 300);
}

TEST_CASE("a provider of one's own that throws has a row, also behind a shared flight") {
  class Throws final : public ChatProvider {
   public:
    [[nodiscard]] const Target& target() const noexcept override { return target_; }
    [[nodiscard]] std::string describe() const override { return target_.name(); }
    Task<Result<ChatResponse>> call(const ChatRequest&, CallContext& context) const override {
      auto pause = context.sleep(1s);
      const auto slept = co_await pause;
      throw std::runtime_error{slept ? "not today" : "stopped"};
    }

   private:
    Target target_{"own", "throws", ModelFacts{}};
  };
  VirtualRuntime world;
  FallbackOptions options;
  options.runtime = world.share();
  const ScriptedProvider next{"local/next"};
  const FallbackClient client{{Provider{std::make_shared<Throws>()} | single_flight(), next}, options};
  const auto reply = client.chat("hello");
  REQUIRE(reply);
  REQUIRE(reply->attempts.size() == 2);
  CHECK(reply->attempts[0].target.name() == "own/throws");
  CHECK(reply->attempts[0].outcome == ErrorKind::server_error);
  CHECK(reply->attempts[0].reason.find("not today") != std::string::npos);
}

TEST_CASE("a shared flight describes itself and refuses what cannot be") {
  CHECK((ScriptedProvider{"a/m"} | single_flight()).describe() == "a/m | single_flight");
  CHECK(single_flight({.deterministic_only = true}).describe() == "single_flight(deterministic_only = true)");
  CHECK_THROWS_AS(single_flight({.max_replay_bytes = 0}), std::invalid_argument);
}

TEST_CASE("a client shares a send though what stands inside has no room for another") {
  VirtualRuntime runtime;
  ScriptedProvider model{Target{"a", "m"}, {answer("hi").after(5s)}};
  ScriptedProvider other{Target{"b", "m"}, {answer("dear")}};
  FallbackOptions options;
  options.runtime = runtime.share();
  options.recovery.max_wait = 0s;
  const Policy full = GENERATE(bulkhead({.max_in_flight = 1}), rate_limit({.requests_per_minute = 1, .max_wait = 0s}));
  const FallbackClient client{{model | full | single_flight(), other}, options};
  PendingCall first = client.start("hello");
  runtime.run_for(1s);
  PendingCall second = client.start("hello");
  PendingCall different = client.start("good morning");
  CHECK(first.wait()->text() == "hi");
  CHECK(second.wait()->text() == "hi");
  CHECK(second.wait()->attempts.size() == 1);
  CHECK(different.wait()->text() == "dear");
  CHECK(model.sends().size() == 1);
  CHECK(other.sends().size() == 1);
}

TEST_CASE("a call of another kind than the send under way goes on where there is no room for it") {
  VirtualRuntime runtime;
  ScriptedProvider model{Target{"a", "m"}, {answer("hi").after(5s)}};
  ScriptedProvider other{Target{"b", "m"}, {stream({"dear"})}};
  FallbackOptions options;
  options.runtime = runtime.share();
  options.recovery.max_wait = 0s;
  const FallbackClient client{{model | bulkhead({.max_in_flight = 1}) | single_flight(), other}, options};
  PendingCall first = client.start("hello");
  runtime.run_for(1s);
  ChatStream second = client.stream("hello");
  CHECK(second.result()->text() == "dear");
  CHECK(first.wait()->text() == "hi");
  CHECK(model.sends().size() == 1);
}

}  // namespace single_flight_test
