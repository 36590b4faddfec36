// Cheap targets with a quality floor before a dear one.

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/accept_if.hpp"
#include "backstop/policies/circuit_breaker.hpp"
#include "backstop/policies/single_flight.hpp"
#include "backstop/policies/standard.hpp"
#include "backstop/providers/openai.hpp"
#include "backstop/testing/event_log.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"
#include "support/fault_server.hpp"
#include "support/says.hpp"

namespace cascade_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

std::vector<Message> asked_last(const ScriptedProvider& model) { return model.sends().back().request.messages; }

/// Whether a text stands anywhere in what a target was asked.
bool was_told(const ScriptedProvider& model, std::string_view text) {
  const auto sends = model.sends();
  return std::any_of(sends.begin(), sends.end(), [&](const ScriptedProvider::Send& send) {
    return std::any_of(send.request.messages.begin(), send.request.messages.end(), [&](const Message& message) {
      return text_of(message.parts).find(text) != std::string::npos;
    });
  });
}

}  // namespace

TEST_CASE("a refused answer escalates, and the ledger has both") {
  VirtualRuntime runtime;
  const ScriptedProvider cheap{"a/m", {answer("bad")}};
  const ScriptedProvider smart{"b/m", {answer("good")}};
  const auto reply = runtime.call(FallbackClient{cheap | accept_if(says("good")), smart}, "hello");
  REQUIRE(reply);
  CHECK(reply->text() == "good");
  CHECK(reply->served_by == smart.target());
  CHECK(reply->fallback);
  REQUIRE(reply->attempts.size() == 2);
  CHECK(reply->attempts[0].outcome == ErrorKind::rejected_response);
}

TEST_CASE("a refused answer reaches another target only where that is asked for") {
  VirtualRuntime runtime;
  const ScriptedProvider cheap{"a/m", {answer("a bad draft")}};
  const ScriptedProvider smart{"b/m", {answer("good")}};
  FallbackOptions options;
  SECTION("not asked for") {
    REQUIRE(runtime.call(FallbackClient{{cheap | accept_if(says("good")), smart}, options}, "hello"));
    CHECK(asked_last(smart) == std::vector{Message::user("hello")});
  }
  SECTION("asked for") {
    options.escalation = Escalation::with_draft;
    options.escalation_wording = "A draft: {reasons}.";
    REQUIRE(runtime.call(FallbackClient{{cheap | accept_if(says("good")), smart}, options}, "hello"));
    CHECK(asked_last(smart) == std::vector{Message::user("hello"), Message::assistant("a bad draft"),
                                           Message::user("A draft: it does not say good.")});
  }
}

TEST_CASE("the draft that goes on is the last one, and the error of the call has none") {
  VirtualRuntime runtime;
  const ScriptedProvider first{"a/m", {answer("draft one"), answer("draft two")}};
  const ScriptedProvider second{"b/m", {answer("draft three")}};
  const ScriptedProvider third{"c/m", {answer("draft four")}};
  const Policy floor = accept_if(says("good"), {.repair = 1});
  const FallbackClient client{{first | floor, second | accept_if(says("good")), third | accept_if(says("good"))},
                              {.escalation = Escalation::with_draft}};
  const auto reply = runtime.call(client, "hello", {.max_attempts = 9});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::rejected_response);
  CHECK_FALSE(reply.error().rejected);
  CHECK(was_told(second, "draft two"));
  CHECK_FALSE(was_told(second, "draft one"));
  CHECK(was_told(third, "draft three"));
  CHECK_FALSE(was_told(third, "draft two"));
  CHECK(std::string{to_string(reply.error())}.find("draft") == std::string::npos);
}

TEST_CASE("a second draft takes the place of the first also where a client inside has a target that is out") {
  VirtualRuntime runtime;
  ModelFacts facts;
  facts.context_window = 1000;
  facts.max_output_tokens = 100;
  const auto target = [&](const char* name) { return ScriptedProvider{Target{"p", name, facts}, {answer("bad")}}; };
  const auto breaker = CircuitBreaker::create();
  breaker->isolate();
  const Policy floor = accept_if(says("good"));
  const FallbackClient group{{target("b") | floor, target("x") | circuit_breaker(breaker)}};
  const FallbackClient client{{target("a") | floor, group}, {.escalation = Escalation::with_draft}};
  ChatRequest request{"hello"};
  request.messages[0].parts.emplace_back(Image{.url = "https://x.test/a.png"});
  const auto reply = runtime.call(client, request);
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::rejected_response);
}

