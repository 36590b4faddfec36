#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "backstop/export.hpp"
#include "backstop/runtime/http_transport.hpp"
#include "backstop/testing/virtual_clock.hpp"

namespace backstop::inline v0::testing {

/// A transport without a network, on which virtual time moves: where the real one blocks until the next timer, this
/// one sets the clock to it. Whatever is sent through it fails with `connect_failed`.
///
/// Errors: `wait` throws `std::logic_error` when there is nothing to wait for, because the test would not end.
class BACKSTOP_EXPORT VirtualTransport final : public HttpTransport {
 public:
  explicit VirtualTransport(VirtualClock& clock) noexcept : clock_{&clock} {}

  std::unique_ptr<HttpTransfer> start(const HttpRequest& request, HttpReceiver& receiver) override;
  void wait(TimePoint until) override;
  void wake() noexcept override { woken_ = true; }

  /// Whether the runtime had more to do at this instant when it last called `wait`.
  [[nodiscard]] bool busy() const noexcept { return busy_; }

 private:
  class Transfer;

  bool fail_transfers();

  VirtualClock* clock_;
  std::vector<Transfer*> transfers_;
  std::atomic<bool> woken_{false};
  bool busy_ = false;
};

}  // namespace backstop::inline v0::testing
