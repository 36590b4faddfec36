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
  static const MachineClock clock;
  return clock;
}

}  // namespace backstop::inline v0
