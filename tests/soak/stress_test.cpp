#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/observe/metrics.hpp"
#include "backstop/policies/bulkhead.hpp"
#include "backstop/policies/cache.hpp"
#include "backstop/routing/hedge.hpp"
#include "backstop/policies/rate_limit.hpp"
#include "backstop/policies/single_flight.hpp"
#include "backstop/policies/standard.hpp"
#include "backstop/providers/openai.hpp"
#include "backstop/testing/inject_faults.hpp"
#include "soak/simulated_provider.hpp"
#include "support/fault_server.hpp"

namespace stress_test {

// Eight threads on one client, in real time: everything an application may do at once. BACKSTOP_STRESS_SECONDS says for
// how long (2 unless set); the preset `tsan` sets a minute.

using namespace backstop;
using namespace std::chrono_literals;

namespace {

constexpr int threads = 8;

std::chrono::seconds how_long() {
  const char* seconds = std::getenv("BACKSTOP_STRESS_SECONDS");
  return std::chrono::seconds{seconds != nullptr ? std::max(1, std::atoi(seconds)) : 2};
}

testing::FaultRates now_and_then() {
  return {.connection_refused = 0.02, .rate_limited = 0.02, .overloaded = 0.02, .server_error = 0.03, .cut = 0.03,
          .retry_after = 5ms, .latency_spread = 300us};
}

struct World {
  World() {
    RuntimeOptions runtime_options;
    runtime_options.seed = 1;
    runtime = std::make_shared<Runtime>(std::move(runtime_options));
    FallbackOptions options;
    options.runtime = runtime;
    options.limits = {.deadline = 2s, .max_attempts = 4};
    options.mid_stream = MidStream::restart;
    options.observers = {metrics};
    options.hedge = HedgeOptions{.min_samples = 20, .min_delay = 1ms, .budget = {.share = 0.5}};
    options.recovery = {.max_wait = 20ms, .probe_interval = 1ms, .probe_interval_max = 5ms, .min_attempt_time = 10ms};
    const auto guarded = [&](Provider provider) {
      RetryOptions quick{.initial = 1ms, .max = 2ms, .throttle_initial = 1ms, .throttle_max = 2ms, .min_attempt_time = 0ms};
      return std::move(provider) | testing::inject_faults(now_and_then()) | timeout({.first_token = 500ms}) |
             circuit_breaker(breaker) | bulkhead(sends) | rate_limit(account) | cost_cap(budget) |
             retry(std::move(quick));
    };
    server.always(faults::answer("over a socket"));
    const Provider served = openai_compatible(
        {.model = "m", .api_key = "key", .base_url = server.base_url("/v1"), .name = "served"});
    clients.push_back(std::make_unique<FallbackClient>(
        std::vector<Provider>{guarded(SimulatedProvider{"first", 500us}), guarded(SimulatedProvider{"second", 500us}),
                              served | standard() | single_flight() | cache({.any_temperature = true})},
        options));
  }

  [[nodiscard]] const FallbackClient& client() const { return *clients.front(); }

  faults::FaultServer server;
  std::shared_ptr<Runtime> runtime;
  std::shared_ptr<Metrics> metrics = std::make_shared<Metrics>();
  std::shared_ptr<CircuitBreaker> breaker = CircuitBreaker::create({.open_for = 20ms, .open_for_max = 40ms});
  Budget budget{{.per_period = Money::usd(1'000'000)}};
  ConcurrencyLimit sends{BulkheadOptions{.max_in_flight = 6, .max_queued = 20, .max_wait = 20ms}};
  RateLimit account{{.requests_per_minute = 600'000, .tokens_per_minute = 60'000'000, .max_wait = 20ms}};
  std::vector<std::unique_ptr<FallbackClient>> clients;
  std::atomic<std::uint64_t> ended{0};
};

/// One thing that an application does with a client.
void act(World& world, std::mt19937_64& random) {
  const FallbackClient& client = world.client();
  const CallOptions limits{.limits = {.deadline = std::chrono::milliseconds{1 + random() % 200}, .max_attempts = 3}};
  switch (random() % 10) {
    case 0:
    case 1:
    case 2: static_cast<void>(client.chat("hello", limits)); break;
    case 3: {
      ChatStream stream = client.stream("hello", limits);
      while (stream.next() != nullptr) {
      }
      break;
    }
    case 4: {
      ChatStream stream = client.stream("hello", limits);  // dropped after an event or none
      if (random() % 2 == 0) static_cast<void>(stream.next());
      break;
    }
    case 5: {
      PendingCall call = client.start("hello", limits);
      if (random() % 2 == 0) call.cancel();
      static_cast<void>(call.wait());
      break;
    }
    case 6: {
      std::vector<PendingCall> calls;
      for (int i = 0; i < 5; ++i) calls.push_back(client.start("hello", limits));
      world.ended += calls.size() - 1;
      break;  // all dropped at once
    }
    case 7:
      static_cast<void>(client.explain("hello"));
      static_cast<void>(client.describe());
      static_cast<void>(world.metrics->snapshot());
      --world.ended;  // no call
      break;
    case 8:
      world.breaker->isolate();
      world.breaker->reset();
      world.sends.resize(1 + static_cast<int>(random() % 8));
      world.account.change({.requests_per_minute = 100'000 + static_cast<std::int64_t>(random() % 500'000)},
                           world.runtime->clock().now());
      static_cast<void>(world.breaker->snapshot(world.runtime->clock().now()));
      --world.ended;
      break;
    default: static_cast<void>(client.chat("hello")); break;
  }
  ++world.ended;
}

}  // namespace

TEST_CASE("eight threads do everything at once to one client, and leave nothing behind", "[soak]") {
  World world;
  const auto end = std::chrono::steady_clock::now() + how_long();
  std::vector<std::thread> workers;
  for (int i = 0; i < threads; ++i) {
    workers.emplace_back([&world, end, i] {
      std::mt19937_64 random{static_cast<std::uint64_t>(i)};
      while (std::chrono::steady_clock::now() < end) act(world, random);
    });
  }
  for (std::thread& worker : workers) worker.join();

  const TimePoint now = world.runtime->clock().now();
  CHECK(world.ended > 0);
  CHECK(world.metrics->snapshot().calls == world.ended);  // exactly one end of each call
  CHECK(world.budget.snapshot(now).reserved == BudgetCharge{});
  CHECK_FALSE(world.breaker->probe_out());
  CHECK(world.sends.snapshot().in_flight == 0);
  CHECK(world.sends.snapshot().waiting == 0);
  CHECK(world.account.snapshot(now).requests->reserved == 0);
  CHECK(world.account.snapshot(now).waiting == 0);
}

}  // namespace stress_test
