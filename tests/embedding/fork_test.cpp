// A process that forks while it uses the library: the child has connections, a driver and calls of its own.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/single_flight.hpp"
#include "backstop/providers/openai.hpp"
#include "support/ends_after.hpp"
#include "support/fault_server.hpp"

namespace fork_test {

using namespace backstop;
using namespace std::chrono_literals;

namespace {

Provider target_of(const faults::FaultServer& server) {
  return openai({.model = "m", .api_key = "sk-secret-0123456789", .base_url = server.base_url("/v1")}) | single_flight();
}

FallbackClient client_of(Provider target, std::shared_ptr<Runtime> runtime) {
  FallbackOptions options;
  options.runtime = std::move(runtime);
  options.recovery.max_wait = 0s;
  return FallbackClient{{std::move(target)}, options};
}

FallbackClient client_of(const faults::FaultServer& server, std::shared_ptr<Runtime> runtime) {
  return client_of(target_of(server), std::move(runtime));
}

// AddressSanitizer's allocator has locks that another thread may hold at the moment of a fork. A thread that the child
// starts then waits for them without an end, whatever it does: such a child is made anew.
#ifdef __SANITIZE_ADDRESS__
constexpr int tries = 4;
#else
constexpr int tries = 1;
#endif

/// What `work` returns in a child of this process; -1 when it is not over after 20 s, or crashes.
template <class Work>
int in_child(const Work& work) {
  for (int left = tries; left > 0; --left) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(20);
      ::_exit(work());
    }
    int status = 0;
    if (::waitpid(child, &status, 0) != child) return -1;
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    if (WTERMSIG(status) != SIGALRM) return -1;
  }
  return -1;
}

bool answered(const FallbackClient& client, const char* prompt) {
  const auto reply = client.chat(prompt);
  return reply && reply->text() == "All is well.";
}

/// Its callback comes, without a thread that waits for the call.
bool answered_in_background(const FallbackClient& client) {
  std::promise<bool> end;
  PendingCall call = client.start("in the background");
  call.on_done([&](const Result<ChatResponse>& reply) { end.set_value(reply.has_value()); });
  std::future<bool> ended = end.get_future();
  return ended.wait_for(10s) == std::future_status::ready && ended.get();
}

}  // namespace

TEST_CASE("a child of the process has connections and a driver of its own, and the parent keeps its own") {
  faults::FaultServer server;
  server.always(faults::answer("All is well."));
  const auto runtime = std::make_shared<Runtime>(RuntimeOptions{});
  const FallbackClient client = client_of(server, runtime);
  REQUIRE(answered(client, "before"));
  REQUIRE(answered_in_background(client));
  REQUIRE(server.connection_count() == 1);

  CHECK(in_child([&] {
          if (!answered(client, "in the child")) return 1;
          if (!answered_in_background(client)) return 2;
          return 0;
        }) == 0);
  CHECK(server.connection_count() == 2);
  CHECK(answered(client, "after"));
  CHECK(answered_in_background(client));
  CHECK(server.connection_count() == 2);
}

TEST_CASE("a child of the process calls while the parent's driver is busy, and the parent's calls are over there") {
  faults::FaultServer server;
  server.always(faults::answer("All is well."));
  const auto runtime = std::make_shared<Runtime>(RuntimeOptions{});
  const FallbackClient client = client_of(server, runtime);
  server.next(faults::silence());
  PendingCall silent = client.start("nobody answers");
  ChatStream stream = [&] {
    server.next(faults::stall_stream(1));
    ChatStream begun = client.stream("a stream");
    REQUIRE(begun.next() != nullptr);
    return begun;
  }();
  REQUIRE(server.wait_for_requests(2, 10s));

  CHECK(in_child([&] {
          if (runtime->next_due() > machine_clock().now()) return 7;  // `poll` is to begin anew, whoever drove
          if (!silent.done() || silent.wait().error().kind != ErrorKind::cancelled) return 1;
          bool told = false;
          silent.on_done([&](const Result<ChatResponse>& reply) { told = !reply; });
          if (!told) return 2;
          if (stream.next() != nullptr || stream.result().error().kind != ErrorKind::cancelled) return 3;
          if (!answered(client, "nobody answers")) return 4;  // no follower of the parent's send
          if (!answered_in_background(client)) return 5;
          { const PendingCall dropped = std::move(silent); }
          return answered(client, "after the handle") ? 0 : 6;
        }) == 0);
  CHECK_FALSE(silent.done());
  silent.cancel();
  CHECK(silent.wait().error().kind == ErrorKind::cancelled);
  CHECK(answered(client, "in the parent"));
}

TEST_CASE("a child that is made in a callback may call from there") {
  faults::FaultServer server;
  server.always(faults::answer("All is well."));
  std::promise<void> asked;
  const FallbackClient client = client_of(target_of(server) | faults::ends_after(asked.get_future().share()),
                                          std::make_shared<Runtime>(RuntimeOptions{}));
  std::promise<int> child;
  PendingCall call = client.start("hello");
  call.on_done([&](const Result<ChatResponse>&) {
    child.set_value(in_child([&] {
      if (!answered(client, "in the child")) return 1;
      return answered_in_background(client) ? 0 : 2;
    }));
  });
  asked.set_value();
  CHECK(call.wait());
  CHECK(child.get_future().get() == 0);
  CHECK(answered(client, "after"));
}

