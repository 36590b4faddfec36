#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/providers/openai.hpp"
#include "support/run_program.hpp"

namespace backstop_faults_test {

#ifdef BACKSTOP_FAULTS_PROGRAM

using namespace backstop;
using Catch::Matchers::ContainsSubstring;

namespace {

/// The program while it runs.
class Running {
 public:
  explicit Running(std::vector<std::string> words) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    words.insert(words.begin(), BACKSTOP_FAULTS_PROGRAM);
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    child_ = ::fork();
    REQUIRE(child_ >= 0);
    if (child_ == 0) {
      ::dup2(ends[1], 1);
      ::execv(arguments[0], arguments.data());
      ::_exit(127);
    }
    ::close(ends[1]);
    out_ = ::fdopen(ends[0], "r");
  }
  ~Running() {
    if (child_ > 0) ::kill(child_, SIGKILL);
    if (child_ > 0) ::waitpid(child_, nullptr, 0);
    std::fclose(out_);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  /// Its next line; empty when it has ended.
  [[nodiscard]] std::string line() {
    char text[256] = {};
    if (std::fgets(text, sizeof text, out_) == nullptr) return {};
    text[std::strcspn(text, "\n")] = 0;
    return text;
  }
  /// Its exit status after the signal.
  [[nodiscard]] int end(int signal) {
    ::kill(child_, signal);
    int status = 0;
    ::waitpid(std::exchange(child_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t child_ = -1;
  std::FILE* out_ = nullptr;
};

FallbackClient client_of(const std::string& url, std::string model) {
  FallbackOptions options;
  options.recovery.max_wait = {};
  return FallbackClient{{openai({.model = std::move(model), .base_url = url + "/v1", .name = "faults"})},
                        std::move(options)};
}

}  // namespace

TEST_CASE("the program fails as its command line says, in order, then as the last word says") {
  Running program{{"overloaded", "unauthorized", "answer"}};
  const std::string url = program.line();
  REQUIRE(url.starts_with("http://127.0.0.1:"));
  CHECK(client_of(url, "m").chat("hello", {.limits = {.max_attempts = 1}}).error().kind == ErrorKind::overloaded);
  CHECK(client_of(url, "m").chat("hello", {.limits = {.max_attempts = 1}}).error().kind == ErrorKind::authentication);
  CHECK(client_of(url, "m").chat("hello"));
  CHECK(client_of(url, "fault/model_not_found").chat("hello").error().kind == ErrorKind::model_not_found);
  CHECK(program.end(SIGTERM) == 0);
  CHECK(program.line() == "4 requests");
}

TEST_CASE("the program answers with the user's tool and text, and prints a line for each request") {
  Running program{{"--log", R"x(tool_call(weather, {"city": "Oslo"}))x", "answer(12 degrees, and rain.)"}};
  const std::string url = program.line();
  const FallbackClient client = client_of(url, "m");
  const auto call = client.chat("hello");
  REQUIRE(call);
  REQUIRE(call->tool_calls().size() == 1);
  CHECK(call->tool_calls()[0].name == "weather");
  CHECK(client.chat("hello")->text() == "12 degrees, and rain.");
  CHECK(program.line() == "POST /v1/chat/completions: model m, plain, 1 message");
  CHECK(program.line() == "POST /v1/chat/completions: model m, plain, 1 message");
  CHECK(program.end(SIGINT) == 0);
  CHECK(program.line() == "2 requests");
}

TEST_CASE("the program lists its faults, and says what is wrong with its command line") {
  const ProgramRun list = run_program(BACKSTOP_FAULTS_PROGRAM, {"--list"});
  CHECK(list.status == 0);
  CHECK_THAT(list.out, ContainsSubstring("answer\nanswer(TEXT)\ntool_call\ntool_call(NAME, JSON)\ntokens(50)  ms "));
  const ProgramRun help = run_program(BACKSTOP_FAULTS_PROGRAM, {"--help"});
  CHECK(help.status == 0);
  CHECK_THAT(help.out, ContainsSubstring("--log") && ContainsSubstring("--list"));
  CHECK_THAT(list.out, ContainsSubstring("\ncut_stream(1)  pieces before\n") && ContainsSubstring("\nsilence\n"));
  const ProgramRun fault = run_program(BACKSTOP_FAULTS_PROGRAM, {"overlooded"});
  CHECK(fault.status == 2);
  CHECK_THAT(fault.err, ContainsSubstring("'overlooded' is none of: answer, "));
  const ProgramRun port = run_program(BACKSTOP_FAULTS_PROGRAM, {"--port", "70000"});
  CHECK(port.status == 2);
  CHECK_THAT(port.err, ContainsSubstring("a number from 0 to 65535 is wanted"));
  CHECK(run_program(BACKSTOP_FAULTS_PROGRAM, {"--sport"}).status == 2);
}

#endif

}  // namespace backstop_faults_test
