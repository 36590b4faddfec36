#include "runtime/socket_poller.hpp"

#include <cerrno>
#include <cstdint>
#include <system_error>
#include <utility>

#include <unistd.h>
#ifdef __linux__
#include <sys/epoll.h>
#include <sys/eventfd.h>
#else
#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#endif

namespace backstop::inline v0::detail {
namespace {

[[noreturn]] void refuse(const char* what) { throw std::system_error{errno, std::generic_category(), what}; }

/// What has been written by `wake` is read, so that the next wait waits.
void drain(int descriptor) noexcept {
  std::array<char, 64> bytes;
  while (::read(descriptor, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size())) {
  }
}

constexpr std::uint8_t reading = 1;
constexpr std::uint8_t writing = 2;

}  // namespace

SocketPoller::~SocketPoller() { close(); }

SocketPoller::Adopted* SocketPoller::find_adopted(int socket) noexcept {
  const auto index = static_cast<std::size_t>(socket);
  return index < adopted_.size() && adopted_[index].adopted ? &adopted_[index] : nullptr;
}

void SocketPoller::adopt(int socket) {
  const auto index = static_cast<std::size_t>(socket);
  if (index >= adopted_.size()) adopted_.resize(index + 1);
  adopted_[index] = {};
  adopted_[index].adopted = true;
}

void SocketPoller::leave_parent() noexcept {
  for (std::size_t socket = 0; socket < adopted_.size(); ++socket) {
    if (adopted_[socket].adopted) ::close(static_cast<int>(socket));
  }
  adopted_.clear();
  close();
}

#ifdef __linux__

SocketPoller::SocketPoller() : epoll_{::epoll_create1(EPOLL_CLOEXEC)} {
  if (epoll_ < 0) refuse("epoll_create1");
  wake_read_ = wake_write_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_read_ >= 0) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = static_cast<std::uint32_t>(wake_read_);
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_read_, &event) == 0) return;
  }
  const int reason = errno;
  if (wake_read_ >= 0) ::close(wake_read_);
  ::close(epoll_);
  errno = reason;
  refuse("eventfd");
}

void SocketPoller::close() noexcept {
  for (int* const own : {&wake_read_, &epoll_}) {
    if (*own >= 0) ::close(std::exchange(*own, -1));
  }
  wake_write_ = -1;
}

int SocketPoller::descriptor() const noexcept { return epoll_; }

void SocketPoller::watch(int socket, bool readable, bool writable, std::uint32_t owner) noexcept {
  const auto events = static_cast<std::uint8_t>((readable ? reading : 0) | (writable ? writing : 0));
  Adopted* const adopted = find_adopted(socket);
  if (adopted == nullptr) return tell_system(socket, events, owner, nullptr);
  adopted->wanted = events;
  if (events == 0 || (events == adopted->registered && owner == adopted->owner)) return;
  tell_system(socket, events, owner, adopted);
}

void SocketPoller::tell_system(int socket, std::uint8_t events, std::uint32_t owner, Adopted* adopted) noexcept {
  epoll_event event{};
  event.data.u64 = std::uint64_t{owner} << 32 | static_cast<std::uint32_t>(socket);
  if ((events & reading) != 0) event.events |= EPOLLIN;
  if ((events & writing) != 0) event.events |= EPOLLOUT;
  bool done = false;
  if (events == 0) {
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, socket, &event);
  } else {
    done = ::epoll_ctl(epoll_, EPOLL_CTL_ADD, socket, &event) == 0 ||
           (errno == EEXIST && ::epoll_ctl(epoll_, EPOLL_CTL_MOD, socket, &event) == 0);
  }
  if (adopted == nullptr) return;
  adopted->registered = done ? events : std::uint8_t{0};
  adopted->owner = owner;
}

// Another process may have it open still, so that the system would not forget it by itself.
void SocketPoller::forget(int socket) noexcept {
  Adopted* const adopted = find_adopted(socket);
  if (adopted == nullptr) return;
  if (adopted->registered != 0) tell_system(socket, 0, 0, adopted);
  *adopted = {};
}

