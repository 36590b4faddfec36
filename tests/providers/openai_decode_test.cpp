#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "backstop/providers/openai.hpp"
#include "support/replayed_call.hpp"

namespace openai_decode_test {

using namespace backstop;
using namespace backstop::testing_support;

namespace {

const Target gpt{"openai", "gpt-4o"};

/// What comes of a body, whole or as a stream.
Result<ChatResponse> answer_to(std::string body, bool stream = false) {
  ReplayedAnswer answer;
  answer.headers = {{"content-type", stream ? "text/event-stream" : "application/json"}};
  answer.body = std::move(body);
  const Provider provider = openai({.model = "gpt-4o", .api_key = "k", .base_url = "http://replayed.test/v1"});
  return call_with(provider, "Hi", answer, stream).result;
}

ChatResponse decoded(std::string body, bool stream = false) {
  Result<ChatResponse> response = answer_to(std::move(body), stream);
  if (!response) FAIL(to_string(response.error()));
  return *std::move(response);
}

ChatResponse with_message(std::string_view message) {
  return decoded(R"({"choices":[{"message":{)" + std::string{message} + R"(},"finish_reason":"stop"}]})");
}

Usage usage_of(std::string_view usage) {
  return decoded(R"({"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":{)" +
                 std::string{usage} + "}}")
      .usage;
}

std::string chunk(std::string_view delta) {
  return "data: {\"choices\":[{\"index\":0,\"delta\":{" + std::string{delta} + "}}]}\n\n";
}

}  // namespace

TEST_CASE("each word for the end of a chat completion has its reason") {
  struct Word {
    std::string_view word;
    FinishReason reason;
  };
  using enum FinishReason;
  for (const Word& row :
       {Word{"stop", stop}, Word{"eos", stop}, Word{"length", length}, Word{"model_length", length},
        Word{"tool_calls", tool_calls}, Word{"function_call", tool_calls}, Word{"content_filter", content_filter},
        Word{"guardrail_intervened", content_filter}, Word{"something new", other}}) {
    CAPTURE(row.word);
    const std::string reason = "\"finish_reason\":\"" + std::string{row.word} + "\"";
    CHECK(decoded(R"({"choices":[{"message":{"content":"Hi"},)" + reason + "}]}").finish_reason == row.reason);
    const std::string stream = chunk(R"("content":"Hi")") + "data: {\"choices\":[{\"index\":0,\"delta\":{}," + reason +
                               "}]}\n\ndata: [DONE]\n\n";
    CHECK(decoded(stream, true).finish_reason == row.reason);
  }
}

TEST_CASE("usage is read into canonical totals, whoever counts") {
  struct Case {
    std::string_view usage;
    Usage expected;  ///< input, output, cached, written, reasoning
  };
  for (const Case& one : {
           Case{R"("prompt_tokens":10,"completion_tokens":5)", {10, 5, {}, {}, {}}},
           Case{R"("prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4},
                   "completion_tokens_details":{"reasoning_tokens":3})", {10, 5, 4, {}, 3}},
           Case{R"("prompt_tokens":10,"completion_tokens":5,"prompt_token_details":{"cached_tokens":4})",
                {10, 5, 4, {}, {}}},
           Case{R"("prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cache_write_tokens":2})",
                {10, 5, {}, 2, {}}},
           Case{R"("prompt_tokens":10,"completion_tokens":5,
                   "prompt_tokens_details":{"cache_creation_input_tokens":2})", {10, 5, {}, 2, {}}},
           Case{R"("prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":4)", {10, 5, 4, {}, {}}},
           Case{R"("prompt_tokens":10,"completion_tokens":5,"num_cached_tokens":4)", {10, 5, 4, {}, {}}},
           Case{R"("prompt_tokens":10,"completion_tokens":5,"cached_tokens":4)", {10, 5, 4, {}, {}}},
           Case{R"("prompt_tokens":10,"completion_tokens":5,"reasoning_tokens":3)", {10, 5, {}, {}, 3}},
           // xAI: reasoning and cached tokens beside the others, as the sums tell.
           Case{R"("prompt_tokens":10,"completion_tokens":5,"total_tokens":18,
                   "completion_tokens_details":{"reasoning_tokens":3})", {10, 8, {}, {}, 3}},
           Case{R"("prompt_tokens":10,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":30})",
                {10, 35, {}, {}, 30}},
           Case{R"("prompt_tokens":10,"completion_tokens":5,"total_tokens":15,
                   "completion_tokens_details":{"reasoning_tokens":3})", {10, 5, {}, {}, 3}},
           Case{R"("prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":40})",
                {50, 5, 40, {}, {}}},
           Case{R"("prompt_tokens":10)", {10, {}, {}, {}, {}}},
           Case{R"("prompt_tokens":-1,"completion_tokens":"5")", {}},
       }) {
    CAPTURE(one.usage);
    CHECK(usage_of(one.usage) == one.expected);
  }
}

TEST_CASE("usage is found at the end of a stream, and where Groq has it") {
  const std::string counts = R"("usage":{"prompt_tokens":10,"completion_tokens":5})";
  for (const std::string& fields : {counts, "\"x_groq\":{" + counts + "}"}) {
    CAPTURE(fields);
    const std::string last = "data: {\"choices\":[]," + fields + "}\n\ndata: [DONE]\n\n";
    CHECK(decoded(chunk(R"("content":"Hi")") + last, true).usage == Usage{10, 5, {}, {}, {}});
  }
}

