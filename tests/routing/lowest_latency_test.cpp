#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <stdexcept>

#include "routing/pool.hpp"

namespace lowest_latency_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

Step takes(Duration time) { return answer("ok").after(time); }

}  // namespace

TEST_CASE("a target that fails fast attracts no calls", "[scenario-166]") {
  VirtualRuntime world;
  const ScriptedProvider failing{"x/failing", {error(ErrorKind::server_error).after(5ms)}};
  const ScriptedProvider well{"x/well", {takes(2s)}};
  const FallbackClient client = pool_of(world, lowest_latency(), {failing, well});
  for (int i = 0; i < 3; ++i) CHECK(client.chat("hello"));
  const std::size_t before = failing.send_count();
  constexpr std::size_t calls = 1000;
  for (std::size_t i = 0; i < calls; ++i) CHECK(client.chat("hello"));
  CHECK(share_of(failing.send_count() - before, calls) < 0.1);
}

TEST_CASE("nor does it when many calls run at the same time") {
  VirtualRuntime world;
  const ScriptedProvider failing{"x/failing", {error(ErrorKind::server_error).after(5ms)}};
  const ScriptedProvider well{"x/well", {takes(2s)}};
  for (const Strategy& strategy : {lowest_latency(), highest_throughput(), least_in_flight()}) {
    const ScriptedProvider other{"x/other", {takes(2s)}};
    const FallbackClient client = pool_of(world, strategy, {failing, well, other});
    const std::size_t before = failing.send_count();
    constexpr std::size_t calls = 1000;
    for (std::size_t i = 0; i < calls; ++i) {
      static_cast<void>(world.start(client, "hello"));
      world.run_for(100ms);
    }
    world.run_all();
    CAPTURE(strategy.describe());
    CHECK(share_of(failing.send_count() - before, calls) < 0.1);
  }
}

TEST_CASE("the fastest gets all calls but one in a hundred", "[scenario-166]") {
  VirtualRuntime world;
  const ScriptedProvider fast{"x/fast", {takes(100ms)}};
  const ScriptedProvider slow{"x/slow", {takes(3s)}};
  const ScriptedProvider slower{"x/slower", {takes(4s)}};
  const FallbackClient client = pool_of(world, lowest_latency(), {slower, slow, fast});
  for (int i = 0; i < 20; ++i) static_cast<void>(client.chat("hello"));
  const std::size_t before = fast.send_count();
  constexpr std::size_t calls = 10'000;
  for (std::size_t i = 0; i < calls; ++i) static_cast<void>(client.chat("hello"));
  const double others = static_cast<double>(calls - (fast.send_count() - before));
  const double sigma = std::sqrt(static_cast<double>(calls) * 0.01 * 0.99);
  CHECK(std::abs(others - 100) < 3 * sigma);
  const FallbackClient faithful = pool_of(world, lowest_latency({.exploration = 0}), {slower, slow, fast});
  const std::size_t faithful_before = fast.send_count();
  for (int i = 0; i < 1000; ++i) static_cast<void>(faithful.chat("hello"));
  CHECK(fast.send_count() - faithful_before == 1000);
}

TEST_CASE("a spike is avoided by the next call, and forgotten after about a minute", "[scenario-167]") {
  VirtualRuntime world;
  const ScriptedProvider first{"x/first", {takes(200ms), takes(200ms), takes(2s), takes(200ms)}};
  const ScriptedProvider second{"x/second", {takes(1500ms)}};
  const FallbackClient client = pool_of(world, lowest_latency({.exploration = 0}), {first, second});
  while (first.send_count() < 3) static_cast<void>(client.chat("hello"));
  CHECK(plan_of(client) == "second first");
  CHECK(answered_by(client) == "second");
  const TimePoint spike = world.clock().now();
  while (plan_of(client) == "second first") static_cast<void>(client.chat("hello"));
  const Duration away = world.clock().now() - spike;
  CHECK(away > 20s);
  CHECK(away < 90s);
}

