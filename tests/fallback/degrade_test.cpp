#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/observe/observer.hpp"
#include "backstop/policies/cache.hpp"
#include "backstop/policies/circuit_breaker.hpp"
#include "backstop/policies/cost_cap.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/testing/event_log.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace degrade_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

using Ladder = std::vector<Rung>;

ModelFacts facts_of(Capabilities capabilities, std::optional<std::int64_t> window = std::nullopt) {
  ModelFacts facts;
  facts.capabilities = capabilities;
  facts.context_window = window;
  return facts;
}

ScriptedProvider target(std::string_view name, Capabilities capabilities = {}, std::vector<Step> steps = {}) {
  return ScriptedProvider{Target{"p", name, facts_of(capabilities)}, std::move(steps)};
}
ScriptedProvider blind(std::string_view name, std::vector<Step> steps = {}) {
  return target(name, {.vision = false}, std::move(steps));
}

ChatRequest with_image() {
  ChatRequest request{"what is this?"};
  request.messages.front().parts.emplace_back(Image{.data = "AAAA", .media_type = "image/png"});
  return request;
}
bool has_image(const ChatRequest& request) { return needs_of(request).vision; }

ChatRequest with_schema(ChatRequest request = "list them") {
  request.response_format = ResponseFormat{.type = ResponseFormat::Type::json_schema, .schema = "{}"};
  return request;
}

std::string features(const std::optional<Degradation>& degradation) {
  if (!degradation) return "none";
  std::string all;
  for (const std::string& feature : degradation->features) all.append(all.empty() ? "" : " ").append(feature);
  return all;
}

struct World {
  VirtualRuntime runtime;

  FallbackClient client(std::vector<Provider> providers, Ladder ladder, FallbackOptions options = {}) {
    // No call waits but where a test says so.
    options.degrade = std::move(ladder);
    if (options.recovery.max_wait == RecoveryOptions{}.max_wait) options.recovery.max_wait = 0s;
    options.runtime = runtime.share();
    return FallbackClient{std::move(providers), std::move(options)};
  }
  /// The events of a stream, and what it ended with.
  Result<ChatResponse> stream(const FallbackClient& client, const ChatRequest& request, EventLog& log) {
    PendingCall call = client.start(request, {.sink = &log});
    return call.wait();
  }
};

std::string types_of(const EventLog& log) {
  std::string all;
  for (const RecordedEvent& event : log.events()) all.append(all.empty() ? "" : " ").append(to_string(event.type));
  return all;
}

}  // namespace

TEST_CASE("each feature that a target lacks is given up on its rung, with notice, and on no other") {
  struct Row {
    Rung rung;
    Capabilities lacks;
    std::function<void(ChatRequest&)> add;
    std::string_view feature;
  };
  const std::vector<Row> rows{
      {degrade::images(), {.vision = false}, [](ChatRequest& r) { r = with_image(); }, "vision"},
      {degrade::documents(), {.documents = false},
       [](ChatRequest& r) { r.messages[0].parts.emplace_back(Document{.data = "AAAA", .media_type = "application/pdf"}); },
       "documents"},
      {degrade::reasoning(), {.reasoning = false}, [](ChatRequest& r) { r.reasoning_effort = "high"; }, "reasoning"},
      {degrade::json_schema(), {.json_schema = false}, [](ChatRequest& r) { r = with_schema(); }, "json_schema"},
      {degrade::tools(), {.tools = false}, [](ChatRequest& r) { r.tools.push_back(Tool{.name = "f"}); }, "tools"},
  };
  for (const Row& row : rows) {
    for (const Row& rung : rows) {
      CAPTURE(row.feature, rung.feature);
      World world;
      const ScriptedProvider only = target("only", row.lacks);
      const FallbackClient client = world.client({only}, {rung.rung});
      ChatRequest request{"hello"};
      row.add(request);
      const auto reply = client.chat(request);
      if (row.feature == rung.feature) {
        REQUIRE(reply);
        CHECK(features(reply->degradation) == row.feature);
        CHECK_THAT(reply->degradation->reason, ContainsSubstring("p/only: "));
        CHECK_FALSE(reply->degradation->notice.empty());
        CHECK_FALSE(only.sends()[0].request == request);
      } else {
        REQUIRE_FALSE(reply);
        CHECK(reply.error().kind == ErrorKind::unsupported_capability);
        CHECK(only.send_count() == 0);
      }
    }
  }
}

TEST_CASE("a target that can do all of it goes before any rung") {
  World world;
  const ScriptedProvider text = blind("text");
  const ScriptedProvider sees = target("sees");
  const FallbackClient client = world.client({text, sees}, {degrade::images()});
  const auto reply = client.chat(with_image());
  REQUIRE(reply);
  CHECK(reply->served_by.model() == "sees");
  CHECK_FALSE(reply->degradation);
  CHECK(text.send_count() == 0);
}

TEST_CASE("degrade_early asks a target with less in its turn") {
  World world;
  const ScriptedProvider text = blind("text");
  const ScriptedProvider sees = target("sees");
  const FallbackClient client = world.client({text, sees}, {degrade::images()}, {.degrade_early = true});
  const auto reply = client.chat(with_image());
  REQUIRE(reply);
  CHECK(reply->served_by.model() == "text");
  CHECK(features(reply->degradation) == "vision");
  const auto plain = client.chat("hello");
  REQUIRE(plain);
  CHECK_FALSE(plain->degradation);
}

TEST_CASE("when those that can do all have failed or are out, the others are asked with less, before any wait") {
  World world;
  const ScriptedProvider sees = target("sees", {}, {error(ErrorKind::overloaded, {.retry_after = 30s})});
  const ScriptedProvider text = blind("text");
  const FallbackClient client = world.client({sees, text}, {degrade::images()}, {.recovery = {.max_wait = 60s}});
  for (int call = 0; call < 2; ++call) {
    const auto reply = client.chat(with_image());
    REQUIRE(reply);
    CHECK(reply->served_by.model() == "text");
    CHECK(reply->fallback);
    CHECK(features(reply->degradation) == "vision");
    CHECK(reply->elapsed == 0s);
    CHECK(sees.send_count() == 1);  // then it cools down
  }
  CHECK_FALSE(has_image(text.sends()[0].request));
}

