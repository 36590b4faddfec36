#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "backstop/policies/retry.hpp"
#include "backstop/policies/timeout.hpp"
#include "backstop/providers/anthropic.hpp"
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
      const ReplayedCall by_gpt = streamed(gpt, half + finish(quoted) + done);
      const ReplayedCall by_claude = streamed(
          claude, event(R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Half of"}})") +
                      event(R"({"type":"message_delta","delta":{"stop_reason":)" + quoted + "}}") +
                      event(R"({"type":"message_stop"})"));
      const ReplayedCall by_sol = streamed(
          sol, event(R"({"type":"response.output_text.delta","output_index":0,"delta":"Half of"})") +
                   event(R"({"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":)" +
                         quoted + "}}}"));
      for (const ReplayedCall* call : {&by_gpt, &by_claude, &by_sol}) {
        if (row.means == FinishWord::Means::failure) {
          CHECK(call->result.error().kind == ErrorKind::stream_interrupted);
          CHECK(call->result.error().code == word);
          CHECK(call->result.error().partial_text == "Half of");
        } else {
          REQUIRE(call->result);
          const bool nothing = row.means == FinishWord::Means::nothing;
          // It is incomplete, for whatever reason.
          const auto none = call == &by_sol ? std::optional{FinishReason::other} : std::nullopt;
          CHECK(call->result->finish_reason == (nothing ? none : std::optional{row.reason}));
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
}

TEST_CASE("comments and blanks behind a complete answer do not hold the call") {
  std::string pings;
  for (int i = 0; i < 50; ++i) pings += ": ping\n\n";
  for (const bool whole : {false, true}) {
    ReplayedAnswer answer = whole ? json(choice(R"("message":{"content":"Half of"})") + std::string(5000, ' '))
                                  : body(half + finish(R"("stop")") + pings);
    answer.stays_open = true;
    for (std::size_t at = 100; at < answer.body.size(); at += 9) answer.splits.push_back(at);
    const ReplayedCall call = call_with(gpt, "Hi", answer, !whole);
    CHECK(text_of(call) == "Half of");
    CHECK(call.elapsed == (whole ? 100ms : 5s));
    CHECK(call.left_nothing);
  }
}

TEST_CASE("a filter's word with nothing said is a filtered answer, sent once") {
  const ReplayedCall call = call_with(gpt | retry({.max_attempts = 3}), "Hi",
                                      json(choice(R"("message":{"content":""},"finish_reason":"sensitive")")), false);
  CHECK(call.result.error().kind == ErrorKind::content_filtered);
  CHECK(call.requests.size() == 1);
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
    for (const Provider* provider : {&gpt, &claude, &sol}) {
      const ReplayedCall whole = plain(*provider, text);
      for (const ReplayedCall* call : {&whole}) {
        REQUIRE_FALSE(call->result);
        const Error& error = call->result.error();
        CHECK(error.kind == row.kind);
        CHECK(error.provider_message == row.words);
        CHECK(error.code == row.code);
        CHECK(error.http_status == 200);
      }
    }
    CHECK(streamed(gpt, event(text)).result.error().kind == row.kind);
    CHECK(streamed(gpt, event(text)).result.error().provider_message == row.words);
  }
  const std::string fine = R"("choices":[{"message":{"content":"Fine."},"finish_reason":"stop"}])";
  for (const std::string_view beside :
       {R"("base_resp":{"status_code":0,"status_msg":""})", R"("code":200,"msg":"ok")",
        R"("success":true,"code":0,"msg":"")", R"("code":"success","message":"ok")", R"("success":false)"}) {
    CAPTURE(beside);
    CHECK(text_of(plain(gpt, "{" + fine + "," + std::string{beside} + "}")) == "Fine.");
  }
  CHECK(plain(gpt, R"({"message":"nothing for you"})").result.error().provider_message == "nothing for you");
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
  const std::string whole = choice(R"("message":{"content":"Hello"},"finish_reason":"stop")");
  const std::string events = delta(R"("content":"Hel")") + delta(R"("content":"lo")") + finish(R"("stop")") + done;
  const std::string claudes =
      R"({"type":"message","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn"})";
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
  const std::vector<std::string> claude_bodies{
      claudes, event(claudes), "event: message\n" + event(claudes), "\n" + claudes,
      event(R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}})") +
          event(R"({"type":"message_stop"})")};
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
  for (const std::string& text : claude_bodies) check(claude, text);
  // A piece of a stream that came alone is no whole answer.
  CHECK_FALSE(plain(gpt, R"({"choices":[{"delta":{"content":"Hel"}}]})").result);
}

TEST_CASE("a request says whether a stream is wanted, and what can be decoded") {
  for (const Provider* provider : {&gpt, &claude}) {
    for (const bool stream : {false, true}) {
      const ReplayedCall call = call_with(*provider, "Hi", json("{}"), stream);
      const HttpRequest& request = call.requests.at(0);
      CHECK(request.body.find(stream ? R"("stream":true)" : R"("stream":false)") != std::string::npos);
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
    for (const bool stream : {false, true}) {
      CAPTURE(row.body);
      ReplayedAnswer answer = json(row.body, 429);
      answer.stays_open = true;
      const ReplayedCall call = call_with(gpt, "Hi", answer, stream);
      REQUIRE_FALSE(call.result);
      CHECK(call.result.error().kind == ErrorKind::rate_limited);
      CHECK(call.result.error().http_status == 429);
      CHECK(call.result.error().provider_message == row.said);
      CHECK(call.elapsed == row.elapsed);
      CHECK(call.left_nothing);
    }
  }
  const ReplayedCall zipped = call_with(gpt, "Hi", json(compressed(words, Coding::gzip), 429), false);
  CHECK(zipped.result.error().code == "rate_limit_exceeded");
  ReplayedAnswer endless = json(std::string(3 << 20, 'x'), 503);
  endless.stays_open = true;
  CHECK(call_with(gpt, "Hi", endless, false).result.error().kind == ErrorKind::overloaded);
}

TEST_CASE("a whole answer is one when its last bracket has come, though its body does not end") {
  for (const bool cut : {false, true}) {
    ReplayedAnswer answer = json(" " + choice(R"("message":{"content":"Hello"})") + "\n");
    answer.stays_open = !cut;
    answer.cut = cut;
    for (const bool stream : {false, true}) {
      const ReplayedCall call = call_with(gpt, "Hi", answer, stream);
      CHECK(text_of(call) == "Hello");
      CHECK(call.elapsed == (cut ? 0ms : 100ms));
      CHECK(call.left_nothing);
    }
  }
  ReplayedAnswer broken = json(R"({"choices":[{"message":{"content":"Hel)");
  broken.cut = true;
  CHECK_FALSE(call_with(gpt, "Hi", broken, false).result);
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
  CHECK(streamed(gpt, event("upstream is down")).result.error().provider_message == "upstream is down");
  CHECK(streamed(gpt, "upstream request timeout").result.error().provider_message == "upstream request timeout");
  CHECK(plain(gpt, "upstream request timeout").result.error().provider_message == "upstream request timeout");
  CHECK(plain(gpt, "\"out of order\"").result.error().provider_message == "out of order");
  CHECK(streamed(gpt, half + event("\"out of order\"")).result.error().provider_message == "out of order");
}

}  // namespace foreign_shapes_test
