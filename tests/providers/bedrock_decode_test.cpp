#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "backstop/providers/bedrock.hpp"
#include "support/aws_messages.hpp"
#include "support/replayed_call.hpp"

namespace bedrock_decode_test {

using namespace backstop;
using namespace backstop::testing_support;

namespace {

Provider nova() {
  return bedrock({.model = "amazon.nova-pro-v1:0", .api_key = "the-api-key", .base_url = "http://replayed.test"});
}

ReplayedCall answered(const std::string& body, bool stream = false, int status = 200,
                      std::vector<Header> headers = {}) {
  ReplayedAnswer answer;
  answer.status = status;
  answer.headers = std::move(headers);
  answer.headers.emplace_back("content-type", stream ? "application/vnd.amazon.eventstream" : "application/json");
  answer.body = body;
  return call_with(nova(), "hello", answer, stream);
}

std::string whole(const std::string& content, const std::string& rest = R"(, "stopReason": "end_turn")") {
  return R"({"output": {"message": {"role": "assistant", "content": [)" + content + "]}}" + rest + "}";
}

const std::string start = aws_event("messageStart", R"({"p": "abcd", "role": "assistant"})");
std::string delta(const std::string& fields, int index = 0) {
  return aws_event("contentBlockDelta", R"({"contentBlockIndex": )" + std::to_string(index) + R"(, "delta": {)" +
                                            fields + R"(}, "p": "abcdefgh"})");
}
std::string text(const std::string& word, int index = 0) { return delta(R"("text": ")" + word + "\"", index); }
std::string begin_call(const std::string& name, int index, const std::string& more = "") {
  return aws_event("contentBlockStart", R"({"contentBlockIndex": )" + std::to_string(index) +
                                            R"(, "start": {"toolUse": {"toolUseId": "t)" + std::to_string(index) +
                                            R"(", "name": ")" + name + "\"" + more + "}}}");
}
std::string input(const std::string& piece, int index) {
  return delta(R"("toolUse": {"input": ")" + piece + "\"}", index);
}
std::string stop(int index = 0) {
  return aws_event("contentBlockStop", R"({"contentBlockIndex": )" + std::to_string(index) + "}");
}
std::string end(const std::string& reason = "end_turn") {
  return aws_event("messageStop", R"({"stopReason": ")" + reason + "\"}");
}
const std::string counts =
    aws_event("metadata", R"({"metrics": {"latencyMs": 5}, "usage": {"inputTokens": 3, "outputTokens": 2}})");

}  // namespace

TEST_CASE("counts of Converse's: what the cache served and took is input, too") {
  const std::string usage = R"("usage": {"inputTokens": 3, "outputTokens": 20, "totalTokens": 123,
    "cacheReadInputTokens": 60, "cacheWriteInputTokens": 40, "cacheDetails": [{"ttl": "5m", "inputTokens": 40}]})";
  const Usage wanted{.input_tokens = 103, .output_tokens = 20, .cached_input_tokens = 60, .cache_write_tokens = 40};
  const ReplayedCall plain = answered(whole(R"({"text": "Hi."})", R"(, "stopReason": "end_turn", )" + usage));
  REQUIRE(plain.result);
  CHECK(plain.result->usage == wanted);
  CHECK(plain.result->model == "amazon.nova-pro-v1:0");
  const ReplayedCall streamed = answered(start + text("Hi.") + end() + aws_event("metadata", "{" + usage + "}"), true);
  REQUIRE(streamed.result);
  CHECK(streamed.result->usage == wanted);
}

TEST_CASE("every reason of Converse's to stop is understood, plain and streamed") {
  for (const auto& [word, reason] :
       {std::pair{"end_turn", FinishReason::stop}, std::pair{"stop_sequence", FinishReason::stop},
        std::pair{"max_tokens", FinishReason::length}, std::pair{"guardrail_intervened", FinishReason::content_filter},
        std::pair{"content_filtered", FinishReason::content_filter},
        std::pair{"model_context_window_exceeded", FinishReason::context_full},
        std::pair{"new_word", FinishReason::other}}) {
    CAPTURE(word);
    const ReplayedCall plain = answered(whole(R"({"text": "Hi."})", R"(, "stopReason": ")" + std::string{word} + "\""));
    REQUIRE(plain.result);
    CHECK(plain.result->finish_reason == reason);
    const ReplayedCall streamed = answered(start + text("Hi.") + stop() + end(word) + counts, true);
    REQUIRE(streamed.result);
    CHECK(streamed.result->finish_reason == reason);
  }
  for (const std::string word : {"malformed_model_output", "malformed_tool_use"}) {
    CAPTURE(word);
    const ReplayedCall plain = answered(whole(R"({"text": "Hi."})", R"(, "stopReason": ")" + word + "\""));
    REQUIRE_FALSE(plain.result);
    CHECK(plain.result.error().kind == ErrorKind::malformed_response);
    CHECK_FALSE(answered(start + text("Hi.") + stop() + end(word) + counts, true).result);
  }
}

