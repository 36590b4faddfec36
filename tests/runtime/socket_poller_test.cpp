#include "runtime/socket_poller.hpp"

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <set>
#include <system_error>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>

namespace socket_poller_test {

using backstop::detail::SocketPoller;
using namespace std::chrono_literals;

namespace {

struct Pair {
  Pair() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0); }
  ~Pair() {
    for (const int end : ends) ::close(end);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;
  void write() const { REQUIRE(::write(ends[1], "x", 1) == 1); }

  std::array<int, 2> ends{};
};

#ifdef __linux__
bool is_readable(int descriptor) {
  pollfd one{descriptor, POLLIN, 0};
  return ::poll(&one, 1, 0) == 1;
}
#endif

}  // namespace

TEST_CASE("a socket is ready for what it is watched for, until it is forgotten") {
  SocketPoller poller;
  const Pair pair;
  const int socket = pair.ends[0];
  poller.watch(socket, true, false);
  CHECK(poller.wait(0).empty());
  pair.write();
  REQUIRE(poller.wait(1000).size() == 1);
  CHECK(poller.wait(0)[0].socket == socket);
  CHECK(poller.wait(0)[0].readable);
  CHECK_FALSE(poller.wait(0)[0].writable);
  poller.watch(socket, true, true);
  CHECK(poller.wait(0)[0].writable);
  poller.watch(socket, false, false);
  CHECK(poller.wait(0).empty());
  poller.watch(socket, false, false);  // nothing happens
  poller.watch(socket, false, true);
  REQUIRE(poller.wait(0).size() == 1);
  CHECK_FALSE(poller.wait(0)[0].readable);
}

TEST_CASE("a peer that is gone makes a socket ready") {
  SocketPoller poller;
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0);
  poller.watch(ends[0], true, false);
  ::close(ends[1]);
  REQUIRE(poller.wait(1000).size() == 1);
  CHECK((poller.wait(0)[0].failed || poller.wait(0)[0].readable));
  poller.watch(ends[0], false, false);
  ::close(ends[0]);
}

TEST_CASE("a wait is ended from another thread, once for however many wakes") {
  SocketPoller poller;
  std::jthread other{[&] {
    for (int i = 0; i < 1000; ++i) poller.wake();
  }};
  CHECK(poller.wait(10'000).empty());
  other.join();
  static_cast<void>(poller.wait(0));
  const auto before = std::chrono::steady_clock::now();
  CHECK(poller.wait(20).empty());
  CHECK(std::chrono::steady_clock::now() - before >= 15ms);
}

TEST_CASE("an adopted socket that nobody waits for says nothing, ends a wait once at most, and is told of when it is watched again") {
  SocketPoller poller;
  const Pair pair;
  const int socket = pair.ends[0];
  poller.adopt(socket);
  poller.watch(socket, true, false, 1);
  poller.watch(socket, false, false, 1);
  pair.write();
#ifdef __linux__
  CHECK(is_readable(poller.descriptor()));  // it stays with the system until then
#endif
  CHECK(poller.wait(0).empty());
  const auto before = std::chrono::steady_clock::now();
  CHECK(poller.wait(20).empty());
  CHECK(std::chrono::steady_clock::now() - before >= 15ms);
#ifdef __linux__
  CHECK_FALSE(is_readable(poller.descriptor()));
#endif

  poller.watch(socket, true, false, 2);
  REQUIRE(poller.wait(1000).size() == 1);
  CHECK(poller.wait(0)[0].owner == 2);
  poller.watch(socket, false, false, 2);
  poller.watch(socket, true, false, 3);  // nothing came meanwhile, and its owner is another
  REQUIRE(poller.wait(1000).size() == 1);
  CHECK(poller.wait(0)[0].owner == 3);
  poller.watch(socket, false, false, 3);
  poller.watch(socket, false, true, 3);
  REQUIRE(poller.wait(0).size() == 1);
  CHECK(poller.wait(0)[0].writable);
  CHECK_FALSE(poller.wait(0)[0].readable);
}

TEST_CASE("a forgotten socket is not told of, though another descriptor keeps it open, and its number is free for another") {
  SocketPoller poller;
  const int keeps_it_open = [&] {
    const Pair pair;
    const int socket = pair.ends[0];
    poller.adopt(socket);
    poller.watch(socket, true, false);
    const int other = ::dup(socket);
    pair.write();
    poller.forget(socket);
    return other;
  }();
  CHECK(poller.wait(0).empty());
  std::vector<Pair> pairs(4);  // some have the numbers of those
  for (const Pair& pair : pairs) {
    poller.adopt(pair.ends[0]);
    poller.watch(pair.ends[0], true, false);
    pair.write();
  }
  CHECK(poller.wait(1000).size() == pairs.size());
  for (const Pair& pair : pairs) poller.forget(pair.ends[0]);
  ::close(keeps_it_open);
}

TEST_CASE("more sockets than are told at once are all told, one wait after the other") {
  SocketPoller poller;
  const std::vector<Pair> pairs(300);
  for (const Pair& pair : pairs) {
    poller.watch(pair.ends[0], true, false);
    pair.write();
  }
  std::size_t told = 0;
  while (told < pairs.size()) {
    const auto ready = poller.wait(0);
    REQUIRE_FALSE(ready.empty());
    told += ready.size();
    for (const auto& one : ready) poller.watch(one.socket, false, false);
  }
  CHECK(told == pairs.size());
}

TEST_CASE("of more sockets than are told at once none waits behind those that are always ready") {
  SocketPoller poller;
  const std::vector<Pair> pairs(40);
  for (const Pair& pair : pairs) {
    poller.watch(pair.ends[0], true, false);
    pair.write();  // it is never read
  }
  std::set<int> told;
  for (int wait = 0; wait < 10; ++wait) {
    for (const auto& one : poller.wait(0)) told.insert(one.socket);
  }
  CHECK(told.size() == pairs.size());
}

TEST_CASE("without a descriptor there is an error, and no loop that nobody can wake") {
#ifdef __SANITIZE_ADDRESS__
  SKIP("the sanitizers need descriptors themselves");
#endif
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  std::vector<int> all;
  rlimit small = limit;
  small.rlim_cur = 64;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &small) == 0);
  for (int one = ::dup(0); one >= 0; one = ::dup(0)) all.push_back(one);
  CHECK_THROWS_AS(SocketPoller{}, std::system_error);
  ::close(all.back());  // one is not enough
  all.pop_back();
  CHECK_THROWS_AS(SocketPoller{}, std::system_error);
  for (const int one : all) ::close(one);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  CHECK_NOTHROW(SocketPoller{});
}

}  // namespace socket_poller_test
