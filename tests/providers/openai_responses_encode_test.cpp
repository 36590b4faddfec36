#include <algorithm>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "backstop/providers/openai_responses.hpp"
#include "providers/http/request_headers.hpp"
#include "providers/openai_responses/format.hpp"
#include "providers/openai_responses/messages.hpp"
#include "support/replayed_call.hpp"

namespace openai_responses_encode_test {

using namespace backstop;
using namespace backstop::detail;
using namespace backstop::testing_support;
using Json = nlohmann::ordered_json;

namespace {

Endpoint endpoint_for(std::string_view provider, std::string model) {
  ModelOptions options;
  options.model = std::move(model);
  options.api_key = "sk-test";
  options.base_url = "https://api.test/v1/";
  return resolve_endpoint(options, find_known_provider(provider)->defaults);
}

Result<HttpRequest> encoded(const ChatRequest& request, const Endpoint& endpoint, bool stream = false,
                            std::string summary = "auto") {
  const OpenAiResponses format{find_known_provider(endpoint.provider)->dialect, std::move(summary)};
  const FittedRequest fitted{request, format.limits(request, endpoint.target)};
  return format.encode(fitted.request(), endpoint, stream);
}

Json body_of(const ChatRequest& request, std::string model = "gpt-4o", std::string_view provider = "openai",
             bool stream = false) {
  const Result<HttpRequest> http = encoded(request, endpoint_for(provider, std::move(model)), stream);
  REQUIRE(http);
  return Json::parse(http->body);
}

Json input_of(std::vector<Message> messages, std::string model = "gpt-4o") {
  return body_of(ChatRequest{std::move(messages)}, std::move(model))["input"];
}

std::string header_of(const HttpRequest& http, std::string_view name) {
  const auto found = std::find_if(http.headers.begin(), http.headers.end(),
                                  [&](const Header& header) { return header.first == name; });
  return found == http.headers.end() ? "(none)" : found->second;
}

/// What the server gets by way of the whole adapter, the conversation made acceptable to it first.
Json sent_by(const Provider& provider, const ChatRequest& request, std::string* note = nullptr) {
  ReplayedAnswer answer;
  answer.headers.emplace_back("content-type", "application/json");
  answer.body = R"({"status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"ok"}]}]})";
  const ReplayedCall call = call_with(provider, request, answer, false);
  REQUIRE(call.result);
  if (note != nullptr) *note = call.result->attempts.at(0).reason;
  return Json::parse(call.requests.at(0).body);
}

const ModelOptions sol{.model = "gpt-5.6-sol", .api_key = "test-key", .base_url = "http://replayed.test/v1"};

}  // namespace

TEST_CASE("a plain question in the form of Responses, which the server is told not to keep") {
  const Result<HttpRequest> http = encoded("Hello", endpoint_for("openai", "gpt-4o"));
  REQUIRE(http);
  CHECK(http->method == "POST");
  CHECK(http->url == "https://api.test/v1/responses");
  CHECK(http->body ==
        R"({"model":"gpt-4o","input":[{"role":"user","content":"Hello"}],"store":false,"stream":false})");
  CHECK(header_of(*http, "authorization") == "Bearer sk-test");
  CHECK(header_of(*http, "content-type") == "application/json");
  CHECK(header_of(*http, "accept") == "application/json");
  CHECK(body_of("Hello", "gpt-4o", "openai", true)["stream"] == true);
}

TEST_CASE("Responses at Azure: its key header, and the query of the base address behind the path") {
  ModelOptions options;
  options.model = "my-deployment";
  options.api_key = "azure-key";
  options.base_url = "https://r.openai.azure.com/openai/v1/?api-version=v1";
  ChatRequest request{"Hello"};
  request.metadata.user_id = "u-1";
  const Result<HttpRequest> http = encoded(request, resolve_endpoint(options, find_known_provider("azure")->defaults));
  REQUIRE(http);
  CHECK(http->url == "https://r.openai.azure.com/openai/v1/responses?api-version=v1");
  CHECK(header_of(*http, "api-key") == "azure-key");
  CHECK(header_of(*http, "authorization") == "(none)");
  CHECK(Json::parse(http->body)["user"] == "u-1");
}

