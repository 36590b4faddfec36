#pragma once

#include <cstddef>
#include <cstdint>

namespace backstop::inline v0::detail {

/// How much work a check may still be: neither a schema nor an answer makes it hold up the thread of a loop. Whatever
/// grows with either of them spends.
struct Effort {
  std::int64_t left = 1'500'000;  ///< steps of some 10 ns

  /// False when it is used up.
  [[nodiscard]] bool spend(std::size_t steps) noexcept { return (left -= static_cast<std::int64_t>(steps)) >= 0; }
  [[nodiscard]] bool is_used_up() const noexcept { return left < 0; }
};

}  // namespace backstop::inline v0::detail
