#include <algorithm>
#include <string>
#include <string_view>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "providers/http/request_headers.hpp"
#include "providers/openai_chat/format.hpp"

namespace openai_encode_test {

using namespace backstop;
using namespace backstop::detail;
using Json = nlohmann::ordered_json;

namespace {

Endpoint endpoint_for(std::string_view provider, std::string model) {
  ModelOptions options;
  options.model = std::move(model);
  options.api_key = "sk-test";
  options.base_url = "https://api.test/v1/";
  return resolve_endpoint(options, find_known_provider(provider)->defaults);
}

Result<HttpRequest> encoded(const ChatRequest& request, const Endpoint& endpoint, bool stream = false) {
  const OpenAiChat format{find_known_provider(endpoint.provider)->dialect};
  const FittedRequest fitted{request, format.limits(request, endpoint.target)};
  return format.encode(fitted.request(), endpoint, stream);
}

Json body_of(const ChatRequest& request, std::string_view provider = "openai", std::string model = "gpt-4o",
             bool stream = false) {
  const Result<HttpRequest> http = encoded(request, endpoint_for(provider, std::move(model)), stream);
  REQUIRE(http);
  return Json::parse(http->body);
}

std::string header_of(const HttpRequest& http, std::string_view name) {
  const auto found = std::find_if(http.headers.begin(), http.headers.end(),
                                  [&](const Header& header) { return header.first == name; });
  return found == http.headers.end() ? "(none)" : found->second;
}

ChatRequest with_parts(std::vector<Part> parts, Role role = Role::user) {
  return ChatRequest{std::vector<Message>{Message{role, std::move(parts)}}};
}

}  // namespace

TEST_CASE("a plain question in the form of Chat Completions") {
  const Result<HttpRequest> http = encoded("Hello", endpoint_for("openai", "gpt-4o"));
  REQUIRE(http);
  CHECK(http->method == "POST");
  CHECK(http->url == "https://api.test/v1/chat/completions");
  CHECK(http->body == R"({"model":"gpt-4o","messages":[{"role":"user","content":"Hello"}],"stream":false})");
  CHECK(header_of(*http, "authorization") == "Bearer sk-test");
  CHECK(header_of(*http, "content-type") == "application/json");
  CHECK(header_of(*http, "accept") == "application/json");
}

TEST_CASE("a stream asks for its usage where the server needs to be asked") {
  const Json body = body_of("Hello", "openai", "gpt-4o", true);
  CHECK(body["stream"] == true);
  CHECK(body["stream_options"] == Json{{"include_usage", true}});
  CHECK_FALSE(body_of("Hello", "mistral", "mistral-large-latest", true).contains("stream_options"));
}

TEST_CASE("a query of the base address stays behind the path; Azure has a key header of its own") {
  ModelOptions options;
  options.model = "gpt-4o";
  options.api_key = "azure-key";
  options.base_url = "https://r.openai.azure.com/openai/deployments/d/?api-version=2024-10-21";
  const Result<HttpRequest> http = encoded("Hello", resolve_endpoint(options, find_known_provider("azure")->defaults));
  REQUIRE(http);
  CHECK(http->url == "https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21");
  CHECK(header_of(*http, "api-key") == "azure-key");
  CHECK(header_of(*http, "authorization") == "(none)");
}

TEST_CASE("system text goes under the role that the model takes") {
  ChatRequest request{std::vector<Message>{Message::system("Be brief."), Message::user("Hi")}};
  CHECK(body_of(request)["messages"][0] == Json{{"role", "system"}, {"content", "Be brief."}});
  CHECK(body_of(request, "openai", "gpt-5.4")["messages"][0]["role"] == "developer");
  CHECK(body_of(request, "openai", "o3-mini")["messages"][0]["role"] == "developer");
  CHECK(body_of(request, "openai", "gpt-5-chat-latest")["messages"][0]["role"] == "system");
  CHECK(body_of(request, "groq", "openai/gpt-oss-120b")["messages"][0]["role"] == "system");
}

TEST_CASE("the output limit has the name that the server knows") {
  ChatRequest request{"Hi"};
  request.max_output_tokens = 300;
  CHECK(body_of(request)["max_completion_tokens"] == 300);
  CHECK(body_of(request, "deepseek", "deepseek-chat")["max_tokens"] == 300);
  CHECK(body_of(request, "ollama", "llama3.2")["max_tokens"] == 300);
  CHECK_FALSE(body_of(request, "mistral", "m").contains("max_completion_tokens"));
}

TEST_CASE("settings of sampling are left out where a reasoning model refuses them") {
  ChatRequest request{"Hi"};
  request.temperature = 0.5;
  request.top_p = 0.9;
  request.stop = {"END", "STOP"};
  const Json body = body_of(request);
  CHECK(body["temperature"] == 0.5);
  CHECK(body["top_p"] == 0.9);
  CHECK(body["stop"] == Json::array({"END", "STOP"}));
  CHECK_FALSE(body_of(request, "openai", "gpt-5.6-sol").contains("temperature"));
  CHECK_FALSE(body_of(request, "azure", "o4-mini").contains("top_p"));
  CHECK(body_of(request, "deepseek", "deepseek-reasoner").contains("temperature"));
  request.reasoning_effort = "none";
  CHECK(body_of(request, "openai", "gpt-5.1").contains("temperature"));
  CHECK_FALSE(body_of(request, "openai", "gpt-5").contains("temperature"));
}

TEST_CASE("the effort of reasoning") {
  ChatRequest request{"Hi"};
  request.reasoning_effort = "low";
  CHECK(body_of(request, "openai", "gpt-5.4")["reasoning_effort"] == "low");
  CHECK(body_of(request, "openrouter", "x/y")["reasoning"] == Json{{"effort", "low"}});
}

TEST_CASE("tools, and whether they must be called") {
  ChatRequest request{"Hi"};
  request.tools = {Tool{"get", "Gets it", R"({"type":"object","properties":{"q":{"type":"integer"}}})", true},
                   Tool{"now", "", "", std::nullopt}};
  request.parallel_tool_calls = false;
  request.tool_choice = ToolChoice{ToolChoice::Mode::named, "get"};
  const Json body = body_of(request);
  CHECK(body["tools"] == Json::parse(R"([
    {"type":"function","function":{"name":"get","description":"Gets it",
      "parameters":{"type":"object","properties":{"q":{"type":"integer"}}},"strict":true}},
    {"type":"function","function":{"name":"now","parameters":{"type":"object","properties":{}}}}])"));
  CHECK(body["parallel_tool_calls"] == false);
  CHECK(body["tool_choice"] == Json::parse(R"({"type":"function","function":{"name":"get"}})"));
  request.tool_choice = ToolChoice{ToolChoice::Mode::required, ""};
  CHECK(body_of(request)["tool_choice"] == "required");
}

TEST_CASE("a schema that is none is the application's fault, and named") {
  ChatRequest request{"Hi"};
  request.tools = {Tool{"get", "", "{", std::nullopt}};
  const Result<HttpRequest> http = encoded(request, endpoint_for("openai", "gpt-4o"));
  REQUIRE_FALSE(http);
  CHECK(http.error().kind == ErrorKind::invalid_request);
  CHECK(http.error().message.find("get") != std::string::npos);
}

TEST_CASE("the form of the answer") {
  ChatRequest request{"Hi"};
  request.response_format =
      ResponseFormat{ResponseFormat::Type::json_schema, "", R"({"type":"object"})", "A thing", true};
  CHECK(body_of(request)["response_format"] == Json::parse(
            R"({"type":"json_schema","json_schema":{"name":"answer","description":"A thing","schema":{"type":"object"},"strict":true}})"));
  const Result<HttpRequest> http = encoded(request, endpoint_for("deepseek", "deepseek-chat"));
  REQUIRE_FALSE(http);
  CHECK(http.error().kind == ErrorKind::unsupported_capability);
  request.response_format->by_instruction = true;  // the conversation asks for it
  CHECK_FALSE(body_of(request).contains("response_format"));
  CHECK_FALSE(body_of(request, "deepseek", "deepseek-chat").contains("response_format"));
  request.response_format = ResponseFormat{ResponseFormat::Type::json_object, "", "", "", std::nullopt};
  CHECK(body_of(request, "deepseek", "deepseek-chat")["response_format"] == Json{{"type", "json_object"}});
}

TEST_CASE("images and documents in the form of Chat Completions") {
  const ChatRequest request = with_parts({Text{"What is this?"}, Image{"", "AAAA", "image/png", "low"},
                                          Image{"https://x.test/a.png", "", "", ""},
                                          Document{"", "BBBB", "application/pdf", "a.pdf"}});
  CHECK(body_of(request)["messages"][0]["content"] == Json::parse(R"([
    {"type":"text","text":"What is this?"},
    {"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"low"}},
    {"type":"image_url","image_url":{"url":"https://x.test/a.png"}},
    {"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,BBBB"}}])"));
  const Json nameless = body_of(with_parts({Document{"", "BBBB", "application/pdf", ""}}));
  CHECK(nameless["messages"][0]["content"][0]["file"]["filename"] == "document");
  const ChatRequest by_address = with_parts({Document{"https://x.test/a.pdf", "", "", ""}});
  const Result<HttpRequest> http = encoded(by_address, endpoint_for("openai", "gpt-4o"));
  REQUIRE_FALSE(http);
  CHECK(http.error().kind == ErrorKind::unsupported_capability);
  CHECK(body_of(by_address, "mistral", "m")["messages"][0]["content"][0]["document_url"] == "https://x.test/a.pdf");
  const ChatRequest named = with_parts({Document{"", "BBBB", "application/pdf", "a.pdf"}});
  CHECK(body_of(named, "mistral", "m")["messages"][0]["content"] == Json::parse(R"([
    {"type":"document_url","document_url":"data:application/pdf;base64,BBBB","document_name":"a.pdf"}])"));
}

TEST_CASE("calls and their results") {
  ChatRequest request{std::vector<Message>{
      Message::user("Weather?"),
      Message{Role::assistant, {ToolCall{"call_1", "get", R"({"q":1})"}, ToolCall{"call_2", "get", ""}}},
      Message{Role::tool, {ToolResult{"call_1", "42", false}, ToolResult{"call_2", "no such city", true}}}}};
  const Json messages = body_of(request)["messages"];
  CHECK(messages[1] == Json::parse(R"({"role":"assistant","content":null,"tool_calls":[
    {"id":"call_1","type":"function","function":{"name":"get","arguments":"{\"q\":1}"}},
    {"id":"call_2","type":"function","function":{"name":"get","arguments":"{}"}}]})"));
  CHECK(messages[2] == Json::parse(R"({"role":"tool","tool_call_id":"call_1","content":"42"})"));
  CHECK(messages[3]["content"] == "Error: no such city");
  CHECK(messages.size() == 4);
}

