#include "policies/backoff.hpp"

#include <catch2/catch_test_macros.hpp>

#include <random>
#include <set>

namespace backoff_test {

using namespace backstop;
using namespace std::chrono_literals;

namespace {

constexpr BackoffRange transient{500ms, 8s};
constexpr BackoffRange throttled{1s, 20s};
constexpr double almost_one = 0x1.fffffffffffffp-1;  // the largest below 1

}  // namespace

TEST_CASE("the ceiling doubles up to the cap") {
  CHECK(backoff_ceiling(transient, 0) == 500ms);
  CHECK(backoff_ceiling(transient, 1) == 1s);
  CHECK(backoff_ceiling(transient, 4) == 8s);
  CHECK(backoff_ceiling(transient, 5) == 8s);
  CHECK(backoff_ceiling(throttled, 4) == 16s);
  CHECK(backoff_ceiling(throttled, 5) == 20s);
  CHECK(backoff_ceiling({10s, 8s}, 0) == 8s);
  CHECK(backoff_ceiling({0s, 8s}, 3) == 0s);
}

TEST_CASE("the ends of the random range give no wait and the cap exactly", "[scenario-7]") {
  for (unsigned repeat = 0; repeat < 8; ++repeat) {
    const Duration ceiling = backoff_ceiling(transient, repeat);
    CHECK(full_jitter(ceiling, 0.0) == 0s);
    CHECK(full_jitter(ceiling, almost_one) == ceiling);
  }
  CHECK(full_jitter(Duration::max(), almost_one) <= Duration::max());
  CHECK(full_jitter(Duration::max(), almost_one) > 0s);
}

TEST_CASE("no repeat is too large for the ceiling", "[scenario-8][scenario-212]") {
  for (unsigned repeat = 0; repeat <= 10'000; ++repeat) {
    const Duration ceiling = backoff_ceiling(transient, repeat);
    REQUIRE(ceiling > 0s);
    REQUIRE(ceiling <= 8s);
  }
  CHECK(backoff_ceiling({1ns, Duration::max()}, 62) == Duration{std::int64_t{1} << 62});
  CHECK(backoff_ceiling({1ns, Duration::max()}, 63) == Duration::max());
  CHECK(backoff_ceiling({Duration::max(), Duration::max()}, 4'000'000'000U) == Duration::max());
}

TEST_CASE("at the cap the waits still differ", "[scenario-9]") {
  std::mt19937_64 random{7};
  std::uniform_real_distribution<double> unit{0.0, 1.0};
  std::set<Duration> full;
  std::set<Duration> equal;
  for (int i = 0; i < 1000; ++i) {
    full.insert(full_jitter(backoff_ceiling(transient, 30), unit(random)));
    equal.insert(equal_jitter(backoff_ceiling(throttled, 30), unit(random)));
  }
  CHECK(full.size() >= 900);
  CHECK(equal.size() >= 900);
}

TEST_CASE("equal jitter waits at least half", "[scenario-10]") {
  for (const double unit : {0.0, 0.25, 0.5, almost_one}) {
    for (const Duration ceiling : {Duration{1}, Duration{999}, Duration{1s}, Duration{20s}, Duration::max()}) {
      CHECK(equal_jitter(ceiling, unit) >= ceiling / 2);
      CHECK(equal_jitter(ceiling, unit) <= ceiling);
    }
  }
}

TEST_CASE("a hint is a minimum, to which a tenth and never more than 5 s is added", "[scenario-34]") {
  CHECK(hinted_wait(2s, 0.0) == 2s);
  CHECK(hinted_wait(2s, almost_one) == 2200ms);
  CHECK(hinted_wait(100s, almost_one) == 105s);
  CHECK(hinted_wait(Duration::max(), 0.5) == Duration::max());
}

TEST_CASE("after a hinted wait the doubling starts anew") {
  Backoff backoff{transient, throttled};
  CHECK(backoff.next(false, {}, almost_one) == 500ms);
  CHECK(backoff.next(false, {}, almost_one) == 1s);
  CHECK(backoff.next(true, {}, almost_one) == 4s);
  CHECK(backoff.next(true, 3s, 0.0) == 3s);
  CHECK(backoff.next(false, {}, almost_one) == 500ms);
}

}  // namespace backoff_test
