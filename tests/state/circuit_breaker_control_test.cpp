#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "breaker_lab.hpp"

namespace circuit_breaker_control_test {

using namespace backstop;
using namespace std::chrono_literals;

TEST_CASE("an isolated breaker refuses for ever, whatever ends meanwhile", "[scenario-86]") {
  BreakerLab lab;
  BreakerPermit under_way = lab.acquire();
  lab.breaker.isolate();
  lab.end(under_way, BreakerVerdict::success);
  lab.pass(std::chrono::hours{24 * 365});
  CHECK_FALSE(lab.admits());
  CHECK(lab.breaker.refuses_until(lab.now) == TimePoint::max());
  lab.breaker.force_close();
  CHECK(lab.state() == BreakerState::closed);
  CHECK(lab.snapshot().calls == 0);
  CHECK(lab.admits());
}

TEST_CASE("metrics_only refuses nothing and counts everything", "[scenario-87]") {
  BreakerLab lab;
  lab.breaker.metrics_only();
  lab.fail(100);
  lab.succeed(1);
  CHECK(lab.state() == BreakerState::metrics_only);
  CHECK(lab.snapshot().calls == 101);
  CHECK(lab.snapshot().failures == 100);
}

TEST_CASE("a disabled breaker refuses nothing and counts nothing") {
  BreakerLab lab;
  lab.breaker.disable();
  lab.fail(100);
  CHECK(lab.state() == BreakerState::disabled);
  CHECK(lab.snapshot().calls == 0);
}

TEST_CASE("force_close keeps the doublings of the open time, reset forgets them") {
  BreakerLab lab;
  lab.fail(5);
  lab.breaker.force_close();
  CHECK(lab.state() == BreakerState::closed);
  lab.fail(5);
  CHECK(lab.refused_for() == 60s);
  lab.breaker.reset();
  lab.fail(5);
  CHECK(lab.refused_for() == 30s);
  CHECK(lab.snapshot().times_opened == 1);
}

TEST_CASE("observers are told of every change in order, by hand or not") {
  auto diary = std::make_shared<BreakerDiary>();
  const Target target{"openai", "gpt-5"};
  CircuitBreaker breaker{{.observers = {diary}}, target};
  TimePoint now{1000s};
  const auto end = [&](BreakerVerdict verdict) {
    BreakerPermit permit = breaker.try_acquire(now);
    permit.record({.verdict = verdict, .at = now});
  };
  for (int i = 0; i < 5; ++i) end(BreakerVerdict::failure);
  now += 30s;
  end(BreakerVerdict::failure);
  now += 60s;
  end(BreakerVerdict::success);
  end(BreakerVerdict::success);
  breaker.isolate();
  breaker.isolate();
  breaker.reset();
  breaker.reset();
  CHECK(diary->lines == std::vector<std::string>{
                            "closed>open: consecutive failures",
                            "open>half_open: the open time is over",
                            "half_open>open: a probe failed",
                            "open>half_open: the open time is over",
                            "half_open>closed: the probes succeeded",
                            "closed>isolated: by hand",
                            "isolated>closed: by hand",
                        });
  CHECK(diary->targets == std::vector<std::string>(7, "openai/gpt-5"));
}

TEST_CASE("the observers of a call hear of what it brings about, each once", "[scenario-93]") {
  auto own = std::make_shared<BreakerDiary>();
  auto clients = std::make_shared<BreakerDiary>();
  const std::vector<std::shared_ptr<Observer>> of_the_call{own, clients};
  const Target target{"anthropic", "claude"};
  CircuitBreaker breaker{{.observers = {own}}};
  for (int i = 0; i < 5; ++i) {
    BreakerPermit permit = breaker.try_acquire(TimePoint{1s}, false, {&target, &of_the_call});
    permit.record({.verdict = BreakerVerdict::failure, .at = TimePoint{1s}});
  }
  breaker.reset();
  CHECK(own->lines.size() == 2);
  CHECK(clients->lines == std::vector<std::string>{"closed>open: consecutive failures"});
  CHECK(clients->targets == std::vector<std::string>{"anthropic/claude"});
  // That an observer throws is ruled out by its interface.
  STATIC_REQUIRE(noexcept(std::declval<Observer&>().on_breaker(std::declval<const BreakerEvent&>())));
}

TEST_CASE("an observer may use the breaker it hears of", "[scenario-94]") {
  struct Meddler final : Observer {
    void on_breaker(const BreakerEvent& event) noexcept override {
      lines.emplace_back(event.to);
      seen.push_back(breaker->state());
      if (event.to == "open") breaker->isolate();
    }
    CircuitBreaker* breaker = nullptr;
    std::vector<std::string> lines;
    std::vector<BreakerState> seen;
  };
  auto meddler = std::make_shared<Meddler>();
  auto diary = std::make_shared<BreakerDiary>();
  BreakerLab lab{{.observers = {meddler, diary}}};
  meddler->breaker = &lab.breaker;
  lab.fail(5);
  CHECK(lab.state() == BreakerState::isolated);
  CHECK(meddler->lines == std::vector<std::string>{"open", "isolated"});
  CHECK(meddler->seen == std::vector<BreakerState>{BreakerState::open, BreakerState::isolated});
  CHECK(diary->lines.size() == 2);
}

TEST_CASE("threads that call, control and look at one breaker leave it whole", "[scenario-96]") {
  auto diary = std::make_shared<BreakerDiary>();
  CircuitBreaker breaker{{.open_for = 1ns, .probe_lease = 1h, .observers = {diary}}};
  std::atomic<std::int64_t> clock{1'000'000};
  {
    std::vector<std::jthread> threads;
    for (int seed = 0; seed < 4; ++seed) {
      threads.emplace_back([&, seed] {
        for (int i = 0; i < 5000; ++i) {
          const TimePoint now{Duration{clock.fetch_add(1'000'000)}};
          BreakerPermit permit = breaker.try_acquire(now);
          if (!permit) continue;
          const bool fails = (i / 50 + seed) % 3 != 0;
          if (i % 7 != 0) {
            permit.record({.verdict = fails ? BreakerVerdict::failure : BreakerVerdict::success, .at = now});
          }
        }
      });
    }
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        if (i % 50 == 0) breaker.metrics_only();
        if (i % 50 == 1) breaker.reset();
        static_cast<void>(breaker.snapshot(TimePoint{Duration{clock.load()}}));
      }
    });
  }
  CHECK_FALSE(breaker.snapshot(TimePoint{Duration{clock.load()}}).probe_out);
  // Each change begins where the one before it ended.
  std::string state = "closed";
  for (const std::string& line : diary->lines) {
    const std::size_t arrow = line.find('>');
    REQUIRE(line.substr(0, arrow) == state);
    state = line.substr(arrow + 1, line.find(':') - arrow - 1);
  }
  CHECK(state == to_string(breaker.state()));
}

