#include "backstop/policies/circuit_breaker.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/observe/observer.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"
#include "context_edit.hpp"
#include "support/standing.hpp"

namespace circuit_breaker_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

struct Lab {
  explicit Lab(std::vector<Step> steps, CircuitBreakerOptions options = {.jitter = 0})
      : model{"openai/gpt-5", std::move(steps)},
        breaker{CircuitBreaker::create(std::move(options))},
        guarded{model | circuit_breaker(breaker)} {}

  Result<ChatResponse> call(const VirtualCallOptions& options = {}) { return runtime.call(guarded, "hello", options); }
  void calls(int count) {
    for (int i = 0; i < count; ++i) static_cast<void>(call());
  }
  BreakerSnapshot snapshot() { return breaker->snapshot(runtime.clock().now()); }

  VirtualRuntime runtime;
  ScriptedProvider model;
  std::shared_ptr<CircuitBreaker> breaker;
  Provider guarded;
};

}  // namespace

TEST_CASE("after five failures in a row nothing is sent any more, and the error says for how long",
          "[scenario-66][scenario-71][scenario-226]") {
  Lab lab{{error(ErrorKind::server_error)}};
  lab.calls(5);
  CHECK(lab.model.send_count() == 5);
  lab.runtime.run_for(10s);
  const auto refused = lab.call();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::circuit_open);
  CHECK(refused.error().retry_after == 20s);
  CHECK(refused.error().replay == ReplaySafety::not_sent);
  CHECK(refused.error().target == lab.model.target());
  REQUIRE(refused.error().attempts.size() == 1);
  CHECK_FALSE(refused.error().attempts.front().sent);
  CHECK(refused.error().attempts.front().outcome == ErrorKind::circuit_open);
  CHECK(lab.model.send_count() == 5);
}

TEST_CASE("a target that is well again is let in by two probes", "[scenario-74][scenario-158]") {
  Lab lab{{error(ErrorKind::overloaded), error(ErrorKind::overloaded), error(ErrorKind::overloaded),
           error(ErrorKind::overloaded), error(ErrorKind::overloaded), answer("back")}};
  lab.calls(5);
  CHECK(lab.breaker->state() == BreakerState::open);
  lab.runtime.run_for(30s);
  REQUIRE(lab.call());
  CHECK(lab.breaker->state() == BreakerState::half_open);
  REQUIRE(lab.call());
  CHECK(lab.breaker->state() == BreakerState::closed);
  CHECK(lab.snapshot().calls == 0);
}

TEST_CASE("what the table ignores never opens a breaker, what it calls a failure does", "[scenario-83][scenario-85]") {
  for (const ErrorTraits& row : error_table) {
    INFO(row.name);
    Lab lab{{error(row.kind)}};
    lab.calls(10);
    CHECK((lab.breaker->state() == BreakerState::open) == (row.breaker == BreakerVerdict::failure));
    if (row.breaker == BreakerVerdict::ignored) CHECK(lab.snapshot().calls == 0);
    if (row.breaker == BreakerVerdict::success) CHECK(lab.snapshot().calls == 10);
  }
}

TEST_CASE("a failure says to a breaker what its cause says") {
  Error error{ErrorKind::stream_interrupted, ""};
  CHECK(verdict_of(error) == BreakerVerdict::failure);
  error.cause = ErrorKind::rate_limited;
  CHECK(verdict_of(error) == BreakerVerdict::ignored);
  error.cause = ErrorKind::timeout;
  CHECK(verdict_of(error) == BreakerVerdict::failure);
  error.timeout_limit = TimeoutLimit::deadline_share;
  CHECK(verdict_of(error) == BreakerVerdict::ignored);
}

TEST_CASE("callers who cancel or run out of time say nothing of the target", "[scenario-84][scenario-65]") {
  Lab lab{{silence()}};
  SECTION("cancelled") {
    for (int i = 0; i < 10; ++i) {
      const auto pending = lab.runtime.start(lab.guarded, "hello");
      lab.runtime.at(lab.runtime.elapsed() + 1s, [&] { pending->cancel(); });
      lab.runtime.run(*pending);
      CHECK(pending->result().error().kind == ErrorKind::cancelled);
    }
  }
  SECTION("short deadlines") {
    for (int i = 0; i < 10; ++i) CHECK(lab.call({.deadline = 50ms}).error().kind == ErrorKind::deadline_exceeded);
  }
  CHECK(lab.breaker->state() == BreakerState::closed);
  CHECK(lab.snapshot().calls == 0);
}

