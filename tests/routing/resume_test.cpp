#include <catch2/catch_test_macros.hpp>

#include <string>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/accept_if.hpp"
#include "backstop/routing/hedge.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"
#include "support/says.hpp"

namespace resume_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

Target continuing(std::string_view name) {
  const Target target = Target::parse(name);
  ModelFacts facts;
  facts.capabilities.prefill = true;
  facts.price = Price{.input = Money::usd_per_million(1), .output = Money::usd_per_million(10)};
  return Target{target.provider(), target.model(), facts};
}

struct Resumed {
  explicit Resumed(std::vector<Provider> providers)
      : client{std::move(providers), FallbackOptions{.mid_stream = MidStream::resume, .recovery = {.max_wait = 0s}, .runtime = world.share()}} {}

  Result<ChatResponse> ask(ChatRequest request = "Count.") {
    return world.call(client, std::move(request), {.sink = &log});
  }

  VirtualRuntime world;
  EventLog log{world.runtime()};
  FallbackClient client;
};

}  // namespace

TEST_CASE("another target writes the rest of an answer that broke off") {
  const ScriptedProvider first{continuing("one/a"), {deltas({"one, ", "two,"}).cut()}};
  const ScriptedProvider second{continuing("two/b"), {stream({" three, ", "four"}).usage(20, 5)}};
  Resumed resumed{{first, second}};
  const auto reply = resumed.ask();
  REQUIRE(reply);
  CHECK(resumed.log.text() == "one, two, three, four");
  CHECK(reply->text() == "one, two, three, four");
  CHECK(resumed.log.count(StreamEvent::Type::restarted) == 0);
  CHECK(resumed.log.count(StreamEvent::Type::finished) == 1);
  CHECK(reply->served_by.name() == "two/b");
  CHECK(reply->fallback);

  const ChatRequest asked = second.sends().at(0).request;
  REQUIRE(asked.messages.size() == 2);
  CHECK(asked.messages[1] == Message::assistant("one, two,"));

  CHECK(reply->usage.output_tokens == 5);
  REQUIRE(reply->attempts.size() == 2);
  CHECK(reply->attempts[0].outcome == ErrorKind::stream_interrupted);
  CHECK(reply->attempts[0].cost_estimated);
  CHECK(reply->attempts[1].cost == Money::usd(20 * 1e-6 + 5 * 10e-6));
  CHECK(reply->cost == reply->attempts[0].cost + reply->attempts[1].cost);
}

TEST_CASE("a target that repeats what it was given does not double it") {
  const std::string text = "A sentence long enough to be known again. ";
  for (const bool in_pieces : {false, true}) {
    const ScriptedProvider first{continuing("one/a"), {deltas({text}).cut()}};
    Step echo = in_pieces ? stream({"A sentence long", " enough to be known again.", " And the rest"})
                          : stream({"A sentence long enough to be known again. And the rest"});
    const ScriptedProvider second{continuing("two/b"), {echo}};
    Resumed resumed{{first, second}};
    const auto reply = resumed.ask();
    REQUIRE(reply);
    CHECK(resumed.log.text() == text + "And the rest");
    CHECK(reply->text() == text + "And the rest");
  }
}

TEST_CASE("white space at the break stands there once") {
  struct Row {
    std::string rest;
    std::string whole;
  };
  for (const Row& row : {Row{" two", "one two"}, Row{"two", "one two"}, Row{"  two", "one  two"}}) {
    CAPTURE(row.rest);
    const ScriptedProvider first{continuing("one/a"), {deltas({"one "}).cut()}};
    const ScriptedProvider second{continuing("two/b"), {stream({row.rest})}};
    Resumed resumed{{first, second}};
    const auto reply = resumed.ask();
    REQUIRE(reply);
    CHECK(second.sends().at(0).request.messages[1] == Message::assistant("one"));
    CHECK(resumed.log.text() == row.whole);
    CHECK(reply->text() == row.whole);
  }
}

TEST_CASE("the same short words again are no repetition") {
  const ScriptedProvider first{continuing("one/a"), {deltas({"ha "}).cut()}};
  const ScriptedProvider second{continuing("two/b"), {stream({"ha ", "ha"})}};
  Resumed resumed{{first, second}};
  const auto reply = resumed.ask();
  REQUIRE(reply);
  CHECK(reply->text() == "ha ha ha");
  CHECK(resumed.log.text() == "ha ha ha");
}

