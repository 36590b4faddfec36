#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "backstop/export.hpp"
#include "backstop/runtime/clock.hpp"
#include "backstop/runtime/http_transport.hpp"
#include "backstop/runtime/network_watch.hpp"
#include "backstop/runtime/ready_queue.hpp"
#include "backstop/runtime/timer.hpp"
#include "backstop/runtime/wire_log.hpp"

namespace backstop::inline v0 {

struct RuntimeOptions {
  /// Where time comes from; must outlive the runtime. Null: the machine's clocks.
  const Clock* clock = nullptr;
  /// Who carries HTTP. Null: libcurl.
  std::unique_ptr<HttpTransport> transport{};
  /// How connections are made, where libcurl carries HTTP.
  HttpOptions http{};
  /// For jitter and weighted choices; the same seed gives the same choices. 0: a seed from the system.
  std::uint64_t seed = 0;
  /// Whether `start` and `chat_async` may start a thread that drives their calls. Without it the application calls
  /// `poll`.
  bool background_driver = true;
  /// Is told of every HTTP exchange of the library's providers.
  /// Example: `{.wire_log = {.write = [](const WireEvent& event) { fmt::print(stderr, "{}\n", event.url); }}}`
  WireLog wire_log{};
};

/// The event loop that calls run on: a queue of coroutines that are ready, timers, and HTTP.
///
/// It has no thread of its own: the thread that blocks on a call drives it. When several threads block, one drives and
/// the others sleep until their result is in; when the driver leaves, the next one takes over. `start()` and
/// `chat_async()` start one background driver on first use. An application with a loop of its own calls `poll`.
///
/// In a process that was forked it begins anew: with connections, a driver and calls of that process. Calls of the
/// parent end there only; what they hold (places of a `bulkhead`, reservations of a `cost_cap`) is held in the child
/// for good, so that a child had better make its clients itself. A child that is forked in a callback must not return
/// from it.
///
/// Thread safety: `post`, `poll`, `block_until`, `ensure_background_driver` and `new_seed` may be called from any
/// thread; everything else belongs to the driving thread, on which coroutines and callbacks run.
class BACKSTOP_EXPORT Runtime : public std::enable_shared_from_this<Runtime> {
 public:
  explicit Runtime(RuntimeOptions options);
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  /// The process's default runtime, made on first use. When static objects are destroyed, at the end of the process or
  /// of the module that the library is part of, its thread ends; exit handlers may still call, and their calls run on
  /// the threads that wait for them. A callback that does not return is waited for one second; its thread is left.
  [[nodiscard]] static std::shared_ptr<Runtime> shared();

  // What calls use, on the driving thread.

  /// The loop's time: read once per turn, so that one step of a call sees one instant.
  [[nodiscard]] TimePoint now() const noexcept { return now_; }
  /// Reads the clock, for the moments when it matters: the start of a call and the end of an attempt.
  TimePoint refresh_now() noexcept {
    // g++ 12 does not instrument a store whose right side is a call: races with it would not be found.
    const TimePoint now = clock_->now();
    now_ = now;
    return now;
  }
  [[nodiscard]] WallTime wall_now() const noexcept { return clock_->wall_now(); }
  [[nodiscard]] const Clock& clock() const noexcept { return *clock_; }
  /// 64 random bits.
  [[nodiscard]] std::uint64_t random() noexcept;
  /// Uniform in [0, 1).
  [[nodiscard]] double random_unit() noexcept { return static_cast<double>(random() >> 11) * 0x1p-53; }
  /// For random numbers of somebody else's; a different one each time, the same row of them for the same seed.
  [[nodiscard]] std::uint64_t new_seed() noexcept;
  [[nodiscard]] HttpTransport& http() noexcept { return *transport_; }
  /// Null where nobody is to be told.
  [[nodiscard]] const WireLog* wire_log() const noexcept { return wire_log_.write ? &wire_log_ : nullptr; }
  /// Numbers exchanges for it.
  [[nodiscard]] std::uint64_t next_exchange() noexcept { return ++exchanges_; }
  [[nodiscard]] TimerQueue& timers() noexcept { return timers_; }
  /// What the connections of all targets say of this machine's network.
  [[nodiscard]] NetworkWatch& network() noexcept { return network_; }

  /// For the time of its life a step of that call runs on this thread: code of the application may be called from it.
  /// Steps of one call do not nest: what becomes ready of it meanwhile goes on when this one is over.
  class Step {
   public:
    Step(Runtime& runtime, const void* call) noexcept : runtime_{&runtime}, call_{call}, outer_{runtime.step_} {
      runtime.step_ = this;
    }
    ~Step() {
      runtime_->step_ = outer_;
      if (!runtime_->deferred_.empty()) runtime_->take_deferred();
    }
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;

   private:
    friend class Runtime;
    Runtime* runtime_;
    const void* call_;
    const Step* outer_;
  };
  /// On the driving thread: whether a step of that call is on the stack, so that its end must not be waited for.
  [[nodiscard]] bool is_inside(const void* call) const noexcept {
    for (const Step* step = step_; step != nullptr; step = step->outer_) {
      if (step->call_ == call) return true;
    }
    return false;
  }

  // What threads use.

  /// Runs `work` on the driving thread, soon. It must not throw.
  void post(std::function<void()> work);
  /// Work that takes no memory to be posted: a part of what it works on.
  class Posted {
   public:
    Posted(const Posted&) = delete;
    Posted& operator=(const Posted&) = delete;
    /// On the driving thread. It may post itself again.
    virtual void run() noexcept = 0;

   protected:
    Posted() noexcept = default;
    virtual ~Posted() = default;

