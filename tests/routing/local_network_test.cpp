#include <catch2/catch_test_macros.hpp>

#include <memory>
#include <string>
#include <vector>

#include "backstop/policies/circuit_breaker.hpp"
#include "routing/pool.hpp"

namespace local_network_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

struct Guarded {
  explicit Guarded(std::string_view name, std::vector<Step> steps = {error(ErrorKind::connect_failed)})
      : target{name, std::move(steps)} {}

  [[nodiscard]] Provider provider() const { return target | circuit_breaker(breaker); }

  ScriptedProvider target;
  std::shared_ptr<CircuitBreaker> breaker =
      CircuitBreaker::create({.consecutive_failures = 2, .open_for = 10s, .open_for_max = 1000s, .jitter = 0});
};

/// How long the breaker is open at its next opening.
int doublings(VirtualRuntime& world, const Guarded& one) { return one.breaker->snapshot(world.clock().now()).doublings; }

}  // namespace

TEST_CASE("when nobody can be connected to, it is the network, and open times do not double", "[scenario-173]") {
  VirtualRuntime world;
  const Guarded a{"one/a"};
  const Guarded b{"two/b"};
  const FallbackClient client = pool_of(world, ordered(), {a.provider(), b.provider()});
  for (int outage = 0; outage < 5; ++outage) {
    for (int i = 0; i < 3; ++i) static_cast<void>(client.chat("hello"));
    CHECK(a.breaker->state() == BreakerState::open);
    CHECK(b.breaker->state() == BreakerState::open);
    world.run_for(10s);
  }
  CHECK(a.breaker->snapshot(world.clock().now()).times_opened >= 5);
  CHECK(doublings(world, a) == 0);
  CHECK(doublings(world, b) == 0);
  const auto failed = client.chat("hello");
  REQUIRE_FALSE(failed);
  CHECK(failed.error().attempts.front().reason.find("local_network") != std::string::npos);
}

TEST_CASE("two models of one provider are one provider that is down", "[scenario-173]") {
  VirtualRuntime world;
  const Guarded a{"one/a"};
  const Guarded b{"one/b"};
  const FallbackClient client = pool_of(world, ordered(), {a.provider(), b.provider()});
  for (int i = 0; i < 3; ++i) static_cast<void>(client.chat("hello"));
  CHECK(doublings(world, a) == 1);
  CHECK(doublings(world, b) == 1);
}

TEST_CASE("a provider that can be reached says that the network is well") {
  VirtualRuntime world;
  const Guarded a{"one/a"};
  const Guarded b{"two/b"};
  const Guarded c{"three/c", {answer("ok")}};
  const FallbackClient client = pool_of(world, ordered(), {a.provider(), b.provider(), c.provider()});
  for (int i = 0; i < 2; ++i) CHECK(client.chat("hello"));
  CHECK(doublings(world, a) == 1);  // when it opened the last thing heard of was an answer
  CHECK_FALSE(world.runtime().network().at_fault());
}

TEST_CASE("failures more than a second apart, and those of a model on this machine, are no fault of the network") {
  VirtualRuntime world;
  const Guarded a{"one/a", {error(ErrorKind::connect_failed).after(2s)}};
  const Guarded b{"two/b", {error(ErrorKind::connect_failed).after(2s)}};
  const FallbackClient client = pool_of(world, ordered(), {a.provider(), b.provider()});
  for (int i = 0; i < 3; ++i) static_cast<void>(client.chat("hello"));
  CHECK(doublings(world, a) == 1);

  VirtualRuntime other;
  ModelFacts facts;
  facts.local = true;
  const ScriptedProvider local{Target{"local", "m", facts}, {error(ErrorKind::connect_failed)}};
  const Guarded c{"one/c"};
  const FallbackClient mixed = pool_of(other, ordered(), {c.provider(), local});
  for (int i = 0; i < 3; ++i) static_cast<void>(mixed.chat("hello"));
  CHECK(doublings(other, c) == 1);
}

TEST_CASE("nobody is put last for a fault of the network") {
  VirtualRuntime world;
  const ScriptedProvider a{"one/a", {error(ErrorKind::connect_failed)}};
  const ScriptedProvider b{"two/b", {error(ErrorKind::connect_failed)}};
  const ScriptedProvider c{"three/c", {error(ErrorKind::connect_failed)}};
  const FallbackClient client = pool_of(world, least_in_flight(), {a, b, c});
  for (int i = 0; i < 50; ++i) static_cast<void>(client.chat("hello"));
  for (const auto& candidate : client.snapshot().candidates) CHECK_FALSE(candidate.ejected);
}

}  // namespace local_network_test
