// The programs that people copy, against servers that fail.

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include "support/run_program.hpp"
#include "support/fault_server.hpp"

namespace app_examples_test {

#ifdef BACKSTOP_CONSOLE_PROGRAM

using namespace backstop;
using Catch::Matchers::ContainsSubstring;

namespace {

struct TwoServers {
  faults::FaultServer first;
  faults::FaultServer second;
  TemporaryFile policy{
      R"({"fallback_policy": {"max_retries": 0, "targets": [{"target": "openai/gpt-4o", "base_url": ")" +
      first.base_url("/v1") + R"("}, {"target": "anthropic/claude-sonnet-4-5", "base_url": ")" + second.base_url() +
      "\"}]}}"};

  [[nodiscard]] ProgramRun run(const char* program, std::vector<std::string> arguments,
                               const std::string& input = {}) const {
    arguments.insert(arguments.begin(), policy.path());
    return run_program(program, arguments, {"OPENAI_API_KEY=k1-hunter2", "ANTHROPIC_API_KEY=k2-hunter2"}, input);
  }
};

std::vector<std::string> sorted(std::vector<std::string> lines) {
  std::sort(lines.begin(), lines.end());
  return lines;
}

}  // namespace

TEST_CASE("the console example calls its tool, says who is asked instead, and goes on with the talk of the file") {
  TwoServers servers;
  servers.first.next(faults::tool_call("add", R"({"a": 2, "b": 3})"));
  servers.first.next(faults::overloaded());
  servers.second.always(faults::answer("It is five."));
  const TemporaryFile talk{"[]"};
  const ProgramRun run = servers.run(BACKSTOP_CONSOLE_PROGRAM, {talk.path()}, "What is 2 + 3?\n");
  INFO(run.err);
  CHECK(run.status == 0);
  CHECK(run.out == "> It is five.\n> ");
  CHECK_THAT(run.err, ContainsSubstring("[openai/gpt-4o failed: "));
  CHECK_THAT(run.err, ContainsSubstring("[anthropic/claude-sonnet-4-5, $"));
  REQUIRE(servers.second.request_count() == 1);
  CHECK_THAT(servers.second.requests()[0].body, ContainsSubstring("\"5.0\""));

  const ProgramRun again = servers.run(BACKSTOP_CONSOLE_PROGRAM, {talk.path()}, "Sure?\n");
  CHECK(again.status == 0);
  const auto requests = servers.first.requests();
  CHECK_THAT(requests.back().body, ContainsSubstring("It is five."));
  CHECK_THAT(requests.back().body, ContainsSubstring("What is 2 + 3?"));
}

TEST_CASE("the console example survives a failure, and says what is wrong with its files") {
  TwoServers servers;
  servers.first.always(faults::overloaded());
  servers.second.next(faults::unauthorized());
  servers.second.always(faults::answer("Hello."));
  const ProgramRun run = servers.run(BACKSTOP_CONSOLE_PROGRAM, {}, "Hi\n\n");
  CHECK(run.status == 0);
  CHECK_THAT(run.err, ContainsSubstring("authentication"));
  CHECK(run_program(BACKSTOP_CONSOLE_PROGRAM, {}).status == 2);
  CHECK(run_program(BACKSTOP_CONSOLE_PROGRAM, {"/no/such/policy.json"}).status == 2);
}

TEST_CASE("the batch example answers what it can, and another run does the rest") {
  TwoServers servers;
  servers.first.always(faults::answer("one"));
  const TemporaryFile requests{"Why?\n"
                               R"({"custom_id": "x", "messages": [{"role": "user", "content": "How?"}]})"
                               "\nWhen?\n"};
  const TemporaryFile log;
  const ProgramRun run = servers.run(BACKSTOP_BATCH_PROGRAM, {requests.path(), log.path(), "0.5"});
  INFO(run.err);
  CHECK(run.status == 0);
  CHECK(sorted(run.lines()) == std::vector<std::string>{"1: one", "3: one", "x: one"});
  CHECK_THAT(run.err, ContainsSubstring("3 done, 0 failed, 0 running, 0 left, $"));
  CHECK(servers.first.request_count() == 3);
  const ProgramRun again = servers.run(BACKSTOP_BATCH_PROGRAM, {requests.path(), log.path()});
  CHECK(again.status == 0);
  CHECK(again.out.empty());
  CHECK(servers.first.request_count() == 3);
  CHECK(servers.run(BACKSTOP_BATCH_PROGRAM, {"/no/such/file", log.path()}).status == 2);
}

