#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "backstop/policies/retry.hpp"
#include "backstop/policies/timeout.hpp"
#include "backstop/providers/anthropic.hpp"
#include "backstop/providers/cohere.hpp"
#include "backstop/providers/gemini.hpp"
#include "backstop/providers/ollama_native.hpp"
#include "backstop/providers/openai.hpp"
#include "backstop/providers/openai_responses.hpp"
#include "providers/wire/finish_reasons.hpp"
#include "support/compressed.hpp"
#include "support/replayed_call.hpp"

namespace foreign_shapes_test {

using namespace backstop;
using namespace backstop::testing_support;
using namespace std::chrono_literals;

/// Answers in shapes that the wire's description does not have, and servers send all the same.
namespace {

const ModelOptions options{.model = "m", .api_key = "test-key", .base_url = "http://replayed.test/v1"};
const Provider gpt = openai(options);
const Provider claude = anthropic(options);
const Provider sol = openai_responses(options);
const Provider flash = gemini(options);
const Provider command = cohere(options);
const Provider llama = ollama_native(options);

ReplayedAnswer body(std::string text, std::string_view type = "text/event-stream", int status = 200) {
  ReplayedAnswer answer;
  answer.status = status;
  answer.headers = {{"content-type", std::string{type}}};
  answer.body = std::move(text);
  return answer;
}
ReplayedAnswer json(std::string text, int status = 200) { return body(std::move(text), "application/json", status); }

std::string event(std::string_view data) { return "data: " + std::string{data} + "\n\n"; }
std::string delta(std::string_view fields) {
  return event(R"({"choices":[{"index":0,"delta":{)" + std::string{fields} + "}}]}");
}
std::string finish(std::string_view reason) {
  return event(R"({"choices":[{"index":0,"delta":{},"finish_reason":)" + std::string{reason} + "}]}");
}
std::string choice(std::string_view fields) { return R"({"choices":[{"index":0,)" + std::string{fields} + "}]}"; }
const std::string half = delta(R"("content":"Half of")");
const std::string done = event("[DONE]");

ReplayedCall streamed(const Provider& provider, std::string text) {
  return call_with(provider, "Hi", body(std::move(text)), true);
}
ReplayedCall plain(const Provider& provider, std::string text) {
  return call_with(provider, "Hi", json(std::move(text)), false);
}

std::string text_of(const ReplayedCall& call) {
  return call.result ? call.result->text() : to_string(call.result.error());
}

std::string candidate(std::string_view fields) { return R"({"candidates":[{)" + std::string{fields} + "}]}"; }
std::string parts(std::string_view list) { return R"("content":{"parts":[)" + std::string{list} + "]}"; }

/// What each wire says in a form of its own.
struct WireForms {
  std::string_view name;
  const Provider& provider;
  std::string whole;                              ///< an answer that was not streamed: "Hello"
  std::string half;                               ///< the beginning of a stream: "Half of"
  std::string (*finish)(std::string_view word);   ///< the rest of it, with the reason, a string
  std::string (*nothing)(std::string_view word);  ///< a whole answer without content, likewise
};

std::vector<WireForms> wires() {
  using View = std::string_view;
  return {
      {"chat", gpt, choice(R"("message":{"content":"Hello"},"finish_reason":"stop")"), half,
       [](View word) { return finish(word) + done; },
       [](View word) { return choice(R"("message":{"content":""},"finish_reason":)" + std::string{word}); }},
      {"messages", claude, R"({"type":"message","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn"})",
       event(R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Half of"}})"),
       [](View word) {
         return event(R"({"type":"message_delta","delta":{"stop_reason":)" + std::string{word} + "}}") +
                event(R"({"type":"message_stop"})");
       },
       [](View word) { return R"({"type":"message","content":[],"stop_reason":)" + std::string{word} + "}"; }},
      {"responses", sol,
       R"({"status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"Hello"}]}]})",
       event(R"({"type":"response.output_text.delta","output_index":0,"delta":"Half of"})"),
       [](View word) {
         return event(R"({"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{)"
                      R"("reason":)" +
                      std::string{word} + "}}}");
       },
       [](View word) {
         return R"({"status":"incomplete","output":[],"incomplete_details":{"reason":)" + std::string{word} + "}}";
       }},
      {"gemini", flash, candidate(parts(R"({"text":"Hello"})") + R"(,"finishReason":"STOP")"),
       event(candidate(parts(R"({"text":"Half of"})"))),
       [](View word) { return event(candidate(R"("finishReason":)" + std::string{word})); },
       [](View word) { return candidate(R"("finishReason":)" + std::string{word}); }},
      {"cohere", command, R"({"message":{"content":[{"type":"text","text":"Hello"}]},"finish_reason":"COMPLETE"})",
       event(R"({"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"Half of"}}}})"),
       [](View word) { return event(R"({"type":"message-end","delta":{"finish_reason":)" + std::string{word} + "}}"); },
       [](View word) { return R"({"message":{"content":[]},"finish_reason":)" + std::string{word} + "}"; }},
      {"ollama", llama, R"({"message":{"content":"Hello"},"done":true,"done_reason":"stop"})",
       R"({"message":{"content":"Half of"},"done":false})"
       "\n",
       [](View word) { return R"({"message":{},"done":true,"done_reason":)" + std::string{word} + "}\n"; },
       [](View word) { return R"({"message":{},"done":true,"done_reason":)" + std::string{word} + "}"; }}};
}

}  // namespace

