#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <string>

#include <nlohmann/json.hpp>

#include "backstop/json.hpp"

namespace request_json_test {

using namespace backstop;
using Catch::Matchers::ContainsSubstring;

namespace {

std::string problem_with(std::string_view text) {
  const auto request = request_from_text(text);
  if (request) return "no problem";
  CHECK(request.error().kind == ErrorKind::invalid_request);
  return request.error().message;
}

/// The complaint about a message, given its JSON.
std::string message_problem(const std::string& message) { return problem_with(R"({"messages": [)" + message + "]}"); }

/// The complaint about one more key of a good request.
std::string key_problem(const std::string& key) {
  return problem_with(R"({"messages": [{"role": "user", "content": "Hi"}], )" + key + "}");
}

constexpr std::string_view full_request = R"({
  "messages": [
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": [
      {"type": "text", "text": "What is this?"},
      {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
      {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0K"}},
      {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
      {"type": "file", "file": {"file_url": "https://example.com/b.pdf"}}]},
    {"role": "assistant", "content": null,
     "reasoning": [{"text": "Look it up.", "signature": "c2ln", "origin": "anthropic/claude-sonnet-5"},
                   {"redacted": "opaque"}],
     "tool_calls": [{"id": "call_1", "type": "function",
                     "function": {"name": "look", "arguments": "{\"b\": 1,  \"a\": 2}"}}]},
    {"role": "tool", "tool_call_id": "call_1", "content": "A cat", "is_error": true, "cache": true},
    {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "Two files"},
      {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0K"}, "cache": true},
      {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}}]},
    {"role": "user", "content": [{"type": "text", "text": "Well?", "cache": true}], "cache": true}],
  "tools": [{"type": "function", "function": {"name": "look", "description": "Looks", "strict": true,
             "parameters": {"type": "object", "properties": {"b": {"type": "integer"}, "a": {}}}}}],
  "tool_choice": {"type": "function", "function": {"name": "look"}},
  "parallel_tool_calls": false,
  "response_format": {"type": "json_schema", "json_schema": {"name": "n", "description": "An animal",
                      "schema": {"type": "object"}, "strict": true}},
  "max_output_tokens": 300, "temperature": 0.5, "top_p": 0.9, "stop": ["END"], "reasoning_effort": "low",
  "top_k": 40, "frequency_penalty": -0.5, "presence_penalty": 0.25, "seed": -7, "service_tier": "flex",
  "metadata": {"user_id": "u", "session_id": "s", "request_id": "r", "tags": {"team": "search"}},
  "headers": {"X-Team": "search", "TraceParent": "00-1-2-01"},
  "extra": {"openai": {"logit_bias": {"50256": -100}}, "wire:gemini": {"labels": {"n": 123456789012345678901234567890}}}
})";

}  // namespace

