#include "fuzz/targets.hpp"
#include "providers/failure/retry_hints.hpp"
#include "providers/wire/base64.hpp"
#include "providers/wire/foreign_text.hpp"
#include "text/duration.hpp"

namespace backstop::fuzz {
namespace {

void check_span(std::optional<std::chrono::nanoseconds> span) {
  require(!span || (*span > std::chrono::nanoseconds{0} && *span <= detail::longest_wait), "a span is not believable");
}

}  // namespace

/// The small texts in headers and messages: spans, dates, numbers, base64.
void texts(std::string_view bytes) {
  check_span(detail::parse_duration(bytes));
  check_span(detail::leading_duration(bytes));
  const auto now = WallTime{std::chrono::hours{24 * 365 * 56}};
  if (const auto reset = detail::parse_reset(bytes, now)) check_span(*reset);
  static_cast<void>(detail::parse_date(bytes));
  if (const auto number = detail::parse_decimal(bytes)) require(*number >= 0, "a number without a sign is below zero");
  if (const auto decoded = detail::decode_base64(bytes)) {
    require(decoded->size() <= bytes.size() / 4 * 3 + 3, "more is decoded than was encoded");
  }
}

}  // namespace backstop::fuzz