TEST_CASE("a text that is no string is read on every way it comes, or the answer is malformed") {
  CHECK(text_of(streamed(gpt, delta(R"("content":"It is $")") + delta(R"("content":6)") + delta(R"("content":0.5)") +
                                  delta(R"("content":true)") + finish(R"("stop")"))) == "It is $60.5true");
  CHECK(text_of(plain(gpt, choice(R"("message":{"content":42})"))) == "42");
  CHECK(text_of(plain(gpt, choice(R"("message":{"content":["a",7,{"type":"text","text":8}]})"))) == "a78");
  CHECK(text_of(plain(gpt, choice(R"("message":{"content":{"type":"text","text":"part"}})"))) == "part");
  CHECK(text_of(plain(gpt, choice(R"("text":"older")"))) == "older");
  CHECK(plain(gpt, choice(R"("message":{"content":"x","reasoning_content":3})")).result->reasoning() == "3");
  CHECK(plain(gpt, choice(R"("message":{"content":[{"type":"thinking","thinking":[{"text":1},"2"]},"x"]})"))
            .result->reasoning() == "12");
  const auto refused = plain(gpt, choice(R"("message":{"refusal":9})"));
  CHECK(text_of(refused) == "9");
  CHECK(refused.result->finish_reason == FinishReason::content_filter);
  CHECK(
      plain(gpt, choice(R"("message":{"content":"x","refusal":false},"finish_reason":"stop")")).result->finish_reason ==
      FinishReason::stop);

  for (const std::string_view gap :
       {R"("message":{"content":{"text":{"value":"x"}}})", R"("message":{"content":[["x"]]})", R"("message":"x")",
        R"("message":{"content":"x","tool_calls":[5]})", R"("message":{"content":"x","tool_calls":[{"function":"f"}]})",
        R"("message":{"content":"x","tool_calls":[{"id":"a","function":{"arguments":"{\"q\":1}"}}]})"}) {
    CAPTURE(gap);
    CHECK(plain(gpt, choice(gap)).result.error().kind == ErrorKind::malformed_response);
    CHECK(plain(gpt, choice(gap)).result.error().message.find("cannot be read") != std::string::npos);
  }
  CHECK(streamed(gpt, half + event(R"({"choices":{"0":{}}})") + done).result.error().kind ==
        ErrorKind::stream_interrupted);
  CHECK(streamed(gpt, half + event(R"({"choices":[{"delta":["x"]}]})") + done).result.error().partial_text ==
        "Half of");

  const auto block = [](std::string_view text) {
    return event(R"({"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}})") +
           event(R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":)" + std::string{text} +
                 "}}") +
           event(R"({"type":"message_delta","delta":{"stop_reason":"end_turn"}})") +
           event(R"({"type":"message_stop"})");
  };
  CHECK(text_of(streamed(claude, block("6"))) == "6");
  CHECK(streamed(claude, block("{}")).result.error().kind == ErrorKind::malformed_response);
  CHECK(text_of(plain(claude, R"({"content":[{"type":"text","text":6},"seven"]})")) == "6seven");
  CHECK(text_of(plain(claude, R"({"content":7})")) == "7");

  const auto said = [](std::string_view text) {
    return event(R"({"type":"response.output_text.delta","output_index":0,"delta":)" + std::string{text} + "}") +
           event(R"({"type":"response.completed","response":{"status":"completed"}})");
  };
  CHECK(text_of(streamed(sol, said("6"))) == "6");
  CHECK(streamed(sol, said("{}")).result.error().kind == ErrorKind::malformed_response);
  const auto items = [](std::string_view list) { return R"({"status":"completed","output":)" + std::string{list} + "}"; };
  CHECK(text_of(plain(sol, items(R"([{"type":"message","content":[{"type":"output_text","text":6},"seven"]}])"))) ==
        "6seven");
  CHECK(text_of(plain(sol, items(R"([{"type":"message","content":"seven"}])"))) == "seven");
  CHECK(text_of(plain(sol, items(R"({"content":[{"text":"one item"}]})"))) == "one item");
  CHECK(text_of(plain(sol, R"({"status":"completed","output":[],"output_text":"flat"})")) == "flat");
  CHECK(text_of(plain(sol, R"({"type":"response.completed","response":)" +
                               items(R"([{"type":"message","content":"inside"}])") + "}")) == "inside");
  for (const std::string_view gap : {R"("text")", "7", R"([7])", R"([{"a":1}])", R"([{"content":[["x"]]}])",
                                     R"([{"content":[{"type":"output_text","text":["x"]}]}])"}) {
    CAPTURE(gap);
    CHECK(plain(sol, items(gap)).result.error().kind == ErrorKind::malformed_response);
  }

  const auto stopped = [](std::string_view list) { return candidate(parts(list) + R"(,"finishReason":"STOP")"); };
  CHECK(text_of(plain(flash, stopped(R"({"text":6},{"text":true},{"inlineData":{}},{"text":"."})"))) == "6true.");
  CHECK(plain(flash, stopped(R"({"text":7,"thought":true},{"text":"x"})")).result->reasoning() == "7");
  CHECK(
      plain(flash, stopped(R"({"functionCall":{"name":"f","args":"{\"q\":1}"}})")).result->tool_calls()[0].arguments ==
      R"({"q":1})");
  for (const std::string& gap :
       {stopped(R"("x")"), stopped(R"({"text":{"value":"x"}})"), stopped(R"({"text":"x"},{"functionCall":"f"})"),
        stopped(R"({"text":"x"},{"functionCall":{"args":{"q":1}}})"), stopped(R"({"functionCall":{"name":["f"]}})"),
        stopped(R"({"text":"x"},{"functionCall":{"name":"f","partialArgs":{"jsonPath":"$.q"}}})"),
        stopped(R"({"functionCall":{"name":"f","args":{"q":1},"partialArgs":[{"jsonPath":"$.p","boolValue":true}]}})"),
        candidate(R"("content":"x","finishReason":"STOP")"),
        candidate(R"("content":{"parts":"x"},"finishReason":"STOP")"),
        std::string{R"({"candidates":{"content":{"parts":[{"text":"x"}]},"finishReason":"STOP"}})"},
        std::string{R"({"candidates":["x"]})"}}) {
    CAPTURE(gap);
    CHECK(plain(flash, gap).result.error().kind == ErrorKind::malformed_response);
    CHECK(plain(flash, gap).result.error().message.find("cannot be read") != std::string::npos);
    CHECK_FALSE(streamed(flash, event(gap)).result);
  }

  const auto told = [](std::string_view message) {
    return R"({"message":{)" + std::string{message} + R"(},"finish_reason":"COMPLETE"})";
  };
  CHECK(text_of(plain(command, told(R"("content":[{"type":"text","text":6},"seven",8])"))) == "6seven8");
  CHECK(text_of(plain(command, told(R"("content":"seven")"))) == "seven");
  CHECK(text_of(plain(command, told(R"("content":{"type":"text","text":"part"})"))) == "part");
  CHECK(plain(command, told(R"("content":[{"type":"thinking","thinking":5},{"type":"text","text":"x"}],"tool_plan":6)"))
            .result->reasoning() == "56");
  for (const std::string_view gap :
       {R"("content":[["x"]])", R"("content":[{"text":["x"]}])", R"("content":{"parts":["x"]})",
        R"("content":"x","tool_calls":[5])", R"("content":"x","tool_calls":[{"function":"f"}])",
        R"("content":"x","tool_calls":{"list":[]})", R"("content":"x","tool_plan":["y"])",
        R"("content":"x","tool_calls":[{"id":"a","function":{"arguments":"{\"q\":1}"}}])"}) {
    CAPTURE(gap);
    CHECK(plain(command, told(gap)).result.error().kind == ErrorKind::malformed_response);
    CHECK(plain(command, told(gap)).result.error().message.find("cannot be read") != std::string::npos);
    const std::string piece = event(R"({"type":"content-delta","delta":{"message":{)" + std::string{gap} + "}}}");
    const std::string end = event(R"({"type":"message-end","delta":{"finish_reason":"COMPLETE"}})");
    CHECK_FALSE(streamed(command, piece + end).result);
  }
  for (const std::string_view piece : {R"(["x"])", R"("x")", R"({"message":["x"]})", R"({"message":"x"})"}) {
    CAPTURE(piece);
    CHECK_FALSE(streamed(command, event(R"({"type":"content-delta","delta":)" + std::string{piece} + "}") +
                                      event(R"({"type":"message-end","delta":{"finish_reason":"COMPLETE"}})"))
                    .result);
  }

  const auto line = [](std::string_view message) {
    return R"({"message":{)" + std::string{message} + R"(},"done":true})";
  };
  CHECK(text_of(plain(llama, line(R"("content":6)"))) == "6");
  CHECK(plain(llama, line(R"("content":"x","thinking":false)")).result->reasoning() == "false");
  CHECK(plain(llama, line(R"("tool_calls":[{"function":{"name":"f","arguments":["x"]}}])"))
            .result->tool_calls()[0]
            .arguments == R"({"rawInvalidInput":"[\"x\"]"})");
  for (const std::string_view gap :
       {R"("content":["x"])", R"("content":{"text":"x"})", R"("content":"x","thinking":{})",
        R"("content":"x","tool_calls":{"function":{"name":"f"}})", R"("content":"x","tool_calls":[5])",
        R"("content":"x","tool_calls":[{"name":"f"}])",
        R"("content":"x","tool_calls":[{"function":{"arguments":{"q":1}}}])"}) {
    CAPTURE(gap);
    CHECK(plain(llama, line(gap)).result.error().kind == ErrorKind::malformed_response);
    CHECK(plain(llama, line(gap)).result.error().message.find("cannot be read") != std::string::npos);
    CHECK_FALSE(streamed(llama, line(gap) + "\n").result);
  }
}

