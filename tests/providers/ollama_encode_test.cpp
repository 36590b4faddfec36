#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "backstop/providers/ollama_native.hpp"
#include "providers/ollama/format.hpp"
#include "support/replayed_call.hpp"

namespace ollama_encode_test {

using namespace backstop;
using namespace backstop::testing_support;
using Json = nlohmann::json;

namespace {

Target model_of(std::string_view name, ModelFacts facts = {}) { return Target{"ollama", name, std::move(facts)}; }
const Target qwen = model_of("qwen3");

Json body_of(const ChatRequest& request, const Target& target = qwen) {
  const Result<std::string> body = detail::encode_ollama_body(request, target, false);
  REQUIRE(body);
  return Json::parse(*body);
}
Error failure_of(const ChatRequest& request, const Target& target = qwen) {
  const Result<std::string> body = detail::encode_ollama_body(request, target, false);
  REQUIRE_FALSE(body);
  return body.error();
}
Json thinking_of(const std::string& effort, const Target& target = qwen) {
  ChatRequest request{"Why?"};
  request.reasoning_effort = effort;
  return body_of(request, target).value("think", Json{});
}

ReplayedCall asked(const ModelOptions& options, const ChatRequest& request = "hello", bool stream = false) {
  ReplayedAnswer answer;
  answer.headers.emplace_back("content-type", "application/json");
  answer.body = R"({"message": {"content": "Hi.", "thinking": "Hm."}, "done": true, "done_reason": "stop"})";
  return call_with(ollama_native(options), request, answer, stream);
}

std::string key_in(const ReplayedCall& call) {
  for (const Header& header : call.requests.at(0).headers) {
    if (header.first == "authorization") return header.second;
  }
  return {};
}

}  // namespace

TEST_CASE("a plain question in Ollama's form, which is never to be cut unseen") {
  ChatRequest request;
  request.messages = {Message::system("Be brief."), Message::user("hello")};
  request.max_output_tokens = 100;
  request.temperature = 0.5;
  request.top_p = 0.9;
  request.stop = {"END"};
  ModelFacts facts;
  facts.context_window = 32'768;
  CHECK(body_of(request, model_of("qwen3", facts)) == Json::parse(R"({
    "model": "qwen3", "stream": false, "truncate": false, "shift": false,
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}],
    "options": {"num_ctx": 32768, "num_predict": 100, "temperature": 0.5, "top_p": 0.9, "stop": ["END"]}})"));
  CHECK_FALSE(body_of("hello").contains("options"));
  CHECK(failure_of(ChatRequest{}).kind == ErrorKind::invalid_request);
}

TEST_CASE("Ollama's address, and a key where one is given") {
  const ReplayedCall plain = asked({.model = "qwen3"});
  REQUIRE(plain.result);
  CHECK(plain.requests.at(0).url == "http://localhost:11434/api/chat");
  CHECK(plain.result->served_by.name() == "ollama/qwen3");
  CHECK(key_in(plain).empty());
  const ReplayedCall cloud = asked({.model = "m", .api_key = "k", .base_url = "https://there.test/api?team=a"}, "hello", true);
  CHECK(cloud.requests.at(0).url == "https://there.test/api/chat?team=a");
  CHECK(key_in(cloud) == "Bearer k");
  CHECK(Json::parse(cloud.requests.at(0).body)["stream"] == true);
}

TEST_CASE("images stand beside the text by their bytes, and what Ollama has no place for is refused") {
  ChatRequest request;
  request.messages = {Message{Role::user, {Text{"See "}, Image{.data = "AAAA", .media_type = "image/png"}, Text{"this."}}}};
  CHECK(body_of(request)["messages"] ==
        Json::parse(R"([{"role": "user", "content": "See this.", "images": ["AAAA"]}])"));
  for (const Part& part : {Part{Image{.url = "https://a.test/b.png"}}, Part{Document{.data = "A", .media_type = "text/plain"}}}) {
    request.messages = {Message{Role::user, {Text{"See:"}, part}}};
    CHECK(failure_of(request).kind == ErrorKind::unsupported_capability);
  }
}