TEST_CASE("a probe that is cancelled gives its permit to the next", "[scenario-75]") {
  Lab lab{{error(ErrorKind::server_error), error(ErrorKind::server_error), error(ErrorKind::server_error),
           error(ErrorKind::server_error), error(ErrorKind::server_error), silence(), answer("back")}};
  lab.calls(5);
  lab.runtime.run_for(30s);
  const auto probe = lab.runtime.start(lab.guarded, "hello");
  lab.runtime.run_for(1s);
  CHECK(lab.call().error().kind == ErrorKind::circuit_open);  // one probe at a time
  lab.runtime.at(lab.runtime.elapsed(), [&] { probe->cancel(); });
  lab.runtime.run(*probe);
  CHECK(lab.breaker->state() == BreakerState::half_open);
  CHECK_FALSE(lab.snapshot().probe_out);
  CHECK(lab.call());
}

TEST_CASE("a probe that ends with 400 or 429 proves nothing", "[scenario-76]") {
  Lab lab{{error(ErrorKind::server_error), error(ErrorKind::server_error), error(ErrorKind::server_error),
           error(ErrorKind::server_error), error(ErrorKind::server_error), error(ErrorKind::invalid_request),
           error(ErrorKind::rate_limited)}};
  lab.calls(5);
  lab.runtime.run_for(30s);
  for (int i = 0; i < 2; ++i) {
    CHECK(lab.call().error().kind != ErrorKind::circuit_open);
    CHECK(lab.breaker->state() == BreakerState::half_open);
    CHECK_FALSE(lab.snapshot().probe_out);
  }
}

TEST_CASE("a streaming probe has its verdict at first content", "[scenario-82]") {
  Lab lab{{error(ErrorKind::server_error), error(ErrorKind::server_error), error(ErrorKind::server_error),
           error(ErrorKind::server_error), error(ErrorKind::server_error), deltas({"a", "b"}, 4min).after(2s).cut(),
           answer("short")}};
  EventLog log{lab.runtime.runtime()};
  lab.calls(5);
  lab.runtime.run_for(30s);
  const auto probe = lab.runtime.start(lab.guarded, "hello", {.sink = &log});
  lab.runtime.run_for(2s);
  CHECK(lab.snapshot().probe_successes == 1);
  CHECK(lab.call());
  CHECK(lab.breaker->state() == BreakerState::closed);
  lab.runtime.run(*probe);
  CHECK(probe->result().error().kind == ErrorKind::stream_interrupted);
  CHECK(lab.snapshot().failures == 1);  // in the closed window
}

TEST_CASE("the server's hint lengthens the open time", "[scenario-91]") {
  Lab lab{{error(ErrorKind::overloaded, {.retry_after = 90s})}};
  lab.calls(5);
  CHECK(lab.call().error().retry_after == 90s);
}

TEST_CASE("an open breaker answers at once, whatever the deadline", "[scenario-99]") {
  Lab lab{{error(ErrorKind::server_error)}};
  lab.calls(5);
  const Duration before = lab.runtime.elapsed();
  const auto refused = lab.call({.deadline = 5s});
  CHECK(refused.error().kind == ErrorKind::circuit_open);
  CHECK(refused.error().retry_after == 30s);
  CHECK(lab.runtime.elapsed() == before);
}

TEST_CASE("calendar time says nothing to a breaker", "[scenario-90]") {
  Lab lab{{error(ErrorKind::server_error)}};
  lab.calls(5);
  lab.runtime.clock().jump_wall(24h);
  CHECK(lab.call().error().retry_after == 30s);
  lab.runtime.clock().jump_wall(-48h);
  CHECK(lab.call().error().retry_after == 30s);
}

