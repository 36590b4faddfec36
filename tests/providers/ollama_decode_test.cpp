#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "backstop/providers/ollama_native.hpp"
#include "support/replayed_call.hpp"

namespace ollama_decode_test {

using namespace backstop;
using namespace backstop::testing_support;

namespace {

const ModelOptions options{.model = "qwen3", .base_url = "http://replayed.test"};

ReplayedAnswer answer_with(const std::string& body, bool stream, int status = 200) {
  ReplayedAnswer answer;
  answer.status = status;
  answer.headers.emplace_back("content-type", stream ? "application/x-ndjson" : "application/json");
  answer.body = body;
  return answer;
}
ReplayedCall answered(const std::string& body, bool stream = false, int status = 200) {
  return call_with(ollama_native(options), "hello", answer_with(body, stream, status), stream);
}

std::string line(const std::string& message, const std::string& rest = R"("done": false)") {
  return R"({"model": "qwen3", "message": {"role": "assistant", )" + message + "}, " + rest + "}\n";
}
std::string text(const std::string& word) { return line(R"("content": ")" + word + "\""); }
const std::string end = line(R"("content": "")", R"("done": true, "done_reason": "stop")");

}  // namespace

TEST_CASE("what Ollama counts and calls itself") {
  const ReplayedCall call = answered(line(R"("content": "Hi.", "thinking": "Hm.")",
      R"("done": true, "done_reason": "stop", "prompt_eval_count": 10, "eval_count": 3, "total_duration": 99)"));
  REQUIRE(call.result);
  CHECK(call.result->usage == Usage{.input_tokens = 10, .output_tokens = 3});
  CHECK(call.result->model == "qwen3");
  CHECK(call.result->text() == "Hi.");
  CHECK(call.result->reasoning() == "Hm.");
}

TEST_CASE("every reason of Ollama's to stop is understood, plain and streamed") {
  for (const auto& [word, reason] : {std::pair{"stop", FinishReason::stop}, std::pair{"length", FinishReason::length},
                                     std::pair{"new word", FinishReason::other}}) {
    CAPTURE(word);
    for (const bool stream : {false, true}) {
      const std::string last = line(R"("content": "Hi.")", R"("done": true, "done_reason": ")" + std::string{word} + "\"");
      const ReplayedCall call = answered(stream ? text("So: ") + last : last, stream);
      REQUIRE(call.result);
      CHECK(call.result->finish_reason == reason);
    }
  }
  const ReplayedCall old = answered(text("Hi.") + R"({"done": true})", true);
  REQUIRE(old.result);
  CHECK_FALSE(old.result->finish_reason);
}

TEST_CASE("lines of Ollama's are handed on as they come, with an end of the line or without") {
  std::string body = text("One") + text("Two") + end;
  body.pop_back();
  ReplayedAnswer answer = answer_with(body, true);
  answer.splits = {text("One").size() + 5};
  const ReplayedCall call = call_with(ollama_native(options), "hello", answer, true);
  REQUIRE(call.result);
  std::vector<std::string> deltas;
  for (const testing::RecordedEvent& event : call.events) {
    if (event.type == StreamEvent::Type::text) deltas.push_back(event.delta);
  }
  CHECK(deltas == std::vector<std::string>{"One", "Two"});
}

TEST_CASE("a stream of Ollama's that ends before it is done is interrupted") {
  const ReplayedCall cut = answered(text("Hi"), true);
  REQUIRE_FALSE(cut.result);
  CHECK(cut.result.error().kind == ErrorKind::stream_interrupted);
  CHECK(cut.result.error().partial_text == "Hi");
  CHECK_FALSE(answered(end, true).result);  // empty
  CHECK(answered(text("Hi") + end + "what follows is nothing", true).result);
}

