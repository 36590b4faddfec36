// Asks every line of a file, 16 at a time, within a budget, and notes the answers in a log. The same command goes on
// where Ctrl-C stopped it; where the budget ended, with a larger one: the log says what has been spent.
//
//     backstop-batch POLICY.json REQUESTS ANSWERS.jsonl [BUDGET_USD]
//
// A line of REQUESTS is a prompt, a request as JSON, or one of OpenAI's batches.

#include <cstdlib>
#include <iostream>
#include <thread>

#include <signal.h>

#include <backstop/backstop.hpp>

using namespace backstop;

/// A token that Ctrl-C stops.
std::stop_token stopped_by_ctrl_c() {
  static std::stop_source source;
  static sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // for this thread and all that it starts
  std::thread{[] {
    int signal = 0;
    sigwait(&signals, &signal);
    source.request_stop();
  }}.detach();
  return source.get_token();
}

int main(int argc, char** argv) try {
  if (argc < 4) return std::cerr << "usage: backstop-batch POLICY.json REQUESTS ANSWERS.jsonl [BUDGET_USD]\n", 2;
  BatchOptions options;
  options.call.stop = stopped_by_ctrl_c();
  options.log = argv[3];
  if (argc > 4) options.budget = Money::usd(std::atof(argv[4]));
  options.on_progress = [](const BatchProgress& now) { std::cerr << "\r" << to_string(now) << std::flush; };

  const FallbackClient client = FallbackClient::from_config(load_config(argv[1])).value();
  const BatchProgress end = batch(client, batch_file(argv[2]).value(), options, [](const BatchResult& one) {
                              std::cerr << "\r\x1b[K" << std::flush;  // in place of how far it was
                              if (one.reply) std::cout << one.id << ": " << one.reply->text() << std::endl;
                              else std::cerr << one.id << ": " << one.reply.error().message << "\n";
                            }).value();
  std::cerr << "\r" << to_string(end) << "\n";
  return end.complete && end.failed == 0 ? 0 : 1;
} catch (const std::exception& exception) {
  std::cerr << exception.what() << "\n";
  return 2;
}
