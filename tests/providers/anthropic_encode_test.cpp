#include <algorithm>
#include <string>
#include <string_view>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <nlohmann/json.hpp>

#include "backstop/providers/anthropic.hpp"
#include "providers/anthropic/format.hpp"
#include "providers/anthropic/schema.hpp"
#include "support/replayed_call.hpp"

namespace anthropic_encode_test {

using namespace backstop;
using namespace backstop::testing_support;
using Json = nlohmann::json;

namespace {

Target claude(std::string_view model, std::optional<std::int64_t> max_output_tokens = {}) {
  ModelFacts facts;
  facts.max_output_tokens = max_output_tokens;
  return Target{"anthropic", model, facts};
}
const Target sonnet = claude("claude-sonnet-4-5");

Json body_of(const ChatRequest& request, const Target& target = sonnet, bool stream = false) {
  const detail::FittedRequest fitted{request, detail::AnthropicFormat{}.limits(request, target)};
  const Result<std::string> body = detail::encode_anthropic_body(fitted.request(), target, stream);
  REQUIRE(body);
  return Json::parse(*body);
}
Error failure_of(const ChatRequest& request, const Target& target = sonnet) {
  const Result<std::string> body = detail::encode_anthropic_body(request, target, false);
  REQUIRE_FALSE(body);
  return body.error();
}
Json messages_of(const ChatRequest& request) { return body_of(request)["messages"]; }

std::string header(const HttpRequest& http, std::string_view name) {
  const auto found = std::find_if(http.headers.begin(), http.headers.end(),
                                  [name](const Header& candidate) { return candidate.first == name; });
  return found == http.headers.end() ? std::string{} : found->second;
}

ChatRequest with_tool(ToolChoice choice = {}) {
  ChatRequest request{"What time is it?"};
  request.tools.push_back(
      Tool{.name = "now", .description = "The time", .parameters = R"({"type":"object","properties":{}})"});
  request.tool_choice = choice;
  return request;
}

ChatRequest with_effort(std::string effort) {
  ChatRequest request{"Why?"};
  request.reasoning_effort = std::move(effort);
  return request;
}

}  // namespace

TEST_CASE("a plain question in Anthropic's form") {
  CHECK(body_of("Hello") == Json::parse(R"({"model": "claude-sonnet-4-5", "max_tokens": 4096,
    "messages": [{"role": "user", "content": "Hello"}], "stream": false})"));
  CHECK(body_of("Hello", sonnet, true)["stream"] == true);
}

TEST_CASE("where and with what headers a request to Anthropic goes") {
  detail::Endpoint endpoint;
  endpoint.target = sonnet;
  endpoint.base_url = "https://api.anthropic.com";
  endpoint.api_key = "sk-ant-1";
  const auto http = detail::AnthropicFormat{}.encode("Hello", endpoint, false);
  REQUIRE(http);
  CHECK(http->method == "POST");
  CHECK(http->url == "https://api.anthropic.com/v1/messages");
  CHECK(header(*http, "x-api-key") == "sk-ant-1");
  CHECK(header(*http, "anthropic-version") == "2023-06-01");
  CHECK(header(*http, "content-type") == "application/json");

  SECTION("a base address that has the version already is tolerated") {
    endpoint.base_url = "http://127.0.0.1:8081/v1";
    CHECK(detail::AnthropicFormat{}.encode("Hello", endpoint, false)->url == "http://127.0.0.1:8081/v1/messages");
  }
  SECTION("a server without keys gets none") {
    endpoint.api_key.clear();
    CHECK(header(*detail::AnthropicFormat{}.encode("Hello", endpoint, false), "x-api-key").empty());
  }
}

TEST_CASE("the API of 2026-10-21 takes a bearer token, and no sampling from anybody") {
  ChatRequest request{"Hello"};
  request.temperature = 0.5;
  request.top_p = 0.9;
  ReplayedAnswer answer;
  answer.headers.emplace_back("content-type", "application/json");
  answer.body = R"({"type": "message", "content": [{"type": "text", "text": "Hi."}], "stop_reason": "end_turn"})";
  const ModelOptions options{.model = "claude-sonnet-4-5", .api_key = "sk-ant-1"};
  const ReplayedCall old = call_with(anthropic(options), request, answer, false);
  const ReplayedCall recent = call_with(anthropic(options, {.api_version = "2026-10-21"}), request, answer, false);
  CHECK(header(old.requests.at(0), "anthropic-version") == "2023-06-01");
  CHECK(header(old.requests.at(0), "x-api-key") == "sk-ant-1");
  CHECK(header(recent.requests.at(0), "anthropic-version") == "2026-10-21");
  CHECK(header(recent.requests.at(0), "authorization") == "Bearer sk-ant-1");
  CHECK(header(recent.requests.at(0), "x-api-key").empty());
  CHECK(Json::parse(old.requests.at(0).body)["temperature"] == 0.5);
  for (const char* refused : {"temperature", "top_p", "top_k"}) {
    CHECK_FALSE(Json::parse(recent.requests.at(0).body).contains(refused));
  }
  CHECK_FALSE(recent.result->attempts.at(0).reason.empty());
  CHECK(old.result->attempts.at(0).reason.empty());
  CHECK(recent.requests.at(0).url == "https://api.anthropic.com/v1/messages");
  CHECK_THROWS_MATCHES(anthropic(options, {.api_version = "2025-01-01"}), std::invalid_argument,
                       Catch::Matchers::Message("anthropic/claude-sonnet-4-5: `api_version` is \"2025-01-01\"; it must "
                                                "be \"2023-06-01\" or \"2026-10-21\""));
}

TEST_CASE("the output limit that the wire demands") {
  ChatRequest request{"Hello"};
  CHECK(body_of(request, claude("claude-sonnet-4-5"))["max_tokens"] == 4096);
  CHECK(body_of(request, claude("claude-sonnet-4-5", 64000))["max_tokens"] == 64000);
  request.max_output_tokens = 300;
  CHECK(body_of(request, claude("claude-sonnet-4-5", 64000))["max_tokens"] == 300);
  request.max_output_tokens = 100'000;
  CHECK(body_of(request, claude("claude-sonnet-4-5", 64000))["max_tokens"] == 64000);
}

TEST_CASE("system text stands apart at the beginning, and in its place later on") {
  const ChatRequest request{{Message::system("Be brief."), Message::system("Be kind."), Message::user("Hi"),
                             Message::assistant("Hello."), Message::system("Now rhyme."), Message::user("Go on")}};
  const Json body = body_of(request);
  CHECK(body["system"] == "Be brief.\n\nBe kind.");
  CHECK(body["messages"] ==
        Json::parse(R"([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": [{"type": "text", "text": "<system>Now rhyme.</system>"},
                                 {"type": "text", "text": "Go on"}]}])"));
}

