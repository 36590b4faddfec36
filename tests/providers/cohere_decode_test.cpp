#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "backstop/providers/cohere.hpp"
#include "support/replayed_call.hpp"

namespace cohere_decode_test {

using namespace backstop;
using namespace backstop::testing_support;

namespace {

ReplayedCall answered(const std::string& body, bool stream = false, int status = 200) {
  ReplayedAnswer answer;
  answer.status = status;
  answer.headers.emplace_back("content-type", stream ? "text/event-stream" : "application/json");
  answer.body = body;
  return call_with(cohere({.model = "command-a-03-2025", .api_key = "test-key"}), "hello", answer, stream);
}

std::string message(const std::string& fields, const std::string& rest = R"(, "finish_reason": "COMPLETE")") {
  return R"({"id": "r1", "message": {"role": "assistant", )" + fields + "}" + rest + "}";
}
std::string text_answer(const std::string& rest) {
  return message(R"("content": [{"type": "text", "text": "Hi."}])", rest);
}

std::string event(const std::string& type, const std::string& fields) {
  return "event: " + type + "\ndata: {\"type\": \"" + type + "\"" + fields + "}\n\n";
}
std::string piece(const std::string& type, const std::string& fields, int index = 0) {
  return event(type, R"(, "index": )" + std::to_string(index) + R"(, "delta": {"message": {)" + fields + "}}");
}
const std::string start = event("message-start", R"(, "id": "r1", "delta": {"message": {"role": "assistant", "content": []}})");
std::string text(const std::string& word) {
  return piece("content-delta", R"("content": {"text": ")" + word + "\"}");
}
std::string end(const std::string& fields = R"("finish_reason": "COMPLETE")") {
  return event("message-end", R"(, "delta": {)" + fields + "}");
}

}  // namespace

TEST_CASE("counts of Cohere's are those of the model, and the billed ones where no others are told") {
  const ReplayedCall call = answered(text_answer(R"(, "usage": {"billed_units": {"input_tokens": 3, "output_tokens": 2},
    "tokens": {"input_tokens": 500, "output_tokens": 20, "reasoning_tokens": 7}, "cached_tokens": 480})"));
  REQUIRE(call.result);
  CHECK(call.result->usage == Usage{.input_tokens = 500, .output_tokens = 20, .cached_input_tokens = 480,
                                    .reasoning_tokens = 7});
  CHECK(call.result->id == "r1");
  CHECK(call.result->model == "command-a-03-2025");
  const ReplayedCall billed =
      answered(text_answer(R"(, "usage": {"billed_units": {"input_tokens": 3.0, "output_tokens": 2}})"));
  REQUIRE(billed.result);
  CHECK(billed.result->usage == Usage{.input_tokens = 3, .output_tokens = 2});
}

TEST_CASE("every reason of Cohere's to stop is understood, plain and streamed") {
  for (const auto& [word, reason] :
       {std::pair{"COMPLETE", FinishReason::stop}, std::pair{"STOP_SEQUENCE", FinishReason::stop},
        std::pair{"MAX_TOKENS", FinishReason::length}, std::pair{"NEW_WORD", FinishReason::other}}) {
    CAPTURE(word);
    const std::string field = std::string{R"("finish_reason": ")"} + word + "\"";
    const ReplayedCall plain = answered(text_answer(", " + field));
    REQUIRE(plain.result);
    CHECK(plain.result->finish_reason == reason);
    const ReplayedCall streamed = answered(start + text("Hi.") + end(field), true);
    REQUIRE(streamed.result);
    CHECK(streamed.result->finish_reason == reason);
  }
  for (const std::string word : {"ERROR", "TIMEOUT"}) {
    CAPTURE(word);
    CHECK(answered(text_answer(R"(, "finish_reason": ")" + word + "\"")).result.error().kind ==
          ErrorKind::malformed_response);
    const ReplayedCall streamed = answered(start + text("Hi.") + end(R"("finish_reason": ")" + word + "\""), true);
    REQUIRE_FALSE(streamed.result);
    CHECK(streamed.result.error().kind == ErrorKind::stream_interrupted);
    CHECK(streamed.result.error().partial_text == "Hi.");
  }
}

