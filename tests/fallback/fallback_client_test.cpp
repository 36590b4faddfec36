#include "backstop/fallback_client.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <memory>

#include "backstop/policies/bulkhead.hpp"
#include "backstop/policies/circuit_breaker.hpp"
#include "backstop/policies/rate_limit.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/policies/timeout.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"
#include "state/cooldown.hpp"

namespace fallback_client_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

template <class... Providers>
FallbackClient client_of(VirtualRuntime& world, FallbackOptions options, const Providers&... providers) {
  options.recovery.max_wait = 0s;
  options.runtime = world.share();
  std::vector<Provider> list{Provider{providers}...};
  return FallbackClient{std::move(list), std::move(options)};
}

Target window(std::string_view name, std::int64_t tokens) {
  const Target target = Target::parse(name);
  ModelFacts facts;
  facts.context_window = tokens;
  return Target{target.provider(), target.model(), facts};
}

std::vector<std::string> names(const Ledger& ledger) {
  std::vector<std::string> list;
  for (const Attempt& attempt : ledger) list.push_back(attempt.target.name());
  return list;
}

}  // namespace

TEST_CASE("the second target answers when the first one fails", "[scenario-147]") {
  VirtualRuntime world;
  ScriptedProvider first{"one/a", {error(ErrorKind::server_error)}};
  ScriptedProvider second{"two/b", {answer("from two")}};
  const FallbackClient client = client_of(world, {}, first, second);

  const auto reply = client.chat("hello");

  REQUIRE(reply);
  CHECK(reply->text() == "from two");
  CHECK(reply->served_by.name() == "two/b");
  CHECK(reply->fallback);
  REQUIRE(reply->attempts.size() == 2);
  CHECK(reply->attempts[0].outcome == ErrorKind::server_error);
  CHECK(reply->attempts[0].http_status == 500);
  CHECK_FALSE(reply->attempts[1].outcome);
  CHECK(world.idle());
}

TEST_CASE("the first target's answer is not a fallback") {
  VirtualRuntime world;
  ScriptedProvider first{"one/a"};
  ScriptedProvider second{"two/b"};
  const auto reply = client_of(world, {}, first, second).chat("hello");
  REQUIRE(reply);
  CHECK_FALSE(reply->fallback);
  CHECK(second.send_count() == 0);
}

TEST_CASE("a request that would fail everywhere is not sent elsewhere", "[scenario-148]") {
  VirtualRuntime world;
  ScriptedProvider first{"one/a", {error(ErrorKind::invalid_request)}};
  ScriptedProvider second{"two/b"};
  const auto reply = client_of(world, {}, first, second).chat("hello");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::invalid_request);
  CHECK(reply.error().http_status == 400);
  CHECK(second.send_count() == 0);
}

