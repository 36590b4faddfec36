#include "fault_server.hpp"

#include <fmt/core.h>
#include <poll.h>
#include <sys/socket.h>
#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "fault_connection.hpp"
#include "fault_http.hpp"
#include "fault_socket.hpp"

namespace backstop::faults {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

class FaultServer::Loop {
 public:
  explicit Loop(FaultServerOptions options)
      : keep_requests_{options.keep_requests},
        listener_{listen_on_loopback(options.port, 1024)},
        port_{port_of(listener_)},
        standing_{answer()},
        thread_{[this] { run(); }} {}

  ~Loop() { stop(); }

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

  void stop() {
    {
      const std::lock_guard lock{mutex_};
      stopping_ = true;
    }
    wake_.ring();
    const std::lock_guard lock{join_mutex_};
    if (thread_.joinable()) thread_.join();
  }

  void drop_idle_connections() {
    std::unique_lock lock{mutex_};
    if (stopping_) return;
    dropping_idle_ = true;
    wake_.ring();
    changed_.wait(lock, [this] { return !dropping_idle_ || stopping_; });
  }

  void next(Behaviour behaviour) {
    const std::lock_guard lock{mutex_};
    queue_.push_back(std::move(behaviour));
  }

  void always(Behaviour behaviour) {
    const std::lock_guard lock{mutex_};
    standing_ = std::move(behaviour);
  }

  struct Seen {
    std::deque<ReceivedRequest> requests;
    std::size_t request_count = 0;
    std::size_t connection_count = 0;
    std::size_t open_connections = 0;
    std::size_t disconnect_count = 0;
    std::uint64_t bytes_sent = 0;
  };

  template <class Read>
  auto look(Read read) const {
    const std::lock_guard lock{mutex_};
    return read(seen_);
  }

  template <class Condition>
  bool wait(std::chrono::milliseconds timeout, Condition condition) const {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, timeout, [&] { return condition(seen_); });
  }

 private:
  void run() {
    std::vector<pollfd> polled;
    while (!is_stopping()) {
      polled.assign({{listener_.get(), POLLIN, 0}, {wake_.fd(), POLLIN, 0}});
      for (const auto& connection : connections_) polled.push_back({connection->socket(), connection->interest(), 0});
      if (::poll(polled.data(), static_cast<nfds_t>(polled.size()), poll_timeout()) < 0 && errno != EINTR) return;

      wake_.drain();
      const auto served = connections_.size();
      for (std::size_t i = 0; i < served; ++i) serve(*connections_[i], polled[i + 2].revents);
      if (polled[0].revents != 0) accept_all();
      drop_idle_if_asked();
      forget_closed();
    }
    connections_.clear();
    listener_.close();
    const std::lock_guard lock{mutex_};
    seen_.open_connections = 0;
    changed_.notify_all();
  }

  bool is_stopping() {
    const std::lock_guard lock{mutex_};
    return stopping_;
  }