TEST_CASE("a failure inside a choice is one, with its words, its code and its kind") {
  const std::string broke = event(R"({"choices":[{"index":0,"delta":{},"error":{"message":"gone","code":502}}]})");
  for (const std::string& end : {std::string{}, done, finish(R"("stop")") + done}) {
    const Error error = streamed(gpt, half + broke + end).result.error();
    CHECK(error.kind == ErrorKind::stream_interrupted);
    CHECK(error.cause == ErrorKind::server_error);
    CHECK(error.provider_message == "gone");
    CHECK(error.code == "502");
    CHECK(error.partial_text == "Half of");
  }
  const auto kind_of = [](std::string_view error) {
    return plain(gpt, choice(R"("message":{"content":"x"},"finish_reason":"error","error":)" + std::string{error}))
        .result.error();
  };
  CHECK(kind_of(R"({"message":"slow down","code":429})").kind == ErrorKind::rate_limited);
  CHECK(kind_of(R"({"message":"slow down","code":429})").provider_message == "slow down");
  CHECK(kind_of(R"({"message":"busy","type":"overloaded_error"})").kind == ErrorKind::overloaded);
  CHECK(kind_of(R"("out of luck")").provider_message == "out of luck");
  for (const std::string_view none : {"null", "{}", "\"\"", "false", "0", "[]", "NaN"}) {
    CHECK(text_of(plain(
              gpt, choice(R"("message":{"content":"x"},"finish_reason":"stop","error":)" + std::string{none}))) == "x");
  }
  CHECK(text_of(streamed(gpt, half + event(R"({"choices":[{"index":1,"delta":{},"error":{"message":"gone"}}]})") +
                                  done)) == "Half of");
}

