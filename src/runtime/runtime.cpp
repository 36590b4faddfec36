#include "backstop/runtime/runtime.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>
#include <utility>

#include <unistd.h>

#include "backstop/runtime/call_work.hpp"
#include "process/never_destroyed.hpp"
#include "process/process_number.hpp"
#include "runtime/mixed_bits.hpp"
#include "runtime/runtime_threads.hpp"

namespace backstop::inline v0 {

namespace {

/// What came meanwhile does not wait for the time limits of thousands of calls that began together.
constexpr std::size_t timers_a_turn = 64;

/// True for its life, and then what it was before: an application's own transport may wait for a call inside its wait.
class SetWhile {
 public:
  explicit SetWhile(bool& flag) noexcept : flag_{&flag}, before_{std::exchange(flag, true)} {}
  ~SetWhile() { *flag_ = before_; }
  SetWhile(const SetWhile&) = delete;
  SetWhile& operator=(const SetWhile&) = delete;

 private:
  bool* flag_;
  bool before_;
};

}  // namespace

/// What has no room of its own for it.
class Runtime::PostedFunction final : public Posted {
 public:
  explicit PostedFunction(std::function<void()> work) noexcept : work_{std::move(work)} {}
  explicit operator bool() const noexcept { return static_cast<bool>(work_); }
  void operator()() const { work_(); }
  void run() noexcept override { work_(); }

