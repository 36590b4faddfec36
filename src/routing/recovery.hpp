#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>

#include "backstop/routing/recovery_options.hpp"
#include "backstop/runtime/call_context.hpp"
#include "backstop/runtime/task.hpp"
#include "backstop/runtime/wakeup.hpp"
#include "routing/walk.hpp"

namespace backstop::inline v0::detail {

/// The latest moment at which a call may go on after having waited for a target to come back.
[[nodiscard]] TimePoint latest_return(const RecoveryOptions& options, const CallContext& context) noexcept;

/// Whether enough of the call's deadline is left for an attempt that begins now.
[[nodiscard]] bool has_time_for_attempt(const RecoveryOptions& options, const CallContext& context) noexcept;

/// The calls of one client that wait for a target to come back, and when the next forced probe may go.
///
/// Thread safety: any number of threads. Cost: a success reads one atomic while nobody waits.
class RecoveryQueue {
 public:
  explicit RecoveryQueue(const RecoveryOptions& options) noexcept : options_{options}, interval_{options.probe_interval} {}

  [[nodiscard]] const RecoveryOptions& options() const noexcept { return options_; }

  [[nodiscard]] bool has_waiting() const noexcept;
  /// For another that waits.
  [[nodiscard]] bool has_room() const noexcept;
  /// When the next forced probe may go, or while one is under way about when it may have an answer.
  [[nodiscard]] TimePoint next_probe(TimePoint now) const noexcept;
  /// Its number, for the one call that makes it; empty for the others. One that has not ended when its lease is over
  /// keeps nobody back any more.
  [[nodiscard]] std::optional<std::uint64_t> begin_probe(TimePoint now) noexcept;
  enum class ProbeEnd : std::uint8_t { answered, failed, says_nothing };
  void end_probe(std::uint64_t number, ProbeEnd end, TimePoint now) noexcept;

  /// A place in the queue, until the object goes away.
  class Place {
   public:
    /// `joined()` is false when the queue is full.
    Place(RecoveryQueue& queue, const CallContext& context);
    ~Place();
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    [[nodiscard]] bool joined() const noexcept { return joined_; }
    /// It may proceed: there is room for it and for all in front of it.
    [[nodiscard]] bool may_go() const noexcept;
    /// A target has answered since the place was taken.
    [[nodiscard]] bool saw_success() const noexcept;
    /// It proceeds; how its attempt ends says how many may follow.
    void go() noexcept;
    [[nodiscard]] Wakeup& wakeup() noexcept { return wakeup_; }
    void wake() const noexcept { waker_.wake(); }

   private:
    RecoveryQueue* queue_;
    Wakeup wakeup_;
    Wakeup::Waker waker_;
    std::uint64_t successes_at_entry_ = 0;
    bool joined_ = false;
  };
  /// The attempt of a call that has waited and proceeds.
  class Trial {
   public:
    explicit Trial(RecoveryQueue& queue) noexcept : queue_{&queue} {}
    ~Trial() { end(); }
    Trial(const Trial&) = delete;
    Trial& operator=(const Trial&) = delete;

    void begin() noexcept { under_way_ = true; }
    void end() noexcept { end(false); }
    /// Nobody has answered: the others start from one again.
    void fail() noexcept { end(true); }

   private:
    void end(bool failed) noexcept;

    RecoveryQueue* queue_;
    bool under_way_ = false;
  };

  /// A target has brought content.
  void note_success() noexcept {
    if (troubled_.load(std::memory_order_relaxed)) let_more_go();
  }

 private:
  void let_more_go() noexcept;
  // With the lock held.
  void begin_again() noexcept;
  void wake_front() noexcept;
  [[nodiscard]] bool probing(TimePoint now) const noexcept { return probing_ && now < lease_until_; }

  const RecoveryOptions options_;
  std::atomic<bool> troubled_{false};  // somebody waits, or probes have failed
  mutable std::mutex mutex_;           // for what follows
  bool probing_ = false;
  std::uint64_t probe_ = 0;  // the number of the latest
  TimePoint lease_until_{};
  TimePoint next_probe_{};
  Duration interval_;
  std::deque<Place*> waiting_;
  int allowed_ = 1;    // trials at once
  int trials_ = 0;     // under way
  int step_ = 1;       // how many have to succeed until twice as many are allowed
  int succeeded_ = 0;  // of these
  std::uint64_t successes_ = 0;
};

/// What one call does when nobody is left to ask: waits for its turn, and says how to go on.
class Recovery {
 public:
  Recovery(RecoveryQueue& queue, CallContext& context) noexcept
      : queue_{&queue}, context_{&context}, trial_{queue} {}
  ~Recovery() { end_probe(RecoveryQueue::ProbeEnd::says_nothing); }
  Recovery(const Recovery&) = delete;
  Recovery& operator=(const Recovery&) = delete;

  struct Next {
    bool go_on = false;                  ///< false: the call fails now
    std::optional<std::size_t> probe{};  ///< this candidate is asked by force; else all are asked anew
    std::optional<TimePoint> back_at{};  ///< with a failure: when a target may be back
  };
  /// Waits within the bounds.
  [[nodiscard]] Task<Next> next(const Walk& walk);
  /// The probe has ended.
  void end_probe(RecoveryQueue::ProbeEnd end) noexcept;

 private:
  [[nodiscard]] bool may_wait() const noexcept;

  RecoveryQueue* queue_;
  CallContext* context_;
  RecoveryQueue::Trial trial_;
  std::optional<std::uint64_t> probe_;  // that this call makes
};

}  // namespace backstop::inline v0::detail
