#include <catch2/catch_test_macros.hpp>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "backstop/policies/circuit_breaker.hpp"
#include "backstop/policies/standard.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"
#include "support/standing.hpp"

namespace cancellation_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

std::size_t endings(const EventLog& log) {
  return log.count(StreamEvent::Type::finished) + log.count(StreamEvent::Type::failed);
}

/// A day of a bad provider: whatever can happen after a send, drawn at random.
std::vector<Step> bad_day(std::mt19937_64& random, int steps) {
  std::vector<Step> script;
  for (int i = 0; i < steps; ++i) {
    const Duration span = std::chrono::milliseconds{random() % 3000};
    switch (random() % 10) {
      case 0: script.push_back(error(ErrorKind::server_error).after(span)); break;
      case 1: script.push_back(error(ErrorKind::rate_limited, {.retry_after = span})); break;
      case 2: script.push_back(error(ErrorKind::overloaded).after(span)); break;
      case 3: script.push_back(testing::silence()); break;
      case 4: script.push_back(no_connection()); break;
      case 5: script.push_back(deltas({"half"}, span).cut()); break;
      case 6: script.push_back(error(ErrorKind::malformed_response)); break;
      default: script.push_back(stream({"a", "whole", "answer"}, span)); break;
    }
  }
  return script;
}

}  // namespace

TEST_CASE("a call that was cancelled before it began sends nothing", "[scenario-196]") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m"};
  const auto call = runtime.start(provider | standard(), "hello");
  call->cancel();
  runtime.run(*call);
  CHECK(call->result().error().kind == ErrorKind::cancelled);
  CHECK(provider.send_count() == 0);
  CHECK(runtime.idle());
}

TEST_CASE("cancelling a call that has ended changes nothing", "[scenario-197]") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m"};
  const auto call = runtime.start(provider | standard(), "hello");
  runtime.run(*call);
  call->cancel();
  runtime.run_for(1h);
  CHECK(call->result()->text() == "ok");
  CHECK(call->completions() == 1);
}

TEST_CASE("a stream can be cancelled from its own event", "[scenario-198]") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  const ScriptedProvider provider{"a/m", {stream({"a", "b", "c"}, 1s)}};
  const auto call = runtime.start(provider | standard(), "hello", {.sink = &log});
  log.on_each([&](const RecordedEvent& event) {
    if (event.delta == "b") call->cancel();
  });
  runtime.run(*call);
  CHECK(call->result().error().kind == ErrorKind::cancelled);
  CHECK(call->result().error().partial_text == "ab");
  CHECK(log.text() == "ab");
  CHECK(endings(log) == 1);
  CHECK(runtime.since(call->ended_at()) == 1s);
}

TEST_CASE("whatever moment the cancellation meets, there is one end", "[scenario-199]") {
  std::mt19937_64 random{3};
  for (int i = 0; i < 10'000; ++i) {
    VirtualRuntime runtime{static_cast<std::uint64_t>(i) + 1};
    EventLog log{runtime.runtime()};
    const ScriptedProvider provider{"a/m", bad_day(random, 3)};
    const auto call = runtime.start(provider | timeout({.connect = 1s, .first_byte = 2s, .idle = 3s}) | retry(),
                                    "hello", {.deadline = 20s, .sink = &log});
    // On the script's own grid of milliseconds, so that both often fall on one instant.
    runtime.at(std::chrono::milliseconds{random() % 8000}, [&] { call->cancel(); });
    runtime.run(*call);
    runtime.run_for(30s);
    REQUIRE(call->completions() == 1);
    REQUIRE(endings(log) == 1);
    REQUIRE(log.events().back().type >= StreamEvent::Type::finished);
    REQUIRE(runtime.idle());
  }
}

TEST_CASE("a caller in a hurry does not open the breaker of a healthy target", "[scenario-64]") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m", {answer("hi").after(200ms)}};
  const Provider guarded = provider | standard();
  for (int i = 0; i < 100; ++i) {
    const auto reply = runtime.call(guarded, "hello", {.deadline = 50ms});
    REQUIRE(reply.error().kind == ErrorKind::deadline_exceeded);
  }
  CHECK(testing::standing_of(guarded, runtime.clock().now()).ready());
  CHECK(runtime.call(guarded, "hello")->text() == "hi");
  CHECK(provider.send_count() == 101);
}

TEST_CASE("a long day of faults and cancellations leaves nothing behind, and can be repeated",
          "[scenario-218][scenario-219]") {
  const auto run = [](std::uint64_t seed) {
    std::mt19937_64 random{seed};
    VirtualRuntime runtime{seed};
    const ScriptedProvider provider{"a/m", bad_day(random, 20'000)};
    const Provider guarded = provider | standard();
    std::vector<std::shared_ptr<VirtualCall>> calls;
    std::vector<std::unique_ptr<EventLog>> logs;
    Duration next{0};
    for (int i = 0; i < 10'000; ++i) {
      VirtualCallOptions options;
      options.deadline = std::chrono::milliseconds{100 + random() % 60'000};
      if (random() % 2 == 0) {
        options.sink = logs.emplace_back(std::make_unique<EventLog>(runtime.runtime())).get();
      }
      next += std::chrono::milliseconds{random() % 2000};
      runtime.at(next, [&runtime, &calls, &guarded, options] {
        calls.push_back(runtime.start(guarded, "hello", options));
      });
      if (random() % 5 == 0) {
        const std::size_t which = static_cast<std::size_t>(i);
        runtime.at(next + std::chrono::milliseconds{random() % 5000}, [&calls, which] {
          if (which < calls.size()) calls[which]->cancel();
        });
      }
    }
    runtime.run_for(next);
    runtime.run_all();
    runtime.run_for(10s);  // the last cancellations come too late
    std::string trace;
    for (const auto& call : calls) {
      REQUIRE(call->completions() == 1);
      const Result<ChatResponse>& result = call->result();
      const Ledger& attempts = result ? result->attempts : result.error().attempts;
      trace += std::to_string(call->ended_at().time_since_epoch().count()) + ' ';
      trace += result ? "ok" : to_string(result.error().kind);
      trace += ' ' + std::to_string(attempts.size()) + '\n';
    }
    CHECK(calls.size() == 10'000);
    CHECK(runtime.idle());
    return trace;
  };
  const std::string trace = run(17);
  CHECK(trace == run(17));
  CHECK(trace != run(18));
}

}  // namespace cancellation_test
