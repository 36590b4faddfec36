#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>

#include "backstop/runtime/runtime.hpp"
#include "process/process_number.hpp"

namespace backstop::inline v0 {

// Everything that more than one thread touches. `mutex` guards it all; `driver` is read without it only by the thread
// that might be the driver itself.
struct Runtime::Threads {
  std::mutex mutex;
  PostedList inbox;
  std::atomic<bool> has_posted{false};
  std::atomic<std::uint64_t> seeds{0};
  std::atomic<std::thread::id> driver{};  // default: nobody drives
  Gate* sleepers = nullptr;
  std::size_t unattended = 0;

  bool background_allowed = true;
  bool stopping = false;
  bool background_ended = false;
  bool polled = false;  // somebody waits for the transport's descriptor
  bool others_drove = false;  // than `poll`, since its last turn
  std::condition_variable background_wake;
  std::condition_variable background_end;
  std::thread background;

  [[nodiscard]] bool has_listener() const noexcept { return driven() || polled; }
  [[nodiscard]] bool driven() const noexcept { return driver.load(std::memory_order_relaxed) != std::thread::id{}; }
  [[nodiscard]] bool is_driver() const noexcept {
    return driver.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }
  [[nodiscard]] bool unattended_work() const noexcept { return unattended > 0 || !inbox.empty(); }
  [[nodiscard]] bool background_goes_on() {
    const std::lock_guard lock{mutex};
    return !stopping && unattended_work();
  }
  /// Who goes on when the driver has left: a thread that sleeps on a call of its own, else the background driver.
  void choose_driver() noexcept {
    for (Gate* sleeper = sleepers; sleeper != nullptr; sleeper = sleeper->next_) {
      if (sleeper->is_open() || sleeper->chosen_) continue;
      sleeper->chosen_ = true;
      static_cast<std::condition_variable*>(sleeper->sleeper_)->notify_one();
      return;
    }
    if (unattended_work()) background_wake.notify_one();
  }
};

/// Releases the loop when the scope that drives it ends, however it ends.
struct Runtime::Driving {
  Driving(Runtime& loop, Driver by) noexcept : runtime{&loop}, threads{loop.threads_.get()}, driver{by} {}
  ~Driving() { runtime->stop_driving(*threads, driver); }
  Driving(const Driving&) = delete;
  Driving& operator=(const Driving&) = delete;

  Runtime* runtime;
  Threads* threads;
  Driver driver;
};

/// In a child of the process in which it was made.
inline void Runtime::check_process() {
  if (process_.load(std::memory_order_acquire) != detail::process_number()) leave_parent();
}

}  // namespace backstop::inline v0