std::span<const SocketPoller::Ready> SocketPoller::wait(int milliseconds) noexcept {
  std::array<epoll_event, most_at_once> events;
  const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), milliseconds);
  std::size_t ready = 0;
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    const int socket = static_cast<int>(event.data.u64 & 0xFFFF'FFFFU);
    if (socket == wake_read_) {
      drain(wake_read_);
      continue;
    }
    if (Adopted* const adopted = find_adopted(socket); adopted != nullptr && adopted->wanted == 0) {
      tell_system(socket, 0, 0, adopted);  // a connection that nobody uses, and that its peer has closed, say
      continue;
    }
    ready_[ready++] = {socket, (event.events & EPOLLIN) != 0, (event.events & EPOLLOUT) != 0,
                       (event.events & (EPOLLERR | EPOLLHUP)) != 0, static_cast<std::uint32_t>(event.data.u64 >> 32)};
  }
  return {ready_.data(), ready};
}

void SocketPoller::wake() noexcept {
  const std::uint64_t one = 1;
  static_cast<void>(::write(wake_write_, &one, sizeof one) == 0);  // full: it is awake already
}

#else

SocketPoller::SocketPoller() {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) refuse("pipe");
  wake_read_ = ends[0];
  wake_write_ = ends[1];
  for (const int end : ends) {
    ::fcntl(end, F_SETFD, FD_CLOEXEC);
    ::fcntl(end, F_SETFL, O_NONBLOCK);
  }
}

void SocketPoller::forget(int socket) noexcept {
  watch(socket, false, false);
  if (Adopted* const adopted = find_adopted(socket)) *adopted = {};
}

void SocketPoller::close() noexcept {
  for (int* const own : {&wake_read_, &wake_write_}) {
    if (*own >= 0) ::close(std::exchange(*own, -1));
  }
  watched_.clear();
}

int SocketPoller::descriptor() const noexcept { return -1; }

void SocketPoller::watch(int socket, bool readable, bool writable, std::uint32_t owner) noexcept {
  const auto known = std::find_if(watched_.begin(), watched_.end(),
                                  [socket](const Watched& one) { return one.socket == socket; });
  if (!readable && !writable) {
    if (known != watched_.end()) watched_.erase(known);
  } else if (known != watched_.end()) {
    *known = {socket, readable, writable, owner};
  } else {
    watched_.push_back({socket, readable, writable, owner});
  }
}

std::span<const SocketPoller::Ready> SocketPoller::wait(int milliseconds) noexcept {
  std::vector<pollfd> asked;
  asked.reserve(watched_.size() + 1);
  asked.push_back({wake_read_, POLLIN, 0});
  for (const Watched& one : watched_) {
    asked.push_back({one.socket, static_cast<short>((one.readable ? POLLIN : 0) | (one.writable ? POLLOUT : 0)), 0});
  }
  if (::poll(asked.data(), static_cast<nfds_t>(asked.size()), milliseconds) <= 0) return {};
  if (asked.front().revents != 0) drain(wake_read_);
  std::size_t ready = 0;
  for (std::size_t left = watched_.size(); left > 0 && ready < ready_.size(); --left) {
    first_ = first_ < watched_.size() ? first_ : 0;
    const Watched& one = watched_[first_];
    const short events = asked[++first_].revents;  // behind the one for `wake`
    if (events == 0) continue;
    ready_[ready++] = {one.socket, (events & POLLIN) != 0, (events & POLLOUT) != 0,
                       (events & (POLLERR | POLLHUP | POLLNVAL)) != 0, one.owner};
  }
  return {ready_.data(), ready};
}

void SocketPoller::wake() noexcept {
  const char one = 1;
  static_cast<void>(::write(wake_write_, &one, 1) == 0);  // full: it is awake already
}

#endif

}  // namespace backstop::inline v0::detail