TEST_CASE("instructions alone are asked as a question") {
  const Json body = body_of(ChatRequest{{Message::system("Write a haiku.")}});
  CHECK_FALSE(body.contains("system"));
  CHECK(body["messages"] == Json::parse(R"([{"role": "user", "content": "Write a haiku."}])"));
}

TEST_CASE("turns alternate and begin with the user") {
  CHECK(messages_of({{Message::user("One."), Message::user("Two.")}}) ==
        Json::parse(
            R"([{"role": "user", "content": [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}]}])"));
  const Json begun = messages_of({{Message::assistant("Hello."), Message::user("Hi")}});
  CHECK(begun.size() == 3);
  CHECK(begun[0]["role"] == "user");
}

TEST_CASE("an empty conversation is refused before anything is sent") {
  const Error error = failure_of(ChatRequest{});
  CHECK(error.kind == ErrorKind::invalid_request);
  CHECK(error.message.find("messages") != std::string::npos);
}

TEST_CASE("tool calls and their results in Anthropic's form") {
  ChatRequest request{"What time is it?"};
  request.messages.push_back(Message{
      Role::assistant, {ToolCall{"a", "now", R"({"zone": "UTC"})"}, Text{"I look."}, ToolCall{"b", "now", "oops"}}});
  request.messages.push_back(Message{Role::tool, {ToolResult{"a", "12:00", false}}});
  request.messages.push_back(Message{Role::tool, {ToolResult{"b", "no such zone", true}}});
  request.messages.push_back(Message::user("Well?"));
  const Json messages = messages_of(request);
  CHECK(messages[1] == Json::parse(R"({"role": "assistant", "content": [{"type": "text", "text": "I look."},
    {"type": "tool_use", "id": "a", "name": "now", "input": {"zone": "UTC"}},
    {"type": "tool_use", "id": "b", "name": "now", "input": {"rawInvalidInput": "oops"}}]})"));
  CHECK(messages[2] == Json::parse(R"({"role": "user", "content": [
    {"type": "tool_result", "tool_use_id": "a", "content": "12:00"},
    {"type": "tool_result", "tool_use_id": "b", "content": "no such zone", "is_error": true},
    {"type": "text", "text": "Well?"}]})"));
}

