// What `hold`, hedging, `resume`, shared sends and the application's own code, around each other, know of what the
// consumer has been given.

#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/intercept.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/policies/single_flight.hpp"
#include "backstop/policies/standard.hpp"
#include "backstop/testing/event_log.hpp"
#include "backstop/testing/faults.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace kept_back_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

ScriptedProvider model(std::string_view name, std::vector<Step> steps) {
  ModelFacts facts;
  facts.capabilities.prefill = true;
  return ScriptedProvider{Target{"p", name, facts}, std::move(steps)};
}

struct Lab {
  FallbackClient client(std::vector<Provider> targets, FallbackOptions options) {
    options.runtime = world.share();
    options.recovery.max_wait = 0s;
    return FallbackClient{std::move(targets), std::move(options)};
  }
  Result<ChatResponse> ask(const FallbackClient& asked) { return world.call(asked, "hello", {.sink = &log}); }

  VirtualRuntime world;
  EventLog log{world.runtime()};
};

}  // namespace

TEST_CASE("what a hold has handed over is not sent again by a hedging client's target") {
  const MidStream policy = GENERATE(MidStream::fail, MidStream::resume);
  Lab lab;
  const auto a = model("A", {deltas({"A"}).wait(2s).cut(), answer("AA")});
  const auto b = model("B", {answer("B")});
  const auto reply = lab.ask(lab.client({a | standard(), b | standard()},
                                        {.mid_stream = policy, .hold = StreamHold{}, .hedge = HedgeOptions{}}));
  CHECK(a.send_count() == 1);
  if (policy == MidStream::fail) {
    REQUIRE_FALSE(reply);
    CHECK(reply.error().kind == ErrorKind::stream_interrupted);
    CHECK(reply.error().partial_text == "A");
    CHECK(lab.log.text() == "A");
  } else {
    REQUIRE(reply);
    CHECK(reply->text() == "AB");
    CHECK(lab.log.text() == "AB");
  }
}

TEST_CASE("a tool call that a hold has handed over is delivered once, hedged or not") {
  Lab lab;
  Step step = deltas({});
  step.tool_call("pay", "{}");
  step.wait(1s);
  step.cut();
  const auto a = model("A", {step});
  const auto reply = lab.ask(lab.client({a | retry(), model("B", {answer("B")})},
                                        {.hold = StreamHold{.tokens = 100, .time = 500ms}, .hedge = HedgeOptions{}}));
  CHECK_FALSE(reply);
  CHECK(lab.log.count(StreamEvent::Type::tool_call) == 1);
  CHECK(a.send_count() == 1);
}

TEST_CASE("a target that continued a text and broke is not asked to continue it again, hedged or not") {
  Lab lab;
  const auto a = model("A", {deltas({"A"}).cut()});
  const auto b = model("B", {deltas({"B"}).wait(1s).cut(), answer("BB")});
  const auto c = model("C", {answer("C")});
  const auto reply = lab.ask(lab.client({a | standard(), b | standard(), c},
                                        {.mid_stream = MidStream::resume, .hedge = HedgeOptions{}}));
  REQUIRE(reply);
  CHECK(reply->text() == "ABC");
  CHECK(lab.log.text() == "ABC");
  CHECK(b.send_count() == 1);
}

TEST_CASE("what a hold further out has forgotten is not part of the text that is resumed") {
  Lab lab;
  const auto h = model("H", {garbled_after({"H"})});
  const auto i = model("I", {deltas({"I"}).wait(3s).cut()});
  const auto j = model("J", {answer("J")});
  const FallbackClient inner = lab.client({h, i, j}, {.mid_stream = MidStream::resume});
  const auto reply = lab.ask(lab.client({inner}, {.hold = StreamHold{}}));
  REQUIRE(reply);
  CHECK(reply->text() == "IJ");
  CHECK(lab.log.text() == "IJ");
  CHECK(text_of(j.sends().front().request.messages.back().parts) == "I");
}

TEST_CASE("a hold around a shared send that is resumed keeps its beginning") {
  Lab lab;
  const FallbackClient inner = lab.client({model("A", {deltas({"A"}).cut()}), model("B", {answer("B")})},
                                          {.mid_stream = MidStream::resume});
  const auto reply = lab.ask(lab.client({inner | single_flight()}, {.hold = StreamHold{}}));
  REQUIRE(reply);
  CHECK(reply->text() == "AB");
  CHECK(lab.log.text() == "AB");
}

TEST_CASE("the application's own code around a hedging client does not double what a hold keeps back") {
  Lab lab;
  const FallbackClient inner =
      lab.client({model("A", {silence()}), model("B", {answer("B")})}, {.hedge = HedgeOptions{}});
  const Policy looks = intercept({.after = [](const ChatRequest&, Result<ChatResponse>&) {}});
  const auto reply = lab.ask(lab.client({inner | looks}, {.hold = StreamHold{}}));
  REQUIRE(reply);
  CHECK(lab.log.text() == "B");
}

}  // namespace kept_back_test