TEST_CASE("reasoning goes back to its origin only, where the server has a field for it") {
  const auto turn = [](const Target& origin) {
    return with_parts({Reasoning{"Hmm.", "", "", origin}, Text{"Yes."}}, Role::assistant);
  };
  const auto message = [&](std::string_view provider, const std::string& model, const Target& origin) {
    return body_of(turn(origin), provider, model)["messages"][0];
  };
  CHECK(message("groq", "m", Target{"groq", "m"})["reasoning"] == "Hmm.");
  CHECK(message("groq", "m", Target{"groq", "another"})["reasoning"] == "Hmm.");
  CHECK_FALSE(message("groq", "m", Target{"openai", "m"}).contains("reasoning"));
  CHECK_FALSE(message("openai", "gpt-5.4", Target{"openai", "gpt-5.4"}).contains("reasoning"));
  CHECK(message("deepseek", "deepseek-v4-pro", Target{"deepseek", "deepseek-v4-pro"})["reasoning_content"] == "Hmm.");
  CHECK(message("deepseek", "deepseek-v4-pro", Target{"openai", "x"})["reasoning_content"] == "");
  CHECK_FALSE(message("deepseek", "deepseek-reasoner", Target{"deepseek", "deepseek-reasoner"}).contains("reasoning_content"));
}

