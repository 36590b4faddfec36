#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "backstop/catalog/catalog.hpp"
#include "backstop/providers/cohere.hpp"
#include "providers/cohere/format.hpp"
#include "support/replayed_call.hpp"

namespace cohere_encode_test {

using namespace backstop;
using namespace backstop::testing_support;
using Json = nlohmann::json;

namespace {

Target model_of(std::string_view name) { return Target{"cohere", name, facts_for("cohere", name)}; }
const Target plain_model = model_of("command-a-03-2025");
const Target thinker = model_of("command-a-reasoning-08-2025");

Json body_of(const ChatRequest& request, const Target& target = plain_model) {
  const detail::FittedRequest fitted{request, detail::CohereFormat{}.limits(request, target)};
  const Result<std::string> body = detail::encode_cohere_body(fitted.request(), target, false);
  REQUIRE(body);
  return Json::parse(*body);
}
Error failure_of(const ChatRequest& request, const Target& target = plain_model) {
  const Result<std::string> body = detail::encode_cohere_body(request, target, false);
  REQUIRE_FALSE(body);
  return body.error();
}
Json thinking_of(const std::string& effort, const Target& target = thinker) {
  ChatRequest request{"Why?"};
  request.reasoning_effort = effort;
  return body_of(request, target).value("thinking", Json{});
}

ReplayedAnswer an_answer() {
  ReplayedAnswer answer;
  answer.headers.emplace_back("content-type", "application/json");
  answer.body = R"({"message": {"content": [{"type": "text", "text": "Hi."}]}, "finish_reason": "COMPLETE"})";
  return answer;
}

ReplayedCall asked(ModelOptions options, const ChatRequest& request = "hello", bool stream = false) {
  if (options.api_key.empty()) options.api_key = "test-key";
  return call_with(cohere(options), request, an_answer(), stream);
}

}  // namespace

TEST_CASE("a plain question in Cohere's form") {
  ChatRequest request;
  request.messages = {Message::system("Be brief."), Message::user("hello")};
  request.max_output_tokens = 100;
  request.temperature = 0.5;
  request.top_p = 0.9;
  request.stop = {"END"};
  CHECK(body_of(request) == Json::parse(R"({
    "model": "command-a-03-2025", "stream": false,
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}],
    "max_tokens": 100, "temperature": 0.5, "p": 0.9, "stop_sequences": ["END"]})"));
  CHECK(body_of("hello") == Json::parse(R"({"model": "command-a-03-2025", "stream": false,
    "messages": [{"role": "user", "content": "hello"}]})"));
}

TEST_CASE("what Cohere refuses is cut or kept within its bounds") {
  ChatRequest request{"hello"};
  request.stop = {"1", "2", "3", "4", "5", "6"};
  request.top_p = 1;
  CHECK(body_of(request)["stop_sequences"].size() == 5);
  CHECK(body_of(request)["p"] == 0.99);
  request.top_p = 0;
  CHECK(body_of(request)["p"] == 0.01);
}

TEST_CASE("Cohere's address and its key") {
  const ReplayedCall plain = asked({.model = "command-a-03-2025"});
  REQUIRE(plain.result);
  CHECK(plain.requests.at(0).url == "https://api.cohere.com/v2/chat");
  bool has_key = false;
  for (const Header& header : plain.requests.at(0).headers) {
    has_key = has_key || header == Header{"authorization", "Bearer test-key"};
  }
  CHECK(has_key);
  CHECK(plain.result->served_by.name() == "cohere/command-a-03-2025");
  const ReplayedCall streamed = asked({.model = "m", .base_url = "http://there.test/v2?team=a"}, "hello", true);
  CHECK(streamed.requests.at(0).url == "http://there.test/v2/chat?team=a");
  CHECK(Json::parse(streamed.requests.at(0).body)["stream"] == true);
  CHECK(asked({.model = "m", .base_url = "http://there.test/cohere"}).requests.at(0).url ==
        "http://there.test/cohere/v2/chat");
}

TEST_CASE("instructions in the middle stay there, and alone they are a question") {
  ChatRequest request;
  request.messages = {Message::user("a"), Message::system("Now be brief."), Message::assistant("b"), Message::user("c")};
  CHECK(body_of(request)["messages"][1] == Json::parse(R"({"role": "system", "content": "Now be brief."})"));
  ChatRequest only_system;
  only_system.messages = {Message::system("Say hello.")};
  CHECK(body_of(only_system)["messages"] == Json::parse(R"([{"role": "user", "content": "Say hello."}])"));
  CHECK(failure_of(ChatRequest{}).kind == ErrorKind::invalid_request);
}

