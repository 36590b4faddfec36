#pragma once

#include <cstdint>
#include <optional>
#include <utility>

namespace backstop::faults {

/// A file descriptor of our own: not blocking, not inherited by programs that are started, closed when it goes.
class SocketHandle {
 public:
  SocketHandle() = default;
  /// Takes over `fd`; if it is negative, throws `std::system_error` with `errno` and `what`.
  SocketHandle(int fd, const char* what);
  SocketHandle(SocketHandle&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
  SocketHandle& operator=(SocketHandle&&) = delete;
  ~SocketHandle() { close(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }
  void close() noexcept;

 private:
  int fd_ = -1;
};

/// A socket that is bound to a port of 127.0.0.1 and does not listen; port 0 takes a free one. Throws
/// `std::system_error`.
[[nodiscard]] SocketHandle bind_to_loopback(std::uint16_t port);

/// Likewise, and it listens.
[[nodiscard]] SocketHandle listen_on_loopback(std::uint16_t port, int backlog);

/// The port that a socket is bound to.
[[nodiscard]] std::uint16_t port_of(const SocketHandle& socket);

/// The next connection that waits, if any; small writes leave it at once (`TCP_NODELAY`).
[[nodiscard]] std::optional<SocketHandle> accept_from(const SocketHandle& listener);

/// Wakes a thread that waits in `poll()` for `fd()`.
class WakePipe {
 public:
  WakePipe();
  [[nodiscard]] int fd() const noexcept { return read_end_.get(); }
  void ring() noexcept;
  void drain() noexcept;

 private:
  explicit WakePipe(std::pair<int, int> ends);
  SocketHandle read_end_;
  SocketHandle write_end_;
};

/// A socket that is connected to that port, or about to be. Throws `std::system_error` when refused at once.
[[nodiscard]] SocketHandle begin_connecting(std::uint16_t port);

}  // namespace backstop::faults