TEST_CASE("every word in the table of finish reasons means the same on every wire, in any case") {
  using detail::FinishWord;
  for (const FinishWord& row : detail::finish_words) {
    for (const bool upper : {false, true}) {
      std::string word{row.word};
      if (upper)
        std::transform(word.begin(), word.end(), word.begin(),
                       [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
      CAPTURE(word);
      const std::string quoted = '"' + word + '"';
      for (const WireForms& wire : wires()) {
        CAPTURE(wire.name);
        const ReplayedCall call = streamed(wire.provider, wire.half + wire.finish(quoted));
        if (row.means == FinishWord::Means::reason) {
          REQUIRE(call.result);
          CHECK(call.result->finish_reason == row.reason);
        } else if (row.means == FinishWord::Means::failure) {
          CHECK(call.result.error().kind == ErrorKind::stream_interrupted);
          CHECK(call.result.error().code == word);
          CHECK(call.result.error().partial_text == "Half of");
        } else if (wire.name == "gemini") {
          // The reason is all that says that it is the end.
          CHECK(call.result.error().kind == ErrorKind::stream_interrupted);
        } else {
          REQUIRE(call.result);
          // It is incomplete there, for whatever reason.
          const bool incomplete = wire.name == "responses";
          CHECK(call.result->finish_reason == (incomplete ? std::optional{FinishReason::other} : std::nullopt));
        }
      }
    }
  }
}

TEST_CASE("only a known reason ends an answer, and only until more of it comes") {
  const auto open = [](std::string text) {
    ReplayedAnswer answer = body(std::move(text));
    answer.stays_open = true;
    return call_with(gpt | timeout({.idle = 60s}), "Hi", answer, true);
  };
  CHECK(open(half + finish(R"("stop")")).elapsed == 5s);
  for (const std::string_view none : {R"("null")", R"("")", "null", R"("None")", R"("not_yet")"}) {
    const ReplayedCall call = open(half + finish(none));
    CHECK_FALSE(call.result);
    CHECK(call.elapsed == 60s);
    CHECK(text_of(streamed(gpt, finish(none) + half + finish(R"("length")"))) == "Half of");
  }
  CHECK(streamed(gpt, half + finish(R"("not_yet")")).result.error().kind == ErrorKind::stream_interrupted);
  CHECK(streamed(gpt, half + finish(R"("odd")") + done).result->finish_reason == FinishReason::other);
  CHECK(streamed(gpt, half + finish(R"("stop")") + half).result.error().kind == ErrorKind::stream_interrupted);
  CHECK(text_of(streamed(gpt, half + finish(R"("stop")") + half + done)) == "Half ofHalf of");

  for (const WireForms& wire : wires()) {
    CAPTURE(wire.name);
    ReplayedAnswer answer = body(wire.half + wire.finish(R"("max_tokens")"));
    answer.stays_open = true;
    const ReplayedCall call = call_with(wire.provider | timeout({.idle = 60s}), "Hi", answer, true);
    CHECK(text_of(call) == "Half of");
    CHECK(call.elapsed == (wire.name == "gemini" ? 5s : 100ms));  // it has no mark of the end but the reason
    CHECK(call.left_nothing);
    CHECK(streamed(wire.provider, wire.half).result.error().kind == ErrorKind::stream_interrupted);
  }
  const WireForms last = wires()[3];
  CHECK(streamed(flash, last.half + last.finish(R"("STOP")") + last.half).result.error().kind ==
        ErrorKind::stream_interrupted);
  CHECK(text_of(streamed(flash, last.half + last.finish("0") + last.half + last.finish("2"))) == "Half ofHalf of");
}

TEST_CASE("comments and blanks behind a complete answer do not hold the call") {
  std::string pings;
  for (int i = 0; i < 50; ++i) pings += ": ping\n\n";
  for (const WireForms& wire : wires()) {
    for (const bool whole : {false, true}) {
      CAPTURE(wire.name, whole);
      const bool chat = wire.name == "chat";
      const bool until_silence = wire.name == "gemini" || chat;
      ReplayedAnswer answer = whole ? json(wire.whole + std::string(5000, ' '))
                                    : body(wire.half + (chat ? finish(R"("stop")") : wire.finish(R"("stop")")) + pings);
      answer.stays_open = true;
      for (std::size_t at = 100; at < answer.body.size(); at += 9) answer.splits.push_back(at);
      const ReplayedCall call = call_with(wire.provider, "Hi", answer, !whole);
      CHECK(text_of(call) == (whole ? "Hello" : "Half of"));
      CHECK(call.elapsed == (!whole && until_silence ? 5s : 100ms));
      CHECK(call.left_nothing);
    }
  }
}

TEST_CASE("a filter's word with nothing said is a filtered answer, sent once") {
  for (const WireForms& wire : wires()) {
    for (const std::string_view word : {R"("sensitive")", R"("SAFETY")", R"("content_filter")"}) {
      CAPTURE(wire.name, word);
      const ReplayedCall call =
          call_with(wire.provider | retry({.max_attempts = 3}), "Hi", json(wire.nothing(word)), false);
      CHECK(call.result.error().kind == ErrorKind::content_filtered);
      CHECK(call.requests.size() == 1);
    }
  }
}

TEST_CASE("an answer of Anthropic's wire is complete by its stop reason, tool calls included") {
  const std::string begun =
      event(R"({"type":"message_start","message":{"id":"m1","usage":{"input_tokens":9}}})") +
      event(R"({"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}})") +
      event(R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"All."}})") +
      event(
          R"({"type":"content_block_start","index":1,)"
           R"("content_block":{"type":"tool_use","id":"t","name":"f","input":{"q":1}}})");
  const std::string stop =
      event(R"({"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":4}})");
  const auto check = [](const ReplayedCall& call) {
    REQUIRE(call.result);
    CHECK(call.result->text() == "All.");
    CHECK(call.result->finish_reason == FinishReason::tool_calls);
    REQUIRE(call.result->tool_calls().size() == 1);
    CHECK(call.result->tool_calls()[0].arguments == R"({"q":1})");
    CHECK(call.result->usage.output_tokens == 4);
    CHECK(call.left_nothing);
  };
  check(streamed(claude, begun + stop));
  ReplayedAnswer cut = body(begun + stop);
  cut.cut = true;
  check(call_with(claude, "Hi", cut, true));
  ReplayedAnswer open = body(begun + stop);
  open.stays_open = true;
  const ReplayedCall silent = call_with(claude, "Hi", open, true);
  check(silent);
  CHECK(silent.elapsed == 5s);
  CHECK(streamed(claude, begun).result.error().kind == ErrorKind::stream_interrupted);
}

