#pragma once

#include <cstdint>

namespace backstop::inline v0::detail {

/// How much work a check may still be: neither a schema nor an answer makes it take forever.
struct Effort {
  std::int64_t left = 20'000'000;  ///< steps of a few nanoseconds

  /// False when it is used up.
  [[nodiscard]] bool spend(std::int64_t steps) noexcept { return (left -= steps) >= 0; }
  [[nodiscard]] bool is_used_up() const noexcept { return left < 0; }
};

}  // namespace backstop::inline v0::detail
