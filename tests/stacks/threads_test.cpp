#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "stacks/features.hpp"
#include "stacks/generate.hpp"
#include "stacks/program.hpp"
#include "stacks/stack.hpp"

namespace threads_test {

// The same stacks under real threads and real time, for the thread sanitizer: several threads share a client and the
// runtime under it. BACKSTOP_STACKS_THREADS says how many cases.

using namespace stacks;
using namespace std::chrono_literals;

namespace {

constexpr int threads = 4;

int how_many() {
  const char* cases = std::getenv("BACKSTOP_STACKS_THREADS");
  return cases != nullptr ? std::max(1, std::atoi(cases)) : 60;
}

/// What takes time or never ends is made instant: nothing here may sleep.
Case at_once(Case one) {
  for (LeafSpec& leaf : one.leaves) {
    for (StepSpec& step : leaf.script) {
      step.latency = 0;
      step.gap = 0;
      if (step.fault > 14) step.fault = 14 - step.fault % 14;  // the first ones of `every_fault()` are refusals
      if (step.fault == 14) step.fault = 13;                   // no connection: for ever
    }
  }
  const auto takes_time = [](const PolicySpec& spec) {
    return spec.kind == PolicyKind::retry || spec.kind == PolicyKind::rate_limit ||
           (spec.kind == PolicyKind::around && spec.level == around_sleeps);
  };
  for (ConsumerSpec& consumer : one.consumers) std::erase_if(consumer.around, takes_time);
  const auto strip = [&](auto&& self, Node& node) -> void {
    std::erase_if(node.policies, takes_time);
    node.client.hedge = -1;
    node.client.recovery = 1;
    for (Node& child : node.children) self(self, child);
  };
  strip(strip, one.root);
  return one;
}

/// One thing that a consumer does; returns how many calls it made.
int act(const backstop::FallbackClient& client, const ConsumerSpec& consumer, const ChatRequest& request,
        const backstop::CallOptions& options, std::atomic<int>& on_done) {
  switch (consumer.face) {
    case Face::chat: static_cast<void>(client.chat(request, options)); return 1;
    case Face::stream: {
      backstop::ChatStream stream = client.stream(request, options);
      for (int taken = 0; consumer.leave_after < 0 || taken < consumer.leave_after; ++taken) {
        if (stream.next() == nullptr) break;
      }
      return 1;
    }
    default: {
      backstop::PendingCall call = client.start(request, options);
      if (consumer.on_done != OnDone::none) {
        call.on_done([&on_done](const Result<ChatResponse>&) { ++on_done; });
      } else {
        ++on_done;
      }
      if (consumer.cancel_at >= 0) call.cancel();
      if (consumer.destroy_at < 0) static_cast<void>(call.wait());
      return 1;
    }
  }
}

struct Outcome {
  int calls = 0;
  int started = 0;
  int on_done = 0;
};

Outcome play_with_threads(const Case& one, Stack& stack) {
  std::vector<ChatRequest> requests;
  for (std::size_t i = 0; i < one.requests.size(); ++i) {
    requests.push_back(request_of(one.requests[i], static_cast<int>(i)));
  }
  std::vector<backstop::CallOptions> options;
  for (const ConsumerSpec& consumer : one.consumers) {
    options.push_back({.limits = {.deadline = 2s, .max_attempts = std::max(3, consumer.max_attempts)},
                       .targets = stack.names(consumer.targets),
                       .around = stack.around(consumer)});
  }
  std::atomic<int> calls{0};
  std::atomic<int> started{0};
  std::atomic<int> on_done{0};
  std::vector<std::thread> workers;
  for (int worker = 0; worker < threads; ++worker) {
    workers.emplace_back([&] {
      for (std::size_t i = 0; i < one.consumers.size(); ++i) {
        const ConsumerSpec& consumer = one.consumers[i];
        if (consumer.face != Face::chat && consumer.face != Face::stream) ++started;
        const ChatRequest& request = requests[static_cast<std::size_t>(consumer.request)];
        calls += act(*stack.client, consumer, request, options[i], on_done);
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  return {calls, started, on_done};
}

std::string problem_with(const Stack& stack, const Outcome& outcome, backstop::TimePoint now) {
  if (static_cast<int>(stack.log->calls().size()) != outcome.calls) return "one-call-event";
  if (outcome.on_done != outcome.started) return "one-on-done";
  for (const Leaf& leaf : stack.leaves) {
    std::size_t rows = 0;
    for (const CallLog::Call& call : stack.log->calls()) {
      for (const backstop::Attempt& row : call.attempts) rows += row.sent && row.target == leaf.target ? 1 : 0;
    }
    if (rows != leaf.send_count()) return "rows-equal-sends";
  }
  for (const auto& budget : stack.budgets) {
    if (budget && budget->snapshot(now).reserved != backstop::BudgetCharge{}) return "nothing-left: a budget";
  }
  for (const auto* limits : {&stack.bulkheads, &stack.adaptives}) {
    for (const auto& limit : *limits) {
      if (!limit) continue;
      if (limit->snapshot().in_flight != 0 || limit->snapshot().waiting != 0) return "nothing-left: a permit";
    }
  }
  for (const auto& breaker : stack.breakers) {
    if (breaker && breaker->probe_out()) return "nothing-left: a probe";
  }
  return {};
}

}  // namespace

TEST_CASE("random stacks keep their promises under several threads", "[stacks]") {
  Features features = Features::from_environment();
  features.switch_off("throwing-intercept,throwing-provider,throwing-decorator");
  for (std::uint64_t seed = 1; seed <= static_cast<std::uint64_t>(how_many()); ++seed) {
    const Case one = at_once(generate(seed, features));
    backstop::RuntimeOptions options;
    options.seed = seed;
    auto runtime = std::make_shared<backstop::Runtime>(std::move(options));
    Stack stack{one, runtime};
    const Outcome outcome = play_with_threads(one, stack);
    const std::string problem = problem_with(stack, outcome, runtime->clock().now());
    if (!problem.empty()) FAIL(problem << " with seed " << seed << "\n" << program_of(one));
  }
}

}  // namespace threads_test
