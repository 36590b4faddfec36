#include "fault_socket.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cerrno>
#include <system_error>

namespace backstop::faults {
namespace {

[[noreturn]] void fail(const char* what) { throw std::system_error{errno, std::generic_category(), what}; }

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

std::pair<int, int> open_pipe() {
  int ends[2];
  if (::pipe(ends) != 0) fail("pipe");
  return {ends[0], ends[1]};
}

}  // namespace

SocketHandle::SocketHandle(int fd, const char* what) : fd_{fd} {
  if (fd_ < 0) fail(what);
  ::fcntl(fd_, F_SETFD, FD_CLOEXEC);
  ::fcntl(fd_, F_SETFL, O_NONBLOCK);
}

void SocketHandle::close() noexcept {
  if (is_open()) ::close(std::exchange(fd_, -1));
}

SocketHandle bind_to_loopback(std::uint16_t port) {
  SocketHandle bound{::socket(AF_INET, SOCK_STREAM, 0), "socket"};
  const int on = 1;
  ::setsockopt(bound.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const auto address = loopback(port);
  if (::bind(bound.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail("bind");
  return bound;
}

SocketHandle listen_on_loopback(std::uint16_t port, int backlog) {
  auto listener = bind_to_loopback(port);
  if (::listen(listener.get(), backlog) != 0) fail("listen");
  return listener;
}

std::uint16_t port_of(const SocketHandle& socket) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) fail("getsockname");
  return ntohs(address.sin_port);
}

std::optional<SocketHandle> accept_from(const SocketHandle& listener) {
  const int socket = ::accept(listener.get(), nullptr, nullptr);
  if (socket < 0) return std::nullopt;
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return SocketHandle{socket, "accept"};
}

WakePipe::WakePipe() : WakePipe{open_pipe()} {}

WakePipe::WakePipe(std::pair<int, int> ends) : read_end_{ends.first, "pipe"}, write_end_{ends.second, "pipe"} {}

void WakePipe::ring() noexcept {
  const char byte = 0;
  [[maybe_unused]] const auto written = ::write(write_end_.get(), &byte, 1);  // a full pipe wakes as well
}

void WakePipe::drain() noexcept {
  char bytes[64];
  while (::read(read_end_.get(), bytes, sizeof bytes) > 0) {
  }
}

SocketHandle begin_connecting(std::uint16_t port) {
  SocketHandle client{::socket(AF_INET, SOCK_STREAM, 0), "socket"};
  const auto address = loopback(port);
  const auto done = ::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (done != 0 && errno != EINPROGRESS) fail("connect");
  return client;
}

}  // namespace backstop::faults
