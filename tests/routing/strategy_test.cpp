#include "backstop/routing/strategy.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "backstop/observe/observer.hpp"
#include "backstop/policies/circuit_breaker.hpp"
#include "backstop/routing/rules.hpp"
#include "routing/pool.hpp"

namespace strategy_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

TEST_CASE("of two targets the less busy one is asked", "[scenario-164]") {
  VirtualRuntime world;
  const ScriptedProvider busy{"x/busy", {answer("slow").after(60s)}};
  const ScriptedProvider idle{"x/idle"};
  const FallbackClient client = pool_of(world, least_in_flight(), {busy, idle});
  const FallbackClient only_busy = pool_of(world, ordered(), {busy});
  const auto running = world.start(only_busy, "hello");  // whichever client made the call
  world.run_for(1s);
  CHECK(client.snapshot().candidates[0].in_flight == 1);
  for (int i = 0; i < 50; ++i) CHECK(answered_by(client) == "idle");
  world.run(*running);
  CHECK(client.snapshot().candidates[0].in_flight == 0);
}

TEST_CASE("calls that run at the same time are spread evenly") {
  VirtualRuntime world;
  std::vector<ScriptedProvider> targets;
  for (int i = 0; i < 4; ++i) {
    targets.emplace_back("x/" + std::to_string(i), std::vector<Step>{answer("slow").after(10s)});
  }
  const FallbackClient client = pool_of(world, least_in_flight(), {targets.begin(), targets.end()});
  for (int i = 0; i < 40; ++i) static_cast<void>(world.start(client, "hello"));
  world.run_all();
  for (const ScriptedProvider& target : targets) CHECK(target.send_count() == 10);
}

TEST_CASE("among equals each is picked as often as chance has it", "[scenario-165]") {
  constexpr int calls = 10'000;
  for (const bool by_latency : {false, true}) {
    VirtualRuntime world{by_latency ? 3U : 7U};
    const std::vector<ScriptedProvider> targets{ScriptedProvider{"x/a"}, ScriptedProvider{"x/b"}, ScriptedProvider{"x/c"},
                                                ScriptedProvider{"x/d"}};
    const Strategy strategy = by_latency ? lowest_latency() : least_in_flight();
    const FallbackClient client = pool_of(world, strategy, {targets.begin(), targets.end()});
    for (const ScriptedProvider& target : targets) {  // that all are known
      static_cast<void>(pool_of(world, ordered(), {target}).chat("hello"));
    }
    for (int i = 0; i < calls; ++i) static_cast<void>(client.chat("hello"));
    const double expected = calls / 4.0;
    const double sigma = std::sqrt(calls * 0.25 * 0.75);
    for (const ScriptedProvider& target : targets) {
      CHECK(std::abs(static_cast<double>(target.send_count()) - 1 - expected) < 3 * sigma);
    }
  }
}

TEST_CASE("a strategy or a condition without its function is refused") {
  CHECK_THROWS_AS((Strategy{"x", nullptr}), std::invalid_argument);
  CHECK_THROWS_AS((Condition{"x", nullptr}), std::invalid_argument);
}

TEST_CASE("a strategy that throws has chosen nobody") {
  VirtualRuntime world;
  const Strategy strategy = choose_by("broken", [](Choice& choice) {
    choice.set_score(0, 7);
    choice.prefer(1);
    throw std::runtime_error{"no"};
  });
  const FallbackClient client = pool_of(world, strategy, {ScriptedProvider{"x/a"}, ScriptedProvider{"x/b"}});
  const auto reply = client.chat("hello");
  REQUIRE(reply);
  CHECK(reply->served_by.model() == "a");
  CHECK(reply->attempts[0].chosen_by == nullptr);
  CHECK(reply->attempts[0].score == 0);
}

TEST_CASE("the snapshot says of who fails often what the order does") {
  VirtualRuntime world;
  std::vector<ScriptedProvider> failing;
  for (int i = 0; i < 3; ++i) failing.emplace_back("x/" + std::to_string(i), std::vector<Step>{error(ErrorKind::server_error)});
  const FallbackClient client = pool_of(world, least_in_flight(), {failing.begin(), failing.end()});
  for (int i = 0; i < 10; ++i) static_cast<void>(client.chat("hello"));
  const auto ejected_of = [](const ClientSnapshot& snapshot) {
    return std::count_if(snapshot.candidates.begin(), snapshot.candidates.end(), [](const auto& one) { return one.ejected; });
  };
  const ClientSnapshot now = client.snapshot();
  CHECK(ejected_of(now) == 1);
  for (const auto& candidate : now.candidates) CHECK(candidate.share == (candidate.ejected ? 0 : 1));
  world.run_for(31s);
  for (const auto& candidate : client.snapshot().candidates) {
    CHECK_FALSE(candidate.ejected);
    CHECK(candidate.share == 0);  // one at a time finds out
  }
}

