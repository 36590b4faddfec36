#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace bench {

/// A server of streams for the benchmark: answers every request with the head of a stream, and writes to the streams
/// when it is told to.
class TrickleServer {
 public:
  TrickleServer();
  ~TrickleServer();
  TrickleServer(const TrickleServer&) = delete;
  TrickleServer& operator=(const TrickleServer&) = delete;

  [[nodiscard]] std::string base_url() const;
  /// How many streams have begun since the last `forget`.
  [[nodiscard]] std::size_t open() const noexcept { return open_.load(std::memory_order_acquire); }
  /// Writes one event, which says when that was, to so many of the streams, each time to the next ones.
  void write_events(std::size_t count);
  /// Streams that their clients have left.
  void forget();

 private:
  void serve();
  void accept_all();
  void answer(int socket);

  int listener_ = -1;
  int epoll_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<std::size_t> open_{0};
  std::atomic<std::size_t> wanted_{0};
  std::atomic<bool> forget_{false};
  std::vector<int> streams_;  // of the server's thread
  std::size_t next_ = 0;
  std::thread thread_;
};

}  // namespace bench
