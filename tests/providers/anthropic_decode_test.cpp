#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <catch2/catch_test_macros.hpp>

#include "providers/anthropic/format.hpp"

namespace anthropic_decode_test {

using namespace backstop;
using detail::AnswerBuilder;
using detail::JsonDocument;

namespace {

const Target sonnet{"anthropic", "claude-sonnet-4-5"};

Result<ChatResponse> decoded(std::string_view body) {
  AnswerBuilder answer{sonnet, nullptr};
  const JsonDocument document{body};
  REQUIRE(document.valid());
  detail::AnthropicFormat{}.decode(document.root(), answer);
  if (answer.failure()) return Error{*answer.failure()->kind, answer.failure()->message};
  return answer.take();
}

/// One stream, fed event by event.
class Stream {
 public:
  Stream(std::initializer_list<std::string> events) {
    for (const std::string& event : events) ended_ = send(event);
  }
  bool send(std::string_view data, std::string_view name = {}) {
    const JsonDocument document{data};
    REQUIRE(document.valid());
    return decoder_->on_event(name, document.root(), answer) == detail::StreamDecoder::Next::end;
  }
  void done() { decoder_->on_done(answer); }
  [[nodiscard]] bool ended() const noexcept { return ended_; }
  [[nodiscard]] ChatResponse take() {
    Result<ChatResponse> response = answer.take();
    REQUIRE(response);
    return *std::move(response);
  }

  AnswerBuilder answer{sonnet, nullptr};

 private:
  std::unique_ptr<detail::StreamDecoder> decoder_ = detail::AnthropicFormat{}.stream_decoder();
  bool ended_ = false;
};

std::string block_start(int index, std::string_view block) {
  return R"({"type": "content_block_start", "index": )" + std::to_string(index) + R"(, "content_block": )" +
         std::string{block} + "}";
}
std::string block_delta(int index, std::string_view type, std::string_view key, std::string_view value) {
  return R"({"type": "content_block_delta", "index": )" + std::to_string(index) + R"(, "delta": {"type": ")" +
         std::string{type} + R"(", ")" + std::string{key} + R"(": ")" + std::string{value} + R"("}})";
}
std::string text_delta(int index, std::string_view text) { return block_delta(index, "text_delta", "text", text); }
std::string input_delta(int index, std::string_view json) {
  return block_delta(index, "input_json_delta", "partial_json", json);
}
std::string block_stop(int index) {
  return R"({"type": "content_block_stop", "index": )" + std::to_string(index) + "}";
}

const std::string start = R"({"type": "message_start", "message": {"id": "msg_1", "model": "claude-x",
  "content": [], "usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 1}}})";
const std::string finish = R"({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
  "usage": {"output_tokens": 7}})";
const std::string stop = R"({"type": "message_stop"})";

}  // namespace

TEST_CASE("a whole answer of Anthropic's") {
  const auto reply =
      decoded(R"({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": [
      {"type": "thinking", "thinking": "Hm.", "signature": "sig=="}, {"type": "redacted_thinking", "data": "blob"},
      {"type": "text", "text": "One, "}, {"type": "text", "text": "two."},
      {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {"zone": "UTC"}},
      {"type": "tool_use", "id": "toolu_2", "name": "then"}],
    "stop_reason": "tool_use", "usage": {"input_tokens": 10, "cache_creation_input_tokens": 100,
      "cache_read_input_tokens": 1000, "output_tokens": 50, "output_tokens_details": {"thinking_tokens": 20}}})");
  REQUIRE(reply);
  CHECK(reply->text() == "One, two.");
  CHECK(reply->reasoning() == "Hm.");
  const auto& thought = std::get<Reasoning>(reply->parts.at(0));
  CHECK(thought.signature == "sig==");
  CHECK(thought.origin == sonnet);
  CHECK(std::get<Reasoning>(reply->parts.at(1)).redacted == "blob");
  REQUIRE(reply->tool_calls().size() == 2);
  CHECK(reply->tool_calls()[0] == ToolCall{"toolu_1", "now", R"({"zone":"UTC"})"});
  CHECK(reply->tool_calls()[1] == ToolCall{"toolu_2", "then", "{}"});
  CHECK(reply->finish_reason == FinishReason::tool_calls);
  CHECK(reply->id == "msg_1");
  CHECK(reply->model == "claude-x");
  CHECK(reply->usage == Usage{1110, 50, 1000, 100, 20});
}