TEST_CASE("errors of Ollama's, with a status and without") {
  const auto failure = [](const std::string& body, bool stream, int status) {
    const ReplayedCall call = answered(body, stream, status);
    REQUIRE_FALSE(call.result);
    return call.result.error();
  };
  const Error late = failure(text("Hi") + R"({"error": "the model runner has stopped"})", true, 200);
  CHECK(late.kind == ErrorKind::stream_interrupted);
  CHECK(late.provider_message == "the model runner has stopped");
  CHECK(failure(R"({"error": "the model runner has stopped"})", false, 200).provider_message ==
        "the model runner has stopped");
  CHECK(failure(R"({"error": "model 'x' not found"})", false, 404).kind == ErrorKind::model_not_found);
  CHECK(failure(R"({"error": "\"x\" does not support tools"})", true, 400).kind == ErrorKind::unsupported_capability);
  for (const int status : {400, 413, 500}) {
    CHECK(failure(R"({"error": "the input length exceeds the context length"})", true, status).kind ==
          ErrorKind::context_window_exceeded);
  }
  CHECK(failure(R"({"error": "server busy, please try again.  maximum pending requests exceeded"})", true, 503).kind ==
        ErrorKind::overloaded);
}

TEST_CASE("calls of Ollama's come whole, numbered or not, with ids or without") {
  const std::string calls = line(R"("content": "", "tool_calls": [
    {"function": {"name": "weather", "arguments": {"city": "Rome"}}},
    {"id": "c2", "function": {"index": 0, "name": "now", "arguments": {}}}])");
  const std::string more = line(R"("content": "", "tool_calls": [
    {"id": "c3", "function": {"index": 0, "name": "now", "arguments": "{}"}}, {"function": {"name": "now"}}])");
  const ReplayedCall call = answered(calls + more + end, true);
  REQUIRE(call.result);
  CHECK(call.result->finish_reason == FinishReason::tool_calls);
  const std::vector<ToolCall> made = call.result->tool_calls();
  REQUIRE(made.size() == 4);
  CHECK(made[0].name == "weather");
  CHECK(made[0].arguments == R"({"city":"Rome"})");
  CHECK_FALSE(made[0].id.empty());
  CHECK(made[1] == ToolCall{"c2", "now", "{}"});
  CHECK(made[2] == ToolCall{"c3", "now", "{}"});
  CHECK(made[3].arguments == "{}");
}

TEST_CASE("what of Ollama's cannot be read is malformed, and what may be missing is not missed") {
  for (const std::string wrong : {R"("content": ["Hi"])", R"("content": "", "thinking": {})",
                                  R"("content": "", "tool_calls": "now")",
                                  R"("content": "", "tool_calls": [{"name": "now"}])"}) {
    CAPTURE(wrong);
    const ReplayedCall call = answered(line(wrong) + end, true);
    REQUIRE_FALSE(call.result);
    CHECK(call.result.error().kind == ErrorKind::malformed_response);
  }
  const ReplayedCall number = answered(line(R"("content": 5)") + end, true);
  REQUIRE(number.result);
  CHECK(number.result->text() == "5");
  const ReplayedCall undone = answered(R"({"message": {"content": "Hi."}})");
  REQUIRE(undone.result);
  CHECK(undone.result->text() == "Hi.");
  const ReplayedCall pretty = answered("{\n  \"message\": {\n    \"content\": \"Hi.\"\n  },\n  \"done\": true\n}\n");
  REQUIRE(pretty.result);
  CHECK(pretty.result->text() == "Hi.");
  const ReplayedCall events = answered("data: " + text("Hi.") + "\ndata: " + end + "\n", true);
  REQUIRE(events.result);
  CHECK(events.result->text() == "Hi.");
}

TEST_CASE("an answer of Ollama's beyond the limits is told") {
  ModelOptions small = options;
  small.answer_limits.bytes = 200;
  const ReplayedCall call =
      call_with(ollama_native(small), "hello", answer_with(line(R"("content": ")" + std::string(300, 'x') + "\""), true), true);
  REQUIRE_FALSE(call.result);
  CHECK(call.result.error().kind == ErrorKind::malformed_response);
}

}  // namespace ollama_decode_test
