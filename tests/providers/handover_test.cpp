#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "backstop/providers/anthropic.hpp"
#include "backstop/providers/bedrock.hpp"
#include "backstop/providers/cohere.hpp"
#include "backstop/providers/gemini.hpp"
#include "backstop/providers/ollama_native.hpp"
#include "backstop/providers/openai.hpp"
#include "backstop/providers/openai_responses.hpp"
#include "backstop/providers/vertex.hpp"
#include "provider_rules.hpp"
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

using Json = nlohmann::json;
using Said = std::vector<std::string>;

ReplayedAnswer answer_with(std::string body) {
  ReplayedAnswer answer;
  answer.headers.emplace_back("content-type", "application/json");
  answer.body = std::move(body);
  return answer;
}

// What a request says, whatever its wire: "text ...", "reasoning ...", "call id name arguments", "result id text".

std::string call_line(const Json& id, const Json& name, const Json& arguments) {
  const Json object = arguments.is_string() ? Json::parse(arguments.get<std::string>()) : arguments;
  return "call " + id.get<std::string>() + " " + name.get<std::string>() + " " + object.dump();
}

std::string result_line(const Json& id, const Json& text) {
  return "result " + id.get<std::string>() + " " + text.get<std::string>();
}

Said said_in_chat(const Json& body) {
  Said said;
  for (const Json& message : body["messages"]) {
    if (message["role"] == "tool") {
      said.push_back(result_line(message["tool_call_id"], message["content"]));
      continue;
    }
    for (const char* field : {"reasoning", "reasoning_content"}) {
      if (message.contains(field)) said.push_back("reasoning " + message[field].get<std::string>());
    }
    if (!message["content"].is_null()) said.push_back("text " + message["content"].get<std::string>());
    for (const Json& call : message.value("tool_calls", Json::array())) {
      said.push_back(call_line(call["id"], call["function"]["name"], call["function"]["arguments"]));
    }
  }
  return said;
}

Said said_in_responses(const Json& body) {
  Said said;
  for (const Json& item : body["input"]) {
    const std::string type = item.value("type", "message");
    if (type == "message") said.push_back("text " + item["content"].get<std::string>());
    if (type == "reasoning") said.push_back("reasoning " + item["summary"][0]["text"].get<std::string>());
    if (type == "function_call") said.push_back(call_line(item["call_id"], item["name"], item["arguments"]));
    if (type == "function_call_output") said.push_back(result_line(item["call_id"], item["output"]));
  }
  return said;
}

Said said_in_messages(const Json& body) {
  Said said;
  for (const Json& message : body["messages"]) {
    if (message["content"].is_string()) {
      said.push_back("text " + message["content"].get<std::string>());
      continue;
    }
    for (const Json& block : message["content"]) {
      if (block["type"] == "text") said.push_back("text " + block["text"].get<std::string>());
      if (block["type"] == "thinking") said.push_back("reasoning " + block["thinking"].get<std::string>());
      if (block["type"] == "tool_use") said.push_back(call_line(block["id"], block["name"], block["input"]));
      if (block["type"] == "tool_result") {
        const std::string failed = block.value("is_error", false) ? "Error: " : "";
        said.push_back(result_line(block["tool_use_id"], failed + block["content"].get<std::string>()));
      }
    }
  }
  return said;
}

Said said_in_gemini(const Json& body) {
  Said said;
  for (const Json& turn : body["contents"]) {
    for (const Json& part : turn["parts"]) {
      const std::string proof = part.value("thoughtSignature", "");
      if (!proof.empty() && proof != "skip_thought_signature_validator") said.push_back("proof " + proof);
      if (part.contains("text") && part["text"] != "") said.push_back("text " + part["text"].get<std::string>());
      if (part.contains("functionCall")) {
        const Json& call = part["functionCall"];
        said.push_back(call_line(call["id"], call["name"], call["args"]));
      }
      if (part.contains("functionResponse")) {
        const Json& result = part["functionResponse"];
        const bool failed = result["response"].contains("error");
        said.push_back(result_line(
            result["id"],
            (failed ? "Error: " : "") + result["response"][failed ? "error" : "output"].get<std::string>()));
      }
    }
  }
  return said;
}

