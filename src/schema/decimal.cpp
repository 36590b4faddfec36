#include "schema/decimal.hpp"

#include <algorithm>

namespace backstop::inline v0::detail {

std::optional<Decimal> Decimal::read(std::string_view text) {
  Decimal number;
  number.negative_ = text.starts_with('-');
  if (number.negative_) text.remove_prefix(1);
  const std::size_t mark = std::min(text.find_first_of("eE"), text.size());
  bool in_fraction = false;
  for (const char letter : text.substr(0, mark)) {
    if (letter == '.') {
      in_fraction = true;
      continue;
    }
    number.exponent_ -= in_fraction ? 1 : 0;
    if (letter != '0' || !number.digits_.empty()) number.digits_ += letter;
  }
  std::int64_t power = 0;
  for (const char letter : text.substr(mark)) {
    if (letter >= '0' && letter <= '9') power = std::min(power * 10 + (letter - '0'), largest_exponent + 1);
  }
  while (number.digits_.ends_with('0')) {
    number.digits_.pop_back();
    ++number.exponent_;
  }
  if (number.digits_.empty()) return Decimal{};
  if (power > largest_exponent) return std::nullopt;
  const bool is_small = text.find("e-") != std::string_view::npos || text.find("E-") != std::string_view::npos;
  number.exponent_ += is_small ? -power : power;
  return number;
}

std::optional<std::size_t> Decimal::size() const noexcept {
  constexpr std::int64_t most_digits = 15;
  const std::int64_t length = static_cast<std::int64_t>(digits_.size()) + exponent_;
  if (negative_ || !is_integer() || length > most_digits) return std::nullopt;
  std::size_t size = 0;
  for (const char digit : digits_) size = size * 10 + static_cast<std::size_t>(digit - '0');
  for (std::int64_t i = 0; i < exponent_; ++i) size *= 10;
  return size;
}

bool Decimal::is_multiple_of(const Decimal& divisor) const noexcept {
  if (digits_.empty()) return true;
  // The last digit is not 0, so that what is finer than the divisor's last digit is no multiple of it.
  if (exponent_ < divisor.exponent_) return false;
  std::uint64_t by = 0;
  for (const char digit : divisor.digits_) by = by * 10 + static_cast<std::uint64_t>(digit - '0');
  std::uint64_t rest = 0;  // below 10^18, so that ten times it and a digit fit
  for (const char digit : digits_) rest = (rest * 10 + static_cast<std::uint64_t>(digit - '0')) % by;
  // 10^18 is below 2^60: of the divisor, 60 tens have taken all twos and fives, and further ones change nothing.
  const std::int64_t tens = std::min<std::int64_t>(exponent_ - divisor.exponent_, 60);
  for (std::int64_t i = 0; i < tens; ++i) rest = rest * 10 % by;
  return rest == 0;
}

std::strong_ordering Decimal::compare_size(const Decimal& other) const noexcept {
  if (digits_.empty() || other.digits_.empty()) return !digits_.empty() <=> !other.digits_.empty();
  const auto first_digit = [](const Decimal& one) {
    return static_cast<std::int64_t>(one.digits_.size()) + one.exponent_;
  };
  if (const auto order = first_digit(*this) <=> first_digit(other); order != 0) return order;
  return digits_.compare(other.digits_) <=> 0;
}

std::strong_ordering operator<=>(const Decimal& a, const Decimal& b) noexcept {
  if (a.negative_ != b.negative_) return a.negative_ ? std::strong_ordering::less : std::strong_ordering::greater;
  return a.negative_ ? b.compare_size(a) : a.compare_size(b);
}

}  // namespace backstop::inline v0::detail
