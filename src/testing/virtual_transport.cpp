#include "backstop/testing/virtual_transport.hpp"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace backstop::inline v0::testing {

class VirtualTransport::Transfer final : public HttpTransfer {
 public:
  Transfer(VirtualTransport& transport, HttpReceiver& receiver, std::string url)
      : transport_{&transport}, receiver_{&receiver}, url_{std::move(url)} {
    transport.transfers_.push_back(this);
  }
  ~Transfer() override { std::erase(transport_->transfers_, this); }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  void resume() noexcept override {}
  void fail() noexcept {
    receiver_->on_end(Error{ErrorKind::connect_failed, "the virtual runtime has no network to reach " + url_});
  }

 private:
  VirtualTransport* transport_;
  HttpReceiver* receiver_;
  std::string url_;
};

std::unique_ptr<HttpTransfer> VirtualTransport::start(const HttpRequest& request, HttpReceiver& receiver) {
  return std::make_unique<Transfer>(*this, receiver, request.url);
}

void VirtualTransport::wait(TimePoint until) {
  busy_ = until == TimePoint::min();
  if (fail_transfers() || woken_.exchange(false)) return;
  if (until == TimePoint::max()) {
    throw std::logic_error{
        "virtual time stands still: a call waits, but nothing is ready, no timer is armed and nothing can arrive"};
  }
  clock_->advance_to(until);
}

bool VirtualTransport::fail_transfers() {
  if (transfers_.empty()) return false;
  for (Transfer* transfer : std::exchange(transfers_, {})) transfer->fail();
  return true;
}

}  // namespace backstop::inline v0::testing