TEST_CASE("each target gives up only what it lacks, though the ladder has come further") {
  World world;
  const ScriptedProvider no_schema = target("no-schema", {.json_schema = false}, {error(ErrorKind::server_error)});
  const ScriptedProvider poor = target("poor", {.tools = false, .vision = false, .json_schema = false});
  const FallbackClient client = world.client(
      {no_schema, poor}, {degrade::images(), degrade::documents(), degrade::json_schema(), degrade::tools()});
  ChatRequest request = with_schema(with_image());
  request.tools.push_back(Tool{.name = "f"});
  const auto reply = client.chat(request);
  REQUIRE(reply);
  REQUIRE(no_schema.send_count() == 1);
  CHECK(has_image(no_schema.sends()[0].request));
  CHECK(no_schema.sends()[0].request.tools.size() == 1);
  CHECK(reply->served_by.model() == "poor");
  CHECK(features(reply->degradation) == "vision json_schema tools");
  CHECK_THAT(reply->degradation->notice, ContainsSubstring("1 image was left out") && ContainsSubstring("JSON schema") &&
                                             ContainsSubstring("1 tool was not offered"));
}

TEST_CASE("what a target turns out not to do is given up for it, rung by rung") {
  World world;
  const ScriptedProvider unsure = target(
      "unsure", {}, {error(ErrorKind::unsupported_capability), error(ErrorKind::unsupported_capability), answer("ok")});
  const FallbackClient client = world.client({unsure}, {degrade::images(), degrade::documents(), degrade::json_schema()});
  const auto reply = client.chat(with_schema(with_image()));
  REQUIRE(reply);
  CHECK(features(reply->degradation) == "vision json_schema");
  REQUIRE(unsure.send_count() == 3);
  CHECK(has_image(unsure.sends()[0].request));
  CHECK_FALSE(has_image(unsure.sends()[1].request));
  CHECK(needs_of(unsure.sends()[1].request).json_schema);
  CHECK_FALSE(needs_of(unsure.sends()[2].request).json_schema);
}

TEST_CASE("a target that has nothing more to give up is not asked the same again") {
  World world;
  const ScriptedProvider stubborn = target("stubborn", {}, {error(ErrorKind::unsupported_capability)});
  const FallbackClient client =
      world.client({stubborn}, {degrade::images(), degrade::documents(), degrade::json_schema(), degrade::tools()});
  const auto reply = client.chat(with_image());
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::unsupported_capability);
  CHECK(stubborn.send_count() == 2);
  CHECK(reply.error().attempts.size() == 2);
}

TEST_CASE("a conversation that is too long for every window loses what is old, as little as it must") {
  World world;
  const ScriptedProvider small{Target{"p", "small", facts_of({}, 2000)}};
  const FallbackClient client = world.client({small}, {degrade::history({.keep_turns = 2})});
  ChatRequest request;
  for (int i = 0; i < 20; ++i) request.messages.push_back(Message::user(std::string(1000, static_cast<char>('a' + i))));
  const auto reply = client.chat(request);
  REQUIRE(reply);
  CHECK(features(reply->degradation) == "history");
  CHECK_THAT(reply->degradation->reason, ContainsSubstring("longer than this model's window"));
  const ChatRequest sent = small.sends()[0].request;
  CHECK(needs_of(sent).input_tokens <= 1500);  // a quarter is for the answer
  CHECK(needs_of(sent).input_tokens > 1000);
  CHECK(sent.messages.back() == request.messages.back());
}

