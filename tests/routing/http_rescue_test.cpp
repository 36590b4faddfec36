// What a client does about streams that break, over an adapter and its wire rather than over a scripted provider.

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/policies/single_flight.hpp"
#include "backstop/providers/openai.hpp"
#include "support/replayed_call.hpp"

namespace http_rescue_test {

using namespace backstop;
using namespace backstop::testing_support;
using namespace std::chrono_literals;

namespace {

enum class Breaks { connection, early_end, error_event };
constexpr std::array every_break{Breaks::connection, Breaks::early_end, Breaks::error_event};

std::string chunk(std::string_view text, std::string_view reason = "null") {
  return R"(data: {"choices":[{"index":0,"delta":{"content":")" + std::string{text} + R"("},"finish_reason":)" +
         std::string{reason} + "}]}\n\n";
}

ReplayedAnswer events(std::string body) {
  ReplayedAnswer answer;
  answer.headers = {{"content-type", "text/event-stream"}};
  answer.body = std::move(body);
  return answer;
}

ReplayedAnswer broken(Breaks how) {
  ReplayedAnswer answer = events(chunk("Once "));
  answer.splits = {answer.body.size()};
  if (how == Breaks::connection) answer.cut = true;
  if (how == Breaks::error_event) answer.body += "data: {\"error\":{\"message\":\"no more\",\"code\":500}}\n\n";
  return answer;
}

Provider at(std::string name) {
  return openai(
      {.model = "m", .api_key = "sk-secret-0123456789", .base_url = "http://" + name + ".test/v1", .name = name});
}

struct Asked {
  ReplayedCall call;
  int first;
  int second;
};

/// Asks a client of two targets, of which the first breaks after a first piece of text.
Asked ask(FallbackOptions options, Breaks how, bool stream, const Policy& around) {
  options.recovery.max_wait = 0s;
  int first = 0;
  int second = 0;
  const auto network = [&](const HttpRequest& request) {
    const bool to_first = request.url.find("first.test") != std::string::npos;
    ++(to_first ? first : second);
    if (to_first) return broken(how);
    if (stream) return events(chunk("Another") + chunk("", "\"stop\"") + "data: [DONE]\n\n");
    ReplayedAnswer answer;
    answer.headers = {{"content-type", "application/json"}};
    answer.body = R"({"choices":[{"message":{"content":"Another"},"finish_reason":"stop"}]})";
    return answer;
  };
  const FallbackClient client{{at("first") | around, at("second")}, options};
  ReplayedCall call = call_with(client, "Hi", network, stream);
  return {std::move(call), first, second};
}

std::string text_of(const ReplayedCall& call) {
  std::string text;
  for (const auto& event : call.events) {
    if (event.type == StreamEvent::Type::restarted) text += '|';
    text += event.delta;
  }
  return text;
}

}  // namespace

TEST_CASE("what a hold keeps back of an adapter's stream has not been delivered") {
  for (const Policy& around : {retry(), single_flight()}) {
    for (const Breaks how : every_break) {
      CAPTURE(static_cast<int>(how), around.describe());
      const Asked asked = ask({.hold = StreamHold{.tokens = 1000, .time = 1h}}, how, true, around);
      REQUIRE(asked.call.result);
      CHECK(asked.call.result->text() == "Another");
      CHECK(text_of(asked.call) == "Another");
      CHECK(asked.second == 1);
      CHECK(asked.call.left_nothing);
    }
  }
}

TEST_CASE("an adapter's stream that breaks is begun anew with restart, and fails with what was seen without") {
  for (const Breaks how : every_break) {
    CAPTURE(static_cast<int>(how));
    const Asked anew = ask({.mid_stream = MidStream::restart}, how, true, retry());
    REQUIRE(anew.call.result);
    CHECK(text_of(anew.call) == "Once |Another");
    const Asked failed = ask({}, how, true, retry());
    REQUIRE_FALSE(failed.call.result);
    CHECK(failed.call.result.error().kind == ErrorKind::stream_interrupted);
    CHECK(failed.call.result.error().committed);
    CHECK(failed.call.result.error().partial_text == "Once ");
    CHECK(failed.first == 1);
    CHECK(failed.second == 0);
  }
}

TEST_CASE("a plain call whose answer breaks goes on elsewhere, and what had come is not in its error") {
  for (const MidStream policy : {MidStream::fail, MidStream::restart, MidStream::resume}) {
    for (const Breaks how : every_break) {
      const Asked asked = ask({.mid_stream = policy}, how, false, retry({.max_attempts = 1}));
      REQUIRE(asked.call.result);
      CHECK(asked.call.result->text() == "Another");
    }
  }
  const Provider alone = at("first");
  const ReplayedCall call = call_with(alone, "Hi", broken(Breaks::connection), false);
  REQUIRE_FALSE(call.result);
  CHECK_FALSE(call.result.error().committed);
  CHECK(call.result.error().partial_text.empty());
}

}  // namespace http_rescue_test