TEST_CASE("results come first in a turn of Anthropic's, whatever stands before them") {
  const Json messages = messages_of(ChatRequest{std::vector<Message>{
      Message::user("Weather?"), Message{Role::assistant, {ToolCall{"a", "get", "{}"}}},
      Message{Role::user, {Text{"Here."}, ToolResult{"a", "42", false}}}}});
  CHECK(messages.at(2)["content"].at(0)["type"] == "tool_result");
  CHECK(messages.at(2)["content"].at(1)["text"] == "Here.");
}

TEST_CASE("thinking goes back byte for byte and in its place") {
  ChatRequest request{"Why?"};
  request.messages.push_back(Message{Role::assistant,
                                     {Reasoning{" Hm.\n", "sig==", "", sonnet}, Reasoning{"", "", "blob==", sonnet},
                                      Reasoning{"unsigned", "", "", sonnet}, ToolCall{"a", "now", ""}, Text{"So."}}});
  request.messages.push_back(Message::tool_result("a", "12:00"));
  CHECK(messages_of(request)[1]["content"] ==
        Json::parse(R"([{"type": "thinking", "thinking": " Hm.\n", "signature": "sig=="},
          {"type": "redacted_thinking", "data": "blob=="},
          {"type": "tool_use", "id": "a", "name": "now", "input": {}}, {"type": "text", "text": "So."}])"));
}

TEST_CASE("images and documents") {
  ChatRequest request{"Look"};
  auto& parts = request.messages[0].parts;
  parts.emplace_back(Image{.data = "iVBO", .media_type = "image/png"});
  parts.emplace_back(Image{.url = "https://example.org/cat.png"});
  parts.emplace_back(Document{.data = "JVBE", .media_type = "application/pdf", .name = "a.pdf"});
  parts.emplace_back(Document{.url = "https://example.org/b.pdf"});
  parts.emplace_back(Document{.data = "aGVsbG8=", .media_type = "text/markdown"});
  CHECK(messages_of(request)[0]["content"] == Json::parse(R"([{"type": "text", "text": "Look"},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
    {"type": "image", "source": {"type": "url", "url": "https://example.org/cat.png"}},
    {"type": "document", "title": "a.pdf",
     "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}},
    {"type": "document", "source": {"type": "url", "url": "https://example.org/b.pdf"}},
    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hello"}}])"));

  parts.emplace_back(Document{.data = "UEsD", .media_type = "application/vnd.ms-excel"});
  const Error error = failure_of(request);
  CHECK(error.kind == ErrorKind::unsupported_capability);
  CHECK(error.message.find("application/vnd.ms-excel") != std::string::npos);
}

TEST_CASE("an answer to be continued does not end with white space") {
  const Json messages = messages_of({{Message::user("Count."), Message::assistant("One, two, \n")}});
  CHECK(messages.back() == Json::parse(R"({"role": "assistant", "content": "One, two,"})"));
}

TEST_CASE("tools and how they may be chosen") {
  CHECK(body_of(with_tool())["tools"] == Json::parse(R"([{"name": "now", "description": "The time",
    "input_schema": {"type": "object", "properties": {}}}])"));
  CHECK(body_of(with_tool())["tool_choice"] == Json::parse(R"({"type": "auto"})"));
  CHECK(body_of(with_tool({ToolChoice::Mode::none, ""}))["tool_choice"] == Json::parse(R"({"type": "none"})"));
  CHECK(body_of(with_tool({ToolChoice::Mode::required, ""}))["tool_choice"] == Json::parse(R"({"type": "any"})"));
  CHECK(body_of(with_tool({ToolChoice::Mode::named, "now"}))["tool_choice"] ==
        Json::parse(R"({"type": "tool", "name": "now"})"));

  ChatRequest request = with_tool();
  request.tool_choice.reset();
  CHECK_FALSE(body_of(request).contains("tool_choice"));
  request.parallel_tool_calls = false;
  CHECK(body_of(request)["tool_choice"] == Json::parse(R"({"type": "auto", "disable_parallel_tool_use": true})"));

  SECTION("one call at a time is said wherever there may be calls") {
    for (const auto mode : {ToolChoice::Mode::automatic, ToolChoice::Mode::required, ToolChoice::Mode::named}) {
      request.tool_choice = ToolChoice{mode, "now"};
      CHECK(body_of(request)["tool_choice"]["disable_parallel_tool_use"] == true);
    }
    request.tool_choice = ToolChoice{ToolChoice::Mode::none, ""};
    CHECK(body_of(request)["tool_choice"] == Json::parse(R"({"type": "none"})"));
  }
  SECTION("a tool without parameters has an empty object") {
    request.tools[0].parameters.clear();
    CHECK(body_of(request)["tools"][0]["input_schema"] == Json::parse(R"({"type": "object", "properties": {}})"));
  }
  SECTION("parameters that are no schema are named") {
    request.tools[0].parameters = "true";
    const Error error = failure_of(request);
    CHECK(error.kind == ErrorKind::invalid_request);
    CHECK(error.message.find("tools[0].parameters") != std::string::npos);
  }
  SECTION("strict only where the model can") {
    request.tools[0].strict = true;
    CHECK(body_of(request)["tools"][0]["strict"] == true);
    CHECK_FALSE(body_of(request, claude("claude-3-7-sonnet-latest"))["tools"][0].contains("strict"));
  }
  SECTION("a model that cannot be forced to call says so") {
    CHECK(failure_of(with_tool({ToolChoice::Mode::required, ""}), claude("claude-fable-5")).kind ==
          ErrorKind::unsupported_capability);
  }
}