Said said_in_cohere(const Json& body) {
  Said said;
  for (const Json& message : body["messages"]) {
    if (message["role"] == "tool") {
      said.push_back(result_line(message["tool_call_id"], message["content"]));
      continue;
    }
    const Json content = message.value("content", Json::array());
    if (content.is_string()) said.push_back("text " + content.get<std::string>());
    for (const Json& part : content.is_array() ? content : Json::array()) {
      if (part["type"] == "thinking") said.push_back("reasoning " + part["thinking"].get<std::string>());
      if (part["type"] == "text") said.push_back("text " + part["text"].get<std::string>());
    }
    for (const Json& call : message.value("tool_calls", Json::array())) {
      said.push_back(call_line(call["id"], call["function"]["name"], call["function"]["arguments"]));
    }
  }
  return said;
}

Said said_in_ollama(const Json& body) {
  Said said;
  for (const Json& message : body["messages"]) {
    if (message["role"] == "tool") {
      said.push_back(result_line(message["tool_call_id"], message["content"]));
      continue;
    }
    if (message.contains("thinking")) said.push_back("reasoning " + message["thinking"].get<std::string>());
    if (message["content"] != "") said.push_back("text " + message["content"].get<std::string>());
    for (const Json& call : message.value("tool_calls", Json::array())) {
      said.push_back(call_line(call["id"], call["function"]["name"], call["function"]["arguments"]));
    }
  }
  return said;
}

Said said_in_converse(const Json& body) {
  Said said;
  for (const Json& message : body["messages"]) {
    for (const Json& block : message["content"]) {
      if (block.contains("text")) said.push_back("text " + block["text"].get<std::string>());
      if (block.contains("reasoningContent")) {
        said.push_back("reasoning " + block["reasoningContent"]["reasoningText"]["text"].get<std::string>());
      }
      if (block.contains("toolUse")) {
        const Json& call = block["toolUse"];
        said.push_back(call_line(call["toolUseId"], call["name"], call["input"]));
      }
      if (block.contains("toolResult")) {
        const Json& result = block["toolResult"];
        const std::string failed = result.value("status", "") == "error" ? "Error: " : "";
        said.push_back(result_line(result["toolUseId"], failed + result["content"][0]["text"].get<std::string>()));
      }
    }
  }
  return said;
}

/// A wire: a target that speaks it, an answer with reasoning, text and two calls, and how its requests are read.
struct WireCase {
  std::string name;
  Provider provider;
  std::string answer;
  std::function<Said(const Json&)> said;
  std::string own;  ///< what goes back to the target of its own reasoning: before the text, or of a call its proof
  int blocks = 1;   ///< of reasoning in the answer
  Broken (*rules)(const Json& body);
};