TEST_CASE("a conversation too long for one target goes to one with a larger window", "[scenario-149]") {
  VirtualRuntime world;
  ScriptedProvider first{window("one/a", 8000), {error(ErrorKind::context_window_exceeded)}};
  ScriptedProvider smaller{window("two/b", 4000)};
  ScriptedProvider larger{window("three/c", 100'000), {answer("fits")}};
  const auto reply = client_of(world, {}, first, smaller, larger).chat("hello");
  REQUIRE(reply);
  CHECK(reply->served_by.name() == "three/c");
  CHECK(smaller.send_count() == 0);
  REQUIRE(reply->attempts.size() == 3);
  CHECK(reply->attempts[1].outcome == ErrorKind::context_window_exceeded);
  CHECK_FALSE(reply->attempts[1].sent);
}

TEST_CASE("a refused key sends the next calls past the target for five minutes", "[scenario-150]") {
  VirtualRuntime world;
  ScriptedProvider first{"one/a", {error(ErrorKind::authentication), answer("back")}};
  ScriptedProvider second{"two/b"};
  const FallbackClient client = client_of(world, {}, first, second);
  REQUIRE(client.chat("1"));
  CHECK(first.send_count() == 1);
  world.run_for(299s);
  REQUIRE(client.chat("2"));
  CHECK(first.send_count() == 1);
  world.run_for(1s);
  const auto reply = client.chat("3");
  REQUIRE(reply);
  CHECK(reply->text() == "back");
}

TEST_CASE("another provider's filter is asked only where the application wants it", "[scenario-151]") {
  for (const bool wanted : {false, true}) {
    VirtualRuntime world;
    ScriptedProvider first{"one/a", {error(ErrorKind::content_filtered)}};
    ScriptedProvider second{"two/b"};
    FallbackOptions options;
    options.fall_back_on_content_filter = wanted;
    const auto reply = client_of(world, options, first, second).chat("hello");
    CHECK(reply.has_value() == wanted);
    CHECK(second.send_count() == (wanted ? 1 : 0));
  }
}

TEST_CASE("an open breaker is passed over without a send and without a delay", "[scenario-152]") {
  VirtualRuntime world;
  ScriptedProvider first{"one/a", {error(ErrorKind::server_error)}};
  ScriptedProvider second{"two/b"};
  const FallbackClient client =
      client_of(world, {}, Provider{first} | circuit_breaker({.consecutive_failures = 1}), second);
  REQUIRE(client.chat("opens it"));
  const Duration before = world.elapsed();
  const auto reply = client.chat("hello");
  REQUIRE(reply);
  CHECK(world.elapsed() == before);
  CHECK(first.send_count() == 1);
  REQUIRE(reply->attempts.size() == 2);
  CHECK(reply->attempts[0].outcome == ErrorKind::circuit_open);
  CHECK_FALSE(reply->attempts[0].sent);
}

TEST_CASE("a target that has left the call to another takes it after all when that one fails") {
  VirtualRuntime world;
  ScriptedProvider first{"one/a", {answer("from one")}};
  SECTION("its breaker lets it recover step by step") {
    CircuitBreakerOptions options{.consecutive_failures = 1, .open_for = 1s, .successes_to_close = 1};
    options.ramp = 1h;
    ScriptedProvider recovered{"one/a", {error(ErrorKind::server_error), answer("from one")}};
    ScriptedProvider second{"two/b", {error(ErrorKind::server_error)}};
    const Provider guarded = Provider{recovered} | circuit_breaker(options);
    CHECK_FALSE(world.call(guarded, "opens"));
    world.run_for(2s);
    REQUIRE(world.call(guarded, "closes"));
    const FallbackClient client = client_of(world, {}, guarded, second);
    for (int i = 0; i < 20; ++i) {  // nine of ten are left to the second
      const auto reply = world.call(client, "hello");
      REQUIRE(reply);
      CHECK(reply->served_by.name() == "one/a");
      CHECK_FALSE(reply->fallback);
    }
    CHECK(second.send_count() > 10);
  }
  SECTION("its rate limit makes calls wait") {
    ScriptedProvider second{"two/b", {error(ErrorKind::server_error)}};
    const Provider limited = Provider{first} | rate_limit({.requests_per_minute = 12, .burst = 1});
    const FallbackClient client = client_of(world, {}, limited, second);
    REQUIRE(world.call(client, "takes the burst"));
    const TimePoint start = world.clock().now();
    const auto reply = world.call(client, "hello");
    REQUIRE(reply);
    CHECK(reply->served_by.name() == "one/a");
    CHECK(world.clock().now() == start + 5s);
    CHECK(names(reply->attempts) == std::vector<std::string>{"one/a", "two/b", "one/a"});
  }
  SECTION("it has no place at the moment") {
    ScriptedProvider slow{"one/a", {answer("from one").after(3s)}};
    ScriptedProvider second{"two/b", {error(ErrorKind::server_error)}};
    const Provider narrow = Provider{slow} | bulkhead({.max_in_flight = 1, .max_queued = 1});
    const FallbackClient client = client_of(world, {}, narrow, second);
    const auto one = world.start(client, "takes the place");
    const auto other = world.start(client, "hello");
    world.run_all();
    CHECK(one->result());
    REQUIRE(other->result());
    CHECK(other->ended_at() == other->started_at() + 6s);
  }
  SECTION("not when the call has no sends left") {
    ScriptedProvider second{"two/b", {error(ErrorKind::server_error)}};
    const Provider limited = Provider{first} | rate_limit({.requests_per_minute = 12, .burst = 1});
    const FallbackClient client = client_of(world, {}, limited, second);
    REQUIRE(world.call(client, "takes the burst"));
    const auto reply = world.call(client, "hello", {.max_attempts = 1});
    REQUIRE_FALSE(reply);
    CHECK(reply.error().kind == ErrorKind::server_error);
    CHECK(first.send_count() == 1);
  }
  CHECK(world.idle());
}

TEST_CASE("a stream that fails after content is not sent elsewhere", "[scenario-154][scenario-205]") {
  VirtualRuntime world;
  ScriptedProvider first{"one/a", {deltas({"Hel", "lo"}).cut()}};
  ScriptedProvider second{"two/b"};
  const FallbackClient client = client_of(world, {}, first, second);
  EventLog log{world.runtime()};
  const auto reply = world.call(client, "hello", {.sink = &log});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::stream_interrupted);
  CHECK(reply.error().committed);
  CHECK(reply.error().partial_text == "Hello");
  CHECK(second.send_count() == 0);
  CHECK(log.text() == "Hello");
  CHECK(log.count(StreamEvent::Type::failed) == 1);
  CHECK(log.count(StreamEvent::Type::finished) == 0);
}

TEST_CASE("a stream that fails before content is replaced unseen", "[scenario-155][scenario-203]") {
  VirtualRuntime world;
  ScriptedProvider first{"one/a", {deltas({}).ping().fail(ErrorKind::overloaded)}};
  ScriptedProvider second{"two/b", {stream({"all ", "good"})}};
  const FallbackClient client = client_of(world, {}, first, second);
  EventLog log{world.runtime()};
  const auto reply = world.call(client, "hello", {.sink = &log});
  REQUIRE(reply);
  CHECK(log.text() == "all good");
  CHECK(log.count(StreamEvent::Type::restarted) == 0);
  CHECK(log.count(StreamEvent::Type::finished) == 1);
  CHECK(log.events().back().type == StreamEvent::Type::finished);
}

TEST_CASE("with restart the consumer is told, then gets the next answer from its beginning", "[scenario-206]") {
  VirtualRuntime world;
  ScriptedProvider first{"one/a", {deltas({"Hel"}).cut()}};
  ScriptedProvider second{"two/b", {stream({"Good ", "day"})}};
  FallbackOptions options;
  options.mid_stream = MidStream::restart;
  const FallbackClient client = client_of(world, options, first, second);
  EventLog log{world.runtime()};
  const auto reply = world.call(client, "hello", {.sink = &log});
  REQUIRE(reply);
  CHECK(reply->text() == "Good day");
  REQUIRE(log.events().size() == 5);
  CHECK(log.events()[0].delta == "Hel");
  CHECK(log.events()[1].type == StreamEvent::Type::restarted);
  CHECK(log.events()[1].target.name() == "two/b");
  CHECK(log.text() == "Good day");
  CHECK(log.events()[4].type == StreamEvent::Type::finished);
}

TEST_CASE("after a complete tool call nothing is replayed, restart or not") {
  VirtualRuntime world;
  ScriptedProvider first{"one/a", {deltas({"x"}).tool_call("f", "{}").cut()}};
  ScriptedProvider second{"two/b"};
  FallbackOptions options;
  options.mid_stream = MidStream::restart;
  const FallbackClient client = client_of(world, options, first, second);
  EventLog log{world.runtime()};
  const auto reply = world.call(client, "hello", {.sink = &log});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().committed);
  CHECK(second.send_count() == 0);
}

