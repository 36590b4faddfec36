#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "backstop/export.hpp"

namespace backstop::inline v0 {

/// An amount in US dollars, fixed point: a count of 1e-12 USD in 64 bits, exact up to about 9 million dollars.
///
/// The price of one token is a whole number of these units for every published price, so that sums have no rounding.
/// Arithmetic saturates at the ends of the range instead of overflowing.
class Money {
 public:
  constexpr Money() noexcept = default;

  [[nodiscard]] static constexpr Money from_units(std::int64_t units) noexcept { return Money{units}; }
  /// From a decimal number of dollars, rounded to the nearest unit; not a number counts as zero.
  [[nodiscard]] static constexpr Money usd(double dollars) noexcept {
    const double units = dollars * 1e12;
    if (!(units == units)) return Money{};
    if (units >= 9.2e18) return (max)();
    if (units <= -9.2e18) return Money{INT64_MIN};
    return Money{static_cast<std::int64_t>(units < 0 ? units - 0.5 : units + 0.5)};
  }
  /// The price of one token where a million of them cost `dollars`.
  [[nodiscard]] static constexpr Money usd_per_million(double dollars) noexcept { return usd(dollars * 1e-6); }
  [[nodiscard]] static constexpr Money(max)() noexcept { return Money{INT64_MAX}; }

  [[nodiscard]] constexpr std::int64_t units() const noexcept { return units_; }
  [[nodiscard]] constexpr double usd() const noexcept { return static_cast<double>(units_) / 1e12; }

  friend constexpr auto operator<=>(Money, Money) noexcept = default;
  friend constexpr Money operator+(Money a, Money b) noexcept {
    std::int64_t sum = 0;
    if (__builtin_add_overflow(a.units_, b.units_, &sum)) return Money{a.units_ < 0 ? INT64_MIN : INT64_MAX};
    return Money{sum};
  }
  friend constexpr Money operator-(Money a, Money b) noexcept {
    std::int64_t difference = 0;
    if (__builtin_sub_overflow(a.units_, b.units_, &difference)) return Money{a.units_ < 0 ? INT64_MIN : INT64_MAX};
    return Money{difference};
  }
  friend constexpr Money operator*(Money price, std::int64_t count) noexcept {
    std::int64_t product = 0;
    if (__builtin_mul_overflow(price.units_, count, &product)) {
      return Money{(price.units_ < 0) != (count < 0) ? INT64_MIN : INT64_MAX};
    }
    return Money{product};
  }
  constexpr Money& operator+=(Money other) noexcept { return *this = *this + other; }
  constexpr Money& operator-=(Money other) noexcept { return *this = *this - other; }

 private:
  constexpr explicit Money(std::int64_t units) noexcept : units_{units} {}

  std::int64_t units_ = 0;
};

/// "$0.00064": dollars with as many decimals as the amount needs, at least two, at most twelve.
[[nodiscard]] BACKSTOP_EXPORT std::string to_string(Money amount);
/// The same of an amount that may not be known: "unknown", or "at least $0.002" where a part of it is.
[[nodiscard]] BACKSTOP_EXPORT std::string cost_text(Money amount, bool known);

}  // namespace backstop::inline v0
