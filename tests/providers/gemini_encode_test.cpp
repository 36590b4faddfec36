#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "backstop/providers/gemini.hpp"
#include "providers/gemini/format.hpp"
#include "support/replayed_call.hpp"

namespace gemini_encode_test {

using namespace backstop;
using namespace backstop::testing_support;
using Json = nlohmann::json;

namespace {

Target google(std::string_view model) { return Target{"google", model, ModelFacts{}}; }
const Target flash = google("gemini-3.5-flash");
const Target flash25 = google("gemini-2.5-flash");

Json body_of(const ChatRequest& request, const Target& target = flash) {
  const detail::FittedRequest fitted{request, detail::GeminiFormat{}.limits(request, target)};
  const Result<std::string> body = detail::encode_gemini_body(fitted.request(), target);
  REQUIRE(body);
  return Json::parse(*body);
}
Error failure_of(const ChatRequest& request, const Target& target = flash) {
  const Result<std::string> body = detail::encode_gemini_body(request, target);
  REQUIRE_FALSE(body);
  return body.error();
}
Json thinking_of(const std::string& effort, const Target& target) {
  ChatRequest request{"Why?"};
  request.reasoning_effort = effort;
  const Json body = body_of(request, target);
  return body.contains("generationConfig") ? body["generationConfig"].value("thinkingConfig", Json{}) : Json{};
}

ReplayedAnswer an_answer() {
  ReplayedAnswer answer;
  answer.headers.emplace_back("content-type", "application/json");
  answer.body = R"({"candidates": [{"content": {"parts": [{"text": "Hi."}]}, "finishReason": "STOP"}]})";
  return answer;
}

ReplayedCall asked(ModelOptions options, const ChatRequest& request = "hello", bool stream = false) {
  if (options.api_key.empty()) options.api_key = "test-key";
  return call_with(gemini(options), request, an_answer(), stream);
}

}  // namespace

TEST_CASE("a plain question in Gemini's form") {
  ChatRequest request;
  request.messages = {Message::system("Be brief."), Message::system("Be kind."), Message::user("hello")};
  request.max_output_tokens = 100;
  request.temperature = 0.5;
  request.top_p = 0.9;
  request.stop = {"END"};
  CHECK(body_of(request) == Json::parse(R"({
    "systemInstruction": {"parts": [{"text": "Be brief.\n\nBe kind."}]},
    "contents": [{"role": "user", "parts": [{"text": "hello"}]}],
    "generationConfig": {"maxOutputTokens": 100, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]}})"));
  CHECK(body_of("hello") == Json::parse(R"({"contents": [{"role": "user", "parts": [{"text": "hello"}]}]})"));
}

TEST_CASE("more stop sequences than Gemini takes are cut") {
  ChatRequest request{"hello"};
  request.stop = {"1", "2", "3", "4", "5", "6"};
  CHECK(body_of(request)["generationConfig"]["stopSequences"].size() == 5);
}

