#include "backstop/runtime/timer.hpp"

namespace backstop::inline v0 {

bool TimerQueue::earlier(const Timer& a, const Timer& b) noexcept {
  return a.at_ != b.at_ ? a.at_ < b.at_ : a.order_ < b.order_;
}

void TimerQueue::place(std::size_t index, Timer* timer) noexcept {
  heap_[index] = timer;
  timer->index_ = index;
}

void TimerQueue::sift_up(std::size_t index) noexcept {
  Timer* timer = heap_[index];
  while (index > 0) {
    const std::size_t parent = (index - 1) / 2;
    if (!earlier(*timer, *heap_[parent])) break;
    place(index, heap_[parent]);
    index = parent;
  }
  place(index, timer);
}

void TimerQueue::sift_down(std::size_t index) noexcept {
  Timer* timer = heap_[index];
  for (std::size_t child = 2 * index + 1; child < heap_.size(); child = 2 * index + 1) {
    if (child + 1 < heap_.size() && earlier(*heap_[child + 1], *heap_[child])) ++child;
    if (!earlier(*heap_[child], *timer)) break;
    place(index, heap_[child]);
    index = child;
  }
  place(index, timer);
}

void TimerQueue::arm(Timer& timer, TimePoint at) {
  if (timer.queue_ != nullptr) timer.disarm();
  timer.at_ = at;
  timer.order_ = next_order_++;
  heap_.push_back(&timer);
  timer.queue_ = this;
  timer.index_ = heap_.size() - 1;
  sift_up(timer.index_);
}

void TimerQueue::disarm(Timer& timer) noexcept {
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

bool TimerQueue::run_due(TimePoint now, std::size_t most) noexcept {
  std::size_t ran = 0;
  for (; ran < most && !heap_.empty() && heap_.front()->at_ <= now; ++ran) {
    Timer& due = *heap_.front();
    disarm(due);
    due.on_timer();
  }
  return ran != 0;
}

}  // namespace backstop::inline v0
