#include "support/run_program.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sstream>
#include <stdexcept>

extern char** environ;

namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

/// Which of the program's streams is which file.
class Redirections {
 public:
  Redirections(const TemporaryFile& in, const TemporaryFile& out, const TemporaryFile& err) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_addopen(&actions_, 0, in.path().c_str(), O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions_, 1, out.path().c_str(), O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions_, 2, err.path().c_str(), O_WRONLY, 0);
  }
  ~Redirections() { posix_spawn_file_actions_destroy(&actions_); }
  Redirections(const Redirections&) = delete;
  Redirections& operator=(const Redirections&) = delete;

  [[nodiscard]] const posix_spawn_file_actions_t* get() const noexcept { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

}  // namespace

ProgramRun run_program(const std::string& program, const std::vector<std::string>& arguments,
                       const std::vector<std::string>& variables, const std::string& input) {
  const TemporaryFile in{input};
  const TemporaryFile out;
  const TemporaryFile err;
  std::vector<std::string> words{program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> environment = variables;  // the first of a name counts
  for (char** variable = environ; *variable != nullptr; ++variable) environment.emplace_back(*variable);

  const Redirections redirections{in, out, err};
  pid_t child = 0;
  if (posix_spawnp(&child, program.c_str(), redirections.get(), nullptr, pointers(words).data(),
                  pointers(environment).data()) != 0) {
    throw std::runtime_error{"cannot start " + program};
  }
  int status = 0;
  waitpid(child, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, out.content(), err.content()};
}

std::vector<std::string> ProgramRun::lines() const {
  std::vector<std::string> lines;
  std::istringstream text{out};
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}