TEST_CASE("reasoning effort is a budget on older models") {
  CHECK(body_of(with_effort("medium"), claude("claude-sonnet-4-5", 64000))["thinking"] ==
        Json::parse(R"({"type": "enabled", "budget_tokens": 8192})"));
  CHECK_FALSE(body_of(with_effort("none")).contains("thinking"));
  CHECK_FALSE(body_of(with_effort("")).contains("thinking"));

  SECTION("that leaves room for the answer") {
    ChatRequest request = with_effort("high");
    request.max_output_tokens = 4000;
    CHECK(body_of(request)["thinking"]["budget_tokens"] == 3000);
    request.max_output_tokens = 1000;
    CHECK_FALSE(body_of(request).contains("thinking"));
  }
  SECTION("and excludes sampling parameters and forced calls") {
    ChatRequest request = with_effort("low");
    request.temperature = 0.3;
    CHECK_FALSE(body_of(request).contains("temperature"));
    ChatRequest forced = with_tool({ToolChoice::Mode::required, ""});
    forced.reasoning_effort = "low";
    CHECK_FALSE(body_of(forced).contains("thinking"));
  }
  SECTION("and is off within a loop of tools that began without thinking") {
    ChatRequest request = with_tool();
    request.reasoning_effort = "low";
    request.messages.push_back(Message{Role::assistant, {ToolCall{"a", "now", ""}}});
    request.messages.push_back(Message::tool_result("a", "12:00"));
    CHECK_FALSE(body_of(request).contains("thinking"));
    auto& parts = request.messages[1].parts;
    parts.insert(parts.begin(), Reasoning{"Hm.", "sig", "", sonnet});
    CHECK(body_of(request).contains("thinking"));
  }
}

TEST_CASE("reasoning effort is an effort on newer models") {
  const Json body = body_of(with_effort("high"), claude("claude-sonnet-5"));
  CHECK(body["thinking"] == Json::parse(R"({"type": "adaptive", "display": "summarized"})"));
  CHECK(body["output_config"] == Json::parse(R"({"effort": "high"})"));
  CHECK(body_of(with_effort("minimal"), claude("claude-opus-4-8"))["output_config"]["effort"] == "low");
  CHECK(body_of(with_effort("xhigh"), claude("claude-opus-4-8"))["output_config"]["effort"] == "xhigh");
  CHECK(body_of(with_effort("xhigh"), claude("claude-opus-4-6"))["output_config"]["effort"] == "high");
  CHECK(body_of(with_effort("none"), claude("claude-sonnet-5"))["thinking"] == Json::parse(R"({"type": "disabled"})"));
  CHECK_FALSE(body_of(with_effort("none"), claude("claude-fable-5")).contains("thinking"));
  CHECK_FALSE(body_of(with_effort("high"), claude("claude-3-5-haiku-latest")).contains("thinking"));
}

TEST_CASE("an effort that nobody knows is refused with the names that exist") {
  const Error error = failure_of(with_effort("huge"));
  CHECK(error.kind == ErrorKind::invalid_request);
  CHECK(error.message.find("huge") != std::string::npos);
  CHECK(error.message.find("medium") != std::string::npos);
}

