#include "backstop/routing/mid_stream.hpp"

#include <catch2/catch_test_macros.hpp>

#include <stdexcept>
#include <string>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/circuit_breaker.hpp"
#include "backstop/routing/hedge.hpp"
#include "backstop/policies/intercept.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/policies/single_flight.hpp"
#include "backstop/policies/timeout.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace hold_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

struct Held {
  Held(std::vector<Provider> providers, StreamHold hold, MidStream then = MidStream::fail,
       std::optional<HedgeOptions> hedge = {})
      : client{std::move(providers), FallbackOptions{.mid_stream = then, .hold = hold, .hedge = std::move(hedge), .recovery = {.max_wait = 0s}, .runtime = world.share()}} {}

  Result<ChatResponse> ask() { return world.call(client, "hello", {.sink = &log}); }
  [[nodiscard]] Duration at(std::size_t event) const { return world.since(log.events().at(event).at); }

  VirtualRuntime world;
  EventLog log{world.runtime()};
  FallbackClient client;
};

// Four bytes are about a token.
constexpr StreamHold ten_tokens{.tokens = 10, .time = 1h};

}  // namespace

TEST_CASE("held content is handed over in order once there is enough of it") {
  const ScriptedProvider only{"one/a", {stream({"twelve bytes", " and twelve.", " and twenty of them.", " more"}, 1s)}};
  Held held{{only}, ten_tokens};
  const auto reply = held.ask();
  REQUIRE(reply);
  REQUIRE(held.log.events().size() == 5);
  CHECK(held.log.text() == "twelve bytes and twelve. and twenty of them. more");
  CHECK(held.at(0) == 2s);
  CHECK(held.at(1) == 2s);
  CHECK(held.at(2) == 2s);
  CHECK(held.at(3) == 3s);
}

TEST_CASE("held content is handed over when its time has come, counted from the first of it") {
  const ScriptedProvider only{"one/a", {stream({"a", "b", "c"}, 500ms).after(5s)}};
  Held held{{only}, {.tokens = 1000, .time = 800ms}};
  REQUIRE(held.ask());
  CHECK(held.log.text() == "abc");
  CHECK(held.at(0) == 5800ms);
  CHECK(held.at(1) == 5800ms);
  CHECK(held.at(2) == 6s);
  CHECK(held.world.idle());
}

TEST_CASE("a short answer is handed over at its end") {
  const ScriptedProvider only{"one/a", {stream({"a", "b"}, 1s)}};
  Held held{{only}, ten_tokens};
  const auto reply = held.ask();
  REQUIRE(reply);
  CHECK(held.log.text() == "ab");
  CHECK(held.log.events().back().type == StreamEvent::Type::finished);
  CHECK(held.at(0) == 1s);
}

TEST_CASE("a break while content is held is invisible") {
  const ScriptedProvider first{"one/a", {deltas({"Hel"}).cut(), answer("from one, again")}};
  const ScriptedProvider second{"two/b", {stream({"Good ", "day"})}};
  SECTION("the next target answers") {
    Held held{{first, second}, ten_tokens};
    const auto reply = held.ask();
    REQUIRE(reply);
    CHECK(reply->text() == "Good day");
    CHECK(held.log.text() == "Good day");
    CHECK(held.log.events().size() == 3);
    CHECK(reply->attempts[0].outcome == ErrorKind::stream_interrupted);
  }
  SECTION("the same target is asked again") {
    Held held{{Provider{first} | retry()}, ten_tokens};
    const auto reply = held.ask();
    REQUIRE(reply);
    CHECK(held.log.text() == "from one, again");
    CHECK(held.log.count(StreamEvent::Type::restarted) == 0);
  }
  SECTION("a complete tool call is held like the rest") {
    const ScriptedProvider calling{"one/a", {deltas({"x"}).tool_call("f", "{}").cut()}};
    Held held{{calling, second}, ten_tokens};
    REQUIRE(held.ask());
    CHECK(held.log.text() == "Good day");
    CHECK(held.log.count(StreamEvent::Type::tool_call) == 0);
  }
}

TEST_CASE("when nothing was handed over and nobody can answer, nothing is said to have been") {
  const ScriptedProvider only{"one/a", {deltas({"Hel"}).cut()}};
  Held held{{only}, ten_tokens};
  const auto reply = held.ask();
  REQUIRE_FALSE(reply);
  CHECK_FALSE(reply.error().committed);
  CHECK(reply.error().partial_text.empty());
  CHECK(held.log.events().size() == 1);
}

TEST_CASE("a break after the hold is judged by the policy that follows it") {
  const ScriptedProvider first{"one/a", {deltas({"more than ten tokens, which is forty bytes"}).cut()}};
  const ScriptedProvider second{"two/b", {stream({"Good ", "day"})}};
  SECTION("fail") {
    Held held{{first, second}, ten_tokens};
    const auto reply = held.ask();
    REQUIRE_FALSE(reply);
    CHECK(reply.error().committed);
    CHECK(second.send_count() == 0);
  }
  SECTION("restart") {
    Held held{{first, second}, ten_tokens, MidStream::restart};
    const auto reply = held.ask();
    REQUIRE(reply);
    CHECK(held.log.count(StreamEvent::Type::restarted) == 1);
    CHECK(held.log.text() == "Good day");
  }
}