  int poll_timeout() const {
    std::optional<Clock::time_point> earliest;
    for (const auto& connection : connections_) {
      const auto at = connection->resumes_at();
      if (at && (!earliest || *at < *earliest)) earliest = at;
    }
    if (!earliest) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*earliest - Clock::now());
    return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
  }

  void accept_all() {
    for (;;) {
      auto accepted = accept_from(listener_);
      if (!accepted) return;
      auto& connection = *connections_.emplace_back(std::make_unique<Connection>(std::move(*accepted), ++accepted_));
      const auto behaviour = note_accepted();
      if (behaviour) connection.play(script_of(*behaviour, {}));
      serve(connection, POLLIN);
    }
  }

  /// Counts a connection and gives the behaviour that is next in turn if it acts on accepting.
  std::optional<Behaviour> note_accepted() {
    const std::lock_guard lock{mutex_};
    ++seen_.connection_count;
    ++seen_.open_connections;
    changed_.notify_all();
    const auto& first = queue_.empty() ? standing_ : queue_.front();
    return first.at_accept ? std::optional{take_behaviour()} : std::nullopt;
  }

  Behaviour take_behaviour() {
    if (queue_.empty()) return standing_;
    auto behaviour = std::move(queue_.front());
    queue_.pop_front();
    return behaviour;
  }

  static std::shared_ptr<const Script> script_of(const Behaviour& behaviour, const ReceivedRequest& request) {
    try {
      return behaviour.script(request);
    } catch (const std::exception& error) {
      const auto text = fmt::format("behaviour {} threw: {}\n", behaviour.name, error.what());
      return std::make_shared<const Script>(sending(whole_response(500, {}, text)));
    }
  }

  void serve(Connection& connection, short events) {
    const auto sent_before = connection.sent();
    if ((events & (POLLIN | POLLHUP | POLLERR)) != 0) connection.receive();
    connection.advance(Clock::now());
    while (auto request = connection.take_request()) {
      const auto behaviour = note_request(*request);
      connection.play(script_of(behaviour, *request));
      connection.advance(Clock::now());
    }
    if (connection.sent() != sent_before) {
      const std::lock_guard lock{mutex_};
      seen_.bytes_sent += connection.sent() - sent_before;
    }
  }

  Behaviour note_request(const ReceivedRequest& request) {
    const std::lock_guard lock{mutex_};
    ++seen_.request_count;
    if (keep_requests_ > 0) seen_.requests.push_back(request);
    if (seen_.requests.size() > keep_requests_) seen_.requests.pop_front();
    changed_.notify_all();
    return take_behaviour();
  }

  void drop_idle_if_asked() {
    const std::lock_guard lock{mutex_};
    if (!std::exchange(dropping_idle_, false)) return;
    const auto dropped = std::erase_if(connections_, [](const auto& connection) { return connection->is_idle(); });
    seen_.open_connections -= dropped;
    changed_.notify_all();
  }

  void forget_closed() {
    std::size_t abandoned = 0;
    const auto closed = std::erase_if(connections_, [&](const auto& connection) {
      abandoned += connection->was_abandoned() ? 1 : 0;
      return !connection->is_open();
    });
    if (closed == 0) return;
    const std::lock_guard lock{mutex_};
    seen_.open_connections -= closed;
    seen_.disconnect_count += abandoned;
    changed_.notify_all();
  }

  const std::size_t keep_requests_;
  SocketHandle listener_;
  const std::uint16_t port_;
  WakePipe wake_;

  mutable std::mutex mutex_;  ///< guards what stands below, down to `join_mutex_`
  mutable std::condition_variable changed_;
  std::deque<Behaviour> queue_;
  Behaviour standing_;
  Seen seen_;
  bool stopping_ = false;
  bool dropping_idle_ = false;

  std::mutex join_mutex_;
  std::vector<std::unique_ptr<Connection>> connections_;  ///< the thread's own
  std::size_t accepted_ = 0;                              ///< likewise
  std::thread thread_;                                    ///< last: it uses all of the above
};

FaultServer::FaultServer() : FaultServer{FaultServerOptions{}} {}
FaultServer::FaultServer(FaultServerOptions options) : loop_{std::make_unique<Loop>(options)} {}
FaultServer::~FaultServer() = default;

std::uint16_t FaultServer::port() const noexcept { return loop_->port(); }

std::string FaultServer::base_url(std::string_view prefix) const {
  return fmt::format("http://127.0.0.1:{}{}", port(), prefix);
}

void FaultServer::next(Behaviour behaviour) { loop_->next(std::move(behaviour)); }
void FaultServer::always(Behaviour behaviour) { loop_->always(std::move(behaviour)); }
void FaultServer::stop() { loop_->stop(); }
void FaultServer::drop_idle_connections() { loop_->drop_idle_connections(); }

std::vector<ReceivedRequest> FaultServer::requests() const {
  return loop_->look([](const auto& seen) {
    return std::vector<ReceivedRequest>{seen.requests.begin(), seen.requests.end()};
  });
}

std::size_t FaultServer::request_count() const {
  return loop_->look([](const auto& seen) { return seen.request_count; });
}

std::size_t FaultServer::connection_count() const {
  return loop_->look([](const auto& seen) { return seen.connection_count; });
}

std::size_t FaultServer::open_connections() const {
  return loop_->look([](const auto& seen) { return seen.open_connections; });
}

std::size_t FaultServer::disconnect_count() const {
  return loop_->look([](const auto& seen) { return seen.disconnect_count; });
}

std::uint64_t FaultServer::bytes_sent() const {
  return loop_->look([](const auto& seen) { return seen.bytes_sent; });
}

bool FaultServer::wait_for_requests(std::size_t count, std::chrono::milliseconds timeout) const {
  return loop_->wait(timeout, [count](const auto& seen) { return seen.request_count >= count; });
}

bool FaultServer::wait_for_disconnect(std::chrono::milliseconds timeout, std::size_t count) const {
  return loop_->wait(timeout, [count](const auto& seen) { return seen.disconnect_count >= count; });
}

}  // namespace backstop::faults
