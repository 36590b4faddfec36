#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <map>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "backstop/app/tools.hpp"
#include "backstop/fallback_client.hpp"
#include "backstop/providers/anthropic.hpp"
#include "backstop/providers/openai.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace run_rounds_test {

// A talk of five rounds with tools, which fails over in the third and comes back, stopped at every moment.

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

Target priced(std::string_view provider) {
  return Target{provider, "m", {.price = Price{.input = Money{}, .output = Money::usd_per_million(100)}}};
}

Step calls_tool(int number) {
  return tool_call("look", R"({"page": )" + std::to_string(number) + "}").usage(10, 100).after(10ms);
}

struct Talk {
  Talk() {
    FallbackOptions options;
    options.recovery.max_wait = 0s;
    options.runtime = world.share();
    client.emplace(std::vector<Provider>{first, second}, options);
    tools.add({.name = "look", .parameters = R"({"type": "object", "properties": {"page": {"type": "integer"}}})"},
              [this](const ToolCall& call, const std::stop_token&) {
                ++runs[call.id];
                pages.push_back(call.arguments);
                return Result<std::string>{"a page"};
              });
    talk.ask("What do the pages say?");
  }

  Result<ChatResponse> go(CallOptions call = {}, std::optional<Money> max_cost = {}) {
    RunOptions options{.call = std::move(call), .max_cost = max_cost};
    options.settings.max_output_tokens = 100;
    return run(*client, talk, tools, options);
  }

  VirtualRuntime world;
  ScriptedProvider first{priced("one"), {calls_tool(1), calls_tool(2), error(ErrorKind::overloaded).after(10ms),
                                         calls_tool(4), calls_tool(5), stream({"All ", "read."}, 5ms).usage(10, 100)}};
  ScriptedProvider second{priced("two"), {calls_tool(3)}};
  std::optional<FallbackClient> client;
  Tools tools;
  Conversation talk;
  std::map<std::string, int> runs;  // by the id of the call
  std::vector<std::string> pages;
};

void check_ran_once(const Talk& talk) {
  for (const auto& [id, runs] : talk.runs) {
    CAPTURE(id);
    CHECK(runs == 1);
  }
}

}  // namespace

TEST_CASE("five rounds with tools fail over in the third and come back") {
  Talk talk;
  const auto reply = talk.go();
  REQUIRE(reply);
  CHECK(reply->text() == "All read.");
  CHECK(talk.pages.size() == 5);
  CHECK(talk.second.send_count() == 1);
  CHECK(reply->attempts.size() == 7);
  check_ran_once(talk);
}

TEST_CASE("a talk with tools that is stopped at any event goes on in another run, and no tool runs twice") {
  int events = 0;
  {
    Talk talk;
    REQUIRE(talk.go({.on_event = [&](const StreamEvent&) { ++events; }}));
  }
  REQUIRE(events > 15);
  for (int at = 0; at < events; ++at) {
    CAPTURE(at);
    Talk talk;
    std::stop_source stop;
    int seen = 0;
    const auto stopped = talk.go({.stop = stop.get_token(), .on_event = [&](const StreamEvent&) {
                                    if (seen++ == at) stop.request_stop();
                                  }});
    if (!stopped) CHECK(stopped.error().kind == ErrorKind::cancelled);
    const std::vector<std::string> before = talk.pages;
    // What was asked and not answered is asked again: a script of its own goes on where the model is.
    const auto reply = stopped ? stopped : talk.go();
    REQUIRE(reply);
    check_ran_once(talk);
    REQUIRE(talk.pages.size() >= before.size());
    for (const Message& message : talk.talk.messages()) {
      for (const Part& part : message.parts) {
        if (const auto* result = std::get_if<ToolResult>(&part)) CHECK(talk.runs.contains(result->call_id));
      }
    }
  }
}

TEST_CASE("a talk with tools that its budget ends goes on with another, and no tool runs twice") {
  for (const int sends : {1, 2, 3, 4, 5, 6}) {
    CAPTURE(sends);
    Talk talk;
    const auto cut = talk.go({}, Money::usd_per_million(100) * 100 * sends);
    if (!cut) CHECK(cut.error().kind == ErrorKind::budget_exceeded);
    CHECK((cut ? cut->cost : cut.error().cost) <= Money::usd_per_million(100) * 100 * sends);
    const auto reply = cut ? cut : talk.go();
    REQUIRE(reply);
    CHECK(reply->text() == "All read.");
    CHECK(talk.pages.size() == 5);
    check_ran_once(talk);
  }
}

}  // namespace run_rounds_test
