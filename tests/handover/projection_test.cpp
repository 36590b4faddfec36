#include "handover/projection.hpp"

#include <algorithm>
#include <cctype>
#include <set>
#include <string>

#include <catch2/catch_test_macros.hpp>

namespace projection_test {

using namespace backstop;

namespace {

const Target claude{"anthropic", "claude-sonnet-5"};
const Target gpt{"openai", "gpt-5.6-sol"};
const Target mistral{"mistral", "mistral-large"};

Message calls(std::vector<Part> parts) { return Message{Role::assistant, std::move(parts)}; }

ChatRequest tool_conversation(std::string id) {
  ChatRequest request{"What time is it?"};
  request.tools.push_back(Tool{.name = "now"});
  request.messages.push_back(calls({Text{"I look."}, ToolCall{id, "now", "{}"}}));
  request.messages.push_back(Message::tool_result(id, "12:00"));
  return request;
}

const ToolCall& call_at(const Projection& projection, std::size_t message, std::size_t part) {
  return std::get<ToolCall>(projection.request().messages.at(message).parts.at(part));
}
const ToolResult& result_at(const Projection& projection, std::size_t message, std::size_t part = 0) {
  return std::get<ToolResult>(projection.request().messages.at(message).parts.at(part));
}

}  // namespace

TEST_CASE("a conversation that fits is not copied") {
  const ChatRequest request = tool_conversation("toolu_01A");
  for (const Target& target : {claude, gpt, Target{"local", "any"}}) {
    const Projection projection = project(request, target);
    CHECK_FALSE(projection.changed());
    CHECK(&projection.request() == &request);
    CHECK_FALSE(projection.losses().any());
    CHECK(projection.original_tool_name("now") == "now");
  }
}

TEST_CASE("reasoning stays with its origin and is dropped elsewhere") {
  ChatRequest request{"Why?"};
  const Reasoning thought{"Because of the moon.", "EqABsig==", "", claude};
  request.messages.push_back(calls({thought, Text{"The moon."}}));
  request.messages.push_back(Message::user("Really?"));

  SECTION("byte for byte at the same model") {
    const Projection same = project(request, Target{"anthropic", "claude-sonnet-5"});
    CHECK_FALSE(same.changed());
  }
  SECTION("not at another model of the same provider") {
    const Projection other = project(request, Target{"anthropic", "claude-haiku-4-5"});
    REQUIRE(other.changed());
    CHECK(other.losses().reasoning_dropped == 1);
    CHECK(other.request().messages[1].parts == std::vector<Part>{Text{"The moon."}});
  }
  SECTION("not at another provider") {
    const Projection other = project(request, gpt);
    CHECK(other.losses().reasoning_dropped == 1);
    CHECK(to_string(other.losses()) == "1 block of reasoning dropped");
  }
  SECTION("unsigned reasoning is refused even by its origin where signatures are the rule") {
    std::get<Reasoning>(request.messages[1].parts[0]).signature.clear();
    CHECK(project(request, claude).losses().reasoning_dropped == 1);
  }
  SECTION("reasoning of unknown origin is foreign") {
    std::get<Reasoning>(request.messages[1].parts[0]).origin = Target{};
    CHECK(project(request, claude).losses().reasoning_dropped == 1);
  }
  SECTION("a turn of nothing else disappears") {
    request.messages[1].parts.pop_back();
    const Projection other = project(request, gpt);
    CHECK(other.losses().turns_dropped == 1);
    CHECK(other.request().messages.size() == 2);
  }
}

TEST_CASE("reasoning of a provider that shares it among its models stays there") {
  ChatRequest request{"Why?"};
  request.messages.push_back(calls({Reasoning{"Hm.", "", "", Target{"groq", "gpt-oss-20b"}}, Text{"So."}}));
  CHECK_FALSE(project(request, Target{"groq", "qwen3-32b"}).changed());
  CHECK(project(request, Target{"cerebras", "qwen3-32b"}).changed());
}

TEST_CASE("tool-call ids become what the target accepts, on call and result alike") {
  SECTION("Anthropic: letters, digits, _ and -") {
    const ChatRequest request = tool_conversation("functions.now:0");
    const Projection projection = project(request, claude);
    CHECK(call_at(projection, 1, 1).id == "functions_now_0");
    CHECK(result_at(projection, 2).call_id == "functions_now_0");
    REQUIRE(projection.renamed_ids().size() == 1);
    CHECK(projection.renamed_ids().front() == Projection::Renamed{"functions.now:0", "functions_now_0"});
    CHECK_FALSE(projection.losses().any());
  }
  SECTION("OpenAI: at most 40 characters") {
    const ChatRequest request = tool_conversation(std::string(60, 'a'));
    const std::string id = call_at(project(request, gpt), 1, 1).id;
    CHECK(id.size() == 29);
    CHECK(id.substr(0, 5) == "call_");
    CHECK(call_at(project(request, gpt), 1, 1).id == id);
  }
  SECTION("Mistral: exactly nine letters or digits, different for ids with the same beginning") {
    std::set<std::string> seen;
    for (int i = 0; i < 500; ++i) {
      const ChatRequest request = tool_conversation("toolu_vrtx_01" + std::to_string(i));
      const Projection projection = project(request, mistral);
      const std::string id = call_at(projection, 1, 1).id;
      CHECK(id.size() == 9);
      CHECK(std::all_of(id.begin(), id.end(), [](unsigned char letter) { return std::isalnum(letter) != 0; }));
      CHECK(result_at(projection, 2).call_id == id);
      seen.insert(id);
    }
    CHECK(seen.size() == 500);
    CHECK_FALSE(project(tool_conversation("abc123XYZ"), mistral).changed());
  }
  SECTION("an id that occurs again is made unique") {
    ChatRequest request = tool_conversation("call_0");
    ChatRequest again = tool_conversation("call_0");
    std::get<ToolResult>(again.messages.back().parts[0]).text = "13:00";
    request.messages.insert(request.messages.end(), again.messages.begin(), again.messages.end());
    const Projection projection = project(request, gpt);
    CHECK(call_at(projection, 1, 1).id == "call_0");
    CHECK(call_at(projection, 4, 1).id != "call_0");
    CHECK(result_at(projection, 5).call_id == call_at(projection, 4, 1).id);
    CHECK(result_at(projection, 2).text == "12:00");  // each call has its own result
    CHECK(result_at(projection, 5).text == "13:00");
  }
  SECTION("ids that become the same are told apart") {
    ChatRequest request = tool_conversation("a.b");
    const ChatRequest second = tool_conversation("a:b");
    request.messages.insert(request.messages.end(), second.messages.begin(), second.messages.end());
    const Projection projection = project(request, claude);
    CHECK(call_at(projection, 1, 1).id == "a_b");
    CHECK(call_at(projection, 4, 1).id != "a_b");
    CHECK(result_at(projection, 5).call_id == call_at(projection, 4, 1).id);
  }
  SECTION("an empty id gets one") {
    const ChatRequest request = tool_conversation("");
    const Projection projection = project(request, gpt);
    CHECK_FALSE(call_at(projection, 1, 1).id.empty());
    CHECK(result_at(projection, 2).call_id == call_at(projection, 1, 1).id);
  }
  SECTION("a longer conversation keeps the ids of its beginning") {
    ChatRequest request = tool_conversation("functions.now:0");
    const std::string before = call_at(project(request, claude), 1, 1).id;
    request.messages.push_back(calls({ToolCall{"functions_now_0", "now", "{}"}}));
    request.messages.push_back(Message::tool_result("functions_now_0", "13:00"));
    const Projection longer = project(request, claude);
    CHECK(call_at(longer, 1, 1).id == before);
    CHECK(call_at(longer, 3, 0).id != before);
  }
}

TEST_CASE("a call without a result is answered with an error") {
  ChatRequest request{"What time is it?"};
  request.messages.push_back(calls({ToolCall{"a", "now", "{}"}, ToolCall{"b", "now", "{}"}}));
  request.messages.push_back(Message::tool_result("b", "12:00"));
  SECTION("in the middle") { request.messages.push_back(Message::user("Never mind.")); }
  SECTION("at the end") {}
  const Projection projection = project(request, gpt);
  REQUIRE(projection.changed());
  CHECK(projection.losses().results_invented == 1);
  REQUIRE(projection.request().messages[2].parts.size() == 2);
  CHECK(result_at(projection, 2, 0).call_id == "a");
  CHECK(result_at(projection, 2, 0).is_error);
  CHECK_FALSE(result_at(projection, 2, 0).text.empty());
  CHECK(result_at(projection, 2, 1) == ToolResult{"b", "12:00", false});
}

TEST_CASE("a call is not answered by another one's second result") {
  ChatRequest request{"What time is it?"};
  request.messages.push_back(calls({ToolCall{"a", "now", "{}"}, ToolCall{"b", "now", "{}"}}));
  request.messages.push_back(Message{Role::tool, {ToolResult{"a", "12:00", false}, ToolResult{"a", "12:01", true}}});
  const Projection projection = project(request, gpt);
  REQUIRE(projection.changed());
  CHECK(projection.losses().results_dropped == 1);
  CHECK(projection.losses().results_invented == 1);
  CHECK(result_at(projection, 2, 0) == ToolResult{"a", "12:01", true});
  CHECK(result_at(projection, 2, 1).call_id == "b");
}

TEST_CASE("a result without a call is dropped") {
  ChatRequest request{"Hello"};
  request.messages.push_back(Message::tool_result("lost", "42"));
  request.messages.push_back(Message::user("And?"));
  const Projection projection = project(request, gpt);
  CHECK(projection.losses().results_dropped == 1);
  CHECK(projection.losses().turns_dropped == 0);
  CHECK(projection.request().messages == std::vector<Message>{Message::user("Hello"), Message::user("And?")});
}

TEST_CASE("of several results of one call the last one counts") {
  ChatRequest request = tool_conversation("call_1");
  request.messages.push_back(Message::tool_result("call_1", "12:01"));
  const Projection projection = project(request, gpt);
  CHECK(projection.losses().results_dropped == 1);
  REQUIRE(projection.request().messages.size() == 3);
  CHECK(result_at(projection, 2).text == "12:01");
}

TEST_CASE("results move directly behind their calls") {
  ChatRequest request{"What time is it?"};
  request.messages.push_back(calls({ToolCall{"a", "now", "{}"}}));
  request.messages.push_back(Message::user("Hurry."));
  request.messages.push_back(Message::tool_result("a", "12:00"));
  const Projection projection = project(request, gpt);
  CHECK_FALSE(projection.losses().any());
  REQUIRE(projection.request().messages.size() == 4);
  CHECK(projection.request().messages[2].role == Role::tool);
  CHECK(projection.request().messages[3] == Message::user("Hurry."));
}

TEST_CASE("results among other parts of a user's turn get a turn of their own") {
  ChatRequest request{"What time is it?"};
  request.messages.push_back(calls({ToolCall{"a", "now", "{}"}}));
  request.messages.push_back(Message{Role::user, {Text{"Here."}, ToolResult{"a", "12:00", false}}});
  const Projection projection = project(request, claude);
  REQUIRE(projection.request().messages.size() == 4);
  CHECK(result_at(projection, 2).text == "12:00");
  CHECK(projection.request().messages[3] == Message::user("Here."));
}

TEST_CASE("what stands beside results in their turn is the user's") {
  ChatRequest request{"What time is it?"};
  request.messages.push_back(calls({ToolCall{"a", "now", "{}"}}));
  request.messages.push_back(Message{Role::tool, {ToolResult{"a", "12:00", false}, Text{"Here."}}});
  const Projection projection = project(request, claude);
  REQUIRE(projection.request().messages.size() == 4);
  CHECK(projection.request().messages[2].role == Role::tool);
  CHECK(projection.request().messages[3] == Message::user("Here."));
  CHECK_FALSE(projection.losses().any());
}

TEST_CASE("calls of one turn that share an id are told apart by their order") {
  ChatRequest request{"Twice, please."};
  request.messages.push_back(calls({ToolCall{"0", "now", "{}"}, ToolCall{"0", "now", "{}"}}));
  request.messages.push_back(Message::tool_result("0", "first"));
  request.messages.push_back(Message::tool_result("0", "second"));
  const Projection projection = project(request, gpt);
  CHECK(result_at(projection, 2, 0).text == "first");
  CHECK(result_at(projection, 2, 1).text == "second");
  CHECK(result_at(projection, 2, 0).call_id != result_at(projection, 2, 1).call_id);
  CHECK_FALSE(projection.losses().any());
}

TEST_CASE("blank text goes where it is refused, and stays where it is not") {
  ChatRequest request{"Hello"};
  request.messages.push_back(Message::assistant(" \n"));
  request.messages.push_back(Message::user("Still there?"));
  const Projection strict = project(request, claude);
  CHECK(strict.losses().blank_texts_dropped == 1);
  CHECK(strict.losses().turns_dropped == 1);
  CHECK(strict.request().messages.size() == 2);
  CHECK_FALSE(project(request, gpt).changed());
}

TEST_CASE("a turn without parts is dropped everywhere") {
  ChatRequest request{"Hello"};
  request.messages.push_back(Message{Role::assistant, {}});
  CHECK(project(request, gpt).request().messages.size() == 1);
}

TEST_CASE("names of tools that a target refuses are changed and changed back") {
  ChatRequest request = tool_conversation("call_1");
  request.tools[0].name = "clock.now";
  request.tools.push_back(Tool{.name = "clock_now"});
  request.tools.push_back(Tool{.name = std::string(100, 'n')});
  std::get<ToolCall>(request.messages[1].parts[1]).name = "clock.now";
  request.tool_choice = ToolChoice{ToolChoice::Mode::named, "clock.now"};

  const Projection projection = project(request, gpt);
  REQUIRE(projection.changed());
  const ChatRequest& seen = projection.request();
  CHECK(seen.tools[1].name == "clock_now");
  CHECK(seen.tools[0].name != "clock_now");
  CHECK(seen.tools[0].name != "clock.now");
  CHECK(seen.tools[2].name.size() <= 64);
  CHECK(call_at(projection, 1, 1).name == seen.tools[0].name);
  CHECK(seen.tool_choice->name == seen.tools[0].name);
  CHECK(projection.original_tool_name(seen.tools[0].name) == "clock.now");
  CHECK(projection.original_tool_name("clock_now") == "clock_now");
  CHECK(projection.original_tool_name(seen.tools[2].name) == std::string(100, 'n'));
}

TEST_CASE("names of tools that only the history has are told apart from those that were changed") {
  ChatRequest request{"Hello"};
  request.messages.push_back(calls(
      {ToolCall{"a", "clock.now", "{}"}, ToolCall{"b", "clock_now", "{}"}, ToolCall{"c", std::string(70, 'n'), "{}"},
       ToolCall{"d", std::string(80, 'n'), "{}"}, ToolCall{"e", "clock.now", "{}"}}));
  const Projection projection = project(request, gpt);
  std::set<std::string> names;
  for (std::size_t part = 0; part < 5; ++part) {
    const std::string& name = call_at(projection, 1, part).name;
    CHECK(name.size() <= 64);
    CHECK(projection.original_tool_name(name) == std::get<ToolCall>(request.messages[1].parts[part]).name);
    names.insert(name);
  }
  CHECK(names.size() == 4);
}

TEST_CASE("everything but the conversation and the tools is carried over unchanged") {
  ChatRequest request{"Hello"};
  request.messages.push_back(Message{Role::assistant, {}});
  request.temperature = 0.5;
  request.top_p = 0.9;
  request.top_k = 40;
  request.frequency_penalty = 0.5;
  request.presence_penalty = 0.25;
  request.seed = 7;
  request.service_tier = "flex";
  request.stop = {"END"};
  request.max_output_tokens = 10;
  request.reasoning_effort = "high";
  request.parallel_tool_calls = false;
  request.response_format = ResponseFormat{.type = ResponseFormat::Type::json_object};
  request.metadata.user_id = "u1";
  request.headers.emplace_back("x-request-id", "r1");
  request.extra = {{"openai", "{}"}};
  ChatRequest expected = request;
  expected.messages.pop_back();
  CHECK(project(request, gpt).request() == expected);
}

}  // namespace projection_test