TEST_CASE("what a provider runs itself is no tool call") {
  const auto reply = decoded(R"({"content": [{"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}},
      {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"type": "text", "text": "not shown"}]},
      {"type": "mcp_tool_use", "id": "m1", "name": "x", "input": {}}, {"type": "yet_to_come", "text": "not shown"},
      {"type": "text", "text": "Found."}], "stop_reason": "end_turn"})");
  REQUIRE(reply);
  CHECK(reply->text() == "Found.");
  CHECK(reply->tool_calls().empty());
  CHECK(reply->finish_reason == FinishReason::stop);
  CHECK_FALSE(reply->usage.input_tokens);
}

TEST_CASE("stop reasons of Anthropic's") {
  const std::pair<std::string, FinishReason> table[] = {
      {"end_turn", FinishReason::stop},       {"stop_sequence", FinishReason::stop},
      {"max_tokens", FinishReason::length},   {"model_context_window_exceeded", FinishReason::context_full},
      {"pause_turn", FinishReason::paused},   {"refusal", FinishReason::content_filter},
      {"something_new", FinishReason::other},
  };
  for (const auto& [name, reason] : table) {
    const auto reply = decoded(R"({"content": [{"type": "text", "text": "So."}], "stop_reason": ")" + name + "\"}");
    REQUIRE(reply);
    CHECK(reply->finish_reason == reason);
  }
  const auto none = decoded(R"({"content": [{"type": "text", "text": "So."}], "stop_reason": null})");
  REQUIRE(none);
  CHECK_FALSE(none->finish_reason);
}

TEST_CASE("a refusal without a word is filtered, in the provider's words") {
  const auto reply = decoded(R"({"content": [], "stop_reason": "refusal", "stop_details": {"type": "refusal",
    "category": "cyber", "explanation": "This was blocked."}})");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::content_filtered);
  CHECK(reply.error().message == "This was blocked.");
}

TEST_CASE("a stream of Anthropic's") {
  Stream stream{start,
                block_start(0, R"({"type": "thinking", "thinking": "", "signature": ""})"),
                R"({"type": "ping"})",
                block_delta(0, "thinking_delta", "thinking", "Hm."),
                block_delta(0, "signature_delta", "signature", "sig=="),
                block_stop(0),
                block_start(1, R"({"type": "text", "text": ""})"),
                text_delta(1, "One, "),
                text_delta(1, "two."),
                block_delta(1, "citations_delta", "citation", ""),
                block_stop(1),
                finish};
  CHECK(stream.answer.is_complete());  // as far as anybody knows, should the body end here
  CHECK(stream.send(stop));
  CHECK(stream.answer.is_complete());
  const ChatResponse reply = stream.take();
  CHECK(reply.text() == "One, two.");
  CHECK(std::get<Reasoning>(reply.parts.at(0)).text == "Hm.");
  CHECK(std::get<Reasoning>(reply.parts.at(0)).signature == "sig==");
  CHECK(reply.usage == Usage{15, 7, 5, std::nullopt, std::nullopt});
  CHECK(reply.model == "claude-x");
}

TEST_CASE("tool calls in a stream") {
  const auto begin = [](int index, std::string_view rest) {
    return block_start(index, R"({"type": "tool_use", "id": "t)" + std::to_string(index) + R"(", "name": "now")" +
                                  std::string{rest} + "}");
  };
  SECTION("in pieces") {
    Stream stream{start,
                  begin(0, R"(, "input": {})"),
                  input_delta(0, ""),
                  input_delta(0, R"({\"a\":)"),
                  input_delta(0, R"( 1})"),
                  block_stop(0),
                  finish,
                  stop};
    CHECK(stream.take().tool_calls().at(0) == ToolCall{"t0", "now", R"({"a": 1})"});
  }
  SECTION("without any") {
    Stream stream{start, begin(0, ""), block_stop(0), finish, stop};
    const ChatResponse reply = stream.take();
    CHECK(reply.tool_calls().at(0) == ToolCall{"t0", "now", "{}"});
    CHECK(reply.finish_reason == FinishReason::tool_calls);
  }
  SECTION("whole at their beginning, as gateways send them") {
    Stream stream{start, begin(0, R"(, "input": {"a": 1})"), block_stop(0), finish, stop};
    CHECK(stream.take().tool_calls().at(0).arguments == R"({"a":1})");
  }
  SECTION("whole at their beginning, and once more in pieces") {
    Stream stream{start, begin(0, R"(, "input": {"a": 1})"), input_delta(0, R"({\"a\":1})"), block_stop(0), finish,
                  stop};
    CHECK(stream.take().tool_calls().at(0).arguments == R"({"a":1})");
  }
  SECTION("side by side, never closed") {
    Stream stream{start,  begin(0, ""), begin(1, ""), input_delta(1, R"({\"b\":2})"), input_delta(0, R"({\"a\":1})"),
                  finish, stop};
    const ChatResponse reply = stream.take();
    CHECK(reply.tool_calls().at(0).arguments == R"({"a":1})");
    CHECK(reply.tool_calls().at(1).arguments == R"({"b":2})");
  }
}