TEST_CASE("backstop-chat runs a batch and shows how far it is") {
  TwoServers servers;
  servers.first.next(faults::unauthorized());
  servers.first.always(faults::answer("one"));
  servers.second.always(faults::unauthorized());
  const TemporaryFile requests{"Why?\nHow?\n"};
  const TemporaryFile log;
  const auto batch = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"--policy", servers.policy.path(), "--batch", requests.path()});
    return run_program(BACKSTOP_CHAT_PROGRAM, more, {"OPENAI_API_KEY=k1-hunter2", "ANTHROPIC_API_KEY=k2-hunter2"});
  };
  const ProgramRun run = batch({"--log", log.path(), "--concurrency", "2", "--budget", "0.5"});
  INFO(run.err);
  CHECK(run.err.find("hunter2") == std::string::npos);
  CHECK_THAT(run.err, ContainsSubstring("done, "));
  CHECK_THAT(run.err, ContainsSubstring(" 0 left, $"));
  CHECK(batch({"--stream"}).status == 2);
  CHECK(batch({"--budget", "-1"}).status == 2);
  CHECK(batch({"Hello"}).status == 2);
  CHECK(run_program(BACKSTOP_CHAT_PROGRAM, {"--target", "openai/m", "--log", "x", "Hello"}).status == 2);
  const TemporaryFile wrong{"{\"messages\": 3}\n"};
  const ProgramRun refused =
      run_program(BACKSTOP_CHAT_PROGRAM, {"--policy", servers.policy.path(), "--batch", wrong.path()},
                  {"OPENAI_API_KEY=k", "ANTHROPIC_API_KEY=k"});
  CHECK(refused.status == 2);
  CHECK_THAT(refused.err, ContainsSubstring("line 1"));
}

TEST_CASE("backstop-chat prints the results of a batch as JSON") {
  faults::FaultServer server;
  server.always(faults::answer("one"));
  const TemporaryFile requests{"Why?\n"};
  const std::string target = "local/m@" + server.base_url("/v1");
  const ProgramRun run =
      run_program(BACKSTOP_CHAT_PROGRAM, {"--target", target, "--batch", requests.path(), "--json"});
  CHECK(run.status == 0);
  CHECK(run.out.starts_with(R"({"custom_id":"1","ok":true,"text":"one")"));
  CHECK_THAT(run.err, ContainsSubstring("1 done, 0 failed, 0 running, 0 left, "));
}

/// What a program prints on a terminal, standard error mixed in. A terminal that nobody has open any more may lose what
/// was written last, so it stays open until all has been read.
ProgramRun on_terminal(std::vector<std::string> command) {
  constexpr int no_terminals = 77;
  const TemporaryFile script{R"(import os, pty, subprocess, sys
try:
    ours, its = pty.openpty()
except OSError:
    sys.exit(77)
status = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=its, stderr=its, timeout=60).returncode
os.write(its, b'\0')
text = b''
while not text.endswith(b'\0'):
    text += os.read(ours, 65536)
sys.stdout.buffer.write(text[:-1])
sys.exit(status)
)"};
  command.insert(command.begin(), {"python3", script.path()});
  ProgramRun run = run_program("/usr/bin/env", command, {"OPENAI_API_KEY=k1-hunter2", "ANTHROPIC_API_KEY=k2-hunter2"});
  if (run.status == no_terminals) SKIP("there are no pseudo-terminals here");
  return run;
}

TEST_CASE("on a terminal an answer of a batch stands in place of the line that said how far it was") {
  TwoServers servers;
  servers.first.always(faults::answer("one"));
  const TemporaryFile requests{"Why?\nHow?\n"};
  const ProgramRun chat = on_terminal({BACKSTOP_CHAT_PROGRAM, "--policy", servers.policy.path(), "--batch",
                                       requests.path(), "--concurrency", "1"});
  CHECK(chat.status == 0);
  const TemporaryFile log;
  const ProgramRun batch = on_terminal({BACKSTOP_BATCH_PROGRAM, servers.policy.path(), requests.path(), log.path()});
  CHECK(batch.status == 0);
  for (const ProgramRun* run : {&chat, &batch}) {
    INFO(run->out);
    CHECK_THAT(run->out, ContainsSubstring("1 done, "));
    CHECK_THAT(run->out, ContainsSubstring("\r\x1b[K1: one\r\n"));
    CHECK_THAT(run->out, ContainsSubstring("\r\x1b[K2: one\r\n"));
  }
}

