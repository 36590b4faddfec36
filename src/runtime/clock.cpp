#include "backstop/runtime/clock.hpp"

#include "process/never_destroyed.hpp"
#include "runtime/machine_wait.hpp"

namespace backstop::inline v0 {
namespace {

class MachineClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const noexcept override { return std::chrono::steady_clock::now(); }
  [[nodiscard]] WallTime wall_now() const noexcept override { return std::chrono::system_clock::now(); }
};

}  // namespace

const Clock& machine_clock() noexcept {
  // Never destroyed: a runtime that is let go of at the end of the process may look at it after main has returned.
  static detail::NeverDestroyed<MachineClock> clock;
  return *clock;
}

bool detail::wait_by_machine(std::condition_variable& changed, std::unique_lock<std::mutex>& lock, Duration span,
                             const bool& condition) {
  return changed.wait_for(lock, span, [&] { return condition; });
}

}  // namespace backstop::inline v0