TEST_CASE("parallel calls under one number are told apart") {
  struct Piece {
    std::string_view id;
    std::string_view name;
    std::string_view arguments;
  };
  const auto calls = [](const std::vector<Piece>& pieces, std::string_view number) {
    std::string text;
    for (const Piece& piece : pieces) {
      const std::string id = piece.id == "-" ? "" : R"("id":")" + std::string{piece.id} + R"(",)";
      const std::string name = piece.name.empty() ? "" : R"("name":")" + std::string{piece.name} + R"(",)";
      text += delta(R"("tool_calls":[{)" + id + std::string{number} + R"("function":{)" + name + R"("arguments":")" +
                    std::string{piece.arguments} + R"("}}])");
    }
    const ReplayedCall call = streamed(gpt, text + finish(R"("tool_calls")") + done);
    std::string found;
    if (!call.result) return to_string(call.result.error());
    for (const ToolCall& one : call.result->tool_calls()) found += one.name + one.arguments + " ";
    return found;
  };
  constexpr std::string_view zero = R"("index":0,)";
  constexpr std::string_view rome = R"({\"city\":\"Rome\"})";
  constexpr std::string_view oslo = R"({\"city\":\"Oslo\"})";
  const std::string both = R"(weather{"city":"Rome"} weather{"city":"Oslo"} )";
  const std::string one = R"(weather{"city":"Rome"} )";
  for (const std::string_view number : {zero, std::string_view{}}) {
    CHECK(calls({{"", "weather", rome}, {"", "weather", oslo}}, number) == both);
    CHECK(calls({{"-", "weather", rome}, {"-", "weather", oslo}}, number) == both);
    CHECK(calls({{"a", "weather", rome}, {"b", "weather", oslo}}, number) == both);
  }
  CHECK(calls({{"a", "weather", rome}, {"a", "weather", oslo}}, zero) == both);
  CHECK(calls({{"", "weather", rome}, {"", "weather", R"({\"city\":)"}, {"", "", R"(\"Oslo\"})"}}, zero) == both);
  // The same again is the same call; so is a name that comes with every piece.
  CHECK(calls({{"a", "weather", rome}, {"a", "weather", rome}}, zero) == one);
  CHECK(calls({{"", "weather", rome}, {"", "weather", rome}}, zero) == one);
  CHECK(calls({{"a", "weather", R"({\"city\":)"}, {"a", "weather", R"(\"Rome\")"}, {"a", "weather", "}"}}, zero) ==
        one);
  CHECK(calls({{"a", "weather", rome}, {"a", "weather", ""}}, zero) == one);
}