TEST_CASE("on a terminal backstop-chat says who has failed before the answer begins") {
  TwoServers servers;
  servers.first.always(faults::overloaded());
  servers.second.always(faults::answer("Hello."));
  const std::string failed = "[openai/gpt-4o failed: ";
  for (const char* way : {"--stream", "--json"}) {
    CAPTURE(way);
    const std::vector<std::string> arguments{"--policy", servers.policy.path(), way, "Hi"};
    std::vector<std::string> command{BACKSTOP_CHAT_PROGRAM};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const ProgramRun seen = on_terminal(command);
    INFO(seen.out);
    CHECK(seen.status == 0);
    CHECK((seen.out.find(failed) < seen.out.find("Hello.")) == (std::string{way} == "--stream"));
    const ProgramRun piped = run_program(BACKSTOP_CHAT_PROGRAM, arguments,
                                         {"OPENAI_API_KEY=k1-hunter2", "ANTHROPIC_API_KEY=k2-hunter2"});
    CHECK(piped.err.find(failed) == std::string::npos);
  }
}

TEST_CASE("the example with a loop of its own answers all lines") {
  TwoServers servers;
  servers.first.next(faults::cut_stream(0));
  servers.first.always(faults::answer("All is well."));
  servers.second.always(faults::answer("All is well."));
  const ProgramRun run = servers.run(BACKSTOP_OWN_LOOP_PROGRAM, {}, "Why?\nHow?\nWhen?\n");
  INFO(run.err);
  CHECK(run.status == 0);
  for (const char* number : {"1: ", "2: ", "3: "}) {
    std::string text;
    for (const std::string& line : run.lines()) {
      if (line.starts_with(number)) text += line.substr(3);
    }
    CHECK(text == "All is well.");
  }
}

#ifdef BACKSTOP_SERVER_PROGRAM
/// Runs the server, and a script against it that has its port as `port` and its process as `server`.
ProgramRun with_server(const TwoServers& servers, const std::string& script) {
  const TemporaryFile file{R"(import socket, subprocess, sys, time
server = subprocess.Popen([sys.argv[1], sys.argv[2]], stdout=subprocess.PIPE, text=True)
def visit():
    return socket.create_connection(('127.0.0.1', port), timeout=20)
def answer(visitor):
    text = b''
    while not text.endswith(b'\n\n'):
        piece = visitor.recv(1 << 20)
        if not piece: break
        text += piece
    return text.decode()
try:
    port = int(server.stdout.readline().rsplit(':', 1)[1])
)" + script + R"(
finally:
    server.terminate()
    server.wait()
)"};
  return run_program("/usr/bin/env", {"python3", file.path(), BACKSTOP_SERVER_PROGRAM, servers.policy.path()},
                     {"OPENAI_API_KEY=k1-hunter2", "ANTHROPIC_API_KEY=k2-hunter2"});
}

TEST_CASE("the server's answers fail over, and a connection is a conversation") {
  TwoServers servers;
  servers.first.next(faults::overloaded());
  servers.first.always(faults::answer("All is well."));
  servers.second.always(faults::answer("All is well."));
  const ProgramRun run = with_server(servers, R"(
    one, two = visit(), visit()
    one.sendall(b'Why?\nHow?\n')
    two.sendall(b'When?\n')
    print(repr(answer(one)), repr(answer(two)))
    one.sendall(b'Sure?\n')
    print(repr(answer(one)))
)");
  INFO(run.err);
  CHECK(run.status == 0);
  CHECK_THAT(run.out, ContainsSubstring(R"('All is well.\n\n')"));
  const auto requests = servers.first.requests();
  const auto holds = [&](std::string_view text) {
    return std::any_of(requests.begin(), requests.end(), [&](const auto& one) { return one.body.find(text) != std::string::npos; });
  };
  CHECK(holds("Why?"));
  CHECK(holds("When?"));
  CHECK(requests.back().body.find("All is well.") != std::string::npos);
}

TEST_CASE("who hangs up at the server cancels the call, and who reads slowly gets all of a long answer") {
  TwoServers servers;
  const std::string long_text(3'000'000, 'x');
  servers.first.next(faults::silence());
  servers.first.always(faults::answer(long_text));
  servers.second.always(faults::answer("no"));
  const ProgramRun run = with_server(servers, R"(
    gone = visit()
    gone.sendall(b'Why?\n')
    time.sleep(0.3)
    gone.close()
    slow = visit()
    slow.sendall(b'Long?\n')
    time.sleep(0.5)
    text = answer(slow)
    print(len(text), set(text.strip()))
)");
  INFO(run.err);
  CHECK(run.status == 0);
  CHECK(run.out == "3000002 {'x'}\n");
  CHECK(servers.second.request_count() == 0);
}
#endif

#endif

}  // namespace app_examples_test
