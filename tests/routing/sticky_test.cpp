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
  CHECK_THROWS_AS(sticky(ordered(), {.cache_ttl = 0s}), std::invalid_argument);
  CHECK_THROWS_AS(sticky(ordered(), {.expected_turns = 0}), std::invalid_argument);
  CHECK_THROWS_AS(sticky(ordered(), {.min_dwell = -1s}), std::invalid_argument);
  CHECK_THROWS_AS(sticky(ordered(), {.second_is_worth = Money::usd(-1)}), std::invalid_argument);
  CHECK_THROWS_AS(pool_of(world, sticky(weighted({1})), {ScriptedProvider{"x/a"}, ScriptedProvider{"x/b"}}),
                  std::invalid_argument);
}

namespace {

/// A model whose input costs that many dollars a million tokens, a tenth of it from the cache.
ScriptedProvider priced(const std::string& model, double input, Duration takes = 1s) {
  ModelFacts facts;
  facts.price = Price{.input = Money::usd_per_million(input),
                      .output = Money::usd_per_million(1),
                      .cache_read = Money::usd_per_million(input / 10)};
  return ScriptedProvider{Target{"x", model, facts}, {answer("ok").after(takes)}};
}

ChatRequest long_turn(std::string session) {
  ChatRequest request{std::string(400'000, 'x')};
  request.metadata.session_id = std::move(session);
  request.max_output_tokens = 16;
  return request;
}

/// A session that has been moved to the second of two targets by an outage of the first, which is over.
struct Moved {
  Moved(double first_costs, double second_costs, StickyOptions options = {.expected_turns = 1}, Duration first_takes = 1s)
      : client{pool_of(world, sticky(ordered(), std::move(options)),
                       {priced("a", first_costs, first_takes) | circuit_breaker(breaker), priced("b", second_costs)})} {
    world.run_for(1h);
    breaker->isolate();
    CHECK(turn() == "b");
    breaker->force_close();
  }
  [[nodiscard]] std::string turn() {
    const auto reply = client.chat(long_turn("s"));
    if (!reply) return std::string{to_string(reply.error().kind)};
    reason = reason_of(reply->attempts.back());
    CHECK_FALSE(reply->fallback != (reply->attempts.size() > 1));
    return std::string{reply->served_by.model()};
  }

  VirtualRuntime world;
  std::shared_ptr<CircuitBreaker> breaker = CircuitBreaker::create();
  FallbackClient client;
  std::string reason;
};

}  // namespace

TEST_CASE("a session stays where its cache is warm while reading it elsewhere would cost more") {
  Moved session{2, 3};
  session.world.run_for(4min);
  CHECK(session.turn() == "b");  // not for long enough
  session.world.run_for(2min);
  CHECK(session.turn() == "b");
  CHECK(session.reason ==
        "the session stays with its prompt cache: its next turns are expected to cost $0.030016 here and $0.200016 at x/a");
}

TEST_CASE("a session goes back when that costs no more, and not before its time") {
  SECTION("because its cache is cold") {
    Moved session{2, 3};
    session.world.run_for(5min);
    CHECK(session.turn() == "a");
    CHECK(session.reason == "the session moves: its next turns are expected to cost $0.200016 here and $0.300016 at x/b");
  }
  SECTION("because it is so much dearer here, warm as it is") {
    Moved session{1, 20};
    session.world.run_for(4min);
    CHECK(session.turn() == "b");
    CHECK(session.reason.starts_with("the session stays for now (min_dwell): "));
    session.world.run_for(61s);
    CHECK(session.turn() == "a");
  }
  SECTION("because it goes on for long") {
    Moved session{1, 3, {.expected_turns = 20, .min_dwell = 0s}};
    CHECK(session.turn() == "a");
    Moved short_one{1, 3, {.expected_turns = 4, .min_dwell = 0s}};
    CHECK(short_one.turn() == "b");
  }
  SECTION("because it is still known there") {
    Moved session{2, 2, {.min_dwell = 0s}};
    CHECK(session.turn() == "b");
    Moved known{2, 2, {.min_dwell = 0s}};
    known.client = pool_of(known.world, sticky(ordered(), {.min_dwell = 0s}),
                           {priced("a", 2) | circuit_breaker(known.breaker), priced("b", 2)});
    CHECK(known.turn() == "a");
    known.breaker->isolate();
    CHECK(known.turn() == "b");
    known.breaker->force_close();
    CHECK(known.turn() == "a");
  }
}

TEST_CASE("what a second is worth moves a session too, and keeps it") {
  Moved fast{3, 3, {.expected_turns = 1, .min_dwell = 0s}, 100ms};
  CHECK(fast.turn() == "b");
  Moved worth{3, 3, {.expected_turns = 1, .min_dwell = 0s, .second_is_worth = Money::usd(10)}, 100ms};
  worth.client = pool_of(worth.world, sticky(first_ready(), {.expected_turns = 1, .min_dwell = 0s, .second_is_worth = Money::usd(10)}),
                         {priced("a", 3, 100ms) | circuit_breaker(worth.breaker), priced("b", 3, 5s)});
  CHECK(worth.turn() == "a");
  worth.breaker->isolate();
  CHECK(worth.turn() == "b");
  worth.breaker->force_close();
  worth.world.run_for(6min);
  CHECK(worth.turn() == "a");
}

TEST_CASE("a session whose price is not known stays") {
  VirtualRuntime world;
  const auto breaker = CircuitBreaker::create();
  const FallbackClient client = pool_of(world, sticky(ordered(), {.min_dwell = 0s}),
                                        {ScriptedProvider{"x/a"} | circuit_breaker(breaker), priced("b", 100)});
  breaker->isolate();
  CHECK(answered_by(client, long_turn("s")) == "b");
  breaker->force_close();
  world.run_for(50min);
  CHECK(answered_by(client, long_turn("s")) == "b");
}

TEST_CASE("a second that is worth a fortune does not overflow what turns are weighed by") {
  constexpr int most_turns = 2'000'000'000;
  Moved session{3, 3, {.expected_turns = most_turns, .min_dwell = 0s, .second_is_worth = (Money::max)()}, 100ms};
  CHECK(session.turn() == "a");
  CHECK(session.reason.find("$9223372.036854775807 here") != std::string::npos);
}

TEST_CASE("as many sessions are remembered as there is room for, the latest rather than the first") {
  const TimePoint start{1h};
  detail::Affinity affinity{1000, 24h};
  const auto note = [&](int i) { affinity.note(std::to_string(i), {static_cast<std::size_t>(i % 7), start + i * 1ms, 0}); };
  const auto knows = [&](int i) {
    const auto found = affinity.find(std::to_string(i), start + 20s);
    return found && found->last.candidate == static_cast<std::size_t>(i % 7);
  };
  const auto count = [&](int from, int to) {
    int known = 0;
    for (int i = from; i < to; ++i) known += knows(i) ? 1 : 0;
    return known;
  };
  for (int i = 0; i < 1000; ++i) note(i);
  CHECK(count(0, 1000) == 1000);
  note(0);  // heard of again
  note(1000);
  CHECK(knows(0));
  CHECK_FALSE(knows(1));
  for (int i = 1001; i < 20'000; ++i) note(i);
  CHECK(count(0, 19'000) == 0);
  CHECK(count(19'000, 20'000) == 1000);
  detail::Affinity one{1, 1h};
  one.note("a", {1, start, 0});
  one.note("b", {2, start, 0});
  CHECK_FALSE(one.find("a", start));
  REQUIRE(one.find("b", start));
  CHECK(one.find("b", start)->last.candidate == 2);
}

}  // namespace sticky_test
