#include <catch2/catch_test_macros.hpp>

#include <string>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/cost_cap.hpp"
#include "backstop/policies/timeout.hpp"
#include "backstop/state/budget.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace stream_accounting_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

Target priced(std::string_view name) {
  const Target target = Target::parse(name);
  ModelFacts facts;
  facts.price.emplace();
  facts.price->input = Money::usd_per_million(4);
  facts.price->output = Money::usd_per_million(100);
  return Target{target.provider(), target.model(), facts};
}

}  // namespace

TEST_CASE("a stream that breaks before its usage is charged for what was seen of it", "[scenario-207]") {
  VirtualRuntime world;
  const std::string seen(400, 'y');  // about 100 tokens
  ScriptedProvider only{priced("one/a"), {deltas({seen}).cut()}};
  EventLog log{world.runtime()};
  const auto reply = world.call(Provider{only}, std::string(4000, 'x'), {.sink = &log});
  REQUIRE_FALSE(reply);
  REQUIRE(reply.error().attempts.size() == 1);
  const Attempt& attempt = reply.error().attempts[0];
  CHECK(attempt.cost_estimated);
  CHECK(attempt.cost == Money::usd(1000 * 4e-6 + 100 * 100e-6));
}

TEST_CASE("any number of events before the content neither commits nor reaches the consumer", "[scenario-208]") {
  VirtualRuntime world;
  ScriptedProvider first{"one/a", {deltas({}).pings(10'000, 1ms).fail(ErrorKind::server_error)}};
  ScriptedProvider second{"two/b", {answer("in time")}};
  FallbackOptions options;
  options.recovery.max_wait = 0s;
  options.runtime = world.share();
  const FallbackClient client{{Provider{first}, Provider{second}}, options};
  EventLog log{world.runtime()};
  const auto reply = world.call(client, "hello", {.sink = &log});
  REQUIRE(reply);
  CHECK(log.text() == "in time");
  CHECK(log.events().size() == 2);
}

TEST_CASE("the time in which a stream's consumer waits counts against the limits of the attempt") {
  VirtualRuntime world;
  ScriptedProvider silent{"one/a", {silence()}};
  FallbackOptions options;
  options.recovery.max_wait = 0s;
  options.runtime = world.share();
  const FallbackClient client{{silent | timeout({.first_token = 10s})}, options};
  ChatStream stream = client.stream("hello");
  const auto& reply = stream.result();
  REQUIRE_FALSE(reply);
  CHECK(reply.error().timeout_limit == TimeoutLimit::first_token);
  CHECK(reply.error().elapsed == 10s);
}

}  // namespace stream_accounting_test
