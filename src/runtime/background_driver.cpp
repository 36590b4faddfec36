#include <chrono>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include "backstop/runtime/runtime.hpp"
#include "process/never_destroyed.hpp"
#include "process/process_number.hpp"
#include "process/thread_end.hpp"
#include "runtime/machine_wait.hpp"
#include "runtime/runtime_threads.hpp"

namespace backstop::inline v0 {

/// Background drivers that end by themselves, with nobody left to join them. The end of the process, or of the module
/// that the library is part of, waits up to a second for them, so that what they keep is cleaned up.
class Runtime::EndingDrivers {
 public:
  /// Before the first of them begins: what is made earlier outlives them.
  static void prepare() {
    static Kept& kept = place();
    struct End {
      ~End() { kept.end(); }
    };
    static const End end;
  }
  static void add(std::thread thread, std::shared_ptr<Threads> threads) noexcept {
    Kept& kept = place();
    const std::lock_guard lock{kept.mutex};
    try {
      kept.forget_parents();
      std::erase_if(kept.drivers, [](Driver& driver) { return driver.joined(std::chrono::seconds{0}); });
      if (!kept.over) kept.drivers.push_back({std::move(thread), std::move(threads)});
    } catch (const std::bad_alloc&) {  // nobody waits for it
    }
    if (thread.joinable()) thread.detach();
  }

 private:
  struct Driver {
    /// Whether it has ended by then.
    [[nodiscard]] bool joined(Duration longest) {
      std::unique_lock lock{threads->mutex};
      if (!detail::wait_by_machine(threads->background_end, lock, longest, threads->background_ended)) return false;
      lock.unlock();
      thread.join();
      return true;
    }
    std::thread thread;
    std::shared_ptr<Threads> threads;
  };
  struct Kept {
    void end() {
      const std::lock_guard lock{mutex};
      over = true;
      forget_parents();
      for (Driver& driver : drivers) {
        if (!driver.joined(std::chrono::seconds{1})) driver.thread.detach();
      }
      drivers.clear();
    }
    /// In a child of the process there are no such threads.
    void forget_parents() {
      if (process == detail::process_number()) return;
      static_cast<void>(new std::vector<Driver>{std::move(drivers)});
      drivers.clear();
      process = detail::process_number();
    }
    std::mutex mutex;
    std::vector<Driver> drivers;
    unsigned process = detail::process_number();
    bool over = false;
  };
  static Kept& place() {
    static detail::NeverDestroyed<Kept> kept;
    return *kept;
  }
};

void Runtime::ensure_background_driver() {
  check_process();
  Threads& threads = *threads_;
  const std::lock_guard lock{threads.mutex};
  if (!threads.background_allowed || threads.background.joinable()) return;
  std::weak_ptr<Runtime> self = weak_from_this();
  if (self.expired()) return;
  EndingDrivers::prepare();
  threads.background = std::thread{[runtime = std::move(self), shared = threads_] { background(runtime, shared); }};
}

void Runtime::add_unattended(std::ptrdiff_t calls) noexcept {
  const std::lock_guard lock{threads_->mutex};
  threads_->unattended += static_cast<std::size_t>(calls);
}

void Runtime::background(const std::weak_ptr<Runtime>& runtime, const std::shared_ptr<Threads>& threads) {
  struct End {
    ~End() {
      detail::ThreadEnd::clean_up_now();
      const std::lock_guard lock{threads.mutex};
      threads.background_ended = true;
      threads.background_end.notify_all();
    }
    Threads& threads;
  };
  const End end{*threads};
  for (;;) {
    {
      std::unique_lock lock{threads->mutex};
      threads->background_wake.wait(
          lock, [&] { return threads->stopping || (!threads->driven() && threads->unattended_work()); });
      if (threads->stopping) return;
    }
    // The last owner may let go meanwhile: then the runtime ends here, on its own thread.
    const std::shared_ptr<Runtime> self = runtime.lock();
    if (!self) return;
    self->drive_unattended();
  }
}

void Runtime::drive_unattended() {
  {
    const std::lock_guard lock{threads_->mutex};
    if (threads_->driven()) return;
    threads_->driver.store(std::this_thread::get_id(), std::memory_order_relaxed);
  }
  const Driving driving{*this, Driver::background};
  refresh_now();  // it may have slept for long
  while (threads_->background_goes_on()) turn(TimePoint::max(), Driver::background);
}

// A callback that does not return would hold up the end of the process: such a thread is left behind.
void Runtime::end_background_driver() noexcept {
  try {
    check_process();
  } catch (...) {  // nothing of this process to go on with, and the parent's is not touched
    static_cast<void>(transport_.release());
    return;
  }
  std::unique_lock lock{threads_->mutex};
  threads_->stopping = true;
  threads_->background_allowed = false;
  threads_->background_wake.notify_all();
  if (!threads_->background.joinable()) return;
  if (threads_->background.get_id() == std::this_thread::get_id()) {
    std::thread own = std::move(threads_->background);
    lock.unlock();  // the drivers are asked for their ends under a lock of theirs
    EndingDrivers::add(std::move(own), threads_);  // it sees `stopping` next and ends
    return;
  }
  if (threads_->driven()) transport_->wake();
  if (detail::wait_by_machine(threads_->background_end, lock, std::chrono::seconds{1}, threads_->background_ended)) {
    lock.unlock();
    threads_->background.join();
  } else {
    threads_->background.detach();
  }
}

}  // namespace backstop::inline v0
