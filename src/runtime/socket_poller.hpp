#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace backstop::inline v0::detail {

/// Waits for sockets to become readable or writable: epoll on Linux, so that a wait costs what is ready and not what is
/// open; poll elsewhere.
///
/// Thread safety: `wake` from any thread, everything else from one at a time.
class SocketPoller {
 public:
  struct Ready {
    int socket;
    bool readable;
    bool writable;
    bool failed;
    std::uint32_t owner;
  };

  /// Errors: std::system_error where the system has no descriptors left.
  SocketPoller();
  ~SocketPoller();
  SocketPoller(const SocketPoller&) = delete;
  SocketPoller& operator=(const SocketPoller&) = delete;

  /// From now on waits for that; for neither: for nothing any more. `owner` comes with what is ready.
  void watch(int socket, bool readable, bool writable, std::uint32_t owner = 0) noexcept;
  /// Whoever closes the socket will call `forget` before. So it may stay with the system while nobody waits for it, until
  /// something comes: a connection that is used again costs no system call.
  /// Errors: std::bad_alloc; then it is not adopted.
  void adopt(int socket);
  /// Of an adopted one, before it is closed.
  void forget(int socket) noexcept;
  /// Blocks for so long at most, or until `wake`; below zero without an end. What is ready stays valid until the next
  /// wait.
  [[nodiscard]] std::span<const Ready> wait(int milliseconds) noexcept;
  /// Ends a wait, now or the next one.
  void wake() noexcept;
  /// Readable while a wait would return at once; -1 where the system has no such descriptor.
  [[nodiscard]] int descriptor() const noexcept;
  /// In a child process, which is to have none of them: closes its own descriptors and the adopted sockets. It must not
  /// be used any more.
  void leave_parent() noexcept;

 private:
  /// The events of `registered` may be those of an earlier wait: they are taken away when one of them comes and none is
  /// wanted.
  struct Adopted {
    bool adopted = false;
    std::uint8_t wanted = 0;
    std::uint8_t registered = 0;  // with the system
    std::uint32_t owner = 0;
  };

  void close() noexcept;
  [[nodiscard]] Adopted* find_adopted(int socket) noexcept;

  /// So few that what has been received is still in the cache when it is read, and that the first of many sockets does
  /// not wait for the bytes of the last.
  static constexpr std::size_t most_at_once = 16;

  std::array<Ready, most_at_once> ready_;
  std::vector<Adopted> adopted_;  // by the socket's number
  int wake_read_ = -1;
  int wake_write_ = -1;
#ifdef __linux__
  void tell_system(int socket, std::uint8_t events, std::uint32_t owner, Adopted* adopted) noexcept;

  int epoll_ = -1;
#else
  struct Watched {
    int socket;
    bool readable;
    bool writable;
    std::uint32_t owner;
  };
  std::vector<Watched> watched_;
  std::size_t first_ = 0;  // to be told of next: none waits for ever behind those that are always ready
#endif
};

}  // namespace backstop::inline v0::detail
