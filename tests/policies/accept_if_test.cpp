#include "backstop/policies/accept_if.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/observe/metrics.hpp"
#include "backstop/policies/cache.hpp"
#include "backstop/policies/circuit_breaker.hpp"
#include "backstop/policies/cost_cap.hpp"
#include "backstop/policies/intercept.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/policies/single_flight.hpp"
#include "backstop/policies/timeout.hpp"
#include "backstop/routing/degrade.hpp"
#include "backstop/testing/event_log.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"
#include "support/says.hpp"

namespace accept_if_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

Target priced(std::string_view provider, double dollars) {
  ModelFacts facts;
  facts.price = Price{.input = Money{}, .output = Money::usd_per_million(dollars)};
  return Target{provider, "m", facts};
}

std::string texts_of(const EventLog& log) {
  std::string text;
  for (const RecordedEvent& event : log.events()) {
    if (event.type == StreamEvent::Type::restarted) text += "|";
    if (event.type == StreamEvent::Type::text) text += event.delta;
  }
  return text;
}

}  // namespace

TEST_CASE("an answer that the check accepts goes through as it is") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m", {answer("good")}};
  const auto reply = runtime.call(model | accept_if(says("good")), "hello");
  REQUIRE(reply);
  CHECK(reply->text() == "good");
  REQUIRE(reply->attempts.size() == 1);
  CHECK_FALSE(reply->attempts[0].outcome);
  CHECK(reply->attempts[0].reason.empty());
}

TEST_CASE("an answer that the check refuses is rejected_response, and its row and its cost say so") {
  VirtualRuntime runtime;
  const ScriptedProvider model{priced("a", 1), {answer("bad").usage(10, 1'000)}};
  const auto reply = runtime.call(model | accept_if(says("good")), "hello");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::rejected_response);
  CHECK(reply.error().message == "the answer was not accepted: it does not say good");
  CHECK(reply.error().target == model.target());
  CHECK(reply.error().replay == ReplaySafety::processed);
  CHECK(reply.error().cost == Money::usd(0.001));
  CHECK_FALSE(reply.error().rejected);
  REQUIRE(reply.error().attempts.size() == 1);
  const Attempt& row = reply.error().attempts[0];
  CHECK(row.sent);
  CHECK(row.outcome == ErrorKind::rejected_response);
  CHECK(row.reason == "the answer was not accepted: it does not say good");
  CHECK(row.cost == Money::usd(0.001));
  CHECK(row.usage.output_tokens == 1'000);
}

TEST_CASE("a failure goes through unjudged") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m", {error(ErrorKind::server_error)}};
  const auto reply = runtime.call(model | accept_if(says("good"), {.repair = 2}), "hello");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::server_error);
  CHECK(model.send_count() == 1);
}

TEST_CASE("a refused answer opens no breaker, sets no cooldown and is not retried") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m", {answer("bad")}};
  const Provider guarded =
      model | accept_if(says("good")) | retry({.max_attempts = 3}) | circuit_breaker({.consecutive_failures = 1});
  for (int call = 1; call <= 3; ++call) {
    CHECK_FALSE(runtime.call(guarded, "hello"));
    CHECK(model.send_count() == static_cast<std::size_t>(call));
  }
  CHECK(runtime.elapsed() == 0s);
}

TEST_CASE("a repair asks the same target again with the draft and the reasons") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m", {answer("bad"), answer("good")}};
  const AcceptOptions options{.repair = 1, .repair_wording = "No: {reasons}. Again!"};
  const auto reply = runtime.call(model | accept_if(says("good"), options), "hello");
  REQUIRE(reply);
  CHECK(reply->text() == "good");
  REQUIRE(reply->attempts.size() == 2);
  CHECK(reply->attempts[0].outcome == ErrorKind::rejected_response);
  CHECK_FALSE(reply->attempts[1].outcome);
  const std::vector<Message> asked = model.sends()[1].request.messages;
  REQUIRE(asked.size() == 3);
  CHECK(asked[0] == Message::user("hello"));
  CHECK(asked[1] == Message::assistant("bad"));
  CHECK(asked[2] == Message::user("No: it does not say good. Again!"));
}