TEST_CASE("a request in the form of Chat Completions is read") {
  const auto result = request_from_text(full_request);
  if (!result) FAIL(result.error().message);
  const ChatRequest& request = *result;

  REQUIRE(request.messages.size() == 6);
  CHECK(request.messages[0] == Message::system("Be brief."));
  const auto& seen = request.messages[1].parts;
  REQUIRE(seen.size() == 5);
  CHECK(seen[1] == Part{Image{"https://example.com/a.png", "", "", "low"}});
  CHECK(seen[2] == Part{Image{"", "iVBORw0K", "image/png", ""}});
  CHECK(seen[3] == Part{Document{"", "JVBERi0=", "application/pdf", "a.pdf"}});
  CHECK(seen[4] == Part{Document{"https://example.com/b.pdf", "", "", ""}});

  const auto& thought = request.messages[2].parts;
  REQUIRE(thought.size() == 3);
  CHECK(thought[0] == Part{Reasoning{"Look it up.", "c2ln", "", Target::parse("anthropic/claude-sonnet-5")}});
  CHECK(thought[1] == Part{Reasoning{"", "", "opaque", {}}});
  CHECK(thought[2] == Part{ToolCall{"call_1", "look", R"({"b": 1,  "a": 2})"}});
  CHECK(request.messages[3].parts[0] == Part{ToolResult{"call_1", "A cat", true, true}});
  CHECK(request.messages[4].parts[0] ==
        Part{ToolResult{"call_2", "Two files", false, false,
                        {Image{"", "iVBORw0K", "image/png", "", true},
                         Document{"", "JVBERi0=", "application/pdf", "a.pdf"}}}});
  CHECK(request.messages[5] == Message{Role::user, {Text{"Well?", true}}, true});

  REQUIRE(request.tools.size() == 1);
  CHECK(request.tools[0] ==
        Tool{"look", "Looks", R"({"type":"object","properties":{"b":{"type":"integer"},"a":{}}})", true});
  CHECK(request.tool_choice == ToolChoice{ToolChoice::Mode::named, "look"});
  CHECK(request.parallel_tool_calls == false);
  CHECK(request.response_format ==
        ResponseFormat{ResponseFormat::Type::json_schema, "n", R"({"type":"object"})", "An animal", true});
  CHECK(request.max_output_tokens == 300);
  CHECK(request.temperature == 0.5);
  CHECK(request.top_p == 0.9);
  CHECK(request.top_k == 40);
  CHECK(request.frequency_penalty == -0.5);
  CHECK(request.presence_penalty == 0.25);
  CHECK(request.seed == -7);
  CHECK(request.service_tier == "flex");
  CHECK(request.stop == std::vector<std::string>{"END"});
  CHECK(request.reasoning_effort == "low");
  CHECK(request.metadata == Metadata{"u", "s", "r", "00-1-2-01", {{"team", "search"}}});
  CHECK(request.headers == std::vector<Header>{{"X-Team", "search"}});
  REQUIRE(request.extra.size() == 2);
  CHECK(request.extra[0] == Extra{"openai", R"({"logit_bias":{"50256":-100}})"});
  CHECK(request.extra[1].to == "wire:gemini");
}

TEST_CASE("a request that is written and read again is the same") {
  auto first = request_from_text(full_request);
  REQUIRE(first);
  first->response_format->by_instruction = true;
  const auto ordered = request_from_json(to_json(*first));
  REQUIRE(ordered);
  CHECK(*ordered == *first);
  const auto text = request_from_text(json_text(to_json(*first), 2));
  REQUIRE(text);
  CHECK(*text == *first);
  const nlohmann::json sorted = to_json(*first);
  const auto from_sorted = request_from_json(sorted);
  REQUIRE(from_sorted);
  CHECK(from_sorted->messages == first->messages);
}

TEST_CASE("the parts of an assistant's turn stand in the order in which a model writes") {
  const auto request = request_from_text(R"({"messages": [{"role": "assistant", "content": "So.", "refusal": "No.",
    "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}], "reasoning": [{"text": "Hm."}]}]})");
  REQUIRE(request);
  CHECK(request->messages[0].parts ==
        std::vector<Part>{Reasoning{"Hm.", "", "", {}}, Text{"So."}, Text{"No."}, ToolCall{"1", "f", "{}"}});
}

TEST_CASE("a refusal among the parts is text, and bytes of a file without a type are a PDF") {
  const auto request = request_from_text(R"({"messages": [
    {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
    {"role": "user", "content": [{"type": "file", "file": {"filename": "a.pdf", "file_data": "JVBERi0="}}]}]})");
  REQUIRE(request);
  CHECK(request->messages[0].parts == std::vector<Part>{Text{"No."}});
  CHECK(request->messages[1].parts == std::vector<Part>{Document{"", "JVBERi0=", "application/pdf", "a.pdf"}});
}

