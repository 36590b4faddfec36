#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "backstop/export.hpp"
#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

class TimerQueue;

/// Something to be done at a point in time; disarms itself on destruction. Runs on the thread that drives the runtime.
class Timer {
 public:
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  virtual void on_timer() noexcept = 0;
  [[nodiscard]] bool armed() const noexcept { return queue_ != nullptr; }
  inline void disarm() noexcept;

 protected:
  Timer() noexcept = default;
  virtual ~Timer() { disarm(); }

 private:
  friend class TimerQueue;
  TimerQueue* queue_ = nullptr;
  std::size_t index_ = 0;
  TimePoint at_{};
  std::uint64_t order_ = 0;  // timers of the same instant run in the order they were armed
};

/// A binary heap of timers: O(log n) to arm and disarm, no allocation once it has grown.
class BACKSTOP_EXPORT TimerQueue {
 public:
  /// Arms, or moves an armed timer to another instant.
  void arm(Timer& timer, TimePoint at);
  void disarm(Timer& timer) noexcept;

  [[nodiscard]] bool empty() const noexcept { return heap_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return heap_.size(); }
  /// The earliest instant; the end of time when empty.
  [[nodiscard]] TimePoint next() const noexcept { return heap_.empty() ? (TimePoint::max)() : heap_.front()->at_; }
  /// Forgets the timers without a look at them.
  void abandon() noexcept { heap_.clear(); }
  /// Runs what is due, the earliest first and so many at most; true when something ran.
  bool run_due(TimePoint now, std::size_t most = static_cast<std::size_t>(-1)) noexcept;

 private:
  [[nodiscard]] static bool earlier(const Timer& a, const Timer& b) noexcept;
  void place(std::size_t index, Timer* timer) noexcept;
  void sift_up(std::size_t index) noexcept;
  void sift_down(std::size_t index) noexcept;

  std::vector<Timer*> heap_;
  std::uint64_t next_order_ = 0;
};

inline void Timer::disarm() noexcept {
  if (queue_ != nullptr) queue_->disarm(*this);
}

}  // namespace backstop::inline v0