TEST_CASE("a repair of tool calls gives each a result, and of an empty answer no empty turn") {
  VirtualRuntime runtime;
  ChatRequest request{"hello"};
  request.tools = {{.name = "weather", .parameters = R"({"type": "object", "required": ["city"]})"}};
  SECTION("tool calls") {
    const ScriptedProvider model{"a/m", {tool_call("weather", "{}"), tool_call("weather", R"({"city": "Rome"})")}};
    REQUIRE(runtime.call(model | accept_if(valid_tool_arguments(), {.repair = 1}), request));
    const std::vector<Message> asked = model.sends()[1].request.messages;
    REQUIRE(asked.size() == 4);
    CHECK(std::holds_alternative<ToolCall>(asked[1].parts[0]));
    CHECK(std::get<ToolResult>(asked[2].parts[0]).call_id == std::get<ToolCall>(asked[1].parts[0]).id);
    CHECK(std::get<ToolResult>(asked[2].parts[0]).is_error);
    CHECK_THAT(text_of(asked[3].parts), ContainsSubstring("lacks the required property \"city\""));
  }
  SECTION("an empty answer") {
    const ScriptedProvider model{"a/m", {answer(""), answer("text")}};
    REQUIRE(runtime.call(model | accept_if(not_empty(), {.repair = 1}), request));
    const std::vector<Message> asked = model.sends()[1].request.messages;
    REQUIRE(asked.size() == 2);
    CHECK(asked[1].role == Role::user);
  }
}

TEST_CASE("a repair that fails leaves the refusal standing") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m", {answer("bad"), error(ErrorKind::context_window_exceeded)}};
  const auto reply = runtime.call(model | accept_if(says("good"), {.repair = 3}), "hello");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::rejected_response);
  REQUIRE(reply.error().attempts.size() == 2);
  CHECK(reply.error().attempts[1].outcome == ErrorKind::context_window_exceeded);
}

TEST_CASE("the draft goes on to the next target, though its repair failed") {
  VirtualRuntime runtime;
  const ScriptedProvider first{"a/m", {answer("a bad draft"), error(ErrorKind::server_error)}};
  const ScriptedProvider second{"b/m", {answer("good")}};
  const FallbackClient client{{first | accept_if(says("good"), {.repair = 1}), second},
                              {.escalation = Escalation::with_draft}};
  REQUIRE(runtime.call(client, "hello"));
  CHECK(first.send_count() == 2);
  CHECK(std::ranges::count(second.sends().at(0).request.messages, Message::assistant("a bad draft")) == 1);
}

TEST_CASE("there is no repair without sends or time left for it") {
  VirtualRuntime runtime;
  SECTION("the call has used up its sends") {
    const ScriptedProvider model{"a/m", {answer("bad")}};
    const auto reply = runtime.call(model | accept_if(says("good"), {.repair = 9}), "hello", {.max_attempts = 2});
    REQUIRE_FALSE(reply);
    CHECK(reply.error().kind == ErrorKind::rejected_response);
    CHECK(reply.error().attempts.size() == 2);
  }
  SECTION("the last send is kept for another target") {
    const ScriptedProvider cheap{"a/m", {answer("bad")}};
    const ScriptedProvider smart{"b/m", {answer("good")}};
    const FallbackClient client{{cheap | accept_if(says("good"), {.repair = 9}), smart},
                                {.limits = {.max_attempts = 2}, .runtime = runtime.share()}};
    const auto reply = client.chat("hello");
    REQUIRE(reply);
    CHECK(cheap.send_count() == 1);
    CHECK(reply->served_by == smart.target());
    CHECK(reply->attempts.size() == 2);
  }
  SECTION("the target's share of the time is over") {
    const ScriptedProvider cheap{"a/m", {stream({"b", "ad"}, 25s)}};
    const ScriptedProvider smart{"b/m", {answer("good")}};
    const FallbackClient client{cheap | accept_if(says("good"), {.repair = 1}), smart};
    EventLog log{runtime.runtime()};
    const auto reply = runtime.call(client, "hello", {.deadline = 30s, .sink = &log});
    REQUIRE(reply);
    CHECK(cheap.send_count() == 1);
    CHECK(runtime.elapsed() == 25s);
  }
}

TEST_CASE("a request whose schema cannot be judged by is not sent") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m"};
  ChatRequest request{"hello"};
  request.response_format = ResponseFormat{.type = ResponseFormat::Type::json_schema, .schema = R"({"nullable": true})"};
  const auto reply = runtime.call(model | accept_if(matches_schema()), request);
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::invalid_request);
  CHECK_THAT(reply.error().message, ContainsSubstring("`/nullable` is not a keyword that is known here"));
  CHECK(model.send_count() == 0);
  REQUIRE(reply.error().attempts.size() == 1);
  CHECK_FALSE(reply.error().attempts[0].sent);
}

TEST_CASE("an exception of the application's check fails the call with its words") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m"};
  const Check throws = satisfies("throws", [](const Answer&) -> bool { throw std::runtime_error{"out of order"}; });
  const auto reply = runtime.call(model | accept_if(not_empty() && throws), "hello");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::invalid_request);
  CHECK_THAT(reply.error().message, ContainsSubstring("out of order"));
  REQUIRE(reply.error().attempts.size() == 1);
  CHECK(reply.error().attempts[0].sent);
  CHECK(reply.error().attempts[0].outcome == ErrorKind::invalid_request);
  CHECK(reply.error().attempts[0].reason == reply.error().message);
  CHECK(runtime.idle());
}