TEST_CASE("when all fail the ledger has every attempt and the error is a real one", "[scenario-156]") {
  VirtualRuntime world;
  ScriptedProvider cooling{"zero/z", {error(ErrorKind::rate_limited, {.retry_after = 60s})}};
  ScriptedProvider first{"one/a", {error(ErrorKind::server_error)}};
  ScriptedProvider second{"two/b", {error(ErrorKind::overloaded)}};
  const FallbackClient client = client_of(world, {}, first, second, cooling);
  CHECK_FALSE(client.chat("sets the cooldown"));
  world.run_for(1s);
  const auto reply = client.chat("hello");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::overloaded);
  CHECK(names(reply.error().attempts) == std::vector<std::string>{"one/a", "two/b", "zero/z"});
  CHECK(reply.error().attempts[2].outcome == ErrorKind::local_limit);
}

TEST_CASE("cancelling while the second target runs never reaches the third", "[scenario-157]") {
  VirtualRuntime world;
  ScriptedProvider first{"one/a", {error(ErrorKind::server_error)}};
  ScriptedProvider second{"two/b", {silence()}};
  ScriptedProvider third{"three/c"};
  const FallbackClient client = client_of(world, {}, first, second, third);
  auto call = world.start(client, "hello");
  world.at(5s, [&] { call->cancel(); });
  world.run_all();
  REQUIRE_FALSE(call->result());
  CHECK(call->result().error().kind == ErrorKind::cancelled);
  CHECK(world.since(call->ended_at()) == 5s);
  CHECK(call->completions() == 1);
  CHECK(third.send_count() == 0);
  CHECK(world.idle());
}

