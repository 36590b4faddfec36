#include "backstop/runtime/runtime.hpp"

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace runtime_test {

using namespace backstop;
using namespace std::chrono_literals;

// The real clock and real threads: what is tested is who drives the loop, not how long things take.

TEST_CASE("threads post, poll, block and start the background driver as they like, and all work is done once") {
  constexpr int threads = 4;
  constexpr int rounds = 100;
  std::atomic<int> done{0};
  {
    const auto runtime = std::make_shared<Runtime>(RuntimeOptions{});
    std::vector<std::jthread> workers;
    for (int i = 0; i < threads; ++i) {
      workers.emplace_back([&] {
        for (int round = 0; round < rounds; ++round) {
          runtime->ensure_background_driver();
          runtime->post([&] { ++done; });
          static_cast<void>(runtime->poll());
          Runtime::Gate gate;
          runtime->block_until(gate, [&] {
            ++done;
            runtime->open(gate);
          });
        }
      });
    }
    workers.clear();
    Runtime::Gate gate;
    runtime->block_until(gate, [&] { runtime->post([&] { runtime->open(gate); }); });
  }
  CHECK(done == threads * rounds * 2);
}

TEST_CASE("threads that ask for seeds get different ones, the same for the same seed of the runtime") {
  constexpr std::size_t threads = 4;
  constexpr std::size_t rounds = 1000;
  std::set<std::uint64_t> first;
  for (int round = 0; round < 2; ++round) {
    RuntimeOptions options;
    options.seed = 5;
    const auto runtime = std::make_shared<Runtime>(std::move(options));
    std::vector<std::vector<std::uint64_t>> drawn(threads);
    {
      std::vector<std::jthread> workers;
      for (std::size_t i = 0; i < threads; ++i) {
        workers.emplace_back([&, i] {
          for (std::size_t k = 0; k < rounds; ++k) drawn[i].push_back(runtime->new_seed());
        });
      }
    }
    std::set<std::uint64_t> all;
    for (const auto& some : drawn) all.insert(some.begin(), some.end());
    CHECK(all.size() == threads * rounds);
    if (round == 0) first = all;
    CHECK(all == first);
  }
}

TEST_CASE("a loop that waits on the transport is woken from another thread") {
  const auto runtime = std::make_shared<Runtime>(RuntimeOptions{});
  Runtime::Gate gate;
  std::atomic<bool> begun{false};
  std::jthread other{[&] {
    while (!begun) std::this_thread::yield();
    runtime->post([&] { runtime->open(gate); });
  }};
  runtime->block_until(gate, [&] { begun = true; });  // no timer is armed: only `wake` ends the wait
  CHECK(runtime->idle());
}

TEST_CASE("`poll` does not wait where something was ready, also where that was posted by a callback") {
  RuntimeOptions options;
  options.background_driver = false;
  const auto runtime = std::make_shared<Runtime>(std::move(options));
  bool done = false;
  runtime->post([&] { runtime->post([&] { done = true; }); });
  const auto before = std::chrono::steady_clock::now();
  while (!done) CHECK(runtime->poll(10s));
  const auto then = std::chrono::steady_clock::now();
  CHECK(then - before < 5s);
  CHECK(runtime->poll(20ms));  // nothing was
  CHECK(std::chrono::steady_clock::now() - then >= 15ms);
}

TEST_CASE("`poll` does not wait for what another thread has driven since the last turn") {
  RuntimeOptions options;
  options.background_driver = false;
  const auto runtime = std::make_shared<Runtime>(std::move(options));
  CHECK(runtime->poll());
  Runtime::Gate gate;
  runtime->block_until(gate, [&] { runtime->open(gate); });
  const auto before = std::chrono::steady_clock::now();
  CHECK(runtime->poll(10s));
  const auto then = std::chrono::steady_clock::now();
  CHECK(then - before < 5s);
  CHECK(runtime->poll(20ms));
  CHECK(std::chrono::steady_clock::now() - then >= 15ms);
}

TEST_CASE("a thread asks for the runtime's next moment while others drive") {
  struct Never final : Timer {
    void on_timer() noexcept override {}
  };
  RuntimeOptions options;
  options.background_driver = false;
  const auto runtime = std::make_shared<Runtime>(std::move(options));
  std::atomic<bool> over{false};
  std::jthread other{[&] {
    std::vector<std::unique_ptr<Never>> timers;
    for (int round = 0; round < 200; ++round) {
      Runtime::Gate gate;
      runtime->block_until(gate, [&] {
        timers.clear();
        for (int i = 0; i < round; ++i) {
          timers.push_back(std::make_unique<Never>());
          runtime->timers().arm(*timers.back(), runtime->now() + 1h);
        }
        runtime->open(gate);
      });
    }
    Runtime::Gate gate;
    runtime->block_until(gate, [&] {
      timers.clear();
      runtime->open(gate);
    });
    over = true;
  }};
  while (!over) CHECK(runtime->next_due() >= TimePoint{});
  other.join();
  CHECK(runtime->next_due() == TimePoint::max());
}

TEST_CASE("however many timers are due, all have run after a few turns that do not wait") {
  struct Due final : Timer {
    explicit Due(int& all) noexcept : ran{&all} {}
    void on_timer() noexcept override { ++*ran; }
    int* ran;
  };
  const auto runtime = std::make_shared<Runtime>(RuntimeOptions{});
  int ran = 0;
  std::vector<std::unique_ptr<Due>> timers;
  for (int i = 0; i < 1000; ++i) {
    timers.push_back(std::make_unique<Due>(ran));
    runtime->timers().arm(*timers.back(), runtime->now());
  }
  const auto before = std::chrono::steady_clock::now();
  for (int turn = 0; turn < 100 && ran < 1000; ++turn) CHECK(runtime->poll(10s));
  CHECK(ran == 1000);
  CHECK(std::chrono::steady_clock::now() - before < 5s);
  CHECK(runtime->idle());
}

namespace {

/// Does what it is told to inside `wait`, and counts who wakes it.
class WaitingTransport final : public HttpTransport {
 public:
  std::unique_ptr<HttpTransfer> start(const HttpRequest&, HttpReceiver&) override { return nullptr; }
  void wait(TimePoint) override {
    if (in_wait) std::exchange(in_wait, nullptr)();
  }
  void wake() noexcept override { ++wakes; }

  std::function<void()> in_wait;
  std::atomic<int> wakes{0};
};

}  // namespace

TEST_CASE("what the driving thread posts wakes a transport only while that waits") {
  RuntimeOptions options;
  options.background_driver = false;
  auto own = std::make_unique<WaitingTransport>();
  WaitingTransport& transport = *own;
  options.transport = std::move(own);
  const auto runtime = std::make_shared<Runtime>(std::move(options));
  int ran = 0;
  runtime->post([&] { runtime->post([&] { ++ran; }); });
  for (int turn = 0; turn < 3; ++turn) CHECK(runtime->poll());
  CHECK(ran == 1);
  CHECK(transport.wakes == 0);
  transport.in_wait = [&] {
    CHECK_FALSE(runtime->poll());  // it is being driven
    runtime->post([&] { ++ran; });
  };
  for (int turn = 0; turn < 2; ++turn) CHECK(runtime->poll());
  CHECK(ran == 2);
  CHECK(transport.wakes == 1);
}

}  // namespace runtime_test
