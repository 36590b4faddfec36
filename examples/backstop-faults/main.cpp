// A server for anybody's tests that speaks the wires of the providers and fails on request: point a client's base URL
// at it and choose the fault on the command line, by the header `x-fault`, or by a model that is called `fault/NAME`.

#include <fmt/format.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "support/fault_log.hpp"
#include "support/fault_names.hpp"
#include "support/fault_server.hpp"

using namespace backstop::faults;

namespace {

constexpr std::string_view usage =
    "usage: backstop-faults [--port N] [--log] [FAULT...]\n"
    "       backstop-faults --list | --help\n"
    "Answers on 127.0.0.1 until it is ended; its first line is its address. The faults are those of the first requests,\n"
    "in order; the last one stays. A request that names one in its header x-fault, or by a model that is called\n"
    "fault/NAME, gets that one.\n"
    "\n"
    "  --port N   the port; a free one unless given\n"
    "  --log      a line for each request: method, path, model, streamed or plain, how many messages; no keys\n"
    "  --list     all faults, with what may stand in their brackets\n"
    "\n"
    "  backstop-faults 'tool_call(weather, {\"city\": \"Oslo\"})' 'answer(12 degrees.)'    your tool, then your text\n"
    "  backstop-faults 'tokens(80, A longer answer, word by word.)'                    80 ms between two words\n"
    "  backstop-faults overloaded 'cut_stream(3)' answer\n";

struct Options {
  std::uint16_t port = 0;
  bool list = false;
  bool help = false;
  bool log = false;
  std::vector<Behaviour> faults;
};

std::optional<Options> read(int count, char** arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = arguments[i];
    if (word == "--list") {
      options.list = true;
    } else if (word == "--help") {
      options.help = true;
    } else if (word == "--log") {
      options.log = true;
    } else if (word == "--port" && i + 1 < count) {
      const std::string_view number = arguments[++i];
      const auto read = std::from_chars(number.data(), number.data() + number.size(), options.port);
      if (read.ec != std::errc{} || read.ptr != number.data() + number.size()) {
        fmt::print(stderr, "backstop-faults: --port {}: a number from 0 to 65535 is wanted\n", number);
        return std::nullopt;
      }
    } else if (word.starts_with("-")) {
      fmt::print(stderr, "{}", usage);
      return std::nullopt;
    } else {
      options.faults.push_back(behaviour_named(word));
    }
  }
  return options;
}

void list() {
  for (const NamedBehaviour& named : named_behaviours()) {
    if (named.number.empty()) {
      fmt::print("{}\n", named.name);
    } else {
      fmt::print("{}({})  {}\n", named.name, named.usual, named.number);
    }
    if (!named.words.empty()) fmt::print("{}({})\n", named.name, named.words);
  }
}

void serve(Options options) {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);  // before the server's thread begins, which then has it so, too
  FaultServer server{{.port = options.port}};
  Behaviour last = answer();
  if (!options.faults.empty()) {
    last = options.faults.back();
    options.faults.pop_back();
  }
  const auto print = [](const std::string& line) {
    fmt::print("{}\n", line);
    std::fflush(stdout);
  };
  const auto behaviour = [&](Behaviour fault) {
    fault = as_requested(std::move(fault));
    return options.log ? logged(print, std::move(fault)) : fault;
  };
  for (Behaviour& fault : options.faults) server.next(behaviour(std::move(fault)));
  server.always(behaviour(std::move(last)));
  fmt::print("{}\n", server.base_url());
  std::fflush(stdout);
  int which = 0;
  sigwait(&ends, &which);
  server.stop();
  fmt::print("{} requests\n", server.request_count());
}

}  // namespace

int main(int count, char** arguments) {
  try {
    std::optional<Options> options = read(count, arguments);
    if (!options) return 2;
    if (options->help) {
      fmt::print("{}", usage);
    } else if (options->list) {
      list();
    } else {
      serve(std::move(*options));
    }
  } catch (const std::exception& failed) {
    fmt::print(stderr, "backstop-faults: {}\n", failed.what());
    return 2;
  }
  return 0;
}
