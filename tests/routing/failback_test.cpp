#include <catch2/catch_test_macros.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "backstop/policies/circuit_breaker.hpp"
#include "backstop/policies/retry.hpp"
#include "routing/pool.hpp"

namespace failback_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

struct Lab {
  explicit Lab(FailbackOptions options = {}, std::vector<Step> steps = {answer("well")})
      : a{"x/a", std::move(steps)}, client{pool_of(world, ordered(options), {a | circuit_breaker(breaker), b, c})} {
    world.run_for(1h);
  }
  [[nodiscard]] std::string next() { return answered_by(client); }
  void outage() {
    breaker->isolate();
    CHECK(next() == "b");
    breaker->force_close();
  }

  VirtualRuntime world;
  std::shared_ptr<CircuitBreaker> breaker = CircuitBreaker::create();
  ScriptedProvider a;
  ScriptedProvider b{"x/b"};
  ScriptedProvider c{"x/c"};
  FallbackClient client;
};

}  // namespace

TEST_CASE("after an outage a later target keeps the calls for a while") {
  Lab lab;
  CHECK(lab.next() == "a");
  lab.outage();
  const auto reply = lab.client.chat("hello");
  REQUIRE(reply);
  CHECK(reply->served_by.model() == "b");
  CHECK_FALSE(reply->fallback);
  CHECK(*reply->attempts[0].chosen_by == "ordered");
  lab.world.run_for(59s);
  CHECK(plan_of(lab.client).starts_with("b"));
  CHECK(lab.next() == "b");
  lab.world.run_for(1s);
  CHECK(plan_of(lab.client).starts_with("a"));
  CHECK(answers(lab.client, 3) == "a a a");
}

TEST_CASE("one call at a time finds out whether an earlier target is back, and needs successes in a row") {
  Lab lab{{.min_dwell = 10s, .successes = 3},
          {answer("slow").after(5s), answer("well"), error(ErrorKind::server_error), answer("well").after(1s)}};
  lab.outage();
  lab.world.run_for(10s);
  const auto trial = lab.world.start(lab.client, "hello");
  lab.world.run_for(1s);
  CHECK(answers(lab.client, 5) == "b b b b b");
  lab.world.run(*trial);
  CHECK(trial->result()->served_by.model() == "a");
  CHECK(lab.next() == "a");
  CHECK(lab.next() == "b");  // the third was not answered there
  const auto calls = [&] {
    const auto two = lab.world.start(lab.client, "hello");
    const auto other = lab.world.start(lab.client, "hello");
    lab.world.run_all();
    return std::string{two->result()->served_by.model()} + std::string{other->result()->served_by.model()};
  };
  lab.world.run_for(10min);
  CHECK(calls() == "ab");
  CHECK(calls() == "ab");
  CHECK(calls() == "ab");
  CHECK(calls() == "aa");
}

TEST_CASE("an earlier target gets its trial though another client keeps it busy") {
  Lab lab{{.min_dwell = 10s}, {answer("slow").after(1h), answer("well")}};
  lab.outage();
  const FallbackClient another = pool_of(lab.world, ordered(), {lab.a});
  const auto busy = lab.world.start(another, "hello");
  lab.world.run_for(10s);
  CHECK(answers(lab.client, 3) == "a a a");
  CHECK_FALSE(busy->done());
}

TEST_CASE("a trial lasts while its retry waits, and ends when its call is answered elsewhere") {
  VirtualRuntime world;
  world.run_for(1h);
  const auto breaker = CircuitBreaker::create();
  const ScriptedProvider a{"x/a", {error(ErrorKind::server_error), answer("well")}};
  const ScriptedProvider b{"x/b"};
  const RetryOptions slow{.initial = 1s, .max = 1s, .should_retry = [](const RetryQuestion&) { return true; }};
  const FallbackClient client =
      pool_of(world, ordered({.min_dwell = 10s, .successes = 1}), {a | retry(slow) | circuit_breaker(breaker), b});
  breaker->isolate();
  CHECK(answered_by(client) == "b");
  breaker->force_close();
  world.run_for(10s);
  const auto trial = world.start(client, "hello");
  world.run_for(1ms);
  REQUIRE(a.send_count() == 1);
  CHECK(answers(client, 3) == "b b b");
  CHECK(a.send_count() == 1);
  world.run(*trial);
  CHECK(trial->result()->served_by.model() == "a");
  CHECK(answered_by(client) == "a");
}

