#include "retry_hints.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <string>

#include "provider_quirks.hpp"
#include "text/duration.hpp"
#include "text/ascii.hpp"

namespace backstop::inline v0::detail {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

// A number of exactly that many digits at that place; -1 when there is none.
int digits_at(std::string_view text, std::size_t at, std::size_t count) noexcept {
  if (text.size() < at + count) return -1;
  int value = 0;
  for (const char c : text.substr(at, count)) {
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  return value;
}

struct Parts {
  int year = -1;
  int month = -1;
  int day = -1;
  int hour = -1;
  int minute = -1;
  int second = -1;
};

std::optional<WallTime> instant(const Parts& parts) noexcept {
  const std::chrono::year_month_day date{std::chrono::year{parts.year},
                                         std::chrono::month{static_cast<unsigned>(parts.month)},
                                         std::chrono::day{static_cast<unsigned>(parts.day)}};
  const bool time_of_day = parts.hour >= 0 && parts.hour < 24 && parts.minute >= 0 && parts.minute < 60 &&
                           parts.second >= 0 && parts.second <= 60;
  if (parts.year < 1970 || parts.year > 2200 || parts.month < 0 || parts.day < 0 || !date.ok() || !time_of_day) {
    return std::nullopt;
  }
  return WallTime{std::chrono::sys_days{date}} + hours{parts.hour} + minutes{parts.minute} + seconds{parts.second};
}

void read_clock(std::string_view text, std::size_t at, Parts& parts) noexcept {
  if (text.size() < at + 8 || text[at + 2] != ':' || text[at + 5] != ':') return;
  parts.hour = digits_at(text, at, 2);
  parts.minute = digits_at(text, at + 3, 2);
  parts.second = digits_at(text, at + 6, 2);
}

int month_at(std::string_view text, std::size_t at) noexcept {
  constexpr std::string_view names = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (text.size() < at + 3) return -1;
  const std::size_t found = names.find(text.substr(at, 3));
  return found == std::string_view::npos || found % 3 != 0 ? -1 : static_cast<int>(found / 3) + 1;
}

// 2026-09-27T12:05:00Z, with a fraction or an offset too.
std::optional<WallTime> rfc3339(std::string_view text) noexcept {
  if (text.size() < 20 || text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != 't')) return std::nullopt;
  Parts parts{digits_at(text, 0, 4), digits_at(text, 5, 2), digits_at(text, 8, 2)};
  read_clock(text, 11, parts);
  std::size_t zone = 19;
  if (text[zone] == '.') {
    zone = text.find_first_not_of("0123456789", zone + 1);
    if (zone == std::string_view::npos) return std::nullopt;
  }
  std::optional<WallTime> at = instant(parts);
  const std::string_view offset = text.substr(zone);
  if (!at || offset == "Z" || offset == "z") return at;
  const int ahead_hours = digits_at(offset, 1, 2);
  const int ahead_minutes = digits_at(offset, 4, 2);
  if (offset.size() != 6 || offset[3] != ':' || ahead_hours < 0 || ahead_minutes < 0) return std::nullopt;
  const minutes ahead = hours{ahead_hours} + minutes{ahead_minutes};
  if (offset[0] == '+') return *at - ahead;
  if (offset[0] == '-') return *at + ahead;
  return std::nullopt;
}

std::optional<WallTime> http_date(std::string_view text) noexcept {
  const std::size_t comma = text.find(", ");
  Parts parts;
  if (comma == 3) {  // Sun, 06 Nov 1994 08:49:37 GMT
    parts = {digits_at(text, 12, 4), month_at(text, 8), digits_at(text, 5, 2)};
    read_clock(text, 17, parts);
  } else if (comma != std::string_view::npos) {  // Sunday, 06-Nov-94 08:49:37 GMT
    const std::string_view rest = text.substr(comma + 2);
    const int year = digits_at(rest, 7, 2);
    parts = {year < 0 ? -1 : year < 70 ? 2000 + year : 1900 + year, month_at(rest, 3), digits_at(rest, 0, 2)};
    read_clock(rest, 10, parts);
  } else {  // Sun Nov  6 08:49:37 1994
    const int day = text.size() > 8 && text[8] == ' ' ? digits_at(text, 9, 1) : digits_at(text, 8, 2);
    parts = {digits_at(text, 20, 4), month_at(text, 4), day};
    read_clock(text, 11, parts);
  }
  return instant(parts);
}

std::optional<Duration> until(WallTime at, WallTime now) noexcept {
  const Duration span = at - now;
  if (span <= Duration::zero() || span > longest_wait) return std::nullopt;
  return span;
}

std::optional<Duration> retry_after_header(const HttpResponseHead& head, WallTime now) noexcept {
  for (const std::string_view name : wait_headers_in_milliseconds) {
    const std::optional<double> milliseconds = parse_decimal(head.header(name));
    if (!milliseconds) continue;
    if (const auto span = believable_seconds(*milliseconds / 1000)) return span;
  }
  const std::string_view value = head.header("retry-after");
  if (const std::optional<double> count = parse_decimal(value)) return believable_seconds(*count);
  if (const std::optional<WallTime> date = parse_date(value)) return until(*date, server_now(head, now));
  return std::nullopt;
}

// Nothing left, or less than nothing.
bool is_used_up(std::string_view remaining) noexcept {
  return remaining.starts_with('-') || parse_decimal(remaining) == 0.0;
}

// `x-ratelimit-reset-tokens`, `anthropic-ratelimit-tokens-reset`, `x-ratelimit-reset`; the name with `remaining` in
// the place of `reset` is that of the same limit.
std::optional<Duration> latest_reset(const HttpResponseHead& head, WallTime now, bool only_used_up) {
  std::optional<Duration> latest;
  for (const Header& header : head.headers) {
    std::string name = lower_case(header.first);
    const std::size_t reset = name.find("reset");
    if (reset == std::string::npos || name.find("ratelimit") == std::string::npos) continue;
    if (only_used_up && !is_used_up(head.header(name.replace(reset, 5, "remaining")))) continue;
    const std::optional<Duration> span = parse_reset(header.second, server_now(head, now));
    if (span && (!latest || *span > *latest)) latest = span;
  }
  return latest;
}

// The longest wait for a limit that is used up, whatever `retry-after` speaks of.
std::optional<Duration> longest_renewal(const HttpResponseHead& head) {
  std::optional<Duration> longest;
  for (const RenewalHeader& header : renewal_headers) {
    if (is_used_up(head.header(header.remaining))) longest = std::max(longest, parse_duration(head.header(header.renewal)));
  }
  return longest;
}

// Letters and digits only, in lower case, however the text was wrapped, spaced or written as JSON.
std::string condensed(std::string_view text) {
  std::string bare;
  bare.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char letter = to_lower(text[at]);
    if (letter == '\\') ++at;
    if ((letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9')) bare += letter;
  }
  return bare;
}

// A wait that the message asks for in words which the request does not hold.
std::optional<Duration> hint_in_words(std::string_view message, std::string_view request_body) {
  constexpr std::size_t searched = 4096;
  int most_comparisons = 8;  // each reads the whole request
  const std::string lower = lower_case(message.substr(0, searched));
  std::optional<std::string> request;
  for (const std::string_view phrase : wait_phrases) {
    for (std::size_t at = lower.find(phrase); at != std::string::npos; at = lower.find(phrase, at + 1)) {
      const std::size_t number = at + phrase.size();
      const auto span = leading_duration(std::string_view{lower}.substr(number));
      if (!span) continue;
      if (most_comparisons-- == 0) return std::nullopt;
      if (!request) request = condensed(request_body);
      const std::size_t end = std::min(lower.find_first_not_of("0123456789.", number), lower.size());
      if (request->find(condensed(std::string_view{lower}.substr(at, end - at))) == std::string::npos) return span;
    }
  }
  return std::nullopt;
}

bool may_tell_in_words(const HttpResponseHead& head, const ProviderFailure& failure) noexcept {
  const bool in_answer = head.status >= 200 && head.status < 300;
  const int status = in_answer ? failure.http_status : head.status;
  return (status == 429 || status == 503) && !failure.quotes_body;
}

}  // namespace

std::optional<WallTime> parse_date(std::string_view text) noexcept {
  text = trim(text);
  if (const auto at = rfc3339(text)) return at;
  return http_date(text);
}

WallTime server_now(const HttpResponseHead& head, WallTime now) noexcept {
  return parse_date(head.header("date")).value_or(now);
}

// The shapes. A number is, by its size: seconds from now (Azure, recorded by traceloop/openllmetry; Cerebras docs, rate
// limits), seconds since 1970 (xAI, in d3ara1n/pi-extensions, builtin.ts), or milliseconds since then (OpenRouter,
// everruns/everruns#2280). Else it is a date (Anthropic docs, rate limits) or a duration like `6m0s` (OpenAI docs, rate
// limits).
std::optional<Duration> parse_reset(std::string_view text, WallTime now) noexcept {
  if (const std::optional<double> number = parse_decimal(text)) {
    if (*number < 1e9) return believable_seconds(*number);
    const double epoch_seconds = *number >= 1e12 ? *number / 1000 : *number;
    return believable_seconds(epoch_seconds - std::chrono::duration<double>{now.time_since_epoch()}.count());
  }
  if (const std::optional<WallTime> date = rfc3339(trim(text))) return until(*date, now);
  return parse_duration(text);
}

std::optional<Duration> retry_hint(const HttpResponseHead& head, const ProviderFailure& failure, WallTime now,
                                   std::string_view request_body) {
  if (auto span = retry_after_header(head, now)) {
    if (const auto renewal = longest_renewal(head)) span = std::max(*span, *renewal);
    return span;
  }
  if (failure.retry_after) return failure.retry_after;
  if (const auto span = latest_reset(head, now, true)) return span;
  if (may_tell_in_words(head, failure)) {
    if (const auto span = hint_in_words(failure.message, request_body)) return span;
  }
  return latest_reset(head, now, false);
}

std::optional<bool> should_retry_hint(const HttpResponseHead& head) noexcept {
  const std::string_view value = trim(head.header("x-should-retry"));
  if (equal_ignoring_case(value, "true")) return true;
  if (equal_ignoring_case(value, "false")) return false;
  return std::nullopt;
}

}  // namespace backstop::inline v0::detail
