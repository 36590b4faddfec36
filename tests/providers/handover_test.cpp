#include <string>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "backstop/providers/anthropic.hpp"
#include "support/replayed_call.hpp"

namespace handover_test {

using namespace backstop;
using namespace backstop::testing_support;

namespace {

Provider claude() {
  ModelOptions options;
  options.model = "claude-sonnet-4-5";
  options.api_key = "test-key";
  options.base_url = "http://replayed.test";
  return anthropic(options);
}

ReplayedAnswer tool_use_of(const std::string& name) {
  ReplayedAnswer answer;
  answer.headers.emplace_back("content-type", "application/json");
  answer.body = R"({"type": "message", "content": [{"type": "tool_use", "id": "t1", "name": ")" + name +
                R"(", "input": {}}], "stop_reason": "tool_use"})";
  return answer;
}

}  // namespace

TEST_CASE("a tool whose name the target refuses is called by the application's name in the answer") {
  ChatRequest request{"What time is it?"};
  request.tools.push_back(Tool{.name = "clock.now"});
  const ReplayedCall call = call_with(claude(), request, tool_use_of("clock_now"), false);
  CHECK(nlohmann::json::parse(call.requests.at(0).body)["tools"][0]["name"] == "clock_now");
  REQUIRE(call.result);
  CHECK(call.result->tool_calls().at(0).name == "clock.now");
}

TEST_CASE("what a conversation lost on its way to a target stands in the attempt's row") {
  ChatRequest request{"Why?"};
  request.messages.push_back(
      Message{Role::assistant, {Reasoning{"Hm.", "sig", "", Target{"openai", "gpt-5.6-sol"}}, Text{"So."}}});
  request.messages.push_back(Message::user("Really?"));
  const ReplayedCall call = call_with(claude(), request, tool_use_of("now"), false);
  CHECK(call.requests.at(0).body.find("Hm.") == std::string::npos);
  REQUIRE(call.result);
  CHECK(call.result->attempts.at(0).reason == "conversation adapted: 1 block of reasoning dropped");
}

TEST_CASE("the target's own reasoning goes back to it") {
  ChatRequest request{"Why?"};
  request.messages.push_back(Message{Role::assistant, {Reasoning{"Hm.", "sig", "", claude().target()}, Text{"So."}}});
  request.messages.push_back(Message::user("Really?"));
  const ReplayedCall call = call_with(claude(), request, tool_use_of("now"), false);
  CHECK(nlohmann::json::parse(call.requests.at(0).body)["messages"][1]["content"][0] ==
        nlohmann::json::parse(R"({"type": "thinking", "thinking": "Hm.", "signature": "sig"})"));
  REQUIRE(call.result);
  CHECK(call.result->attempts.at(0).reason.empty());
}

}  // namespace handover_test