TEST_CASE("what a check says is kept to 500 bytes, cut between characters") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m"};
  std::string words = "x";
  for (int i = 0; i < 1'000; ++i) words += "ä";
  const std::string kept = words.substr(0, 499);
  const Check refuses = satisfies("refuses", [&](const Answer&) -> Objection { return words; });
  const auto refused = runtime.call(model | accept_if(refuses || refuses), "hello");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message == "the answer was not accepted: " + kept);
  CHECK(refused.error().attempts[0].reason == refused.error().message);
  const Check throws = satisfies("throws", [&](const Answer&) -> bool { throw std::runtime_error{words}; });
  const auto failed = runtime.call(model | accept_if(throws), "hello");
  REQUIRE_FALSE(failed);
  CHECK(failed.error().message.size() <= 500);
  CHECK(failed.error().message.ends_with("ä"));
  ChatRequest request{"hello"};
  request.response_format = ResponseFormat{.type = ResponseFormat::Type::json_schema,
                                           .schema = "{\"" + words + R"(": true})"};
  const auto not_sent = runtime.call(model | accept_if(matches_schema()), request);
  REQUIRE_FALSE(not_sent);
  CHECK(not_sent.error().message.size() <= 500);
}

TEST_CASE("a schema in a circle is not sent") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m"};
  ChatRequest request{"hello"};
  request.response_format = ResponseFormat{.type = ResponseFormat::Type::json_schema, .schema = R"({"$ref": "#"})"};
  request.tools = {{.name = "weather", .parameters = R"({"anyOf": [{"$ref": "#"}]})"}};
  for (const Check& check : {matches_schema(), valid_tool_arguments()}) {
    const auto reply = runtime.call(model | accept_if(check), request);
    REQUIRE_FALSE(reply);
    CHECK(reply.error().kind == ErrorKind::invalid_request);
    CHECK_THAT(reply.error().message, ContainsSubstring("`/` applies itself to the same value, in a circle; it may"));
  }
  CHECK(model.send_count() == 0);
}

// Streams.

TEST_CASE("a stream is held until the check has passed, and the consumer sees one clean answer") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  const ScriptedProvider cheap{"a/m", {stream({"b", "a", "d"}, 1s)}};
  const ScriptedProvider smart{"b/m", {stream({"go", "od"}, 1s)}};
  const FallbackClient client{cheap | accept_if(says("good")), smart | accept_if(says("good"))};
  const auto reply = runtime.call(client, "hello", {.sink = &log});
  REQUIRE(reply);
  CHECK(texts_of(log) == "good");
  REQUIRE(log.events().size() == 2);
  CHECK(log.events()[0].type == StreamEvent::Type::text);
  CHECK(log.events()[1].type == StreamEvent::Type::finished);
  CHECK(runtime.elapsed() == 3s);
}

TEST_CASE("a refused stream that was held has handed over nothing") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  const ScriptedProvider model{"a/m", {stream({"b", "ad"})}};
  const auto reply = runtime.call(model | accept_if(says("good")), "hello", {.sink = &log});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::rejected_response);
  CHECK_FALSE(reply.error().committed);
  CHECK(reply.error().partial_text.empty());
  CHECK(texts_of(log).empty());
}

TEST_CASE("where the client begins streams anew they are not held, unless there are tools or it is asked for") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  const ScriptedProvider cheap{"a/m", {stream({"b", "ad"})}};
  const ScriptedProvider smart{"b/m", {stream({"good"})}};
  AcceptOptions options;
  ChatRequest request{"hello"};
  std::string seen = "bad|good";
  SECTION("not held") {}
  SECTION("asked for") {
    options.always_hold = true;
    seen = "good";
  }
  SECTION("with tools") {
    request.tools = {{.name = "now"}};
    seen = "good";
  }
  const FallbackClient client{{cheap | accept_if(says("good"), options), smart}, {.mid_stream = MidStream::restart}};
  const auto reply = runtime.call(client, request, {.sink = &log});
  REQUIRE(reply);
  CHECK(texts_of(log) == seen);
  CHECK(reply->attempts[0].outcome == ErrorKind::rejected_response);
}

TEST_CASE("a refusal after content is an interrupted stream with rejected_response as its cause") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  const ScriptedProvider model{"a/m", {stream({"b", "ad"})}};
  const FallbackClient client{{model | accept_if(says("good"), {.repair = 1})}, {.mid_stream = MidStream::restart}};
  const auto reply = runtime.call(client, "hello", {.sink = &log});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::stream_interrupted);
  CHECK(reply.error().cause == ErrorKind::rejected_response);
  CHECK(reply.error().committed);
  CHECK(reply.error().partial_text == "bad");
  CHECK(model.send_count() == 1);
}

