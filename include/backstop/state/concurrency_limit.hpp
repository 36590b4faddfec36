#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "backstop/export.hpp"
#include "backstop/runtime/clock.hpp"
#include "backstop/runtime/wakeup.hpp"

namespace backstop::inline v0 {

/// How many sends may be under way at the same time.
struct BulkheadOptions {
  int max_in_flight = 25;
  int max_queued = 0;  ///< how many more may wait; the others are refused at once
  Duration max_wait = std::chrono::minutes{1};  ///< the longest wait; the call's own deadline bounds it too
  Duration failover_wait = std::chrono::seconds{2};  ///< the longest wait while another target is ready
};

/// The same with a limit that adapts: it grows by one after as many successes as it is, while at least half of it is
/// used, and shrinks when the provider sheds load.
struct AdaptiveConcurrencyOptions {
  int initial = 10;
  int min = 1;
  int max = 200;
  double decrease = 0.9;  ///< what is left of the limit when it shrinks
  int max_queued = 0;
  Duration max_wait = std::chrono::minutes{1};
  Duration failover_wait = std::chrono::seconds{2};
};

/// What is wrong with the options, and what would be accepted; empty when nothing is.
[[nodiscard]] BACKSTOP_EXPORT std::string problem_with(const BulkheadOptions& options);
[[nodiscard]] BACKSTOP_EXPORT std::string problem_with(const AdaptiveConcurrencyOptions& options);

/// A concurrency limit at one moment. After a limit was lowered more may be in flight than it allows.
struct ConcurrencySnapshot {
  int limit = 0;
  int in_flight = 0;
  int waiting = 0;
};

/// What a send that has ended tells about the load; only adaptive limits use it.
enum class ConcurrencyVerdict : std::uint8_t {
  ignored,
  success,
  dropped,  ///< the provider was too busy for it
};

/// A number of sends that may be under way at the same time, shared by all that hold the handle: policies of several
/// targets, several clients, on several runtimes. Calls that have to wait do so in the order of arrival.
///
/// Thread safety: any number of threads. Cost: copying copies a pointer; each operation takes a short lock.
///
/// Example: `ConcurrencyLimit gpu{{.max_in_flight = 4, .max_queued = 16}}; auto guard = bulkhead(gpu);`
class BACKSTOP_EXPORT ConcurrencyLimit {
 public:
  /// Errors: std::invalid_argument with `problem_with(options)`.
  explicit ConcurrencyLimit(const BulkheadOptions& options);
  explicit ConcurrencyLimit(const AdaptiveConcurrencyOptions& options);

  /// Changes the limit, of an adaptive one within its bounds. Never waits: what is in flight above it ends by itself.
  /// Errors: std::invalid_argument for less than one.
  void resize(int max_in_flight) const;
  [[nodiscard]] ConcurrencySnapshot snapshot() const noexcept;
  /// Whether a send would be refused now, because neither a permit nor a place in the queue is left.
  [[nodiscard]] bool full() const noexcept;
  /// How it is made, such as "max_in_flight = 4".
  [[nodiscard]] const std::string& description() const noexcept;
  /// The same for all copies of the handle, and for no others.
  [[nodiscard]] const void* id() const noexcept { return state_.get(); }

 private:
  friend class ConcurrencyPermit;
  struct State;

  std::shared_ptr<State> state_;
};

/// The right to one send, or its place in the queue. Destroyed without a verdict it is given back as `ignored`.
///
/// The limit must outlive it. Thread safety: one thread at a time.
class BACKSTOP_EXPORT ConcurrencyPermit {
 public:
  enum class Stage : std::uint8_t { held, waiting, refused, released };

  /// `other_target_ready`: it waits for `failover_wait` at most.
  ConcurrencyPermit(const ConcurrencyLimit& limit, TimePoint now, TimePoint deadline, bool other_target_ready);
  ~ConcurrencyPermit();
  ConcurrencyPermit(const ConcurrencyPermit&) = delete;
  ConcurrencyPermit& operator=(const ConcurrencyPermit&) = delete;

  [[nodiscard]] Stage stage() const noexcept { return stage_; }
  /// While it waits: until when at most. It is woken when it is its turn.
  [[nodiscard]] TimePoint turn() const noexcept { return latest_; }
  void wake_through(Wakeup::Waker waker);
  /// Checks whether it is its turn; after its longest wait it is refused.
  Stage look(TimePoint now);

  /// Gives the permit back. Once only; a second time does nothing.
  void release(ConcurrencyVerdict verdict) noexcept;

 private:
  friend struct ConcurrencyLimit::State;

  ConcurrencyLimit::State* state_;
  Stage stage_ = Stage::refused;
  bool admitted_ = false;  // set by whichever thread moves the queue, read under the limit's lock
  std::uint64_t epoch_ = 0;
  TimePoint latest_{};
  Wakeup::Waker waker_;
};

}  // namespace backstop::inline v0
