#include "text/duration.hpp"

#include "backstop/text/duration.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

#include <fmt/format.h>

#include "text/ascii.hpp"

namespace backstop::inline v0::detail {
namespace {

struct Unit {
  std::string_view name;
  double seconds;
};

// Longer names first, where one begins with another.
constexpr std::array<Unit, 24> units{{
    {"milliseconds", 1e-3}, {"millisecond", 1e-3}, {"minutes", 60},  {"seconds", 1},   {"minute", 60},  {"second", 1},
    {"hours", 3600},        {"hour", 3600},        {"days", 86400},  {"day", 86400},   {"mins", 60},    {"secs", 1},
    {"min", 60},            {"sec", 1},            {"hrs", 3600},    {"hr", 3600},     {"ms", 1e-3},    {"us", 1e-6},
    {"\xC2\xB5s", 1e-6},    {"ns", 1e-9},          {"s", 1},         {"m", 60},        {"h", 3600},     {"d", 86400},
}};

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool starts_with_word(std::string_view text, std::string_view word) noexcept {
  return equal_ignoring_case(text.substr(0, word.size()), word);
}

// Takes the digits, with a fraction, off the front.
std::optional<double> take_number(std::string_view& text) noexcept {
  double value = 0;
  std::size_t used = 0;
  while (used < text.size() && is_digit(text[used])) value = value * 10 + (text[used++] - '0');
  if (used == 0) return std::nullopt;
  if (used + 1 < text.size() && text[used] == '.' && is_digit(text[used + 1])) {
    double place = 0.1;
    for (++used; used < text.size() && is_digit(text[used]); place /= 10) value += place * (text[used++] - '0');
  }
  text.remove_prefix(used);
  return value;
}

const Unit* take_unit(std::string_view& text) noexcept {
  for (const Unit& unit : units) {
    if (!starts_with_word(text, unit.name)) continue;
    const std::string_view rest = text.substr(unit.name.size());
    if (!rest.empty() && is_letter(rest.front())) continue;
    text = rest;
    return &unit;
  }
  return nullptr;
}

void skip_blanks(std::string_view& text) noexcept {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
}

// Takes as many "number unit" pairs as there are; a lone number is seconds.
std::optional<std::chrono::nanoseconds> take_duration(std::string_view& text) noexcept {
  double seconds = 0;
  bool any = false;
  for (;;) {
    std::string_view rest = text;
    skip_blanks(rest);
    const std::optional<double> number = take_number(rest);
    if (!number) break;
    std::string_view after_number = rest;
    skip_blanks(rest);
    const Unit* unit = take_unit(rest);
    if (unit == nullptr) {
      if (any) break;
      text = after_number;
      return believable_seconds(*number);
    }
    seconds += *number * unit->seconds;
    any = true;
    text = rest;
  }
  return any ? believable_seconds(seconds) : std::nullopt;
}

}  // namespace

std::optional<std::chrono::nanoseconds> believable_seconds(double seconds) noexcept {
  if (!(seconds > 0) || seconds > std::chrono::duration<double>{longest_wait}.count()) return std::nullopt;
  const std::chrono::nanoseconds span{static_cast<std::int64_t>(seconds * 1e9 + 0.5)};
  return span > std::chrono::nanoseconds::zero() ? std::optional{span} : std::nullopt;
}

std::optional<std::chrono::nanoseconds> leading_duration(std::string_view text) noexcept { return take_duration(text); }

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) noexcept {
  text = trim(text);
  const std::optional<std::chrono::nanoseconds> span = take_duration(text);
  return trim(text).empty() ? span : std::nullopt;
}

std::optional<double> parse_decimal(std::string_view text) noexcept {
  text = trim(text);
  const std::optional<double> number = take_number(text);
  return text.empty() ? number : std::nullopt;
}

std::string duration_text(std::chrono::nanoseconds span) {
  if (span == std::chrono::nanoseconds::max()) return "off";
  constexpr std::chrono::hours hour{1};
  if (span >= hour && span % hour == std::chrono::nanoseconds::zero()) return fmt::format("{}h", span / hour);
  const double seconds = std::chrono::duration<double>(span).count();
  const bool small = span < std::chrono::seconds{1} && span > std::chrono::nanoseconds::zero();
  return small ? fmt::format("{:.4g}ms", seconds * 1000) : fmt::format("{:.6g}s", seconds);
}

std::string rounded_text(std::chrono::nanoseconds span) {
  if (span <= std::chrono::nanoseconds::zero() || span == std::chrono::nanoseconds::max()) return duration_text(span);
  std::int64_t place = 1;
  while (span.count() / place >= 1000) place *= 10;
  const std::int64_t rounded = (span.count() / place + (span.count() % place >= place - place / 2 ? 1 : 0)) * place;
  return duration_text(std::chrono::nanoseconds{rounded});
}

}  // namespace backstop::inline v0::detail

namespace backstop::inline v0 {
namespace {

struct ConfigUnit {
  std::string_view name;
  double nanoseconds;
};

constexpr ConfigUnit config_units[] = {{"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
constexpr double longest = 366 * 24 * 3600e9;

}  // namespace

std::optional<std::chrono::nanoseconds> duration_from(std::string_view text) noexcept {
  const std::size_t digits = text.find_first_not_of("0123456789.");
  if (digits == std::string_view::npos) return std::nullopt;
  for (const ConfigUnit& unit : config_units) {
    if (text.substr(digits) != unit.name) continue;
    const double span = detail::parse_decimal(text.substr(0, digits)).value_or(0) * unit.nanoseconds;
    if (span < 1 || span > longest) return std::nullopt;
    return std::chrono::nanoseconds{static_cast<std::int64_t>(span + 0.5)};
  }
  return std::nullopt;
}

}  // namespace backstop::inline v0