TEST_CASE("traffic returns to the primary after its half-open probes, not before", "[scenario-158]") {
  VirtualRuntime world;
  ScriptedProvider first{"one/a", {error(ErrorKind::server_error), answer("well again")}};
  ScriptedProvider second{"two/b"};
  const FallbackClient client =
      client_of(world, {}, Provider{first} | circuit_breaker({.consecutive_failures = 1, .open_for = 30s}), second);
  REQUIRE(client.chat("1"));
  world.run_for(29s);
  CHECK(client.chat("2")->served_by.name() == "two/b");
  world.run_for(8s);
  CHECK(client.chat("3")->served_by.name() == "one/a");
  CHECK(client.chat("4")->served_by.name() == "one/a");
}

TEST_CASE("a timeout around a client limits each of its attempts") {
  VirtualRuntime world;
  const ScriptedProvider first{"one/a", {silence()}};
  const ScriptedProvider second{"two/b", {answer("from two").after(4s)}};
  const FallbackClient client = client_of(world, {}, first, second);
  const auto reply = world.call(client | timeout(7s), "hello");
  REQUIRE(reply);
  CHECK(reply->text() == "from two");
  CHECK(reply->attempts[0].outcome == ErrorKind::timeout);
  CHECK(reply->attempts[0].elapsed == 7s);
  CHECK(world.elapsed() == 11s);
}

TEST_CASE("the same target twice is refused when the client is made", "[scenario-159]") {
  ScriptedProvider one{"one/a"};
  CHECK_THROWS_AS((FallbackClient{one, one}), std::invalid_argument);
  CHECK_THROWS_AS(FallbackClient{std::vector<Provider>{}}, std::invalid_argument);
}

TEST_CASE("a later change of the list leaves a running call alone", "[scenario-160]") {
  VirtualRuntime world;
  ScriptedProvider first{"one/a", {error(ErrorKind::server_error).after(1s)}};
  ScriptedProvider second{"two/b"};
  ScriptedProvider other{"three/c"};
  FallbackClient client = client_of(world, {}, first, second);
  auto call = world.start(client, "hello");
  world.run_for(500ms);
  client = client_of(world, {}, other);
  world.run_all();
  REQUIRE(call->result());
  CHECK(call->result()->served_by.name() == "two/b");
}

TEST_CASE("a long hint moves on at once and cools the target down", "[scenario-40][scenario-43][scenario-44]") {
  VirtualRuntime world;
  ScriptedProvider first{"one/a", {error(ErrorKind::rate_limited, {.retry_after = 30s}), answer("again")}};
  ScriptedProvider second{"two/b"};
  const FallbackClient client = client_of(world, {}, Provider{first} | retry(), second);
  const auto reply = client.chat("A");
  REQUIRE(reply);
  CHECK(world.elapsed() == 0s);
  CHECK(reply->served_by.name() == "two/b");
  CHECK(client.chat("B")->served_by.name() == "two/b");
  CHECK(first.send_count() == 1);
  world.run_for(30s - 1ns);
  CHECK(client.chat("C")->served_by.name() == "two/b");
  world.run_for(1ns);
  CHECK(client.chat("D")->served_by.name() == "one/a");
}

TEST_CASE("a later, shorter hint never shortens a cooldown", "[scenario-45]") {
  Cooldown cooldown;
  const TimePoint start{1h};
  Error error{ErrorKind::rate_limited, "slow down"};
  error.retry_after = 10s;
  cooldown.note(error, start, 10min);
  error.retry_after = 5s;
  cooldown.note(error, start + 1s, 10min);
  REQUIRE(cooldown.active(start + 9s));
  CHECK(cooldown.active(start + 9s)->until == start + 10s);
  CHECK_FALSE(cooldown.active(start + 10s));
}