TEST_CASE("a target whose window is too small for the draft is asked without it") {
  VirtualRuntime runtime;
  ModelFacts facts;
  facts.context_window = 2000;
  const ScriptedProvider cheap{"a/m", {answer(std::string(30'000, 'x'))}};
  const ScriptedProvider small{Target{"b", "m", facts}, {answer("good")}};
  ChatRequest request{"hello"};
  request.max_output_tokens = 100;
  const auto reply = runtime.call(
      FallbackClient{{cheap | accept_if(says("good")), small}, {.escalation = Escalation::with_draft}}, request);
  REQUIRE(reply);
  CHECK(asked_last(small) == std::vector{Message::user("hello")});
}

TEST_CASE("a draft waits for a target that is out for a moment") {
  VirtualRuntime runtime;
  const ScriptedProvider cheap{"a/m", {answer("a bad draft")}};
  const ScriptedProvider smart{"b/m", {error(ErrorKind::rate_limited, {.retry_after = 3s}), answer("good")}};
  const Policy floor = accept_if(says("good"));
  FallbackOptions options{.escalation = Escalation::with_draft};
  options.runtime = runtime.share();
  const FallbackClient client{{cheap | floor, smart}, options};
  const auto reply = client.chat("hello");
  REQUIRE(reply);
  CHECK(smart.send_count() == 2);
  CHECK(was_told(smart, "a bad draft"));
}

TEST_CASE("a repair of what an outer client has cut keeps the question, too") {
  VirtualRuntime runtime;
  ModelFacts facts;
  facts.context_window = 500;
  ChatRequest request;
  for (int turn = 0; turn < 6; ++turn) request.messages.push_back(Message::user(std::string(800, 'y')));
  request.messages.push_back(Message::user("the question"));
  request.max_output_tokens = 50;
  const ScriptedProvider small{Target{"b", "m", facts}, {answer(std::string(1200, 'x')), answer("good")}};
  const FallbackClient inner{{small}, {.degrade = {degrade::history({.keep_turns = 1})}}};
  const FallbackClient client{{Provider{inner} | accept_if(says("good"), {.repair = 1})},
                              {.degrade = {degrade::history({.keep_turns = 1})}}};
  const auto reply = runtime.call(client, request);
  REQUIRE(small.send_count() >= 1);
  for (const auto& sent : small.sends()) {
    bool asked = false;
    for (const Message& message : sent.request.messages) asked = asked || text_of(message.parts) == "the question";
    CHECK(asked);
  }
}

TEST_CASE("history that is left out for a draft, or for a repair, is not the question") {
  VirtualRuntime runtime;
  ModelFacts facts;
  facts.context_window = 700;
  const ScriptedProvider cheap{"a/m", {answer(std::string(3000, 'x'))}};
  ChatRequest request;
  for (int turn = 0; turn < 4; ++turn) request.messages.push_back(Message::user(std::string(400, 'y')));
  request.messages.push_back(Message::user("the question"));
  request.max_output_tokens = 100;
  SECTION("draft") {
    const ScriptedProvider small{Target{"b", "m", facts}, {answer("good")}};
    const FallbackClient client{{cheap | accept_if(says("good")), small},
                                {.escalation = Escalation::with_draft, .degrade = {degrade::history({.keep_turns = 1})}}};
    REQUIRE(runtime.call(client, request));
    CHECK(was_told(small, "the question"));
  }
  SECTION("repair") {
    const ScriptedProvider small{Target{"b", "m", facts}, {answer("bad"), answer("good")}};
    const FallbackClient client{{small}, {.degrade = {degrade::history({.keep_turns = 1})}}};
    REQUIRE(runtime.call(Provider{client} | accept_if(says("good"), {.repair = 1, .repair_wording = "{reasons} {reasons}"}),
                         request));
    CHECK(was_told(small, "the question"));
    CHECK(was_told(small, "it does not say good it does not say good"));
  }
}

TEST_CASE("a draft of a client inside reaches targets outside only where the outer asks for it") {
  VirtualRuntime runtime;
  const ScriptedProvider first{"a/m", {answer("draft one")}};
  const ScriptedProvider second{"b/m", {answer("draft two")}};
  const ScriptedProvider smart{"c/m", {answer("good")}};
  const Escalation inner = GENERATE(Escalation::none, Escalation::with_draft);
  const Escalation outer = GENERATE(Escalation::none, Escalation::with_draft);
  const FallbackClient pool{{first | accept_if(says("good")), second | accept_if(says("good"))}, {.escalation = inner}};
  REQUIRE(runtime.call(FallbackClient{{pool, smart}, {.escalation = outer}}, "hello"));
  CHECK(was_told(second, "draft one") == (inner == Escalation::with_draft));
  CHECK(was_told(smart, "draft two") == (outer == Escalation::with_draft));
  CHECK_FALSE(was_told(smart, "draft one"));
}

TEST_CASE("a send that calls share hands its draft on as well") {
  VirtualRuntime runtime;
  const ScriptedProvider cheap{"a/m", {answer("a bad draft")}};
  const ScriptedProvider smart{"b/m", {answer("good")}};
  const FallbackClient client{{cheap | accept_if(says("good")) | single_flight(), smart},
                              {.escalation = Escalation::with_draft}};
  REQUIRE(runtime.call(client, "hello"));
  CHECK(was_told(smart, "a bad draft"));
}

TEST_CASE("a stream that begins anew after a refusal hands the draft on, too") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  const ScriptedProvider cheap{"a/m", {stream({"a bad", " draft"})}};
  const ScriptedProvider smart{"b/m", {answer("good")}};
  const FallbackClient client{{cheap | accept_if(says("good")), smart},
                              {.mid_stream = MidStream::restart, .escalation = Escalation::with_draft}};
  REQUIRE(runtime.call(client, "hello", {.sink = &log}));
  CHECK(log.count(StreamEvent::Type::restarted) == 1);
  CHECK(log.text() == "good");
  CHECK(was_told(smart, "a bad draft"));
}

TEST_CASE("a judge's own words go on with the draft and stay out of our message") {
  VirtualRuntime runtime;
  const ScriptedProvider cheap{"a/m", {answer("a bad draft")}};
  const ScriptedProvider smart{"b/m", {answer("good")}};
  const ScriptedProvider judge{"j/m", {answer("No. It is rude.")}};
  const FallbackClient client{{cheap | accept_if(judged_by(judge, "Polite?")), smart},
                              {.escalation = Escalation::with_draft}};
  const auto reply = runtime.call(client, "hello");
  REQUIRE(reply);
  CHECK(was_told(smart, "the judge j/m says no: It is rude."));
  CHECK(reply->attempts[0].reason == "the answer was not accepted: the judge j/m says no");
  CHECK(reply->attempts[0].provider_message == "It is rude.");
}

TEST_CASE("a target that is refused often is asked later where the lowest latency counts") {
  VirtualRuntime runtime;
  const ScriptedProvider fast{"a/m", {answer("bad").after(400ms)}};
  const ScriptedProvider slow{"b/m", {answer("good").after(500ms)}};
  const FallbackClient client{{fast | accept_if(says("good")), slow | accept_if(says("good"))},
                              {.strategy = lowest_latency({.exploration = 0}), .runtime = runtime.share()}};
  for (int call = 0; call < 30; ++call) REQUIRE(client.chat("hello"));
  const std::size_t before = fast.send_count();
  for (int call = 0; call < 10; ++call) REQUIRE(client.chat("hello"));
  CHECK(fast.send_count() == before);
}

TEST_CASE("a strategy of the application's own sees how many answers were refused") {
  VirtualRuntime runtime;
  const ScriptedProvider cheap{"a/m", {answer("bad"), answer("bad"), answer("good"), answer("good")}};
  const ScriptedProvider smart{"b/m", {answer("good")}};
  std::vector<double> seen;
  const Strategy looks = choose_by("looks", [&seen](Choice& choice) {
    seen.push_back(choice.rejected_share(0));
    CHECK(choice.rejected_share(1) == 0);
  });
  const FallbackClient client{{cheap | accept_if(says("good")), smart}, {.strategy = looks, .runtime = runtime.share()}};
  for (int call = 0; call < 5; ++call) REQUIRE(client.chat("hello"));
  REQUIRE(seen.size() == 5);
  CHECK(seen[0] == 0);
  CHECK(seen[1] == 1);
  CHECK(seen[2] == 1);
  CHECK(seen[3] > 0.6);
  CHECK(seen[3] < 0.7);
  CHECK(seen[4] > 0.4);
  CHECK(seen[4] < 0.6);
}

TEST_CASE("of two targets that are asked side by side the verdict falls on the row of the one that answered") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  const ScriptedProvider slow{"a/m", {answer("good").after(5s)}};
  const ScriptedProvider second{"b/m", {answer("bad").after(1s)}};
  const ScriptedProvider third{"c/m", {answer("good")}};
  const Policy floor = accept_if(says("good"));
  const HedgeOptions soon{.min_delay = 1s, .delay_without_samples = 1s, .budget = {.share = 1}};
  const FallbackClient client{{slow | floor, second | floor, third | floor}, {.hedge = soon}};
  const auto reply = runtime.call(client, "hello", {.sink = &log});
  REQUIRE(reply);
  CHECK(reply->served_by == slow.target());  // what was refused has not won
  CHECK(log.text() == "good");
  CHECK(third.send_count() == 0);
  REQUIRE(reply->attempts.size() == 2);
  CHECK_FALSE(reply->attempts[0].outcome);
  CHECK(reply->attempts[1].outcome == ErrorKind::rejected_response);
}

TEST_CASE("a wording without a place for the reasons is refused") {
  const ScriptedProvider cheap{"a/m"};
  CHECK_THROWS_AS((FallbackClient{{cheap}, {.escalation_wording = "Try again."}}), std::invalid_argument);
}

TEST_CASE("malformed JSON of three kinds escalates over sockets, as one clean stream and at the cost of both") {
  const auto bad = GENERATE(faults::Answer{.text = "{\"price\": "},                                // broken
                            faults::Answer{.text = R"({"price": "cheap"})"},                        // of another schema
                            faults::Answer{.text = R"({"price": 1, "no)", .finish = "length"});  // cut
  INFO(bad.text);
  faults::FaultServer cheap_server;
  faults::FaultServer smart_server;
  cheap_server.always(faults::answer(bad));
  smart_server.always(faults::answer(R"({"price": 3})"));
  const auto at = [](const faults::FaultServer& server, const std::string& name, double dollars) {
    return openai({.model = "m",
                   .api_key = "sk-secret-0123456789",
                   .base_url = server.base_url("/v1"),
                   .name = name,
                   .price = Price{.input = Money{}, .output = Money::usd_per_million(dollars)}});
  };
  const FallbackClient client{at(cheap_server, "cheap", 1) | standard() | accept_if(matches_schema() && finished()),
                              at(smart_server, "smart", 10) | standard()};
  ChatRequest request{"What does it cost?"};
  request.response_format = ResponseFormat{.type = ResponseFormat::Type::json_schema,
                                           .name = "price",
                                           .schema = R"({"type": "object", "required": ["price"],
                                                         "properties": {"price": {"type": "number"}}})"};
  ChatStream stream = client.stream(request);
  std::string seen;
  int ends = 0;
  for (const StreamEvent& event : stream) {
    CHECK(event.type != StreamEvent::Type::restarted);
    if (event.type == StreamEvent::Type::text) seen += event.delta;
    ends += event.type == StreamEvent::Type::finished ? 1 : 0;
  }
  CHECK(seen == R"({"price": 3})");
  CHECK(ends == 1);
  const Result<ChatResponse>& reply = stream.result();
  REQUIRE(reply);
  CHECK(reply->text() == seen);
  CHECK(reply->served_by.name() == "smart/m");
  CHECK(cheap_server.request_count() == 1);
  CHECK(smart_server.request_count() == 1);
  REQUIRE(reply->attempts.size() == 2);
  CHECK(reply->attempts[0].outcome == ErrorKind::rejected_response);
  CHECK(reply->attempts[0].cost > Money{});
  CHECK(reply->attempts[1].cost > Money{});
  CHECK(reply->cost == reply->attempts[0].cost + reply->attempts[1].cost);
}

TEST_CASE("a draft counts where the next target's window is looked at") {
  VirtualRuntime runtime;
  ModelFacts narrow;
  narrow.context_window = 2'000;
  narrow.max_output_tokens = 100;
  const ScriptedProvider cheap{"a/m", {answer("bad " + std::string(20'000, 'x'))}};
  const ScriptedProvider small{Target{"b", "m", narrow}, {answer("good")}};
  const ScriptedProvider large{"c/m", {answer("good")}};
  FallbackOptions options;
  options.runtime = runtime.share();
  options.escalation = Escalation::with_draft;
  const auto reply = FallbackClient{{cheap | accept_if(says("good")), small, large}, options}.chat("hello");
  REQUIRE(reply);
  CHECK(reply->served_by == large.target());
  CHECK(small.send_count() == 0);
  options.escalation = Escalation::none;
  CHECK(FallbackClient{{cheap | accept_if(says("good")), small, large}, options}.chat("hello")->served_by == small.target());
}

TEST_CASE("a draft that calls tools goes to a target that takes tools") {
  VirtualRuntime runtime;
  ModelFacts without_tools;
  without_tools.capabilities.tools = false;
  const ScriptedProvider cheap{"a/m", {tool_call("weather", "{}")}};
  const ScriptedProvider plain{Target{"b", "m", without_tools}, {answer("good")}};
  const ScriptedProvider smart{"c/m", {answer("good")}};
  FallbackOptions options;
  options.runtime = runtime.share();
  options.escalation = Escalation::with_draft;
  const auto reply = FallbackClient{{cheap | accept_if(says("good")), plain, smart}, options}.chat("hello");
  REQUIRE(reply);
  CHECK(reply->served_by == smart.target());
  CHECK(plain.send_count() == 0);
  SECTION("or loses its tools by a rung") {
    const ScriptedProvider again{"a/m", {tool_call("weather", "{}")}};
    options.degrade = {degrade::tools()};
    const auto reduced = FallbackClient{{again | accept_if(says("good")), plain}, options}.chat("hello");
    REQUIRE(reduced);
    CHECK(reduced->served_by == plain.target());
    REQUIRE(reduced->degradation);
    CHECK(reduced->degradation->features == std::vector<std::string>{"tools"});
  }
}

TEST_CASE("a draft that leaves no room is left out, and nothing is given up for it") {
  VirtualRuntime runtime;
  ModelFacts narrow;
  narrow.context_window = 2'000;
  narrow.max_output_tokens = 100;
  const ScriptedProvider cheap{"a/m", {answer("bad " + std::string(20'000, 'x'))}};
  const ScriptedProvider small{Target{"b", "m", narrow}, {answer("good")}};
  FallbackOptions options;
  options.runtime = runtime.share();
  options.escalation = Escalation::with_draft;
  options.degrade = {degrade::history({.keep_turns = 1})};
  const auto reply = FallbackClient{{cheap | accept_if(says("good")), small}, options}.chat("hello");
  INFO((reply ? std::string{} : reply.error().message));
  REQUIRE(reply);
  CHECK(reply->served_by == small.target());
  CHECK_FALSE(reply->degradation);
  CHECK(asked_last(small) == std::vector{Message::user("hello")});
}

TEST_CASE("a draft and what is given up go together, in either order") {
  VirtualRuntime runtime;
  ModelFacts blind;
  blind.capabilities.vision = false;
  const ScriptedProvider cheap{"a/m", {answer("a bad draft")}};
  const ScriptedProvider smart{Target{"b", "m", blind}, {answer("good")}};
  FallbackOptions options;
  options.runtime = runtime.share();
  options.recovery.max_wait = 0s;
  options.escalation = Escalation::with_draft;
  options.degrade = {degrade::images()};
  ChatRequest request{"what is this?"};
  request.messages.front().parts.emplace_back(Image{.data = "AAAA", .media_type = "image/png"});
  const FallbackClient client{{cheap | accept_if(says("good")), smart}, options};
  const auto reply = client.chat(request);
  REQUIRE(reply);
  CHECK(reply->text() == "good");
  CHECK(was_told(smart, "a bad draft"));
  const auto messages = asked_last(smart);
  REQUIRE(messages.size() == 3);
  for (const Message& message : messages) {
    for (const Part& part : message.parts) CHECK_FALSE(std::holds_alternative<Image>(part));
  }
  REQUIRE(reply->degradation);
  CHECK(reply->degradation->features == std::vector<std::string>{"vision"});
}

TEST_CASE("a schema that a target is only told of is held to it by the floor") {
  VirtualRuntime runtime;
  ModelFacts loose;
  loose.capabilities.json_schema = false;
  const ScriptedProvider first{Target{"a", "m", loose}, {answer("no JSON at all")}};
  const ScriptedProvider second{Target{"b", "m", loose}, {answer(R"({"age": 7})")}};
  FallbackOptions options;
  options.runtime = runtime.share();
  options.recovery.max_wait = 0s;
  options.degrade = {degrade::json_schema()};
  ChatRequest request{"a person, please"};
  request.response_format = ResponseFormat{.type = ResponseFormat::Type::json_schema,
                                           .name = "person",
                                           .schema = R"({"type": "object", "required": ["age"]})"};
  const Policy floor = accept_if(matches_schema());
  const auto reply = FallbackClient{{first | floor, second | floor}, options}.chat(request);
  REQUIRE(reply);
  CHECK(reply->served_by == second.target());
  CHECK(reply->degradation);
  REQUIRE(reply->attempts.size() >= 2);
  CHECK(std::any_of(reply->attempts.begin(), reply->attempts.end(),
                    [](const Attempt& row) { return row.outcome == ErrorKind::rejected_response; }));
}

}  // namespace cascade_test