TEST_CASE("images go by their bytes or their address") {
  ChatRequest request;
  request.messages = {Message{Role::user,
                              {Text{"See:"}, Image{.data = "AAAA", .media_type = "image/png"},
                               Image{.url = "https://a.test/b.png", .detail = "low"}}}};
  CHECK(body_of(request)["messages"][0]["content"] == Json::parse(R"([
    {"type": "text", "text": "See:"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    {"type": "image_url", "image_url": {"url": "https://a.test/b.png", "detail": "low"}}])"));
}

TEST_CASE("documents are texts, and stand beside the conversation") {
  ChatRequest request;
  request.messages = {Message{Role::user, {Document{.data = "SGkh", .media_type = "text/plain", .name = "a.txt"}}}};
  const Json body = body_of(request);
  CHECK(body["documents"] == Json::parse(R"([{"data": {"title": "a.txt", "text": "Hi!"}}])"));
  CHECK(body["messages"] == Json::parse(R"json([{"role": "user", "content": "(See the documents.)"}])json"));
  for (const Document& document : {Document{.data = "SGkh", .media_type = "application/pdf"},
                                   Document{.url = "https://a.test/b.txt", .media_type = "text/plain"},
                                   Document{.data = "%", .media_type = "text/plain"}}) {
    request.messages = {Message{Role::user, {Text{"See:"}, document}}};
    CHECK(failure_of(request).kind == ErrorKind::unsupported_capability);
  }
}

TEST_CASE("tools, calls and results in Cohere's form") {
  ChatRequest request;
  request.tools = {{.name = "weather",
                    .description = "The weather",
                    .parameters = R"({"properties": {"city": {"type": "string", "minLength": 2}}})"},
                   {.name = "now"}};
  request.messages = {Message::user("Where?"),
                      Message{Role::assistant, {ToolCall{"c1", "weather", R"({"city": "Rome"})"}, ToolCall{"c2", "now", ""}}},
                      Message{Role::tool, {ToolResult{"c1", "sunny"}}},
                      Message{Role::user, {Text{"And?"}, ToolResult{"c2", "no clock", true}}}};
  const Json body = body_of(request);
  CHECK(body["tools"] == Json::parse(R"([
    {"type": "function", "function": {"name": "weather", "description": "The weather", "parameters":
      {"type": "object", "properties": {"city": {"type": "string", "minLength": 2}}}}},
    {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}])"));
  CHECK(body["messages"] == Json::parse(R"([
    {"role": "user", "content": "Where?"},
    {"role": "assistant", "tool_calls": [
      {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Rome\"}"}},
      {"id": "c2", "type": "function", "function": {"name": "now", "arguments": "{}"}}]},
    {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
    {"role": "tool", "tool_call_id": "c2", "content": "Error: no clock"},
    {"role": "user", "content": "And?"}])"));
  CHECK_FALSE(body.contains("tool_choice"));
  CHECK_FALSE(body.contains("strict_tools"));
}

TEST_CASE("tools are held to their schemas where all of them ask for it") {
  ChatRequest request{"Where?"};
  request.tools = {{.name = "weather", .parameters = R"({"type": "object", "properties": {"days": {"maximum": 9}}})",
                    .strict = true},
                   {.name = "now"}};
  CHECK_FALSE(body_of(request).contains("strict_tools"));
  request.tools.pop_back();
  const Json body = body_of(request);
  CHECK(body["strict_tools"] == true);
  CHECK(body["tools"][0]["function"]["parameters"]["properties"]["days"] == Json::parse(R"({"description": "maximum: 9"})"));
  request.tools[0].parameters = "7";
  CHECK(failure_of(request).kind == ErrorKind::invalid_request);
}

TEST_CASE("which of Cohere's tools is to be called") {
  ChatRequest request{"Where?"};
  request.tools = {{.name = "weather"}, {.name = "now"}};
  request.tool_choice = ToolChoice{ToolChoice::Mode::automatic};
  CHECK_FALSE(body_of(request).contains("tool_choice"));
  request.tool_choice = ToolChoice{ToolChoice::Mode::none};
  CHECK(body_of(request)["tool_choice"] == "NONE");
  request.tool_choice = ToolChoice{ToolChoice::Mode::required};
  CHECK(body_of(request)["tool_choice"] == "REQUIRED");
  CHECK(body_of(request)["tools"].size() == 2);
  request.tool_choice = ToolChoice{ToolChoice::Mode::named, "now"};
  CHECK(body_of(request)["tool_choice"] == "REQUIRED");
  REQUIRE(body_of(request)["tools"].size() == 1);
  CHECK(body_of(request)["tools"][0]["function"]["name"] == "now");
  request.tool_choice->name = "later";
  CHECK(failure_of(request).kind == ErrorKind::invalid_request);
}

TEST_CASE("Cohere enforces a schema of the answer, but not beside tools or documents") {
  ChatRequest request{"Where?"};
  request.response_format = ResponseFormat{.type = ResponseFormat::Type::json_schema,
                                           .schema = R"({"type": "object", "properties": {
      "at": {"type": "string", "format": "date"}, "by": {"type": "string", "format": "email"},
      "n": {"type": "integer", "minimum": 1}}})"};
  CHECK(body_of(request)["response_format"] == Json::parse(R"({"type": "json_object", "json_schema": {"type": "object",
    "properties": {"at": {"type": "string", "format": "date"},
      "by": {"type": "string", "description": "format: \"email\""},
      "n": {"type": "integer", "description": "minimum: 1"}}}})"));
  ChatRequest with_tools = request;
  with_tools.tools = {{.name = "weather"}};
  ChatRequest with_document = request;
  with_document.messages.push_back(Message{Role::user, {Document{.data = "SGkh", .media_type = "text/plain"}}});
  ChatRequest with_system = with_tools;
  with_system.messages.insert(with_system.messages.begin(), Message::system("Be kind."));
  for (const ChatRequest& instructed : {with_tools, with_document, with_system}) {
    const Json body = body_of(instructed);
    CHECK_FALSE(body.contains("response_format"));
    CHECK(body["messages"].size() == instructed.messages.size() + (instructed == with_system ? 0 : 1));
    CHECK(body["messages"][0]["role"] == "system");
    CHECK(body["messages"][0]["content"].get<std::string>().find(R"("minimum":1)") != std::string::npos);
  }
  request.response_format->type = ResponseFormat::Type::json_object;
  CHECK(body_of(request)["response_format"] == Json::parse(R"({"type": "json_object"})"));
  request.response_format->by_instruction = true;
  CHECK_FALSE(body_of(request).contains("response_format"));
  request.response_format = ResponseFormat{.type = ResponseFormat::Type::json_schema, .schema = "[1]"};
  CHECK(failure_of(request).kind == ErrorKind::invalid_request);
}