std::vector<WireCase> wires() {
  const auto options = [](const char* model) {
    return ModelOptions{.model = model, .api_key = "test-key", .base_url = "http://replayed.test"};
  };
  const std::string message = R"({"type": "message", "stop_reason": "tool_use", "content": [
             {"type": "thinking", "thinking": "Hm.", "signature": "proof"}, {"type": "text", "text": "I look."},
             {"type": "tool_use", "id": "call_1", "name": "get", "input": {"q": 1}},
             {"type": "tool_use", "id": "call_2", "name": "put", "input": {}}]})";
  return {{"chat", openai(options("gpt-5.6-sol")),
           R"({"choices": [{"message": {"reasoning_content": "Hm.", "content": "I look.", "tool_calls": [
             {"id": "call_1", "type": "function", "function": {"name": "get", "arguments": "{\"q\":1}"}},
             {"id": "call_2", "type": "function", "function": {"name": "put", "arguments": "{}"}}]},
             "finish_reason": "tool_calls"}]})",
           said_in_chat, "", 1, broken_in_chat},
          {"responses", openai_responses(options("gpt-5.4")),
           R"({"status": "completed", "output": [
             {"type": "reasoning", "id": "rs_1", "encrypted_content": "proof",
              "summary": [{"type": "summary_text", "text": "Hm."}]},
             {"type": "message", "content": [{"type": "output_text", "text": "I look."}]},
             {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "get", "arguments": "{\"q\":1}"},
             {"type": "function_call", "id": "fc_2", "call_id": "call_2", "name": "put", "arguments": "{}"}]})",
           said_in_responses, "reasoning Hm.", 1, broken_in_responses},
          {"messages", claude(), message, said_in_messages, "reasoning Hm.", 1, broken_in_messages},
          {"messages on Vertex AI", vertex_anthropic(options("claude-sonnet-4-5@20250929"), {.project = "p"}), message,
           said_in_messages, "reasoning Hm.", 1, broken_in_messages},
          {"messages on Bedrock", bedrock_anthropic(options("eu.anthropic.claude-sonnet-4-5-20250929-v1:0")), message,
           said_in_messages, "reasoning Hm.", 1, broken_in_messages},
          {"converse", bedrock(options("us.anthropic.claude-sonnet-4-5-20250929-v1:0")),
           R"({"stopReason": "tool_use", "output": {"message": {"role": "assistant", "content": [
             {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "proof"}}}, {"text": "I look."},
             {"toolUse": {"toolUseId": "call_1", "name": "get", "input": {"q": 1}}},
             {"toolUse": {"toolUseId": "call_2", "name": "put", "input": {}}}]}}})",
           said_in_converse, "reasoning Hm.", 1, broken_in_converse},
          {"gemini", gemini(options("gemini-3-pro-preview")),
           R"({"candidates": [{"finishReason": "STOP", "content": {"role": "model", "parts": [
             {"text": "Hm.", "thought": true}, {"text": "I look."},
             {"functionCall": {"id": "call_1", "name": "get", "args": {"q": 1}}, "thoughtSignature": "proof"},
             {"functionCall": {"id": "call_2", "name": "put", "args": {}}}]}}]})",
           said_in_gemini, "proof proof", 2, broken_in_gemini},
          {"cohere", cohere(options("command-a-reasoning-08-2025")),
           R"({"finish_reason": "TOOL_CALL", "message": {"role": "assistant", "content": [
             {"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "I look."}], "tool_calls": [
             {"id": "call_1", "type": "function", "function": {"name": "get", "arguments": "{\"q\":1}"}},
             {"id": "call_2", "type": "function", "function": {"name": "put", "arguments": "{}"}}]}})",
           said_in_cohere, "reasoning Hm.", 1, broken_in_cohere},
          {"ollama", ollama_native(options("gpt-oss:20b")),
           R"({"done": true, "done_reason": "stop", "message": {"role": "assistant", "content": "I look.",
             "thinking": "Hm.", "tool_calls": [
             {"id": "call_1", "function": {"index": 0, "name": "get", "arguments": {"q": 1}}},
             {"id": "call_2", "function": {"index": 1, "name": "put", "arguments": {}}}]}})",
           said_in_ollama, "reasoning Hm.", 1, broken_in_ollama}};
}

/// An answer of that wire's, as the next turn of the conversation.
void add_answer(ChatRequest& request, const WireCase& from) {
  const ReplayedCall call = call_with(from.provider, request, answer_with(from.answer), false);
  REQUIRE(call.result);
  request.messages.push_back(call.result->message());
}

}  // namespace

TEST_CASE("a conversation that began on one wire goes on at another with all that was said") {
  const std::vector<WireCase> all = wires();
  for (const WireCase& from : all) {
    ChatRequest request{"Weather?"};
    request.tools = {Tool{.name = "get"}, Tool{.name = "put"}};
    const ReplayedCall first = call_with(from.provider, request, answer_with(from.answer), false);
    REQUIRE(first.result);
    REQUIRE(first.result->tool_calls().size() == 2);
    request.messages.push_back(first.result->message());
    request.messages.push_back(
        Message{Role::tool, {ToolResult{"call_1", "sun", false}, ToolResult{"call_2", "no room", true}}});
    request.messages.push_back(Message::user("Thanks."));
    for (const WireCase& to : all) {
      CAPTURE(from.name, to.name);
      const ReplayedCall call = call_with(to.provider, request, answer_with(to.answer), false);
      REQUIRE(call.result);
      Said expected{"text Weather?",      "text I look.",       "call call_1 get {\"q\":1}",
                    "call call_2 put {}", "result call_1 sun", "result call_2 Error: no room",
                    "text Thanks."};
      const bool own = from.name == to.name;
      if (own && !to.own.empty()) expected.insert(expected.begin() + (to.own.starts_with("proof") ? 2 : 1), to.own);
      const Json body = Json::parse(call.requests.at(0).body);
      CHECK(to.said(body) == expected);
      CHECK(to.rules(body) == Broken{});
      const std::string lost = from.blocks == 1 ? "1 block" : "2 blocks";
      CHECK(call.result->attempts.at(0).reason ==
            (own ? "" : "conversation adapted: " + lost + " of reasoning dropped"));
    }
  }
}