TEST_CASE("what cannot stand in a message is named with its place") {
  const ChatRequest request = with_parts({Image{"https://x.test", "", "", ""}}, Role::system);
  const Result<HttpRequest> http = encoded(request, endpoint_for("openai", "gpt-4o"));
  REQUIRE_FALSE(http);
  CHECK(http.error().kind == ErrorKind::invalid_request);
  CHECK(http.error().message.find("messages[0]") != std::string::npos);
}

TEST_CASE("bytes that are no UTF-8 do not break the request") {
  CHECK(body_of("a\xFFz")["messages"][0]["content"] == "a\xEF\xBF\xBDz");
}

TEST_CASE("metadata goes into the fields that the provider has") {
  ChatRequest request{"Hi"};
  request.metadata.user_id = std::string(100, 'u');
  request.metadata.session_id = "s1";
  request.metadata.request_id = "r1";
  request.metadata.trace_parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  CHECK(body_of(request)["safety_identifier"] == std::string(64, 'u'));
  CHECK(body_of(request, "groq", "m")["user"] == std::string(64, 'u'));
  CHECK_FALSE(body_of(request, "mistral", "m").contains("user"));
  CHECK(body_of(request, "openrouter", "m")["session_id"] == "s1");
  Result<HttpRequest> http = encoded(request, endpoint_for("openai", "gpt-4o"));
  REQUIRE(http);
  CHECK(header_of(*http, "x-client-request-id") == "r1");
  CHECK(header_of(*http, "traceparent") == request.metadata.trace_parent);
  renew_span(*http, 0x0123456789abcdefU);
  CHECK(header_of(*http, "traceparent") == "00-0af7651916cd43dd8448eb211c80319c-fedcba9876543210-01");
}

