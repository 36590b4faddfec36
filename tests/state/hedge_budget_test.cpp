#include "backstop/state/hedge_budget.hpp"

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

namespace hedge_budget_test {

using namespace backstop;

TEST_CASE("twenty calls pay for a hedge") {
  const HedgeBudget budget;
  CHECK(budget.take());
  for (int i = 0; i < 19; ++i) budget.pay_in();
  CHECK_FALSE(budget.take());
  budget.pay_in();
  CHECK(budget.take());
  CHECK(budget.balance() == 0);
}

TEST_CASE("quiet times save up no more than the most") {
  const HedgeBudget budget{{.share = 1, .most = 3}};
  for (int i = 0; i < 10; ++i) budget.pay_in();
  CHECK(budget.balance() == 3);
  CHECK(budget.take());
  budget.put_back();
  CHECK(budget.balance() == 3);
}

TEST_CASE("copies are one budget") {
  const HedgeBudget budget;
  const HedgeBudget copy = budget;
  CHECK(copy.take());
  CHECK_FALSE(budget.take());
}

TEST_CASE("threads together take what is there and no more") {
  const HedgeBudget budget{{.share = 1, .most = 100}};
  for (int i = 0; i < 99; ++i) budget.pay_in();
  std::atomic<int> taken{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) taken += budget.take() ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(taken == 100);
}

TEST_CASE("budgets that cannot be right are refused") {
  CHECK_THROWS_AS(HedgeBudget({.share = 0}), std::invalid_argument);
  CHECK_THROWS_AS(HedgeBudget({.share = 1.5}), std::invalid_argument);
  CHECK_THROWS_AS(HedgeBudget({.most = 0.5}), std::invalid_argument);
}

}  // namespace hedge_budget_test