TEST_CASE("text, reasoning and calls of Converse's, whole") {
  const ReplayedCall call = answered(whole(R"(
    {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}},
    {"reasoningContent": {"redactedContent": "c2VjcmV0"}},
    {"text": "I look."},
    {"citationsContent": {"content": [{"text": " Rome"}, {"text": "."}], "citations": [{"title": "not this"}]}},
    {"image": {"format": "png", "source": {"bytes": "AAAA"}}},
    {"toolUse": {"toolUseId": "t1", "name": "look", "input": {"city": "Rome"}}},
    {"toolUse": {"toolUseId": "t2", "name": "search", "input": {}, "type": "server_tool_use"}},
    {"toolUse": {"toolUseId": "t3", "name": "now", "input": {}}})",
                                           R"(, "stopReason": "tool_use")"));
  REQUIRE(call.result);
  CHECK(call.result->text() == "I look. Rome.");
  CHECK(call.result->reasoning() == "Hm.");
  CHECK(call.result->finish_reason == FinishReason::tool_calls);
  CHECK(call.result->tool_calls() == std::vector<ToolCall>{{"t1", "look", R"({"city":"Rome"})"}, {"t3", "now", "{}"}});
  REQUIRE(call.result->parts.size() >= 2);
  const auto* thought = std::get_if<Reasoning>(&call.result->parts[0]);
  const auto* hidden = std::get_if<Reasoning>(&call.result->parts[1]);
  REQUIRE(thought != nullptr);
  REQUIRE(hidden != nullptr);
  CHECK(thought->signature == "c2ln");
  CHECK(thought->origin == call.result->served_by);
  CHECK(hidden->redacted == "c2VjcmV0");
}

TEST_CASE("text, reasoning and calls of Converse's, in pieces") {
  const ReplayedCall call =
      answered(start + delta(R"("reasoningContent": {"text": "H"})") + delta(R"("reasoningContent": {"text": "m."})") +
                   delta(R"("reasoningContent": {"signature": "c2ln"})") + stop() +
                   delta(R"("reasoningContent": {"redactedContent": "c2VjcmV0"})", 1) + stop(1) + text("I look", 2) +
                   text(".", 2) + delta(R"("citation": {"title": "not this"})", 2) + stop(2) + begin_call("look", 3) +
                   input(R"({\"city\":)", 3) + input(R"( \"Rome\"})", 3) + stop(3) +
                   begin_call("search", 4, R"(, "type": "server_tool_use")") + input(R"({\"q\": 1})", 4) + stop(4) +
                   begin_call("now", 5) + stop(5) + end("tool_use") + counts,
               true);
  REQUIRE(call.result);
  CHECK(call.result->text() == "I look.");
  CHECK(call.result->reasoning() == "Hm.");
  CHECK(call.result->tool_calls() == std::vector<ToolCall>{{"t3", "look", R"({"city": "Rome"})"}, {"t5", "now", "{}"}});
  REQUIRE(call.result->parts.size() == 5);
  CHECK(std::get<Reasoning>(call.result->parts[0]).signature == "c2ln");
  CHECK(std::get<Reasoning>(call.result->parts[1]).redacted == "c2VjcmV0");
  CHECK(call.result->usage == Usage{.input_tokens = 3, .output_tokens = 2});
}

TEST_CASE("a block of Converse's begins where the number changes, and calls side by side keep apart") {
  const ReplayedCall call =
      answered(start + text("One.", 0) + text("Two.", 1) + begin_call("a", 2) + begin_call("b", 3) +
                   input(R"({\"x\": 1})", 2) + input(R"({\"y\": 2})", 3) + stop(2) + stop(3) + end("tool_use") + counts,
               true);
  REQUIRE(call.result);
  CHECK(call.result->tool_calls() == std::vector<ToolCall>{{"t2", "a", R"({"x": 1})"}, {"t3", "b", R"({"y": 2})"}});
  REQUIRE(call.result->parts.size() == 4);
  CHECK(std::get<Text>(call.result->parts[0]).text == "One.");
  CHECK(std::get<Text>(call.result->parts[1]).text == "Two.");
}

