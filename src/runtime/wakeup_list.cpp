#include "backstop/runtime/wakeup_list.hpp"

#include <utility>

namespace backstop::inline v0 {

void WakeupList::add(Wakeup::Waker waker, Place place) {
  const std::lock_guard lock{mutex_};
  if (place == Place::front) {
    waiting_.push_front(std::move(waker));
  } else {
    waiting_.push_back(std::move(waker));
  }
}

void WakeupList::wake_first() noexcept {
  for (;;) {
    Wakeup::Waker first;
    {
      const std::lock_guard lock{mutex_};
      if (waiting_.empty()) return;
      first = std::move(waiting_.front());
      waiting_.pop_front();
    }
    if (first.wake()) return;
  }
}

}  // namespace backstop::inline v0
