#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "backstop/app/tools.hpp"
#include "backstop/fallback_client.hpp"
#include "backstop/testing/faults.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace run_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr const char* city_schema =
    R"({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})";

/// A provider whose answers are given as they are, ids and all.
class Answers final : public ModelProvider {
 public:
  explicit Answers(std::vector<std::vector<Part>> answers)
      : ModelProvider{Target{"own", "m"}},
        answers_{std::make_shared<std::vector<std::vector<Part>>>(std::move(answers))} {}

 protected:
  Task<Result<ChatResponse>> send(const ChatRequest&, CallContext&) const override {
    ChatResponse response;
    response.parts = std::move(answers_->front());
    answers_->erase(answers_->begin());
    co_return response;
  }

 private:
  std::shared_ptr<std::vector<std::vector<Part>>> answers_;
};

struct Lab {
  [[nodiscard]] FallbackClient client(std::vector<Provider> targets) const {
    FallbackOptions options;
    options.recovery.max_wait = 0s;
    options.runtime = world.share();
    return FallbackClient{std::move(targets), options};
  }
  /// A tool that notes its calls.
  [[nodiscard]] Tools tools() {
    Tools tools;
    tools.add({.name = "weather", .parameters = city_schema}, [this](const ToolCall& call, const std::stop_token&) {
      calls.push_back(call);
      if (on_call) on_call();
      return Result<std::string>{"12 C"};
    });
    return tools;
  }

  VirtualRuntime world;
  std::vector<ToolCall> calls;
  std::function<void()> on_call;
};

ToolCall weather(std::string id, std::string city) {
  return {std::move(id), "weather", R"({"city":")" + std::move(city) + "\"}"};
}

const ToolResult& result_in(const Conversation& talk, std::size_t index) {
  return std::get<ToolResult>(talk.messages().at(index).parts.at(0));
}

}  // namespace

TEST_CASE("tools are called until the model is done, and the talk has all of it") {
  Lab lab;
  const ScriptedProvider model{"one/a", {tool_call("weather", R"({"city": "Oslo"})"),
                                         tool_call("weather", R"({"city": "Rome"})"), answer("Rome is warmer.")}};
  const Tools tools = lab.tools();
  Conversation talk;
  talk.ask("Where is it warmer?");
  const auto reply = run(lab.client({model}), talk, tools);
  REQUIRE(reply);
  CHECK(reply->text() == "Rome is warmer.");
  CHECK(reply->attempts.size() == 3);
  REQUIRE(lab.calls.size() == 2);
  CHECK(lab.calls[1].arguments == R"({"city":"Rome"})");
  REQUIRE(talk.messages().size() == 6);
  CHECK(result_in(talk, 2).text == "12 C");
  CHECK(result_in(talk, 4).call_id == lab.calls[1].id);
  CHECK(text_of(talk.messages()[5].parts) == "Rome is warmer.");
  CHECK(model.sends()[2].request.messages.size() == 5);
  CHECK(model.sends()[0].request.tools == tools.list());
}

TEST_CASE("parallel calls are made in their order, and each is told with its result") {
  Lab lab;
  const Answers model{{{weather("a", "Oslo"), weather("b", "Rome")}, {Text{"done"}}}};
  Conversation talk;
  talk.ask("Where?");
  std::vector<std::string> told;
  REQUIRE(run(lab.client({model}), talk, lab.tools(), {.on_tool = [&](const ToolCall& call, const ToolResult& result) {
    told.push_back(call.id + result.call_id);
  }}));
  CHECK(told == std::vector<std::string>{"aa", "bb"});
  CHECK(lab.calls == std::vector<ToolCall>{weather("a", "Oslo"), weather("b", "Rome")});
}