TEST_CASE("tools, calls and results in Ollama's form") {
  ChatRequest request;
  request.tools = {{.name = "weather", .description = "The weather",
                    .parameters = R"({"properties": {"city": {"type": "string"}}})"},
                   {.name = "now"}};
  request.messages = {Message::user("Where?"),
                      Message{Role::assistant, {Reasoning{"H", "", "", qwen}, Reasoning{"m.", "", "", qwen},
                                                ToolCall{"c1", "weather", R"({"city": "Rome"})"}, ToolCall{"c2", "now", ""}}},
                      Message{Role::tool, {ToolResult{"c1", "sunny"}}},
                      Message{Role::user, {Text{"And?"}, ToolResult{"c2", "no clock", true}}}};
  const Json body = body_of(request);
  CHECK(body["tools"] == Json::parse(R"([
    {"type": "function", "function": {"name": "weather", "description": "The weather", "parameters":
      {"type": "object", "properties": {"city": {"type": "string"}}}}},
    {"type": "function", "function": {"name": "now", "description": "",
      "parameters": {"type": "object", "properties": {}}}}])"));
  CHECK(body["messages"] == Json::parse(R"([
    {"role": "user", "content": "Where?"},
    {"role": "assistant", "content": "", "thinking": "Hm.", "tool_calls": [
      {"id": "c1", "type": "function", "function": {"index": 0, "name": "weather", "arguments": {"city": "Rome"}}},
      {"id": "c2", "type": "function", "function": {"index": 1, "name": "now", "arguments": {}}}]},
    {"role": "tool", "content": "sunny", "tool_name": "weather", "tool_call_id": "c1"},
    {"role": "tool", "content": "Error: no clock", "tool_name": "now", "tool_call_id": "c2"},
    {"role": "user", "content": "And?"}])"));
  request.tools[0].parameters = "7";
  CHECK(failure_of(request).kind == ErrorKind::invalid_request);
}

TEST_CASE("Ollama may be kept from calling a tool, and cannot be made to call one") {
  ChatRequest request{"Where?"};
  request.tools = {{.name = "weather"}};
  request.tool_choice = ToolChoice{ToolChoice::Mode::automatic};
  CHECK(body_of(request).contains("tools"));
  request.tool_choice = ToolChoice{ToolChoice::Mode::none};
  CHECK_FALSE(body_of(request).contains("tools"));
  for (const ToolChoice& choice : {ToolChoice{ToolChoice::Mode::required}, ToolChoice{ToolChoice::Mode::named, "weather"}}) {
    request.tool_choice = choice;
    CHECK(failure_of(request).kind == ErrorKind::unsupported_capability);
  }
}

TEST_CASE("Ollama enforces a schema of the answer, but not beside tools") {
  ChatRequest request{"Where?"};
  request.response_format = ResponseFormat{.type = ResponseFormat::Type::json_schema, .schema = R"({"type": "object"})"};
  CHECK(body_of(request)["format"] == Json::parse(R"({"type": "object"})"));
  ChatRequest with_tools = request;
  with_tools.tools = {{.name = "weather"}};
  ChatRequest with_system = with_tools;
  with_system.messages.insert(with_system.messages.begin(), Message::system("Be kind."));
  for (const ChatRequest& instructed : {with_tools, with_system}) {
    const Json body = body_of(instructed);
    CHECK_FALSE(body.contains("format"));
    CHECK(body["messages"].size() == 2);
    CHECK(body["messages"][0]["role"] == "system");
    CHECK(body["messages"][0]["content"].get<std::string>().find(R"({"type":"object"})") != std::string::npos);
  }
  request.response_format->type = ResponseFormat::Type::json_object;
  CHECK(body_of(request)["format"] == "json");
  request.response_format->by_instruction = true;
  CHECK_FALSE(body_of(request).contains("format"));
  request.response_format = ResponseFormat{.type = ResponseFormat::Type::json_schema, .schema = "[1]"};
  CHECK(failure_of(request).kind == ErrorKind::invalid_request);
}

TEST_CASE("whether a model of Ollama's thinks, and how much where it has levels") {
  CHECK(thinking_of("").is_null());
  CHECK(thinking_of("none") == false);
  CHECK(thinking_of("minimal") == true);
  CHECK(thinking_of("high") == true);
  CHECK(thinking_of("none", model_of("gpt-oss:20b")) == "low");
  CHECK(thinking_of("max", model_of("library/gpt-oss")) == "high");
  ModelFacts facts;
  facts.capabilities.reasoning = false;
  CHECK(thinking_of("high", model_of("llama3.2", facts)).is_null());
  ChatRequest request{"Why?"};
  request.reasoning_effort = "some";
  CHECK(failure_of(request).kind == ErrorKind::invalid_request);
}

TEST_CASE("what a model of Ollama's thought goes back to it, and to no other") {
  const ReplayedCall first = asked({.model = "qwen3"});
  REQUIRE(first.result);
  ChatRequest next{"Why?"};
  next.messages.push_back(first.result->message());
  next.messages.push_back(Message::user("Go on."));
  const auto turn_at = [&](const char* model) {
    return Json::parse(asked({.model = model}, next).requests.at(0).body)["messages"][1];
  };
  CHECK(turn_at("qwen3") == Json::parse(R"({"role": "assistant", "content": "Hi.", "thinking": "Hm."})"));
  CHECK_FALSE(turn_at("llama3.2").contains("thinking"));
}

}  // namespace ollama_encode_test