TEST_CASE("an exhausted quota cools down for 5 minutes, doubling up to an hour") {
  Cooldown cooldown;
  const Error error{ErrorKind::quota_exhausted, "no credit"};
  TimePoint now{1h};
  for (const auto minutes : {5min, 10min, 20min, 40min, 60min, 60min}) {
    cooldown.note(error, now, 10min);
    REQUIRE(cooldown.active(now));
    CHECK(cooldown.active(now)->until == now + minutes);
    now += minutes;
  }
}

TEST_CASE("a hint after the stream committed cools the target down and retries nothing", "[scenario-48]") {
  VirtualRuntime world;
  ScriptedProvider first{"one/a", {deltas({"Hel"}).fail(ErrorKind::rate_limited, {.retry_after = 30s})}};
  ScriptedProvider second{"two/b"};
  const FallbackClient client = client_of(world, {}, Provider{first} | retry(), second);
  EventLog log{world.runtime()};
  REQUIRE_FALSE(world.call(client, "hello", {.sink = &log}));
  CHECK(first.send_count() == 1);
  CHECK(second.send_count() == 0);
  CHECK(client.chat("next")->served_by.name() == "two/b");
  CHECK(first.send_count() == 1);
}

TEST_CASE("a silent target is left in time for the next one") {
  VirtualRuntime world;
  ScriptedProvider first{"one/a", {silence()}};
  ScriptedProvider second{"two/b"};
  FallbackOptions options;
  options.limits.deadline = 60s;
  const auto reply = client_of(world, options, first, second).chat("hello");
  REQUIRE(reply);
  CHECK(world.elapsed() == 50s);
  CHECK(reply->attempts[0].outcome == ErrorKind::timeout);
}

TEST_CASE("with little time left half of it is kept for the next target") {
  VirtualRuntime world;
  ScriptedProvider first{"one/a", {silence()}};
  ScriptedProvider second{"two/b", {silence()}};
  FallbackOptions options;
  options.limits.deadline = 4s;
  const auto reply = client_of(world, options, first, second).chat("hello");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::deadline_exceeded);
  CHECK(world.elapsed() == 4s);
  CHECK(second.sends().at(0).at - first.sends().at(0).at == 2s);
}

TEST_CASE("no time is kept for targets that no send is left for") {
  VirtualRuntime world;
  ScriptedProvider first{"one/a", {answer("A").after(11s)}};
  ScriptedProvider second{"two/b"};
  ScriptedProvider third{"three/c"};
  const FallbackClient client = client_of(world, {}, first, second, third);
  const auto alone = client.chat("hello", {.limits = {.deadline = 12s, .max_attempts = 1}});
  REQUIRE(alone);
  CHECK(alone->text() == "A");
  const auto with_one_more = client.chat("hello", {.limits = {.deadline = 25s, .max_attempts = 2}});
  REQUIRE(with_one_more);
  CHECK(with_one_more->text() == "A");  // ten seconds are kept, not twenty
}

TEST_CASE("a deadline that has passed sends nothing", "[scenario-59]") {
  VirtualRuntime world;
  ScriptedProvider only{"one/a"};
  const FallbackClient client = client_of(world, {}, only);
  const auto reply = client.chat("hello", {.limits = {.deadline = 0s}});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::deadline_exceeded);
  CHECK(only.send_count() == 0);
  CHECK(reply.error().attempts.empty());
}

TEST_CASE("the number of sends is one for the whole call", "[scenario-13]") {
  VirtualRuntime world;
  std::vector<Provider> targets;
  std::vector<ScriptedProvider> scripts;
  for (const char* name : {"one/a", "two/b", "three/c"}) {
    scripts.emplace_back(name, std::vector<Step>{error(ErrorKind::server_error)});
    targets.push_back(Provider{scripts.back()} | retry({.max_attempts = 3, .max_attempts_with_fallback = 3}));
  }
  FallbackOptions options;
  options.recovery.max_wait = 0s;
  options.runtime = world.share();
  const auto reply = FallbackClient{targets, options}.chat("hello");
  REQUIRE_FALSE(reply);
  std::size_t sends = 0;
  for (const ScriptedProvider& script : scripts) sends += script.send_count();
  CHECK(sends == 5);
  CHECK(reply.error().kind == ErrorKind::server_error);
}

