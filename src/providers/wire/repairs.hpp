#pragma once

#include <atomic>
#include <cstdint>

namespace backstop::inline v0::detail {

/// What a server has refused, so that it is left out of later requests to the target, or written in its other way.
enum class Repair : std::uint32_t {
  temperature = 1U << 0U,
  top_p = 1U << 1U,
  top_k = 1U << 2U,
  frequency_penalty = 1U << 3U,
  presence_penalty = 1U << 4U,
  seed = 1U << 5U,
  stop = 1U << 6U,
  service_tier = 1U << 7U,
  reasoning_effort = 1U << 8U,
  parallel_tool_calls = 1U << 9U,
  strict = 1U << 10U,          ///< of tools, and of the form of the answer
  // Of the chat wire alone.
  stream_options = 1U << 11U,
  output_limit_name = 1U << 12U,  ///< `max_tokens` and `max_completion_tokens`
  developer_role = 1U << 13U,     ///< system text goes under the role `system`
  image_as_text = 1U << 14U,      ///< `image_url` is the address itself, not an object
  image_detail = 1U << 15U,
};

/// Several of them.
using RepairSet = std::uint32_t;

[[nodiscard]] constexpr bool has_repair(RepairSet set, Repair one) noexcept {
  return (set & static_cast<RepairSet>(one)) != 0;
}

/// Those of one target. A repair is on trial until a request that was sent with it has been answered, and is undone
/// when such a request is refused again.
///
/// Thread safety: any thread.
class Repairs {
 public:
  [[nodiscard]] RepairSet active() const noexcept { return active_.load(std::memory_order_relaxed); }
  /// Of these, those that no answer has confirmed.
  [[nodiscard]] RepairSet on_trial(RepairSet sent_with) const noexcept {
    return sent_with & ~confirmed_.load(std::memory_order_relaxed);
  }
  void begin_trial(RepairSet repairs) noexcept { active_.fetch_or(repairs, std::memory_order_relaxed); }
  void confirm(RepairSet sent_with) noexcept {
    if (on_trial(sent_with) != 0) confirmed_.fetch_or(sent_with, std::memory_order_relaxed);
  }
  void undo(RepairSet on_trial) noexcept { active_.fetch_and(~on_trial, std::memory_order_relaxed); }

 private:
  std::atomic<RepairSet> active_{0};
  std::atomic<RepairSet> confirmed_{0};
};

}  // namespace backstop::inline v0::detail
