#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>

#include "backstop/fallback_client.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"
#include "support/sent_body.hpp"

namespace cache_marks_test {

using namespace backstop;
using namespace backstop::testing_support;
using Catch::Matchers::ContainsSubstring;

namespace {

using Json = nlohmann::json;

/// System text, a tool, a question with a picture, a call with its result, and what is asked now; nothing is marked.
ChatRequest talk() {
  ChatRequest request;
  request.tools = {{.name = "look"}, {.name = "weather"}};
  request.messages = {Message::system("Be brief."),
                      Message::system("Answer in English."),
                      Message{Role::user, {Text{"Where is this?"}, Image{.data = "AAAA", .media_type = "image/png"}}},
                      Message{Role::assistant, {Text{"I will look."}, ToolCall{"c1", "look", "{}"}}},
                      Message{Role::tool, {ToolResult{"c1", "Rome"}}},
                      Message::user("And the weather?")};
  return request;
}

const Json ephemeral{{"type", "ephemeral"}};
const Json point{{"cachePoint", {{"type", "default"}}}};
const std::string claude_in_bedrock = "us.anthropic.claude-sonnet-4-5-v1:0";

std::size_t count_in(const std::string& text, std::string_view word) {
  std::size_t count = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
  return count;
}
std::size_t marks_in(const Json& body) {
  const std::string text = body.dump();
  return count_in(text, "cache_control") + count_in(text, "cachePoint");
}

}  // namespace

TEST_CASE("a mark stands behind what it was set on, in the form of the provider") {
  ChatRequest request = talk();
  request.tools[1].cache = true;
  request.messages[0].cache = true;
  std::get<Image>(request.messages[2].parts[1]).cache = true;
  std::get<ToolResult>(request.messages[4].parts[0]).cache = true;

  for (const std::string_view wire : {"messages", "invoke"}) {
    const Json body = sent_to(wire, wire == "messages" ? "claude-sonnet-4-5" : claude_in_bedrock, request).body;
    CHECK(marks_in(body) == 4);
    CHECK_FALSE(body["tools"][0].contains("cache_control"));
    CHECK(body["tools"][1]["cache_control"] == ephemeral);
    REQUIRE(body["system"].size() == 2);
    CHECK(body["system"][0] == Json{{"type", "text"}, {"text", "Be brief."}, {"cache_control", ephemeral}});
    CHECK(body["system"][1] == Json{{"type", "text"}, {"text", "Answer in English."}});
    CHECK(body["messages"][0]["content"][1]["cache_control"] == ephemeral);
    const Json& last = body["messages"][2]["content"];
    CHECK(last[0]["type"] == "tool_result");
    CHECK(last[0]["cache_control"] == ephemeral);
    CHECK_FALSE(last[1].contains("cache_control"));
  }
  const Json converse = sent_to("converse", claude_in_bedrock, request).body;
  CHECK(marks_in(converse) == 4);
  CHECK(converse["toolConfig"]["tools"][2] == point);
  CHECK(converse["system"] == Json::array({{{"text", "Be brief."}}, point, {{"text", "Answer in English."}}}));
  CHECK(converse["messages"][0]["content"][2] == point);
  CHECK(converse["messages"][2]["content"][0].contains("toolResult"));
  CHECK(converse["messages"][2]["content"][1] == point);
}

TEST_CASE("a message that is marked has its mark behind its last part that can have one") {
  ChatRequest request = talk();
  for (Message& message : request.messages) message.cache = message.role == Role::assistant;
  const Json body = sent_to("messages", "claude-sonnet-4-5", request).body;
  CHECK(marks_in(body) == 1);
  CHECK(body["messages"][1]["content"][1]["cache_control"] == ephemeral);

  // A turn of one text is a list of blocks then; behind thinking no mark can stand.
  ChatRequest brief{"Hi"};
  brief.messages[0].cache = true;
  CHECK(sent_to("messages", "claude-3-haiku", brief).body["messages"][0]["content"] ==
        Json::array({{{"type", "text"}, {"text", "Hi"}, {"cache_control", ephemeral}}}));
  const Target sonnet{"anthropic", "claude-sonnet-4-5"};
  brief.messages = {Message::user("Hi"),
                    Message{Role::assistant, {Text{"Hello."}, Reasoning{"Hm.", "c2ln", "", sonnet}}, true},
                    Message::user("Bye")};
  const Json thought = sent_to("messages", "claude-sonnet-4-5", brief).body["messages"][1]["content"];
  CHECK(thought[0]["cache_control"] == ephemeral);
  CHECK_FALSE(thought[1].contains("cache_control"));
}

TEST_CASE("of more than four marks the first and the last three are sent, with a note") {
  ChatRequest request = talk();
  for (Tool& tool : request.tools) tool.cache = true;
  for (Message& message : request.messages) message.cache = true;
  for (const std::string_view wire : {"messages", "converse"}) {
    const Sent sent = sent_to(wire, wire == "messages" ? "claude-sonnet-4-5" : claude_in_bedrock, request);
    CAPTURE(sent.body.dump());
    CHECK(marks_in(sent.body) == 4);
    CHECK_THAT(sent.note, ContainsSubstring("4 of 8 cache marks left out: the provider takes 4"));
    const std::string system = sent.body["system"].dump();
    CHECK(system.find("cache") == std::string::npos);
    CHECK(marks_in(sent.body["messages"][0]) == 0);
    CHECK(marks_in(sent.body["messages"][1]) == 1);
    CHECK(marks_in(sent.body["messages"][2]) == 2);
  }
  CHECK(sent_to("messages", "claude-sonnet-4-5", request).body["tools"][0]["cache_control"] == ephemeral);
}

TEST_CASE("models that keep nothing, and wires that keep what they like, are sent no marks") {
  ChatRequest request = talk();
  request.tools[0].cache = true;
  request.messages[0].cache = true;
  const Sent nova = sent_to("converse", "amazon.nova-pro-v1:0", request);
  CHECK(marks_in(nova.body) == 1);
  CHECK_THAT(nova.note, ContainsSubstring("cache marks of tools left out: the model takes none"));
  const Sent llama = sent_to("converse", "meta.llama3-1-70b-instruct-v1:0", request);
  CHECK(marks_in(llama.body) == 0);
  CHECK_THAT(llama.note, ContainsSubstring("cache marks left out: the model takes none"));
  const ChatRequest plain = talk();
  for (const std::string_view wire : {"openai", "responses", "gemini", "cohere"}) {
    const Sent marked = sent_to(wire, "m", request);
    CHECK(marked.body == sent_to(wire, "m", plain).body);
    CHECK(marked.note.find("cache") == std::string::npos);
  }
}

TEST_CASE("marks stay where they are when a conversation is adapted") {
  ChatRequest request = talk();
  std::get<ToolCall>(request.messages[3].parts[1]) = ToolCall{"call:1", "look", "{}", true};  // an id that is refused
  request.messages[4] = Message{Role::tool, {ToolResult{"call:1", "Rome"}}, true};
  const Json body = sent_to("messages", "claude-sonnet-4-5", request).body;
  CHECK(body["messages"][1]["content"][1]["id"] != "call:1");
  CHECK(body["messages"][1]["content"][1]["cache_control"] == ephemeral);
  CHECK(body["messages"][2]["content"][0]["cache_control"] == ephemeral);
  CHECK(marks_in(body) == 2);
}

TEST_CASE("what is marked may cost what writing it into the cache does") {
  testing::VirtualRuntime runtime;
  ModelFacts facts;
  facts.price = Price{.input = Money::usd(1), .output = Money::usd(0), .cache_write = Money::usd(1.25)};
  facts.max_output_tokens = 10;
  const testing::ScriptedProvider model{Target{"p", "m", facts}};
  FallbackOptions options;
  options.runtime = runtime.share();
  const FallbackClient client{{model}, options};
  ChatRequest request{std::string(400, 'x')};
  CHECK(client.explain(request).steps.at(0).worst_cost == Money::usd(100));
  request.messages[0].cache = true;
  CHECK(client.explain(request).steps.at(0).worst_cost == Money::usd(125));
}

}  // namespace cache_marks_test
