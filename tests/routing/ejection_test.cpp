#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "backstop/providers/function.hpp"
#include "routing/pool.hpp"

namespace ejection_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

/// A target that fails while it is told to.
struct Moody {
  explicit Moody(std::string name) : provider{make(std::move(name), state)} {}

  struct State {
    bool fails = false;
    int calls = 0;
  };
  static Provider make(std::string name, const std::shared_ptr<State>& shared) {
    return make_provider("x/" + name, [shared](const ChatRequest&) -> Result<ChatResponse> {
      ++shared->calls;
      if (shared->fails) {
        Error error{ErrorKind::server_error, "down"};
        error.replay = ReplaySafety::maybe_processed;
        return error;
      }
      ChatResponse response;
      response.parts = {Text{"ok"}};
      return response;
    });
  }
  std::shared_ptr<State> state = std::make_shared<State>();
  Provider provider;
};

struct MoodyPool {
  MoodyPool(Strategy strategy, int size, unsigned seed = 1) : world{seed} {
    std::vector<Provider> providers;
    for (int i = 0; i < size; ++i) {
      targets.emplace_back(std::to_string(i));
      providers.push_back(targets.back().provider);
    }
    client = std::make_unique<FallbackClient>(pool_of(world, std::move(strategy), std::move(providers)));
  }
  [[nodiscard]] int ejected() const {
    int count = 0;
    for (const auto& candidate : client->snapshot().candidates) count += candidate.ejected ? 1 : 0;
    return count;
  }
  /// How many calls each target gets of so many, one every 100 ms.
  std::vector<int> shares(int calls) {
    std::vector<int> before;
    for (const Moody& target : targets) before.push_back(target.state->calls);
    for (int i = 0; i < calls; ++i) {
      static_cast<void>(client->chat("hello"));
      world.run_for(100ms);
    }
    for (std::size_t i = 0; i < targets.size(); ++i) before[i] = targets[i].state->calls - before[i];
    return before;
  }

  VirtualRuntime world;
  std::vector<Moody> targets;
  std::unique_ptr<FallbackClient> client;
};

}  // namespace

TEST_CASE("a target that fails at half of its calls gets none for thirty seconds, then one finds out") {
  MoodyPool pool{weighted({1, 1, 1}), 3};
  pool.targets[0].state->fails = true;
  static_cast<void>(pool.shares(15));
  CHECK(pool.targets[0].state->calls == 5);
  CHECK(pool.client->snapshot().candidates[0].ejected);
  CHECK(pool.client->snapshot().candidates[0].success_share == 0.0);
  static_cast<void>(pool.shares(250));
  CHECK(pool.targets[0].state->calls == 5);
  static_cast<void>(pool.shares(100));  // the 30 s are over: one finds out, and it is out for 60 s
  CHECK(pool.targets[0].state->calls == 6);
  static_cast<void>(pool.shares(550));
  CHECK(pool.targets[0].state->calls == 6);
  pool.targets[0].state->fails = false;
  static_cast<void>(pool.shares(50));
  CHECK(pool.targets[0].state->calls > 6);
  CHECK_FALSE(pool.client->snapshot().candidates[0].ejected);
}

TEST_CASE("at most half of a pool is put last, and one always stays", "[scenario-170]") {
  for (const Strategy& strategy : {least_in_flight(), lowest_latency(), lowest_cost()}) {
    CAPTURE(strategy.describe());
    MoodyPool three{strategy, 3};
    for (Moody& target : three.targets) target.state->fails = true;
    for (int i = 0; i < 60; ++i) static_cast<void>(three.client->chat("hello"));
    REQUIRE(three.ejected() == 1);  // though all fail
    // Which of them are asked first is the strategy's choice among the two that stay.
    std::vector<int> first(3, 0);
    for (int i = 0; i < 300; ++i) {
      const auto error = three.client->chat("hello").error();
      ++first[static_cast<std::size_t>(std::stoi(std::string{error.attempts.front().target.model()}))];
    }
    CHECK(std::count(first.begin(), first.end(), 0) <= 1);
  }
  MoodyPool five{least_in_flight(), 5};
  for (Moody& target : five.targets) target.state->fails = true;
  for (int i = 0; i < 60; ++i) static_cast<void>(five.client->chat("hello"));
  std::vector<int> first(5, 0);
  for (int i = 0; i < 500; ++i) {
    const auto error = five.client->chat("hello").error();
    ++first[static_cast<std::size_t>(std::stoi(std::string{error.attempts.front().target.model()}))];
  }
  CHECK(std::count(first.begin(), first.end(), 0) == 2);
}

