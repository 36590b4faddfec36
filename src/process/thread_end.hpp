#pragma once

#include <pthread.h>

#include <atomic>
#include <utility>

namespace backstop::inline v0::detail {

/// Cleans up what threads keep, at the end of each that asked for it. Unlike the destructor of a `thread_local` object
/// it does not keep a module loaded that the library is part of.
///
/// A static object: at its own end it cleans up for the thread that destroys it, and nothing is to be kept from then on.
/// Thread safety: `watch` from any thread, also after the end of the object, but not while it ends.
class ThreadEnd {
 public:
  explicit ThreadEnd(void (*clean_up)() noexcept) noexcept
      : clean_up_{clean_up},
        next_{std::exchange(first_, this)},
        has_key_{::pthread_key_create(&key_, &ThreadEnd::on_end) == 0} {}
  ~ThreadEnd() {
    if (!has_key_.exchange(false)) return;
    ::pthread_key_delete(key_);
    clean_up_();
  }
  ThreadEnd(const ThreadEnd&) = delete;
  ThreadEnd& operator=(const ThreadEnd&) = delete;

  /// Whether this thread may keep something: it will be cleaned up.
  [[nodiscard]] bool watch() noexcept {
    return has_key_.load(std::memory_order_relaxed) && ::pthread_setspecific(key_, this) == 0;
  }
  /// What this thread keeps, in all places. For threads of the library's own as their last act: they may end after the
  /// static objects, when nobody cleans up for them.
  static void clean_up_now() noexcept {
    for (const ThreadEnd* place = first_; place != nullptr; place = place->next_) place->clean_up_();
  }

 private:
  static void on_end(void* self) noexcept { static_cast<ThreadEnd*>(self)->clean_up_(); }

  inline static constinit ThreadEnd* first_ = nullptr;

  void (*const clean_up_)() noexcept;
  ThreadEnd* const next_;
  pthread_key_t key_{};
  std::atomic<bool> has_key_;
};

}  // namespace backstop::inline v0::detail
