#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fault_behaviour.hpp"

namespace backstop::faults {

struct FaultServerOptions {
  std::uint16_t port = 0;            ///< 0: a free one
  std::size_t keep_requests = 1000;  ///< older recorded requests are forgotten
};

/// An HTTP/1.1 server on 127.0.0.1 that speaks every wire of the library and fails on request.
///
/// Each request is answered by the behaviour that is next in the queue, and when the queue is empty by the standing
/// one, a healthy answer to begin with. One thread serves all connections; a silent one holds up no other.
///
/// Thread safety: all members may be called from any thread.
/// Errors: the constructor throws `std::system_error` when it cannot listen.
/// Example:
///     FaultServer server;
///     server.next(faults::overloaded({{"retry-after", "7"}}));
///     server.next(faults::cut_stream(3));
///     server.always(faults::answer("All is well."));
///     // ... a client talks to server.base_url() ...
class FaultServer {
 public:
  FaultServer();
  explicit FaultServer(FaultServerOptions options);
  FaultServer(const FaultServer&) = delete;
  FaultServer& operator=(const FaultServer&) = delete;
  ~FaultServer();  ///< `stop()`

  [[nodiscard]] std::uint16_t port() const noexcept;

  /// `http://127.0.0.1:PORT` followed by `prefix`: the OpenAI wire's clients want `/v1`.
  [[nodiscard]] std::string base_url(std::string_view prefix = "") const;

  /// Queues a behaviour for one request.
  void next(Behaviour behaviour);

  /// Sets the behaviour for all requests that find the queue empty.
  void always(Behaviour behaviour);

  /// Closes every connection and the port: clients are refused from now on. Takes milliseconds; cannot be undone.
  void stop();

  /// Closes the connections that wait for their next request, as a server does with idle ones.
  void drop_idle_connections();

  /// What was asked, the oldest first.
  [[nodiscard]] std::vector<ReceivedRequest> requests() const;

  /// How many requests came, forgotten ones included.
  [[nodiscard]] std::size_t request_count() const;

  /// How many connections were ever accepted.
  [[nodiscard]] std::size_t connection_count() const;

  /// How many are open now.
  [[nodiscard]] std::size_t open_connections() const;

  /// How many clients left while an answer was owed to them.
  [[nodiscard]] std::size_t disconnect_count() const;

  /// Bytes handed to the kernel, all connections together: stands still while a client does not read.
  [[nodiscard]] std::uint64_t bytes_sent() const;

  /// Waits until that many requests have come. False: the time was over first.
  [[nodiscard]] bool wait_for_requests(std::size_t count, std::chrono::milliseconds timeout) const;

  /// Waits until that many clients have left early.
  [[nodiscard]] bool wait_for_disconnect(std::chrono::milliseconds timeout, std::size_t count = 1) const;

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace backstop::faults
