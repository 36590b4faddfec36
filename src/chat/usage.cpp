#include "backstop/chat/usage.hpp"

#include <algorithm>

namespace backstop::inline v0 {

Money cost_of(const Usage& usage, const Price& price) noexcept {
  // Counts come from foreign servers: a negative one must not become a refund, nor a huge one overflow the sums.
  const auto count = [](std::optional<std::int64_t> tokens) {
    return std::clamp<std::int64_t>(tokens.value_or(0), 0, INT64_MAX / 4);
  };
  const std::int64_t read = count(usage.cached_input_tokens);
  const std::int64_t written = count(usage.cache_write_tokens);
  const std::int64_t fresh = std::max<std::int64_t>(count(usage.input_tokens) - read - written, 0);

  return price.input * fresh + price.cache_read.value_or(price.input) * read +
         price.cache_write.value_or(price.input) * written + price.output * count(usage.output_tokens);
}

}  // namespace backstop::inline v0