TEST_CASE("a stream of Converse's is whole when the model has stopped, with its counts or without") {
  CHECK(answered(start + text("Hi.") + stop() + end() + counts, true).result);
  CHECK(answered(start + text("Hi.") + end(), true).result);
  CHECK(answered(start + text("Hi.") + counts + end(), true).result);
  // What comes after the end is nothing.
  const ReplayedCall more = answered(start + text("Hi.") + end() + counts + text("More."), true);
  REQUIRE(more.result);
  CHECK(more.result->text() == "Hi.");

  const std::string stream = start + text("Hi.") + stop();
  for (const std::string& body : {stream, stream + end().substr(0, 40)}) {
    const ReplayedCall cut = answered(body, true);
    REQUIRE_FALSE(cut.result);
    CHECK(cut.result.error().kind == ErrorKind::stream_interrupted);
    CHECK(cut.result.error().partial_text == "Hi.");
  }
  CHECK_FALSE(answered(start + end() + counts, true).result);
  const ReplayedCall empty = answered("", true);
  REQUIRE_FALSE(empty.result);
  CHECK(empty.result.error().kind == ErrorKind::malformed_response);
}

TEST_CASE("a message that was damaged on the way is no answer") {
  std::string body = start + text("Hi.") + stop() + end() + counts;
  body[start.size() + 60] = static_cast<char>(body[start.size() + 60] ^ 4);
  const ReplayedCall call = answered(body, true);
  REQUIRE_FALSE(call.result);
  CHECK(call.result.error().kind == ErrorKind::malformed_response);
  CHECK(call.result.error().message == "a message of the stream is damaged: its checksum is another");
  CHECK(call.result.error().provider_message.empty());
}

TEST_CASE("exceptions within a stream, before content and after") {
  for (const auto& [name, kind] : {std::pair{"throttlingException", ErrorKind::rate_limited},
                                   std::pair{"internalServerException", ErrorKind::server_error},
                                   std::pair{"modelStreamErrorException", ErrorKind::server_error},
                                   std::pair{"serviceUnavailableException", ErrorKind::overloaded},
                                   std::pair{"validationException", ErrorKind::invalid_request}}) {
    CAPTURE(name);
    const std::string exception = aws_message("exception", name, R"({"message": "not with the-api-key"})");
    const ReplayedCall early = answered(start + exception, true);
    REQUIRE_FALSE(early.result);
    CHECK(early.result.error().kind == kind);
    CHECK(early.result.error().code == name);
    CHECK(early.result.error().provider_message == "not with ***");
    CHECK_FALSE(early.result.error().committed);
    const ReplayedCall late = answered(start + text("Hi.") + exception, true);
    REQUIRE_FALSE(late.result);
    CHECK(late.result.error().kind == ErrorKind::stream_interrupted);
    CHECK(late.result.error().cause == kind);
    CHECK(late.result.error().partial_text == "Hi.");
  }
  const std::string error =
      aws_frame(aws_header(":message-type", "error") + aws_header(":error-code", "InternalError") +
                    aws_header(":error-message", "it broke"),
                "");
  const ReplayedCall call = answered(start + error, true);
  REQUIRE_FALSE(call.result);
  CHECK(call.result.error().code == "InternalError");
  CHECK(call.result.error().provider_message == "it broke");
}

