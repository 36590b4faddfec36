#include <catch2/catch_test_macros.hpp>

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/observe/metrics.hpp"
#include "backstop/policies/bulkhead.hpp"
#include "backstop/routing/hedge.hpp"
#include "backstop/policies/rate_limit.hpp"
#include "backstop/policies/single_flight.hpp"
#include "backstop/policies/standard.hpp"
#include "backstop/testing/inject_faults.hpp"
#include "backstop/testing/virtual_runtime.hpp"
#include "soak/simulated_provider.hpp"

namespace simulated_day_test {

// A day of virtual time: calls that fail, stream, are cancelled and dropped at random, while limits and breakers are
// changed under them. BACKSTOP_SOAK_CALLS says how many calls (a million unless set).

using namespace backstop;
using namespace std::chrono_literals;

namespace {

int how_many() {
  const char* calls = std::getenv("BACKSTOP_SOAK_CALLS");
  return calls != nullptr ? std::max(1000, std::atoi(calls)) : 1'000'000;
}

/// All that happened, as a digest of its text (FNV-1a, two of them) and its length.
class Trace {
 public:
  void add(const std::string& line) {
    for (const char c : line) {
      first_ = (first_ ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
      second_ = (second_ ^ static_cast<unsigned char>(c)) * 0x9e3779b97f4a7c15U;
    }
    length_ += line.size();
  }
  friend bool operator==(const Trace&, const Trace&) = default;

 private:
  std::uint64_t first_ = 0xcbf29ce484222325U;
  std::uint64_t second_ = 1;
  std::uint64_t length_ = 0;
};

/// A consumer that takes everything and keeps nothing.
class Drain final : public StreamSink {
 public:
  void on_event(const StreamEvent& event) noexcept override {
    endings_ += event.type == StreamEvent::Type::finished || event.type == StreamEvent::Type::failed ? 1 : 0;
  }
  [[nodiscard]] int endings() const noexcept { return endings_; }

 private:
  int endings_ = 0;
};

struct Slot {
  std::uint64_t number = 0;
  std::unique_ptr<Drain> sink;
  std::unique_ptr<PendingCall> call;
};

class Soak {
 public:
  Soak(std::uint64_t seed, int calls)
      : runtime_{seed},
        random_{seed},
        calls_{calls},
        gap_{Duration{24h} / calls},
        per_minute_{std::max(10, calls / (24 * 60))},
        sends_{BulkheadOptions{.max_in_flight = most_in_flight(), .max_queued = 10, .max_wait = 5s}},
        // Every twelfth send says that the target is overloaded: without a floor the limit would never leave it.
        found_out_{AdaptiveConcurrencyOptions{.initial = most_in_flight(),
                                              .min = 1 + most_in_flight() / 2,
                                              .max = 2 * most_in_flight(),
                                              .max_queued = 10}} {
    renew_client();
  }

  void run() {
    for (int i = 0; i < calls_; ++i) {
      begin_call(static_cast<std::uint64_t>(i));
      if (i % 500 == 0) reconfigure();
      runtime_.run_for(std::chrono::nanoseconds{random_() % static_cast<std::uint64_t>(2 * gap_.count())});
      if (i % 64 == 0) std::erase_if(slots_, [](const Slot& slot) { return slot.call->done(); });
    }
    for (Slot& slot : slots_) static_cast<void>(slot.call->wait());
    for (const Slot& slot : slots_) CHECK((slot.sink == nullptr || slot.sink->endings() == 1));
    slots_.clear();
    clients_.clear();
    runtime_.run_for(24h);  // cancellations that came too late, and leases
  }

  void check_nothing_left() {
    const TimePoint now = runtime_.clock().now();
    CHECK(runtime_.idle());
    CHECK(ended_ == calls_);
    CHECK(metrics_->snapshot().calls == static_cast<std::uint64_t>(calls_));
    CHECK(budget_.snapshot(now).reserved == BudgetCharge{});
    const RateLimitSnapshot limits = account_.snapshot(now);
    CHECK(limits.waiting == 0);
    for (const ConcurrencyLimit& limit : {sends_, found_out_}) {
      CHECK(limit.snapshot().in_flight == 0);
      CHECK(limit.snapshot().waiting == 0);
    }
    CHECK(limits.requests->reserved == 0);
    CHECK(limits.tokens->reserved == 0);
    for (const auto& breaker : breakers_) CHECK_FALSE(breaker->probe_out());
  }
  [[nodiscard]] const Trace& trace() const noexcept { return trace_; }
  [[nodiscard]] int answered() const noexcept { return answered_; }

 private:
  void renew_client() {
    const auto provider = [&](const char* name, const std::shared_ptr<CircuitBreaker>& breaker, Duration wait) {
      const testing::FaultRates faults{.connection_refused = 0.02, .connection_reset = 0.01, .rate_limited = 0.03,
                                       .overloaded = 0.03, .server_error = 0.03, .quota_exhausted = 0.0005,
                                       .empty_answer = 0.005, .silence = 0.005, .pings_only = 0.002, .cut = 0.02,
                                       .garbled = 0.005, .retry_after = 3s, .latency_spread = 500ms};
      return SimulatedProvider{name, wait} | testing::inject_faults(faults) |
             timeout({.first_byte = 5s, .first_token = 10s, .idle = 5s, .attempt = 30s}) | circuit_breaker(breaker) |
             bulkhead(sends_) | adaptive_concurrency(found_out_) | rate_limit(account_) | cost_cap(budget_) | retry();
    };
    FallbackOptions options;
    options.hedge = HedgeOptions{.min_samples = 20, .min_delay = 500ms};
    options.runtime = runtime_.share();
    options.observers = {metrics_};
    constexpr MidStream rules[] = {MidStream::fail, MidStream::restart, MidStream::resume};
    options.mid_stream = rules[random_() % std::size(rules)];
    if (random_() % 2 == 0) options.hold = StreamHold{};
    std::vector<Provider> providers{provider("first", breakers_[0], 1s), provider("second", breakers_[1], 2s),
                                    provider("third", breakers_[2], 4s) | single_flight()};
    clients_.push_back(std::make_unique<FallbackClient>(std::move(providers), std::move(options)));
    if (clients_.size() > 2) clients_.erase(clients_.begin());  // calls under way keep what they need
  }