TEST_CASE("a ramp goes from a tenth to all, evenly, after probes have closed the breaker and only then",
          "[scenario-171]") {
  BreakerLab lab{{.ramp = 30s}};
  const auto close = [&] {
    lab.fail(5);
    lab.pass(5min);
    CHECK(lab.breaker.ramp_share(lab.now) == 1);
    lab.succeed(2);
  };
  CHECK(lab.breaker.ramp_share(lab.now) == 1);
  close();
  double last = 0;
  for (int second = 0; second <= 30; ++second) {
    const double share = lab.breaker.ramp_share(lab.now);
    CHECK(share == Catch::Approx(0.1 + 0.9 * second / 30.0));
    CHECK(share > last);
    last = share;
    lab.pass(1s);
  }
  CHECK(lab.breaker.ramp_share(lab.now) == 1);
  SECTION("one that is opened again refuses by itself") {
    close();
    lab.fail(5);
    CHECK(lab.breaker.ramp_share(lab.now) == 1);
    CHECK_FALSE(lab.admits());
  }
  SECTION("one that is closed by hand takes everything") {
    close();
    lab.breaker.force_close();
    CHECK(lab.breaker.ramp_share(lab.now) == 1);
  }
  CHECK(problem_with(CircuitBreakerOptions{.ramp = -1s}).find("ramp") != std::string::npos);
}

}  // namespace circuit_breaker_control_test
