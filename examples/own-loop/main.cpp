// A program with a loop of its own: one thread, one `poll`, and the library as one descriptor among others. No thread
// of the library's, no tick: between two events the process sleeps, whatever number of streams is open.
//
// Each line of standard input is a question; the answers stream side by side. backstop-own-loop POLICY.json

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>

#include <poll.h>
#include <unistd.h>

#include <backstop/backstop.hpp>

using namespace backstop;
using namespace std::chrono_literals;

/// How long `poll` may wait for the runtime, in its milliseconds; -1: for ever.
int milliseconds_until(TimePoint due) {
  if (due == TimePoint::max()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - machine_clock().now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
}

int main(int argc, char** argv) {
  RuntimeOptions mine;
  mine.background_driver = false;  // this program drives
  FallbackOptions options;
  options.runtime = std::make_shared<Runtime>(std::move(mine));
  const auto client = FallbackClient::from_config(load_config(argc > 1 ? argv[1] : "policy.json"), options);
  if (!client) return fmt::print(stderr, "{}\n", client.error()), 2;

  std::map<int, PendingCall> calls;
  std::string input;
  int count = 0;
  bool open = true;
  while (open || !calls.empty()) {
    pollfd watched[] = {{options.runtime->poll_fd(), POLLIN, 0}, {open ? STDIN_FILENO : -1, POLLIN, 0}};
    ::poll(watched, 2, milliseconds_until(options.runtime->next_due()));
    options.runtime->poll();  // runs what is ready or due, and does not wait
    if (watched[1].revents != 0) {
      char block[4096];
      const auto size = ::read(STDIN_FILENO, block, sizeof block);
      open = size > 0;
      if (open) input.append(block, static_cast<std::size_t>(size));
    }
    for (std::size_t end; (end = input.find('\n')) != std::string::npos; input.erase(0, end + 1)) {
      const auto show = [number = ++count](const StreamEvent& event) {
        if (event.type == StreamEvent::Type::text) fmt::print("{}: {}\n", number, event.delta);
        if (event.type == StreamEvent::Type::failed) fmt::print("{}: {}\n", number, event.error->kind);
      };
      calls.emplace(count, client->start(input.substr(0, end), {.on_event = show}));
    }
    std::erase_if(calls, [](const auto& entry) { return entry.second.done(); });
  }
}
