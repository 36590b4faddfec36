#include <curl/curl.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "backstop/runtime/http_transport.hpp"
#include "runtime/curl_connections.hpp"
#include "runtime/curl_options.hpp"
#include "runtime/curl_transfer.hpp"

namespace backstop::inline v0 {
namespace {

class CurlTransport final : public HttpTransport {
 public:
  CurlTransport(const Clock& clock, HttpOptions options) : clock_{&clock} {
    static std::once_flag once;
    std::call_once(once, [] {
      if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) throw std::runtime_error{"libcurl cannot be initialised"};
    });
    all_.push_back({HttpOptions{}, make_connections(std::move(options))});
  }

  std::unique_ptr<HttpTransfer> start(const HttpRequest& request, HttpReceiver& receiver) override {
    return std::make_unique<detail::CurlTransfer>(connections_for(request.options), request, receiver);
  }

  void wait(TimePoint until) override {
    shared_.active = false;
    bool busy = false;
    TimePoint due = until;
    for (const auto& [options, connections] : all_) {
      connections->run_timer();
      connections->finish_transfers();  // some fail at once
      busy = busy || connections->busy();
      due = std::min(due, connections->due());
    }
    // What has just come goes first, where it is all that runs. Else it is looked also where nothing runs: a kept
    // connection may have something to say, and a wake is over with this wait.
    if (shared_.active && !busy) return;
    const int milliseconds = shared_.active ? 0 : wait_time(due);
    for (const detail::SocketPoller::Ready& ready : shared_.poller.wait(milliseconds)) {
      const auto kind = std::find_if(all_.begin(), all_.end(),
                                     [&](const Kind& one) { return one.connections->kind() == ready.owner; });
      if (kind == all_.end()) continue;
      kind->connections->act(ready.socket, (ready.readable ? CURL_CSELECT_IN : 0) | (ready.writable ? CURL_CSELECT_OUT : 0) |
                                               (ready.failed ? CURL_CSELECT_ERR : 0));
    }
    for (const auto& [options, connections] : all_) connections->run_timer();
    for (const auto& [options, connections] : all_) connections->finish_transfers();
  }

  void wake() noexcept override { shared_.poller.wake(); }
  int poll_fd() const noexcept override { return shared_.poller.descriptor(); }
  TimePoint next_due() const noexcept override {
    TimePoint due = TimePoint::max();
    for (const auto& [options, connections] : all_) due = std::min(due, connections->due());
    return due;
  }

  // libcurl would say goodbye on the parent's connections: they are closed behind its back.
  std::unique_ptr<HttpTransport> leave_parent() override {
    auto of_child = std::make_unique<CurlTransport>(*clock_, all_.front().connections->options());
    shared_.poller.leave_parent();
    return of_child;
  }

 private:
  static constexpr std::size_t most_kinds = 64;

  /// Connections of a target's options; the runtime's own where it has none.
  struct Kind {
    HttpOptions of_target;
    std::unique_ptr<detail::CurlConnections> connections;
  };

  [[nodiscard]] detail::CurlConnections& connections_for(const HttpOptions* of_target) {
    if (of_target == nullptr) return *all_.front().connections;
    for (const Kind& kind : all_) {
      if (kind.of_target == *of_target) return *kind.connections;
    }
    if (all_.size() >= most_kinds) {  // an application that makes ever new ones
      const auto unused = std::find_if(all_.begin() + 1, all_.end(), [](const Kind& kind) { return !kind.connections->in_use(); });
      if (unused != all_.end()) all_.erase(unused);
    }
    all_.push_back({*of_target, make_connections(detail::merged(all_.front().connections->options(), *of_target))});
    return *all_.back().connections;
  }

  [[nodiscard]] std::unique_ptr<detail::CurlConnections> make_connections(HttpOptions options) {
    return std::make_unique<detail::CurlConnections>(shared_, *clock_, std::move(options), &detail::CurlTransfer::prepare);
  }

  [[nodiscard]] int wait_time(TimePoint until) const noexcept {
    constexpr std::chrono::milliseconds longest{60'000};
    if (until == TimePoint::min()) return 0;
    if (until == TimePoint::max()) return static_cast<int>(longest.count());
    const Duration left = saturating_difference(until, clock_->now());
    if (left <= Duration::zero()) return 0;
    if (left >= longest) return static_cast<int>(longest.count());
    return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count());
  }

  const Clock* clock_;
  detail::CurlConnections::Shared shared_;
  std::vector<Kind> all_;  // the first are the runtime's own
};

}  // namespace

std::unique_ptr<HttpTransport> curl_transport(const Clock& clock, HttpOptions options) {
  if (const std::string problem = problem_with(options); !problem.empty()) throw std::invalid_argument{problem};
  return std::make_unique<CurlTransport>(clock, std::move(options));
}

}  // namespace backstop::inline v0