TEST_CASE("sampling parameters go where they are taken") {
  ChatRequest request{"Hello"};
  request.temperature = 1.5;
  request.top_p = 0.9;
  CHECK(body_of(request)["temperature"] == 1.0);
  CHECK_FALSE(body_of(request).contains("top_p"));
  CHECK_FALSE(body_of(request, claude("claude-opus-4-7")).contains("temperature"));
  request.temperature.reset();
  CHECK(body_of(request)["top_p"] == 0.9);
}

TEST_CASE("structured output") {
  ChatRequest request{"A colour, please."};
  request.response_format = ResponseFormat{.type = ResponseFormat::Type::json_schema,
                                           .name = "colour",
                                           .schema = R"({"type":"object","properties":{"c":{"type":"string"}}})"};
  SECTION("is enforced by the model") {
    CHECK(body_of(request)["output_config"]["format"] == Json::parse(R"({"type": "json_schema", "schema":
      {"type": "object", "properties": {"c": {"type": "string"}}, "additionalProperties": false}})"));
    CHECK_FALSE(body_of(request).contains("system"));
  }
  SECTION("or asked for where it cannot be") {
    request.messages.insert(request.messages.begin(), Message::system("Be brief."));
    const Json body = body_of(request, claude("smollm2"));
    CHECK_FALSE(body.contains("output_config"));
    const std::string system = body["system"];
    CHECK(system.starts_with("Be brief.\n\n"));
    CHECK(system.find(R"({"type":"object","properties":{"c":{"type":"string"}}})") != std::string::npos);
  }
  SECTION("is the conversation's own where that asks for it") {
    request.response_format->by_instruction = true;
    CHECK_FALSE(body_of(request).contains("output_config"));
    CHECK_FALSE(body_of(request, claude("smollm2")).contains("system"));
  }
  SECTION("plain JSON is always asked for") {
    request.response_format = ResponseFormat{.type = ResponseFormat::Type::json_object};
    CHECK(body_of(request).contains("system"));
  }
  SECTION("a schema that is none is named") {
    request.response_format->schema = "[1";
    CHECK(failure_of(request).message.find("response_format.schema") != std::string::npos);
  }
}

TEST_CASE("stop sequences and the user's id") {
  ChatRequest request{"Hello"};
  request.stop = {"END", "\n\n", " x "};
  request.metadata.user_id = "u-1";
  request.metadata.session_id = "s-1";
  const Json body = body_of(request);
  CHECK(body["stop_sequences"] == Json::parse(R"(["END", " x "])"));
  CHECK(body["metadata"] == Json::parse(R"({"user_id": "u-1"})"));
}

TEST_CASE("text that is not UTF-8 does not break a request") {
  const Json body = body_of(ChatRequest{"caf\xe9"});
  CHECK(body["messages"][0]["content"] == "caf\uFFFD");
}

TEST_CASE("a schema loses what the wire refuses, and the model reads it all the same") {
  const auto schema = nlohmann::ordered_json::parse(R"({
    "$defs": {"id": {"type": "string", "minLength": 3}},
    "type": "object",
    "properties": {
      "id": {"$ref": "#/$defs/id", "description": "gone"},
      "age": {"type": "integer", "minimum": 0, "maximum": 150, "description": "In years"},
      "mail": {"type": "string", "format": "email"},
      "plate": {"type": "string", "format": "license-plate"},
      "minimum": {"type": "string"},
      "list": {"type": "array", "items": {"oneOf": [{"type": "object"}, {"type": "null"}]}, "minItems": 1}
    },
    "required": ["id"]})");
  CHECK(Json(detail::anthropic_schema(schema)) == Json::parse(R"json({
    "$defs": {"id": {"type": "string", "description": "minLength: 3"}},
    "type": "object",
    "properties": {
      "id": {"$ref": "#/$defs/id"},
      "age": {"type": "integer", "description": "In years (minimum: 0, maximum: 150)"},
      "mail": {"type": "string", "format": "email"},
      "plate": {"type": "string", "description": "format: \"license-plate\""},
      "minimum": {"type": "string"},
      "list": {"type": "array", "description": "minItems: 1",
               "items": {"anyOf": [{"type": "object", "additionalProperties": false}, {"type": "null"}]}}
    },
    "required": ["id"],
    "additionalProperties": false})json"));
}

}  // namespace anthropic_encode_test