TEST_CASE("a tool never runs twice for one call id") {
  Lab lab;
  const Answers model{{{weather("a", "Oslo")},
                       {weather("a", "Oslo"), weather("a", "Rome")},
                       {weather("b", "Bonn"), weather("b", "Bonn")},
                       {Text{"done"}}}};
  Conversation talk;
  talk.ask("Where?");
  REQUIRE(run(lab.client({model}), talk, lab.tools()));
  REQUIRE(lab.calls.size() == 4);
  CHECK(lab.calls[0] == weather("a", "Oslo"));
  CHECK(lab.calls[1] == weather("a_2", "Oslo"));  // asked anew, after its answer
  CHECK(lab.calls[2] == weather("a_3", "Rome"));
  CHECK(lab.calls[3] == weather("b", "Bonn"));
  CHECK(result_in(talk, 4) == ToolResult{"a_2", "12 C", false});
  CHECK(result_in(talk, 8) == ToolResult{"b_2", "12 C", false});
}

TEST_CASE("a call that stands twice in an answer runs once and has a result for each") {
  Lab lab;
  const ScriptedProvider model{"a/m", {answer("done")}};
  Tools tools = lab.tools();
  Conversation talk;
  talk.ask("Is it warm?");
  const ToolCall call{.id = "one", .name = "weather", .arguments = R"({"city": "Rome"})"};
  talk.append(Message{Role::assistant, {call, call}});
  REQUIRE(run(lab.client({model}), talk, tools));
  CHECK(lab.calls.size() == 1);
  CHECK(talk.open_calls().empty());
}

TEST_CASE("different calls of one id in an answer that was appended each run, and each has its result") {
  Lab lab;
  const ScriptedProvider model{"a/m", {answer("done")}};
  Conversation talk;
  talk.ask("Where?");
  talk.append(Message{Role::assistant, {weather("a", "Oslo"), weather("a", "Rome")}});
  SECTION("in one run") { REQUIRE(run(lab.client({model}), talk, lab.tools())); }
  SECTION("stopped between the two") {
    std::stop_source stop;
    lab.on_call = [&] { stop.request_stop(); };
    REQUIRE_FALSE(run(lab.client({model}), talk, lab.tools(), {.call = {.stop = stop.get_token()}}));
    CHECK(talk.open_calls().size() == 1);
    REQUIRE(run(lab.client({model}), talk, lab.tools()));
  }
  SECTION("one has been made by hand") {
    talk.append(Message{Role::tool, {ToolResult{"a", "by hand", false}}});
    REQUIRE(talk.open_calls() == std::vector<ToolCall>{weather("a", "Rome")});
    REQUIRE(run(lab.client({model}), talk, lab.tools()));
    CHECK(lab.calls == std::vector<ToolCall>{weather("a", "Rome")});
    return;
  }
  CHECK(lab.calls == std::vector<ToolCall>{weather("a", "Oslo"), weather("a_2", "Rome")});
  CHECK(result_in(talk, 2).call_id == "a");
  CHECK(result_in(talk, 3).call_id == "a_2");
}

TEST_CASE("unknown tools, wrong arguments and tools that fail give the model error results") {
  Lab lab;
  const Answers model{{{ToolCall{"a", "stocks", "{}"}, ToolCall{"b", "weather", R"({"city": 7})"},
                        ToolCall{"c", "weather", "no json"}, ToolCall{"d", "throws", ""},
                        ToolCall{"e", "fails", "null"}},
                       {Text{"done"}}}};
  Tools tools = lab.tools();
  tools.add({.name = "throws"}, [](auto&&...) -> Result<std::string> { throw std::runtime_error{"the disk is full"}; });
  tools.add({.name = "fails"}, [](auto&&...) -> Result<std::string> { return Error{ErrorKind::timeout, "too slow"}; });
  Conversation talk;
  talk.ask("What?");
  REQUIRE(run(lab.client({model}), talk, tools));
  CHECK(lab.calls.empty());
  for (std::size_t index = 2; index < 7; ++index) CHECK(result_in(talk, index).is_error);
  CHECK(result_in(talk, 2).text == "there is no tool of the name stocks");
  CHECK_THAT(result_in(talk, 3).text, ContainsSubstring("/city"));
  CHECK(result_in(talk, 4).text == "the arguments are no JSON object");
  CHECK(result_in(talk, 5).text == "the disk is full");
  CHECK(result_in(talk, 6).text == "too slow");
}