TEST_CASE("Gemini's address has the model and the way of answering, and the key stands in a header") {
  const ReplayedCall plain = asked({.model = "gemini-3.5-flash"});
  REQUIRE(plain.result);
  CHECK(plain.requests.at(0).url ==
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-3.5-flash:generateContent");
  bool has_key = false;
  for (const Header& header : plain.requests.at(0).headers) has_key = has_key || header == Header{"x-goog-api-key", "test-key"};
  CHECK(has_key);
  CHECK(plain.result->served_by.name() == "google/gemini-3.5-flash");
  CHECK(asked({.model = "m"}, "hello", true).requests.at(0).url ==
        "https://generativelanguage.googleapis.com/v1beta/models/m:streamGenerateContent?alt=sse");
  CHECK(asked({.model = "models/m", .base_url = "http://there.test/v1"}).requests.at(0).url ==
        "http://there.test/v1/models/m:generateContent");
  CHECK(asked({.model = "m", .base_url = "http://there.test?team=a"}, "hello", true).requests.at(0).url ==
        "http://there.test/v1beta/models/m:streamGenerateContent?alt=sse&team=a");
}

TEST_CASE("turns alternate, and instructions in the middle stay there") {
  ChatRequest request;
  request.messages = {Message::assistant("Welcome."), Message::user("a"), Message::user("b"),
                      Message::system("Now be brief."), Message::assistant("c")};
  const Json contents = body_of(request)["contents"];
  REQUIRE(contents.size() == 4);
  CHECK(contents[0]["role"] == "user");
  CHECK(contents[1] == Json::parse(R"({"role": "model", "parts": [{"text": "Welcome."}]})"));
  CHECK(contents[2]["parts"] == Json::parse(R"([{"text": "a"}, {"text": "b"}, {"text": "<system>Now be brief.</system>"}])"));
  CHECK(contents[3]["role"] == "model");
  ChatRequest only_system;
  only_system.messages = {Message::system("Say hello.")};
  CHECK(body_of(only_system)["contents"] == Json::parse(R"([{"role": "user", "parts": [{"text": "Say hello."}]}])"));
  CHECK(failure_of(ChatRequest{}).kind == ErrorKind::invalid_request);
}

TEST_CASE("a Gemma gets its instructions as the user's words") {
  ChatRequest request;
  request.messages = {Message::system("Be brief."), Message::user("hello")};
  const Json body = body_of(request, google("gemma-3-27b-it"));
  CHECK_FALSE(body.contains("systemInstruction"));
  CHECK(body["contents"][0]["parts"] == Json::parse(R"([{"text": "Be brief."}, {"text": "hello"}])"));
}

TEST_CASE("images and documents go by their bytes or their address") {
  ChatRequest request;
  request.messages = {Message{Role::user,
                              {Image{.data = "AAAA", .media_type = "image/png"}, Image{.url = "https://a.test/b.png"},
                               Document{.data = "BBBB", .media_type = "application/pdf"},
                               Document{.url = "https://a.test/c.pdf", .media_type = "application/pdf"}}}};
  CHECK(body_of(request)["contents"][0]["parts"] == Json::parse(R"([
    {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}, {"fileData": {"fileUri": "https://a.test/b.png"}},
    {"inlineData": {"mimeType": "application/pdf", "data": "BBBB"}},
    {"fileData": {"fileUri": "https://a.test/c.pdf", "mimeType": "application/pdf"}}])"));
}

TEST_CASE("tools, calls and results in Gemini's form") {
  ChatRequest request;
  request.tools = {{.name = "weather",
                    .description = "The weather",
                    .parameters = R"({"properties": {"city": {"type": "string", "minLength": 2, "const": "Rome"}}})"},
                   {.name = "now"}};
  request.messages = {Message::user("Where?"),
                      Message{Role::assistant, {ToolCall{"c1", "weather", R"({"city": "Rome"})"}, ToolCall{"c2", "now", ""}}},
                      Message{Role::tool, {ToolResult{"c1", "sunny"}}},
                      Message{Role::tool, {ToolResult{"c2", "no clock", true}}}};
  const Json body = body_of(request, flash25);
  CHECK(body["tools"] == Json::parse(R"([{"functionDeclarations": [
    {"name": "weather", "description": "The weather", "parametersJsonSchema": {"type": "object", "properties": {
      "city": {"type": "string", "enum": ["Rome"], "description": "minLength: 2"}}}}, {"name": "now"}]}])"));
  CHECK(body["contents"][1]["parts"] == Json::parse(R"([
    {"functionCall": {"id": "c1", "name": "weather", "args": {"city": "Rome"}}},
    {"functionCall": {"id": "c2", "name": "now", "args": {}}}])"));
  REQUIRE(body["contents"].size() == 3);
  CHECK(body["contents"][2] == Json::parse(R"({"role": "user", "parts": [
    {"functionResponse": {"id": "c1", "name": "weather", "response": {"output": "sunny"}}},
    {"functionResponse": {"id": "c2", "name": "now", "response": {"error": "no clock"}}}]})"));
  CHECK_FALSE(body.contains("toolConfig"));
}

TEST_CASE("which tool is to be called") {
  ChatRequest request{"Where?"};
  request.tools = {{.name = "weather"}};
  const auto calling = [&](ToolChoice choice) {
    request.tool_choice = std::move(choice);
    return body_of(request)["toolConfig"]["functionCallingConfig"];
  };
  CHECK(calling({ToolChoice::Mode::automatic}) == Json::parse(R"({"mode": "AUTO"})"));
  CHECK(calling({ToolChoice::Mode::none}) == Json::parse(R"({"mode": "NONE"})"));
  CHECK(calling({ToolChoice::Mode::required}) == Json::parse(R"({"mode": "ANY"})"));
  CHECK(calling({ToolChoice::Mode::named, "weather"}) ==
        Json::parse(R"({"mode": "ANY", "allowedFunctionNames": ["weather"]})"));
}

