#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

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
class TimerQueue {
 public:
  /// Arms, or moves an armed timer to another instant.
  void arm(Timer& timer, TimePoint at) {
    if (timer.queue_ != nullptr) timer.disarm();
    timer.at_ = at;
    timer.order_ = next_order_++;
    heap_.push_back(&timer);
    timer.queue_ = this;
    timer.index_ = heap_.size() - 1;
    sift_up(timer.index_);
  }
  void disarm(Timer& timer) noexcept {
    const std::size_t hole = timer.index_;
    Timer* last = heap_.back();
    heap_.pop_back();
    timer.queue_ = nullptr;
    if (last == &timer) return;
    heap_[hole] = last;
    last->index_ = hole;
    sift_up(hole);
    sift_down(last->index_);
  }

  [[nodiscard]] bool empty() const noexcept { return heap_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return heap_.size(); }
  /// The earliest instant; the end of time when empty.
  [[nodiscard]] TimePoint next() const noexcept { return heap_.empty() ? (TimePoint::max)() : heap_.front()->at_; }
  /// Forgets the timers without a look at them.
  void abandon() noexcept { heap_.clear(); }
  /// Runs what is due; true when something ran.
  bool run_due(TimePoint now) noexcept {
    bool ran = false;
    while (!heap_.empty() && heap_.front()->at_ <= now) {
      Timer& due = *heap_.front();
      disarm(due);
      due.on_timer();
      ran = true;
    }
    return ran;
  }

 private:
  [[nodiscard]] static bool earlier(const Timer& a, const Timer& b) noexcept {
    return a.at_ != b.at_ ? a.at_ < b.at_ : a.order_ < b.order_;
  }
  void place(std::size_t index, Timer* timer) noexcept {
    heap_[index] = timer;
    timer->index_ = index;
  }
  void sift_up(std::size_t index) noexcept {
    Timer* timer = heap_[index];
    while (index > 0) {
      const std::size_t parent = (index - 1) / 2;
      if (!earlier(*timer, *heap_[parent])) break;
      place(index, heap_[parent]);
      index = parent;
    }
    place(index, timer);
  }
  void sift_down(std::size_t index) noexcept {
    Timer* timer = heap_[index];
    for (std::size_t child = 2 * index + 1; child < heap_.size(); child = 2 * index + 1) {
      if (child + 1 < heap_.size() && earlier(*heap_[child + 1], *heap_[child])) ++child;
      if (!earlier(*heap_[child], *timer)) break;
      place(index, heap_[child]);
      index = child;
    }
    place(index, timer);
  }

  std::vector<Timer*> heap_;
  std::uint64_t next_order_ = 0;
};

inline void Timer::disarm() noexcept {
  if (queue_ != nullptr) queue_->disarm(*this);
}

}  // namespace backstop::inline v0