TEST_CASE("a dead or overloaded target is not waited for while another is ready") {
  for (const ErrorKind kind : {ErrorKind::connect_failed, ErrorKind::overloaded, ErrorKind::rate_limited}) {
    VirtualRuntime world;
    ScriptedProvider first{"one/a", {error(kind)}};
    ScriptedProvider second{"two/b", {error(ErrorKind::server_error), answer("at once")}};
    FallbackOptions options;
    options.recovery.max_wait = 0s;
    options.runtime = world.share();
    const FallbackClient client{{Provider{first} | retry(), Provider{second} | retry()}, options};
    const auto reply = client.chat("hello");
    REQUIRE(reply);
    CHECK(first.send_count() == 1);
    CHECK(second.sends().at(0).at == first.sends().at(0).at);
    CHECK(second.send_count() == 2);  // alone by then, and worth a retry
  }
}

TEST_CASE("retries leave a send for every target still to come") {
  VirtualRuntime world;
  std::vector<Provider> targets;
  std::vector<ScriptedProvider> scripts;
  for (const char* name : {"one/a", "two/b", "three/c", "four/d", "five/e"}) {
    scripts.emplace_back(name, std::vector<Step>{error(ErrorKind::server_error)});
    targets.push_back(Provider{scripts.back()} | retry());
  }
  FallbackOptions options;
  options.recovery.max_wait = 0s;
  options.runtime = world.share();
  const auto reply = FallbackClient{targets, options}.chat("hello");
  REQUIRE_FALSE(reply);
  for (const ScriptedProvider& script : scripts) CHECK(script.send_count() == 1);
}

TEST_CASE("a fallback of fallbacks is ordinary code") {
  VirtualRuntime world;
  ScriptedProvider a{"one/a", {error(ErrorKind::server_error)}};
  ScriptedProvider b{"two/b", {error(ErrorKind::server_error)}};
  ScriptedProvider c{"three/c", {answer("at last")}};
  const FallbackClient inner = client_of(world, {}, a, b);
  const FallbackClient outer = client_of(world, {}, inner, c);
  const auto reply = outer.chat("hello");
  REQUIRE(reply);
  CHECK(reply->served_by.name() == "three/c");
  CHECK(reply->attempts.size() == 3);
  CHECK(outer.describe() == "fallback(fallback(one/a, two/b), three/c)");
}

TEST_CASE("explain says what would happen and sends nothing") {
  VirtualRuntime world;
  ScriptedProvider first{window("one/a", 10)};
  ScriptedProvider second{"two/b"};
  const FallbackClient client = client_of(world, {}, first, second);
  const Plan plan = client.explain(std::string(10'000, 'x'));
  REQUIRE(plan.steps.size() == 2);
  CHECK(plan.steps[0].skipped->kind == ErrorKind::context_window_exceeded);
  CHECK_FALSE(plan.steps[1].skipped);
  CHECK(plan.estimated_input_tokens == 2500);
  CHECK(plan.max_attempts == 5);
  CHECK(first.send_count() + second.send_count() == 0);
}

TEST_CASE("observers see one event per send and one per call", "[scenario-215]") {
  struct Counter final : Observer {
    void on_attempt(const AttemptEvent& event) noexcept override {
      ++attempts;
      last = event.attempt.outcome;
    }
    void on_call(const CallEvent& event) noexcept override {
      ++calls;
      first_choice = event.first_choice.name();
    }
    int attempts = 0;
    int calls = 0;
    std::optional<ErrorKind> last;
    std::string first_choice;
  };
  VirtualRuntime world;
  const auto counter = std::make_shared<Counter>();
  ScriptedProvider first{"one/a", {error(ErrorKind::server_error)}};
  ScriptedProvider second{"two/b"};
  FallbackOptions options;
  options.observers = {counter};
  REQUIRE(client_of(world, options, first, second).chat("hello"));
  CHECK(counter->attempts == 2);
  CHECK(counter->calls == 1);
  CHECK_FALSE(counter->last);
  CHECK(counter->first_choice == "one/a");
}

}  // namespace fallback_client_test
