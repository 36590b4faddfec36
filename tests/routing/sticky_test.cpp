#include <catch2/catch_test_macros.hpp>

#include <map>
#include <set>
#include <stdexcept>
#include <string>

#include "backstop/policies/circuit_breaker.hpp"
#include "routing/affinity.hpp"
#include "routing/pool.hpp"

namespace sticky_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

ChatRequest of_session(std::string session) {
  ChatRequest request{"hello"};
  request.metadata.session_id = std::move(session);
  return request;
}

}  // namespace

TEST_CASE("a session stays where it was answered, and new ones go by the strategy inside") {
  VirtualRuntime world;
  const FallbackClient client = pool_of(world, sticky(weighted({1, 1})), {ScriptedProvider{"x/a"}, ScriptedProvider{"x/b"}});
  std::map<std::string, std::string> with;
  for (int i = 0; i < 20; ++i) {
    const std::string session = "session " + std::to_string(i);
    with[session] = answered_by(client, of_session(session));
  }
  CHECK(std::count_if(with.begin(), with.end(), [](const auto& one) { return one.second == "a"; }) == 10);
  for (int round = 0; round < 5; ++round) {
    for (const auto& [session, model] : with) {
      CHECK(answered_by(client, of_session(session)) == model);
      CHECK(plan_of(client, of_session(session)).starts_with(model));
    }
  }
}

TEST_CASE("a request without a session goes by the strategy inside") {
  VirtualRuntime world;
  const FallbackClient client = pool_of(world, sticky(weighted({1, 1})), {ScriptedProvider{"x/a"}, ScriptedProvider{"x/b"}});
  CHECK(answers(client, 4) == "a b a b");
}

TEST_CASE("a session moves with a failure, and does not move back") {
  VirtualRuntime world;
  const auto breaker = CircuitBreaker::create();
  const FallbackClient client =
      pool_of(world, sticky(ordered()), {ScriptedProvider{"x/a"} | circuit_breaker(breaker), ScriptedProvider{"x/b"}});
  CHECK(answered_by(client, of_session("s")) == "a");
  breaker->isolate();
  CHECK(answered_by(client, of_session("s")) == "b");
  breaker->force_close();
  const auto reply = client.chat(of_session("s"));
  REQUIRE(reply);
  CHECK(reply->served_by.model() == "b");
  CHECK_FALSE(reply->fallback);
  CHECK(answered_by(client, of_session("new")) == "a");
}

TEST_CASE("a session is forgotten after its time") {
  VirtualRuntime world;
  const FallbackClient client = pool_of(world, sticky(weighted({1, 1}), {.forget_after = 10s}),
                                        {ScriptedProvider{"x/a"}, ScriptedProvider{"x/b"}});
  CHECK(answered_by(client, of_session("s")) == "a");
  world.run_for(9s);
  CHECK(answered_by(client, of_session("s")) == "a");
  world.run_for(9s);  // since the last answer
  CHECK(answered_by(client, of_session("s")) == "a");
  world.run_for(10s);
  CHECK(answered_by(client, of_session("s")) == "b");
}

TEST_CASE("sessions are told apart by any key of the metadata") {
  VirtualRuntime world;
  const auto client_by = [&](std::string key) {
    return pool_of(world, sticky(weighted({1, 1}), {.key = std::move(key)}),
                   {ScriptedProvider{"x/a"}, ScriptedProvider{"x/b"}});
  };
  ChatRequest request{"hello"};
  request.metadata.user_id = "somebody";
  request.metadata.tags.emplace_back("conversation", "42");
  for (const std::string key : {"user_id", "conversation"}) {
    const FallbackClient client = client_by(key);
    CHECK(answered_by(client) == "a");
    CHECK(answered_by(client, request) == "b");
    CHECK(answered_by(client, request) == "b");
  }
  CHECK_THROWS_AS(sticky(ordered(), {.key = ""}), std::invalid_argument);
  CHECK_THROWS_AS(sticky(ordered(), {.max_sessions = 0}), std::invalid_argument);
  CHECK_THROWS_AS(sticky(ordered(), {.max_sessions = 1'000'001}), std::invalid_argument);
  CHECK_THROWS_AS(sticky(ordered(), {.forget_after = 0s}), std::invalid_argument);
  CHECK_THROWS_AS(pool_of(world, sticky(weighted({1})), {ScriptedProvider{"x/a"}, ScriptedProvider{"x/b"}}),
                  std::invalid_argument);
}

TEST_CASE("as many sessions are remembered as there is room for, the latest rather than the first") {
  const TimePoint start{1h};
  detail::Affinity affinity{1000, 24h};
  for (int i = 0; i < 20'000; ++i) affinity.note(std::to_string(i), static_cast<std::size_t>(i % 7), start + i * 1ms);
  int known = 0;
  int late = 0;
  for (int i = 0; i < 20'000; ++i) {
    const auto found = affinity.find(std::to_string(i), start + 20s);
    if (!found) continue;
    CHECK(*found == static_cast<std::size_t>(i % 7));
    ++known;
    late += i >= 17'000 ? 1 : 0;
  }
  CHECK(known <= 1000);
  CHECK(known > 900);
  CHECK(late > 900);
  detail::Affinity one{1, 1h};
  one.note("a", 1, start);
  one.note("b", 2, start);
  CHECK_FALSE(one.find("a", start));
  CHECK(one.find("b", start) == std::size_t{2});
}

}  // namespace sticky_test