TEST_CASE("a provider with an open breaker says so before it is called", "[scenario-152]") {
  Lab lab{{error(ErrorKind::server_error)}};
  CHECK(testing::standing_of(lab.guarded, lab.runtime.clock().now()).ready());
  lab.calls(5);
  const TimePoint now = lab.runtime.clock().now();
  const Standing standing = testing::standing_of(lab.guarded, now);
  CHECK_FALSE(standing.ready());
  CHECK(standing.why == ErrorKind::circuit_open);
  CHECK(standing.ready_at == now + 30s);
  CHECK(testing::standing_of(lab.guarded, now + 30s).ready());
  CHECK(lab.breaker->state() == BreakerState::open);  // asking changes nothing
}

TEST_CASE("a forced probe passes an open breaker, but not an isolated one", "[scenario-153][scenario-86]") {
  Lab lab{{error(ErrorKind::server_error), error(ErrorKind::server_error), error(ErrorKind::server_error),
           error(ErrorKind::server_error), error(ErrorKind::server_error), answer("back")}};
  const Provider forced = lab.guarded | edit_context([](CallContext& context) {
    RoutingHint hint = context.hint();
    hint.forced_probe = true;
    context.set_hint(hint);
  });
  lab.calls(5);
  CHECK(lab.runtime.call(forced, "hello"));
  CHECK(lab.breaker->state() == BreakerState::half_open);
  lab.breaker->isolate();
  const auto refused = lab.runtime.call(forced, "hello");
  CHECK(refused.error().kind == ErrorKind::circuit_open);
  CHECK(refused.error().retry_after == std::nullopt);
}

TEST_CASE("with a ramp a target that is well again takes its share step by step, and another takes the rest",
          "[scenario-171]") {
  Lab lab{{error(ErrorKind::server_error), error(ErrorKind::server_error), error(ErrorKind::server_error),
           error(ErrorKind::server_error), error(ErrorKind::server_error), answer("first")},
          {.jitter = 0, .ramp = 30s}};
  const ScriptedProvider second{"anthropic/claude", {answer("second")}};
  const FallbackClient client{lab.guarded, second};
  lab.calls(5);
  lab.runtime.run_for(30s);
  lab.calls(2);
  REQUIRE(lab.breaker->state() == BreakerState::closed);

  const auto share = [&] {
    int by_first = 0;
    for (int i = 0; i < 1000; ++i) {
      const auto reply = lab.runtime.call(client, "hello");
      REQUIRE(reply);
      if (reply->served_by == lab.model.target()) {
        ++by_first;
      } else {
        CHECK(reply->attempts.front().outcome == ErrorKind::circuit_open);
        CHECK_FALSE(reply->attempts.front().sent);
      }
    }
    return by_first;
  };
  CHECK(std::abs(share() - 100) < 40);
  lab.runtime.run_for(10s);
  CHECK(std::abs(share() - 400) < 60);
  lab.runtime.run_for(10s);
  CHECK(std::abs(share() - 700) < 60);
  lab.runtime.run_for(10s);
  CHECK(share() == 1000);
}

TEST_CASE("a ramp never refuses what nobody else would take") {
  Lab lab{{error(ErrorKind::server_error), error(ErrorKind::server_error), error(ErrorKind::server_error),
           error(ErrorKind::server_error), error(ErrorKind::server_error), answer("back")},
          {.jitter = 0, .ramp = 30s}};
  lab.calls(5);
  lab.runtime.run_for(30s);
  lab.calls(2);
  for (int i = 0; i < 200; ++i) CHECK(lab.call());  // alone
  CHECK(testing::standing_of(lab.guarded, lab.runtime.clock().now()).ready());

  const auto isolated = CircuitBreaker::create();
  const ScriptedProvider second{"anthropic/claude"};
  const FallbackClient client{lab.guarded, second | circuit_breaker(isolated)};
  isolated->isolate();
  for (int i = 0; i < 200; ++i) CHECK(lab.runtime.call(client, "hello"));
}