TEST_CASE("statuses of Bedrock's errors, by their class and by their words") {
  const auto failure = [](int status, const std::string& type, const std::string& words) {
    std::vector<Header> headers{{"x-amzn-requestid", "r-1"}};
    if (!type.empty()) headers.emplace_back("x-amzn-errortype", type);
    return answered(R"({"message": ")" + words + "\"}", false, status, headers).result.error();
  };
  struct Case {
    int status;
    std::string type;
    std::string words;
    ErrorKind kind;
  };
  const std::string aws = ":http://internal.amazon.com/coral/com.amazon.bedrock/";
  for (const Case& each : std::initializer_list<Case>{
           {403, "AccessDeniedException" + aws, "no access to the model", ErrorKind::permission},
           {403, "UnrecognizedClientException" + aws, "The security token included in the request is invalid.",
            ErrorKind::authentication},
           {403, "", "The security token included in the request is expired", ErrorKind::authentication},
           {403, "AccessDeniedException" + aws, "Authentication failed: Please make sure your API Key is valid.",
            ErrorKind::authentication},
           {403, "ExpiredTokenException" + aws, "expired", ErrorKind::authentication},
           {403, "InvalidSignatureException" + aws, "Signature expired", ErrorKind::authentication},
           {400, "ValidationException" + aws, "Input is too long for requested model.",
            ErrorKind::context_window_exceeded},
           {400, "ValidationException" + aws, "The provided model identifier is invalid.", ErrorKind::model_not_found},
           {400, "ValidationException" + aws, "Malformed input request", ErrorKind::invalid_request},
           {400, "ValidationException" + aws, "This model doesn't support tool use.",
            ErrorKind::unsupported_capability},
           {400, "ServiceQuotaExceededException" + aws, "quota", ErrorKind::quota_exhausted},
           {404, "ResourceNotFoundException" + aws, "no such model", ErrorKind::model_not_found},
           {408, "ModelTimeoutException" + aws, "too slow", ErrorKind::timeout},
           {424, "ModelErrorException" + aws, "the model failed", ErrorKind::server_error},
           {429, "ThrottlingException" + aws, "Too many tokens, please wait", ErrorKind::rate_limited},
           {429, "ModelNotReadyException" + aws, "not ready", ErrorKind::overloaded},
           {500, "InternalServerException" + aws, "oops", ErrorKind::server_error},
           {503, "ServiceUnavailableException" + aws, "busy", ErrorKind::overloaded},
       }) {
    CAPTURE(each.type, each.words);
    const Error error = failure(each.status, each.type, each.words);
    CHECK(error.kind == each.kind);
    CHECK(error.provider_message == each.words);
    CHECK(error.code == each.type.substr(0, each.type.find(':')));
    CHECK(error.request_id == "r-1");
  }
}

TEST_CASE("an error under a status of 200 is one, plain and streamed") {
  const std::string body = R"({"message": "the model is away"})";
  const ReplayedCall plain = answered(body);
  REQUIRE_FALSE(plain.result);
  CHECK(plain.result.error().provider_message == "the model is away");
  for (const std::string& streamed : {body, aws_event("chunk", body)}) {
    const ReplayedCall call = answered(streamed, true);
    REQUIRE_FALSE(call.result);
    CHECK(call.result.error().provider_message == "the model is away");
  }
}

TEST_CASE("an answer of Converse's in another form than was asked for is read") {
  const ReplayedCall whole_for_stream = answered(whole(R"({"text": "Hi."})"), true);
  REQUIRE(whole_for_stream.result);
  CHECK(whole_for_stream.result->text() == "Hi.");
  const ReplayedCall stream_for_whole = answered(start + text("Hi.") + stop() + end() + counts, false);
  REQUIRE(stream_for_whole.result);
  CHECK(stream_for_whole.result->text() == "Hi.");
  // As gateways write it: events of text, the name around what it holds or nowhere.
  const ReplayedCall named = answered(
      "event: contentBlockDelta\ndata: {\"delta\": {\"text\": \"Hi.\"}}\n\n"
      "event: messageStop\ndata: {\"stopReason\": \"end_turn\"}\n\n",
      true);
  REQUIRE(named.result);
  CHECK(named.result->text() == "Hi.");
  const ReplayedCall wrapped = answered(
      "data: {\"contentBlockDelta\": {\"delta\": {\"text\": \"Hi\"}}}\n\n"
      "data: {\"delta\": {\"text\": 5}}\n\n"
      "data: {\"messageStop\": {\"stopReason\": \"end_turn\"}}\n\n"
      "data: {\"usage\": {\"inputTokens\": 3}}\n\ndata: [DONE]\n\n",
      true);
  REQUIRE(wrapped.result);
  CHECK(wrapped.result->text() == "Hi5");
  CHECK(wrapped.result->usage.input_tokens == 3);
}