TEST_CASE("those that fail most are put last") {
  MoodyPool pool{least_in_flight(), 2};
  pool.targets[1].state->fails = true;
  static_cast<void>(pool.shares(30));
  pool.targets[0].state->fails = true;
  static_cast<void>(pool.shares(60));
  CHECK(pool.ejected() == 1);
  // 1 has failed at all its calls, 0 at half of them.
  for (int i = 0; i < 20; ++i) {
    CHECK(pool.client->chat("hello").error().attempts.front().target.model() == "0");
  }
}

TEST_CASE("who stands last is asked when the others fail, and an answer then does not bring it back") {
  MoodyPool pool{weighted({1, 1}), 2};
  pool.targets[0].state->fails = true;
  static_cast<void>(pool.shares(12));
  REQUIRE(pool.ejected() == 1);
  pool.targets[0].state->fails = false;
  pool.targets[1].state->fails = true;
  const auto reply = pool.client->chat("hello");
  REQUIRE(reply);
  CHECK(reply->served_by.model() == "0");
  CHECK(reply->fallback);
  CHECK(pool.ejected() == 1);
}

TEST_CASE("after recovery a target's share rises from a tenth to all of it in thirty seconds", "[scenario-171]") {
  MoodyPool pool{weighted({1, 1, 1}), 3};
  pool.targets[0].state->fails = true;
  static_cast<void>(pool.shares(20));
  pool.targets[0].state->fails = false;
  while (pool.client->snapshot().candidates[0].share == 0) {
    static_cast<void>(pool.shares(1));
  }
  double last = 0;
  std::vector<double> gets;
  for (int second = 0; second < 30; second += 5) {
    const double share = pool.client->snapshot().candidates[0].share;
    CHECK(share > last);
    last = share;
    const std::vector<int> counts = pool.shares(50);  // 5 s
    gets.push_back(counts[0] / 50.0);
    CHECK(std::abs(counts[1] - counts[2]) <= 3);  // the others absorb the rest, evenly
  }
  CHECK(gets.front() < 0.2);
  CHECK(gets.back() > 0.2);
  CHECK(pool.client->snapshot().candidates[0].share == 1);
  const std::vector<int> after = pool.shares(300);
  CHECK(std::abs(after[0] - 100) <= 1);
}

TEST_CASE("slow start is a share of the calls that are meant for the target", "[scenario-171]") {
  // Many pools at the same moment of their slow start, for the figures.
  int at_begin = 0;
  int in_middle = 0;
  constexpr int pools = 600;
  for (int i = 0; i < pools; ++i) {
    MoodyPool pool{choose_by("first", [](Choice& choice) { choice.prefer(0); }), 2,
                   static_cast<unsigned>(i) + 1};
    pool.targets[0].state->fails = true;
    static_cast<void>(pool.shares(5));
    pool.targets[0].state->fails = false;
    pool.world.run_for(31s);
    static_cast<void>(pool.shares(1));
    const int before = pool.targets[0].state->calls;
    static_cast<void>(pool.client->chat("hello"));
    at_begin += pool.targets[0].state->calls - before;
    pool.world.run_for(15s);
    const int middle = pool.targets[0].state->calls;
    static_cast<void>(pool.client->chat("hello"));
    in_middle += pool.targets[0].state->calls - middle;
  }
  CHECK(at_begin > pools / 20);
  CHECK(at_begin < pools / 5);
  CHECK(in_middle > pools * 45 / 100);
  CHECK(in_middle < pools * 70 / 100);
}

TEST_CASE("in an ordered client nobody is put last") {
  MoodyPool pool{ordered(), 2};
  pool.targets[0].state->fails = true;
  static_cast<void>(pool.shares(50));
  CHECK(pool.targets[0].state->calls == 50);
}

TEST_CASE("a pool among other candidates is judged by what its calls come to") {
  VirtualRuntime world;
  const ScriptedProvider a{"x/a", {error(ErrorKind::server_error)}};
  const ScriptedProvider b{"x/b", {answer("b").after(3s)}};
  const ScriptedProvider c{"x/c", {answer("c").after(1s)}};
  const FallbackClient pool = pool_of(world, ordered(), {a, b});
  const FallbackClient client = pool_of(world, lowest_latency({.exploration = 0}), {pool, c});
  for (int i = 0; i < 20; ++i) static_cast<void>(client.chat("hello"));
  const ClientSnapshot snapshot = client.snapshot();
  REQUIRE(snapshot.candidates[0].ttft);
  CHECK(snapshot.candidates[0].ttft->value > 2);  // by way of a's failure
  CHECK(snapshot.candidates[0].success_share == 1.0);
  REQUIRE(snapshot.candidates[0].members.size() == 2);
  CHECK(snapshot.candidates[0].members[0].target.model() == "a");
  CHECK(snapshot.candidates[1].picks > 15);
  CHECK(snapshot.candidates[0].pick_share + snapshot.candidates[1].pick_share == 1.0);
  CHECK(answered_by(client) == "c");
}

}  // namespace ejection_test