TEST_CASE("the model and the id that a chat completion reports are kept, and what was asked where it reports none") {
  const ChatResponse told = decoded(
      R"({"id":"c1","model":"gpt-4o-2024-11-20","choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]})");
  CHECK(told.id == "c1");
  CHECK(told.model == "gpt-4o-2024-11-20");
  const ChatResponse silent = with_message(R"("content":"Hi")");
  CHECK(silent.id.empty());
  CHECK(silent.model == "gpt-4o");
}

TEST_CASE("reasoning is read from each field that servers have for it") {
  for (const std::string_view field : {"reasoning_content", "reasoning"}) {
    CAPTURE(field);
    const ChatResponse response = with_message("\"content\":\"So.\",\"" + std::string{field} + "\":\"Hm.\"");
    CHECK(response.parts == std::vector<Part>{Reasoning{"Hm.", "", "", gpt}, Text{"So."}});
  }
  const std::vector<Part> signed_and_encrypted{Reasoning{"Hm.", "sig", "", gpt}, Reasoning{"", "", "opaque", gpt},
                                               Text{"So."}};
  CHECK(with_message(R"("content":"So.","reasoning_details":[{"text":"Hm.","signature":"sig"},{"data":"opaque"}])")
            .parts == signed_and_encrypted);
  CHECK(with_message(R"("content":"So.","reasoning_content":"Hm.","reasoning":"Hm.")").reasoning() == "Hm.");
  CHECK(with_message(R"("content":"So.","reasoning_content":"first","reasoning":"second")").reasoning() == "first");
  // OpenRouter sends the text twice.
  CHECK(with_message(R"("content":"So.","reasoning":"Hm.","reasoning_details":[{"text":"Hm.","signature":"sig"}])")
            .parts == std::vector<Part>{Reasoning{"Hm.", "sig", "", gpt}, Text{"So."}});
}

TEST_CASE("content in parts is read part by part") {
  CHECK(with_message(R"("content":[{"type":"thinking","thinking":[{"type":"text","text":"Hm."}]},
                         {"type":"text","text":"So"},{"type":"output_text","text":"."}])")
            .parts == std::vector<Part>{Reasoning{"Hm.", "", "", gpt}, Text{"So."}});
  CHECK(with_message(R"("content":[{"type":"thinking","thinking":"Hm."},{"type":"text","text":"So."}])").reasoning() ==
        "Hm.");
}

TEST_CASE("the words of a refusal are text, and the reason is the filter's") {
  for (const std::string_view message : {R"("content":null,"refusal":"I will not.")",
                                         R"("content":[{"type":"refusal","refusal":"I will not."}])"}) {
    CAPTURE(message);
    const ChatResponse response = with_message(message);
    CHECK(response.text() == "I will not.");
    CHECK(response.finish_reason == FinishReason::content_filter);
  }
}

TEST_CASE("tool calls are read in each form that servers have for them") {
  struct Case {
    std::string_view message;
    std::string_view arguments;
  };
  for (const Case& one : {
           Case{R"("tool_calls":[{"id":"a","function":{"name":"now","arguments":"{\"z\":1}"}}])", R"({"z":1})"},
           Case{R"("tool_calls":[{"id":"a","function":{"name":"now","arguments":{"z":1}}}])", R"({"z":1})"},
           Case{R"("tool_calls":[{"id":"a","function":{"name":"now"}}])", "{}"},
           Case{R"("tool_calls":[{"id":"a","function":{"name":"now","arguments":"null"}}])", "{}"},
           Case{R"("tool_calls":[{"id":"a","function":{"name":"now","arguments":"{\"z\":"}}])",
                R"({"rawInvalidInput":"{\"z\":"})"},
           Case{R"("content":"","function_call":{"name":"now","arguments":"{\"z\":1}"})", R"({"z":1})"},
       }) {
    CAPTURE(one.message);
    const ChatResponse response = with_message(one.message);
    REQUIRE(response.tool_calls().size() == 1);
    CHECK(response.tool_calls()[0].name == "now");
    CHECK(response.tool_calls()[0].arguments == one.arguments);
    CHECK_FALSE(response.tool_calls()[0].id.empty());
    CHECK(response.finish_reason == FinishReason::tool_calls);
  }
  CHECK(with_message(R"("content":"Hi","function_call":{"name":"","arguments":""})").tool_calls().empty());
}

TEST_CASE("calls without numbers are told apart by their ids, and go on without one") {
  const ChatResponse response =
      decoded(chunk(R"("tool_calls":[{"id":"a","function":{"name":"now","arguments":"{\"z\":"}}])") +
                  chunk(R"("tool_calls":[{"function":{"arguments":"1}"}}])") +
                  chunk(R"("tool_calls":[{"id":"b","function":{"name":"now","arguments":"{}"}}])") + "data: [DONE]\n\n",
              true);
  const std::vector<ToolCall> expected{{"a", "now", R"({"z":1})"}, {"b", "now", "{}"}};
  CHECK(response.tool_calls() == expected);
}

TEST_CASE("the pieces of a call without a number are known by its id, said once or with each") {
  const std::string begins = R"("tool_calls":[{"id":"a","function":{"name":"now","arguments":"{\"z"}}])";
  const std::string stop = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n";
  for (const std::string_view goes_on :
       {R"("tool_calls":[{"id":"a","function":{"arguments":"\":1}"}}])", R"("tool_calls":[{"function":{"arguments":"\":1}"}}])",
        R"("tool_calls":[{"id":"a","function":{"name":"now","arguments":"\":1}"}}])"}) {
    CAPTURE(goes_on);
    const ChatResponse response = decoded(chunk(begins) + chunk(goes_on) + stop + "data: [DONE]\n\n", true);
    REQUIRE(response.tool_calls().size() == 1);
    CHECK(response.tool_calls()[0].arguments == R"({"z":1})");
  }
}

}  // namespace openai_decode_test
