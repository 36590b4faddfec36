#include <catch2/catch_test_macros.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "backstop/policies/circuit_breaker.hpp"
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

TEST_CASE("slow failing back describes itself and refuses what cannot be") {
  CHECK(ordered(FailbackOptions{}).describe() == "ordered(min_dwell = 60s, successes = 2)");
  CHECK_THROWS_AS(ordered({.min_dwell = -1s}), std::invalid_argument);
  CHECK_THROWS_AS(ordered({.successes = 0}), std::invalid_argument);
}

}  // namespace failback_test
