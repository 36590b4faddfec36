#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "backstop/fallback_client.hpp"
#include "backstop/policy.hpp"
#include "backstop/policies/timeout.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace scripted_provider_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

/// Without the limits that every attempt has.
Policy unlimited() {
  constexpr Duration off = Duration::max();
  return timeout({.connect = off, .first_byte = off, .first_token = off, .idle = off, .attempt = off});
}

}  // namespace

TEST_CASE("a scripted provider answers its steps one after the other, then the last one again") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"openai/gpt-5", {error(ErrorKind::overloaded), answer("one"), answer("two")}};

  const auto failed = runtime.call(provider, "hello");
  REQUIRE_FALSE(failed);
  CHECK(failed.error().kind == ErrorKind::overloaded);
  CHECK(failed.error().http_status == 503);
  CHECK(failed.error().target.name() == "openai/gpt-5");
  CHECK(runtime.call(provider, "hello")->text() == "one");
  CHECK(runtime.call(provider, "hello")->text() == "two");
  CHECK(runtime.call(provider, "hello")->text() == "two");
  CHECK(provider.send_count() == 4);
  CHECK(provider.sends().front().request == ChatRequest{"hello"});
}

TEST_CASE("virtual time moves exactly as far as the script says, in no time") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"openai/gpt-5", {answer("late").connects_after(1s).after(24h)}};

  const auto reply = runtime.call(provider | unlimited(), "hello");
  REQUIRE(reply);
  CHECK(runtime.elapsed() == 24h + 1s);
  CHECK(reply->elapsed == 24h + 1s);
  REQUIRE(reply->attempts.size() == 1);
  CHECK(reply->attempts[0].elapsed == 24h + 1s);
  CHECK(reply->attempts[0].ttft == 24h + 1s);
}

TEST_CASE("deltas come one by one, and the assembled answer is returned all the same") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  Step script = deltas({"Hel", "lo"}, 10ms);
  script.tool_arguments("{").tool_call("page", "{}").usage(3, 5).finish();
  const ScriptedProvider provider{"openai/gpt-5", {script}};

  const auto reply = runtime.call(provider, "hello", {.sink = &log});
  REQUIRE(reply);
  CHECK(reply->text() == "Hello");
  CHECK(reply->tool_calls().size() == 1);
  CHECK(reply->usage.output_tokens == 5);
  REQUIRE(log.events().size() == 5);
  CHECK(log.events()[1].delta == "lo");
  CHECK(runtime.since(log.events()[1].at) == 10ms);
  CHECK(log.events()[3].tool_call->name == "page");
  CHECK(log.events()[4].type == StreamEvent::Type::finished);
  CHECK(log.text() == "Hello");
}

TEST_CASE("a stream that breaks after content is interrupted, with its cause and the text so far") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  Step script = deltas({"half"});
  script.fail(ErrorKind::overloaded);
  const ScriptedProvider provider{"openai/gpt-5", {script}};

  const auto reply = runtime.call(provider, "hello", {.sink = &log});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::stream_interrupted);
  CHECK(reply.error().cause == ErrorKind::overloaded);
  CHECK(reply.error().committed);
  CHECK(reply.error().partial_text == "half");
}

TEST_CASE("a consumer that does not read holds the stream") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  const ScriptedProvider provider{"openai/gpt-5", {stream({"a", "b"}, 1s)}};

  const auto call = runtime.start(provider, "hello", {.sink = &log});
  runtime.at(500ms, [&] { log.pause(); });
  runtime.at(10s, [&] { log.resume(); });
  runtime.run(*call);
  REQUIRE(log.events().size() == 3);
  CHECK(runtime.since(log.events()[1].at) == 10s);
  CHECK(runtime.since(call->ended_at()) == 10s);
  CHECK(log.consumer_time() == 9500ms);
  CHECK(runtime.idle());
}