TEST_CASE("system text in front is the instructions, and later one stays in its place") {
  const ChatRequest request{std::vector<Message>{Message::system("Be brief."), Message::system("Be kind."),
                                                 Message::user("Hi"), Message::assistant("Hello."),
                                                 Message::system("Now in French."), Message::user("Again")}};
  const Json body = body_of(request);
  CHECK(body["instructions"] == "Be brief.\n\nBe kind.");
  CHECK(body["input"] == Json::parse(R"([{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello."},
    {"role":"system","content":"Now in French."},{"role":"user","content":"Again"}])"));
  CHECK(body_of(request, "gpt-5.4")["input"][2]["role"] == "developer");
  CHECK(body_of(request, "gpt-5-chat-latest")["input"][2]["role"] == "system");
  CHECK(body_of(request, "openai/gpt-oss-120b", "groq")["input"][2]["role"] == "system");
}

TEST_CASE("system text alone is the input, which must not be empty") {
  const Json body = body_of(ChatRequest{std::vector<Message>{Message::system("Say hello.")}});
  CHECK_FALSE(body.contains("instructions"));
  CHECK(body["input"] == Json::parse(R"([{"role":"system","content":"Say hello."}])"));
  for (const std::vector<Message>& nothing : {std::vector<Message>{}, std::vector<Message>{Message::system("")}}) {
    const Result<HttpRequest> http = encoded(ChatRequest{nothing}, endpoint_for("openai", "gpt-4o"));
    REQUIRE_FALSE(http);
    CHECK(http.error().kind == ErrorKind::invalid_request);
  }
}

TEST_CASE("every setting of a request has its field on the Responses wire") {
  ChatRequest request{"Hi"};
  request.max_output_tokens = 300;
  request.temperature = 0.5;
  request.top_p = 0.9;
  request.metadata.user_id = std::string(70, 'u');
  const Json body = body_of(request);
  CHECK(body["max_output_tokens"] == 300);
  CHECK(body["temperature"] == 0.5);
  CHECK(body["top_p"] == 0.9);
  CHECK(body["safety_identifier"] == std::string(64, 'u'));
  CHECK_FALSE(body_of(request, "deepseek-chat", "deepseek").contains("user"));
  CHECK_FALSE(body_of(request, "gpt-5.6-sol").contains("temperature"));
  request.reasoning_effort = "none";
  CHECK(body_of(request, "gpt-5.6-sol").contains("temperature"));
}

TEST_CASE("what the Responses wire has no field for, or refuses, is left out or changed with a note") {
  ChatRequest request{"Hi"};
  request.stop = {"END"};
  request.max_output_tokens = 5;
  std::string note;
  const Json body = sent_by(openai_responses(sol), request, &note);
  CHECK_FALSE(body.contains("stop"));
  CHECK(body["max_output_tokens"] == 16);
  CHECK(note == "output limit raised from 5 to 16 tokens, the least that can be asked for; stop sequences left out: "
                "the model refuses them");
}

