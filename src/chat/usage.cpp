#include "backstop/chat/usage.hpp"

#include <algorithm>

namespace backstop::inline v0 {
namespace {

struct Counts {
  std::int64_t fresh = 0;
  std::int64_t read = 0;
  std::int64_t written = 0;
  std::int64_t output = 0;
};

/// `Rates` is a `Price` or one of its tiers.
template <class Rates>
Money cost_at(const Rates& rates, const Counts& counts) noexcept {
  return rates.input * counts.fresh + rates.cache_read.value_or(rates.input) * counts.read +
         rates.cache_write.value_or(rates.input) * counts.written + rates.output * counts.output;
}

}  // namespace

Money cost_of(const Usage& usage, const Price& price) noexcept {
  // Counts come from foreign servers: a negative one must not become a refund, nor a huge one overflow the sums.
  const auto count = [](std::optional<std::int64_t> tokens) {
    return std::clamp<std::int64_t>(tokens.value_or(0), 0, INT64_MAX / 4);
  };
  Counts counts;
  counts.read = count(usage.cached_input_tokens);
  counts.written = count(usage.cache_write_tokens);
  counts.fresh = std::max<std::int64_t>(count(usage.input_tokens) - counts.read - counts.written, 0);
  counts.output = count(usage.output_tokens);

  const std::int64_t input = counts.fresh + counts.read + counts.written;
  if (price.long_input && input > price.long_input->above_input_tokens) return cost_at(*price.long_input, counts);
  return cost_at(price, counts);
}

}  // namespace backstop::inline v0