 private:
  std::function<void()> work_;
};

void Runtime::PostedList::push(Posted& work) noexcept {
  work.next_ = nullptr;
  (last_ != nullptr ? last_->next_ : first_) = &work;
  last_ = &work;
}

Runtime::Posted& Runtime::PostedList::pop() noexcept {
  Posted& work = *first_;
  first_ = work.next_;
  if (first_ == nullptr) last_ = nullptr;
  return work;
}

void Runtime::PostedList::append(PostedList& other) noexcept {
  if (other.empty()) return;
  (last_ != nullptr ? last_->next_ : first_) = other.first_;
  last_ = other.last_;
  other.abandon();
}

Runtime::Runtime(RuntimeOptions options)
    : clock_{options.clock != nullptr ? options.clock : &machine_clock()},
      transport_{options.transport ? std::move(options.transport) : curl_transport(*clock_, std::move(options.http))},
      wire_log_{std::move(options.wire_log)},
      now_{clock_->now()},
      random_state_{options.seed},
      process_{detail::process_number()},
      threads_{std::make_shared<Threads>()} {
  threads_->background_allowed = options.background_driver;
  if (random_state_ == 0) {
    std::random_device device;
    random_state_ = (static_cast<std::uint64_t>(device()) << 32) | device();
  }
  threads_->seeds.store(random_state_, std::memory_order_relaxed);
}

Runtime::~Runtime() {
  end_background_driver();
  while (take_posted()) static_cast<void>(std::shared_ptr<void>{std::move(posted_.pop().owner_)});
}

namespace {

/// Never destroyed, so that static objects of the application may call while they are destroyed.
struct DefaultRuntime {
  std::mutex mutex;
  std::shared_ptr<Runtime> runtime;
  bool over = false;  // its thread has ended, and there will not be another
};

}  // namespace

std::shared_ptr<Runtime> Runtime::shared() {
  static detail::NeverDestroyed<DefaultRuntime> place;
  static DefaultRuntime& kept = *place;
  struct End {
    ~End() {
      std::shared_ptr<Runtime> last;  // destroyed without the lock
      const std::lock_guard lock{kept.mutex};
      kept.over = true;
      if (!kept.runtime) return;
      if (kept.runtime.use_count() == 1) {
        last.swap(kept.runtime);
      } else {
        kept.runtime->end_background_driver();
      }
    }
  };
  static const End end;
  const std::lock_guard lock{kept.mutex};
  if (!kept.runtime) {
    RuntimeOptions options;
    options.background_driver = !kept.over;
    kept.runtime = std::make_shared<Runtime>(std::move(options));
  }
  return kept.runtime;
}

// Other threads of the parent may have been in the middle of anything: nothing of it is looked at. What calls hold is
// in their frames, and stays there.
void Runtime::leave_parent() {
  static detail::NeverDestroyed<std::mutex> one_at_a_time;
  const std::lock_guard lock{*one_at_a_time};
  const unsigned here = detail::process_number();
  if (process_.load(std::memory_order_relaxed) == here) return;  // another thread was first
  struct OfParent {
    std::shared_ptr<Threads> threads;
    std::unique_ptr<HttpTransport> transport;
  };
  auto kept = std::make_unique<OfParent>();
  auto threads = std::make_shared<Threads>();
  threads->background_allowed = threads_->background_allowed;
  std::unique_ptr<HttpTransport> transport = transport_->leave_parent();

  kept->threads = std::exchange(threads_, std::move(threads));
  if (transport) kept->transport = std::exchange(transport_, std::move(transport));
  static_cast<void>(kept.release());
  posted_.abandon();
  timers_.abandon();
  ready_.abandon();
  deferred_.abandon();
  opened_ = nullptr;
  step_ = nullptr;
  waiting_ = false;
  random_state_ ^= static_cast<std::uint64_t>(::getpid()) << 32;  // else both would make the same ids
  threads_->seeds.store(random_state_, std::memory_order_relaxed);
  process_.store(here, std::memory_order_release);
}

// splitmix64 (Steele, Lea, Flood 2014)
std::uint64_t Runtime::random() noexcept {
  return detail::mixed_bits(random_state_ += detail::mixing_step);
}

std::uint64_t Runtime::new_seed() noexcept {
  return detail::mixed_bits(~threads_->seeds.fetch_add(detail::mixing_step, std::memory_order_relaxed));
}

void Runtime::post(std::function<void()> work) {
  const auto posted = std::make_shared<PostedFunction>(std::move(work));
  post(*posted, posted);
}

void Runtime::post(Posted& work, std::shared_ptr<void> owner) {
  check_process();
  bool wake = false;
  {
    const std::lock_guard lock{threads_->mutex};
    work.owner_ = std::move(owner);
    threads_->inbox.push(work);
    threads_->has_posted.store(true, std::memory_order_release);
    // The thread that drives looks here before it waits, or tells who comes next.
    wake = threads_->is_driver() ? waiting_ : threads_->has_listener();
    if (!threads_->driven()) threads_->background_wake.notify_one();
  }
  if (wake) transport_->wake();
}

// `own` is the gate of the thread that drives: nobody else looks at it, so that letting it go takes no lock.
void Runtime::release_opened(Gate* own) noexcept {
  if (opened_ == nullptr) return;
  if (opened_ == own && own->next_opened_ == nullptr) {
    own->opening_ = false;
    ++own->opened_;
    opened_ = nullptr;
    return;
  }
  const std::lock_guard lock{threads_->mutex};
  while (opened_ != nullptr) {
    Gate& gate = *opened_;
    opened_ = gate.next_opened_;
    gate.opening_ = false;
    ++gate.opened_;
    if (gate.sleeper_ != nullptr) static_cast<std::condition_variable*>(gate.sleeper_)->notify_one();
  }
}

void Runtime::open(Gate& gate) noexcept {
  if (gate.opening_) return;
  gate.opening_ = true;
  gate.next_opened_ = opened_;
  opened_ = &gate;
}

void Runtime::block_until(Gate& gate, std::function<void()> first) {
  check_process();
  Threads& threads = *threads_;
  if (threads.is_driver()) {  // from inside a callback
    if (first) first();
    release_opened(&gate);
    drive(gate);
    if (waiting_) transport_->wake();  // an own transport has waited for a call in its wait, which may be over by that
    return;
  }
  PostedFunction posted{std::move(first)};  // this thread does not leave before it has run
  bool begins = static_cast<bool>(posted);
  std::unique_lock lock{threads.mutex};
  if (begins && threads.driven()) {
    threads.inbox.push(posted);
    threads.has_posted.store(true, std::memory_order_release);
    begins = false;
    transport_->wake();
  }
  while (!gate.is_open()) {
    if (!threads.driven()) {
      threads.driver.store(std::this_thread::get_id(), std::memory_order_relaxed);
      lock.unlock();
      {
        const Driving driving{*this, Driver::foreground};
        refresh_now();
        if (begins) posted();
        release_opened(&gate);
        drive(gate);  // while it drives nobody else opens it; the next driver may at once
      }
      return;
    }
    std::condition_variable wake;
    gate.sleeper_ = &wake;
    gate.chosen_ = false;
    gate.next_ = threads.sleepers;
    threads.sleepers = &gate;
    wake.wait(lock, [&] { return gate.is_open() || gate.chosen_ || !threads.driven(); });
    for (Gate** link = &threads.sleepers; *link != nullptr; link = &(*link)->next_) {
      if (*link == &gate) {
        *link = gate.next_;
        break;
      }
    }
    gate.sleeper_ = nullptr;
  }
  gate.close();
  // Chosen to drive and let go at the same time: somebody else has to.
  if (gate.chosen_ && !threads.driven()) threads.choose_driver();
}

// The application's loop asks for the next moment when it has polled. What another driver leaves, it has to be told of.
void Runtime::stop_driving(Threads& threads, Driver driver) noexcept {
  if (&threads != threads_.get()) return;  // the parent's
  const std::lock_guard lock{threads.mutex};
  threads.driver.store(std::thread::id{}, std::memory_order_relaxed);
  threads.choose_driver();
  if (driver == Driver::application) return;
  threads.others_drove = true;
  if (threads.polled) transport_->wake();
}

int Runtime::poll_fd() {
  check_process();
  const int descriptor = transport_->poll_fd();
  if (descriptor < 0) return descriptor;
  const std::lock_guard lock{threads_->mutex};
  threads_->polled = true;
  return descriptor;
}

TimePoint Runtime::next_due() const noexcept {
  if (process_.load(std::memory_order_acquire) != detail::process_number()) return now_;  // `poll` begins anew
  if (threads_->is_driver()) return next_due_here();
  const std::lock_guard lock{threads_->mutex};
  // Nothing for this thread to do until the other leaves, and then it is told by the descriptor.
  return threads_->driven() ? TimePoint::max() : next_due_here();
}

TimePoint Runtime::next_due_here() const noexcept {
  if (!ready_.empty() || threads_->has_posted.load(std::memory_order_acquire)) return now_;
  return std::max(now_, std::min(timers_.next(), transport_->next_due()));
}

bool Runtime::poll(Duration max_wait) {
  check_process();
  bool look_only = false;
  {
    const std::lock_guard lock{threads_->mutex};
    if (threads_->driven()) return false;
    threads_->driver.store(std::this_thread::get_id(), std::memory_order_relaxed);
    look_only = std::exchange(threads_->others_drove, false);
  }
  const Driving driving{*this, Driver::application};
  const TimePoint now = refresh_now();
  turn(look_only ? now : saturating_add(now, max_wait), Driver::application);
  return true;
}

// A wait for it around this one ends too: it has begun before the gate was opened.
void Runtime::drive(Gate& gate) {
  const std::uint64_t before = gate.seen_;
  while (gate.opened_ == before) turn(TimePoint::max(), Driver::foreground, &gate, before);
  gate.close();
}

void Runtime::turn(TimePoint until, Driver driver, Gate* gate, std::uint64_t opened) {
  bool worked = run_posted();
  worked = run_ready() || worked;
  release_opened(gate);
  if (gate != nullptr && gate->opened_ != opened) return;
  // Its last call has just ended: it must not wait for more, nor keep the runtime alive.
  if (driver == Driver::background && !threads_->background_goes_on()) return;
  const bool more = !ready_.empty() || threads_->has_posted.load(std::memory_order_acquire);
  // What the application waits for by `poll` may have happened already.
  const bool look_only = more || (driver == Driver::application && worked);
  {
    const SetWhile waiting{waiting_};
    transport_->wait(look_only ? TimePoint::min() : std::min(until, timers_.next()));
  }
  refresh_now();
  // What came in goes before what ran out, so that an answer and its time limit in the same turn give an answer.
  run_ready();
  if (timers_.run_due(now_, timers_a_turn)) run_ready();
  release_opened(gate);
}

// Whether there is any.
bool Runtime::take_posted() {
  if (threads_->has_posted.load(std::memory_order_acquire)) {
    const std::lock_guard lock{threads_->mutex};
    posted_.append(threads_->inbox);
    threads_->has_posted.store(false, std::memory_order_relaxed);
  }
  return !posted_.empty();
}

// What is posted is taken one by one from a list that nested turns see: a callback may wait for what was posted with it.
bool Runtime::run_posted() {
  const bool any = take_posted();
  while (!posted_.empty()) {
    Posted& work = posted_.pop();
    const std::shared_ptr<void> owner = std::move(work.owner_);
    work.run();
    release_opened();  // before the owner goes away, with what keeps the gates alive
  }
  return any;
}

// Those that become ready meanwhile run too; a coroutine that always is would starve the rest, so one batch at a time.
bool Runtime::run_ready() {
  bool any = false;
  for (std::size_t batch = ready_.size(); batch > 0 && !ready_.empty(); --batch) {
    if (is_inside(ready_.front_call())) {
      ready_.move_front_to(deferred_);
      continue;
    }
    any = true;
    const ReadyQueue::Step ready = ready_.pop();
    const Step step{*this, ready.call};
    if (ready.handle) {
      ready.handle.resume();
    } else {
      CallWork::run(*ready.node);
    }
  }
  return any;
}

void Runtime::take_deferred() noexcept {
  for (std::size_t count = deferred_.size(); count > 0; --count) deferred_.move_front_to(ready_);
}

bool Runtime::driven_by_this_thread() const noexcept {
  return process_.load(std::memory_order_acquire) == detail::process_number() && threads_->is_driver();
}

}  // namespace backstop::inline v0
