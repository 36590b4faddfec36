#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace backstop::inline v0::detail {

/// How much a model is expected to write when nothing bounds it: the 95th percentile of what was written lately.
/// Thread safety: none.
class RecentOutputs {
 public:
  void add(std::int64_t tokens) noexcept {
    recent_[count_ % recent_.size()] = tokens;
    if (++count_ % between_updates == 0) update();
  }
  [[nodiscard]] std::int64_t expected() const noexcept { return expected_; }

 private:
  static constexpr std::size_t between_updates = 16;
  static constexpr std::int64_t first_guess = 1024;

  void update() noexcept {
    auto sorted = recent_;
    const std::size_t known = std::min(count_, sorted.size());
    const auto place = sorted.begin() + static_cast<std::ptrdiff_t>(known * 95 / 100);
    std::nth_element(sorted.begin(), place, sorted.begin() + static_cast<std::ptrdiff_t>(known));
    expected_ = *place;
  }

  std::array<std::int64_t, 64> recent_{};
  std::size_t count_ = 0;
  std::int64_t expected_ = first_guess;
};

}  // namespace backstop::inline v0::detail