TEST_CASE("effort and summary of reasoning, and its encrypted form, for models that reason") {
  const Json wanted = Json::parse(R"(["reasoning.encrypted_content"])");
  ChatRequest request{"Hi"};
  CHECK(body_of(request, "gpt-5.6-sol")["include"] == wanted);
  CHECK(body_of(request, "o4-mini")["include"] == wanted);
  CHECK_FALSE(body_of(request, "gpt-4o").contains("include"));
  CHECK_FALSE(body_of(request, "gpt-5.6-sol").contains("reasoning"));
  CHECK_FALSE(body_of(request, "my-deployment", "azure").contains("include"));
  request.reasoning_effort = "low";
  CHECK(body_of(request, "gpt-5.6-sol")["reasoning"] == Json::parse(R"({"effort":"low","summary":"auto"})"));
  CHECK(body_of(request, "my-deployment", "azure")["include"] == wanted);
  request.reasoning_effort = "none";
  CHECK(body_of(request, "gpt-5.6-sol")["reasoning"] == Json::parse(R"({"effort":"none"})"));
  request.reasoning_effort = "high";
  const Json without = sent_by(openai_responses(sol, {.reasoning_summary = ""}), request);
  CHECK(without["reasoning"] == Json::parse(R"({"effort":"high"})"));
  const Json detailed = sent_by(openai_responses(sol, {.reasoning_summary = "detailed"}), request);
  CHECK(detailed["reasoning"]["summary"] == "detailed");
}

TEST_CASE("tools of the Responses wire, which are not strict unless told") {
  ChatRequest request{"Hi"};
  request.tools = {Tool{"get", "Gets it", R"({"type":"object","properties":{"q":{"type":"integer"}}})", true},
                   Tool{"now", "", "", std::nullopt}};
  request.parallel_tool_calls = false;
  request.tool_choice = ToolChoice{ToolChoice::Mode::named, "get"};
  const Json body = body_of(request);
  CHECK(body["tools"] == Json::parse(R"([
    {"type":"function","name":"get","description":"Gets it",
     "parameters":{"type":"object","properties":{"q":{"type":"integer"}}},"strict":true},
    {"type":"function","name":"now","parameters":{"type":"object","properties":{}},"strict":false}])"));
  CHECK(body["parallel_tool_calls"] == false);
  CHECK(body["tool_choice"] == Json::parse(R"({"type":"function","name":"get"})"));
  for (const auto& [mode, word] : {std::pair{ToolChoice::Mode::automatic, "auto"},
                                   std::pair{ToolChoice::Mode::none, "none"},
                                   std::pair{ToolChoice::Mode::required, "required"}}) {
    request.tool_choice = ToolChoice{mode, ""};
    CHECK(body_of(request)["tool_choice"] == word);
  }
  request.tools = {Tool{"get", "", "{", std::nullopt}};
  const Result<HttpRequest> http = encoded(request, endpoint_for("openai", "gpt-4o"));
  REQUIRE_FALSE(http);
  CHECK(http.error().kind == ErrorKind::invalid_request);
  CHECK(http.error().message.find("get") != std::string::npos);
}

TEST_CASE("the form of the answer on the Responses wire") {
  ChatRequest request{"Hi"};
  request.response_format =
      ResponseFormat{ResponseFormat::Type::json_schema, "", R"({"type":"object"})", "A thing", true};
  CHECK(body_of(request)["text"] == Json::parse(R"({"format":{"type":"json_schema","name":"answer",
    "description":"A thing","schema":{"type":"object"},"strict":true}})"));
  request.response_format->by_instruction = true;  // the conversation asks for it
  CHECK_FALSE(body_of(request).contains("text"));
  request.response_format = ResponseFormat{ResponseFormat::Type::json_object, "", "", "", std::nullopt};
  CHECK(body_of(request)["text"] == Json::parse(R"({"format":{"type":"json_object"}})"));
  request.response_format = ResponseFormat{ResponseFormat::Type::text, "", "", "", std::nullopt};
  CHECK_FALSE(body_of(request).contains("text"));
  request.response_format = ResponseFormat{ResponseFormat::Type::json_schema, "x", "no schema", "", std::nullopt};
  CHECK(encoded(request, endpoint_for("openai", "gpt-4o")).error().kind == ErrorKind::invalid_request);
}