TEST_CASE("a policy makes a breaker of its own for every provider; a handle is one for all") {
  VirtualRuntime runtime;
  const ScriptedProvider bad{"openai/gpt-5", {error(ErrorKind::server_error)}};
  const ScriptedProvider good{"anthropic/claude", {answer("hi")}};
  const auto fail = [&](const Provider& provider) {
    for (int i = 0; i < 5; ++i) static_cast<void>(runtime.call(provider, "hello"));
  };
  SECTION("recipe") {
    const Policy recipe = circuit_breaker();
    fail(bad | recipe);
    CHECK(runtime.call(good | recipe, "hello"));
  }
  SECTION("handle") {
    const Policy handle = circuit_breaker(CircuitBreaker::create());
    fail(bad | handle);
    CHECK(runtime.call(good | handle, "hello").error().kind == ErrorKind::circuit_open);
  }
}

TEST_CASE("a call that meets one breaker twice is counted once, and may be its probe") {
  VirtualRuntime runtime;
  const auto breaker =
      CircuitBreaker::create({.consecutive_failures = 2, .open_for = 2s, .jitter = 0, .successes_to_close = 1});
  const ScriptedProvider model{
      "one/a", {error(ErrorKind::server_error), error(ErrorKind::server_error), answer("back")}};
  FallbackOptions options;
  options.recovery.max_wait = 0s;
  options.runtime = runtime.share();
  const FallbackClient inner{model | circuit_breaker(breaker), options};
  const FallbackClient outer{inner | circuit_breaker(breaker), options};
  const bool around = GENERATE(false, true);
  const auto ask = [&] {
    return around ? inner.chat("hello", {.around = circuit_breaker(breaker)}) : outer.chat("hello");
  };
  CHECK_FALSE(ask());
  CHECK(breaker->snapshot(runtime.clock().now()).failures == 1);
  CHECK_FALSE(ask());
  CHECK(breaker->state() == BreakerState::open);
  CHECK(model.send_count() == 2);
  runtime.run_for(2s);
  CHECK(ask());
  CHECK(breaker->state() == BreakerState::closed);
  CHECK(ask());
  CHECK(breaker->snapshot(runtime.clock().now()).calls == 1);
}

TEST_CASE("a breaker that has opened for ever does not say that it was isolated by hand") {
  const auto breaker = CircuitBreaker::create(
      {.consecutive_failures = 1, .open_for = Duration::max(), .open_for_max = Duration::max(), .jitter = 0});
  VirtualRuntime runtime;
  const ScriptedProvider model{"one/a", {error(ErrorKind::server_error)}};
  FallbackOptions options;
  options.recovery.max_wait = 0s;
  options.runtime = runtime.share();
  const FallbackClient client{model | circuit_breaker(breaker), options};
  CHECK_FALSE(client.chat("hello"));
  const Standing open = standing_of(model | circuit_breaker(breaker), runtime.clock().now());
  CHECK(open.what == "circuit_open");
  breaker->isolate();
  const Standing isolated = standing_of(model | circuit_breaker(breaker), runtime.clock().now());
  CHECK(isolated.what == "isolated by hand");
}

TEST_CASE("the observers of the call are told of the breaker's changes") {
  struct Diary final : Observer {
    void on_breaker(const BreakerEvent& event) noexcept override {
      lines.push_back(event.target.name() + " " + std::string{event.to});
    }
    std::vector<std::string> lines;
  };
  const auto diary = std::make_shared<Diary>();
  const std::vector<std::shared_ptr<Observer>> observers{diary};
  Lab lab{{error(ErrorKind::server_error)}};
  const Provider observed =
      lab.guarded | edit_context([&](CallContext& context) { context.state().observers = &observers; });
  for (int i = 0; i < 6; ++i) static_cast<void>(lab.runtime.call(observed, "hello"));
  CHECK(diary->lines == std::vector<std::string>{"openai/gpt-5 open"});
}

TEST_CASE("a breaker describes itself by what is not usual") {
  const ScriptedProvider model{"openai/gpt-5"};
  CHECK((Provider{model} | circuit_breaker()).describe() == "openai/gpt-5 | circuit_breaker");
  CHECK(circuit_breaker({.consecutive_failures = 3, .open_for = 20s}).describe() ==
        "circuit_breaker(consecutive_failures = 3, open_for = 20s)");
  CHECK_THROWS_AS(circuit_breaker({.failure_rate = 0}), std::invalid_argument);
  CHECK_THROWS_AS(circuit_breaker(std::shared_ptr<CircuitBreaker>{}), std::invalid_argument);
}

}  // namespace circuit_breaker_test