TEST_CASE("a window that the provider says is too small is believed, also where it is not known") {
  for (const bool known : {true, false}) {
    CAPTURE(known);
    World world;
    const ScriptedProvider small{
        Target{"p", "small", facts_of({}, known ? std::optional<std::int64_t>{20'000} : std::nullopt)},
        {error(ErrorKind::context_window_exceeded), answer("ok")}};
    const FallbackClient client = world.client({small}, {degrade::history({.keep_turns = 2})});
    ChatRequest request;
    for (int i = 0; i < 20; ++i) request.messages.push_back(Message::user(std::string(1000, 'x')));
    const auto reply = client.chat(request);
    REQUIRE(reply);
    CHECK(features(reply->degradation) == "history");
    REQUIRE(small.send_count() == 2);
    CHECK(small.sends()[1].request.messages.size() < 20);
    if (!known) CHECK(small.sends()[1].request.messages.size() == 3);
  }
}

TEST_CASE("an output limit that does not fit beside the input is lowered to what does, where the provider says so") {
  struct Row {
    std::optional<std::int64_t> window;
    std::optional<std::int64_t> most;
    std::optional<std::int64_t> asked;
    std::int64_t then;
  };
  const std::vector<Row> rows{
      {4000, std::nullopt, 3900, 2750},  // the input has 1,000 tokens by the estimate, a quarter more to be safe
      {4000, 8000, std::nullopt, 2750},
      {std::nullopt, std::nullopt, 3900, 1950},  // half of it
      {std::nullopt, 3000, 3900, 1500},
      {std::nullopt, 8000, std::nullopt, 4000},
      {1100, std::nullopt, 3900, 256},
  };
  for (const Row& row : rows) {
    CAPTURE(row.window.value_or(0), row.most.value_or(0), row.asked.value_or(0));
    World world;
    ModelFacts facts = facts_of({}, row.window);
    facts.max_output_tokens = row.most;
    const ScriptedProvider small{Target{"p", "small", facts},
                                 {error(ErrorKind::context_window_exceeded), answer("ok")}};
    const FallbackClient client = world.client({small}, {degrade::output()});
    ChatRequest request{std::string(4000, 'x')};
    request.max_output_tokens = row.asked;
    const auto reply = client.chat(request);
    REQUIRE(reply);
    CHECK(features(reply->degradation) == "output");
    CHECK_THAT(reply->degradation->notice, ContainsSubstring("limited to " + std::to_string(row.then) + " tokens"));
    CHECK(small.sends()[1].request.max_output_tokens == row.then);
  }
}

TEST_CASE("the output of a client inside is shortened from the most that is known of its targets") {
  World world;
  ModelFacts facts;
  facts.max_output_tokens = 8000;
  const ScriptedProvider known{Target{"p", "known", facts}, {error(ErrorKind::context_window_exceeded), answer("ok")}};
  const ScriptedProvider unknown{Target{"p", "unknown"}, {error(ErrorKind::context_window_exceeded)}};
  const FallbackClient client = world.client({world.client({known, unknown}, {})}, {degrade::output()});
  const auto reply = client.chat(std::string(4000, 'x'));
  REQUIRE(reply);
  CHECK(features(reply->degradation) == "output");
  CHECK(known.sends()[1].request.max_output_tokens == 4000);
}

TEST_CASE("no output is given up where that would change nothing") {
  for (const std::optional<std::int64_t> asked : {std::optional<std::int64_t>{}, std::optional<std::int64_t>{256}}) {
    World world;
    const ScriptedProvider small{Target{"p", "small"}, {error(ErrorKind::context_window_exceeded), answer("ok")}};
    const FallbackClient client = world.client({small}, {degrade::output()});
    ChatRequest request{std::string(4000, 'x')};
    request.max_output_tokens = asked;
    const auto reply = client.chat(request);
    REQUIRE_FALSE(reply);
    CHECK(reply.error().kind == ErrorKind::context_window_exceeded);
    CHECK(reply.error().attempts.size() == 1);
  }
}

TEST_CASE("the output is shortened where the rung before it has nothing to shorten") {
  World world;
  const ScriptedProvider small{Target{"p", "small"}, {error(ErrorKind::context_window_exceeded), answer("ok")}};
  const FallbackClient client = world.client({small}, {degrade::history(), degrade::output()});
  ChatRequest request{std::string(4000, 'x')};  // one turn, which stays
  request.max_output_tokens = 2000;
  const auto reply = client.chat(request);
  REQUIRE(reply);
  CHECK(features(reply->degradation) == "output");
  CHECK(small.sends()[1].request.max_output_tokens == 1000);
}

TEST_CASE("the first event of a stream says what was given up, once, and the answer says the same") {
  World world;
  const ScriptedProvider text = blind("text", {error(ErrorKind::server_error), stream({"a", "b"})});
  const FallbackClient client = world.client({text | retry()}, {degrade::images()});
  EventLog log{*world.runtime.share()};
  const auto reply = world.stream(client, with_image(), log);
  REQUIRE(reply);
  CHECK(types_of(log) == "degraded text text finished");
  CHECK(log.events()[0].degradation == reply->degradation);
  CHECK(features(reply->degradation) == "vision");
}

TEST_CASE("a range of events begins with what was given up") {
  World world;
  const FallbackClient client = world.client({blind("text", {stream({"a", "b"})})}, {degrade::images()});
  std::vector<StreamEvent::Type> types;
  for (const StreamEvent& event : client.stream(with_image())) {
    types.push_back(event.type);
    if (event.type == StreamEvent::Type::degraded) CHECK(event.degradation->features.front() == "vision");
  }
  using enum StreamEvent::Type;
  CHECK(types == std::vector{degraded, text, text, finished});
}

TEST_CASE("a target that fails before its first event leaves no notice behind") {
  World world;
  const ScriptedProvider first = blind("first", {error(ErrorKind::server_error)});
  const ScriptedProvider second = target("second", {.vision = false, .documents = false}, {stream({"x"})});
  const FallbackClient client = world.client({first, second}, {degrade::images(), degrade::documents()});
  ChatRequest request = with_image();
  request.messages[0].parts.emplace_back(Document{.data = "AAAA"});
  EventLog log{*world.runtime.share()};
  const auto reply = world.stream(client, request, log);
  REQUIRE(reply);
  CHECK(types_of(log) == "degraded text finished");
  CHECK(features(log.events()[0].degradation) == "vision documents");
}

TEST_CASE("when a target that can do all is back, nothing is given up") {
  World world;
  const ScriptedProvider sees = target("sees", {}, {error(ErrorKind::overloaded, {.retry_after = 3s}), answer("whole")});
  const ScriptedProvider text = blind("text", {error(ErrorKind::server_error)});
  const FallbackClient client = world.client({sees, text}, {degrade::images(), degrade::canned("sorry")},
                                             {.recovery = {.max_wait = 20s}});
  EventLog log{*world.runtime.share()};
  const auto reply = world.stream(client, with_image(), log);
  REQUIRE(reply);
  CHECK(reply->served_by.model() == "sees");
  CHECK_FALSE(reply->degradation);
  CHECK(types_of(log) == "text finished");
  CHECK(text.send_count() >= 1);
}

TEST_CASE("after a restart the notice is that of the target that begins anew") {
  World world;
  const ScriptedProvider sees = target("sees", {}, {deltas({"half"}).cut()});
  const ScriptedProvider text = blind("text", {stream({"whole"})});
  const FallbackClient client = world.client({sees, text}, {degrade::images()}, {.mid_stream = MidStream::restart});
  EventLog log{*world.runtime.share()};
  const auto reply = world.stream(client, with_image(), log);
  REQUIRE(reply);
  CHECK(types_of(log) == "text restarted degraded text finished");
  CHECK(features(reply->degradation) == "vision");
  CHECK(log.text() == "whole");
}

TEST_CASE("a restart at a target that needs no rung takes the notice back") {
  World world;
  const ScriptedProvider text = blind("text", {deltas({"half"}).cut()});
  const ScriptedProvider sees = target("sees", {}, {stream({"whole"})});
  const FallbackClient client =
      world.client({text, sees}, {degrade::images()}, {.mid_stream = MidStream::restart, .degrade_early = true});
  EventLog log{*world.runtime.share()};
  const auto reply = world.stream(client, with_image(), log);
  REQUIRE(reply);
  CHECK(types_of(log) == "degraded text restarted text finished");
  CHECK_FALSE(reply->degradation);
}

TEST_CASE("an answer that another target goes on with says what either gave up") {
  const std::string told = "The first part of a long answer,";
  for (const bool first_sees : {true, false}) {
    CAPTURE(first_sees);
    World world;
    const ScriptedProvider first = target("first", {.vision = first_sees, .prefill = true}, {deltas({told}).cut()});
    const ScriptedProvider second = target("second", {.vision = !first_sees, .prefill = true}, {stream({" and the rest."})});
    const FallbackClient client = world.client({first, second}, {degrade::images()},
                                               {.mid_stream = MidStream::resume, .degrade_early = !first_sees});
    EventLog log{*world.runtime.share()};
    const auto reply = world.stream(client, with_image(), log);
    REQUIRE(reply);
    CHECK(reply->text() == told + " and the rest.");
    CHECK(features(reply->degradation) == "vision");
    CHECK(log.count(StreamEvent::Type::degraded) == 1);
    CHECK(types_of(log) == (first_sees ? "text degraded text finished" : "degraded text text finished"));
    const ChatRequest rest = second.sends()[0].request;
    CHECK(has_image(rest) == !first_sees);
    CHECK(text_of(rest.messages.back().parts) == told);
  }
}

TEST_CASE("what is held back of a failed attempt takes its notice along") {
  World world;
  const ScriptedProvider text = blind("text", {deltas({"half"}).cut()});
  const ScriptedProvider sees = target("sees", {}, {stream({"whole"})});
  const FallbackClient client =
      world.client({text, sees}, {degrade::images()}, {.hold = StreamHold{.tokens = 1000}, .degrade_early = true});
  EventLog log{*world.runtime.share()};
  const auto reply = world.stream(client, with_image(), log);
  REQUIRE(reply);
  CHECK(types_of(log) == "text finished");
  CHECK_FALSE(reply->degradation);

  const FallbackClient other = world.client({target("sees", {}, {deltas({"half"}).cut()}), blind("text")},
                                            {degrade::images()}, {.hold = StreamHold{.tokens = 1000}});
  EventLog second{*world.runtime.share()};
  const auto degraded = world.stream(other, with_image(), second);
  REQUIRE(degraded);
  CHECK(types_of(second) == "degraded text finished");
}

TEST_CASE("a hedge is asked what it can do itself, and the winner's notice counts") {
  for (const bool sees_wins : {true, false}) {
    CAPTURE(sees_wins);
    World world;
    const ScriptedProvider text = blind("text", {sees_wins ? silence() : answer("text").after(2s)});
    const ScriptedProvider sees = target("sees", {}, {sees_wins ? answer("sees") : silence()});
    const HedgeOptions hedge{.min_delay = 1s, .delay_without_samples = 1s, .budget = {.share = 1}};
    const FallbackClient client =
        world.client({text, sees}, {degrade::images()}, {.hedge = hedge, .degrade_early = true});
    EventLog log{*world.runtime.share()};
    const auto reply = world.stream(client, with_image(), log);
    REQUIRE(reply);
    REQUIRE(sees.send_count() == 1);
    CHECK(has_image(sees.sends()[0].request));
    CHECK_FALSE(has_image(text.sends()[0].request));
    CHECK(reply->degradation.has_value() == !sees_wins);
    CHECK(types_of(log) == (sees_wins ? "text finished" : "degraded text finished"));
  }
}

TEST_CASE("a canned answer stands in for a failure, costs nothing and says so") {
  World world;
  const ScriptedProvider down = target("down", {}, {error(ErrorKind::connect_failed)});
  const FallbackClient client = world.client({down}, {degrade::images(), degrade::canned("Please call us.")});
  EventLog log{*world.runtime.share()};
  const auto reply = world.stream(client, "hello", log);
  REQUIRE(reply);
  CHECK(reply->text() == "Please call us.");
  CHECK(reply->served_by.name() == "local/canned");
  CHECK(reply->cost == Money{});
  CHECK(reply->fallback);
  CHECK(features(reply->degradation) == "answer");
  CHECK_THAT(reply->degradation->reason, ContainsSubstring("connect_failed"));
  CHECK(types_of(log) == "degraded text finished");
  REQUIRE(reply->attempts.size() == 2);
  CHECK(reply->attempts[1].target.name() == "local/canned");
  CHECK_FALSE(reply->attempts[1].sent);
}

TEST_CASE("a canned answer comes after the wait for recovery, and at the deadline") {
  World world;
  const ScriptedProvider down = target("down", {}, {error(ErrorKind::overloaded, {.retry_after = 60s})});
  const FallbackClient client =
      world.client({down}, {degrade::canned("sorry")}, {.recovery = {.max_wait = 100s}});
  const auto late = client.chat("hello", {.limits = {.deadline = 30s}});
  REQUIRE(late);
  CHECK(late->served_by.name() == "local/canned");
  CHECK(late->elapsed <= 30s);

  const FallbackClient hangs = world.client({target("mute", {}, {silence()})}, {degrade::canned("sorry")});
  const auto reply = hangs.chat("hello", {.limits = {.deadline = 5s}});
  REQUIRE(reply);
  CHECK(reply->elapsed == 5s);
  CHECK_THAT(reply->degradation->reason, ContainsSubstring("deadline_exceeded"));
}

TEST_CASE("no answer of the ladder's covers a mistake of the application, its cancellation, or a stream that broke off") {
  World world;
  const FallbackClient bad = world.client({target("a", {}, {error(ErrorKind::invalid_request)})}, {degrade::canned("x")});
  CHECK_FALSE(bad.chat("hello"));
  const FallbackClient filtered =
      world.client({target("b", {}, {error(ErrorKind::content_filtered)})}, {degrade::canned("x")});
  CHECK_FALSE(filtered.chat("hello"));
  const FallbackClient cut = world.client({target("c", {}, {deltas({"half"}).cut()})}, {degrade::canned("x")});
  EventLog log{*world.runtime.share()};
  CHECK_FALSE(world.stream(cut, "hello", log));
  CHECK(types_of(log) == "text failed");
  const FallbackClient mute = world.client({target("d", {}, {silence()})}, {degrade::canned("x")});
  PendingCall call = mute.start("hello");
  world.runtime.run_for(1s);
  call.cancel();
  CHECK(call.wait().error().kind == ErrorKind::cancelled);
}

TEST_CASE("explain has the one answer that the ladders would give, and says when it is given") {
  World world;
  const AnswerCache answers;
  const ScriptedProvider model = target("model", {}, {answer("whole"), error(ErrorKind::connect_failed)});
  const FallbackClient inner = world.client({model}, {degrade::canned("inner")});
  const FallbackClient client = world.client({inner, target("bad", {}, {error(ErrorKind::connect_failed)})},
                                             {degrade::cached(answers), degrade::canned("outer")});
  const auto last = [](const Plan& plan) { return plan.steps.back(); };
  CHECK(client.explain("hello").steps.size() == 3);
  CHECK(last(client.explain("hello")).target.name() == "local/canned");
  CHECK_THAT(last(client.explain("hello")).degradation->reason,
             ContainsSubstring("no target answers") && ContainsSubstring("invalid_request") &&
                 ContainsSubstring("content_filtered") && ContainsSubstring("once content was delivered"));
  REQUIRE(client.chat("hello"));
  CHECK(client.explain("hello").steps.size() == 3);
  CHECK(features(last(client.explain("hello")).degradation) == "freshness");
  CHECK(features(client.chat("hello")->degradation) == "freshness");
  CHECK(client.chat("other")->text() == "outer");
  // Inside another client it has none of its own to give.
  const FallbackClient around = world.client({inner}, {});
  CHECK(last(around.explain("hello")).target.name() == "local/canned");
  CHECK(around.chat("hello")->text() == "inner");
}

TEST_CASE("a refused content has an answer of the ladder's where others may be asked for it") {
  for (const bool others : {false, true}) {
    World world;
    const FallbackClient client = world.client({target("a", {}, {error(ErrorKind::content_filtered)})},
                                               {degrade::canned("x")}, {.fall_back_on_content_filter = others});
    CHECK(client.chat("hello").has_value() == others);
  }
}

TEST_CASE("explain and the call agree on what caps, prices and rungs leave") {
  const auto dear = [](Capabilities lacks = {}, std::optional<std::int64_t> window = std::nullopt) {
    ModelFacts facts = facts_of(lacks, window);
    facts.price = Price{.input = Money::usd_per_million(1), .output = Money::usd_per_million(1)};
    return facts;
  };
  ModelFacts blind_and_free = facts_of({.vision = false});
  blind_and_free.price = Price{};
  const auto in_client = [](const ScriptedProvider& first, const ScriptedProvider& second) {
    return std::vector<Provider>{FallbackClient{first, second} | cost_cap({.per_request = Money::usd(1)})};
  };
  const auto tight = [](const ScriptedProvider& first, const ScriptedProvider& second) {
    return std::vector<Provider>{Provider{first} | cost_cap({.per_request = Money::usd_per_million(1)}), second};
  };
  struct Case {
    std::string_view what;
    ModelFacts first;
    ModelFacts second;
    std::vector<Provider> (*providers)(const ScriptedProvider&, const ScriptedProvider&);
    Ladder ladder;
    ChatRequest request;
    std::string_view asked;  // "": nobody
    std::string_view given_up;
  };
  ChatRequest turns;
  for (int i = 0; i < 6; ++i) turns.messages.push_back(Message::user(std::string(4000, 'x')));
  const std::vector<Case> cases{
      {"a cap around a client passes over a target without a price", {}, dear(), in_client, {}, "hello", "second", "none"},
      {"nobody has a price", {}, {}, in_client, {}, "hello", "", ""},
      {"with its rung a target is asked below a cap", {}, dear({.vision = false}), in_client, {degrade::images()},
       with_image(), "second", "vision"},
      {"a target beyond its cap gives way to one with a rung", dear(), blind_and_free, tight,
       {degrade::images()}, with_image(), "second", "vision"},
      {"history mends a window below a cap", dear({}, 2000), {}, in_client, {degrade::history({.keep_turns = 1})}, turns,
       "first", "history"},
  };
  for (const Case& row : cases) {
    CAPTURE(row.what);
    World world;
    const ScriptedProvider first{Target{"p", "first", row.first}};
    const ScriptedProvider second{Target{"p", "second", row.second}};
    const FallbackClient client = world.client(row.providers(first, second), row.ladder);
    const Plan plan = client.explain(row.request);
    const auto planned = std::find_if(plan.steps.begin(), plan.steps.end(),
                                      [](const Plan::Step& step) { return !step.skipped; });
    const auto reply = client.chat(row.request);
    CHECK((planned == plan.steps.end() ? "" : planned->target.model()) == row.asked);
    CHECK((reply ? reply->served_by.model() : "") == row.asked);
    if (!reply || planned == plan.steps.end()) continue;
    CHECK(features(reply->degradation) == row.given_up);
    CHECK(reply->degradation == planned->degradation);
  }
}

TEST_CASE("the last answer to the same request is given again, with its age, until it is too old") {
  World world;
  const AnswerCache answers;
  const ScriptedProvider model = target("model", {}, {answer("whole").usage(10, 10), error(ErrorKind::connect_failed)});
  const FallbackClient client =
      world.client({model}, {degrade::cached(answers, {.max_age = 1h}), degrade::canned("sorry")});
  ChatRequest request{"hello"};
  request.metadata.user_id = "u";
  REQUIRE(client.chat(request));
  world.runtime.run_for(90s);
  const auto again = client.chat(request);
  REQUIRE(again);
  CHECK(again->text() == "whole");
  CHECK(again->served_by.name() == "p/model");
  CHECK(again->cost == Money{});
  CHECK(again->usage.output_tokens == 0);
  CHECK(features(again->degradation) == "freshness");
  CHECK_THAT(again->degradation->notice, ContainsSubstring("p/model") && ContainsSubstring("90"));

  ChatRequest other = request;
  other.metadata.user_id = "v";
  CHECK(client.chat(other)->text() == "sorry");
  world.runtime.run_for(1h);
  CHECK(client.chat(request)->text() == "sorry");
}

TEST_CASE("answers for which something was given up are not kept for later") {
  World world;
  const AnswerCache answers;
  const ScriptedProvider text = blind("text", {answer("poor"), error(ErrorKind::connect_failed)});
  const FallbackClient client = world.client({text}, {degrade::images(), degrade::cached(answers)});
  REQUIRE(client.chat(with_image()));
  CHECK(answers.snapshot().entries == 0);
  CHECK_FALSE(client.chat(with_image()));
}

TEST_CASE("what the policy cache keeps is given when it is out of date, as long as the cache keeps it") {
  World world;
  const AnswerCache answers{AnswerCache::default_max_bytes, 1h};
  const ScriptedProvider model = target("model", {}, {answer("whole"), error(ErrorKind::connect_failed)});
  const Policy keep = cache({.ttl = 10s, .any_temperature = true, .shared = answers, .shared_as = "models"});
  const FallbackClient client =
      world.client({model | keep}, {degrade::cached(answers, {.max_age = 10min, .shared_as = "models"})});
  REQUIRE(client.chat("hello"));
  CHECK(answers.snapshot().entries == 1);
  world.runtime.run_for(1min);
  const auto again = client.chat("hello");
  REQUIRE(again);
  CHECK(features(again->degradation) == "freshness");
  world.runtime.run_for(10min);
  CHECK_FALSE(client.chat("hello"));
}

TEST_CASE("a request that no target can take fails before anything is sent, and each target says why") {
  World world;
  const ScriptedProvider text = blind("text");
  const ScriptedProvider small{Target{"p", "small", facts_of({}, 10)}};
  const FallbackClient inner = world.client({target("toolless", {.tools = false, .vision = false})}, {});
  const FallbackClient client = world.client({text, small, inner}, {degrade::documents()});
  ChatRequest request = with_image();
  request.messages.push_back(Message::user(std::string(1000, 'x')));
  EventLog log{*world.runtime.share()};
  const auto reply = world.stream(client, request, log);
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::unsupported_capability);
  CHECK(types_of(log) == "failed");
  CHECK_THAT(reply.error().message, ContainsSubstring("no target can take the request") &&
                                        ContainsSubstring("p/text: the conversation has images") &&
                                        ContainsSubstring("p/small: the conversation has about") &&
                                        ContainsSubstring("p/toolless: the conversation has images"));
  CHECK(text.send_count() + small.send_count() == 0);
}

TEST_CASE("windows are asked with the reduced request") {
  World world;
  // Without its tools the request fits.
  const ScriptedProvider small{Target{"p", "small", facts_of({.tools = false}, 500)}};
  const FallbackClient client = world.client({small}, {degrade::tools(), degrade::history()});
  ChatRequest request{"hello"};
  request.tools.push_back(Tool{.name = "f", .parameters = "{\"x\":\"" + std::string(20'000, 'x') + "\"}"});
  const auto reply = client.chat(request);
  REQUIRE(reply);
  CHECK(features(reply->degradation) == "tools");
}

TEST_CASE("a pool gives up what none of its members can do, and stays unfit without the rung") {
  World world;
  const ScriptedProvider text = blind("text");
  const ScriptedProvider other = target("other", {.tools = false, .vision = false});
  const FallbackClient pool = world.client({text, other}, {});
  CHECK_FALSE(pool.standing(with_image(), needs_of(with_image()), TimePoint{}).fit());
  const FallbackClient client = world.client({pool}, {degrade::images(), degrade::tools()});
  CHECK_FALSE(client.standing(with_image(), needs_of(with_image()), TimePoint{}).fit());
  ChatRequest request = with_image();
  request.tools.push_back(Tool{.name = "f"});
  const auto reply = client.chat(request);
  REQUIRE(reply);
  CHECK(reply->served_by.model() == "text");
  CHECK(features(reply->degradation) == "vision");
}

TEST_CASE("a client inside degrades by its own ladder, after the others and before the ladder outside") {
  World world;
  const ScriptedProvider text = blind("text");
  const FallbackClient inner = world.client({text}, {degrade::images()});
  const ScriptedProvider sees = target("sees", {}, {answer("ok"), error(ErrorKind::connect_failed)});
  const FallbackClient client = world.client({inner, sees}, {degrade::tools(), degrade::canned("sorry")});
  const auto whole = client.chat(with_image());
  REQUIRE(whole);
  CHECK(whole->served_by.model() == "sees");
  CHECK_FALSE(whole->degradation);
  EventLog log{*world.runtime.share()};
  const auto reply = world.stream(client, with_image(), log);
  REQUIRE(reply);
  CHECK(reply->served_by.model() == "text");
  CHECK(features(reply->degradation) == "vision");
  CHECK(types_of(log) == "degraded text finished");
}

TEST_CASE("a client inside whose best target has failed waits with its rungs for the others") {
  World world;
  const ScriptedProvider down = target("down", {}, {error(ErrorKind::server_error)});
  const ScriptedProvider text = blind("text");
  const FallbackClient inner = world.client({down, text}, {degrade::images()});
  const ScriptedProvider sees = target("sees", {}, {answer("ok"), error(ErrorKind::server_error)});
  const FallbackClient client = world.client({inner, sees}, {});
  CHECK(client.chat(with_image())->served_by.model() == "sees");
  const auto reply = client.chat(with_image());
  REQUIRE(reply);
  CHECK(reply->served_by.model() == "text");
  CHECK(features(reply->degradation) == "vision");
}

TEST_CASE("the call's first choice is not that of a client's second visit, on a rung") {
  World world;
  const ScriptedProvider down = target("down", {}, {error(ErrorKind::server_error)});
  const ScriptedProvider text = blind("text");
  const FallbackClient inner = world.client({down, text}, {degrade::images()}, {.strategy = first_ready()});
  const ScriptedProvider sees = target("sees", {}, {error(ErrorKind::server_error)});
  struct Seen final : Observer {
    void on_call(const CallEvent& event) noexcept override { first_choice = event.first_choice.model(); }
    std::string first_choice;
  };
  const auto seen = std::make_shared<Seen>();
  const auto reply = world.client({inner, sees}, {}, {.observers = {seen}}).chat(with_image());
  REQUIRE(reply);
  CHECK(reply->served_by.model() == "text");
  CHECK(seen->first_choice == "down");
}

TEST_CASE("a client inside keeps its own order on its rungs, though a target around it was looked at again") {
  World world;
  const ScriptedProvider down = target("down", {}, {error(ErrorKind::overloaded, {.retry_after = 30s})});
  const ScriptedProvider text = blind("text");
  const ScriptedProvider no_schema = target("no-schema", {.json_schema = false});
  const FallbackClient inner =
      world.client({text, no_schema}, {degrade::json_schema(), degrade::images()}, {.degrade_early = true});
  const FallbackClient client = world.client({down, inner}, {});
  REQUIRE_FALSE(client.chat("hello", {.limits = {.max_attempts = 1}}));  // then it cools down
  const ChatRequest request = with_schema(with_image());
  CHECK(inner.chat(request)->served_by.model() == "text");
  const Plan plan = client.explain(request);
  const auto reply = client.chat(request);
  REQUIRE(reply);
  CHECK(reply->served_by.model() == "text");
  CHECK(features(reply->degradation) == "vision");
  const auto asked =
      std::find_if(plan.steps.begin(), plan.steps.end(), [](const Plan::Step& step) { return !step.skipped; });
  REQUIRE(asked != plan.steps.end());
  CHECK(asked->target.model() == "text");
}

TEST_CASE("answers of ladders come when the outermost client has nobody left, its own first") {
  World world;
  const ScriptedProvider down = target("down", {}, {error(ErrorKind::connect_failed)});
  const FallbackClient inner = world.client({down}, {degrade::canned("inner")});
  const ScriptedProvider poor = target("poor", {.tools = false}, {answer("ok"), error(ErrorKind::connect_failed)});
  const FallbackClient client = world.client({inner, poor}, {degrade::tools()});
  ChatRequest request{"hello"};
  request.tools.push_back(Tool{.name = "f"});
  const auto reduced = client.chat(request);
  REQUIRE(reduced);
  CHECK(features(reduced->degradation) == "tools");
  CHECK(client.chat(request)->text() == "inner");
  const FallbackClient own = world.client({inner}, {degrade::canned("outer")});
  CHECK(own.chat(request)->text() == "outer");
  CHECK(inner.chat(request)->text() == "inner");
}

TEST_CASE("what both ladders give up is said together, and once in a stream") {
  World world;
  const ScriptedProvider poor = target("poor", {.vision = false, .json_schema = false});
  const FallbackClient inner = world.client({poor}, {degrade::images()});
  const FallbackClient client = world.client({inner}, {degrade::json_schema()});
  EventLog log{*world.runtime.share()};
  const auto reply = world.stream(client, with_schema(with_image()), log);
  REQUIRE(reply);
  CHECK(types_of(log) == "degraded text finished");
  CHECK(features(reply->degradation) == "json_schema vision");
  CHECK(log.events()[0].degradation == reply->degradation);
}

TEST_CASE("time and a send are kept for targets that a rung would bring in") {
  World world;
  const ScriptedProvider mute = target("mute", {}, {silence()});
  const ScriptedProvider text = blind("text");
  const FallbackClient client = world.client({mute, text}, {degrade::images()});
  const auto reply = client.chat(with_image(), {.limits = {.deadline = 30s, .max_attempts = 2}});
  REQUIRE(reply);
  CHECK(reply->served_by.model() == "text");
  CHECK(reply->elapsed == 20s);

  const ScriptedProvider flaky = target("flaky", {}, {error(ErrorKind::server_error)});
  const FallbackClient repeats = world.client({flaky | retry({.max_attempts = 5, .budget = {}}), text}, {degrade::images()});
  const auto second = repeats.chat(with_image(), {.limits = {.max_attempts = 3}});
  REQUIRE(second);
  CHECK(flaky.send_count() == 2);
}

TEST_CASE("whatever a target was sent less than the application asked for is said, and nothing else is") {
  int told = 0;
  for (unsigned seed = 1; seed <= 1500; ++seed) {
    std::mt19937 random{seed};
    const auto one_in = [&](int cases) { return std::uniform_int_distribution<int>{1, cases}(random) == 1; };
    World world;
    std::vector<ScriptedProvider> targets;
    std::vector<Provider> providers;
    for (int i = 0, size = one_in(2) ? 1 : 3; i < size; ++i) {
      ModelFacts facts = facts_of({.tools = !one_in(3), .vision = !one_in(3), .documents = !one_in(3),
                                   .json_schema = !one_in(3), .reasoning = !one_in(3)});
      if (one_in(3)) facts.context_window = 2000;
      std::vector<Step> steps;
      while (one_in(3)) {
        steps.push_back(error(one_in(2) ? ErrorKind::unsupported_capability : ErrorKind::context_window_exceeded));
      }
      if (one_in(4)) steps.push_back(error(ErrorKind::server_error));
      steps.push_back(answer("ok"));
      targets.push_back(ScriptedProvider{Target{"p", std::to_string(i), facts}, std::move(steps)});
      providers.emplace_back(targets.back());
    }
    Ladder ladder{degrade::images(), degrade::documents(), degrade::reasoning(), degrade::json_schema(),
                  degrade::history({.keep_turns = 2}), degrade::tools({.keep_history = one_in(2)}), degrade::output()};
    std::shuffle(ladder.begin(), ladder.end(), random);
    ladder.resize(std::uniform_int_distribution<std::size_t>{1, ladder.size()}(random));
    const FallbackClient client = world.client(std::move(providers), std::move(ladder), {.degrade_early = one_in(2)});

    ChatRequest request{"hello"};
    if (one_in(2)) request.messages[0].parts.emplace_back(Image{.url = "https://x.test/i.png"});
    if (one_in(3)) request.messages[0].parts.emplace_back(Document{.data = "AAAA"});
    if (one_in(3)) request.reasoning_effort = "high";
    if (one_in(3)) request = with_schema(request);
    if (one_in(3)) request.tools.push_back(Tool{.name = "f"});
    if (one_in(3)) request.max_output_tokens = 1900;
    if (one_in(3)) {
      for (int i = 0; i < 8; ++i) request.messages.push_back(Message::user(std::string(2000, 'x')));
    }
    if (one_in(3)) {
      request.messages.push_back(Message{Role::assistant, {ToolCall{"1", "f", "{}"}}});
      request.messages.push_back(Message::tool_result("1", std::string(3000, 'r')));
    }
    EventLog log{*world.runtime.share()};
    const auto reply = world.stream(client, request, log);
    CAPTURE(seed, client.describe());
    CHECK(log.count(StreamEvent::Type::degraded) == (reply && reply->degradation ? 1U : 0U));
    if (!reply) continue;
    CHECK(log.events().front().degradation == reply->degradation);
    const auto by = std::find_if(targets.begin(), targets.end(), [&](const ScriptedProvider& target) {
      return target.target() == reply->served_by;
    });
    REQUIRE(by != targets.end());
    const ChatRequest sent = by->sends().back().request;
    const Needs asked = needs_of(request);
    const Needs had = needs_of(sent);
    std::vector<std::string> missing;
    const auto add = [&missing](bool is_missing, const char* feature) {
      if (is_missing) missing.emplace_back(feature);
    };
    const std::string all_text = [&] {
      std::string text;
      for (const Message& message : sent.messages) {
        text += text_of(message.parts);
        for (const Part& part : message.parts) {
          if (const auto* result = std::get_if<ToolResult>(&part)) text += result->text;
        }
      }
      return text;
    }();
    const bool history = all_text.find("left out here to save room") != all_text.npos ||
                         all_text.find("left out to save room") != all_text.npos;
    // What went with a turn that was left out is said by that.
    const auto said = [&](std::string_view feature) {
      return features(reply->degradation).find(feature) != std::string::npos;
    };
    add(asked.vision && !had.vision && (!history || said("vision")), "vision");
    add(asked.documents && !had.documents && (!history || said("documents")), "documents");
    add(asked.reasoning && !had.reasoning, "reasoning");
    add(asked.json_schema && !had.json_schema, "json_schema");
    add(history, "history");
    add(asked.tools && !had.tools, "tools");
    add(sent.max_output_tokens != request.max_output_tokens, "output");
    std::vector<std::string> told_of = reply->degradation ? reply->degradation->features : std::vector<std::string>{};
    std::sort(told_of.begin(), told_of.end());
    std::sort(missing.begin(), missing.end());
    CHECK(told_of == missing);
    CHECK((sent == request) == !reply->degradation);
    told += reply->degradation ? 1 : 0;
  }
  CHECK(told > 300);
}

TEST_CASE("a ladder that cannot be right is refused where it is given") {
  const auto problem = [](Ladder ladder) { return problem_with(ladder); };
  CHECK(problem({}).empty());
  CHECK(problem({degrade::images(), degrade::cached(AnswerCache{}), degrade::canned("x")}).empty());
  CHECK_THAT(problem({degrade::images(), degrade::images()}), ContainsSubstring("images twice"));
  CHECK_THAT(problem({degrade::canned("x"), degrade::images()}), ContainsSubstring("images behind canned"));
  CHECK_THAT(problem({degrade::canned("x"), degrade::cached(AnswerCache{})}), ContainsSubstring("cached behind canned"));
  CHECK_THAT(problem({degrade::canned("")}), ContainsSubstring("must not be empty"));
  CHECK_THAT(problem({degrade::history({.keep_turns = 0})}), ContainsSubstring("keep_turns is 0"));
  CHECK_THAT(problem({degrade::cached(AnswerCache{}, {.max_age = 0s})}), ContainsSubstring("max_age"));
  Rung strange;
  strange.kind = static_cast<Rung::Kind>(200);
  CHECK_THAT(problem({degrade::images(), strange}), ContainsSubstring("a rung of the unknown kind 200"));
  CHECK(to_string(strange.kind) == "unknown");
  World world;
  CHECK_THROWS_AS(world.client({target("a")}, {strange}), std::invalid_argument);
  CHECK_THROWS_AS(world.client({target("a")}, {degrade::canned("")}), std::invalid_argument);
  CHECK(world.client({target("a")}, {degrade::images(), degrade::canned("x")}).describe() ==
        "fallback(p/a, degrade = images > canned)");
}

}  // namespace degrade_test
