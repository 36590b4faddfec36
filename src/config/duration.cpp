#include "backstop/config/duration.hpp"

#include <cstdint>

#include "providers/duration_text.hpp"

namespace backstop::inline v0 {
namespace {

struct Unit {
  std::string_view name;
  double nanoseconds;
};

constexpr Unit units[] = {{"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
constexpr double longest = 366 * 24 * 3600e9;

}  // namespace

std::optional<Duration> duration_from(std::string_view text) noexcept {
  const std::size_t digits = text.find_first_not_of("0123456789.");
  if (digits == std::string_view::npos) return std::nullopt;
  for (const Unit& unit : units) {
    if (text.substr(digits) != unit.name) continue;
    const double span = detail::parse_decimal(text.substr(0, digits)).value_or(0) * unit.nanoseconds;
    if (span < 1 || span > longest) return std::nullopt;
    return Duration{static_cast<std::int64_t>(span + 0.5)};
  }
  return std::nullopt;
}

}  // namespace backstop::inline v0
