#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace backstop::real_model {

/// A server in a process of its own, run by one of this folder's scripts, which print a line of JSON for each state and
/// end when their standard input does.
///
/// Thread safety: none. On Linux the script, unless it is stopped, ends with the thread that started it.
class ServerProcess {
 public:
  ServerProcess(ServerProcess&& other) noexcept;
  ServerProcess& operator=(ServerProcess&&) = delete;
  ~ServerProcess();  ///< ends the process and waits for it

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] std::string base_url(std::string_view prefix = "") const;
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

 protected:
  /// Runs `script` of this folder with Python. Throws `std::runtime_error` when it cannot be started.
  ServerProcess(std::string_view script, std::vector<std::string> arguments);

  /// Waits for the next line to tell this state. Throws `std::runtime_error` with what was said in its place.
  void wait_for_state(std::string_view wanted, std::chrono::milliseconds timeout);
  void send_line(std::string_view line);
  // To the script's process: SIGKILL, SIGSTOP, SIGCONT.
  void kill();
  void stop();
  void cont();

 private:
  std::string read_line(std::chrono::steady_clock::time_point until);
  /// False at the end of its output, or when nothing comes in time.
  bool read_more(std::chrono::steady_clock::time_point until);

  pid_t pid_ = -1;
  int input_ = -1;   ///< the script ends when this is closed
  int output_ = -1;  ///< its lines of JSON
  std::string unread_;
  std::uint16_t port_ = 0;
};

/// A file of this folder.
[[nodiscard]] std::string source_file(std::string_view name);

/// Whether the model and llama.cpp's server, both Python packages, are there.
[[nodiscard]] bool has_model_packages();

}  // namespace backstop::real_model
