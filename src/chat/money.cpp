#include "backstop/chat/money.hpp"

#include <cstddef>
#include <string>

namespace backstop::inline v0 {

std::string to_string(Money amount) {
  constexpr std::uint64_t units_per_dollar = 1'000'000'000'000;
  constexpr std::size_t decimals = 12;
  constexpr std::size_t least_decimals = 2;

  const bool negative = amount.units() < 0;
  // The magnitude as unsigned, so that the smallest amount of all has one too.
  const auto bits = static_cast<std::uint64_t>(amount.units());
  const std::uint64_t magnitude = negative ? ~bits + 1 : bits;

  std::string fraction = std::to_string(magnitude % units_per_dollar);
  fraction.insert(0, decimals - fraction.size(), '0');
  while (fraction.size() > least_decimals && fraction.back() == '0') fraction.pop_back();

  std::string text = negative ? "-$" : "$";
  text += std::to_string(magnitude / units_per_dollar);
  text += '.';
  text += fraction;
  return text;
}

std::string cost_text(Money amount, bool known) {
  if (known) return to_string(amount);
  return amount == Money{} ? "unknown" : "at least " + to_string(amount);
}

}  // namespace backstop::inline v0
