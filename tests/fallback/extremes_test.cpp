#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "backstop/fallback_client.hpp"
#include "backstop/observe/metrics.hpp"
#include "backstop/policies/standard.hpp"
#include "backstop/testing/faults.hpp"
#include "backstop/testing/matchers.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace extremes_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

constexpr int most = std::numeric_limits<int>::max();

Target priced(std::string_view name) {
  ModelFacts facts;
  facts.price = Price{Money::usd(1e-6), Money::usd(2e-6)};
  const Target bare = Target::parse(name);
  return Target{bare.provider(), bare.model(), facts};
}

StandardOptions with_budget() {
  StandardOptions options;
  options.cost_cap = CostCapOptions{.budgets = {Budget{{.per_period = Money::usd(100)}}}};
  return options;
}

}  // namespace

TEST_CASE("when the clock stands still nothing divides by zero and nobody starves", "[scenario-211]") {
  VirtualRuntime runtime;
  const ScriptedProvider first{priced("a/m"), {connection_refused()}};
  const ScriptedProvider second{priced("b/m"), {answer("hi").usage(10, 20)}};
  auto metrics = std::make_shared<Metrics>();
  FallbackOptions options;
  options.recovery.max_wait = 0s;
  options.runtime = runtime.share();
  options.observers = {metrics};
  const FallbackClient client{{first | standard(with_budget()), second | standard(with_budget())}, options};

  std::vector<std::shared_ptr<VirtualCall>> calls;
  for (int i = 0; i < 1000; ++i) calls.push_back(runtime.start(client, "hello"));
  runtime.run_all();
  CHECK(runtime.elapsed() == 0s);
  for (const auto& call : calls) REQUIRE(answered_by(call->result(), "b/m"));
  for (int i = 0; i < 1000; ++i) REQUIRE(answered_by(client.chat("hello"), "b/m"));
  CHECK(runtime.elapsed() == 0s);

  const MetricsSnapshot seen = metrics->snapshot();
  CHECK(seen.calls == 1000);
  CHECK(seen.rescued_share() == 1.0);
  CHECK(std::isfinite(seen.fallback_rate()));
  REQUIRE(seen.find("b/m") != nullptr);
  CHECK(std::isfinite(seen.find("b/m")->success_rate()));
  CHECK(seen.find("b/m")->elapsed == 0s);
  CHECK(runtime.idle());
}

TEST_CASE("the longest spans and the largest counts are limits like any other", "[scenario-212]") {
  VirtualRuntime runtime;
  const TimeoutOptions endless{.connect = Duration::max(),
                               .first_byte = Duration::max(),
                               .first_token = Duration::max(),
                               .idle = Duration::max(),
                               .attempt = Duration::max()};
  StandardOptions options{.timeout = endless};
  options.circuit_breaker = {
      .consecutive_failures = most, .min_calls = most, .open_for = Duration::max(), .open_for_max = Duration::max()};
  options.retry = {.max_attempts = most,
                   .max_attempts_with_fallback = most,
                   .initial = Duration::max(),
                   .max = Duration::max(),
                   .throttle_initial = Duration::max(),
                   .throttle_max = Duration::max(),
                   .max_server_wait = Duration::max(),
                   .failover_wait = Duration::max(),
                   .min_attempt_time = Duration::max()};
  FallbackOptions fallback_options;
  fallback_options.recovery.max_wait = 0s;
  fallback_options.runtime = runtime.share();
  fallback_options.limits = {.deadline = Duration::max(), .max_attempts = most};

  for (const Duration hint : {Duration::max(), Duration::max() - 1ns, Duration{24h * 365 * 290}, Duration::zero()}) {
    CAPTURE(hint.count());
    const ScriptedProvider first{"a/m", {rate_limited(hint), overloaded(hint), server_error()}};
    const ScriptedProvider second{"b/m", {answer("hi").after(24h)}};
    const FallbackClient client{{first | standard(options), second | standard(options)}, fallback_options};
    const auto reply = client.chat("hello");
    CHECK(answered_by(reply, "b/m"));
    CHECK(answered_by(client.chat("hello"), "b/m"));
    CHECK(runtime.idle());
  }
}

TEST_CASE("waits and times of zero are taken as they are", "[scenario-212]") {
  VirtualRuntime runtime;
  StandardOptions options;
  options.retry.initial = 0s;
  options.retry.max = 0s;
  options.retry.throttle_initial = 0s;
  options.retry.throttle_max = 0s;
  options.retry.failover_wait = 0s;
  options.retry.min_attempt_time = 0s;
  options.retry.max_server_wait = 0s;
  const ScriptedProvider only{"a/m", {overloaded(0s), server_error(), answer("hi")}};
  const auto reply = runtime.call(only | standard(options), "hello");
  CHECK(answers(reply, "hi"));
  CHECK(sends(reply, 3));
  CHECK(runtime.elapsed() == 0s);

  const ScriptedProvider slow{"a/m", {answer("hi").after(1ns)}};
  CHECK(fails_with(runtime.call(slow | standard(options), "hello", {.deadline = 0s}), ErrorKind::deadline_exceeded));
  CHECK(fails_with(runtime.call(slow | timeout(1ns), "hello", {.deadline = 1s}), ErrorKind::timeout));
}

}  // namespace extremes_test