TEST_CASE("images and documents on the Responses wire, by their bytes or by an address") {
  const Json input = input_of({Message{Role::user,
                                       {Text{"What is this?"}, Image{"", "AAAA", "image/png", "low"},
                                        Image{"https://x.test/a.png", "", "", ""},
                                        Document{"", "BBBB", "application/pdf", "a.pdf"},
                                        Document{"", "CCCC", "application/pdf", ""},
                                        Document{"https://x.test/b.pdf", "", "", "b.pdf"}}}});
  CHECK(input == Json::parse(R"([{"role":"user","content":[
    {"type":"input_text","text":"What is this?"},
    {"type":"input_image","image_url":"data:image/png;base64,AAAA","detail":"low"},
    {"type":"input_image","image_url":"https://x.test/a.png","detail":"auto"},
    {"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,BBBB"},
    {"type":"input_file","filename":"document","file_data":"data:application/pdf;base64,CCCC"},
    {"type":"input_file","file_url":"https://x.test/b.pdf"}]}])"));
}

TEST_CASE("parallel calls and their results, failed ones too, as items of the Responses wire") {
  const Json input = input_of(
      {Message::user("Weather?"),
       Message{Role::assistant,
               {Text{"Let me "}, Text{"see."}, ToolCall{"call_1", "get", R"({"q":1})"}, ToolCall{"call_2", "get", ""}}},
       Message{Role::tool, {ToolResult{"call_1", "42", false}, ToolResult{"call_2", "no such city", true}}},
       Message{Role::user, {Text{"And?"}, ToolResult{"call_3", "late", false}}}});
  CHECK(input == Json::parse(R"([{"role":"user","content":"Weather?"},
    {"role":"assistant","content":"Let me see."},
    {"type":"function_call","call_id":"call_1","name":"get","arguments":"{\"q\":1}"},
    {"type":"function_call","call_id":"call_2","name":"get","arguments":"{}"},
    {"type":"function_call_output","call_id":"call_1","output":"42"},
    {"type":"function_call_output","call_id":"call_2","output":"Error: no such city"},
    {"type":"function_call_output","call_id":"call_3","output":"late"},
    {"role":"user","content":"And?"}])"));
}

TEST_CASE("ids of calls are made to fit the Responses wire, in the call and in its result") {
  const std::string longest(64, 'a');
  for (const auto& [id, kept] : {std::pair{longest, true}, std::pair{longest + "a", false},
                                 std::pair{std::string{"functions.get:0"}, false}}) {
    ChatRequest request{"Hi"};
    request.messages.push_back(Message{Role::assistant, {ToolCall{id, "get", "{}"}}});
    request.messages.push_back(Message::tool_result(id, "42"));
    const Json input = sent_by(openai_responses(sol), request)["input"];
    const std::string sent = input[1]["call_id"];
    CHECK((sent == id) == kept);
    CHECK(sent.size() <= 64);
    CHECK(input[2]["call_id"] == sent);
  }
}

TEST_CASE("encrypted reasoning goes back to its issuer, with its id, in front of what it led to") {
  const Target issuer{"openai", "gpt-5.6-sol"};
  ChatRequest request{"Weather?"};
  request.messages.push_back(Message{Role::assistant,
                                     {Reasoning{"I look it up.", "rs_1 gAAA=", "", issuer},
                                      ToolCall{"call_1", "get", "{}"}, Reasoning{"", "gBBB", "", issuer}, Text{"Sun."},
                                      Reasoning{"And now?", "rs_3 gCCC", "", issuer}}});
  request.messages.push_back(Message::tool_result("call_1", "sun"));
  std::string note;
  const Json input = sent_by(openai_responses(sol), request, &note)["input"];
  CHECK(input == Json::parse(R"([{"role":"user","content":"Weather?"},
    {"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"I look it up."}],
     "encrypted_content":"gAAA="},
    {"type":"function_call","call_id":"call_1","name":"get","arguments":"{}"},
    {"type":"reasoning","summary":[],"encrypted_content":"gBBB"},
    {"role":"assistant","content":"Sun."},
    {"type":"function_call_output","call_id":"call_1","output":"sun"}])"));
  CHECK(note.empty());
}