TEST_CASE("what a provider refuses in a conversation is mended, wherever it comes from") {
  constexpr const char* pixel =
      "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
  const std::vector<WireCase> all = wires();
  for (const WireCase& from : all) {
    for (const bool with_document : {false, true}) {
      if (with_document && from.name == "ollama") continue;  // which takes none
      ChatRequest request{std::vector<Message>{Message::system("Be brief."), Message::system("Be kind.")}};
      Message question{Role::user, {Text{"What is this?"}, Image{.data = pixel, .media_type = "image/png"}}};
      if (with_document)
        question.parts.emplace_back(Document{.data = "aGVsbG8=", .media_type = "text/plain", .name = "a.txt"});
      request.messages.push_back(std::move(question));
      request.tools = {Tool{.name = "get"}, Tool{.name = "put"}};
      add_answer(request, from);
      // In another order, one twice, one for no call, and with a text.
      request.messages.push_back(
          Message{Role::tool, {ToolResult{"call_2", "old", false}, ToolResult{"call_9", "lost", false}}});
      request.messages.push_back(Message{
          Role::user, {Text{"There."}, ToolResult{"call_2", "no room", true}, ToolResult{"call_1", "", false}}});
      request.messages.push_back(Message::system("Now in French."));
      add_answer(request, from);  // with the ids of before, and no results
      request.messages.push_back(Message::user(" \n"));
      request.messages.push_back(Message{Role::assistant, {Text{""}}});
      // Arguments as a stream that was cut leaves them, a list, none, ids and names that few providers take.
      request.messages.push_back(Message{Role::assistant,
                                         {ToolCall{"functions.get:0", "get.it", R"({"q":)"},
                                          ToolCall{"a b", "put", "[1]"}, ToolCall{std::string(80, 'x'), "put", ""}}});
      request.messages.push_back(Message::tool_result("a b", "done"));
      request.messages.push_back(Message::user("And?"));
      request.messages.push_back(Message::user("Well?"));
      for (const WireCase& to : all) {
        CAPTURE(from.name, to.name, with_document);
        const ReplayedCall call = call_with(to.provider, request, answer_with(to.answer), false);
        if (with_document && to.name == "ollama") {
          CHECK(call.requests.empty());
          CHECK(call.result.error().kind == ErrorKind::unsupported_capability);
          continue;
        }
        REQUIRE(call.result);
        const std::string text = call.requests.at(0).body;
        const Json body = Json::parse(text);
        CAPTURE(body.dump(1));
        CHECK(to.rules(body) == Broken{});
        for (const char* said : {"Be brief.", "Be kind.", "What is this?", "There.", "no room", "Now in French.",
                                 "And?", "Well?", pixel}) {
          CAPTURE(said);
          CHECK(text.find(said) != std::string::npos);
        }
        if (with_document) {
          CHECK((text.find("aGVsbG8=") != std::string::npos || text.find("\"hello\"") != std::string::npos));
        }
        if (to.name == from.name) continue;
        for (const char* kept : {"Hm.", "proof\"", "rs_1"}) {
          CAPTURE(kept);
          CHECK(text.find(kept) == std::string::npos);
        }
      }
    }
  }
}

TEST_CASE("ids that only one wire makes are the same in a call and its result on every other") {
  for (const std::string& id : {std::string{"functions.get:0"}, std::string{"a/\xC3\xA9"}, std::string(70, 'x')}) {
    ChatRequest request{"Weather?"};
    request.tools = {Tool{.name = "get"}};
    request.messages.push_back(Message{Role::assistant, {ToolCall{id, "get", "{}"}}});
    request.messages.push_back(Message::tool_result(id, "sun"));
    for (const WireCase& to : wires()) {
      CAPTURE(id, to.name);
      const ReplayedCall call = call_with(to.provider, request, answer_with(to.answer), false);
      const Said said = to.said(Json::parse(call.requests.at(0).body));
      REQUIRE(said.size() == 3);
      const auto id_in = [](const std::string& line, std::size_t after) {
        return line.substr(after, line.find(' ', after) - after);
      };
      CHECK(id_in(said[1], 5) == id_in(said[2], 7));
    }
  }
}

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