TEST_CASE("a slow target that has been idle for an hour scores as an unknown one does, not as a fast one",
          "[scenario-168]") {
  VirtualRuntime world;
  const ScriptedProvider fast{"x/fast", {takes(300ms)}};
  const ScriptedProvider slow{"x/slow", {takes(20s)}};
  const FallbackClient client = pool_of(world, lowest_latency({.exploration = 0}), {fast, slow});
  const FallbackClient only_slow = pool_of(world, ordered(), {slow});
  CHECK(only_slow.chat("hello"));
  CHECK(client.snapshot().candidates[1].ttft->value > 19);
  for (int i = 0; i < 50; ++i) CHECK(answered_by(client) == "fast");
  world.run_for(1h);
  const auto idle = client.snapshot().candidates[1].ttft;
  REQUIRE(idle);
  CHECK(std::abs(idle->value - 1) < 1e-6);
  CHECK(idle->age > 59min);
  static_cast<void>(pool_of(world, ordered(), {fast}).chat("hello"));
  for (int i = 0; i < 200; ++i) CHECK(answered_by(client) == "fast");
}

TEST_CASE("a target that nothing is known of gets one call at a time", "[scenario-169]") {
  VirtualRuntime world;
  const ScriptedProvider known{"x/known", {takes(2s)}};
  const ScriptedProvider fresh{"x/fresh", {takes(5s)}};
  const FallbackClient before = pool_of(world, lowest_latency(), {known, ScriptedProvider{"x/gone"}});
  while (known.send_count() < 3) static_cast<void>(before.chat("hello"));
  for (const Strategy& strategy : {lowest_latency({.exploration = 0}), highest_throughput({.exploration = 0})}) {
    const ScriptedProvider newcomer{"x/newcomer", {takes(5s)}};
    const FallbackClient client = pool_of(world, strategy, {known, newcomer});
    for (int i = 0; i < 50; ++i) static_cast<void>(world.start(client, "hello"));
    world.run_for(4s);
    CHECK(newcomer.send_count() <= 1);
    world.run_all();
  }
}

TEST_CASE("load counts: the fast one is not buried while another is idle") {
  VirtualRuntime world;
  const ScriptedProvider fast{"x/fast", {takes(1s)}};
  const ScriptedProvider slow{"x/slow", {takes(2s)}};
  const FallbackClient client = pool_of(world, lowest_latency({.exploration = 0}), {fast, slow});
  for (int i = 0; i < 4; ++i) static_cast<void>(client.chat("hello"));
  CHECK(pool_of(world, ordered(), {slow}).chat("hello"));
  CHECK(pool_of(world, ordered(), {fast}).chat("hello"));
  const std::size_t fast_before = fast.send_count();
  const std::size_t slow_before = slow.send_count();
  for (int i = 0; i < 30; ++i) static_cast<void>(world.start(client, "hello"));
  world.run_all();
  CHECK(fast.send_count() - fast_before == 20);  // 1 s x (19 + 1) = 2 s x (9 + 1)
  CHECK(slow.send_count() - slow_before == 10);
}

TEST_CASE("the one that writes fastest is asked") {
  VirtualRuntime world;
  const auto writes = [](Duration time) { return deltas({"one ", "two"}, time).usage(10, 100).finish(); };
  const ScriptedProvider quick{"x/quick", {writes(1s)}};  // 100 tokens a second
  const ScriptedProvider slow{"x/slow", {writes(4s)}};    // 25
  const FallbackClient client = pool_of(world, highest_throughput({.exploration = 0}), {slow, quick});
  const auto stream = [&] {
    ChatStream events = client.stream("hello");
    while (events.next() != nullptr) {
    }
    return std::string{events.result()->served_by.model()};
  };
  for (const ScriptedProvider& target : {quick, slow}) CHECK(pool_of(world, ordered(), {target}).chat("hello"));
  for (int i = 0; i < 50; ++i) CHECK(stream() == "quick");
  const ClientSnapshot snapshot = client.snapshot();
  REQUIRE(snapshot.candidates[1].tokens_per_second);
  CHECK(std::abs(snapshot.candidates[1].tokens_per_second->value - 100) < 5);
}

TEST_CASE("exploration is a share of the calls") {
  CHECK_THROWS_AS(lowest_latency({.exploration = 1.5}), std::invalid_argument);
  CHECK_THROWS_AS(highest_throughput({.exploration = -0.1}), std::invalid_argument);
  CHECK_THROWS_AS(lowest_latency({.exploration = std::nan("")}), std::invalid_argument);
}

}  // namespace lowest_latency_test
