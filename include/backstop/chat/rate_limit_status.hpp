#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace backstop::inline v0 {

/// What a provider said in an answer about one of its limits. What it did not say is empty.
struct RateLimitWindow {
  std::optional<std::int64_t> limit{};
  std::optional<std::int64_t> remaining{};
  std::optional<std::chrono::nanoseconds> reset_after{};  ///< until the limit is whole again, from the answer on

  [[nodiscard]] bool known() const noexcept { return limit || remaining || reset_after; }
  friend bool operator==(const RateLimitWindow&, const RateLimitWindow&) = default;
};

/// The rate-limit headers of an answer, in one form for all providers.
struct RateLimitStatus {
  RateLimitWindow requests{};
  RateLimitWindow tokens{};  ///< input and output together
  RateLimitWindow input_tokens{};
  RateLimitWindow output_tokens{};

  [[nodiscard]] bool known() const noexcept {
    return requests.known() || tokens.known() || input_tokens.known() || output_tokens.known();
  }
  friend bool operator==(const RateLimitStatus&, const RateLimitStatus&) = default;
};

}  // namespace backstop::inline v0
