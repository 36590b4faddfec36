#pragma once

#include <catch2/catch_test_macros.hpp>

#include <sys/types.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <string>

/// A server in a program of its own, which prints its process id, port and folder in one line when it listens.
/// The test is skipped where that program cannot run.
class SpawnedServer {
 public:
  /// `command` begins with the interpreter; `script` is a file of tests/support.
  SpawnedServer(const std::string& interpreter, const std::string& script, const std::string& arguments,
                const char* needs) {
    const std::string command = interpreter + " " BACKSTOP_SOURCE_DIR "/tests/support/" + script + " " + arguments +
                                " 2>/dev/null";
    process_ = ::popen(command.c_str(), "r");
    REQUIRE(process_ != nullptr);
    std::array<char, 256> folder{};
    if (std::fscanf(process_, "%d %d %255s", &pid_, &port_, folder.data()) != 3) {
      ::pclose(process_);
      SKIP(needs);
    }
    folder_ = folder.data();
  }
  ~SpawnedServer() {
    ::kill(pid_, SIGTERM);
    ::pclose(process_);
  }
  SpawnedServer(const SpawnedServer&) = delete;
  SpawnedServer& operator=(const SpawnedServer&) = delete;

  [[nodiscard]] int port() const noexcept { return port_; }
  [[nodiscard]] std::string file(const std::string& name) const { return folder_ + "/" + name; }

 private:
  std::FILE* process_ = nullptr;
  int pid_ = 0;
  int port_ = 0;
  std::string folder_;
};
