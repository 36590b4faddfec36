// The library is used while the process, or the module that it is part of, comes to its end.

#include <dlfcn.h>
#include <sys/wait.h>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>

#include "support/fault_server.hpp"

namespace end_of_process_test {

using namespace backstop;
using namespace std::chrono_literals;

namespace {

struct End {
  int status;
  std::string output;
  std::chrono::steady_clock::duration took;
};

End end_of(const std::string& way, const faults::FaultServer& server, const std::string& before = {}) {
  const auto begun = std::chrono::steady_clock::now();
  const std::string command = before + BACKSTOP_ENDS_PROGRAM " " + way + " " + server.base_url("/v1") + " 2>&1";
  std::FILE* const program = ::popen(command.c_str(), "r");
  REQUIRE(program != nullptr);
  std::string output;
  std::array<char, 4096> bytes;
  while (const std::size_t count = std::fread(bytes.data(), 1, bytes.size(), program)) output.append(bytes.data(), count);
  const int status = ::pclose(program);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, output, std::chrono::steady_clock::now() - begun};
}

std::size_t count_in(const char* folder) {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator{folder}) ++count;
  return count;
}

}  // namespace

TEST_CASE("exit handlers and static objects can call") {
  faults::FaultServer server;
  server.always(faults::answer("All is well."));
  const std::string both = "All is well.\nin the background\n";
  for (const char* way : {"exit-handler", "static-object"}) {
    CAPTURE(way);
    const End end = end_of(way, server);
    CHECK(end.status == 0);
    CHECK(end.output == both + both);
  }
  const End end = end_of("static-client", server);
  CHECK(end.status == 0);
  CHECK(end.output == "answered\n");
}

TEST_CASE("a process ends while calls run, whatever they are doing") {
  faults::FaultServer server;
  server.always(faults::answer("All is well."));
  for (const char* way : {"worker", "busy-callback"}) {
    CAPTURE(way);
    const End end = end_of(way, server);
    CHECK(end.status == 0);
    CHECK(end.output == "left\n");
    CHECK(end.took < 8s);  // they would go on for 10
  }
  const End end = end_of("exit-in-callback", server);
  CHECK(end.status == 0);
  CHECK(end.output == "answered\n");
  server.next(faults::silence());
  const End busy = end_of("busy-thread", server, "sleep 0.3 | ");
  CHECK(busy.status == 0);
  CHECK(busy.output == "left\n");
}

TEST_CASE("a module with the library inside can be loaded, used and unloaded, and leaves nothing behind") {
  faults::FaultServer server;
  server.always(faults::answer("All is well."));
  const auto use = [&] {
    void* const module = ::dlopen(BACKSTOP_MODULE, RTLD_NOW | RTLD_LOCAL);
    INFO((module == nullptr ? ::dlerror() : ""));
    REQUIRE(module != nullptr);
    const auto asks = reinterpret_cast<bool (*)(const char*)>(::dlsym(module, "backstop_module_asks"));
    REQUIRE(asks != nullptr);
    CHECK(asks(server.base_url("/v1").c_str()));
    CHECK(::dlclose(module) == 0);
    CHECK(::dlopen(BACKSTOP_MODULE, RTLD_NOW | RTLD_NOLOAD) == nullptr);
    const auto until = std::chrono::steady_clock::now() + 10s;
    while (server.open_connections() != 0 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  };
  use();
#ifdef __linux__
  const std::size_t threads = count_in("/proc/self/task");
  const std::size_t descriptors = count_in("/proc/self/fd");
  for (int i = 0; i < 3; ++i) use();
  CHECK(count_in("/proc/self/task") == threads);
  CHECK(count_in("/proc/self/fd") == descriptors);
#endif
}

}  // namespace end_of_process_test