TEST_CASE("a tool is not run with arguments that are no JSON object") {
  int runs = 0;
  Tools tools;
  const auto count = [&runs](const ToolCall&, const std::stop_token&) { return Result<std::string>{std::to_string(++runs)}; };
  tools.add({.name = "delete", .parameters = R"({"type": "object", "properties": {"folder": {"type": "string"}}})"}, count);
  tools.add({.name = "stop"}, count);
  for (const char* name : {"delete", "stop"}) {
    for (const char* wrong : {R"({"folder":"/tm)", "not json", "[1]", "\"x\"", R"({"rawInvalidInput":"{\"folder\":\"/tm"})"}) {
      CAPTURE(name, wrong);
      const ToolResult result = tools.call({"1", name, wrong});
      CHECK(result.is_error);
      CHECK(result.text == "the arguments are no JSON object");
    }
    for (const char* right : {"", "{}", "null", " {} "}) CHECK_FALSE(tools.call({"1", name, right}).is_error);
  }
  CHECK(runs == 8);
  const ToolResult twice = tools.call({"1", "delete", R"({"folder": 1, "folder": "x"})"});
  CHECK(twice.is_error);
  CHECK_THAT(twice.text, ContainsSubstring("stands twice"));
}

TEST_CASE("one deadline holds for all rounds and for what lies between them") {
  Lab lab;
  const Tools tools = lab.tools();
  lab.on_call = [&] { lab.world.run_for(4s); };
  Conversation talk;
  talk.ask("Where?");
  const ScriptedProvider falls_silent{"one/a", {tool_call("weather", R"({"city": "Oslo"})"), silence()}};
  const auto slow_model = run(lab.client({falls_silent}), talk, tools, {.call = {.limits = {.deadline = 10s}}});
  REQUIRE_FALSE(slow_model);
  CHECK(slow_model.error().kind == ErrorKind::deadline_exceeded);
  CHECK(slow_model.error().elapsed == 10s);
  CHECK(lab.world.elapsed() == 10s);
  CHECK(talk.messages().size() == 3);

  Conversation other;
  other.ask("Where?");
  const Answers three{{{weather("a", "Oslo"), weather("b", "Rome"), weather("c", "Bonn")}}};
  const auto slow_tools = run(lab.client({three}), other, tools, {.call = {.limits = {.deadline = 7s}}});
  REQUIRE_FALSE(slow_tools);
  CHECK(slow_tools.error().kind == ErrorKind::deadline_exceeded);
  CHECK(lab.calls.size() == 3);  // one of the first talk, two of this
  CHECK(other.open_calls().size() == 1);
}

TEST_CASE("what was stopped between two tools goes on in another run, with the calls that are left") {
  Lab lab;
  const FallbackClient client = lab.client({Answers{{{weather("a", "Oslo"), weather("b", "Rome")}, {Text{"done"}}}}});
  const Tools tools = lab.tools();
  std::stop_source source;
  lab.on_call = [&] { source.request_stop(); };
  Conversation talk;
  talk.ask("Where?");
  const auto stopped = run(client, talk, tools, {.call = {.stop = source.get_token()}});
  REQUIRE_FALSE(stopped);
  CHECK(stopped.error().kind == ErrorKind::cancelled);
  CHECK(stopped.error().attempts.size() == 1);
  CHECK(lab.calls.size() == 1);
  const auto reply = run(client, talk, tools);
  REQUIRE(reply);
  CHECK(reply->text() == "done");
  CHECK(lab.calls == std::vector<ToolCall>{weather("a", "Oslo"), weather("b", "Rome")});
}

