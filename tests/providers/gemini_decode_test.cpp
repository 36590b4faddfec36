#include <string>
#include <string_view>

#include <catch2/catch_test_macros.hpp>

#include "backstop/providers/gemini.hpp"
#include "support/replayed_call.hpp"

namespace gemini_decode_test {

using namespace backstop;
using namespace backstop::testing_support;

namespace {

ReplayedCall answered(const std::string& body, bool stream = false) {
  ReplayedAnswer answer;
  answer.headers.emplace_back("content-type", stream ? "text/event-stream" : "application/json");
  answer.body = body;
  return call_with(gemini({.model = "gemini-3.5-flash", .api_key = "test-key"}), "hello", answer, stream);
}

std::string candidate(const std::string& parts, const std::string& rest = R"(, "finishReason": "STOP")") {
  return R"({"candidates": [{"content": {"role": "model", "parts": [)" + parts + "]}" + rest + "}]}";
}
std::string events(std::initializer_list<std::string> bodies) {
  std::string text;
  for (const std::string& body : bodies) text += "data: " + body + "\r\n\r\n";
  return text;
}

}  // namespace

TEST_CASE("counts of Gemini's: thoughts are output, and what tools bring is input") {
  const ReplayedCall call = answered(
      R"({"candidates": [{"content": {"parts": [{"text": "Hi."}]}, "finishReason": "STOP"}], "modelVersion": "g-1",
          "responseId": "r1", "usageMetadata": {"promptTokenCount": 10, "toolUsePromptTokenCount": 5,
          "cachedContentTokenCount": 4, "candidatesTokenCount": 3, "thoughtsTokenCount": 7}})");
  REQUIRE(call.result);
  CHECK(call.result->usage.input_tokens == 15);
  CHECK(call.result->usage.cached_input_tokens == 4);
  CHECK(call.result->usage.output_tokens == 10);
  CHECK(call.result->usage.reasoning_tokens == 7);
  CHECK(call.result->model == "g-1");
  CHECK(call.result->id == "r1");
}

TEST_CASE("a prompt or an answer that Gemini's filters blocked is content_filtered, with its words") {
  for (const bool stream : {false, true}) {
    for (const std::string body :
         {R"({"promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": "Not this."}})",
          R"({"candidates": [{"finishReason": "PROHIBITED_CONTENT", "finishMessage": "Not this."}]})"}) {
      const ReplayedCall call = answered(stream ? events({body}) : body, stream);
      REQUIRE_FALSE(call.result);
      CHECK(call.result.error().kind == ErrorKind::content_filtered);
      CHECK(call.result.error().provider_message == "Not this.");
    }
  }
  const ReplayedCall cut = answered(candidate(R"({"text": "So far"})", R"(, "finishReason": "SAFETY")"));
  REQUIRE(cut.result);
  CHECK(cut.result->finish_reason == FinishReason::content_filter);
}

TEST_CASE("a call that Gemini got wrong is malformed, and one without arguments is whole") {
  const ReplayedCall wrong = answered(candidate("", R"(, "finishReason": "MALFORMED_FUNCTION_CALL")"));
  REQUIRE_FALSE(wrong.result);
  CHECK(wrong.result.error().kind == ErrorKind::malformed_response);
  const ReplayedCall right = answered(candidate(R"({"functionCall": {"name": "now"}}, {"functionCall": {"name": "now"}})"));
  REQUIRE(right.result);
  CHECK(right.result->finish_reason == FinishReason::tool_calls);
  REQUIRE(right.result->tool_calls().size() == 2);
  CHECK(right.result->tool_calls()[0].id != right.result->tool_calls()[1].id);
  CHECK(right.result->tool_calls()[1].arguments == "{}");
}

