#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "backstop/chat/request.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/export.hpp"
#include "backstop/provider.hpp"
#include "backstop/runtime/runtime.hpp"
#include "backstop/testing/event_log.hpp"
#include "backstop/testing/virtual_call.hpp"
#include "backstop/testing/virtual_clock.hpp"
#include "backstop/testing/virtual_transport.hpp"

namespace backstop::inline v0::testing {

/// A runtime on virtual time: the same code as in production, but where it would wait the clock is set to the next
/// timer. Hours of outage take milliseconds, all times are exact, and the same seed gives the same run.
///
/// Errors: a call that waits while no timer is armed makes the functions that run it throw `std::logic_error`.
/// Thread safety: none; one thread makes everything happen.
///
/// Example: `VirtualRuntime runtime; auto reply = runtime.call(provider | timeout(20s), "hello");
///           CHECK(runtime.elapsed() == 20s);`
class BACKSTOP_EXPORT VirtualRuntime {
 public:
  explicit VirtualRuntime(std::uint64_t seed = 1);
  ~VirtualRuntime();
  VirtualRuntime(const VirtualRuntime&) = delete;
  VirtualRuntime& operator=(const VirtualRuntime&) = delete;

  [[nodiscard]] VirtualClock& clock() noexcept { return world_->time; }
  [[nodiscard]] Runtime& runtime() noexcept { return *world_; }
  /// For clients that keep the runtime they use.
  [[nodiscard]] std::shared_ptr<Runtime> share() const noexcept { return world_; }
  /// Virtual time since this object was made.
  [[nodiscard]] Duration elapsed() const noexcept { return since(world_->time.now()); }
  [[nodiscard]] Duration since(TimePoint point) const noexcept { return point - world_->start; }
  /// No coroutine is ready, no timer is armed: nothing was left behind.
  [[nodiscard]] bool idle() const noexcept { return world_->idle(); }

  /// Calls the provider and runs until the call has ended.
  Result<ChatResponse> call(const Provider& provider, ChatRequest request, const VirtualCallOptions& options = {});
  /// Begins a call; it runs when the runtime does.
  std::shared_ptr<VirtualCall> start(const Provider& provider, ChatRequest request,
                                     const VirtualCallOptions& options = {});
  /// Does something at a point of virtual time, counted from the making of this object.
  void at(Duration elapsed_time, std::function<void()> action);

  /// Runs until that call, or every call that was started, has ended.
  void run(VirtualCall& call);
  void run_all();
  /// Runs until that much virtual time has gone by, and whatever is due at its end is done.
  void run_for(Duration span);

 private:
  struct Time {
    VirtualClock time;
    TimePoint start = time.now();
    VirtualTransport* sockets = nullptr;
  };
  struct World final : Time, Runtime {
    explicit World(std::uint64_t seed);
  };
  class Action;

  std::shared_ptr<World> world_;
  std::vector<std::unique_ptr<Action>> actions_;
  std::vector<std::shared_ptr<VirtualCall>> calls_;
};

}  // namespace backstop::inline v0::testing
