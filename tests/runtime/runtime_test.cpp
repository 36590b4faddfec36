#include "backstop/runtime/runtime.hpp"

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <memory>
#include <thread>
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

}  // namespace runtime_test
