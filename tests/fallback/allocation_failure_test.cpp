#include <catch2/catch_test_macros.hpp>

#include <memory>
#include <new>
#include <optional>
#include <string>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/cache.hpp"
#include "backstop/routing/hedge.hpp"
#include "backstop/policies/intercept.hpp"
#include "backstop/policies/single_flight.hpp"
#include "backstop/policies/standard.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"
#include "call/root_call.hpp"
#include "support/allocations.hpp"

namespace allocation_failure_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

/// A target whose breaker waits for a probe, behind every policy that holds something for a call.
struct Lab {
  Lab() {
    options.recovery.max_wait = 0s;
    options.runtime = runtime.share();
    for (int i = 0; i < 5; ++i) static_cast<void>(runtime.call(model | circuit_breaker(breaker), request()));
    runtime.run_for(30s);
    client.emplace(std::vector<Provider>{model | around(breaker), other | around(CircuitBreaker::create())}, options);
  }

  [[nodiscard]] Policy around(const std::shared_ptr<CircuitBreaker>& of_target) const {
    return timeout(20s) | circuit_breaker(of_target) | cost_cap(budget) | retry() | single_flight() | cache();
  }
  static Target target(std::string_view name) {
    ModelFacts facts;
    facts.price = Price{.input = Money::usd(1), .output = Money::usd(1)};
    return Target{name, "m", facts};
  }
  static ChatRequest request() {
    ChatRequest request{"hello"};
    request.temperature = 0;
    request.max_output_tokens = 10;
    return request;
  }

  void check_nothing_is_left() {
    CHECK(budget.snapshot(runtime.clock().now()).reserved == BudgetCharge{});
    CHECK_FALSE(breaker->probe_out());
    CHECK(runtime.idle());
    breaker->reset();
    REQUIRE(client->chat(request()));
  }