  void begin_call(std::uint64_t number) {
    ChatRequest request{"hello " + std::to_string(random_() % 20)};
    request.max_output_tokens = 20;
    CallOptions options{.limits = {.deadline = std::chrono::milliseconds{50 + random_() % 60'000},
                                   .max_attempts = 1 + static_cast<int>(random_() % 6)}};
    Slot slot{number, nullptr, nullptr};
    const FallbackClient& client = *clients_.back();
    if (random_() % 2 == 0) {
      slot.sink = std::make_unique<Drain>();
      options.sink = slot.sink.get();
    }
    slot.call = std::make_unique<PendingCall>(client.start(std::move(request), options));
    slot.call->on_done([this, number](const Result<ChatResponse>& result) { note(number, result); });
    if (random_() % 20 == 0) {
      const Duration when = runtime_.elapsed() + std::chrono::milliseconds{random_() % 5'000};
      runtime_.at(when, [this, number] { cancel(number); });
    }
    slots_.push_back(std::move(slot));
    if (random_() % 100 == 0) slots_.pop_back();  // dropped, with the call under way
  }

  void cancel(std::uint64_t number) {
    for (Slot& slot : slots_) {
      if (slot.number == number) slot.call->cancel();
    }
  }

  void note(std::uint64_t number, const Result<ChatResponse>& result) {
    ++ended_;
    answered_ += result ? 1 : 0;
    line_.clear();
    const Ledger& attempts = result ? result->attempts : result.error().attempts;
    fmt::format_to(std::back_inserter(line_), "{} {} {}", number, runtime_.elapsed().count(),
                   result ? result->served_by.name() : std::string{to_string(result.error().kind)});
    for (const Attempt& attempt : attempts) {
      fmt::format_to(std::back_inserter(line_), " [{} {} {} {} {} {} {}]", attempt.target.name(), attempt.sent,
                     attempt.outcome ? to_string(*attempt.outcome) : "ok", attempt.waited.count(),
                     attempt.elapsed.count(), attempt.cost.units(), attempt.reason);
    }
    line_.push_back('\n');
    trace_.add(line_);
  }

  [[nodiscard]] int below(int bound) { return static_cast<int>(random_() % static_cast<std::uint64_t>(bound)); }
  [[nodiscard]] int most_in_flight() const { return per_minute_ / 3; }
  [[nodiscard]] RateLimitOptions limits(int requests_per_minute) const {
    return {.requests_per_minute = requests_per_minute, .tokens_per_minute = 700 * per_minute_, .max_wait = 10s};
  }

  void reconfigure() {
    CircuitBreaker& breaker = *breakers_[random_() % breakers_.size()];
    switch (random_() % 8) {
      case 0: breaker.isolate(); break;
      case 1: breaker.force_close(); break;
      case 2: breaker.metrics_only(); break;
      case 3: breaker.disable(); break;
      case 4: renew_client(); break;
      case 5:
        account_.change(limits(per_minute_ / 2 + below(10 * per_minute_)), runtime_.clock().now());
        break;
      case 6: sends_.resize(1 + below(2 * most_in_flight())); break;
      default:
        for (const auto& one : breakers_) one->reset();
        break;
    }
  }

  testing::VirtualRuntime runtime_;
  std::mt19937_64 random_;
  int calls_;
  std::chrono::nanoseconds gap_;
  int per_minute_;  // calls; the limits are such that they now and then refuse, whatever their number
  ConcurrencyLimit sends_;
  ConcurrencyLimit found_out_;
  RateLimit account_{limits(10 * per_minute_)};
  Budget budget_{{.per_period = Money::usd(0.36) * per_minute_, .period = 1h}};
  std::vector<std::shared_ptr<CircuitBreaker>> breakers_{CircuitBreaker::create(), CircuitBreaker::create(),
                                                         CircuitBreaker::create()};
  std::shared_ptr<Metrics> metrics_ = std::make_shared<Metrics>();
  std::vector<std::unique_ptr<FallbackClient>> clients_;
  std::vector<Slot> slots_;
  std::string line_;
  Trace trace_;
  int ended_ = 0;
  int answered_ = 0;
};

}  // namespace

TEST_CASE("a simulated day leaves nothing behind, and the same seed lives it again to the letter",
          "[soak][scenario-219]") {
  Soak first{1, how_many()};
  first.run();
  first.check_nothing_left();
  CHECK(first.answered() > how_many() / 4);

  Soak again{1, how_many()};
  again.run();
  CHECK(again.trace() == first.trace());
}

TEST_CASE("another seed is another day", "[soak]") {
  Soak one{1, 2000};
  Soak other{2, 2000};
  one.run();
  other.run();
  CHECK(one.trace() != other.trace());
}

}  // namespace simulated_day_test
