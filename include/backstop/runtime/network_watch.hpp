#pragma once

#include <chrono>
#include <optional>

#include "backstop/chat/target.hpp"
#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

/// Whether it is this machine's network that is at fault, and not the targets: connections to two different providers
/// have failed within a second, and none has stood since. Breakers then do not lengthen their open times, and nobody is
/// put last for it.
///
/// Thread safety: none; it belongs to the thread that drives the runtime.
class NetworkWatch {
 public:
  void note_failure(const Target& target, TimePoint now) noexcept {
    if (last_ && last_->target.provider() != target.provider() && now - last_->at <= within) at_fault_ = true;
    last_ = Failure{target, now};
  }
  void note_success() noexcept {
    if (!last_) return;
    last_.reset();
    at_fault_ = false;
  }
  [[nodiscard]] bool at_fault() const noexcept { return at_fault_; }

 private:
  static constexpr std::chrono::seconds within{1};

  struct Failure {
    Target target;
    TimePoint at;
  };
  std::optional<Failure> last_;
  bool at_fault_ = false;
};

}  // namespace backstop::inline v0
