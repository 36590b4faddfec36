#include "backstop/runtime/runtime.hpp"

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <cstdint>
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

}  // namespace runtime_test