TEST_CASE("how much a model of Cohere's thinks") {
  CHECK(thinking_of("").is_null());
  CHECK(thinking_of("none") == Json::parse(R"({"type": "disabled"})"));
  CHECK(thinking_of("low") == Json::parse(R"({"type": "enabled", "token_budget": 2048})"));
  CHECK(thinking_of("max") == Json::parse(R"({"type": "enabled"})"));
  CHECK(thinking_of("high", plain_model).is_null());
  ChatRequest request{"Why?"};
  request.reasoning_effort = "high";
  request.max_output_tokens = 1000;
  CHECK(body_of(request, thinker)["thinking"]["token_budget"] == 750);
  request.reasoning_effort = "some";
  CHECK(failure_of(request).kind == ErrorKind::invalid_request);
}

TEST_CASE("what a model of Cohere's thought or planned goes back where it stood") {
  const auto turn_for = [](std::vector<Part> parts, const Target& target) {
    ChatRequest request;
    request.messages = {Message::user("Why?"), Message{Role::assistant, std::move(parts)}, Message::user("Go on.")};
    return body_of(request, target)["messages"][1];
  };
  const Json calls = Json::parse(
      R"([{"id": "c1", "type": "function", "function": {"name": "now", "arguments": "{}"}}])");
  const Json thought = turn_for({Reasoning{"Hm.", "", "", thinker}, Text{"So."}, ToolCall{"c1", "now", ""}}, thinker);
  CHECK(thought["content"] == Json::parse(R"([{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "So."}])"));
  CHECK(thought["tool_calls"] == calls);
  CHECK_FALSE(thought.contains("tool_plan"));
  CHECK(turn_for({Reasoning{"I will look.", "", "", plain_model}, ToolCall{"c1", "now", ""}}, plain_model) ==
        Json({{"role", "assistant"}, {"tool_plan", "I will look."}, {"tool_calls", calls}}));
  CHECK(turn_for({Reasoning{"Hm.", "", "", plain_model}, Text{"So."}}, plain_model) ==
        Json::parse(R"({"role": "assistant", "content": "So."})"));
}

TEST_CASE("what one model of Cohere's planned goes to no other") {
  ReplayedAnswer answer = an_answer();
  answer.body = R"({"message": {"tool_plan": "I will look.", "tool_calls": [
    {"id": "c1", "function": {"name": "now", "arguments": "{}"}}]}, "finish_reason": "TOOL_CALL"})";
  const ModelOptions options{.model = "command-a-03-2025", .api_key = "test-key"};
  const ReplayedCall first = call_with(cohere(options), "When?", answer, false);
  REQUIRE(first.result);
  ChatRequest next{"When?"};
  next.messages.push_back(first.result->message());
  next.messages.push_back(Message::tool_result("c1", "noon"));
  const auto turn_at = [&](const char* model) {
    return Json::parse(asked({.model = model}, next).requests.at(0).body)["messages"][1];
  };
  CHECK(turn_at("command-a-03-2025").value("tool_plan", "") == "I will look.");
  CHECK_FALSE(turn_at("command-r7b-12-2024").contains("tool_plan"));
  CHECK(turn_at("command-r7b-12-2024")["tool_calls"][0]["id"] == "c1");
}

}  // namespace cohere_encode_test
