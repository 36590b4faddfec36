#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace backstop::real_model {

struct ServerOptions {
  std::int64_t context = 1024;  ///< tokens of prompt and answer together; a longer prompt gets status 400
  std::string api_key{};        ///< the only key that is accepted; empty: any, or none
  std::string alias = "smollm2";
  bool tools = false;              ///< a chat template that knows tools, instead of the model's own
  std::chrono::seconds pings{30};  ///< between comment lines while a stream is silent
  bool wait_until_ready = true;    ///< false: `start()` returns while the model loads and requests get status 503
};

/// llama.cpp's HTTP server with SmolLM2-135M, in a process of its own: a real model on the OpenAI wire
/// (`base_url("/v1")`) and the Anthropic wire (`base_url()`).
///
/// What tests have to know: its words differ from run to run, even at temperature 0, so assert shapes. It has one slot
/// and queues further requests. A call of the function `add(a, b)` for "Add 3 and 4." is reliable at temperature 0
/// only. Every model name is accepted, and `alias` is reported. On the Anthropic wire errors have the OpenAI shape.
///
/// Thread safety: none. On Linux the process ends with the thread that started it.
class RealModelServer {
 public:
  /// Whether the Python packages are there; without them tests skip.
  [[nodiscard]] static bool available();

  /// Starts a server. Throws `std::runtime_error` that says why it could not.
  [[nodiscard]] static RealModelServer start(const ServerOptions& options = {});

  RealModelServer(RealModelServer&& other) noexcept;
  RealModelServer& operator=(RealModelServer&&) = delete;
  ~RealModelServer();  ///< ends the process and waits for it

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] std::string base_url(std::string_view prefix = "") const;
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

  /// Waits for the model to be loaded. Throws `std::runtime_error` if that fails or takes longer.
  void wait_until_ready(std::chrono::milliseconds timeout = std::chrono::seconds{60});

  /// SIGKILL: open streams end with FIN within some 30 ms, without terminal marker; new connections are refused.
  void kill();

  /// SIGSTOP: silence. Streams stay open, and the kernel goes on accepting connections.
  void stop();

  /// SIGCONT: streams go on where they stood.
  void cont();

 private:
  RealModelServer(pid_t pid, int input, int output) : pid_{pid}, input_{input}, output_{output} {}
  void wait_for_state(std::string_view wanted, std::chrono::steady_clock::time_point until);
  std::string read_line(std::chrono::steady_clock::time_point until);
  void end() noexcept;

  pid_t pid_;
  int input_;   ///< the server ends when this is closed
  int output_;  ///< its lines of JSON
  std::string unread_;
  std::uint16_t port_ = 0;
};

}  // namespace backstop::real_model