TEST_CASE("parallel calls are told apart on every wire, whatever their ids and numbers are") {
  const auto calls = [](const ReplayedCall& call) {
    std::string found;
    if (!call.result) return to_string(call.result.error());
    std::string last;
    for (const ToolCall& one : call.result->tool_calls()) {
      found += one.name + one.arguments + " ";
      CHECK_FALSE(one.id.empty());
      CHECK(one.id != last);
      last = one.id;
    }
    return found;
  };
  const std::string both = R"(weather{"city":"Rome"} weather{"city":"Oslo"} )";
  for (const std::string_view id : {R"()", R"("id":"",)", R"("id":null,)", R"("id":"a",)"}) {
    CAPTURE(id);
    const auto gemini_call = [id](std::string_view city) {
      return parts(R"({"functionCall":{)" + std::string{id} + R"("name":"weather","args":{"city":")" +
                   std::string{city} + "\"}}}");
    };
    CHECK(calls(streamed(flash, event(candidate(gemini_call("Rome"))) +
                                    event(candidate(gemini_call("Oslo") + R"(,"finishReason":"STOP")")))) == both);
    const auto ollama_call = [id](std::string_view city) {
      return "{" + std::string{id} + R"("function":{"index":0,"name":"weather","arguments":{"city":")" +
             std::string{city} + "\"}}}";
    };
    CHECK(calls(streamed(llama, R"({"message":{"tool_calls":[)" + ollama_call("Rome") + "," + ollama_call("Oslo") +
                                    R"(]},"done":true})")) == both);
    CHECK(calls(streamed(llama, R"({"message":{"tool_calls":[)" + ollama_call("Rome") +
                                    R"(]},"done":false})"
                                    "\n" +
                                    R"({"message":{"tool_calls":[)" + ollama_call("Oslo") + R"(]},"done":true})")) ==
          both);
    const auto cohere_call = [id](std::string_view city) {
      return "{" + std::string{id} + R"("type":"function","function":{"name":"weather","arguments":"{\"city\":\")" +
             std::string{city} + R"(\"}"}})";
    };
    CHECK(calls(plain(command, R"({"message":{"tool_calls":[)" + cohere_call("Rome") + "," + cohere_call("Oslo") +
                                   R"(]},"finish_reason":"TOOL_CALL"})")) == both);
    const auto cohere_events = [&](std::string_view city) {
      return event(R"({"type":"tool-call-start","index":0,"delta":{"message":{"tool_calls":)" + cohere_call(city) +
                   "}}}") +
             event(R"({"type":"tool-call-end","index":0})");
    };
    CHECK(calls(streamed(command, cohere_events("Rome") + cohere_events("Oslo") +
                                      event(R"({"type":"message-end","delta":{"finish_reason":"TOOL_CALL"}})"))) ==
          both);
  }
}

TEST_CASE("a body that says it failed is a failure of the kind of its code, whatever the status") {
  struct Row {
    std::string_view text;
    ErrorKind kind;
    std::string_view words;
    std::string_view code;
  };
  using enum ErrorKind;
  for (const Row& row : std::vector<Row>{
           {R"({"code":401,"msg":"token expired","success":false})", authentication, "token expired", "401"},
           {R"({"code":"429","msg":"slow down","success":false})", rate_limited, "slow down", "429"},
           {R"({"code":500,"msg":"broken"})", server_error, "broken", "500"},
           {R"({"success":false,"message":"no"})", server_error, "no", ""},
           {R"({"success":false,"errors":[{"code":10000,"message":"bad token"}]})", server_error, "bad token", "10000"},
           {R"({"error_code":17,"error_msg":"daily limit"})", server_error, "daily limit", "17"},
           {R"({"error":true,"message":"no such luck"})", server_error, "no such luck", ""},
           {R"({"choices":null,"base_resp":{"status_code":1008,"status_msg":"empty account"}})", quota_exhausted,
            "empty account", "1008"},
           {R"({"choices":[],"base_resp":{"status_code":1002,"status_msg":"too fast"}})", rate_limited, "too fast",
            "1002"},
           {R"({"base_resp":{"status_code":1004,"status_msg":"who?"}})", authentication, "who?", "1004"},
           {R"({"base_resp":{"status_code":1027,"status_msg":"not that"}})", content_filtered, "not that", "1027"},
           {R"({"base_resp":{"status_code":1033,"status_msg":"sorry"}})", server_error, "sorry", "1033"},
       }) {
    CAPTURE(row.text);
    const std::string text{row.text};
    for (const WireForms& wire : wires()) {
      CAPTURE(wire.name);
      const ReplayedCall whole = plain(wire.provider, text);
      const ReplayedCall piece = streamed(wire.provider, event(text));
      for (const ReplayedCall* call : {&whole, &piece}) {
        REQUIRE_FALSE(call->result);
        const Error& error = call->result.error();
        CHECK(error.kind == row.kind);
        CHECK(error.provider_message == row.words);
        CHECK(error.code == row.code);
        CHECK(error.http_status == 200);
      }
    }
  }
  const std::string fine = R"("choices":[{"message":{"content":"Fine."},"finish_reason":"stop"}])";
  for (const std::string_view beside :
       {R"("base_resp":{"status_code":0,"status_msg":""})", R"("code":200,"msg":"ok")",
        R"("success":true,"code":0,"msg":"")", R"("code":"success","message":"ok")", R"("success":false)"}) {
    CAPTURE(beside);
    CHECK(text_of(plain(gpt, "{" + fine + "," + std::string{beside} + "}")) == "Fine.");
    for (const WireForms& wire : wires()) {
      // Where a text in `message` is in the place of the answer, it cannot stand beside one.
      if ((wire.name == "cohere" || wire.name == "ollama") && beside.find("message") != std::string_view::npos)
        continue;
      CAPTURE(wire.name);
      CHECK(text_of(plain(wire.provider,
                          wire.whole.substr(0, wire.whole.size() - 1) + "," + std::string{beside} + "}")) == "Hello");
    }
  }
  for (const WireForms& wire : wires()) {
    CAPTURE(wire.name);
    CHECK(plain(wire.provider, R"({"message":"nothing for you"})").result.error().provider_message ==
          "nothing for you");
  }
}