TEST_CASE("a schema of the answer is enforced where the model takes it, beside tools, too") {
  ChatRequest request{"Where?"};
  request.response_format = ResponseFormat{.type = ResponseFormat::Type::json_schema, .schema = R"({"type": "object"})"};
  for (const Target& target : {flash, flash25}) {
    CHECK(body_of(request, target)["generationConfig"] ==
          Json::parse(R"({"responseJsonSchema": {"type": "object"}, "responseMimeType": "application/json"})"));
  }
  request.tools = {{.name = "weather"}};
  CHECK(body_of(request, flash)["generationConfig"].contains("responseJsonSchema"));
  const Json older = body_of(request, flash25);
  CHECK_FALSE(older.contains("generationConfig"));
  CHECK(older["systemInstruction"]["parts"][0]["text"].get<std::string>().find(R"({"type":"object"})") != std::string::npos);
  request.tools.clear();
  request.response_format->type = ResponseFormat::Type::json_object;
  CHECK(body_of(request)["generationConfig"] == Json::parse(R"({"responseMimeType": "application/json"})"));
  request.response_format = ResponseFormat{.type = ResponseFormat::Type::json_schema, .schema = "[1]"};
  CHECK(failure_of(request).kind == ErrorKind::invalid_request);
  request.response_format->by_instruction = true;
  CHECK_FALSE(body_of(request).contains("generationConfig"));
}

TEST_CASE("how much is thought, by the model's family") {
  CHECK(thinking_of("", flash).is_null());
  CHECK(thinking_of("high", flash) == Json::parse(R"({"thinkingLevel": "high", "includeThoughts": true})"));
  CHECK(thinking_of("none", flash) == Json::parse(R"({"thinkingLevel": "minimal"})"));
  CHECK(thinking_of("none", google("gemini-3.1-pro-preview")) == Json::parse(R"({"thinkingLevel": "low"})"));
  CHECK(thinking_of("medium", flash25) == Json::parse(R"({"thinkingBudget": 8192, "includeThoughts": true})"));
  CHECK(thinking_of("none", flash25) == Json::parse(R"({"thinkingBudget": 0})"));
  CHECK(thinking_of("none", google("gemini-2.5-pro")) == Json::parse(R"({"thinkingBudget": 128})"));
  CHECK(thinking_of("max", flash25)["thinkingBudget"] == 24'576);
  CHECK(thinking_of("high", google("gemini-2.0-flash")).is_null());
  ChatRequest request{"Why?"};
  request.reasoning_effort = "some";
  CHECK(failure_of(request).kind == ErrorKind::invalid_request);
}

TEST_CASE("thought signatures go back to Google on the part that they came with") {
  const auto parts_for = [](std::vector<Part> parts, const Target& target) {
    ChatRequest request;
    request.messages = {Message::user("Why?"), Message{Role::assistant, std::move(parts)}, Message::user("Go on.")};
    return body_of(request, target)["contents"][1]["parts"];
  };
  CHECK(parts_for({Reasoning{"Hm.", "", "", flash}, Reasoning{"", "sig1", "", flash}, ToolCall{"c1", "now", ""},
                   ToolCall{"c2", "now", ""}}, flash) == Json::parse(R"([
    {"functionCall": {"id": "c1", "name": "now", "args": {}}, "thoughtSignature": "sig1"},
    {"functionCall": {"id": "c2", "name": "now", "args": {}}}])"));
  CHECK(parts_for({Text{"So."}, Reasoning{"", "sig2", "", flash}}, flash) ==
        Json::parse(R"([{"text": "So."}, {"text": "", "thoughtSignature": "sig2"}])"));
  CHECK(parts_for({ToolCall{"c1", "now", ""}}, flash)[0]["thoughtSignature"] == "skip_thought_signature_validator");
  CHECK_FALSE(parts_for({ToolCall{"c1", "now", ""}}, flash25)[0].contains("thoughtSignature"));
}

TEST_CASE("what Gemini thought in one turn goes back with the next, and nobody else's does") {
  ReplayedAnswer answer;
  answer.headers.emplace_back("content-type", "application/json");
  answer.body = R"({"candidates": [{"content": {"parts": [{"text": "Hm.", "thought": true},
    {"functionCall": {"name": "now", "args": {}}, "thoughtSignature": "sig1"}]}, "finishReason": "STOP"}]})";
  const Provider model = gemini({.model = "gemini-3.5-flash", .api_key = "test-key"});
  const ReplayedCall first = call_with(model, "Why?", answer, false);
  REQUIRE(first.result);
  ChatRequest next{"Why?"};
  next.messages.push_back(first.result->message());
  const std::string id = first.result->tool_calls().at(0).id;
  next.messages.push_back(Message::tool_result(id, "noon"));
  const Json own = Json::parse(call_with(model, next, an_answer(), false).requests.at(0).body)["contents"];
  CHECK(own[1]["parts"] == Json::parse(R"([{"functionCall": {"id": ")" + id +
                                       R"(", "name": "now", "args": {}}, "thoughtSignature": "sig1"}])"));
  const Provider other = gemini({.model = "gemini-3.5-flash", .api_key = "test-key", .name = "elsewhere"});
  const Json foreign = Json::parse(call_with(other, next, an_answer(), false).requests.at(0).body)["contents"];
  CHECK(foreign[1]["parts"][0]["thoughtSignature"] == "skip_thought_signature_validator");
}

}  // namespace gemini_encode_test