TEST_CASE("an answer may be resumed more than once") {
  const ScriptedProvider first{continuing("one/a"), {deltas({"one"}).cut()}};
  const ScriptedProvider second{continuing("two/b"), {deltas({", two"}).cut()}};
  const ScriptedProvider third{continuing("three/c"), {stream({", three"})}};
  Resumed resumed{{first, second, third}};
  const auto reply = resumed.ask();
  REQUIRE(reply);
  CHECK(reply->text() == "one, two, three");
  CHECK(resumed.log.text() == "one, two, three");
  CHECK(third.sends().at(0).request.messages[1] == Message::assistant("one, two"));
}

TEST_CASE("targets that do not continue others' answers are passed over") {
  const ScriptedProvider first{"one/a", {deltas({"one"}).cut()}};
  const ScriptedProvider unable{"two/b"};
  SECTION("one further on does") {
    const ScriptedProvider third{continuing("three/c"), {stream({", two"})}};
    Resumed resumed{{first, unable, third}};
    const auto reply = resumed.ask();
    REQUIRE(reply);
    CHECK(reply->text() == "one, two");
    CHECK(unable.send_count() == 0);
    REQUIRE(reply->attempts.size() == 3);
    CHECK(reply->attempts[1].outcome == ErrorKind::unsupported_capability);
    CHECK_FALSE(reply->attempts[1].sent);
  }
  SECTION("none does") {
    Resumed resumed{{first, unable}};
    const auto reply = resumed.ask();
    REQUIRE_FALSE(reply);
    CHECK(reply.error().kind == ErrorKind::stream_interrupted);
    CHECK(reply.error().target.name() == "one/a");
    CHECK(reply.error().committed);
    CHECK(reply.error().partial_text == "one");
    CHECK(unable.send_count() == 0);
  }
}

TEST_CASE("a target's refusal to continue is never what the call fails with") {
  const ScriptedProvider zero{"zero/z", {error(ErrorKind::server_error)}};
  const ScriptedProvider first{"one/a", {deltas({"one"}).cut()}};
  for (const ErrorKind refusal : {ErrorKind::invalid_request, ErrorKind::unsupported_capability}) {
    const ScriptedProvider refusing{continuing("two/b"), {error(refusal)}};
    Resumed resumed{{zero, first, refusing}};
    const auto reply = resumed.ask();
    REQUIRE_FALSE(reply);
    CHECK(reply.error().kind == ErrorKind::stream_interrupted);
    CHECK(reply.error().target.name() == "one/a");
    CHECK(reply.error().committed);
    CHECK(reply.error().partial_text == "one");
    CHECK(refusing.send_count() == 1);
    CHECK(reply.error().attempts.back().outcome == refusal);

    const ScriptedProvider third{continuing("three/c"), {stream({", two"})}};
    Resumed again{{first, refusing, third}};
    const auto rescued = again.ask();
    REQUIRE(rescued);
    CHECK(rescued->text() == "one, two");
  }
}

TEST_CASE("a second break fails with the first error and all of the text") {
  const ScriptedProvider first{"one/a", {deltas({"one"}).cut()}};
  const ScriptedProvider second{continuing("two/b"), {deltas({", two"}).fail(ErrorKind::overloaded)}};
  Resumed resumed{{first, second}};
  const auto reply = resumed.ask();
  REQUIRE_FALSE(reply);
  CHECK(reply.error().target.name() == "one/a");
  CHECK(reply.error().partial_text == "one, two");
  CHECK(resumed.log.text() == "one, two");
}

TEST_CASE("after a tool call was begun nothing is resumed") {
  const ScriptedProvider second{continuing("two/b")};
  for (const bool complete : {false, true}) {
    Step step = deltas({"text"});
    complete ? step.tool_call("f", "{}") : step.tool_arguments("{\"a");
    const ScriptedProvider first{continuing("one/a"), {step.cut()}};
    Resumed resumed{{first, second}};
    const auto reply = resumed.ask();
    REQUIRE_FALSE(reply);
    CHECK(reply.error().committed);
    CHECK(reply.error().partial_text == "text");
    CHECK(second.send_count() == 0);
  }
}

TEST_CASE("reasoning alone is nothing to go on from") {
  const ScriptedProvider first{continuing("one/a"), {deltas({}).reasoning("hm").cut()}};
  const ScriptedProvider second{continuing("two/b")};
  Resumed resumed{{first, second}};
  CHECK_FALSE(resumed.ask());
  CHECK(second.send_count() == 0);
}

