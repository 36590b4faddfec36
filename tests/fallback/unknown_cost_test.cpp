#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "backstop/chat/format.hpp"
#include "backstop/fallback_client.hpp"
#include "backstop/policies/single_flight.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace unknown_cost_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

struct CostWatcher final : Observer {
  struct Seen {
    Money cost;
    bool known;
    bool answered;
  };
  void on_call(const CallEvent& event) noexcept override {
    calls.push_back({event.cost, event.cost_known, event.response != nullptr});
  }
  std::vector<Seen> calls;
};

struct Lab {
  FallbackClient client(std::vector<Provider> providers) {
    return FallbackClient{std::move(providers), FallbackOptions{.recovery = {.max_wait = 0s},
                                                                .observers = {watcher},
                                                                .runtime = world.share()}};
  }

  VirtualRuntime world;
  std::shared_ptr<CostWatcher> watcher = std::make_shared<CostWatcher>();
};

Target priced(std::string_view provider) {
  ModelFacts facts;
  facts.price = Price{.input = Money{}, .output = Money::usd(1)};
  return Target{provider, "m", facts};
}

Step paid_answer() { return answer("hi").usage(3, 2); }

}  // namespace

TEST_CASE("what an answer cost at a target without a price is unknown, not nothing") {
  Lab lab;
  const auto reply = lab.client({ScriptedProvider{"one/m", {paid_answer()}}}).chat("hello");
  REQUIRE(reply);
  CHECK_FALSE(reply->attempts[0].cost_known);
  CHECK_FALSE(reply->cost_known);
  REQUIRE(lab.watcher->calls.size() == 1);
  CHECK_FALSE(lab.watcher->calls[0].known);
  CHECK(cost_text(reply->cost, reply->cost_known) == "unknown");
}

TEST_CASE("what an error cost at a target without a price is unknown too, and is printed so") {
  Lab lab;
  const auto reply = lab.client({ScriptedProvider{"one/m", {error(ErrorKind::server_error)}}}).chat("hello");
  REQUIRE_FALSE(reply);
  CHECK_FALSE(reply.error().attempts[0].cost_known);
  CHECK_FALSE(reply.error().cost_known);
  REQUIRE(lab.watcher->calls.size() == 1);
  CHECK_FALSE(lab.watcher->calls[0].known);
  CHECK_FALSE(lab.watcher->calls[0].answered);
  CHECK_THAT(to_string(reply.error()), ContainsSubstring("cost unknown"));
  CHECK_THAT(fmt::format("{}", reply.error()), ContainsSubstring("cost unknown") && !ContainsSubstring("$0.00"));
}

TEST_CASE("a known part of the cost is the least that the call cost") {
  Lab lab;
  const ScriptedProvider unpriced{"one/m", {error(ErrorKind::server_error)}};
  const ScriptedProvider known{priced("two"), {paid_answer()}};
  const auto reply = lab.client({unpriced, known}).chat("hello");
  REQUIRE(reply);
  CHECK(reply->cost == Money::usd(2));
  CHECK_FALSE(reply->cost_known);
  CHECK(reply->attempts[1].cost_known);
  CHECK(cost_text(reply->cost, reply->cost_known) == "at least $2.00");
}

TEST_CASE("an error says what its call cost") {
  Lab lab;
  const ScriptedProvider first{priced("one"), {deltas({"twelve bytes"}).cut()}};
  EventLog log{lab.world.runtime()};
  const auto reply = lab.world.call(lab.client({first}), "hello", {.sink = &log});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().cost == Money::usd(3));
  CHECK(reply.error().cost_known);
  CHECK(reply.error().attempts[0].cost_estimated);
  CHECK_THAT(to_string(reply.error()), ContainsSubstring("about $3.00"));
}

TEST_CASE("what was not sent costs nothing, whoever would have sent it") {
  Lab lab;
  const ScriptedProvider down{"one/m", {error(ErrorKind::connect_failed)}};
  const ScriptedProvider known{priced("two"), {paid_answer()}};
  const FallbackClient client = lab.client({down, known});
  const auto reply = client.chat("hello");
  REQUIRE(reply);
  CHECK(reply->cost_known);
  CHECK(reply->cost == Money::usd(2));
  const auto late = client.chat("hello", {.limits = {.deadline = 0s}});
  REQUIRE_FALSE(late);
  CHECK(late.error().cost_known);
  CHECK(late.error().cost == Money{});
}

TEST_CASE("of calls that share a send the one that accounts for it does not know its cost") {
  Lab lab;
  const Provider shared = ScriptedProvider{"one/m", {paid_answer().after(1s)}} | single_flight();
  const FallbackClient client = lab.client({shared});
  const auto one = lab.world.start(client, "hello");
  const auto two = lab.world.start(client, "hello");
  lab.world.run_all();
  REQUIRE(one->result());
  REQUIRE(two->result());
  CHECK_FALSE(one->result()->cost_known);
  CHECK(two->result()->cost_known);
}

}  // namespace unknown_cost_test