  VirtualRuntime runtime;
  Budget budget{{.per_period = Money::usd(1'000'000'000)}};
  std::shared_ptr<CircuitBreaker> breaker = CircuitBreaker::create({.jitter = 0});
  ScriptedProvider model{target("a"), std::vector<Step>(5, error(ErrorKind::connect_failed))};
  ScriptedProvider other{target("b")};
  FallbackOptions options;
  std::optional<FallbackClient> client;
};

Target continuing() {
  ModelFacts facts;
  facts.capabilities.prefill = true;
  return Target{"c", "m", facts};
}

}  // namespace

TEST_CASE("whichever allocation of a streamed call fails, the same holds", "[scenario-217]") {
  struct Listener final : StreamSink {
    void on_event(const StreamEvent& event) noexcept override { ends += event.is_content() ? 0 : 1; }
    int ends = 0;
  };
  long failed = 0;
  for (long nth = 1;; ++nth) {
    INFO("allocation " << nth);
    Lab lab;
    lab.model.then(stream({"Hel", "lo"}, 1s));
    const ChatRequest request = Lab::request();
    Listener listener;
    detail::RootCall call{lab.runtime.runtime(), CallLimits{}, nullptr};
    Runtime::Gate gate;
    bool threw = false;
    failing_allocations::begin(nth);
    try {
      lab.runtime.runtime().block_until(gate, [&] {
        call.start(*lab.client, request, &listener, [&] { lab.runtime.runtime().open(gate); });
      });
    } catch (const std::bad_alloc&) {
      threw = true;  // before the call had begun
    }
    const bool reached = failing_allocations::end();

    CHECK(listener.ends == (threw ? 0 : 1));
    lab.check_nothing_is_left();
    if (!reached) {
      CHECK(call.result());
      break;
    }
    ++failed;
  }
  CHECK(failed > 20);
}

TEST_CASE("whichever allocation of a hedged, held and resumed stream fails, the same holds", "[scenario-217]") {
  struct Listener final : StreamSink {
    void on_event(const StreamEvent& event) noexcept override { ends += event.is_content() ? 0 : 1; }
    int ends = 0;
  };
  long failed = 0;
  for (long nth = 1;; ++nth) {
    INFO("allocation " << nth);
    Lab lab;
    lab.model.then(answer("hi"));
    const ScriptedProvider silent{Lab::target("d"), {silence()}};
    const ScriptedProvider breaking{Lab::target("e"), {deltas({"one, "}, 1s).wait(10s).cut()}};
    const ScriptedProvider third{continuing(), {stream({"two"})}};
    FallbackOptions options = lab.options;
    options.mid_stream = MidStream::resume;
    options.hold.emplace();
    options.hedge.emplace();
    const FallbackClient client{{silent | lab.around(CircuitBreaker::create()),
                                 breaking | lab.around(CircuitBreaker::create()), third}, options};
    const ChatRequest request = Lab::request();
    Listener listener;
    detail::RootCall call{lab.runtime.runtime(), CallLimits{}, nullptr};
    Runtime::Gate gate;
    bool threw = false;
    failing_allocations::begin(nth);
    try {
      lab.runtime.runtime().block_until(gate, [&] {
        call.start(client, request, &listener, [&] { lab.runtime.runtime().open(gate); });
      });
    } catch (const std::bad_alloc&) {
      threw = true;  // before the call had begun
    }
    const bool reached = failing_allocations::end();

    CHECK(listener.ends == (threw ? 0 : 1));
    lab.check_nothing_is_left();
    if (!reached) {
      REQUIRE(call.result());
      CHECK(call.result()->text() == "one, two");
      break;
    }
    ++failed;
  }
  CHECK(failed > 40);
}

TEST_CASE("whichever allocation of a call fails, no permit and no reservation is left behind", "[scenario-217]") {
  long failed = 0;
  for (long nth = 1;; ++nth) {
    INFO("allocation " << nth);
    Lab lab;
    lab.model.then(error(ErrorKind::malformed_response)).then(answer("hi").after(1s));
    const ChatRequest request = Lab::request();
    bool answered = false;
    bool threw = false;
    failing_allocations::begin(nth);
    try {
      answered = static_cast<bool>(lab.client->chat(request));
    } catch (const std::bad_alloc&) {
      threw = true;  // before the call had begun
    }
    const bool reached = failing_allocations::end();

    lab.check_nothing_is_left();
    if (!reached) {
      CHECK(answered);
      CHECK_FALSE(threw);
      break;
    }
    ++failed;
  }
  CHECK(failed > 20);
}

TEST_CASE("what an inner client has given the consumer is known outside, also where memory ends while it goes on") {
  for (const MidStream inside : {MidStream::restart, MidStream::resume}) {
    for (long nth = 1;; ++nth) {
      CAPTURE(static_cast<int>(inside), nth);
      VirtualRuntime runtime;
      ModelFacts facts;
      facts.capabilities.prefill = true;
      const ScriptedProvider breaks{Target{"p", "a", facts}, {deltas({"Once upon "}).cut()}};
      const ScriptedProvider cannot_go_on{Target{"p", "b", ModelFacts{}}, {answer("B's answer")}};
      const ScriptedProvider other{Target{"p", "c", facts}, {answer("C's answer")}};
      FallbackOptions options;
      options.runtime = runtime.share();
      options.recovery.max_wait = 0s;
      const FallbackClient outer_of_all{{[&] {
                                           FallbackOptions inner = options;
                                           inner.mid_stream = inside;
                                           return Provider{FallbackClient{{breaks, cannot_go_on}, inner}};
                                         }(),
                                         other},
                                        options};
      std::string seen;
      seen.reserve(1000);
      bool threw = false;
      std::optional<std::string> finished;
      failing_allocations::begin(nth);
      try {
        ChatStream stream = outer_of_all.stream("hello");
        while (const StreamEvent* event = stream.next()) {
          const failing_allocations::Pause pause;
          if (event->type == StreamEvent::Type::text) seen += event->delta;
          if (event->type == StreamEvent::Type::restarted) seen.clear();
          if (event->type == StreamEvent::Type::finished) finished = event->response->text();
        }
      } catch (const std::bad_alloc&) {
        threw = true;
      }
      const bool reached = failing_allocations::end();
      if (finished) CHECK(*finished == seen);
      if (threw) CHECK(seen.empty());
      if (!reached) break;
    }
  }
}

}  // namespace allocation_failure_test