TEST_CASE("what an earlier target cannot do moves nothing") {
  VirtualRuntime world;
  world.run_for(1h);
  ModelFacts blind;
  blind.capabilities.vision = false;
  const FallbackClient client = pool_of(world, ordered(FailbackOptions{}),
                                        {ScriptedProvider{Target{"x", "a", blind}, {answer("a")}}, ScriptedProvider{"x/b"}});
  ChatRequest picture{"what is this?"};
  picture.messages[0].parts.emplace_back(Image{.url = "http://127.0.0.1/cat.png"});
  CHECK(answered_by(client, picture) == "b");
  CHECK(answered_by(client) == "a");
}

TEST_CASE("a later target that answers because the first failed keeps the calls") {
  Lab lab{{}, {answer("well"), error(ErrorKind::server_error), answer("well")}};
  CHECK(lab.next() == "a");
  CHECK(lab.next() == "b");  // within the call that failed
  for (int i = 0; i < 12; ++i) {
    CHECK(lab.next() == "b");
    lab.world.run_for(5s - 1ms);
  }
  lab.world.run_for(1s);
  CHECK(answers(lab.client, 4) == "a a a a");
}

TEST_CASE("what was only wrong with the request lets nobody take over") {
  Lab lab{{}, {error(ErrorKind::context_window_exceeded), answer("well")}};
  CHECK(lab.next() != "a");
  CHECK(lab.next() == "a");
}

TEST_CASE("a target that recovers from failing often gets trial calls, and then all of them") {
  VirtualRuntime world;
  world.run_for(1h);
  std::vector<Step> steps(6, error(ErrorKind::server_error));
  steps.push_back(answer("well"));
  const ScriptedProvider a{"x/a", std::move(steps)};
  const ScriptedProvider b{"x/b"};
  const FallbackClient client = pool_of(world, ordered({.min_dwell = 10s}), {a, b});
  const FallbackClient only_a = pool_of(world, ordered(), {a});
  for (int i = 0; i < 6; ++i) static_cast<void>(only_a.chat("hello"));
  CHECK(client.snapshot().candidates[0].ejected);
  CHECK(answered_by(client) == "b");
  CHECK(client.chat("hello")->fallback == false);
  world.run_for(29s);
  CHECK(answers(client, 3) == "b b b");  // still put last
  world.run_for(1s);
  CHECK(answers(client, 50) == [] {
    std::string all = "a";
    for (int i = 1; i < 50; ++i) all += " a";
    return all;
  }());
}

TEST_CASE("a trial call that fails goes on to the one that keeps the calls") {
  VirtualRuntime world;
  world.run_for(1h);
  const ScriptedProvider a{"x/a", {error(ErrorKind::server_error)}};
  const ScriptedProvider b{"x/b", {error(ErrorKind::server_error), answer("b")}};
  const FallbackClient client = pool_of(world, ordered({.min_dwell = 10s}), {a, b, ScriptedProvider{"x/c"}});
  CHECK(answers(client, 2) == "c c");
  world.run_for(10s);
  const auto trial = client.chat("hello");
  REQUIRE(trial->attempts.size() == 2);
  CHECK(trial->attempts[0].target.model() == "a");
  CHECK(trial->served_by.model() == "c");
}

TEST_CASE("slow failing back describes itself and refuses what cannot be") {
  CHECK(ordered(FailbackOptions{}).describe() == "ordered(min_dwell = 60s, successes = 2)");
  CHECK_THROWS_AS(ordered({.min_dwell = -1s}), std::invalid_argument);
  CHECK_THROWS_AS(ordered({.successes = 0}), std::invalid_argument);
}

}  // namespace failback_test
