#include "backstop/state/retry_budget.hpp"

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

namespace retry_budget_test {

using namespace backstop;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint start{1000s};

RetryBudgetOptions without_refill() {
  RetryBudgetOptions options;
  options.refill_per_second = 0;
  return options;
}

}  // namespace

TEST_CASE("a fresh budget allows a burst of 7 transient or 20 throttled retries", "[scenario-23]") {
  RetryBudget transient{without_refill()};
  for (int i = 0; i < 7; ++i) CHECK(transient.acquire(14, start));
  CHECK_FALSE(transient.acquire(14, start));
  CHECK(transient.available(start) == 2);

  RetryBudget throttled{without_refill()};
  for (int i = 0; i < 20; ++i) CHECK(throttled.acquire(5, start));
  CHECK_FALSE(throttled.acquire(5, start));
}

TEST_CASE("an empty budget needs 14 first-try successes for one transient retry", "[scenario-25]") {
  RetryBudget budget{without_refill()};
  REQUIRE(budget.acquire(100, start));
  for (int i = 0; i < 13; ++i) budget.put_back(1);
  CHECK_FALSE(budget.acquire(14, start));
  budget.put_back(1);
  CHECK(budget.acquire(14, start));
}

TEST_CASE("what is put back never exceeds the capacity", "[scenario-26]") {
  RetryBudget budget{without_refill()};
  REQUIRE(budget.acquire(5, start));
  budget.put_back(14);
  CHECK(budget.available(start) == 100);
  budget.put_back(14);
  CHECK(budget.available(start) == 100);
}

TEST_CASE("threads that take at once get exactly what is there", "[scenario-29]") {
  RetryBudget budget{without_refill()};
  std::atomic<int> granted{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 100; ++j) granted += budget.acquire(5, start) ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(granted == 20);
}

TEST_CASE("threads that take and put back lose nothing") {
  RetryBudget budget{without_refill()};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 1000; ++j) {
        if (budget.acquire(14, start)) budget.put_back(14);
        static_cast<void>(budget.available(start));
        static_cast<void>(budget.options());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(budget.available(start) == 100);
}

TEST_CASE("time refills the budget, one token a second", "[scenario-31]") {
  RetryBudget budget{RetryBudgetOptions{}};
  REQUIRE(budget.acquire(100, start));
  CHECK_FALSE(budget.acquire(1, start + 999ms));
  CHECK(budget.acquire(1, start + 1s));
  CHECK(budget.available(start + 51s) == 50);
  CHECK(budget.available(start + 40s) == 50);  // a clock that steps back changes nothing
  CHECK(budget.available(start + 101s) == 100);
  CHECK(budget.available(TimePoint::max()) == 100);
  REQUIRE(budget.acquire(100, TimePoint::max()));
  CHECK(budget.available(TimePoint::max()) == 0);
}

TEST_CASE("retries stay below burst, refill and a share of the successes", "[scenario-32]") {
  std::mt19937_64 random{11};
  for (int round = 0; round < 50; ++round) {
    RetryBudget budget{RetryBudgetOptions{}};
    TimePoint now = start;
    double first_try_successes = 0;
    double retries = 0;
    for (int call = 0; call < 2000; ++call) {
      now += std::chrono::milliseconds{random() % 100};
      if (random() % 10 < 7) {
        ++first_try_successes;
        budget.put_back(1);
      } else if (budget.acquire(14, now)) {
        ++retries;  // and it fails too
      }
    }
    const double seconds = std::chrono::duration<double>(now - start).count();
    REQUIRE(retries <= 100.0 / 14 + seconds / 14 + first_try_successes / 14);
  }
}

TEST_CASE("a budget of nothing allows no retry, and negative numbers are refused") {
  RetryBudgetOptions none = without_refill();
  none.capacity = 0;
  RetryBudget budget{none};
  CHECK_FALSE(budget.acquire(1, start));
  CHECK(budget.acquire(0, start));
  none.transient_cost = -1;
  CHECK_THROWS_AS(RetryBudget{none}, std::invalid_argument);
}

}  // namespace retry_budget_test