TEST_CASE("headers of the application go only where they are named, and never over a key") {
  ChatRequest request{"Hi"};
  request.headers = {{"X-Request-Id", "abc"},   {"Cookie", "secret"},        {"Authorization", "Bearer theirs"},
                     {"X-Other", "no"},         {"Content-Length", "3"},     {"api-key", "theirs"},
                     {"TraceParent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}};
  Endpoint endpoint = endpoint_for("openai", "gpt-4o");
  endpoint.forward_headers = {"x-request-id", "authorization", "cookie", "content-length", "api-key"};
  endpoint.headers = {{"x-team", "search"}};
  const Result<HttpRequest> http = encoded(request, endpoint);
  REQUIRE(http);
  CHECK(header_of(*http, "X-Request-Id") == "abc");
  CHECK(header_of(*http, "x-team") == "search");
  CHECK(header_of(*http, "authorization") == "Bearer sk-test");
  CHECK(header_of(*http, "traceparent").size() == 55);
  for (const std::string_view name : {"Cookie", "Authorization", "X-Other", "Content-Length", "api-key"}) {
    CAPTURE(name);
    CHECK(header_of(*http, name) == "(none)");
  }
}

TEST_CASE("what belongs to the connection or carries a key is never forwarded, even where it is named") {
  for (const char* name : {"host", "connection", "content-length", "content-type", "content-encoding", "accept",
                           "accept-encoding", "transfer-encoding", "te", "trailer", "upgrade", "expect", "keep-alive",
                           "proxy-connection", "authorization", "proxy-authorization", "api-key", "x-api-key",
                           "x-goog-api-key", "cookie", "x-amz-security-token", "cf-aig-authorization"}) {
    CAPTURE(name);
    ChatRequest request{"Hi"};
    request.headers = {{name, "theirs"}};
    Endpoint endpoint = endpoint_for("openai", "gpt-4o");
    endpoint.forward_headers = {name};
    const Result<HttpRequest> http = encoded(request, endpoint);
    REQUIRE(http);
    CHECK(header_of(*http, name) != "theirs");
  }
}

TEST_CASE("a trace context of another form is not sent") {
  const std::string good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  for (std::string bad : {std::string{"x"}, good + "-00", good.substr(1), "ff" + good.substr(2), "0G" + good.substr(2),
                          good.substr(0, 54) + "F"}) {
    CAPTURE(bad);
    ChatRequest request{"Hi"};
    request.metadata.trace_parent = bad;
    CHECK(header_of(*encoded(request, endpoint_for("openai", "gpt-4o")), "traceparent") == "(none)");
  }
}

TEST_CASE("the target's own headers may replace its key") {
  Endpoint endpoint = endpoint_for("openai", "gpt-4o");
  endpoint.headers = {{"Authorization", "Bearer gateway"}};
  const Result<HttpRequest> http = encoded("Hi", endpoint);
  REQUIRE(http);
  CHECK(header_of(*http, "authorization") == "Bearer gateway");
}

TEST_CASE("a header with a line break is refused") {
  ChatRequest request{"Hi"};
  request.headers = {{"x-a", "1\r\nx-evil: 2"}};
  Endpoint endpoint = endpoint_for("openai", "gpt-4o");
  endpoint.forward_headers = {"x-a"};
  const Result<HttpRequest> http = encoded(request, endpoint);
  REQUIRE_FALSE(http);
  CHECK(http.error().kind == ErrorKind::invalid_request);
  CHECK(http.error().message.find("evil") == std::string::npos);
}

}  // namespace openai_encode_test
