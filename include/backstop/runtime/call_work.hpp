#pragma once

#include "backstop/runtime/ready_queue.hpp"
#include "backstop/runtime/runtime.hpp"

namespace backstop::inline v0 {

/// Work of a call that waits for its turn as the coroutines of the call do, and so never runs inside a step of it.
///
/// Thread safety: none; it belongs to the thread that drives the runtime. Cost: links pointers.
class CallWork : private ReadyNode {
 public:
  CallWork(const CallWork&) = delete;
  CallWork& operator=(const CallWork&) = delete;

 protected:
  /// `call` is the call whose work it is, for `Runtime::is_inside`.
  CallWork(Runtime& runtime, const void* call) noexcept : runtime_{&runtime} { call_ = call; }
  virtual ~CallWork() = default;
  /// Runs it soon.
  void queue() noexcept { runtime_->ready_.push(*this); }
  /// Not any more.
  void withdraw() noexcept { leave(); }

 private:
  friend class Runtime;
  virtual void run() noexcept = 0;
  static void run(ReadyNode& node) noexcept { static_cast<CallWork&>(node).run(); }

  Runtime* runtime_;
};

}  // namespace backstop::inline v0