TEST_CASE("pieces of a call that the provider runs itself are passed over") {
  Stream stream{start,
                block_start(0, R"({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}})"),
                input_delta(0, R"({\"q\":1})"),
                block_stop(0),
                block_start(1, R"({"type": "web_search_tool_result", "content": []})"),
                text_delta(1, "not shown"),
                text_delta(2, "shown"),
                finish,
                stop};
  const ChatResponse reply = stream.take();
  CHECK(reply.text() == "shown");
  CHECK(reply.tool_calls().empty());
}

TEST_CASE("the last usage counts, field by field") {
  Stream stream{start, text_delta(0, "x"),
                R"({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
                    "usage": {"input_tokens": 400, "cache_creation_input_tokens": 2, "output_tokens": 9}})",
                stop};
  CHECK(stream.take().usage == Usage{407, 9, 5, 2, std::nullopt});
}

TEST_CASE("errors in the middle of a stream, wrapped and bare") {
  Stream wrapped{start};
  wrapped.send(R"({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})", "error");
  REQUIRE(wrapped.answer.failure());
  CHECK(wrapped.answer.failure()->message == "Overloaded");

  Stream bare{start};
  bare.send(R"({"code": 500, "message": "no such format", "type": "server_error"})", "error");
  REQUIRE(bare.answer.failure());
  CHECK(bare.answer.failure()->message == "no such format");
}

TEST_CASE("an event of another type may have a message, and is no failure") {
  Stream stream{R"({"type":"message_start","message":{"id":"m","usage":{"input_tokens":1}}})",
                R"({"type":"ping","message":"still working"})",
                R"({"type":"content_block_start","index":0,"content_block":{"type":"text","text":"Hi"}})",
                R"({"type":"content_block_stop","index":0})",
                R"({"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}})",
                R"({"type":"message_stop"})"};
  CHECK_FALSE(stream.answer.failure());
  CHECK(stream.take().text() == "Hi");
  Stream failed{R"({"type":"error","message":"no more"})"};
  CHECK(failed.answer.failure());
}

TEST_CASE("an answer of more parts than anybody sends is refused") {
  std::string body = R"({"type":"message","role":"assistant","stop_reason":"end_turn","content":[)";
  for (int i = 0; i < 100'001; ++i) body += i == 0 ? R"({"type":"text","text":"a"})" : R"(,{"type":"text","text":"a"})";
  const auto response = decoded(body + "]}");
  REQUIRE_FALSE(response);
  CHECK(response.error().kind == ErrorKind::malformed_response);
}

TEST_CASE("a gateway's [DONE] ends a stream that has its stop reason, and no other") {
  Stream cut{start, text_delta(0, "x")};
  cut.done();
  CHECK_FALSE(cut.answer.is_complete());
  cut.send(finish);
  cut.done();
  CHECK(cut.answer.is_complete());
}

TEST_CASE("events without a type go by their name") {
  Stream stream{start};
  stream.send(R"({"index": 0, "delta": {"type": "text_delta", "text": "x"}})", "content_block_delta");
  stream.send(R"({"delta": {"stop_reason": "max_tokens"}})", "message_delta");
  CHECK(stream.send("{}", "message_stop"));
  const ChatResponse reply = stream.take();
  CHECK(reply.text() == "x");
  CHECK(reply.finish_reason == FinishReason::length);
}

}  // namespace anthropic_decode_test
