#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace backstop::inline v0::detail {

/// A span for people and descriptions: "250ms", "1.5s", "20s", "24h", "off" for an endless one.
[[nodiscard]] std::string duration_text(std::chrono::nanoseconds span);

/// The same with at most three significant digits, for spans that were measured or worked out: "3s" for 2.99971 s.
[[nodiscard]] std::string rounded_text(std::chrono::nanoseconds span);

/// The longest wait that is believed; a value above it says nothing about a rate limit.
inline constexpr std::chrono::nanoseconds longest_wait = std::chrono::hours{24 * 31};

/// A span such as "6m0s", "1m12.5s", "547ms", "1.5", "2 seconds", "114h18m0s", as servers write it: numbers with units,
/// summed; a number alone counts seconds. Empty for everything else, and for spans that are not above zero or are
/// longer than `longest_wait`: these values are a stranger's.
[[nodiscard]] std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) noexcept;

/// The span at the beginning of a sentence's rest, as in "1m12.5s. Visit ..." and "2 seconds before retrying".
[[nodiscard]] std::optional<std::chrono::nanoseconds> leading_duration(std::string_view text) noexcept;

/// Seconds, whole or with a fraction, under the same limits.
[[nodiscard]] std::optional<std::chrono::nanoseconds> believable_seconds(double seconds) noexcept;

/// A plain decimal number without a sign or an exponent, and nothing else but blanks around it.
[[nodiscard]] std::optional<double> parse_decimal(std::string_view text) noexcept;

}  // namespace backstop::inline v0::detail