TEST_CASE("a strategy that names nobody changes nothing and learns nothing") {
  VirtualRuntime world;
  const std::size_t nobody[] = {2, 3, 1000, static_cast<std::size_t>(-1)};
  const Strategy strategy = choose_by("astray", [&](Choice& choice) {
    for (const std::size_t one : nobody) {
      choice.prefer(one);
      choice.put_last(one);
      choice.set_score(one, 5);
      choice.note(one, {});
      CHECK(choice.at(one) == choice.size());
      CHECK(choice.score(one) == 0);
      CHECK(choice.target(one).empty());
      CHECK_FALSE(choice.ready(one));
      CHECK_FALSE(choice.fit(one));
      CHECK_FALSE(choice.held_back(one));
      CHECK_FALSE(choice.known(one));
      CHECK(choice.in_flight(one) == 0);
      CHECK(choice.time_to_first_token(one) == 1);
      CHECK(choice.tokens_per_second(one) == 50);
      CHECK(choice.rejected_share(one) == 0);
      CHECK_FALSE(choice.expected_cost(one));
      CHECK_FALSE(choice.expected_cost(one, 7));
    }
  });
  const FallbackClient client = pool_of(world, strategy, {ScriptedProvider{"x/a"}, ScriptedProvider{"x/b"}});
  CHECK(answers(client, 2) == "a a");
  CHECK(plan_of(client) == "a b");
}

TEST_CASE("the first that is ready is no fallback") {
  VirtualRuntime world;
  const auto breaker = CircuitBreaker::create();
  const ScriptedProvider a{"x/a"};
  const ScriptedProvider b{"x/b"};
  const std::vector<Provider> providers{a | circuit_breaker(breaker), b};
  const FallbackClient first = pool_of(world, first_ready(), providers);
  const FallbackClient listed = pool_of(world, ordered(), providers);
  CHECK(answered_by(first) == "a");
  breaker->isolate();
  const auto ready = first.chat("hello");
  REQUIRE(ready);
  CHECK(ready->served_by.model() == "b");
  CHECK_FALSE(ready->fallback);
  CHECK(ready->attempts.size() == 1);
  CHECK(listed.chat("hello")->fallback);
}

TEST_CASE("an order of the application's own is followed, and what throws leaves the list as it is") {
  VirtualRuntime world;
  const ScriptedProvider a{"x/a", {error(ErrorKind::server_error), answer("ok")}};
  const std::vector<Provider> providers{a, ScriptedProvider{"x/b"}, ScriptedProvider{"x/c"}};
  bool throws = false;
  const FallbackClient client = pool_of(world, choose_by("backwards", [&throws](Choice& choice) {
                                          for (std::size_t i = 0; i < choice.size(); ++i) choice.prefer(i);
                                          if (throws) throw std::runtime_error{"no"};
                                        }),
                                        providers);
  CHECK(plan_of(client) == "c b a");
  CHECK(answered_by(client) == "c");
  throws = true;
  CHECK(plan_of(client) == "a b c");
  const auto reply = client.chat("hello");
  REQUIRE(reply);
  CHECK(reply->served_by.model() == "b");
  CHECK(reply->fallback);
  CHECK_THROWS_AS(choose_by("empty", nullptr), std::invalid_argument);
}

TEST_CASE("no candidate leaves the order, whatever is done to it") {
  VirtualRuntime world;
  const FallbackClient client = pool_of(world, choose_by("odd", [](Choice& choice) {
                                          choice.put_last(0);
                                          choice.put_last(1);
                                          choice.prefer(2);
                                          choice.sort_by([](std::size_t i) { return i == 1 ? std::nan("") : 0.0; });
                                          choice.prefer(1);
                                        }),
                                        {ScriptedProvider{"x/a"}, ScriptedProvider{"x/b"}, ScriptedProvider{"x/c"}});
  for (int i = 0; i < 20; ++i) {
    std::set<std::string> seen;
    for (const Plan::Step& step : client.explain("hello").steps) seen.insert(step.target.name());
    CHECK(seen.size() == 3);
    CHECK(answered_by(client) == "b");
  }
}

TEST_CASE("the row says who chose the target, and with what score") {
  VirtualRuntime world;
  const ScriptedProvider a{"x/a", {error(ErrorKind::server_error)}};
  const FallbackClient client = pool_of(world, choose_by("mine(v2)", [](Choice& choice) {
                                          choice.sort_by([](std::size_t i) { return 2.5 + static_cast<double>(i); });
                                        }),
                                        {a, ScriptedProvider{"x/b"}});
  const auto reply = client.chat("hello");
  REQUIRE(reply);
  REQUIRE(reply->attempts.size() == 2);
  REQUIRE(reply->attempts[0].chosen_by);
  CHECK(*reply->attempts[0].chosen_by == "mine");
  CHECK(reply->attempts[0].score == 2.5);
  CHECK(reply->attempts[1].score == 3.5);
  const auto listed = pool_of(world, ordered(), {ScriptedProvider{"x/c"}}).chat("hello");
  CHECK_FALSE(listed->attempts[0].chosen_by);
}