TEST_CASE("no tool runs because of a call that the user has moved past") {
  Lab lab;
  const ScriptedProvider model{"one/a", {answer("Gladly.")}};
  const FallbackClient client = lab.client({model});
  Conversation talk;
  talk.ask("Where?").append(Message{Role::assistant, {weather("a", "Oslo"), weather("b", "Rome")}});
  talk.append(Message::tool_result("a", "12 C"));
  talk.ask("Never mind. Tell me a joke.");
  std::vector<std::string> told;
  const auto reply = run(client, talk, lab.tools(), {.on_tool = [&](const ToolCall& call, const ToolResult&) {
    told.push_back(call.id);
  }});
  REQUIRE(reply);
  CHECK(reply->text() == "Gladly.");
  CHECK(lab.calls.empty());
  CHECK(told.empty());
  REQUIRE(talk.messages().size() == 6);
  CHECK(result_in(talk, 3) == ToolResult{"b", "not made: the conversation went on", true});
  CHECK(text_of(talk.messages()[4].parts) == "Never mind. Tell me a joke.");
  CHECK(model.sends()[0].request.messages.size() == 5);
}

TEST_CASE("a call that the user has moved past is made when the model asks for it anew") {
  Lab lab;
  const FallbackClient client = lab.client({Answers{{{weather("a", "Oslo")}, {Text{"done"}}}}});
  Conversation talk;
  talk.ask("Where?").append(Message{Role::assistant, {weather("a", "Oslo")}}).ask("Do it after all.");
  REQUIRE(run(client, talk, lab.tools()));
  CHECK(lab.calls == std::vector<ToolCall>{weather("a_2", "Oslo")});
  CHECK(result_in(talk, 2).is_error);
  CHECK(result_in(talk, 5) == ToolResult{"a_2", "12 C", false});
}

TEST_CASE("a round that fails leaves the question and adds nothing to the talk") {
  Lab lab;
  const ScriptedProvider model{"one/a", {cut_after({"Half an"})}};
  Conversation talk;
  talk.ask("Why?");
  const auto reply = run(lab.client({model}), talk, lab.tools(), {.call = {.on_event = [](const StreamEvent&) {}}});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().partial_text == "Half an");
  REQUIRE(talk.messages().size() == 1);
  CHECK(talk.messages()[0] == Message::user("Why?"));
}

TEST_CASE("a stop ends a round, and the tool that runs knows of it") {
  Lab lab;
  std::stop_source source;
  bool knows = false;
  Tools tools;
  tools.add({.name = "wait"}, [&](const ToolCall&, const std::stop_token& stop) {
    source.request_stop();
    knows = stop.stop_requested();
    return Result<std::string>{"ok"};
  });
  Conversation talk;
  talk.ask("Wait.");
  const Answers model{{{ToolCall{"a", "wait", "{}"}}}};
  const auto stopped = run(lab.client({model}), talk, tools, {.call = {.stop = source.get_token()}});
  CHECK(knows);
  REQUIRE_FALSE(stopped);
  CHECK(stopped.error().kind == ErrorKind::cancelled);
  CHECK(stopped.error().attempts.size() == 1);
}

TEST_CASE("rounds are limited, and the talk goes on after it") {
  Lab lab;
  const ScriptedProvider model{"one/a", {tool_call("weather", R"({"city": "Oslo"})")}};
  Conversation talk;
  talk.ask("Where?");
  const auto reply = run(lab.client({model}), talk, lab.tools(), {.max_rounds = 3});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::local_limit);
  CHECK(model.send_count() == 3);
  CHECK(reply.error().attempts.size() == 3);
  CHECK(talk.open_calls().empty());
  CHECK_THROWS_AS(run(lab.client({model}), talk, lab.tools(), {.max_rounds = 0}), std::invalid_argument);
  CHECK_THROWS_AS(run(lab.client({model}), talk, lab.tools(), {.settings = ChatRequest{"hi"}}), std::invalid_argument);
}

