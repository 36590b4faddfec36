#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "fault_script.hpp"
#include "fault_socket.hpp"

namespace backstop::faults {

/// One accepted connection: what came in, and the script that is being played.
/// Thread safety: none, it belongs to the server's thread. It never blocks.
class Connection {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// Takes over a socket.
  Connection(SocketHandle socket, std::size_t number);

  [[nodiscard]] int socket() const noexcept { return socket_.get(); }
  [[nodiscard]] std::size_t number() const noexcept { return number_; }

  /// The events to poll for.
  [[nodiscard]] short interest() const noexcept;

  /// When a pause ends, while there is one.
  [[nodiscard]] std::optional<Time> resumes_at() const noexcept { return resumes_at_; }

  /// Takes what the client sent, or notes that it left.
  void receive();

  /// The next request, if one is complete and no script is being played.
  [[nodiscard]] std::optional<ReceivedRequest> take_request();

  /// Begins a script.
  void play(std::shared_ptr<const Script> script);

  /// Plays on, as far as it goes now.
  void advance(Time now);

  [[nodiscard]] bool is_open() const noexcept { return socket_.is_open(); }
  [[nodiscard]] bool is_idle() const noexcept { return !script_ && received_.empty(); }

  /// Whether the client left while an answer was owed to it.
  [[nodiscard]] bool was_abandoned() const noexcept { return abandoned_; }

  /// Bytes that the kernel took for this client.
  [[nodiscard]] std::uint64_t sent() const noexcept { return sent_; }

 private:
  bool perform(const Step& step, Time now);  ///< true: go on with the next step
  bool perform_send(const std::string& bytes);
  void client_left();
  void close();
  void reset();

  SocketHandle socket_;
  std::size_t number_;
  std::string received_;
  RequestReader reader_;
  std::shared_ptr<const Script> script_;
  std::size_t step_ = 0;
  std::size_t offset_ = 0;  ///< into the bytes of the current step
  std::optional<Time> resumes_at_;
  bool hanging_ = false;
  bool closes_after_ = false;  ///< the client said `connection: close`
  bool abandoned_ = false;
  std::uint64_t sent_ = 0;
};

}  // namespace backstop::faults