TEST_CASE("arguments in pieces are put together, and nonsense among them is told") {
  const auto streamed = [](std::initializer_list<std::string> pieces) {
    std::string text = events({candidate(R"({"functionCall": {"name": "f", "willContinue": true}})", "")});
    for (const std::string& piece : pieces) {
      text += events({candidate(R"({"functionCall": {"partialArgs": [)" + piece + R"(], "willContinue": true}})", "")});
    }
    return answered(text + events({candidate("")}), true);
  };
  const ReplayedCall call = streamed({R"({"jsonPath": "$.a.b[0]", "stringValue": "x", "willContinue": true})",
                                      R"({"jsonPath": "$.a.b[0]", "stringValue": "y"})",
                                      R"({"jsonPath": "$.a.b[1]", "numberValue": 1.5})",
                                      R"({"jsonPath": "$['c d']", "boolValue": true})",
                                      R"({"jsonPath": "$.n", "nullValue": "NULL_VALUE"})"});
  REQUIRE(call.result);
  CHECK(call.result->tool_calls().at(0).arguments == R"({"a":{"b":["xy",1.5]},"c d":true,"n":null})");
  for (const std::string wrong : {R"({"jsonPath": "$.a[1000000000]", "stringValue": "x"})", R"({"jsonPath": "a"})",
                                  R"({"jsonPath": "$.a..b", "stringValue": "x"})", R"({"jsonPath": "$['a", "stringValue": "x"})",
                                  R"({"jsonPath": "$.a[", "stringValue": "x"})", R"({"stringValue": "x"})",
                                  R"({"jsonPath": "$.a", "stringValue": 7})"}) {
    CAPTURE(wrong);
    const ReplayedCall bad = streamed({wrong});
    REQUIRE_FALSE(bad.result);
    CHECK(bad.result.error().cause == ErrorKind::malformed_response);
  }
}

TEST_CASE("a stream of Gemini's that is one list, or ends with an error, is read") {
  const ReplayedCall list = answered("[" + candidate(R"({"text": "Hel"})", "") + "\n,\r\n" + candidate(R"({"text": "lo."})") + "]", true);
  REQUIRE(list.result);
  CHECK(list.result->text() == "Hello.");
  const ReplayedCall failed = answered(events({candidate(R"({"text": "Hel"})", ""),
                                               R"({"error": {"code": 503, "message": "Too many.", "status": "UNAVAILABLE"}})"}), true);
  REQUIRE_FALSE(failed.result);
  CHECK(failed.result.error().cause == ErrorKind::overloaded);
  const ReplayedCall cut = answered(events({candidate(R"({"text": "Hel"})", "")}), true);
  REQUIRE_FALSE(cut.result);
  CHECK(cut.result.error().kind == ErrorKind::stream_interrupted);
}

TEST_CASE("what Gemini thinks is reasoning, and what it does itself is nobody's call") {
  const ReplayedCall call = answered(candidate(R"({"text": "Hm.", "thought": true}, {"executableCode": {"code": "1"}},
    {"codeExecutionResult": {"output": "1"}}, {"text": "One."}, {"text": "", "thoughtSignature": "sig"})"));
  REQUIRE(call.result);
  CHECK(call.result->text() == "One.");
  REQUIRE(call.result->parts.size() == 3);
  CHECK(std::get<Reasoning>(call.result->parts[0]).text == "Hm.");
  CHECK(std::get<Reasoning>(call.result->parts[0]).signature.empty());
  CHECK(std::get<Reasoning>(call.result->parts[2]).signature == "sig");
}

TEST_CASE("a signature of Gemini's is a block of its own, not the proof of the thoughts before it") {
  const ReplayedCall call = answered(R"({"candidates": [{"content": {"parts": [{"text": "Hm.", "thought": true},
    {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c2ln"}]}, "finishReason": "STOP"}]})");
  REQUIRE(call.result);
  const std::vector<Part>& parts = call.result->parts;
  REQUIRE(parts.size() == 3);
  CHECK(std::get<Reasoning>(parts[0]).text == "Hm.");
  CHECK(std::get<Reasoning>(parts[0]).signature.empty());
  CHECK(std::get<Reasoning>(parts[1]).text.empty());
  CHECK(std::get<Reasoning>(parts[1]).signature == "c2ln");
  CHECK(std::get<ToolCall>(parts[2]).name == "f");
}

}  // namespace gemini_decode_test