TEST_CASE("a runtime of the parent can be destroyed in a child, and its calls go on in the parent") {
  faults::FaultServer server;
  server.always(faults::answer("All is well."));
  auto runtime = std::make_shared<Runtime>(RuntimeOptions{});
  std::optional<FallbackClient> client{client_of(server, runtime)};
  REQUIRE(answered_in_background(*client));
  server.next(faults::silence());
  PendingCall silent = client->start("nobody answers");
  REQUIRE(server.wait_for_requests(2, 10s));
  CHECK(in_child([&] {
          client.reset();
          runtime.reset();
          return 0;
        }) == 0);
  CHECK_FALSE(silent.done());
  silent.cancel();
  CHECK(answered(*client, "after"));
  CHECK(server.request_count() == 3);
}

TEST_CASE("a child may begin with several threads") {
  faults::FaultServer server;
  server.always(faults::answer("All is well."));
  const FallbackClient client = client_of(server, std::make_shared<Runtime>(RuntimeOptions{}));
  REQUIRE(answered(client, "before"));
  for (int round = 0; round < 20; ++round) {
    CHECK(in_child([&] {
            std::atomic<int> failed{0};
            std::vector<std::thread> threads;
            for (int i = 0; i < 4; ++i) {
              threads.emplace_back([&, i] { failed += answered(client, std::to_string(i).c_str()) ? 0 : 1; });
            }
            for (std::thread& thread : threads) thread.join();
            return failed.load();
          }) == 0);
  }
}

TEST_CASE("a child that is made while a callback runs can let go of its call") {
  faults::FaultServer server;
  server.always(faults::answer("All is well."));
  std::promise<void> asked;
  const FallbackClient client = client_of(target_of(server) | faults::ends_after(asked.get_future().share()),
                                          std::make_shared<Runtime>(RuntimeOptions{}));
  std::optional<PendingCall> call;
  std::promise<void> begun;
  std::promise<void> over;
  call.emplace(client.start("hello"));
  call->on_done([&](const Result<ChatResponse>&) {
    begun.set_value();
    over.get_future().wait();
  });
  asked.set_value();
  begun.get_future().wait();
  CHECK(in_child([&] {
          if (!call->done() || !call->wait()) return 1;  // its result was there already
          call.reset();
          return answered(client, "in the child") ? 0 : 2;
        }) == 0);
  over.set_value();
  CHECK(call->wait());
}

TEST_CASE("a child of the process fetches a key of its own, also while the parent's function runs") {
  faults::FaultServer server;
  server.always(faults::answer("All is well."));
  const pid_t parent = ::getpid();
  std::promise<void> asked;
  std::promise<void> allowed;
  const std::shared_future<void> may_return = allowed.get_future().share();
  const Credentials keys = credentials_from([&, may_return]() -> Result<ExpiringKey> {
    if (::getpid() != parent) return ExpiringKey{"the-child's-key", "", "", {}};
    asked.set_value();
    may_return.wait();
    return ExpiringKey{"the-parent's-key", "", "", {}};
  });
  const FallbackClient client =
      client_of(openai({.model = "m", .credentials = keys, .base_url = server.base_url("/v1")}),
                std::make_shared<Runtime>(RuntimeOptions{}));
  PendingCall waiting = client.start("waits for the key");
  asked.get_future().wait();
  CHECK(in_child([&] { return answered(client, "in the child") ? 0 : 1; }) == 0);
  allowed.set_value();
  CHECK(waiting.wait());
  CHECK(answered(client, "after"));
  REQUIRE(server.requests().size() == 3);
  CHECK(server.requests()[0].header("authorization") == "Bearer the-child's-key");
  CHECK(server.requests()[1].header("authorization") == "Bearer the-parent's-key");
  CHECK(server.requests()[2].header("authorization") == "Bearer the-parent's-key");
}

TEST_CASE("parent and child do not make the same ids") {
  const auto runtime = std::make_shared<Runtime>(RuntimeOptions{});
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  CHECK(in_child([&] {
          runtime->poll();  // it finds out where it is
          const std::uint64_t number = runtime->random();
          return ::write(ends[1], &number, sizeof number) == sizeof number ? 0 : 1;
        }) == 0);
  runtime->poll();
  std::uint64_t of_child = 0;
  CHECK(::read(ends[0], &of_child, sizeof of_child) == sizeof of_child);
  CHECK(of_child != runtime->random());
  for (const int end : ends) ::close(end);
}

TEST_CASE("a program that is started does not get the connections") {
  faults::FaultServer server;
  server.always(faults::answer("All is well."));
  const FallbackClient client = client_of(server, std::make_shared<Runtime>(RuntimeOptions{}));
  REQUIRE(answered(client, "hello"));
  int connections = 0;
  for (int descriptor = 0; descriptor < 1024; ++descriptor) {
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    if (::getpeername(descriptor, reinterpret_cast<sockaddr*>(&peer), &size) != 0) continue;
    if (peer.sin_family != AF_INET || ntohs(peer.sin_port) != server.port()) continue;
    ++connections;
    CHECK((::fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0);
  }
  CHECK(connections == 1);
}

}  // namespace fork_test