TEST_CASE("brackets in a text are no nesting") {
  const std::string brackets = std::string(100'000, '[') + "\\\"" + std::string(100'000, '{');
  const auto request = request_from_text(R"({"messages": [{"role": "user", "content": ")" + brackets + "\"}]}");
  REQUIRE(request);
  CHECK(text_of(request->messages[0].parts).size() == 200'001);
}

TEST_CASE("a call without arguments is written with an empty object") {
  const std::vector<Message> conversation{Message{Role::assistant, {ToolCall{"1", "f", ""}}}};
  CHECK(to_json(conversation)[0]["tool_calls"][0]["function"]["arguments"] == "{}");
}

TEST_CASE("a plain prompt makes a small document") {
  CHECK(json_text(to_json(ChatRequest{"Hi"})) == R"({"messages":[{"role":"user","content":"Hi"}]})");
}

TEST_CASE("a conversation can be stored and read back") {
  std::vector<Message> conversation{Message::user("Hi"), Message::assistant("Hello"), Message::tool_result("1", "x")};
  const auto json = to_json(conversation);
  CHECK(json.size() == 3);
  const auto back = messages_from_json(json);
  REQUIRE(back);
  CHECK(*back == conversation);
}

TEST_CASE("a message with several tool results is written as as many messages") {
  Message message{Role::tool, {ToolResult{"1", "a", false}, ToolResult{"2", "b", false}}};
  CHECK(json_text(to_json(std::vector{message})) ==
        R"([{"role":"tool","tool_call_id":"1","content":"a"},{"role":"tool","tool_call_id":"2","content":"b"}])");
}

TEST_CASE("a text that could not be part of a document is passed on all the same") {
  ChatRequest request{"broken \xff byte"};
  CHECK(json_text(to_json(request)).find("broken \xef\xbf\xbd byte") != std::string::npos);
  request.tools.push_back(Tool{"f", "", "no schema", {}});
  CHECK(json_text(to_json(request)).find(R"("parameters":"no schema")") != std::string::npos);
}

TEST_CASE("null counts as absent") {
  const auto request = request_from_text(R"({"messages": [{"role": "user", "content": "Hi"}], "tools": null,
    "tool_choice": null, "response_format": null, "temperature": null, "metadata": null, "headers": null})");
  REQUIRE(request);
  CHECK(*request == ChatRequest{"Hi"});
}