TEST_CASE("what Cohere says of an error at the end of a stream is kept") {
  const ReplayedCall call =
      answered(start + end(R"("finish_reason": "ERROR", "error": "the backend is overloaded")"), true);
  REQUIRE_FALSE(call.result);
  CHECK(call.result.error().provider_message == "the backend is overloaded");
}

TEST_CASE("an error of Cohere's under a status of 200 is one, plain and streamed") {
  const std::string body = R"({"id": "e1", "message": "internal server error"})";
  for (const bool stream : {false, true}) {
    const ReplayedCall call = answered(stream ? "data: " + body + "\n\n" : body, stream);
    REQUIRE_FALSE(call.result);
    CHECK(call.result.error().provider_message == "internal server error");
  }
}

TEST_CASE("statuses of Cohere's errors") {
  const auto kind = [](int status, const std::string& words) {
    return answered(R"({"id": "e1", "message": ")" + words + "\"}", false, status).result.error().kind;
  };
  CHECK(kind(401, "invalid api token") == ErrorKind::authentication);
  CHECK(kind(498, "invalid token") == ErrorKind::authentication);
  CHECK(kind(404, "model 'x' not found, make sure the correct model ID was used") == ErrorKind::model_not_found);
  CHECK(kind(400, "too many tokens: size limit exceeded by 9 tokens.") == ErrorKind::context_window_exceeded);
  CHECK(kind(429, "you are past the limit of calls per minute") == ErrorKind::rate_limited);
  CHECK(kind(500, "internal server error") == ErrorKind::server_error);
}

TEST_CASE("thoughts and plans are reasoning, and citations are nothing of the text") {
  const ReplayedCall plain = answered(message(R"("tool_plan": "I will look.", "content": [
    {"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Rome."}], "citations": [{"text": "Rome"}])"));
  REQUIRE(plain.result);
  CHECK(plain.result->text() == "Rome.");
  CHECK(plain.result->reasoning() == "Hm.I will look.");
  const ReplayedCall streamed = answered(
      start + piece("tool-plan-delta", R"("tool_plan": "I will")") + piece("tool-plan-delta", R"("tool_plan": " look.")") +
          piece("content-start", R"("content": {"type": "thinking", "thinking": "H"})") +
          piece("content-delta", R"("content": {"thinking": "m."})") + event("content-end", R"(, "index": 0)") +
          piece("content-start", R"("content": {"type": "text", "text": ""})", 1) + text("Rome.") +
          piece("citation-start", R"("citations": {"text": "Rome"}, "content": {"text": "not this"})") +
          event("citation-end", R"(, "index": 0)") + end(),
      true);
  REQUIRE(streamed.result);
  CHECK(streamed.result->text() == "Rome.");
  CHECK(streamed.result->reasoning() == "I will look.Hm.");
}

TEST_CASE("calls of Cohere's come in pieces, several of them, with no arguments or null") {
  const auto call = [](int index, const std::string& name, std::initializer_list<std::string> pieces) {
    std::string events = piece("tool-call-start", R"("tool_calls": {"id": "c)" + std::to_string(index) +
                                                      R"(", "type": "function", "function": {"name": ")" + name +
                                                      R"(", "arguments": ""}})", index);
    for (const std::string& arguments : pieces) {
      events += piece("tool-call-delta", R"("tool_calls": {"function": {"arguments": ")" + arguments + "\"}}", index);
    }
    return events + event("tool-call-end", R"(, "index": )" + std::to_string(index));
  };
  const ReplayedCall streamed =
      answered(start + call(0, "weather", {R"({\"city\":)", R"( \"Rome\"})"}) + call(1, "now", {}) +
                   end(R"("finish_reason": "TOOL_CALL")"), true);
  REQUIRE(streamed.result);
  CHECK(streamed.result->finish_reason == FinishReason::tool_calls);
  CHECK(streamed.result->tool_calls() ==
        std::vector<ToolCall>{{"c0", "weather", R"({"city": "Rome"})"}, {"c1", "now", "{}"}});
  const ReplayedCall plain = answered(message(R"("tool_calls": [
    {"id": "c0", "function": {"name": "now", "arguments": "null"}}, {"id": "c1", "function": {"name": "now"}},
    {"id": "c2", "function": {"name": "now", "arguments": {"zone": "CET"}}}])", R"(, "finish_reason": "TOOL_CALL")"));
  REQUIRE(plain.result);
  REQUIRE(plain.result->tool_calls().size() == 3);
  CHECK(plain.result->tool_calls()[0].arguments == "{}");
  CHECK(plain.result->tool_calls()[1].arguments == "{}");
  CHECK(plain.result->tool_calls()[2].arguments == R"({"zone":"CET"})");
}