TEST_CASE("one budget holds for all rounds") {
  Lab lab;
  const Target target{"one", "a", {.price = Price{Money::usd_per_million(1), Money::usd_per_million(10)}}};
  const ScriptedProvider model{
      target, {tool_call("weather", R"({"city": "Oslo"})").usage(100, 100),
               tool_call("weather", R"({"city": "Rome"})").usage(100, 100), answer("done").usage(100, 100)}};
  const auto spend = [&](Money most) {
    Conversation talk;
    talk.ask("Where?");
    ChatRequest settings;
    settings.max_output_tokens = 100;
    return run(lab.client({ScriptedProvider{model}}), talk, lab.tools(), {.max_cost = most, .settings = settings});
  };
  const auto cut = spend(Money::usd_per_million(3000));
  REQUIRE_FALSE(cut);
  CHECK(cut.error().kind == ErrorKind::budget_exceeded);
  CHECK(cut.error().cost == Money::usd_per_million(2200));
  CHECK(model.send_count() == 2);
  const auto nothing = spend(Money{});
  REQUIRE_FALSE(nothing);
  CHECK(nothing.error().kind == ErrorKind::budget_exceeded);
  CHECK(model.send_count() == 2);
  CHECK_THROWS_AS(spend(Money::usd(-1)), std::invalid_argument);
  const auto whole = spend(Money::usd_per_million(3000));
  REQUIRE(whole);
  CHECK(whole->cost == Money::usd_per_million(1100));
}

TEST_CASE("a round that another target answers gets the whole history") {
  Lab lab;
  const ScriptedProvider first{"one/a", {tool_call("weather", R"({"city": "Oslo"})"), error(ErrorKind::overloaded)}};
  const ScriptedProvider second{"two/b", {answer("12 degrees.")}};
  Conversation talk;
  talk.ask("Where?");
  const auto reply = run(lab.client({first, second}), talk, lab.tools());
  REQUIRE(reply);
  CHECK(reply->text() == "12 degrees.");
  CHECK(reply->served_by == second.target());
  CHECK(second.sends()[0].request.messages.size() == 3);
  CHECK(reply->attempts.size() == 3);
  CHECK(lab.calls.size() == 1);
}

TEST_CASE("events of all rounds go to the function of the call, and its other options hold") {
  Lab lab;
  const ScriptedProvider unused{"one/a", {answer("no")}};
  const ScriptedProvider model{"two/b", {tool_call("weather", R"({"city": "Oslo"})"), stream({"do", "ne"})}};
  Conversation talk;
  talk.ask("Where?");
  std::string text;
  int calls = 0;
  ChatRequest settings;
  settings.temperature = 0.5;
  const auto reply = run(lab.client({unused, model}), talk, lab.tools(),
                         {.call = {.on_event =
                                       [&](const StreamEvent& event) {
                                         if (event.type == StreamEvent::Type::text) text += event.delta;
                                         if (event.type == StreamEvent::Type::tool_call) ++calls;
                                       },
                                   .targets = {"two"}},
                          .settings = settings});
  REQUIRE(reply);
  CHECK(text == "done");
  CHECK(calls == 1);
  CHECK(unused.send_count() == 0);
  CHECK(model.sends()[1].request.temperature == 0.5);
}

TEST_CASE("tools that cannot be are refused when they are added, and copies are apart") {
  Tools tools;
  const ToolFunction nothing = [](auto&&...) { return Result<std::string>{""}; };
  tools.add({.name = "one"}, nothing);
  CHECK_THROWS_AS(tools.add({.name = "one"}, nothing), std::invalid_argument);
  CHECK_THROWS_AS(tools.add({.name = ""}, nothing), std::invalid_argument);
  CHECK_THROWS_AS(tools.add({.name = "two"}, nullptr), std::invalid_argument);
  CHECK_THROWS_AS(tools.add({.name = "two", .parameters = R"({"type": "objekt"})"}, nothing), std::invalid_argument);
  Tools copy = tools;
  copy.add({.name = "two"}, nothing);
  CHECK(tools.list().size() == 1);
  CHECK(copy.list().size() == 2);
}

}  // namespace run_test
