#include "backstop/runtime/clock.hpp"

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
  static const MachineClock* const clock = new MachineClock;
  return *clock;
}

}  // namespace backstop::inline v0