TEST_CASE("a stream of Cohere's is whole when its end has come, with the mark of other wires or without") {
  CHECK(answered(start + text("Hi.") + end(), true).result);
  CHECK(answered(start + text("Hi.") + end() + "data: [DONE]\n\n", true).result);
  const ReplayedCall cut = answered(start + text("Hi."), true);
  REQUIRE_FALSE(cut.result);
  CHECK(cut.result.error().kind == ErrorKind::stream_interrupted);
  const ReplayedCall marked = answered(start + text("Hi.") + "data: [DONE]\n\n", true);
  REQUIRE_FALSE(marked.result);
  CHECK(marked.result.error().kind == ErrorKind::stream_interrupted);
  CHECK_FALSE(answered(start + end(), true).result);
}

TEST_CASE("an answer of Cohere's that comes whole where a stream was asked for is read, and the other way round") {
  const ReplayedCall whole = answered("data: " + text_answer(R"(, "finish_reason": "COMPLETE")") + "\n\n", true);
  REQUIRE(whole.result);
  CHECK(whole.result->text() == "Hi.");
  const ReplayedCall streamed = answered(start + text("Hi.") + end(), false);
  REQUIRE(streamed.result);
  CHECK(streamed.result->text() == "Hi.");
  CHECK(streamed.result->id == "r1");
}

TEST_CASE("names of events stand in for types, and texts for parts") {
  const auto named = [](const std::string& type, const std::string& data) {
    return "event: " + type + "\ndata: " + data + "\n\n";
  };
  const ReplayedCall call = answered(named("content-delta", R"({"delta": {"message": {"content": "Hi"}}})") +
                                         named("content-delta", R"({"delta": {"message": {"content": {"text": 5}}}})") +
                                         named("message-end", R"({"delta": {"finish_reason": "COMPLETE"}})"), true);
  REQUIRE(call.result);
  CHECK(call.result->text() == "Hi5");
  for (const std::string content : {R"({"text": ["Hi"]})", R"([["Hi"]])", R"({"thinking": {}})"}) {
    CAPTURE(content);
    const ReplayedCall bad = answered(start + piece("content-delta", R"("content": )" + content) + end(), true);
    REQUIRE_FALSE(bad.result);
    CHECK(bad.result.error().kind == ErrorKind::malformed_response);
  }
  for (const std::string calls : {R"("now")", R"([{"id": "c1", "function": "now"}])"}) {
    CAPTURE(calls);
    CHECK_FALSE(answered(message(R"("tool_calls": )" + calls)).result);
  }
}

TEST_CASE("the pieces of Cohere's calls go by their number when they take turns") {
  std::string body;
  const auto add = [&body](const std::string& type, int index, const std::string& call) {
    body += R"(data: {"type": ")" + type + R"(", "index": )" + std::to_string(index) +
            R"(, "delta": {"message": {"tool_calls": )" + call + "}}}\n\n";
  };
  add("tool-call-start", 0, R"({"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}})");
  add("tool-call-start", 1, R"({"id": "b", "type": "function", "function": {"name": "g", "arguments": ""}})");
  add("tool-call-delta", 0, R"({"function": {"arguments": "{\"q\":"}})");
  add("tool-call-delta", 1, R"({"function": {"arguments": "{\"p\":"}})");
  add("tool-call-delta", 0, R"({"function": {"arguments": "1}"}})");
  add("tool-call-delta", 1, R"({"function": {"arguments": "2}"}})");
  body += R"(data: {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL"}})" "\n\n";
  const ReplayedCall call = answered(body, true);
  REQUIRE(call.result);
  REQUIRE(call.result->tool_calls().size() == 2);
  CHECK(call.result->tool_calls()[0].arguments == R"({"q":1})");
  CHECK(call.result->tool_calls()[1].arguments == R"({"p":2})");
}

}  // namespace cohere_decode_test
