#pragma once

#include <array>
#include <atomic>
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

  /// From now on waits for that; for neither: the socket is forgotten. `owner` comes with what is ready.
  void watch(int socket, bool readable, bool writable, std::uint32_t owner = 0) noexcept;
  /// Blocks for so long at most, or until `wake`; below zero without an end. What is ready stays valid until the next
  /// wait.
  [[nodiscard]] std::span<const Ready> wait(int milliseconds) noexcept;
  /// Ends a wait, now or the next one.
  void wake() noexcept;
  /// There was a `wake` since the last wait.
  [[nodiscard]] bool woken() const noexcept { return woken_.load(std::memory_order_acquire); }
  /// Readable while a wait would return at once; -1 where the system has no such descriptor.
  [[nodiscard]] int descriptor() const noexcept;
  /// Closes its own descriptors, and forgets the sockets. It must not be used any more.
  void close() noexcept;

 private:
  static constexpr std::size_t most_at_once = 256;

  std::array<Ready, most_at_once> ready_;
  std::atomic<bool> woken_{false};
  int wake_read_ = -1;
  int wake_write_ = -1;
#ifdef __linux__
  int epoll_ = -1;
#else
  struct Watched {
    int socket;
    bool readable;
    bool writable;
    std::uint32_t owner;
  };
  std::vector<Watched> watched_;
#endif
};

}  // namespace backstop::inline v0::detail