TEST_CASE("what of Converse's cannot be read is malformed, and what may be missing is not missed") {
  for (const std::string content :
       {R"({"text": ["Hi"]})", R"(["Hi"])", R"({"reasoningContent": "Hm."})", R"({"toolUse": "look"})",
        R"({"citationsContent": {"content": "Hi"}})", R"({"reasoningContent": {"reasoningText": {"text": {}}}})"}) {
    CAPTURE(content);
    const ReplayedCall bad = answered(whole(R"({"text": "Hi."}, )" + content));
    REQUIRE_FALSE(bad.result);
    CHECK(bad.result.error().kind == ErrorKind::malformed_response);
  }
  for (const std::string& bad : {aws_event("contentBlockDelta", R"({"contentBlockIndex": 0, "delta": "Hi"})"),
                                 aws_event("contentBlockStart", R"({"contentBlockIndex": 0, "start": "text"})"),
                                 input(R"({\"a\": 1})", 0), aws_event("contentBlockDelta", "no JSON")}) {
    const ReplayedCall call = answered(start + bad + end() + counts, true);
    REQUIRE_FALSE(call.result);
    CHECK(call.result.error().kind == ErrorKind::malformed_response);
  }
  CHECK(answered(whole(R"("Hi.")")).result->text() == "Hi.");
  CHECK(answered(whole(R"({"text": "Hi."}, {"newBlock": {"a": 1}})")).result->text() == "Hi.");
  CHECK(answered(whole(R"({"text": "Hi."})", "")).result->text() == "Hi.");
  CHECK(answered(text("Hi.") + aws_event("newEvent", "{}") + aws_event("ping", "") + end() + counts, true)
            .result->text() == "Hi.");
  CHECK_FALSE(answered(R"({"stopReason": "end_turn"})").result);
}

TEST_CASE("events of Anthropic's in Bedrock are unpacked, and what cannot be is told") {
  const auto answered_by_claude = [](const std::string& body) {
    ReplayedAnswer answer;
    answer.body = body;
    return call_with(bedrock_anthropic({.model = "anthropic.claude-3-haiku-20240307-v1:0",
                                        .api_key = "the-api-key",
                                        .base_url = "http://replayed.test"}),
                     "hello", answer, true);
  };
  // {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi."}}
  const std::string packed_text = aws_event(
      "chunk",
      R"({"p": "abc", "bytes": "eyJ0eXBlIjoiY29udGVudF9ibG9ja19kZWx0YSIsImluZGV4IjowLCJkZWx0YSI6eyJ0eXBlIjoidGV4)"
      R"(dF9kZWx0YSIsInRleHQiOiJIaS4ifX0="})");
  const std::string packed_stop = aws_event("chunk", R"({"bytes": "eyJ0eXBlIjoibWVzc2FnZV9zdG9wIn0="})");
  const ReplayedCall whole_stream = answered_by_claude(packed_text + packed_stop);
  REQUIRE(whole_stream.result);
  CHECK(whole_stream.result->text() == "Hi.");
  const ReplayedCall bare = answered_by_claude(
      "event: content_block_delta\ndata: {\"delta\": {\"type\": \"text_delta\", \"text\": \"Hi.\"}}\n\n"
      "event: message_stop\ndata: {}\n\n");
  REQUIRE(bare.result);
  CHECK(bare.result->text() == "Hi.");
  const ReplayedCall cut = answered_by_claude(packed_text);
  REQUIRE_FALSE(cut.result);
  CHECK(cut.result.error().kind == ErrorKind::stream_interrupted);
  for (const std::string bytes : {"%", "", "bm8gSlNPTg=="}) {
    CAPTURE(bytes);
    const ReplayedCall bad = answered_by_claude(aws_event("chunk", R"({"bytes": ")" + bytes + "\"}"));
    REQUIRE_FALSE(bad.result);
    CHECK(bad.result.error().kind == ErrorKind::malformed_response);
  }
  // {"type":"error","error":{"type":"overloaded_error","message":"busy"}}
  const ReplayedCall failed = answered_by_claude(aws_event(
      "chunk",
      R"({"bytes": "eyJ0eXBlIjoiZXJyb3IiLCJlcnJvciI6eyJ0eXBlIjoib3ZlcmxvYWRlZF9lcnJvciIsIm1lc3NhZ2UiOiJidXN5In19"})"));
  REQUIRE_FALSE(failed.result);
  CHECK(failed.result.error().kind == ErrorKind::overloaded);
  CHECK(failed.result.error().provider_message == "busy");
}

}  // namespace bedrock_decode_test
