#include "backstop/state/circuit_breaker.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "breaker_lab.hpp"

namespace circuit_breaker_test {

using namespace backstop;
using namespace std::chrono_literals;

TEST_CASE("five failures in a row open a breaker, four do not", "[scenario-66]") {
  BreakerLab lab;
  lab.fail(4);
  CHECK(lab.state() == BreakerState::closed);
  lab.fail();
  CHECK(lab.state() == BreakerState::open);
  CHECK_FALSE(lab.admits());
}

TEST_CASE("a success between failures begins the count anew", "[scenario-66]") {
  BreakerLab lab;
  lab.fail(4);
  lab.succeed();
  lab.fail(4);
  CHECK(lab.state() == BreakerState::closed);
}

TEST_CASE("the failure rate counts from ten calls on", "[scenario-67]") {
  BreakerLab lab;
  for (int i = 0; i < 4; ++i) {
    lab.fail();
    lab.succeed();
  }
  lab.fail();
  CHECK(lab.snapshot().failures == 5);
  CHECK(lab.state() == BreakerState::closed);
  lab.fail();
  CHECK(lab.state() == BreakerState::open);
}

TEST_CASE("exactly half of ten calls opens, 49 of 100 do not", "[scenario-68]") {
  SECTION("half of ten") {
    BreakerLab lab;
    for (int i = 0; i < 5; ++i) {
      lab.succeed();
      CHECK(lab.state() == BreakerState::closed);
      lab.fail();
    }
    CHECK(lab.state() == BreakerState::open);
  }
  SECTION("half of ten, the last of which succeeds") {
    BreakerLab lab;
    for (int i = 0; i < 5; ++i) {
      lab.fail();
      CHECK(lab.state() == BreakerState::closed);
      lab.succeed();
    }
    CHECK(lab.state() == BreakerState::open);
  }
  SECTION("49 of 100") {
    BreakerLab lab;
    lab.succeed(2);
    for (int i = 0; i < 49; ++i) {
      lab.fail();
      lab.succeed();
    }
    CHECK(lab.snapshot().calls == 100);
    CHECK(lab.snapshot().failures == 49);
    CHECK(lab.state() == BreakerState::closed);
  }
}

TEST_CASE("failures count for a minute, wherever in a bucket they fell", "[scenario-69]") {
  for (const Duration offset : {Duration{-1}, Duration{0}, Duration{1}}) {
    for (int k = 0; k < 20; ++k) {
      BreakerLab lab;
      lab.now = TimePoint{1002s} + k * 6s + offset;  // 1002 s is the edge of a bucket
      lab.fail(4);
      lab.pass(59s);
      CHECK(lab.snapshot().failures == 4);
      lab.pass(2s);
      CHECK(lab.snapshot().failures == 0);
    }
  }
}

TEST_CASE("an idle window is empty, whatever the time that has passed", "[scenario-70]") {
  BreakerLab lab;
  lab.succeed(3);
  lab.fail(3);
  lab.pass(600s);
  CHECK(lab.snapshot().calls == 0);
  CHECK(lab.snapshot().failures == 0);
  lab.pass(std::chrono::hours{24 * 365 * 200});  // a loop over the buckets in between would never end
  lab.succeed();
  CHECK(lab.snapshot().calls == 1);
}

TEST_CASE("an open breaker refuses until its time is over, to the nanosecond", "[scenario-71]") {
  BreakerLab lab;
  lab.fail(5);
  lab.pass(29'999ms);
  CHECK_FALSE(lab.admits());
  CHECK(lab.refused_for() == 1ms);
  CHECK(lab.state() == BreakerState::open);
  lab.pass(1ms);
  CHECK(lab.refused_for() == std::nullopt);
  CHECK(lab.state() == BreakerState::open);  // looking changes nothing, taking the permit does
  const BreakerPermit probe = lab.acquire();
  CHECK(probe.is_probe());
  CHECK(lab.state() == BreakerState::half_open);
  CHECK_FALSE(lab.admits());
}

TEST_CASE("calls that were under way when a breaker opened change nothing", "[scenario-80]") {
  auto diary = std::make_shared<BreakerDiary>();
  BreakerLab lab{{.observers = {diary}}};
  std::vector<BreakerPermit> under_way;
  for (int i = 0; i < 1000; ++i) under_way.push_back(lab.acquire());
  lab.fail(5);
  const TimePoint open_until = lab.snapshot().open_until;
  lab.pass(10s);
  for (BreakerPermit& permit : under_way) lab.end(permit, BreakerVerdict::failure);
  CHECK(lab.snapshot().open_until == open_until);
  CHECK(diary->lines == std::vector<std::string>{"closed>open: consecutive failures"});
}

TEST_CASE("outcomes count when they come, however long the call was", "[scenario-81]") {
  BreakerLab lab{{.consecutive_failures = 1000, .min_calls = 1000}};
  std::vector<BreakerPermit> under_way;
  for (int second = 0; second < 200; ++second) {
    under_way.push_back(lab.acquire());
    if (second >= 30) lab.end(under_way[static_cast<std::size_t>(second - 30)], BreakerVerdict::failure);
    if (second >= 90) CHECK(lab.snapshot().failures >= 60);
    lab.pass(1s);
  }
}

TEST_CASE("ignored outcomes touch nothing", "[scenario-83][scenario-84][scenario-85]") {
  BreakerLab lab;
  lab.fail(4);
  lab.ignore(100);
  CHECK(lab.snapshot().calls == 4);
  CHECK(lab.snapshot().consecutive_failures == 4);
  lab.fail();
  CHECK(lab.state() == BreakerState::open);
}

TEST_CASE("slow answers are measured, and open a breaker only when told to", "[scenario-88]") {
  const auto run = [](BreakerLab& lab) {
    for (int i = 0; i < 10; ++i) {
      CHECK(lab.state() == BreakerState::closed);
      BreakerPermit permit = lab.acquire();
      BreakerOutcome outcome = lab.outcome(BreakerVerdict::success);
      outcome.ttft = i < 2 ? 30s : 31s;
      permit.record(outcome);
    }
  };
  BreakerLab measuring;
  run(measuring);
  CHECK(measuring.state() == BreakerState::closed);
  CHECK(measuring.snapshot().slow == 8);

  BreakerLab opening{{.slow_rate = 0.8}};
  run(opening);
  CHECK(opening.state() == BreakerState::open);
}

TEST_CASE("when both rules say open it opens once, for the failures in a row", "[scenario-89]") {
  auto diary = std::make_shared<BreakerDiary>();
  BreakerLab lab{{.observers = {diary}}};
  lab.succeed(5);
  lab.fail(5);  // the tenth call is the fifth failure in a row, and makes half of ten
  CHECK(diary->lines == std::vector<std::string>{"closed>open: consecutive failures"});
}

TEST_CASE("jitter lengthens an open time by up to a fifth", "[scenario-91]") {
  const auto open_time = [](double jitter) {
    BreakerLab lab;
    lab.jitter = jitter;
    lab.fail(5);
    return *lab.refused_for();
  };
  CHECK(open_time(0) == 30s);
  CHECK(open_time(0.5) == 33s);
  CHECK(open_time(std::nextafter(1.0, 0.0)) <= 36s);
  CHECK(open_time(std::nextafter(1.0, 0.0)) >= 35'999ms);
}

TEST_CASE("a longer hint of the server wins, up to the longest open time", "[scenario-91]") {
  const auto open_time = [](Duration hint) {
    BreakerLab lab;
    lab.fail(4);
    BreakerPermit permit = lab.acquire();
    BreakerOutcome outcome = lab.outcome(BreakerVerdict::failure);
    outcome.retry_after = hint;
    permit.record(outcome);
    return *lab.refused_for();
  };
  CHECK(open_time(5s) == 30s);
  CHECK(open_time(90s) == 90s);
  CHECK(open_time(24h) == 300s);
  CHECK(open_time(Duration::max()) == 300s);
  CHECK(open_time(Duration::min()) == 30s);
}

TEST_CASE("the smallest and the largest windows keep their thresholds", "[scenario-98]") {
  SECTION("one call is enough") {
    BreakerLab lab{{.consecutive_failures = 100, .failure_rate = 1, .min_calls = 1}};
    lab.fail();
    CHECK(lab.state() == BreakerState::open);
  }
  SECTION("a window of a nanosecond") {
    BreakerLab lab{{.consecutive_failures = 3, .min_calls = 2, .window = 1ns}};
    lab.fail();
    lab.pass(1ns);
    lab.fail();
    CHECK(lab.snapshot().failures == 1);
    CHECK(lab.state() == BreakerState::closed);
    lab.fail();
    CHECK(lab.state() == BreakerState::open);
  }
  SECTION("everything at its maximum") {
    constexpr int most = std::numeric_limits<int>::max();
    BreakerLab lab{{.consecutive_failures = most, .min_calls = most, .window = Duration::max()}};
    lab.fail(1000);
    lab.pass(std::chrono::hours{24 * 365 * 100});
    lab.fail(1000);
    CHECK(lab.snapshot().failures == 2000);
    CHECK(lab.state() == BreakerState::closed);
  }
  SECTION("open for ever") {
    BreakerLab lab{{.open_for = Duration::max(), .open_for_max = Duration::max(), .probe_lease = Duration::max()}};
    lab.jitter = 0.9;
    lab.fail(5);
    CHECK(lab.snapshot().open_until == TimePoint::max());
    CHECK_FALSE(lab.admits());
  }
}

TEST_CASE("options that make no sense are refused at construction, by name", "[scenario-100]") {
  const auto problem = [](const CircuitBreakerOptions& options) {
    CHECK_THROWS_AS(CircuitBreaker::create(options), std::invalid_argument);
    return problem_with(options);
  };
  using Catch::Matchers::ContainsSubstring;
  CHECK_THAT(problem({.consecutive_failures = 0}), ContainsSubstring("consecutive_failures must be at least 1"));
  CHECK_THAT(problem({.failure_rate = 0}), ContainsSubstring("failure_rate must be above 0 and at most 1"));
  CHECK_THAT(problem({.failure_rate = 1.01}), ContainsSubstring("failure_rate"));
  CHECK_THAT(problem({.failure_rate = std::nan("")}), ContainsSubstring("failure_rate"));
  CHECK_THAT(problem({.min_calls = 0}), ContainsSubstring("min_calls"));
  CHECK_THAT(problem({.window = 0s}), ContainsSubstring("window must be longer than 0"));
  CHECK_THAT(problem({.open_for = -1s}), ContainsSubstring("open_for"));
  CHECK_THAT(problem({.open_for = 400s}), ContainsSubstring("open_for must be at most open_for_max"));
  CHECK_THAT(problem({.jitter = -0.1}), ContainsSubstring("jitter"));
  CHECK_THAT(problem({.successes_to_close = 0}), ContainsSubstring("successes_to_close"));
  CHECK_THAT(problem({.probe_lease = 0s}), ContainsSubstring("probe_lease"));
  CHECK_THAT(problem({.slow_rate = 2}), ContainsSubstring("slow_rate"));
  CHECK(problem_with(CircuitBreakerOptions{}).empty());
}

}  // namespace circuit_breaker_test