TEST_CASE("limits and breakers see first content when it arrives, not when it is handed over") {
  const auto breaker = CircuitBreaker::create({.consecutive_failures = 1, .open_for = 1s, .successes_to_close = 1});
  const ScriptedProvider only{"one/a", {error(ErrorKind::server_error), stream({"a", "b"}, 10s).after(1s)}};
  Held held{{Provider{only} | timeout({.first_token = 2s}) | circuit_breaker(breaker)}, {.tokens = 1000, .time = 5s}};
  CHECK_FALSE(held.ask());
  held.world.run_for(2s);
  held.world.at(held.world.elapsed() + 2s, [&] {
    CHECK(breaker->state() == BreakerState::closed);
    CHECK(held.log.text().empty());
  });
  const auto reply = held.ask();
  REQUIRE(reply);
  CHECK(reply->attempts[0].ttft == 1s);
}

TEST_CASE("a consumer that stops reading holds up what follows the hold") {
  const ScriptedProvider only{
      "one/a", {stream({"more than ten tokens, which is forty bytes", "second", "third", "fourth"}, 1s)}};
  Held held{{only}, ten_tokens};
  held.log.on_each([&](const RecordedEvent& event) {
    if (event.delta == "second") held.log.pause();
  });
  held.world.at(60s, [&] { held.log.resume(); });
  REQUIRE(held.ask());
  CHECK(held.at(1) == 1s);
  CHECK(held.at(2) > 60s);
}

TEST_CASE("a held answer is passed through the application's own code once") {
  const ScriptedProvider only{"one/a", {stream({"a", "b"})}};
  const Policy seen = intercept({.after = [](const ChatRequest&, const Result<ChatResponse>&) {}});
  Held held{{Provider{only} | seen}, ten_tokens};
  REQUIRE(held.ask());
  CHECK(held.log.text() == "ab");
}

TEST_CASE("a hedge may win while its content is held") {
  const ScriptedProvider first{"one/a", {silence()}};
  const ScriptedProvider second{"two/b", {stream({"from ", "two"}, 1s)}};
  Held held{{first, second}, ten_tokens, MidStream::fail, HedgeOptions{}};
  REQUIRE(held.ask());
  CHECK(held.log.text() == "from two");
  CHECK(held.at(0) == 11s);
  CHECK(held.world.idle());
}

TEST_CASE("holds that cannot be right are refused") {
  CHECK(problem_with(StreamHold{}).empty());
  CHECK_FALSE(problem_with(StreamHold{.tokens = 0}).empty());
  CHECK_FALSE(problem_with(StreamHold{.time = 0s}).empty());
  const ScriptedProvider only{"one/a"};
  CHECK_THROWS_AS(Held({only}, {.tokens = -1}), std::invalid_argument);
}

TEST_CASE("what was kept of attempts that failed does not count for the next") {
  VirtualRuntime world;
  const std::string some(120, 'x');  // about 30 tokens of the 40 that are held
  const ScriptedProvider first{"one/a", {deltas({some}).cut()}};
  const ScriptedProvider second{"two/b", {deltas({some}).cut()}};
  const ScriptedProvider third{"three/c", {answer("whole")}};
  FallbackOptions options;
  options.hold = StreamHold{.tokens = 40};
  EventLog log{world.runtime()};
  const auto reply = world.call(FallbackClient{{first, second, third}, options}, "hello", {.sink = &log});
  REQUIRE(reply);
  CHECK(reply->served_by == third.target());
  CHECK(log.text() == "whole");
}

TEST_CASE("what comes while held pieces are handed over comes after them") {
  VirtualRuntime world;
  const ScriptedProvider other{"two/b", {answer("x").after(70ms)}};
  const FallbackClient elsewhere{{other}, {.runtime = world.share()}};
  struct Asks final : StreamSink {
    explicit Asks(const FallbackClient& client) : asked{&client} {}
    void on_event(const StreamEvent& event) noexcept override {
      text += event.delta;
      if (++events == 1) static_cast<void>(asked->chat("something else"));
    }
    const FallbackClient* asked;
    std::string text;
    int events = 0;
  };
  for (const bool shares : {false, true}) {
    const ScriptedProvider model{"one/a", {stream({"a", "b", "c", "d", "e"}, 30ms)}};
    const Provider provider = shares ? model | single_flight() : Provider{model};
    for (const StreamHold hold : {StreamHold{.tokens = 40, .time = 50ms}, StreamHold{.tokens = 1, .time = 1h}}) {
      const FallbackClient client{{provider}, {.hold = hold, .runtime = world.share()}};
      Asks sink{elsewhere};
      PendingCall call = client.start("hello", {.sink = &sink});
      REQUIRE(call.wait());
      CHECK(sink.text == "abcde");
    }
  }
}

}  // namespace hold_test