TEST_CASE("a silent provider ends with the caller's deadline or cancellation") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"openai/gpt-5", {testing::silence()}};

  const auto late = runtime.call(provider, "hello", {.deadline = 3s});
  REQUIRE_FALSE(late);
  CHECK(late.error().kind == ErrorKind::deadline_exceeded);
  CHECK(runtime.elapsed() == 3s);

  const auto call = runtime.start(provider, "hello");
  runtime.at(5s, [&] { call->cancel(); });
  runtime.run(*call);
  CHECK(call->result().error().kind == ErrorKind::cancelled);
  CHECK(runtime.since(call->ended_at()) == 5s);
  CHECK(runtime.idle());
}

TEST_CASE("a call that waits for what never comes is an error of the test, not a hang") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"openai/gpt-5", {testing::silence()}};
  CHECK_THROWS_AS(runtime.call(provider | unlimited(), "hello"), std::logic_error);
}

TEST_CASE("many calls run at once on virtual time") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"openai/gpt-5", {answer("slow").after(10s)}};
  std::vector<std::shared_ptr<VirtualCall>> calls;
  for (int i = 0; i < 100; ++i) calls.push_back(runtime.start(provider, "hello"));
  runtime.run_all();
  CHECK(runtime.elapsed() == 10s);
  for (const auto& call : calls) {
    CHECK(call->result()->text() == "slow");
    CHECK(call->completions() == 1);
  }
  CHECK(runtime.idle());
}

TEST_CASE("one script is used, extended and read by several threads") {
  const ScriptedProvider provider{"openai/gpt-5"};
  std::atomic<int> answered{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      VirtualRuntime runtime;
      for (int call = 0; call < 100; ++call) {
        provider.then(answer("hi"));
        answered += runtime.call(provider, "hello") ? 1 : 0;
        static_cast<void>(provider.sends());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(answered == 400);
  CHECK(provider.send_count() == 400);
}

TEST_CASE("running for a while does everything that is due by then") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"openai/gpt-5", {answer("ok").after(5s)}};
  const auto call = runtime.start(provider, "hello");
  runtime.run_for(4s);
  CHECK_FALSE(call->done());
  CHECK(runtime.elapsed() == 4s);
  runtime.run_for(1s);
  CHECK(call->done());
  CHECK(runtime.elapsed() == 5s);
}

TEST_CASE("the calendar can be set without touching the steady clock") {
  VirtualClock clock;
  const TimePoint steady = clock.now();
  const WallTime wall = clock.wall_now();
  clock.jump_wall(-24h);
  CHECK(clock.now() == steady);
  CHECK(clock.wall_now() == wall - 24h);
  clock.advance(1s);
  clock.advance_to(steady);  // time does not go back
  CHECK(clock.now() == steady + 1s);
}

TEST_CASE("an action may plan the next one") {
  VirtualRuntime runtime;
  std::vector<Duration> times;
  std::function<void()> action = [&] {
    times.push_back(runtime.elapsed());
    if (times.size() < 100) runtime.at(runtime.elapsed() + 1s, action);
  };
  runtime.at(1s, action);
  runtime.run_for(1h);
  CHECK(times.size() == 100);
  CHECK(times.back() == 100s);
  CHECK(runtime.idle());
}

TEST_CASE("what a step waits before its answer comes after the connection") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m", {answer("hi").connects_after(1s).after(4s)}};
  const auto reply = runtime.call(provider | timeout({.connect = 2s}), "hello");
  REQUIRE(reply);
  CHECK(runtime.elapsed() == 5s);
}

TEST_CASE("running for no time does everything that needs none, one thing after the other") {
  VirtualRuntime runtime;
  FallbackOptions options;
  options.runtime = runtime.share();
  const FallbackClient client{{Provider{ScriptedProvider{"a/m", {answer("hi")}}}}, options};
  PendingCall first = client.start("hello");
  std::optional<PendingCall> second;
  first.on_done([&](const Result<ChatResponse>&) { second.emplace(client.start("hello")); });
  runtime.run_for(0s);
  CHECK(first.done());
  REQUIRE(second);
  CHECK(second->done());
  CHECK(runtime.elapsed() == 0s);
}

}  // namespace scripted_provider_test