TEST_CASE("usage is read wherever it stands") {
  constexpr std::string_view numbers =
      R"({"prompt_tokens":1336,"completion_tokens":31,"total_tokens":1367,"cached_tokens":1280})";
  const std::string usage = R"("usage":)" + std::string{numbers};
  for (const ReplayedCall& call :
       {streamed(gpt,
                 half + event(R"({"choices":[{"index":0,"delta":{},"finish_reason":"stop",)" + usage + "}]}") + done),
        streamed(gpt, half +
                          event(R"({"choices":[{"index":0,"delta":{},"finish_reason":"stop",)" + usage +
                                R"(}],"usage":null})") +
                          done),
        streamed(gpt, half + finish(R"("stop")") + event(R"({"choices":[],)" + usage + "}") + done),
        plain(gpt, choice(R"("message":{"content":"x"},)" + usage))}) {
    REQUIRE(call.result);
    CHECK(call.result->usage.input_tokens == 1336);
    CHECK(call.result->usage.output_tokens == 31);
    CHECK(call.result->usage.cached_input_tokens == 1280);
  }
}

TEST_CASE("the bytes of a body decide how it is read, not its label and not what was asked for") {
  const std::string whole = wires()[0].whole;
  const std::string events = delta(R"("content":"Hel")") + delta(R"("content":"lo")") + finish(R"("stop")") + done;
  const std::vector<std::string> gpt_bodies{
      whole,
      events,
      "\xEF\xBB\xBF" + whole,
      "\xEF\xBB\xBF" + events,
      " \n\n" + whole,
      "\n\n\n" + events,
      event(whole),
      ": ping\n\n" + events,
      "[" + whole + "]",
      whole + "\n",
      whole + "\n\0\0",
      "event: message\n" + events,
      R"({"choices":[{"delta":{"content":"Hel"}}]})"
      "\n"
      R"({"choices":[{"delta":{"content":"lo"},"finish_reason":"stop"}]})"
      "\n",
      R"(data: {"choices":[{"delta":{"content":"Hel"}}]})"
      R"({"choices":[{"delta":{"content":"lo"},"finish_reason":"stop"}]})"
      "\n\n"};
  const auto gemini_piece = [](std::string_view text, std::string_view rest) {
    return candidate(parts(R"({"text":")" + std::string{text} + "\"}") + std::string{rest});
  };
  const auto cohere_piece = [](std::string_view text) {
    return R"({"type":"content-delta","delta":{"message":{"content":{"text":")" + std::string{text} + "\"}}}}";
  };
  const auto ollama_piece = [](std::string_view text, std::string_view done_yet) {
    return R"({"message":{"content":")" + std::string{text} + R"("},"done":)" + std::string{done_yet} + "}";
  };
  /// The pieces of a stream on each wire, without their framing.
  const std::vector<std::vector<std::string>> pieces{
      {R"({"choices":[{"delta":{"content":"Hel"}}]})",
       R"({"choices":[{"delta":{"content":"lo"},"finish_reason":"stop"}]})"},
      {R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}})",
       R"({"type":"message_stop"})"},
      {R"({"type":"response.output_text.delta","output_index":0,"delta":"Hello"})",
       R"({"type":"response.completed","response":{"status":"completed"}})"},
      {gemini_piece("Hel", ""), gemini_piece("lo", R"(,"finishReason":"STOP")")},
      {cohere_piece("Hel"), cohere_piece("lo"), R"({"type":"message-end","delta":{"finish_reason":"COMPLETE"}})"},
      {ollama_piece("Hel", "false"), ollama_piece("lo", "true")}};
  const auto check = [](const Provider& provider, const std::string& text) {
    for (const std::string_view type :
         {"application/json", "text/event-stream", "text/html", "application/x-ndjson", ""}) {
      for (const bool stream : {false, true}) {
        for (const bool zipped : {false, true}) {
          CAPTURE(text, type, stream, zipped);
          ReplayedAnswer answer = body(zipped ? compressed(text, Coding::gzip) : text, type);
          if (stream) answer.headers.emplace_back("content-encoding", zipped ? "gzip" : "utf-8");
          const ReplayedCall call = call_with(provider | retry({.max_attempts = 3}), "Hi", answer, stream);
          CHECK(text_of(call) == "Hello");
          CHECK(call.requests.size() == 1);
          CHECK(call.left_nothing);
        }
      }
    }
  };
  for (const std::string& text : gpt_bodies) check(gpt, text);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const WireForms wire = wires()[i];
    std::string as_events;
    std::string as_lines;
    std::string as_list;
    for (const std::string& piece : pieces[i]) {
      as_events += event(piece);
      as_lines += piece + "\r\n";
      as_list += (as_list.empty() ? "[" : "\n,\n") + piece;
    }
    for (const std::string& text : {wire.whole, event(wire.whole), "event: message\n" + event(wire.whole),
                                    "\n" + wire.whole, as_events, as_lines}) {
      check(wire.provider, text);
    }
    if (wire.name == "gemini") check(wire.provider, as_list + "]");
  }
  // A piece of a stream that came alone is no whole answer.
  CHECK_FALSE(plain(gpt, R"({"choices":[{"delta":{"content":"Hel"}}]})").result);
}

