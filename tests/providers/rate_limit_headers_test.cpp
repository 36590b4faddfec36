#include "providers/failure/rate_limit_headers.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "backstop/providers/anthropic.hpp"
#include "backstop/providers/openai.hpp"
#include "backstop/testing/virtual_clock.hpp"
#include "support/replayed_call.hpp"

namespace rate_limit_headers_test {

using namespace backstop;
using namespace backstop::testing_support;
using namespace std::chrono_literals;

namespace {

using Window = RateLimitWindow;

// At 2026-01-01 00:00 UTC.
std::optional<RateLimitStatus> status_of(std::vector<Header> headers) {
  const testing::VirtualClock clock;
  HttpResponseHead head;
  head.status = 200;
  head.headers = std::move(headers);
  return detail::rate_limit_status(head, clock);
}

}  // namespace

TEST_CASE("OpenAI's limits, and those of all who write them so") {
  const auto status = status_of({{"x-ratelimit-limit-requests", "10000"},
                                 {"x-ratelimit-limit-tokens", "200000"},
                                 {"x-ratelimit-remaining-requests", "9999"},
                                 {"x-ratelimit-remaining-tokens", "199984"},
                                 {"x-ratelimit-reset-requests", "8.64s"},
                                 {"X-RateLimit-Reset-Tokens", "6m0s"}});
  REQUIRE(status);
  CHECK(status->requests == Window{10000, 9999, 8640ms});
  CHECK(status->tokens == Window{200000, 199984, 6min});
  CHECK_FALSE(status->input_tokens.known());
  CHECK_FALSE(status->output_tokens.known());
}

TEST_CASE("Anthropic's limits are told by date, input and output apart") {
  const auto status = status_of({{"date", "Thu, 01 Jan 2026 02:00:00 GMT"},
                                 {"anthropic-ratelimit-requests-limit", "50"},
                                 {"anthropic-ratelimit-requests-remaining", "49"},
                                 {"anthropic-ratelimit-requests-reset", "2026-01-01T02:00:01Z"},
                                 {"anthropic-ratelimit-tokens-remaining", "60000"},
                                 {"anthropic-ratelimit-input-tokens-limit", "50000"},
                                 {"anthropic-ratelimit-input-tokens-remaining", "0"},
                                 {"anthropic-ratelimit-input-tokens-reset", "2026-01-01T03:00:30+01:00"},
                                 {"anthropic-ratelimit-output-tokens-remaining", "10000"},
                                 {"anthropic-priority-input-tokens-remaining", "1"}});
  REQUIRE(status);
  CHECK(status->requests == Window{50, 49, 1s});
  CHECK(status->tokens == Window{{}, 60000, {}});
  CHECK(status->input_tokens == Window{50000, 0, 30s});
  CHECK(status->output_tokens == Window{{}, 10000, {}});
}

TEST_CASE("the limits of the other providers, each in its own words") {
  // Azure and GitHub: seconds, and less than nothing
  CHECK(status_of({{"x-ratelimit-remaining-tokens", "-27689"},
                   {"x-ratelimit-reset-tokens", "12"},
                   {"x-ratelimit-renewalperiod-tokens", "60"},
                   {"x-ratelimit-type", "Tokens"}})
            ->tokens == Window{{}, 0, 12s});
  // xAI and OpenRouter: moments, in seconds and in milliseconds
  CHECK(status_of({{"x-ratelimit-reset-tokens", "1767225660"}})->tokens == Window{{}, {}, 60s});
  CHECK(status_of({{"X-RateLimit-Limit", "20"}, {"X-RateLimit-Remaining", "0"}, {"X-RateLimit-Reset", "1767225607000"}})
            ->requests == Window{20, 0, 7s});
  // Cerebras: a day of requests, a minute of tokens
  const auto cerebras = status_of({{"x-ratelimit-limit-requests-day", "14400"},
                                   {"x-ratelimit-remaining-requests-day", "14399"},
                                   {"x-ratelimit-reset-requests-day", "33011.38"},
                                   {"x-ratelimit-remaining-tokens-minute", "59000"}});
  CHECK(cerebras->requests == Window{14400, 14399, 33011380ms});
  CHECK(cerebras->tokens == Window{{}, 59000, {}});
  // Together
  const auto together = status_of({{"x-ratelimit-limit", "10"},
                                   {"x-ratelimit-remaining", "9"},
                                   {"x-ratelimit-reset", "1"},
                                   {"x-tokenlimit-limit", "3000"},
                                   {"x-tokenlimit-remaining", "2990"}});
  CHECK(together->requests == Window{10, 9, 1s});
  CHECK(together->tokens == Window{3000, 2990, {}});
  // Fireworks
  const auto fireworks =
      status_of({{"x-ratelimit-limit-tokens-prompt", "60000"}, {"x-ratelimit-limit-tokens-generated", "6000"}});
  CHECK(fireworks->input_tokens == Window{60000, {}, {}});
  CHECK(fireworks->output_tokens == Window{6000, {}, {}});
  // Mistral, now and earlier
  const auto mistral = status_of({{"x-ratelimit-limit-req-minute", "300"},
                                  {"x-ratelimit-remaining-req-minute", "299"},
                                  {"x-ratelimit-limit-tokens-minute", "500000"},
                                  {"x-ratelimit-remaining-tokens-minute", "499950"},
                                  {"x-ratelimit-tokens-query-cost", "50"}});
  CHECK(mistral->requests == Window{300, 299, {}});
  CHECK(mistral->tokens == Window{500000, 499950, {}});
  CHECK(status_of({{"ratelimitbysize-limit", "500000"},
                   {"ratelimitbysize-remaining", "401381"},
                   {"ratelimitbysize-reset", "33"},
                   {"x-ratelimitbysize-remaining-month", "997438986"}})
            ->tokens == Window{500000, 401381, 33s});
  // Hugging Face
  CHECK(status_of({{"ratelimit", R"("api";r=999;t=295)"}, {"ratelimit-policy", R"("fixed window";"api";q=1000;w=300)"}})
            ->requests == Window{1000, 999, 295s});
}

TEST_CASE("every header of every limit is read for what it limits") {
  struct Limit {
    const char* prefix;
    const char* suffix;
    RateLimitWindow RateLimitStatus::*window;
  };
  const auto requests = &RateLimitStatus::requests;
  const auto tokens = &RateLimitStatus::tokens;
  const auto input_tokens = &RateLimitStatus::input_tokens;
  const auto output_tokens = &RateLimitStatus::output_tokens;
  for (const Limit& limit :
       {Limit{"x-ratelimit-", "-requests", requests}, Limit{"x-ratelimit-", "-tokens", tokens},
        Limit{"x-ratelimit-", "-project-tokens", tokens}, Limit{"anthropic-ratelimit-requests-", "", requests},
        Limit{"anthropic-ratelimit-tokens-", "", tokens}, Limit{"anthropic-ratelimit-input-tokens-", "", input_tokens},
        Limit{"anthropic-ratelimit-output-tokens-", "", output_tokens},
        Limit{"x-ratelimit-", "-requests-minute", requests}, Limit{"x-ratelimit-", "-requests-hour", requests},
        Limit{"x-ratelimit-", "-requests-day", requests}, Limit{"x-ratelimit-", "-tokens-minute", tokens},
        Limit{"x-ratelimit-", "-tokens-hour", tokens}, Limit{"x-ratelimit-", "-tokens-day", tokens},
        Limit{"x-ratelimit-", "-req-minute", requests}, Limit{"x-ratelimitbysize-", "-minute", tokens},
        Limit{"x-ratelimitbysize-", "-month", tokens}, Limit{"ratelimitbysize-", "", tokens},
        Limit{"x-ratelimit-", "-tokens-prompt", input_tokens},
        Limit{"x-ratelimit-", "-tokens-generated", output_tokens}, Limit{"x-ratelimit-", "", requests},
        Limit{"x-tokenlimit-", "", tokens}, Limit{"ratelimit-", "", requests}}) {
    const auto name = [&limit](const char* field) { return std::string{limit.prefix} + field + limit.suffix; };
    CAPTURE(name("limit"));
    RateLimitStatus expected;
    expected.*limit.window = Window{100, 7, 3s};
    CHECK(status_of({{name("limit"), "100"}, {name("remaining"), "7"}, {name("reset"), "3"}}) == expected);
  }
}

TEST_CASE("of limits of which as much is left, or nothing is told, the smaller one counts") {
  CHECK(status_of({{"x-ratelimit-limit-tokens-minute", "6000"}, {"x-ratelimit-limit-tokens-day", "100000"}})->tokens ==
        Window{6000, {}, {}});
  CHECK(status_of({{"x-ratelimit-limit-tokens-minute", "100000"}, {"x-ratelimit-limit-tokens-day", "6000"}})->tokens ==
        Window{6000, {}, {}});
  CHECK(status_of({{"x-ratelimit-limit-tokens-minute", "6000"},
                   {"x-ratelimit-remaining-tokens-minute", "5"},
                   {"x-ratelimit-limit-tokens-day", "100"},
                   {"x-ratelimit-remaining-tokens-day", "5"}})
            ->tokens == Window{100, 5, {}});
}

TEST_CASE("of several limits of one kind the tightest counts, whole") {
  const auto status = status_of({{"x-ratelimit-limit-tokens", "150000"},
                                 {"x-ratelimit-remaining-tokens", "140000"},
                                 {"x-ratelimit-reset-tokens", "1ms"},
                                 {"x-ratelimit-limit-project-tokens", "90000"},
                                 {"x-ratelimit-remaining-project-tokens", "12"},
                                 {"x-ratelimit-reset-project-tokens", "40s"}});
  REQUIRE(status);
  CHECK(status->tokens == Window{90000, 12, 40s});
}

TEST_CASE("hostile values are dropped, and the rest stands", "[scenario-38]") {
  const std::string digits(400, '9');
  for (const std::string& value : {std::string{}, digits, std::string{"nan"}, std::string{"inf"}, std::string{"1e9"},
                                   std::string{"0x10"}, std::string{"9999999999999999999"}, std::string{"--1"},
                                   std::string{"-"}, std::string{"12 apples"}, std::string{"\xFF\xFE"}}) {
    CAPTURE(value);
    CHECK_FALSE(status_of({{"x-ratelimit-remaining-requests", value}, {"x-ratelimit-limit-requests", value}}));
    CHECK(status_of({{"x-ratelimit-remaining-requests", value}, {"x-ratelimit-remaining-tokens", "5"}})->tokens ==
          Window{{}, 5, {}});
  }
  for (const std::string& value : {std::string{"-5"}, std::string{"1 fortnight"}, std::string{"800h"}, digits,
                                   std::string{"1767225600"}, std::string{"2015-01-01T00:00:00Z"}}) {
    CAPTURE(value);
    CHECK_FALSE(status_of({{"x-ratelimit-reset-requests", value}}));
  }
  CHECK_FALSE(status_of({{"x-ratelimit-limit-requests", "-5"}}));
  CHECK_FALSE(status_of({{"x-ratelimit-limit-requests", std::string(64, '0') + "5"}}));
  CHECK(status_of({{"x-ratelimit-limit-requests", std::string(63, '0') + "5"}})->requests == Window{5, {}, {}});
}

TEST_CASE("other headers say nothing of limits") {
  CHECK_FALSE(status_of({}));
  CHECK_FALSE(status_of({{"content-type", "application/json"},
                         {"x-request-id", "limit-limit"},
                         {"retry-after", "3"},
                         {"x", "1"},
                         {"anthropic-organization-id", "7"},
                         {"x-ratelimit-key", "redacted"},
                         {"x-ratelimit-abusepenalty-active", "False"},
                         {"x-ratelimit-limit-input-images", "5"},
                         {"ratelimitless", "1"}}));
}

TEST_CASE("what an answer told of the limits stands in its row, for successes and failures") {
  ReplayedAnswer answer;
  answer.headers = {{"content-type", "application/json"}, {"x-ratelimit-remaining-requests", "1"}};
  answer.body = R"({"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]})";
  const Provider gpt = openai({.model = "gpt-4o", .api_key = "key", .base_url = "http://replayed.test/v1"});
  const ReplayedCall good = call_with(gpt, "Hi", answer, false);
  REQUIRE(good.result);
  REQUIRE(good.result->attempts.size() == 1);
  REQUIRE(good.result->attempts[0].rate_limit);
  CHECK(good.result->attempts[0].rate_limit->requests == Window{{}, 1, {}});

  answer.status = 429;
  answer.headers = {{"anthropic-ratelimit-output-tokens-remaining", "0"},
                    {"anthropic-ratelimit-output-tokens-reset", "2026-01-01T00:00:20Z"}};
  answer.body = R"({"type":"error","error":{"type":"rate_limit_error","message":"slow down"}})";
  const Provider claude = anthropic({.model = "claude-sonnet-5", .api_key = "key", .base_url = "http://replayed.test"});
  const ReplayedCall bad = call_with(claude, "Hi", answer, true);
  REQUIRE_FALSE(bad.result);
  REQUIRE(bad.result.error().attempts.size() == 1);
  REQUIRE(bad.result.error().attempts[0].rate_limit);
  CHECK(bad.result.error().attempts[0].rate_limit->output_tokens == Window{{}, 0, 20s});

  answer.headers = {};
  const ReplayedCall silent = call_with(claude, "Hi", answer, true);
  REQUIRE_FALSE(silent.result);
  CHECK_FALSE(silent.result.error().attempts[0].rate_limit);
}

}  // namespace rate_limit_headers_test
