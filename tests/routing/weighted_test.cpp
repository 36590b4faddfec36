#include <catch2/catch_test_macros.hpp>

#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>

#include "backstop/policies/circuit_breaker.hpp"
#include "routing/pool.hpp"

namespace weighted_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

TEST_CASE("weights 5, 1, 1 give the smooth sequence, and exactly these shares", "[scenario-161]") {
  VirtualRuntime world;
  const ScriptedProvider a{"x/a"};
  const ScriptedProvider b{"x/b"};
  const ScriptedProvider c{"x/c"};
  const FallbackClient client = pool_of(world, weighted({5, 1, 1}), {a, b, c});
  CHECK(answers(client, 7) == "a a b a c a a");
  CHECK(answers(client, 7) == "a a b a c a a");
  CHECK(a.send_count() == 10);
  CHECK(b.send_count() == 2);
  CHECK(c.send_count() == 2);
}

TEST_CASE("any weights are exact over every cycle") {
  VirtualRuntime world;
  const std::vector<std::int64_t> weights{3, 7, 1, 9};
  const std::vector<ScriptedProvider> targets{ScriptedProvider{"x/a"}, ScriptedProvider{"x/b"}, ScriptedProvider{"x/c"},
                                              ScriptedProvider{"x/d"}};
  const FallbackClient client = pool_of(world, weighted(weights), {targets.begin(), targets.end()});
  for (std::size_t cycle = 1; cycle <= 5; ++cycle) {
    static_cast<void>(answers(client, 20));
    for (std::size_t i = 0; i < targets.size(); ++i) {
      CHECK(targets[i].send_count() == cycle * static_cast<std::size_t>(weights[i]));
    }
  }
}

TEST_CASE("while a target is out the others keep their ratio, and it comes back to its own", "[scenario-162]") {
  VirtualRuntime world;
  const auto breaker = CircuitBreaker::create();
  const ScriptedProvider a{"x/a"};
  const ScriptedProvider b{"x/b"};
  const ScriptedProvider c{"x/c"};
  const FallbackClient client = pool_of(world, weighted({4, 2, 1}), {a | circuit_breaker(breaker), b, c});
  static_cast<void>(answers(client, 3));
  breaker->isolate();
  const std::size_t b_before = b.send_count();
  const std::size_t c_before = c.send_count();
  static_cast<void>(answers(client, 30));
  const auto b_calls = static_cast<int>(b.send_count() - b_before);
  const auto c_calls = static_cast<int>(c.send_count() - c_before);
  CHECK(b_calls + c_calls == 30);
  CHECK(std::abs(b_calls - 20) <= 1);  // it began in the middle of a cycle
  breaker->force_close();
  std::map<std::string, int> counts;
  for (int i = 0; i < 7; ++i) ++counts[answered_by(client)];
  CHECK(counts["a"] >= 3);
  CHECK(counts["b"] >= 1);
  CHECK(counts["c"] >= 1);
}

TEST_CASE("a client with other weights begins its own cycle, and neither starves anybody", "[scenario-162]") {
  VirtualRuntime world;
  const ScriptedProvider a{"x/a"};
  const ScriptedProvider b{"x/b"};
  FallbackClient client = pool_of(world, weighted({3, 1}), {a, b});
  CHECK(answers(client, 2) == "a a");
  client = pool_of(world, weighted({1, 1}), {a, b});
  CHECK(answers(client, 4) == "a b a b");
  client = pool_of(world, weighted({1, 1}), {b, ScriptedProvider{"x/c"}});
  CHECK(answers(client, 4) == "b c b c");
}

TEST_CASE("a target of weight 0 is asked only when all others have failed, and one must have weight",
          "[scenario-163]") {
  VirtualRuntime world;
  const ScriptedProvider a{"x/a", {answer("1"), answer("2"), answer("3"), error(ErrorKind::server_error)}};
  const ScriptedProvider b{"x/b"};
  const FallbackClient client = pool_of(world, weighted({2, 0}), {a, b});
  CHECK(answers(client, 4) == "a a a b");
  CHECK_THROWS_AS(weighted({0, 0}), std::invalid_argument);
  CHECK_THROWS_AS(weighted({}), std::invalid_argument);
  CHECK_THROWS_AS(weighted({1, -1}), std::invalid_argument);
  CHECK_THROWS_AS(weighted({1, 1'000'001}), std::invalid_argument);
}

TEST_CASE("there is a weight for each candidate") {
  VirtualRuntime world;
  CHECK_THROWS_AS(pool_of(world, weighted({1, 1}), {ScriptedProvider{"x/a"}}), std::invalid_argument);
  CHECK_THROWS_AS(pool_of(world, weighted({1}), {ScriptedProvider{"x/a"}, ScriptedProvider{"x/b"}}),
                  std::invalid_argument);
  CHECK_NOTHROW(pool_of(world, weighted({1}), {ScriptedProvider{"x/a"}}));
}

TEST_CASE("a call fails over inside the pool, and the failure costs nobody a turn") {
  VirtualRuntime world;
  const ScriptedProvider a{"x/a", {answer("1"), error(ErrorKind::overloaded), answer("2")}};
  const ScriptedProvider b{"x/b"};
  const FallbackClient client = pool_of(world, weighted({2, 1}), {a, b});
  CHECK(answers(client, 1) == "a");
  const auto reply = client.chat("hello");  // b's turn
  REQUIRE(reply);
  CHECK(reply->served_by.model() == "b");
  CHECK_FALSE(reply->fallback);
  const auto failed_over = client.chat("hello");  // a's, which fails
  REQUIRE(failed_over);
  CHECK(failed_over->served_by.model() == "b");
  CHECK(failed_over->fallback);
  CHECK(answers(client, 3) == "a b a");
}

TEST_CASE("two clients with the same strategy take their turns apart") {
  VirtualRuntime world;
  const Strategy strategy = weighted({1, 1});
  const ScriptedProvider a{"x/a"};
  const ScriptedProvider b{"x/b"};
  const FallbackClient one = pool_of(world, strategy, {a, b});
  const FallbackClient other = pool_of(world, strategy, {a, b});
  CHECK(answers(one, 1) == "a");
  CHECK(answers(other, 1) == "a");
  CHECK(answers(one, 1) == "b");
}

}  // namespace weighted_test