   private:
    friend class Runtime;
    Posted* next_ = nullptr;
    std::shared_ptr<void> owner_;
  };
  /// Runs it on the driving thread, soon; call only while it is not posted. `owner` is kept until it has run.
  void post(Posted& work, std::shared_ptr<void> owner);
  /// Whether this thread drives the loop now: it is inside a callback, or in a coroutine that a call has resumed.
  [[nodiscard]] bool driven_by_this_thread() const noexcept;

  /// Opened once by the driving thread, to release the thread that waits for it.
  class Gate {
   public:
    Gate() noexcept = default;
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;

   private:
    friend class Runtime;
    [[nodiscard]] bool is_open() const noexcept { return opened_ != seen_; }
    void close() noexcept { seen_ = opened_; }

    std::uint64_t opened_ = 0;  // how often
    std::uint64_t seen_ = 0;    // of these, by a wait that has ended
    bool chosen_ = false;       // to take over driving
    bool opening_ = false;      // among those that are to be opened, which `next_opened_` links
    void* sleeper_ = nullptr;   // the condition variable of the thread that waits, while it sleeps
    Gate* next_ = nullptr;
    Gate* next_opened_ = nullptr;
  };
  /// On the driving thread: releases the thread that waits at the gate, once the step that runs now has returned. So a
  /// call may open the gate that waits for its own end.
  void open(Gate& gate) noexcept;
  /// Blocks until the gate is opened, driving the loop meanwhile if no other thread does, and closes the gate again.
  /// `first`, if given, runs on the driving thread beforehand.
  /// On the driving thread itself (inside a callback) it drives the loop from there. Waits for one gate may be nested:
  /// all of them end when it is opened, and one that begins then waits for the next time.
  void block_until(Gate& gate, std::function<void()> first = nullptr);
  /// One turn for an application's own loop: runs what is ready or due; where nothing was ready, waits at most `max_wait`
  /// for what comes; it does not wait either when another thread has driven the loop since the last turn, whose call may
  /// be what the application waits for. Of many time limits that are due some are left for the next turn.
  /// Returns false, without waiting, when the loop is being driven already, by another thread or around a callback of
  /// this one.
  bool poll(Duration max_wait = Duration::zero());
  /// For an application's own loop: a descriptor that is readable when `poll` has something to do, and now and then when
  /// it has not. Wait for it until `next_due` at the latest, then call `poll`. -1 where the system has none (it has epoll
  /// only on Linux), or the transport is the application's own. With `RuntimeOptions::background_driver` set, `start`
  /// would drive too. A process that was forked asks for it again.
  [[nodiscard]] int poll_fd();
  /// When `poll` has something to do though the descriptor says nothing; not later than now when it has already. The end
  /// of time while another thread drives: the descriptor says when that leaves.
  [[nodiscard]] TimePoint next_due() const noexcept;
  /// Starts the background driver unless there is one or the options forbid it. Call before `post`ing a call.
  /// Only a runtime that is owned by a `std::shared_ptr` can have one.
  void ensure_background_driver();
  /// Calls that run without a thread blocked on them: the background driver drives while there are any.
  void add_unattended(std::ptrdiff_t calls) noexcept;

  /// For tests: nothing ready, no timer armed.
  [[nodiscard]] bool idle() const noexcept { return ready_.empty() && deferred_.empty() && timers_.empty(); }

 private:
  friend class CallWork;
  friend class Parked;
  class EndingDrivers;
  struct Threads;  // locks, sleepers, the background thread
  struct Driving;

  /// Who drives: a thread that blocks on a call, the runtime's own, or the application by `poll`.
  enum class Driver : std::uint8_t { foreground, background, application };
  /// First in, first out.
  class PostedList {
   public:
    [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
    void push(Posted& work) noexcept;
    /// Takes the first out; only where there is one.
    [[nodiscard]] Posted& pop() noexcept;
    void append(PostedList& other) noexcept;
    /// Forgets the work without a look at it.
    void abandon() noexcept { first_ = last_ = nullptr; }

   private:
    Posted* first_ = nullptr;
    Posted* last_ = nullptr;
  };
  class PostedFunction;

  /// Ends early where `gate`, if given, has been opened more often than that.
  void turn(TimePoint until, Driver driver, Gate* gate = nullptr, std::uint64_t opened = 0);
  /// Whether anything ran; so does `run_posted`.
  bool run_ready();
  void take_deferred() noexcept;
  [[nodiscard]] bool take_posted();
  bool run_posted();
  void drive(Gate& gate);
  void release_opened(Gate* own = nullptr) noexcept;
  void drive_unattended();
  static void background(const std::weak_ptr<Runtime>& runtime, const std::shared_ptr<Threads>& threads);
  [[nodiscard]] TimePoint next_due_here() const noexcept;
  void stop_driving(Threads& threads, Driver driver) noexcept;
  void end_background_driver() noexcept;
  void leave_parent();
  inline void check_process();

  const Clock* clock_;
  std::unique_ptr<HttpTransport> transport_;
  WireLog wire_log_;
  std::uint64_t exchanges_ = 0;
  TimePoint now_;
  TimerQueue timers_;
  NetworkWatch network_;
  ReadyQueue ready_;
  ReadyQueue deferred_;                          // ready, of calls that have a step on the stack
  const Step* step_ = nullptr;                   // the innermost that runs
  PostedList posted_;                            // taken from the inbox; a nested turn goes on where an outer one is
  Gate* opened_ = nullptr;                       // in any order
  bool waiting_ = false;                         // in the transport's `wait`
  std::uint64_t random_state_;
  std::atomic<unsigned> process_;     // whose it is
  std::shared_ptr<Threads> threads_;  // outlives the runtime when its last owner is destroyed on the background thread
};

}  // namespace backstop::inline v0
