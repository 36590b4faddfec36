#pragma once

#include <cstdint>

namespace backstop::inline v0 {

/// Why work is being stopped. The limits are those of the `timeout` policy and of the fallback client's shares.
enum class StopReason : std::uint8_t {
  none,
  cancelled,       ///< by the application
  deadline,        ///< the caller's deadline
  connect,         ///< `timeout`'s limits ...
  first_byte,
  first_token,
  idle,
  attempt,
  deadline_share,  ///< the rest of the time is kept for the targets still to come
  client_deadline,  ///< of a client that is another's target
  superseded,      ///< another attempt won
  no_memory,       ///< to hand the answer over: the consumer would have a part that is missing
};

/// A limit on time has passed: what has been done is still wanted.
[[nodiscard]] constexpr bool is_time_limit(StopReason reason) noexcept {
  switch (reason) {
    case StopReason::deadline:
    case StopReason::connect:
    case StopReason::first_byte:
    case StopReason::first_token:
    case StopReason::idle:
    case StopReason::attempt:
    case StopReason::deadline_share:
    case StopReason::client_deadline: return true;
    case StopReason::none:
    case StopReason::cancelled:
    case StopReason::superseded:
    case StopReason::no_memory: break;
  }
  return false;
}

class StopSource;

/// Something to be done when work is stopped; unregisters itself on destruction.
class StopCallback {
 public:
  StopCallback(const StopCallback&) = delete;
  StopCallback& operator=(const StopCallback&) = delete;

  virtual void on_stop() noexcept = 0;
  void unsubscribe() noexcept {
    if (previous_ == nullptr) return;
    *previous_ = next_;
    if (next_ != nullptr) next_->previous_ = previous_;
    previous_ = nullptr;
    next_ = nullptr;
  }

 protected:
  StopCallback() noexcept = default;
  virtual ~StopCallback() { unsubscribe(); }

 private:
  friend class StopSource;
  StopCallback** previous_ = nullptr;  // the pointer that points at this node
  StopCallback* next_ = nullptr;
};

/// Tells everything below one scope of a call to stop. A source with a parent stops when the parent does, with the
/// parent's reason; stopping a child does not stop the parent. The first reason stands.
///
/// Thread safety: none; everything happens on the thread that drives the runtime (other threads use
/// `Runtime::post`). Cost: registering links two pointers, no allocation.
class StopSource final : private StopCallback {
 public:
  StopSource() noexcept = default;
  explicit StopSource(StopSource& parent) noexcept : reason_{parent.reason_} {
    if (reason_ == StopReason::none) {
      parent_ = &parent;
      parent.subscribe(*this);
    }
  }
  ~StopSource() {
    while (first_ != nullptr) first_->unsubscribe();
  }

  [[nodiscard]] bool stop_requested() const noexcept { return reason_ != StopReason::none; }
  [[nodiscard]] StopReason reason() const noexcept { return reason_; }

  void request_stop(StopReason reason) noexcept {
    if (stop_requested()) return;
    reason_ = reason;
    while (first_ != nullptr) {
      StopCallback& callback = *first_;
      callback.unsubscribe();
      callback.on_stop();
    }
  }

  /// The callback runs at most once. Call only while no stop has been requested.
  void subscribe(StopCallback& callback) noexcept {
    callback.next_ = first_;
    callback.previous_ = &first_;
    if (first_ != nullptr) first_->previous_ = &callback.next_;
    first_ = &callback;
  }

 private:
  void on_stop() noexcept override { request_stop(parent_->reason_); }

  StopReason reason_ = StopReason::none;
  StopSource* parent_ = nullptr;
  StopCallback* first_ = nullptr;
};

}  // namespace backstop::inline v0
