#pragma once

#include <cstdint>
#include <string>

#include "fault_socket.hpp"

namespace backstop::faults {

/// A port on 127.0.0.1 where nobody listens: connecting is refused. It stays reserved while this object lives.
/// Errors: the constructor throws `std::system_error`.
class ClosedPort {
 public:
  ClosedPort();
  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] std::string base_url() const;

 private:
  SocketHandle bound_;
};

/// A port on 127.0.0.1 whose queue of connections is full: connecting to it neither succeeds nor fails, so that a
/// client's connect limit has to end it. Linux drops the further SYNs; other systems may refuse them.
/// Errors: the constructor throws `std::system_error`.
class BlackHole {
 public:
  BlackHole();
  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] std::string base_url() const;

 private:
  SocketHandle listener_;
  SocketHandle queued_;
};

}  // namespace backstop::faults
