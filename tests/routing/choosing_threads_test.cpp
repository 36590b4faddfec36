#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/providers/function.hpp"

namespace choosing_threads_test {

using namespace backstop;

// Real threads, for the thread sanitizer; nothing here waits.

namespace {

struct Counted {
  std::vector<std::shared_ptr<std::atomic<int>>> counts;
  std::vector<Provider> providers;

  explicit Counted(int targets) {
    for (int i = 0; i < targets; ++i) {
      const auto& count = counts.emplace_back(std::make_shared<std::atomic<int>>(0));
      providers.push_back(make_provider("x/" + std::to_string(i), [count](const ChatRequest&) {
        ++*count;
        return "ok";
      }));
    }
  }
};

/// So many calls on each of four threads, while a fifth looks.
void call_from_threads(const FallbackClient& client, int calls) {
  std::atomic<bool> done{false};
  std::jthread looker{[&] {
    while (!done) {
      static_cast<void>(client.explain("hello"));
      static_cast<void>(client.snapshot());
    }
  }};
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&, thread] {
        ChatRequest request{"hello"};
        request.metadata.session_id = std::to_string(thread);
        for (int i = 0; i < calls; ++i) static_cast<void>(client.chat(request));
      });
    }
  }
  done = true;
}

FallbackOptions with(Strategy strategy) {
  RuntimeOptions own;
  own.background_driver = false;
  return {.strategy = std::move(strategy), .runtime = std::make_shared<Runtime>(std::move(own))};
}

}  // namespace

TEST_CASE("threads that choose at the same time get exactly the shares of the weights", "[scenario-178]") {
  const Counted targets{3};
  const FallbackClient client{targets.providers, with(weighted({5, 2, 1}))};
  call_from_threads(client, 200);
  CHECK(*targets.counts[0] == 500);
  CHECK(*targets.counts[1] == 200);
  CHECK(*targets.counts[2] == 100);
}

TEST_CASE("every strategy may choose on several threads at the same time", "[scenario-178]") {
  for (const Strategy& strategy : {first_ready(), lowest_latency(), highest_throughput(), lowest_cost(),
                                   least_in_flight(), sticky(weighted({1, 1, 1}))}) {
    const Counted targets{3};
    const FallbackClient client{targets.providers, with(strategy)};
    call_from_threads(client, 100);
    CHECK(*targets.counts[0] + *targets.counts[1] + *targets.counts[2] == 400);
    for (const auto& candidate : client.snapshot().candidates) CHECK(candidate.in_flight == 0);
  }
}

}  // namespace choosing_threads_test
