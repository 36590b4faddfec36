#include "trickle_server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <stdexcept>

#include "measure.hpp"

namespace bench {
namespace {

void need(bool condition) {
  if (!condition) throw std::runtime_error{"the benchmark's server cannot be started"};
}

constexpr std::string_view head =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";

}  // namespace

TrickleServer::TrickleServer() : listener_{::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)} {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  need(listener_ >= 0 && ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
       ::listen(listener_, 4096) == 0 && ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port_ = ntohs(address.sin_port);
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  need(epoll_ >= 0);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = listener_;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event);
  thread_ = std::thread{[this] { serve(); }};
}

TrickleServer::~TrickleServer() {
  stopping_ = true;
  thread_.join();
  for (const int stream : streams_) ::close(stream);
  ::close(epoll_);
  ::close(listener_);
}

std::string TrickleServer::base_url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/v1"; }

void TrickleServer::write_events(std::size_t count) { wanted_.store(count, std::memory_order_release); }

void TrickleServer::forget() {
  forget_ = true;
  while (forget_) std::this_thread::yield();
}

void TrickleServer::serve() {
  std::array<epoll_event, 256> events;
  while (!stopping_) {
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 1);
    for (int i = 0; i < count; ++i) {
      const int socket = events[static_cast<std::size_t>(i)].data.fd;
      socket == listener_ ? accept_all() : answer(socket);
    }
    if (forget_) {
      for (const int stream : streams_) ::close(stream);
      streams_.clear();
      next_ = 0;
      open_ = 0;
      forget_ = false;
    }
    for (std::size_t left = wanted_.exchange(0, std::memory_order_acquire); left > 0 && !streams_.empty(); --left) {
      std::array<char, 256> event;
      const int size = std::snprintf(event.data(), event.size(),
                                     "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{"
                                     "\"content\":\"%020.0f\"}}]}\n\n",
                                     wall());
      const int stream = streams_[next_++ % streams_.size()];
      static_cast<void>(::send(stream, event.data(), static_cast<std::size_t>(size), MSG_NOSIGNAL) == size);
    }
  }
}

void TrickleServer::accept_all() {
  for (;;) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0) return;
    const int one = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = socket;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, socket, &event);
  }
}

// The requests of the benchmark fit into one piece.
void TrickleServer::answer(int socket) {
  std::array<char, 16384> bytes;
  const ssize_t count = ::read(socket, bytes.data(), bytes.size());
  epoll_event event{};
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, socket, &event);
  if (count <= 0) {
    ::close(socket);
    return;
  }
  static_cast<void>(::send(socket, head.data(), head.size(), MSG_NOSIGNAL));
  streams_.push_back(socket);
  open_.fetch_add(1, std::memory_order_release);
}

}  // namespace bench
