// A chat on the console: it remembers the talk, lets the model use a tool, says when a provider fails, stops an answer
// on Ctrl-C, and tells what each answer has cost. With a second file the talk goes on where it ended.
//
//     backstop-console POLICY.json [TALK.json]

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <mutex>
#include <stop_token>
#include <thread>

#include <backstop/app/typed.hpp>
#include <backstop/backstop.hpp>

using namespace backstop;

struct Numbers {
  double a = 0;
  double b = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Numbers, a, b)

/// Ctrl-C stops the answer that is being written; where there is none, it ends the program.
class CtrlC {
 public:
  CtrlC() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);  // for this thread and all that it starts
    std::thread{[this] {
      for (int signal = 0; sigwait(&signals_, &signal) == 0;) stop();
    }}.detach();
  }
  std::stop_token begin_answer() {
    const std::lock_guard lock{mutex_};
    return (answer_ = std::stop_source{}).get_token();
  }
  void end_answer() {
    const std::lock_guard lock{mutex_};
    answer_ = std::stop_source{std::nostopstate};
  }

 private:
  void stop() {
    const std::lock_guard lock{mutex_};
    if (!answer_.stop_possible()) std::_Exit(130);
    answer_.request_stop();
  }

  sigset_t signals_{};
  std::mutex mutex_;
  std::stop_source answer_{std::nostopstate};
};

void show(const StreamEvent& event) {
  if (event.type == StreamEvent::Type::text) std::cout << event.delta << std::flush;
  if (event.type != StreamEvent::Type::progress || event.progress->type == ProgressEvent::Type::attempt_began) return;
  std::cerr << "[" << to_string(*event.progress) << "]\n";
}

Conversation load(const char* path) {
  std::ifstream file{path};
  if (!file) return Conversation{"You are a helpful assistant. Be brief."};
  return Conversation::from_json(std::string{std::istreambuf_iterator<char>{file}, {}}).value();
}

int main(int argc, char** argv) try {
  static CtrlC ctrl_c;
  if (argc < 2) return std::cerr << "usage: backstop-console POLICY.json [TALK.json]\n", 2;
  const FallbackClient client = FallbackClient::from_config(load_config(argv[1])).value();
  const Tools tools{typed_tool("add", "Adds two numbers.", [](const Numbers& two) { return two.a + two.b; })};

  Conversation talk = argc > 2 ? load(argv[2]) : Conversation{"You are a helpful assistant. Be brief."};
  Money cost;
  for (std::string line; std::cout << "> " << std::flush && std::getline(std::cin, line);) {
    if (line.empty()) continue;
    talk.ask(line).trim({.max_tokens = 50'000});
    const auto reply = run(client, talk, tools,
                           {.call = {.stop = ctrl_c.begin_answer(), .on_event = show}, .max_cost = Money::usd(0.25)});
    ctrl_c.end_answer();
    std::cout << "\n";
    if (!reply) std::cerr << "[" << reply.error().kind << ": " << reply.error().message << "]\n";
    cost += reply ? reply->cost : reply.error().cost;
    if (reply) std::cerr << "[" << reply->served_by << ", " << reply->cost << ", all so far " << cost << "]\n";
    if (argc > 2) std::ofstream{argv[2]} << talk.to_json();
  }
  return 0;
} catch (const std::exception& exception) {
  std::cerr << exception.what() << "\n";
  return 2;
}