TEST_CASE("seventeen candidates are chosen among like sixteen") {
  VirtualRuntime world;
  std::vector<Provider> providers;
  std::vector<std::int64_t> weights;
  for (int i = 0; i < 40; ++i) {
    providers.push_back(ScriptedProvider{"x/" + std::to_string(i)});
    weights.push_back(1);
  }
  const FallbackClient client = pool_of(world, weighted(weights), providers);
  std::map<std::string, int> counts;
  for (int i = 0; i < 80; ++i) ++counts[answered_by(client)];
  CHECK(counts.size() == 40);
  for (const auto& [name, count] : counts) CHECK(count == 2);
  CHECK(client.explain("hello").steps.size() == 40);
}

TEST_CASE("a pick of the strategies is no fallback, at whatever level, and the first choice is the leaf that was chosen") {
  class FirstChoice final : public Observer {
   public:
    void on_call(const CallEvent& event) noexcept override { name = event.first_choice.name(); }
    std::string name;
  };
  VirtualRuntime world;
  const auto seen = std::make_shared<FirstChoice>();
  const ScriptedProvider a{"x/a"};
  const ScriptedProvider b{"x/b", {answer("1"), error(ErrorKind::server_error), answer("2")}};
  const ScriptedProvider c{"x/c"};
  const FallbackClient pool = pool_of(world, weighted({1, 1}), {a, b});
  const FallbackClient client{{pool, c},
                              FallbackOptions{.recovery = {.max_wait = 0s}, .observers = {seen}, .runtime = world.share()}};
  const auto ask = [&](bool fallback, std::string_view by, std::string_view first_choice) {
    const auto reply = client.chat("hello");
    REQUIRE(reply);
    CHECK(reply->served_by.name() == by);
    CHECK(reply->fallback == fallback);
    CHECK(seen->name == first_choice);
  };
  ask(false, "x/a", "x/a");
  ask(false, "x/b", "x/b");
  ask(false, "x/a", "x/a");
  ask(true, "x/a", "x/b");

  const FallbackClient outer = [&] {
    return FallbackClient{{c, pool}, FallbackOptions{.strategy = rules({{has_tag("pool"), 1}}),
                                                     .observers = {seen},
                                                     .runtime = world.share()}};
  }();
  ChatRequest request{"hello"};
  request.metadata.tags.emplace_back("pool", "");
  const auto reply = outer.chat(request);
  REQUIRE(reply);
  CHECK(reply->served_by.name() == seen->name);
  CHECK(reply->served_by.name() != "x/c");
  CHECK_FALSE(reply->fallback);
}

TEST_CASE("what ordered() makes of candidates is nothing") {
  const Strategy::Chooser chooser = ordered().make(3);
  CHECK_FALSE(chooser.order);
  CHECK_FALSE(chooser.answered);
}

TEST_CASE("strategies describe themselves") {
  VirtualRuntime world;
  const std::vector<Provider> two{ScriptedProvider{"x/a"}, ScriptedProvider{"x/b"}};
  CHECK(pool_of(world, ordered(), two).describe() == "fallback(x/a, x/b)");
  CHECK(pool_of(world, weighted({2, 1}), two).describe() == "fallback(x/a, x/b, strategy = weighted(2, 1))");
  CHECK(ordered().describe() == "ordered");
  CHECK(Strategy{}.is_ordered());
  CHECK(lowest_latency().describe() == "lowest_latency");
  CHECK(lowest_latency({.exploration = 0.05}).describe() == "lowest_latency(exploration = 0.05)");
  CHECK(sticky(least_in_flight(), {.key = "team"}).describe() == "sticky(least_in_flight, key = team)");
  CHECK(rules({{wants_reasoning() && !input_above(10), 1}}).describe() ==
        "rules((reasoning and not input above 10 tokens): 1)");
}

TEST_CASE("an answer on a later visit of a pool is a fallback where its first choice could not, and else is none") {
  VirtualRuntime world;
  const ScriptedProvider a{"x/a", {error(ErrorKind::server_error), answer("a")}};
  const ScriptedProvider b{"x/b", {error(ErrorKind::server_error), answer("b")}};
  FallbackOptions inner{.strategy = weighted({1, 1})};
  inner.runtime = world.share();
  FallbackOptions outer;
  outer.runtime = world.share();
  struct Seen final : Observer {
    void on_call(const CallEvent& event) noexcept override { first_choice = event.first_choice.name(); }
    std::string first_choice;
  };
  const auto seen = std::make_shared<Seen>();
  outer.observers = {seen};
  const auto reply = FallbackClient{{FallbackClient{{a, b}, inner}}, outer}.chat("hello");
  REQUIRE(reply);
  CHECK(reply->fallback == (reply->served_by.name() != seen->first_choice));
}

}  // namespace strategy_test
