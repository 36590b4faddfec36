#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace backstop::inline v0::detail {

/// A number of JSON as its text has it: none of its digits is lost, whatever a `double` or an integer of C++ holds.
class Decimal {
 public:
  static constexpr std::size_t longest_divisor = 18;  ///< digits
  static constexpr std::int64_t largest_exponent = 1'000'000'000;

  /// Zero.
  Decimal() = default;
  /// Empty for an exponent beyond `largest_exponent`. The text is a number by RFC 8259.
  [[nodiscard]] static std::optional<Decimal> read(std::string_view text);

  /// 1.0 and 1e300 are integers, too.
  [[nodiscard]] bool is_integer() const noexcept { return exponent_ >= 0; }
  [[nodiscard]] bool is_positive() const noexcept { return !digits_.empty() && !negative_; }
  /// How many digits it has, without zeros at either end.
  [[nodiscard]] std::size_t length() const noexcept { return digits_.size(); }
  /// Zeros at either end left out; the same for equal numbers.
  [[nodiscard]] const std::string& digits() const noexcept { return digits_; }
  /// As a size; empty for what is none, or is above 10^15.
  [[nodiscard]] std::optional<std::size_t> size() const noexcept;
  /// The divisor is above zero and has at most `longest_divisor` digits.
  [[nodiscard]] bool is_multiple_of(const Decimal& divisor) const noexcept;

  friend bool operator==(const Decimal&, const Decimal&) = default;
  friend std::strong_ordering operator<=>(const Decimal& a, const Decimal& b) noexcept;

 private:
  [[nodiscard]] std::strong_ordering compare_size(const Decimal& other) const noexcept;

  bool negative_ = false;      // zero is not
  std::int64_t exponent_ = 0;  // of the last digit
  std::string digits_;         // the first and the last are not 0; empty: zero
};

}  // namespace backstop::inline v0::detail