TEST_CASE("arguments given as an object, or as no object at all, become one") {
  const auto arguments = [](const std::string& json) {
    const auto request = request_from_text(
        R"({"messages": [{"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": )" +
        json + "}}]}]}");
    REQUIRE(request);
    return std::get<ToolCall>(request->messages[0].parts[0]).arguments;
  };
  CHECK(arguments(R"({"a": 1})") == R"({"a":1})");
  CHECK(arguments(R"("")") == "{}");
  CHECK(arguments("null") == "{}");
  CHECK(arguments(R"("{\"a\": ")") == R"({"rawInvalidInput":"{\"a\": "})");
}

TEST_CASE("broken JSON is reported with its line and column, without quoting it") {
  CHECK_THAT(problem_with("{\n  \"messages\": [secret]\n}"), ContainsSubstring("broken JSON at line 2, column 16"));
  const std::string problem = problem_with("{\"messages\": \"my secret");
  CHECK_THAT(problem, ContainsSubstring("line 1"));
  CHECK_THAT(problem, !ContainsSubstring("secret"));
  CHECK_THAT(problem_with(""), ContainsSubstring("broken JSON at line 1, column 1"));
  CHECK_THAT(problem_with("{\"a\": \"\xff\"}"), ContainsSubstring("ill-formed UTF-8"));
  CHECK_THAT(problem_with("[1e999]"), ContainsSubstring("out of range"));
  CHECK_THAT(problem_with(std::string(100'000, '[')), ContainsSubstring("nested too deeply; at most 500"));
}

TEST_CASE("a document of the wrong shape is told what it should be") {
  CHECK_THAT(problem_with("[]"), ContainsSubstring("the document must be an object with the keys messages, tools"));
  CHECK(problem_with("{}") == "`messages` must be an array with at least one message");
  CHECK(problem_with(R"({"messages": []})") == "`messages` must be an array with at least one message");
  CHECK(problem_with(R"({"messages": {}})") == "`messages` must be an array of messages, not an object");
  CHECK_THAT(key_problem(R"("max_tokens": 3)"),
             ContainsSubstring("the document has an unknown key `max_tokens`; accepted are messages, tools"));
}

TEST_CASE("a bad message is named by its place") {
  CHECK(problem_with(R"({"messages": [{"role": "user", "content": "a"}, {"role": "robot", "content": "b"}]})") ==
        "`messages[1].role` must be one of system, developer, user, assistant, tool");
  CHECK(message_problem("3") == "`messages[0]` must be an object with `role` and `content`, not a number");
  CHECK(message_problem(R"({"role": 3, "content": "a"})") == "`messages[0].role` must be a string, not a number");
  CHECK(message_problem(R"({"role": "user"})") ==
        "`messages[0].content` must be a string or an array of content parts that is not empty");
  CHECK(message_problem(R"({"role": "user", "content": 5})") ==
        "`messages[0].content` must be an array of content parts, or a string, not a number");
  CHECK(message_problem(R"({"role": "user", "content": "a", "nmae": "b"})") ==
        "`messages[0]` has an unknown key `nmae`; accepted are role, content, cache");
  CHECK(message_problem(R"({"role": "assistant"})") == "`messages[0]` must have content, reasoning or tool_calls");
  CHECK(message_problem(R"({"role": "tool", "content": "a"})") ==
        "`messages[0].tool_call_id` is missing; it must be a string that is not empty");
  CHECK(message_problem(R"({"role": "tool", "tool_call_id": "1"})") ==
        "`messages[0].content` is missing; it must be a string or an array of content parts");
}

TEST_CASE("a bad content part is named by its place") {
  const auto part_problem = [](const std::string& part) {
    return message_problem(R"({"role": "user", "content": [)" + part + "]}");
  };
  CHECK(part_problem(R"({"type": "input_video"})") ==
        "`messages[0].content[0].type` is not supported; accepted are text, image_url, file, input_audio");
  CHECK(part_problem(R"("text")") == "`messages[0].content[0]` must be an object with a `type`, not a string");
  CHECK(part_problem(R"({"type": "text"})") == "`messages[0].content[0].text` is missing; it must be a string");
  CHECK_THAT(part_problem(R"({"type": "image_url", "image_url": {"url": "a.png"}})"),
             ContainsSubstring("`messages[0].content[0].image_url.url` must be an address"));
  CHECK_THAT(part_problem(R"({"type": "image_url", "image_url": "data:image/png,abc"})"),
             ContainsSubstring("data:<media type>;base64,<data>"));
  const auto with_detail = [&](const std::string& detail) {
    return part_problem(R"({"type": "image_url", "image_url": {"url": "https://host/a.png", "detail": ")" + detail +
                        "\"}}");
  };
  for (const char* detail : {"auto", "low", "high"}) CHECK(with_detail(detail) == "no problem");
  CHECK_THAT(with_detail("best"), ContainsSubstring("image_url.detail` must be auto, low or high"));
  CHECK(part_problem(R"({"type": "file", "file": {"filename": "a"}})") ==
        "`messages[0].content[0].file` must have exactly one of file_data and file_url");
  CHECK(message_problem(R"({"role": "system", "content": [{"type": "image_url"}]})") ==
        "`messages[0].content[0].type` is not supported; accepted here is text");
}

TEST_CASE("bad reasoning and tool calls are named by their place") {
  CHECK_THAT(message_problem(R"({"role": "assistant", "content": "a", "reasoning": "b"})"),
             ContainsSubstring("`messages[0].reasoning` must be an array of objects"));
  CHECK(message_problem(R"({"role": "assistant", "reasoning": [{"text": "a", "origin": "claude"}]})") ==
        "`messages[0].reasoning[0].origin` must be written provider/model");
  CHECK(message_problem(R"({"role": "assistant", "reasoning": [{}]})") ==
        "`messages[0].reasoning[0]` must have a text, a signature or redacted");
  CHECK(message_problem(R"({"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]})") ==
        "`messages[0].tool_calls[0].id` is missing; it must be a string that is not empty");
}

TEST_CASE("bad options are named with what is accepted") {
  CHECK(key_problem(R"("temperature": "hot")") == "`temperature` must be a number, not a string");
  CHECK(key_problem(R"("temperature": 3)") == "`temperature` must be from 0 to 2, not 3");
  CHECK(key_problem(R"("top_p": 1.1)") == "`top_p` must be from 0 to 1, not 1.1");
  CHECK(key_problem(R"("top_k": 0)") == "`top_k` must be a whole number above zero, not 0");
  CHECK(key_problem(R"("presence_penalty": -2.5)") == "`presence_penalty` must be from -2 to 2, not -2.5");
  CHECK(key_problem(R"("seed": 1.5)") == "`seed` must be a whole number of 64 bits, not a number");
  CHECK(key_problem(R"("seed": 9223372036854775808)") == "`seed` must be a whole number of 64 bits, not a number");
  CHECK(key_problem(R"("max_output_tokens": 0)") == "`max_output_tokens` must be a whole number above zero, not 0");
  CHECK(key_problem(R"("max_output_tokens": 1.5)") == "`max_output_tokens` must be a whole number above zero, not 1.5");
  CHECK_THAT(key_problem(R"("reasoning_effort": "much")"), ContainsSubstring("must be one of none, minimal, low"));
  CHECK(key_problem(R"("stop": [1])") == "`stop[0]` must be a string, not a number");
  CHECK(key_problem(R"("tools": [{"type": "web_search"}])") ==
        "`tools[0].type` is not supported; accepted is function");
  CHECK(key_problem(R"("tools": [{"type": "function", "function": {}}])") ==
        "`tools[0].function.name` is missing; it must be a string that is not empty");
  const std::string tool = R"({"type": "function", "function": {"name": "f"}})";
  CHECK(key_problem(R"("tools": [)" + tool + ", " + tool + "]") ==
        "`tools[1].function.name` is the name of an earlier tool; names must differ");
  CHECK_THAT(key_problem(R"("tool_choice": "any")"), ContainsSubstring(R"(must be "auto", "none", "required" or)"));
  CHECK(key_problem(R"("tool_choice": {"type": "function", "function": {"name": "g"}})") ==
        "`tool_choice.function.name` is not the name of one of `tools`");
  CHECK(key_problem(R"("response_format": {"type": "xml"})") ==
        "`response_format.type` must be text, json_object or json_schema");
  CHECK(key_problem(R"("response_format": {"type": "json_schema", "json_schema": {"name": "a"}})") ==
        "`response_format.json_schema.schema` is missing; it must be an object");
  CHECK(key_problem(R"("metadata": {"tags": {"a": 1}})") == "`metadata.tags.a` must be a string, not a number");
  CHECK(key_problem(R"("extra": [])") ==
        "`extra` must be an object of objects, each under a provider's name, not an array");
  CHECK(key_problem(R"("extra": {"openai": 7})") == "`extra.openai` must be an object, not a number");
  CHECK(key_problem(R"("extra": {"": {}})") ==
        "`extra.` is for nobody; accepted are a provider's name and wire:<wire>");
  CHECK(key_problem(R"("extra": {"openai": {"a": ")" + std::string(70'000, 'x') + R"("}})") ==
        "`extra.openai` is longer than the accepted 64 KiB");
  CHECK(key_problem(R"("headers": {"a b": "c"})").starts_with("`headers.a b` is no header name"));
  CHECK(key_problem(R"("headers": {"a": "c\r\nd: e"})") == "`headers.a` must not hold line breaks or zero bytes");
}

}  // namespace request_json_test