TEST_CASE("a request says whether a stream is wanted, and what can be decoded") {
  for (const WireForms& wire : wires()) {
    for (const bool stream : {false, true}) {
      CAPTURE(wire.name, stream);
      const ReplayedCall call = call_with(wire.provider, "Hi", json("{}"), stream);
      const HttpRequest& request = call.requests.at(0);
      if (wire.name == "gemini") {
        CHECK(request.url.ends_with(stream ? ":streamGenerateContent?alt=sse" : ":generateContent"));
      } else {
        CHECK(request.body.find(stream ? R"("stream":true)" : R"("stream":false)") != std::string::npos);
      }
      std::string accepted;
      for (const Header& header : request.headers) {
        if (header.first == "accept-encoding") accepted = header.second;
      }
      CHECK(accepted == "gzip, deflate");
    }
  }
}

TEST_CASE("a refusal is read for three seconds at most, and what has come by then counts") {
  const std::string words = R"({"error":{"message":"slow down","code":"rate_limit_exceeded"}})";
  struct Row {
    std::string body;
    Duration elapsed;
    std::string said;
  };
  for (const Row& row : std::vector<Row>{{words, 100ms, "slow down"},
                                         {event(words), 3s, "slow down"},
                                         {"<html>Too many", 3s, "<html>Too many"},
                                         {"", 3s, ""},
                                         {words.substr(0, 40), 3s, words.substr(0, 40)}}) {
    for (const WireForms& wire : wires()) {
      for (const bool stream : {false, true}) {
        CAPTURE(row.body, wire.name);
        ReplayedAnswer answer = json(row.body, 429);
        answer.stays_open = true;
        const ReplayedCall call = call_with(wire.provider, "Hi", answer, stream);
        REQUIRE_FALSE(call.result);
        CHECK(call.result.error().kind == ErrorKind::rate_limited);
        CHECK(call.result.error().http_status == 429);
        CHECK(call.result.error().provider_message == row.said);
        CHECK(call.elapsed == row.elapsed);
        CHECK(call.left_nothing);
      }
    }
  }
  const ReplayedCall zipped = call_with(gpt, "Hi", json(compressed(words, Coding::gzip), 429), false);
  CHECK(zipped.result.error().code == "rate_limit_exceeded");
  ReplayedAnswer endless = json(std::string(3 << 20, 'x'), 503);
  endless.stays_open = true;
  CHECK(call_with(gpt, "Hi", endless, false).result.error().kind == ErrorKind::overloaded);
}

TEST_CASE("a whole answer is one when its last bracket has come, though its body does not end") {
  for (const WireForms& wire : wires()) {
    for (const bool cut : {false, true}) {
      ReplayedAnswer answer = json(" " + wire.whole + "\n");
      answer.stays_open = !cut;
      answer.cut = cut;
      for (const bool stream : {false, true}) {
        CAPTURE(wire.name, cut, stream);
        const ReplayedCall call = call_with(wire.provider, "Hi", answer, stream);
        CHECK(text_of(call) == "Hello");
        CHECK(call.elapsed == (cut ? 0ms : 100ms));
        CHECK(call.left_nothing);
      }
    }
    ReplayedAnswer broken = json(wire.whole.substr(0, wire.whole.find("lo")));
    broken.cut = true;
    CHECK_FALSE(call_with(wire.provider, "Hi", broken, false).result);
  }
}

TEST_CASE("a body that decodes to more than an answer may have is refused") {
  ModelOptions small = options;
  small.answer_limits = {.bytes = 1 << 20, .stream_bytes = 1 << 20};
  const std::string blanks(64 << 20, ' ');
  for (const std::string& text : {"{" + blanks, "data: " + blanks, blanks}) {
    const ReplayedCall call = call_with(openai(small), "Hi", json(compressed(text, Coding::gzip)), false);
    REQUIRE_FALSE(call.result);
    CHECK(call.result.error().message.find("is larger than 1 MiB") != std::string::npos);
  }
  const std::string damaged =
      compressed(choice(R"("message":{"content":"Hello"})"), Coding::gzip).substr(0, 30) + "garbage garbage";
  CHECK(call_with(gpt, "Hi", json(damaged), false).result.error().kind == ErrorKind::malformed_response);
}

TEST_CASE("the words of an event or a body that is no JSON are the provider's message") {
  for (const WireForms& wire : wires()) {
    CAPTURE(wire.name);
    const auto words = [](const ReplayedCall& call) { return call.result.error().provider_message; };
    CHECK(words(streamed(wire.provider, event("upstream is down"))) == "upstream is down");
    CHECK(words(streamed(wire.provider, "upstream request timeout")) == "upstream request timeout");
    CHECK(words(plain(wire.provider, "upstream request timeout")) == "upstream request timeout");
    CHECK(words(plain(wire.provider, "\"out of order\"")) == "out of order");
    // Among lines of JSON a text that is none is read as one, too.
    const bool lines = wire.name == "ollama";
    CHECK(words(streamed(wire.provider, wire.half + (lines ? "\"out of order\"\n" : event("\"out of order\"")))) ==
          "out of order");
  }
}

}  // namespace foreign_shapes_test