TEST_CASE("the rest keeps to what is left of the output limit, and is not thought about") {
  const ScriptedProvider first{continuing("one/a"), {deltas({"forty bytes of text, which is ten tokens."}).cut()}};
  const ScriptedProvider second{continuing("two/b"), {stream({" End."})}};
  Resumed resumed{{first, second}};
  ChatRequest request{"Write."};
  request.max_output_tokens = 100;
  request.reasoning_effort = "high";
  REQUIRE(resumed.ask(request));
  CHECK(second.sends().at(0).request.max_output_tokens == 89);
  CHECK(second.sends().at(0).request.reasoning_effort.empty());
}

TEST_CASE("a floor judges the whole of an answer of which it saw the rest only") {
  const auto is_whole = [](std::string_view text) {
    return satisfies("is whole", [text](const Answer& given) { return given.response.text() == text; });
  };
  const ScriptedProvider first{continuing("one/a"), {deltas({"one, two, three, "}).cut()}};
  SECTION("the second") {
    const ScriptedProvider second{continuing("two/b"), {stream({"four"})}};
    Resumed resumed{{first, second | accept_if(is_whole("one, two, three, four"))}};
    const auto reply = resumed.ask();
    REQUIRE(reply);
    CHECK(reply->text() == "one, two, three, four");
    CHECK(resumed.log.text() == "one, two, three, four");
  }
  SECTION("one that repeats") {
    const ScriptedProvider second{continuing("two/b"), {stream({"one, two, three, ", "four"})}};
    Resumed resumed{{first, second | accept_if(is_whole("one, two, three, four"))}};
    REQUIRE(resumed.ask());
    CHECK(resumed.log.text() == "one, two, three, four");
  }
  SECTION("one in a client that goes on itself") {
    const ScriptedProvider second{continuing("two/b"), {deltas({"four, "}).cut()}};
    const ScriptedProvider third{continuing("three/c"), {stream({"five"})}};
    FallbackOptions options;
    options.mid_stream = MidStream::resume;
    const FallbackClient rest{{second, third | accept_if(is_whole("one, two, three, four, five"))}, options};
    Resumed resumed{{first, rest}};
    REQUIRE(resumed.ask());
    CHECK(resumed.log.text() == "one, two, three, four, five");
  }
  SECTION("a refusal is not repaired, and leaves the rest to others") {
    const ScriptedProvider second{continuing("two/b"), {stream({"five"})}};
    const ScriptedProvider third{continuing("three/c"), {stream({"four"})}};
    Resumed resumed{{first, second | accept_if(is_whole("one, two, three, four"), {.repair = 2}), third}};
    REQUIRE(resumed.ask());
    CHECK(resumed.log.text() == "one, two, three, four");
    CHECK(second.send_count() == 1);
  }
}

TEST_CASE("what a floor has refused is not gone on from") {
  const ScriptedProvider first{continuing("one/a"), {stream({"bad, ", "words"})}};
  const ScriptedProvider second{continuing("two/b"), {stream({" and more"})}};
  FallbackOptions options;
  options.mid_stream = MidStream::restart;
  const FallbackClient inner{{first | accept_if(says("good"))}, options};
  Resumed resumed{{inner, second}};
  const auto reply = resumed.ask();
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::stream_interrupted);
  CHECK(reply.error().cause == ErrorKind::rejected_response);
  CHECK(second.send_count() == 0);
}

TEST_CASE("cancelling while the rest is awaited says what was delivered") {
  const ScriptedProvider first{"one/a", {deltas({"one"}).cut()}};
  const ScriptedProvider second{continuing("two/b"), {silence()}};
  Resumed resumed{{first, second}};
  auto call = resumed.world.start(resumed.client, "Count.", {.sink = &resumed.log});
  resumed.world.at(1s, [&] { call->cancel(); });
  resumed.world.run(*call);
  REQUIRE_FALSE(call->result());
  CHECK(call->result().error().kind == ErrorKind::cancelled);
  CHECK(call->result().error().committed);
  CHECK(call->result().error().partial_text == "one");
  CHECK(resumed.world.idle());
}

TEST_CASE("a plain call is not concerned") {
  const ScriptedProvider first{"one/a", {deltas({"one"}).cut()}};
  const ScriptedProvider second{"two/b", {answer("two")}};
  Resumed resumed{{first, second}};
  const auto reply = resumed.world.call(resumed.client, "Count.");
  REQUIRE(reply);
  CHECK(reply->text() == "two");
}

}  // namespace resume_test