TEST_CASE("a repaired stream hands over the repaired answer alone, and a tool call whole") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  ChatRequest request{"hello"};
  request.tools = {{.name = "now", .parameters = R"({"type": "object", "required": ["zone"]})"}};
  const ScriptedProvider model{"a/m", {tool_call("now", "{}"), tool_call("now", R"({"zone": "CET"})")}};
  const auto reply = runtime.call(model | accept_if(valid_tool_arguments(), {.repair = 1}), request, {.sink = &log});
  REQUIRE(reply);
  REQUIRE(log.events().size() == 2);
  CHECK(log.events()[0].type == StreamEvent::Type::tool_call);
  REQUIRE(log.events()[0].tool_call);
  CHECK(log.events()[0].tool_call->arguments == R"({"zone": "CET"})");
}

TEST_CASE("what was given up for an answer is told before it is handed over") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  const ScriptedProvider model{"a/m", {stream({"go", "od"})}};
  const Policy degrades = intercept({.after = [](const ChatRequest&, Result<ChatResponse>& result) {
    if (result) result->degradation = Degradation{.features = {"vision"}};
  }});
  REQUIRE(runtime.call(model | degrades | accept_if(says("good")), "hello", {.sink = &log}));
  REQUIRE(log.events().size() == 3);
  CHECK(log.events()[0].type == StreamEvent::Type::degraded);
  CHECK(log.events()[1].delta == "good");
}

// Nesting.

TEST_CASE("two floors judge one after the other") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  const ScriptedProvider model{"a/m", {answer("none"), answer("inner"), answer("inner outer")}};
  const Provider both = model | accept_if(says("inner"), {.repair = 1}) | accept_if(says("outer"), {.repair = 1});
  const auto reply = runtime.call(both, "hello", {.sink = &log});
  REQUIRE(reply);
  CHECK(texts_of(log) == "inner outer");
  REQUIRE(reply->attempts.size() == 3);
  CHECK(reply->attempts[0].reason == "the answer was not accepted: it does not say inner");
  CHECK(reply->attempts[1].reason == "the answer was not accepted: it does not say outer");
  CHECK_FALSE(reply->attempts[2].outcome);
}

TEST_CASE("a floor around a whole client judges whichever target answered") {
  VirtualRuntime runtime;
  const ScriptedProvider first{"a/m", {error(ErrorKind::server_error)}};
  const ScriptedProvider second{"b/m", {answer("bad")}};
  const FallbackClient client{first, second};
  const auto reply = runtime.call(client | accept_if(says("good")), "hello");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::rejected_response);
  CHECK(reply.error().target == second.target());
  REQUIRE(reply.error().attempts.size() == 2);
  CHECK(reply.error().attempts[0].outcome == ErrorKind::server_error);
  CHECK(reply.error().attempts[1].outcome == ErrorKind::rejected_response);
}

TEST_CASE("a refused answer is not kept by a cache around, and one out of a cache inside is refused without a send") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m", {answer("bad"), answer("good")}};
  ChatRequest request{"hello"};
  request.temperature = 0;
  SECTION("around") {
    const Provider kept = model | accept_if(says("good")) | cache();
    CHECK_FALSE(runtime.call(kept, request));
    const auto reply = runtime.call(kept, request);
    REQUIRE(reply);
    CHECK(reply->text() == "good");
    REQUIRE(runtime.call(kept, request));
    CHECK(model.send_count() == 2);
  }
  SECTION("inside") {
    const Provider judged = model | cache() | accept_if(says("good"));
    CHECK_FALSE(runtime.call(judged, request));
    const auto reply = runtime.call(judged, request);
    REQUIRE_FALSE(reply);
    CHECK(reply.error().kind == ErrorKind::rejected_response);
    CHECK(model.send_count() == 1);
    const Attempt& row = reply.error().attempts.back();
    CHECK_FALSE(row.sent);
    CHECK(row.outcome == ErrorKind::rejected_response);
  }
}

TEST_CASE("a stream that calls share is held, whatever the first of them would do") {
  VirtualRuntime runtime;
  EventLog first_log{runtime.runtime()};
  EventLog second_log{runtime.runtime()};
  const ScriptedProvider cheap{"a/m", {stream({"b", "ad"}, 1s)}};
  const ScriptedProvider smart{"b/m", {stream({"good"})}};
  const Provider shared = cheap | accept_if(says("good")) | single_flight();
  const FallbackClient anew{{shared, smart}, {.mid_stream = MidStream::restart}};
  const FallbackClient plain{{shared, smart}};
  const auto first = runtime.start(anew, "hello", {.sink = &first_log});
  const auto second = runtime.start(plain, "hello", {.sink = &second_log});
  runtime.run_all();
  CHECK(cheap.send_count() == 1);
  REQUIRE(first->result());
  REQUIRE(second->result());
  CHECK(texts_of(first_log) == "good");
  CHECK(texts_of(second_log) == "good");
}

