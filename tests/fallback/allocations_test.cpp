#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/cache.hpp"
#include "backstop/routing/hedge.hpp"
#include "backstop/routing/rules.hpp"
#include "backstop/routing/strategy.hpp"
#include "backstop/policies/intercept.hpp"
#include "backstop/policies/standard.hpp"
#include "backstop/testing/virtual_runtime.hpp"
#include "support/allocations.hpp"

namespace allocations_test {

// AddressSanitizer takes the pools away, so that every frame and result comes from the heap.
#if defined(__SANITIZE_ADDRESS__)
#define POOLS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOLS 0
#endif
#endif
#ifndef POOLS
#define POOLS 1
#endif

#if POOLS

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

/// Answers at once, in so many deltas when it is streamed.
class Instant final : public ModelProvider {
 public:
  explicit Instant(std::string_view name, const int* deltas = nullptr)
      : ModelProvider{Target{name, "m", priced()}}, deltas_{deltas} {}

 protected:
  Task<Result<ChatResponse>> send(const ChatRequest&, CallContext& context) const override {
    for (int i = 0; deltas_ != nullptr && i < *deltas_; ++i) {
      StreamEvent event;
      event.delta = "word ";
      context.deliver(event);
      ConsumerReady ready{context};
      co_await ready;
    }
    ChatResponse response;
    response.parts.emplace_back(Text{"ok"});
    response.finish_reason = FinishReason::stop;
    co_return response;
  }

 private:
  static ModelFacts priced() {
    ModelFacts facts;
    facts.price = Price{.input = Money::usd_per_million(1), .output = Money::usd_per_million(1)};
    return facts;
  }

  const int* deltas_;
};

template <class Work>
std::size_t allocations_of(const Work& work) {
  for (int i = 0; i < 100; ++i) work();  // pools, windows and queues grow to what they need
  const std::size_t before = allocations_made;
  for (int i = 0; i < 100; ++i) work();
  return allocations_made - before;
}

}  // namespace

TEST_CASE("policies that have nothing to do for a call allocate nothing", "[scenario-225]") {
  VirtualRuntime runtime;
  FallbackOptions options;
  options.recovery.max_wait = 0s;
  options.runtime = runtime.share();
  const Policy guard = standard({.bulkhead = BulkheadOptions{},
                                 .rate_limit = RateLimitOptions{.requests_per_minute = 1'000'000},
                                 .cost_cap = CostCapOptions{.per_request = Money::usd(1), .per_period = Money::usd(1e6)}}) |
                       intercept({.after = [](const ChatRequest&, Result<ChatResponse>&) {}}) | cache();
  const FallbackClient bare{{Instant{"a"}, Instant{"b"}}, options};
  FallbackOptions hedged = options;
  hedged.hedge = HedgeOptions{};
  const FallbackClient guarded{{Instant{"a"} | guard, Instant{"b"} | guard}, hedged};
  const ChatRequest request{"hello"};
  const auto calls_of = [&](const FallbackClient& client) {
    return allocations_of([&] { REQUIRE(client.chat(request)); });
  };
  CHECK(calls_of(guarded) == calls_of(bare));
}

TEST_CASE("a ladder costs nothing where nothing has to be given up") {
  VirtualRuntime runtime;
  FallbackOptions options;
  options.runtime = runtime.share();
  const FallbackClient bare{{Instant{"a"}, Instant{"b"}}, options};
  options.degrade = {degrade::images(), degrade::tools(), degrade::history(), degrade::canned("sorry")};
  const FallbackClient laddered{{Instant{"a"}, Instant{"b"}}, options};
  options.degrade_early = true;
  const FallbackClient early{{Instant{"a"}, Instant{"b"}}, options};
  const ChatRequest request{"hello"};
  const auto calls_of = [&](const FallbackClient& client) {
    return allocations_of([&] { REQUIRE(client.chat(request)); });
  };
  const std::size_t usual = calls_of(bare);
  CHECK(calls_of(laddered) == usual);
  CHECK(calls_of(early) == usual);
}

TEST_CASE("choosing among sixteen targets allocates nothing, nor does what is remembered of them", "[scenario-179]") {
  VirtualRuntime runtime;
  const auto client_of = [&](Strategy strategy) {
    std::vector<Provider> providers;
    for (int i = 0; i < 16; ++i) providers.push_back(Instant{"p" + std::to_string(i)});
    return FallbackClient{std::move(providers), {.strategy = std::move(strategy), .runtime = runtime.share()}};
  };
  ChatRequest request{"hello"};
  request.metadata.session_id = "session";
  const auto calls_of = [&](const FallbackClient& client) {
    return allocations_of([&] { REQUIRE(client.chat(request)); });
  };
  const std::size_t listed = calls_of(client_of(ordered()));
  const std::vector<std::int64_t> weights(16, 3);
  for (const Strategy& strategy : {first_ready(), weighted(weights), lowest_latency(), highest_throughput(),
                                   lowest_cost(), least_in_flight(), sticky(weighted(weights)),
                                   rules({{is_background(), 0}, {wants_reasoning() && !input_above(60'000), 1}})}) {
    CAPTURE(strategy.describe());
    CHECK(calls_of(client_of(strategy)) == listed);
  }
}

TEST_CASE("a streamed event passes through the policies without an allocation", "[scenario-227]") {
  VirtualRuntime runtime;
  FallbackOptions options;
  options.recovery.max_wait = 0s;
  options.runtime = runtime.share();
  options.hedge = HedgeOptions{};
  int deltas = 0;
  const FallbackClient client{{Instant{"a", &deltas} | standard(), Instant{"b"}}, options};
  const auto streams_of = [&](int count) {
    deltas = count;
    return allocations_of([&] {
      ChatStream stream = client.stream("hello");
      int events = 0;
      while (stream.next() != nullptr) ++events;
      REQUIRE(events == count + 1);
    });
  };
  const std::size_t shorter = streams_of(200);
  const std::size_t longer = streams_of(2200);
  CHECK(static_cast<double>(longer - shorter) / (100 * 2000) < 0.1);  // the event itself; a turn of the loop has some
}

#endif

}  // namespace allocations_test