TEST_CASE("reasoning of another issuer, or without its proof, does not go to the Responses wire") {
  for (const Reasoning& foreign :
       {Reasoning{"Hm.", "rs_1 gAAA", "", Target{"openai", "gpt-5.4"}},
        Reasoning{"Hm.", "sig", "", Target{"anthropic", "claude-sonnet-5"}},
        Reasoning{"Hm.", "rs_1 gAAA", "", Target{"azure", "gpt-5.6-sol"}},
        Reasoning{"Hm.", "", "", Target{"openai", "gpt-5.6-sol"}}, Reasoning{"Hm.", "rs_1 gAAA", "", Target{}}}) {
    ChatRequest request{"Why?"};
    request.messages.push_back(Message{Role::assistant, {foreign, Text{"So."}}});
    request.messages.push_back(Message::user("Really?"));
    std::string note;
    const Json body = sent_by(openai_responses(sol), request, &note);
    CHECK(body["input"].size() == 3);
    CHECK(body.dump().find("Hm.") == std::string::npos);
    CHECK(body.dump().find("gAAA") == std::string::npos);
    CHECK(note == "conversation adapted: 1 block of reasoning dropped");
    // Without the projection as well: who encodes is the last to look.
    CHECK(encoded(request, endpoint_for("openai", "gpt-5.6-sol"))->body.find("Hm.") == std::string::npos);
  }
}

TEST_CASE("a proof of reasoning is its encrypted content behind its id, where that can be told apart") {
  CHECK(reasoning_signature("rs_1", "gAAA") == "rs_1 gAAA");
  CHECK(reasoning_signature("", "gAAA") == "gAAA");
  CHECK(reasoning_signature("r s", "gAAA") == "gAAA");
  CHECK(reasoning_signature("rs_1", "").empty());
}

TEST_CASE("what cannot stand in a message of the Responses wire is named with its place") {
  const auto error_of = [](std::vector<Message> messages) {
    const Result<HttpRequest> http = encoded(ChatRequest{std::move(messages)}, endpoint_for("openai", "gpt-4o"));
    REQUIRE_FALSE(http);
    CHECK(http.error().kind == ErrorKind::invalid_request);
    return http.error().message;
  };
  const Part image = Image{"https://x.test", "", "", ""};
  CHECK(error_of({Message{Role::system, {image}}, Message::user("Hi")}).starts_with("messages[0]: anything but text"));
  CHECK(error_of({Message::user("Hi"), Message{Role::system, {image}}}).starts_with("messages[1]: anything but text"));
  CHECK(error_of({Message::user("Hi"), Message{Role::assistant, {image}}}).starts_with("messages[1]: an image"));
  CHECK(error_of({Message{Role::user, {ToolCall{"1", "f", "{}"}}}}).starts_with("messages[0]: reasoning or a tool call"));
}

TEST_CASE("a Responses target is made for any provider whose server speaks the wire") {
  CHECK(openai_responses({.model = "gpt-5.6-sol"}).target().name() == "openai/gpt-5.6-sol");
  CHECK(openai_responses({.model = "gpt-5.6-sol"}).target().facts().price);
  CHECK(openai_responses({.model = "grok-4", .name = "xai"}).target().name() == "xai/grok-4");
  CHECK(openai_responses({.model = "gpt-5.6-sol", .name = "openai_responses"}).target().facts().price);
  CHECK(openai_responses({.model = "m", .base_url = "http://box:1/v1", .name = "mine"}).target().name() == "mine/m");
  CHECK_THROWS_AS(openai_responses({.model = "m", .name = "mine"}), std::invalid_argument);
  CHECK_THROWS_AS(openai_responses({.model = "m", .name = "azure"}), std::invalid_argument);
  CHECK_THROWS_AS(openai_responses({}), std::invalid_argument);
}

}  // namespace openai_responses_encode_test