TEST_CASE("calls that share a send all get the verdict") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m", {answer("bad").after(1s)}};
  const Provider shared = model | accept_if(says("good")) | single_flight();
  const auto first = runtime.start(shared, "hello");
  const auto second = runtime.start(shared, "hello");
  runtime.run_all();
  CHECK(model.send_count() == 1);
  REQUIRE_FALSE(first->result());
  REQUIRE_FALSE(second->result());
  CHECK(first->result().error().kind == ErrorKind::rejected_response);
  CHECK(second->result().error().kind == ErrorKind::rejected_response);
}

// Judges.

TEST_CASE("a judge says yes or no, and its send stands in the ledger and in the cost of the call") {
  VirtualRuntime runtime;
  const ScriptedProvider model{priced("a", 1), {answer("an answer").usage(0, 1'000)}};
  const std::string said = GENERATE(as<std::string>{}, "Yes.", "**yes**, it is", "YES", "no", "No, it is rude.");
  INFO(said);
  const bool accepts = said[0] == 'Y' || said[0] == '*';
  const ScriptedProvider judge{priced("j", 2), {answer(said).usage(0, 1'000)}};
  ChatRequest request{"hello"};
  request.metadata.user_id = "ada";
  const auto reply = runtime.call(model | accept_if(judged_by(judge, "Is it polite?")), request);
  CHECK(reply.has_value() == accepts);
  const Ledger& rows = reply ? reply->attempts : reply.error().attempts;
  REQUIRE(rows.size() == 2);
  CHECK_FALSE(rows[0].judge);
  CHECK(rows[1].judge);
  CHECK_FALSE(rows[1].outcome);
  CHECK((reply ? reply->cost : reply.error().cost) == Money::usd(0.003));
  const ChatRequest asked = judge.sends().front().request;
  CHECK(asked.metadata.user_id == "ada");
  CHECK_THAT(text_of(asked.messages.back().parts),
             ContainsSubstring("<user>\nhello\n</user>") && ContainsSubstring("<answer>\nan answer\n</answer>") &&
                 ContainsSubstring("The question: Is it polite?"));
  if (reply) {
    CHECK(reply->served_by == model.target());
    return;
  }
  CHECK(reply.error().message == "the answer was not accepted: the judge j/m says no");
  CHECK(reply.error().provider_message == (said == "no" ? "" : "it is rude."));
  CHECK_THAT(to_string(reply.error()), ContainsSubstring("j/m: ok (judge)"));
}

TEST_CASE("a judge that cannot judge counts as its rule says") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m", {answer("an answer")}};
  const JudgeFailure rule = GENERATE(JudgeFailure::accept, JudgeFailure::reject);
  std::string why;
  std::optional<ScriptedProvider> judge;
  Policy around = timeout(5s);
  SECTION("it fails") {
    judge.emplace("j/m", std::vector{error(ErrorKind::overloaded)});
    why = "failed with overloaded";
  }
  SECTION("it says neither yes nor no") {
    judge.emplace("j/m", std::vector{answer("Perhaps.")});
    why = "said neither yes nor no";
  }
  SECTION("it is silent") {
    judge.emplace("j/m", std::vector{silence()});
    why = "failed with timeout";
  }
  SECTION("a cap refuses it") {
    judge.emplace(priced("j", 1'000));
    around = cost_cap({.per_request = Money::usd(0.01)});
    why = "failed with budget_exceeded";
  }
  const auto reply =
      runtime.call(model | accept_if(judged_by(*judge | around, "Is it polite?", {.on_failure = rule})), "hello");
  CHECK(reply.has_value() == (rule == JudgeFailure::accept));
  if (!reply) CHECK(reply.error().message == "the answer was not accepted: the judge j/m " + why);
  const Ledger& rows = reply ? reply->attempts : reply.error().attempts;
  REQUIRE(rows.size() == 2);
  CHECK(rows[1].judge);
  CHECK(runtime.elapsed() <= 5s);
}

TEST_CASE("a cap around the floor refuses the judge, too") {
  VirtualRuntime runtime;
  const ScriptedProvider model{priced("a", 1), {answer("an answer").usage(0, 1'000)}};
  const ScriptedProvider judge{priced("j", 1'000)};
  const Check polite = judged_by(judge, "Is it polite?", {.on_failure = JudgeFailure::reject});
  const auto reply = runtime.call(model | accept_if(polite) | cost_cap({.per_request = Money::usd(0.2)}), "hello");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::rejected_response);
  CHECK_THAT(reply.error().message, ContainsSubstring("budget_exceeded"));
  CHECK(judge.send_count() == 0);
}

TEST_CASE("a judge does not take the sends that are kept for other targets") {
  VirtualRuntime runtime;
  const ScriptedProvider cheap{"a/m", {answer("bad")}};
  const ScriptedProvider smart{"b/m", {answer("good")}};
  const ScriptedProvider judge{"j/m", {answer("no")}};
  const Check polite = judged_by(judge, "Is it polite?", {.on_failure = JudgeFailure::reject});
  const FallbackClient client{{cheap | accept_if(polite), smart}, {.limits = {.max_attempts = 2}}};
  const auto reply = runtime.call(client, "hello", {.max_attempts = 2});
  REQUIRE(reply);
  CHECK(judge.send_count() == 0);
  CHECK(reply->served_by == smart.target());
}

TEST_CASE("what fails for a judge says nothing on the targets of the call") {
  VirtualRuntime runtime;
  const ScriptedProvider cheap{"a/m", {answer("bad")}};
  const ScriptedProvider smart{"b/m", {answer("yes")}};  // judges, too
  const ScriptedProvider judge{"j/m", {error(ErrorKind::context_window_exceeded)}};
  const FallbackClient judges{judge, smart};
  const Check polite = judged_by(judges, "Is it polite?", {.on_failure = JudgeFailure::reject});
  const FallbackClient client{cheap | accept_if(!polite), smart};
  const auto reply = runtime.call(client, "hello");
  REQUIRE(reply);
  CHECK(reply->served_by == smart.target());
  CHECK(reply->fallback);
  const auto again = runtime.call(FallbackClient{cheap | accept_if(polite), smart}, "hello");
  REQUIRE(again);
  CHECK(again->served_by == cheap.target());
  CHECK_FALSE(again->fallback);
}

TEST_CASE("a judge that fails does not bring back the time limit that the answer has outlived") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m", {stream({"an ", "answer"}, 51s).after(1s)}};
  const ScriptedProvider judge{"j/m", {error(ErrorKind::server_error), answer("yes")}};
  const Policy floor = accept_if(judged_by(judge | retry({.initial = 1s, .max = 1s, .min_attempt_time = 0s}), "Is it polite?"));
  const FallbackClient client{{model | floor, ScriptedProvider{"b/m"}},
                              {.recovery = {.max_wait = 0s}, .runtime = runtime.share()}};
  EventLog log{runtime.runtime()};
  const auto reply = runtime.call(client, "hello", {.deadline = 60s, .sink = &log});
  REQUIRE(reply);
  CHECK(reply->text() == "an answer");
  CHECK(judge.send_count() == 2);
  CHECK_FALSE(reply->attempts.back().outcome);
}

TEST_CASE("a call that is cancelled while the judge runs ends at once") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  const ScriptedProvider model{"a/m", {answer("an answer")}};
  const ScriptedProvider judge{"j/m", {silence()}};
  const Provider judged = model | accept_if(judged_by(judge, "Is it polite?"), {.repair = 1});
  const auto call = runtime.start(judged, "hello", {.sink = &log});
  runtime.at(3s, [&] { call->cancel(); });
  runtime.run(*call);
  REQUIRE_FALSE(call->result());
  CHECK(call->result().error().kind == ErrorKind::cancelled);
  CHECK(runtime.elapsed() == 3s);
  CHECK(texts_of(log).empty());
  const Ledger& rows = call->result().error().attempts;
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].outcome == ErrorKind::cancelled);
  CHECK(rows[0].reason == call->result().error().message);
  CHECK(rows[1].outcome == ErrorKind::cancelled);
  CHECK(model.send_count() == 1);
  CHECK(runtime.idle());
}

TEST_CASE("the call's deadline ends a judge, and loses no answer that may stand without it") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  const JudgeFailure rule = GENERATE(JudgeFailure::accept, JudgeFailure::reject);
  const ScriptedProvider model{"a/m", {answer("an answer")}};
  const ScriptedProvider judge{"j/m", {silence()}};
  const Provider judged = model | accept_if(judged_by(judge, "Is it polite?", {.on_failure = rule}));
  const bool in_client = GENERATE(false, true);
  const Provider asked = in_client ? Provider{FallbackClient{judged}} : judged;
  const auto reply = runtime.call(asked, "hello", {.deadline = 7s, .sink = &log});
  CHECK(runtime.elapsed() == 7s);
  if (rule == JudgeFailure::accept) {
    REQUIRE(reply);
    CHECK(log.text() == "an answer");
  } else {
    REQUIRE_FALSE(reply);
    CHECK(reply.error().kind == ErrorKind::deadline_exceeded);
    CHECK(reply.error().attempts[0].outcome == ErrorKind::deadline_exceeded);
    CHECK(log.text().empty());
  }
}

TEST_CASE("a judge leaves time for the targets still to come") {
  VirtualRuntime runtime;
  const JudgeFailure rule = GENERATE(JudgeFailure::accept, JudgeFailure::reject);
  const ScriptedProvider cheap{"a/m", {answer("an answer").after(2s)}};
  const ScriptedProvider smart{"b/m", {answer("another")}};
  const ScriptedProvider judge{"j/m", {silence()}};
  const Provider judges = GENERATE(false, true) ? Provider{FallbackClient{judge}} : Provider{judge};
  const Check polite = judged_by(judges, "Is it polite?", {.on_failure = rule});
  const auto reply = runtime.call(FallbackClient{cheap | accept_if(polite), smart}, "hello", {.deadline = 10s});
  REQUIRE(reply);
  CHECK(reply->text() == (rule == JudgeFailure::accept ? "an answer" : "another"));
  CHECK(runtime.elapsed() == 6s);  // half of what was left
}

TEST_CASE("a repair leaves time for the targets still to come") {
  VirtualRuntime runtime;
  const ScriptedProvider cheap{"a/m", {answer("bad").after(2s), silence()}};
  const ScriptedProvider smart{"b/m", {answer("good")}};
  const Provider floor = cheap | accept_if(says("good"), {.repair = 3});
  const Provider first = GENERATE(false, true) ? Provider{FallbackClient{floor}} : floor;
  const auto reply = runtime.call(FallbackClient{first, smart}, "hello", {.deadline = 10s});
  REQUIRE(reply);
  CHECK(reply->served_by == smart.target());
  CHECK(runtime.elapsed() == 6s);
  CHECK(cheap.send_count() == 2);
}

TEST_CASE("sends within a client's own limit are kept for its other targets") {
  VirtualRuntime runtime;
  const ScriptedProvider cheap{"a/m", {answer("bad")}};
  const ScriptedProvider smart{"b/m", {answer("good")}};
  const ScriptedProvider judge{"j/m", {answer("no")}};
  FallbackOptions options;
  options.runtime = runtime.share();
  const auto ask = [&](const Policy& floor, int most) {
    options.limits.max_attempts = most;
    const FallbackClient inner{{cheap | floor, smart}, options};
    return runtime.call(inner | retry({.max_attempts = 1}), "hello");
  };
  const auto repaired = ask(accept_if(says("good"), {.repair = 3}), 3);
  REQUIRE(repaired);
  CHECK(repaired->served_by == smart.target());
  CHECK(cheap.send_count() == 2);
  const auto judged = ask(accept_if(judged_by(judge, "Good?", {.on_failure = JudgeFailure::reject})), 2);
  REQUIRE(judged);
  CHECK(judged->served_by == smart.target());
  CHECK(judge.send_count() == 0);
}

TEST_CASE("what a floor has refused is not given as a cached answer") {
  VirtualRuntime runtime;
  FallbackOptions options;
  options.runtime = runtime.share();
  options.recovery.max_wait = 0s;
  options.degrade = {degrade::cached(AnswerCache{}), degrade::canned("BAD, too")};
  const FallbackClient inner{{ScriptedProvider{"a/m", {answer("BAD")}}}, options};
  const auto reply = runtime.call(FallbackClient{inner | accept_if(says("good"))}, "hello");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::rejected_response);
}

TEST_CASE("a repair around a client asks the target again that gave the refused answer") {
  VirtualRuntime runtime;
  const ScriptedProvider other{"b/m", {answer("good")}};
  FallbackOptions options;
  options.strategy = weighted({1, 1});  // takes turns
  SECTION("it answers") {
    const ScriptedProvider model{"a/m", {answer("bad"), answer("good")}};
    const auto reply =
        runtime.call(FallbackClient{{model, other}, options} | accept_if(says("good"), {.repair = 1}), "hello");
    REQUIRE(reply);
    CHECK(reply->served_by == model.target());
    CHECK(model.send_count() == 2);
    CHECK(other.send_count() == 0);
  }
  SECTION("it fails") {
    const ScriptedProvider model{"a/m", {answer("bad"), error(ErrorKind::server_error)}};
    const auto reply =
        runtime.call(FallbackClient{{model, other}, options} | accept_if(says("good"), {.repair = 1}), "hello");
    REQUIRE_FALSE(reply);
    CHECK(reply.error().kind == ErrorKind::rejected_response);
    CHECK(other.send_count() == 0);
  }
  SECTION("it fails, and others stand outside") {
    const ScriptedProvider model{"a/m", {answer("bad"), error(ErrorKind::server_error)}};
    const Provider floor = FallbackClient{{model, other}, options} | accept_if(says("good"), {.repair = 1});
    const ScriptedProvider outside{"c/m", {answer("good")}};
    const auto reply = runtime.call(FallbackClient{floor, outside}, "hello");
    REQUIRE(reply);
    CHECK(reply->served_by == outside.target());
    CHECK(text_of(outside.sends().at(0).request.messages.back().parts) == "hello");
  }
}

TEST_CASE("a consumer that leaves while the answer is held ends the call") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m", {stream({"a", "b", "c"}, 1s)}};
  const FallbackClient client{{model | accept_if(says("c"))}, {.runtime = runtime.share()}};
  {
    ChatStream stream = client.stream("hello");
    runtime.run_for(1500ms);
  }
  runtime.run_for(10s);
  CHECK(runtime.idle());
}

TEST_CASE("a judge may be the same model as the one that answered") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m", {answer("an answer"), answer("No.")}};
  const auto reply = runtime.call(model | accept_if(judged_by(model, "Is it polite?")), "hello");
  REQUIRE_FALSE(reply);
  REQUIRE(reply.error().attempts.size() == 2);
  CHECK(reply.error().attempts[0].outcome == ErrorKind::rejected_response);
  CHECK_FALSE(reply.error().attempts[1].outcome);
}

TEST_CASE("a floor around one that has a judge refuses the answer and not the judge") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m", {answer("an answer"), answer("yes")}};
  const auto reply = runtime.call(model | accept_if(judged_by(model, "Polite?")) | accept_if(says("good")), "hello");
  REQUIRE_FALSE(reply);
  REQUIRE(reply.error().attempts.size() == 2);
  CHECK(reply.error().attempts[0].outcome == ErrorKind::rejected_response);
  CHECK_FALSE(reply.error().attempts[1].outcome);
}

TEST_CASE("a cap on what falling over costs more leaves a judge out") {
  VirtualRuntime runtime;
  const ScriptedProvider model{priced("a", 1), {answer("an answer").usage(0, 10)}};
  const ScriptedProvider judge{priced("j", 100), {answer("yes").usage(0, 1'000)}};
  const Budget budget{{.fallback_premium_per_period = Money::usd(0.000001)}};
  const FallbackClient client{model | accept_if(judged_by(judge, "Polite?", {.on_failure = JudgeFailure::reject})) |
                                  cost_cap(budget),
                              ScriptedProvider{"b/m"}};
  const auto reply = runtime.call(client, "hello");
  REQUIRE(reply);
  CHECK(reply->served_by == model.target());
  CHECK(budget.snapshot(runtime.clock().now()).spent.premium == Money{});
}

TEST_CASE("metrics count what is refused, and a judge is no fallback") {
  VirtualRuntime runtime;
  const auto metrics = std::make_shared<Metrics>();
  const ScriptedProvider model{"a/m", {answer("an answer"), answer("a worse one")}};
  const ScriptedProvider judge{"j/m", {answer("yes"), answer("no")}};
  const FallbackClient client{{model | accept_if(judged_by(judge, "Is it polite?"))},
                              {.observers = {metrics}, .runtime = runtime.share()}};
  REQUIRE(client.chat("hello"));
  REQUIRE_FALSE(client.chat("hello"));
  const MetricsSnapshot snapshot = metrics->snapshot();
  CHECK(snapshot.fallbacks == 0);
  REQUIRE(snapshot.find("a/m") != nullptr);
  CHECK(snapshot.find("a/m")->succeeded == 2);
  CHECK(snapshot.find("a/m")->rejected == 1);
  CHECK(snapshot.find("j/m")->rejected == 0);
}

// Descriptions and options.

TEST_CASE("the policy describes its check and its options") {
  const ScriptedProvider model{"a/m"};
  CHECK((model | accept_if(finished())).describe() == "a/m | accept_if(finished)");
  CHECK((model | accept_if(finished() && not_empty(), {.repair = 2, .always_hold = true})).describe() ==
        "a/m | accept_if(finished && not_empty, repair = 2, always_hold = true)");
  CHECK((model | accept_if(finished(), {.repair = 2})).get().layer().sends == 3);
}

TEST_CASE("options of accept_if that cannot be right are refused") {
  CHECK_THROWS_AS(accept_if(finished(), {.repair = -1}), std::invalid_argument);
  CHECK_THROWS_AS(accept_if(finished(), {.repair_wording = "Again!"}), std::invalid_argument);
  CHECK(problem_with(AcceptOptions{}).empty());
}

TEST_CASE("what is refused is counted with the target") {
  VirtualRuntime runtime;
  const ScriptedProvider cheap{"a/m", {answer("bad"), answer("good"), answer("bad"), answer("bad")}};
  const ScriptedProvider smart{"b/m", {answer("good")}};
  const FallbackClient client{{cheap | accept_if(says("good")), smart}, {.runtime = runtime.share()}};
  for (int call = 0; call < 4; ++call) REQUIRE(client.chat("hello"));
  const ClientSnapshot snapshot = client.snapshot();
  CHECK(snapshot.candidates[0].rejection_share == 0.75);
  CHECK(snapshot.candidates[0].success_share == 1.0);
}

}  // namespace accept_if_test
