// An application's own loop drives the calls: it waits for one descriptor, and until the runtime's next moment.

#include <poll.h>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/providers/openai.hpp"
#include "support/fault_server.hpp"

namespace poll_fd_test {

using namespace backstop;
using namespace std::chrono_literals;

namespace {

class OwnLoop {
 public:
  OwnLoop() {
    RuntimeOptions options;
    options.background_driver = false;
    runtime = std::make_shared<Runtime>(std::move(options));
    descriptor = runtime->poll_fd();
    if (descriptor < 0) SKIP("this system has no such descriptor");
  }

  /// Until the condition holds, or nothing has happened for 10 s.
  template <class Condition>
  void run_until(const Condition& condition) {
    while (!condition()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(runtime->next_due() - machine_clock().now());
      pollfd one{descriptor, POLLIN, 0};
      const int ready = ::poll(&one, 1, left >= 10s ? 10'000 : left <= 0ms ? 0 : static_cast<int>(left.count()));
      if (ready == 0 && left >= 10s) FAIL("the descriptor does not say that there is something to do");
      ++turns;
      REQUIRE(runtime->poll());
    }
  }
  /// With a target for each model, all at that server.
  [[nodiscard]] FallbackClient client(const faults::FaultServer& server, const std::vector<const char*>& models = {"m"}) const {
    FallbackOptions options;
    options.runtime = runtime;
    options.recovery.max_wait = 0s;
    std::vector<Provider> targets;
    for (const char* model : models) {
      targets.push_back(openai({.model = model, .api_key = "sk-secret-0123456789", .base_url = server.base_url("/v1")}));
    }
    return FallbackClient{std::move(targets), options};
  }

  std::shared_ptr<Runtime> runtime;
  int descriptor = -1;
  int turns = 0;
};

}  // namespace

TEST_CASE("a loop of the application's own drives calls by one descriptor") {
  faults::FaultServer server;
  server.always(faults::answer("All is well."));
  OwnLoop loop;
  const FallbackClient client = loop.client(server);
  std::vector<PendingCall> calls;
  int ended = 0;
  for (int i = 0; i < 20; ++i) {
    calls.push_back(client.start("hello"));
    calls.back().on_done([&](const Result<ChatResponse>& reply) { ended += reply ? 1 : 0; });
  }
  loop.run_until([&] { return ended == 20; });
}

TEST_CASE("a send that begins at the end of a turn is not left until something comes") {
  faults::FaultServer server;
  server.always(faults::answer("All is well."));
  server.next(faults::status(500));
  OwnLoop loop;
  const FallbackClient client = loop.client(server, {"a", "b"});
  PendingCall call = client.start("hello");
  loop.run_until([&] { return call.done(); });
  REQUIRE(call.wait());
  CHECK(call.wait()->attempts.size() == 2);
}

TEST_CASE("the descriptor is silent while there is nothing to do") {
  faults::FaultServer server;
  server.always(faults::answer("All is well."));
  OwnLoop loop;
  const FallbackClient client = loop.client(server);
  PendingCall call = client.start("hello");
  loop.run_until([&] { return call.done(); });
  call.cancel();
  for (int i = 0; i < 3; ++i) REQUIRE(loop.runtime->poll());
  pollfd one{loop.descriptor, POLLIN, 0};
  CHECK(::poll(&one, 1, 0) == 0);
  CHECK(loop.runtime->next_due() > machine_clock().now());
}

TEST_CASE("a kept connection that the server closes does not make the application's loop spin") {
  faults::FaultServer server;
  server.always(faults::answer("All is well."));
  OwnLoop loop;
  const FallbackClient client = loop.client(server);
  for (int call = 0; call < 2; ++call) {
    PendingCall pending = client.start("hello");
    loop.run_until([&] { return pending.done(); });
    REQUIRE(pending.wait());
    server.drop_idle_connections();
    pollfd one{loop.descriptor, POLLIN, 0};
    static_cast<void>(::poll(&one, 1, 1000));  // until it is seen to be closed
    for (int turn = 0; turn < 3; ++turn) REQUIRE(loop.runtime->poll());
    CHECK(::poll(&one, 1, 0) == 0);
  }
}

TEST_CASE("what a thread that blocked on a call leaves undone is told to the application's loop") {
  OwnLoop loop;
  bool ran = false;
  Runtime::Gate gate;
  loop.runtime->block_until(gate, [&] {
    loop.runtime->post([&] { ran = true; });
    loop.runtime->open(gate);
  });
  CHECK_FALSE(ran);
  pollfd one{loop.descriptor, POLLIN, 0};
  CHECK(::poll(&one, 1, 10'000) == 1);
  REQUIRE(loop.runtime->poll());
  CHECK(ran);
  CHECK(::poll(&one, 1, 0) == 0);  // it does not tell itself
}

TEST_CASE("what is due without anything coming is told by the runtime's next moment") {
  faults::FaultServer server;
  server.always(faults::silence());
  OwnLoop loop;
  const FallbackClient client = loop.client(server);
  PendingCall call = client.start("hello", {.limits = {.deadline = 300ms}});
  loop.run_until([&] { return call.done(); });
  CHECK(call.wait().error().kind == ErrorKind::deadline_exceeded);
  CHECK(loop.turns < 60);  // it does not spin meanwhile
}

TEST_CASE("open streams that say nothing do not wake the application's loop") {
  faults::FaultServer server;
  server.always(faults::stall_stream(1));
  OwnLoop loop;
  const FallbackClient client = loop.client(server);
  std::vector<PendingCall> calls;
  int begun = 0;
  const auto on_event = [&](const StreamEvent& event) { begun += event.type == StreamEvent::Type::text ? 1 : 0; };
  const CallOptions options{.limits = {.deadline = 600ms, .recovery_wait = 0s}, .on_event = on_event};
  for (int i = 0; i < 8; ++i) calls.push_back(client.start("hello", options));
  loop.run_until([&] { return begun == 8; });
  loop.turns = 0;
  loop.run_until([&] { return std::all_of(calls.begin(), calls.end(), [](const auto& call) { return call.done(); }); });
  // A moment of libcurl's for new connections, and the ends of the streams.
  CHECK(loop.turns < 20);
}

TEST_CASE("a call that another thread begins wakes the application's loop") {
  faults::FaultServer server;
  server.always(faults::answer("All is well."));
  OwnLoop loop;
  const FallbackClient client = loop.client(server);
  std::unique_ptr<PendingCall> call;
  std::thread other{[&] { call = std::make_unique<PendingCall>(client.start("hello")); }};
  bool begun = false;
  loop.run_until([&] {
    if (!std::exchange(begun, true)) return false;
    other.joinable() ? other.join() : void();
    return call->done();
  });
  CHECK(call->wait());
}

}  // namespace poll_fd_test
