#pragma once

#include <deque>
#include <mutex>

#include "backstop/export.hpp"
#include "backstop/runtime/wakeup.hpp"

namespace backstop::inline v0 {

/// Coroutines, of calls on any runtime, that wait for something that others give back.
///
/// Thread safety: any number of threads.
class BACKSTOP_EXPORT WakeupList {
 public:
  /// One that was woken and has to wait again goes to the front.
  enum class Place : bool { back, front };

  void add(Wakeup::Waker waker, Place place = Place::back);
  /// Wakes the one that has waited longest and still exists.
  void wake_first() noexcept;

 private:
  std::mutex mutex_;
  std::deque<Wakeup::Waker> waiting_;
};

}  // namespace backstop::inline v0
