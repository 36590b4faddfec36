#include "providers/failure/retry_hints.hpp"

#include <chrono>
#include <string>
#include <string_view>

#include <catch2/catch_test_macros.hpp>

#include "text/duration.hpp"

namespace retry_hints_test {

using namespace backstop;
using namespace backstop::detail;
using namespace std::chrono_literals;

namespace {

// 2026-01-01 00:00:00 UTC
const WallTime now{std::chrono::seconds{1'767'225'600}};

std::optional<Duration> hint(std::vector<Header> headers, std::string message = {}, WallTime at = now) {
  HttpResponseHead head;
  head.status = 429;
  head.headers = std::move(headers);
  ProviderFailure failure;
  failure.message = std::move(message);
  return retry_hint(head, failure, at);
}

std::optional<Duration> milliseconds(double count) { return Duration{static_cast<std::int64_t>(count * 1e6)}; }

}  // namespace

TEST_CASE("retry-after counts seconds, whole or with a fraction", "[scenario-34][scenario-36]") {
  CHECK(hint({{"retry-after", "2"}}) == 2s);
  CHECK(hint({{"Retry-After", "1.5"}}) == 1500ms);
  CHECK(hint({{"retry-after", " 7.66 "}}) == 7660ms);
  CHECK(hint({{"retry-after", "121"}}) == 121s);
}

TEST_CASE("retry-after-ms is finer and goes first", "[scenario-35]") {
  CHECK(hint({{"retry-after", "9"}, {"retry-after-ms", "1500"}}) == 1500ms);
  CHECK(hint({{"retry-after", "9"}, {"x-ms-retry-after-ms", "250.5"}}) == 250500us);
  CHECK(hint({{"retry-after", "9"}, {"retry-after-ms", "soon"}}) == 9s);
}

TEST_CASE("a date is taken against the server's own clock", "[scenario-37]") {
  const std::string at = "Thu, 01 Jan 2026 00:00:03 GMT";
  const Header date{"date", "Thu, 01 Jan 2026 00:00:00 GMT"};
  CHECK(hint({{"retry-after", at}, date}) == 3s);
  CHECK(hint({{"retry-after", at}, date}, {}, now + 1h) == 3s);
  CHECK(hint({{"retry-after", at}, date}, {}, now - 1h) == 3s);
  CHECK(hint({{"retry-after", at}}) == 3s);
}

TEST_CASE("dates in the three forms of HTTP") {
  const WallTime at{std::chrono::seconds{784'111'777}};
  CHECK(parse_date("Sun, 06 Nov 1994 08:49:37 GMT") == at);
  CHECK(parse_date("Sunday, 06-Nov-94 08:49:37 GMT") == at);
  CHECK(parse_date("Sun Nov  6 08:49:37 1994") == at);
  CHECK(parse_date("1994-11-06T08:49:37Z") == at);
  CHECK(parse_date("1994-11-06T09:49:37.25+01:00") == at);
  for (const std::string_view text : {"", "Sun", "Sun, 99 Nov 1994 08:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 25:49:37 GMT", "Sun, 06 Nov 9999 08:49:37 GMT",
                                      "1994-13-06T08:49:37Z", "1994-11-06T08:49:37", "1994-11-06T08:49:37.Q", ", "}) {
    CAPTURE(text);
    CHECK_FALSE(parse_date(text));
  }
}

TEST_CASE("values that are no wait are passed over", "[scenario-38]") {
  const std::string digits(400, '9');
  const std::vector<std::string> values{"Thu, 01 Jan 2015 00:00:00 GMT", "0", "-5", "nan", "inf", "", "abc", digits, "1e9",
                                        "0x10", "+3", "99999999999", "1.5.2", "\xFF\xFE"};
  for (const std::string& value : values) {
    CAPTURE(value);
    CHECK_FALSE(hint({{"retry-after", value}}));
    CHECK_FALSE(hint({{"x-ratelimit-reset", value}}));
  }
  CHECK_FALSE(hint({{"retry-after-ms", digits}}));
}

TEST_CASE("reset headers in every shape", "[scenario-46]") {
  CHECK(parse_reset("6m0s", now) == 360s);
  CHECK(parse_reset("120ms", now) == 120ms);
  CHECK(parse_reset("16m33.562s", now) == 993562ms);
  CHECK(parse_reset("1s", now) == 1s);
  CHECK(parse_reset("2m52.8s", now) == 172800ms);
  CHECK(parse_reset("12", now) == 12s);
  CHECK(parse_reset("33011.38", now) == milliseconds(33011380));
  CHECK(parse_reset("2026-01-01T00:05:00Z", now) == 300s);
  CHECK(parse_reset("2026-01-01T01:05:00+01:00", now) == 300s);
  CHECK(parse_reset("1767225660", now) == 60s);
  CHECK(parse_reset("1767225660000", now) == 60s);
  CHECK_FALSE(parse_reset("0s", now));
  CHECK_FALSE(parse_reset("1767225600", now));
  CHECK_FALSE(parse_reset("1 fortnight", now));
  CHECK_FALSE(parse_reset("99999999999999999999999999", now));
}

TEST_CASE("the reset of a used-up limit counts, not that of another") {
  CHECK(hint({{"x-ratelimit-remaining-requests", "0"},
              {"x-ratelimit-reset-requests", "2s"},
              {"x-ratelimit-remaining-tokens", "500"},
              {"x-ratelimit-reset-tokens", "1h"}}) == 2s);
  CHECK(hint({{"anthropic-ratelimit-tokens-remaining", "0"}, {"anthropic-ratelimit-tokens-reset", "2026-01-01T00:00:30Z"}}) ==
        30s);
  CHECK(hint({{"X-RateLimit-Remaining", "-3"}, {"X-RateLimit-Reset", "1767225607000"}}) == 7s);
}

TEST_CASE("without a used-up limit the latest reset counts, after the words of the message") {
  const std::vector<Header> resets{{"x-ratelimit-reset-requests", "2s"}, {"x-ratelimit-reset-tokens", "8s"}};
  CHECK(hint(resets) == 8s);
  CHECK(hint(resets, "Please try again in 6ms.") == 6ms);
}

TEST_CASE("Azure's token window counts when the tokens are used up") {
  CHECK(hint({{"retry-after", "1"}, {"x-ratelimit-remaining-tokens", "-27689"}, {"x-ratelimit-renewalperiod-tokens", "60"}}) ==
        60s);
  CHECK(hint({{"retry-after", "1"}, {"x-ratelimit-remaining-tokens", "10"}, {"x-ratelimit-renewalperiod-tokens", "60"}}) ==
        1s);
}

TEST_CASE("waits in the words of a message") {
  CHECK(hint({}, "Rate limit reached (TPM): Limit 7000. Please try again in 50.597142857s. Visit https://x.test") ==
        50597142857ns);
  CHECK(hint({}, "Please try again in 1m0.363142857s.") == 60363142857ns);
  CHECK(hint({}, "Please try again in 114h18m0s.") == 114h + 18min);
  CHECK(hint({}, "Rate limit is exceeded. Try again in 2 seconds.") == 2s);
  CHECK(hint({}, "Please wait 52220 seconds before retrying") == 52220s);
  CHECK(hint({}, "Please retry in 34.074824224s.") == 34074824224ns);
  CHECK(hint({}, "Please retry after 86400 seconds.") == 24h);
  CHECK_FALSE(hint({}, "Please try again later."));
  CHECK_FALSE(hint({}, "Please wait for your turn."));
}

TEST_CASE("each phrase for a wait is known, beside a rate limit and beside an overload") {
  for (const int status : {429, 503, 500, 400}) {
    for (const char* phrase : {"Try again in 4 seconds", "Please retry in 4s", "please try again after 4 seconds",
                               "Retry after 4 seconds.", "Please wait 4 seconds"}) {
      CAPTURE(status, phrase);
      HttpResponseHead head;
      head.status = status;
      ProviderFailure failure;
      failure.message = phrase;
      CHECK(retry_hint(head, failure, now).has_value() == (status == 429 || status == 503));
      failure.quotes_body = true;  // a page, not an error of the provider's
      CHECK_FALSE(retry_hint(head, failure, now));
    }
  }
}

TEST_CASE("the body's own delay goes before the words and after the headers") {
  HttpResponseHead head;
  ProviderFailure failure;
  failure.message = "Please retry in 40s.";
  failure.retry_after = 34s;
  CHECK(retry_hint(head, failure, now) == 34s);
  head.headers = {{"retry-after", "3"}};
  CHECK(retry_hint(head, failure, now) == 3s);
}

TEST_CASE("durations as servers write them") {
  CHECK(parse_duration("34.4s") == 34400ms);
  CHECK(parse_duration("900ms") == 900ms);
  CHECK(parse_duration("0.6ns") == 1ns);
  CHECK_FALSE(parse_duration("0.2ns"));  // nothing, as it is rounded
  CHECK(parse_duration("1.5") == 1500ms);
  CHECK(parse_duration("2 minutes") == 2min);
  CHECK(parse_duration("1h2m3s") == 1h + 2min + 3s);
  CHECK(parse_duration("250us") == 250us);
  CHECK_FALSE(parse_duration("s"));
  CHECK_FALSE(parse_duration("1x"));
  CHECK_FALSE(parse_duration("-1s"));
  CHECK_FALSE(parse_duration("800h"));
}

TEST_CASE("every unit of a duration is known, in any case, with a blank before it or without") {
  struct Unit {
    const char* name;
    Duration span;
  };
  for (const Unit& unit :
       {Unit{"milliseconds", 1ms}, Unit{"millisecond", 1ms}, Unit{"ms", 1ms}, Unit{"us", 1us}, Unit{"\xC2\xB5s", 1us},
        Unit{"ns", 1ns}, Unit{"seconds", 1s}, Unit{"second", 1s}, Unit{"secs", 1s}, Unit{"sec", 1s}, Unit{"s", 1s},
        Unit{"SEC", 1s}, Unit{"minutes", 1min}, Unit{"minute", 1min}, Unit{"mins", 1min}, Unit{"min", 1min},
        Unit{"m", 1min}, Unit{"hours", 1h}, Unit{"hour", 1h}, Unit{"hrs", 1h}, Unit{"hr", 1h}, Unit{"h", 1h},
        Unit{"days", 24h}, Unit{"day", 24h}, Unit{"d", 24h}, Unit{"Days", 24h}}) {
    CAPTURE(unit.name);
    CHECK(parse_duration(std::string{"3"} + unit.name) == 3 * unit.span);
    CHECK(parse_duration(std::string{"3 "} + unit.name) == 3 * unit.span);
    CHECK(leading_duration(std::string{"3 "} + unit.name + ", please") == 3 * unit.span);
  }
}

TEST_CASE("a duration at the beginning of a sentence ends with its last unit") {
  CHECK(leading_duration("1m12.5s. Visit us") == 72500ms);
  CHECK(leading_duration("2m 30 requests") == 2min);
  CHECK(leading_duration("20, or later") == 20s);
  CHECK(leading_duration("3 more times") == 3s);  // no minutes
  CHECK_FALSE(parse_duration("2m 30"));
  CHECK_FALSE(parse_duration("3 months"));
  CHECK_FALSE(leading_duration("a while"));
}

TEST_CASE("the longest duration that is believed is 31 days") {
  CHECK(parse_duration("744h") == 744h);
  CHECK_FALSE(parse_duration("744h1s"));
  CHECK(believable_seconds(1e-3) == 1ms);
  CHECK_FALSE(believable_seconds(0));
}

TEST_CASE("x-should-retry is true, false or not there") {
  HttpResponseHead head;
  CHECK_FALSE(should_retry_hint(head));
  head.headers = {{"X-Should-Retry", "TRUE"}};
  CHECK(should_retry_hint(head) == true);
  head.headers = {{"x-should-retry", "false"}};
  CHECK(should_retry_hint(head) == false);
  head.headers = {{"x-should-retry", "perhaps"}};
  CHECK_FALSE(should_retry_hint(head));
}

}  // namespace retry_hints_test
