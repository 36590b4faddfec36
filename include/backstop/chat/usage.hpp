#pragma once

#include <cstdint>
#include <optional>

#include "backstop/chat/target.hpp"
#include "backstop/export.hpp"

namespace backstop::inline v0 {

/// Tokens of a call, as canonical totals: cached input is part of `input_tokens`, reasoning of `output_tokens`,
/// whatever the provider's own counting is. What the provider did not report is empty.
struct Usage {
  std::optional<std::int64_t> input_tokens{};
  std::optional<std::int64_t> output_tokens{};
  std::optional<std::int64_t> cached_input_tokens{};  ///< read from the provider's prompt cache
  std::optional<std::int64_t> cache_write_tokens{};   ///< written to it
  std::optional<std::int64_t> reasoning_tokens{};

  friend bool operator==(const Usage&, const Usage&) = default;
};

/// What this usage costs at this price. Counts that are missing or negative are zero; a sum too large for `Money` stays
/// at its maximum. Cached and written input are priced as such, the rest of the input as input.
[[nodiscard]] BACKSTOP_EXPORT Money cost_of(const Usage& usage, const Price& price) noexcept;

}  // namespace backstop::inline v0
