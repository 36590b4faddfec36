#include "providers/wire/answer_builder.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <functional>
#include <string>
#include <string_view>

#include <catch2/catch_test_macros.hpp>

namespace answer_builder_test {

using namespace backstop;
using backstop::detail::AnswerBuilder;

namespace {

const Target target{"openai", "asked"};

/// A builder that only collects.
struct Answer : AnswerBuilder {
  Answer() : AnswerBuilder{target, nullptr} {}
};

/// Seconds of this process's time, the least of several runs.
double time_of(const std::function<void()>& work) {
  double least = 1e9;
  for (int run = 0; run < 5; ++run) {
    const std::clock_t start = std::clock();
    work();
    least = std::min(least, static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
  }
  return least;
}

/// Eight times as much takes sixty-four times as long where the time is quadratic.
void check_linear(const std::function<void(std::size_t)>& work, std::size_t count) {
  const double once = time_of([&] { work(count); });
  const double eightfold = time_of([&] { work(8 * count); });
  CHECK(eightfold < 24 * once + 0.01);
}

}  // namespace

TEST_CASE("the time of an answer grows with its size, not with its square") {
  SECTION("pieces of arguments, with something else in between") {
    check_linear(
        [](std::size_t count) {
          Answer answer;
          answer.tool_call(0, "a", "f", "{\"x\":\"");
          for (std::size_t i = 0; i < count; ++i) {
            answer.tool_call(0, "", "", "}0123456789}");
            answer.text("x");
            answer.reasoning("y");
          }
          answer.tool_call(0, "", "", "\"}");
          CHECK(answer.take().has_value());
        },
        4000);
  }
  SECTION("calls, all open or each ended by the next") {
    for (const std::string_view arguments : {"{\"a\":", "{}"}) {
      check_linear(
          [&](std::size_t count) {
            Answer answer;
            answer.set_limits({.tool_calls = 1'000'000});
            for (std::size_t i = 0; i < count; ++i) {
              answer.tool_call(static_cast<std::int64_t>(i), i % 2 == 0 ? "" : "c" + std::to_string(i), "f", arguments);
            }
            CHECK(answer.take().has_value());
          },
          1000);
    }
  }
}

TEST_CASE("an answer has a limited number of calls") {
  Answer answer;
  for (int i = 0; i < 1001; ++i) answer.tool_call(i, "", "f", "{}");
  REQUIRE(answer.failure());
  CHECK(answer.failure()->kind == ErrorKind::malformed_response);
}

TEST_CASE("the end of an object is seen wherever its text is cut") {
  const auto closed = [](std::string_view text) {
    backstop::detail::ObjectScan scan;
    for (const char letter : text) scan.feed({&letter, 1});
    return scan.closed();
  };
  CHECK(closed("{}"));
  CHECK(closed(" {\"a\": [1, {}], \"b\": \"}\\\"}\"} "));
  for (const std::string_view text : {"", "{", "[]", "{}x", "{\"a\": \"}", "{\"\\\"}", "{} {}", "null"}) CHECK_FALSE(closed(text));
}

TEST_CASE("pieces of one sort are one part, joined without a separator") {
  Answer answer;
  answer.reasoning("Hm");
  answer.reasoning("m.");
  answer.text("Hel");
  answer.text("");
  answer.text("lo");
  answer.finish_reason(FinishReason::stop);
  const Result<ChatResponse> response = answer.take();
  REQUIRE(response);
  CHECK(response->parts == std::vector<Part>{Reasoning{"Hmm.", "", "", target}, Text{"Hello"}});
  CHECK(response->finish_reason == FinishReason::stop);
  CHECK(response->model == "asked");
  CHECK(response->served_by == target);
}

TEST_CASE("reasoning and its signature stay together, and parts of one sort apart where the wire says so") {
  Answer answer;
  answer.reasoning("A");
  answer.reasoning_signature("sig-");
  answer.reasoning_signature("a");
  answer.end_part();
  answer.reasoning("B");
  answer.redacted_reasoning("xyz");
  answer.reasoning("C");
  const Result<ChatResponse> response = answer.take();
  REQUIRE(response);
  CHECK(response->parts == std::vector<Part>{Reasoning{"A", "sig-a", "", target}, Reasoning{"B", "", "", target},
                                             Reasoning{"", "", "xyz", target}, Reasoning{"C", "", "", target}});
}

TEST_CASE("an answer without anything is none") {
  Answer answer;
  answer.finish_reason(FinishReason::stop);
  CHECK(answer.take().error().kind == ErrorKind::malformed_response);
}

TEST_CASE("an empty answer is one where a limit or a pause ended it") {
  for (const FinishReason reason : {FinishReason::length, FinishReason::context_full, FinishReason::paused}) {
    Answer answer;
    answer.finish_reason(reason);
    const Result<ChatResponse> response = answer.take();
    REQUIRE(response);
    CHECK(response->parts.empty());
  }
}

TEST_CASE("reasoning alone is an answer") {
  Answer answer;
  answer.reasoning("Hmm.");
  CHECK(answer.take().has_value());
}

TEST_CASE("encrypted reasoning alone is an answer too") {
  Answer answer;
  answer.redacted_reasoning("opaque");
  const Result<ChatResponse> response = answer.take();
  REQUIRE(response);
  CHECK(response->parts == std::vector<Part>{Reasoning{"", "", "opaque", target}});
}

TEST_CASE("an answer may be as large as its limit") {
  for (const std::size_t limit : {9U, 10U}) {
    Answer answer;
    answer.set_limits({.bytes = limit});
    answer.text("Hello");
    answer.reasoning("world");
    CHECK(answer.failure().has_value() == (limit == 9));
  }
}

TEST_CASE("the first id and the first name of the model stand") {
  Answer answer;
  for (const char* said : {"", "first", "second", ""}) {
    answer.id(said);
    answer.model(said);
  }
  answer.text("Hi");
  const Result<ChatResponse> response = answer.take();
  REQUIRE(response);
  CHECK(response->id == "first");
  CHECK(response->model == "first");
}

TEST_CASE("arguments may be nested 500 levels deep") {
  for (const std::size_t depth : {500U, 501U}) {
    CAPTURE(depth);
    std::string nested = "1";
    for (std::size_t level = 0; level < depth; ++level) nested = R"({"a":)" + nested + "}";
    Answer answer;
    answer.tool_call(0, "a", "f", nested);
    const Result<ChatResponse> response = answer.take();
    REQUIRE(response);
    CHECK((response->tool_calls().at(0).arguments == nested) == (depth == 500));
  }
}

TEST_CASE("a filter after text or a call ends an answer, before it there is none") {
  Answer none;
  none.finish_reason(FinishReason::content_filter);
  CHECK(none.take().error().kind == ErrorKind::content_filtered);
  Answer thought;
  thought.reasoning("Hmm.");
  thought.finish_reason(FinishReason::content_filter);
  CHECK(thought.take().error().kind == ErrorKind::content_filtered);
  Answer text;
  text.text("Well");
  text.finish_reason(FinishReason::content_filter);
  CHECK(text.take()->finish_reason == FinishReason::content_filter);
  Answer call;
  call.tool_call(0, "a", "get", "{}");
  call.finish_reason(FinishReason::content_filter);
  CHECK(call.take()->finish_reason == FinishReason::content_filter);
}

TEST_CASE("the words of a refusal are text, and the answer was filtered") {
  Answer answer;
  answer.refusal("I cannot ");
  answer.refusal("do that.");
  answer.finish_reason(FinishReason::stop);
  const Result<ChatResponse> response = answer.take();
  REQUIRE(response);
  CHECK(response->text() == "I cannot do that.");
  CHECK(response->finish_reason == FinishReason::content_filter);
}

TEST_CASE("a normal stop with calls means the calls; no reason stays none") {
  Answer stopped;
  stopped.tool_call(0, "a", "get", "{}");
  stopped.finish_reason(FinishReason::stop);
  CHECK(stopped.take()->finish_reason == FinishReason::tool_calls);
  Answer silent;
  silent.text("x");
  CHECK_FALSE(silent.take()->finish_reason);
}

TEST_CASE("calls grow by their numbers, in any order") {
  Answer answer;
  answer.tool_call(0, "a", "get", "");
  answer.tool_call(1, "b", "put", "{\"x\"");
  answer.tool_call(0, "", "", "{\"q\":");
  answer.tool_call(1, "", "put", ":1}");
  answer.tool_call(0, "a", "", "2}");
  const Result<ChatResponse> response = answer.take();
  REQUIRE(response);
  CHECK(response->tool_calls() ==
        std::vector<ToolCall>{{"a", "get", "{\"q\":2}"}, {"b", "put", "{\"x\":1}"}});
}

TEST_CASE("calls that all have the number 0 are told apart by id and name") {
  Answer answer;
  answer.tool_call(0, "a", "get", "{}");
  answer.tool_call(0, "b", "get", "{\"q\":1}");
  CHECK(answer.take()->tool_calls().size() == 2);
}

TEST_CASE("an id that changes with every piece does not make another call") {
  Answer answer;
  answer.tool_call(0, "a", "get", "{\"q\"");
  answer.tool_call(0, "b", "", ":1}");
  const Result<ChatResponse> response = answer.take();
  REQUIRE(response->tool_calls().size() == 1);
  CHECK(response->tool_calls()[0] == ToolCall{"a", "get", "{\"q\":1}"});
}

TEST_CASE("an id and a name that come with every piece do not make another call") {
  Answer answer;
  answer.tool_call(0, "a", "get", "{\"q\":");
  answer.tool_call(0, "a", "get", "1}");
  const Result<ChatResponse> response = answer.take();
  REQUIRE(response);
  CHECK(response->tool_calls() == std::vector<ToolCall>{{"a", "get", "{\"q\":1}"}});
}

TEST_CASE("ids are made up where there are none, and where one comes twice") {
  Answer answer;
  answer.tool_call(0, "", "get", "{}");
  answer.tool_call(1, "same", "get", "{}");
  answer.tool_call(2, "same", "get", "{}");
  const std::vector<ToolCall> calls = answer.take()->tool_calls();
  REQUIRE(calls.size() == 3);
  CHECK(calls[0].id.starts_with("call_"));
  CHECK(calls[0].id.size() == 29);
  CHECK(calls[1].id == "same");
  CHECK(calls[2].id.starts_with("call_"));
  CHECK(calls[2].id != calls[0].id);
}

TEST_CASE("arguments are a JSON object, whatever the model wrote") {
  const auto arguments = [](std::string_view written) {
    Answer answer;
    answer.tool_call(0, "a", "get", written);
    return answer.take()->tool_calls().at(0).arguments;
  };
  CHECK(arguments("") == "{}");
  CHECK(arguments("  ") == "{}");
  CHECK(arguments("null") == "{}");
  CHECK(arguments(" {\"a\" : 1} ") == " {\"a\" : 1} ");
  CHECK(arguments("{\"n\":123456789012345678901234567890}") == "{\"n\":123456789012345678901234567890}");
  CHECK(arguments("{\"q\": \"Par") == R"({"rawInvalidInput":"{\"q\": \"Par"})");
  CHECK(arguments("[1]") == R"({"rawInvalidInput":"[1]"})");
  CHECK(arguments("\"x\"") == R"({"rawInvalidInput":"\"x\""})");
  CHECK(arguments("{} {}") == R"({"rawInvalidInput":"{} {}"})");
  const std::string deep = "{\"a\":" + std::string(600, '[') + std::string(600, ']') + "}";
  CHECK(arguments(deep).starts_with("{\"rawInvalidInput\""));
}

TEST_CASE("a call without a name cannot be called") {
  Answer answer;
  answer.tool_call(0, "", "", "");
  CHECK_FALSE(answer.has_tool_calls());
  answer.tool_call(0, "a", "", "{}");
  answer.text("x");
  CHECK(answer.take()->tool_calls().empty());
}

TEST_CASE("the first failure stands") {
  Answer answer;
  answer.block("blocked", "SAFETY");
  detail::ProviderFailure later;
  later.message = "later";
  answer.fail(later);
  REQUIRE(answer.failure());
  CHECK(answer.failure()->message == "blocked");
  CHECK(answer.failure()->kind == ErrorKind::content_filtered);
}

}  // namespace answer_builder_test
