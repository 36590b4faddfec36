#include "backstop/state/budget.hpp"
#include "state/budget_reservation.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <array>
#include <atomic>
#include <limits>
#include <memory>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

namespace budget_test {

using namespace backstop;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint start{1000s};

BudgetCharge usd(double cost, double premium = 0) { return {Money::usd(cost), Money::usd(premium)}; }

bool has_room(const Budget& budget, const BudgetCharge& charge, TimePoint now = start) {
  const BudgetReservation reservation{{&budget, 1}, charge, now};
  return !reservation.refusal();
}

void spend(const Budget& budget, const BudgetCharge& charge, TimePoint now) {
  BudgetReservation reservation{{&budget, 1}, charge, now};
  reservation.settle(charge, now);
}

}  // namespace

TEST_CASE("of two concurrent sends of 60, a budget of 100 admits one", "[scenario-180]") {
  const Budget budget{{.per_period = Money::usd(100)}};
  const BudgetReservation first{{&budget, 1}, usd(60), start};
  CHECK_FALSE(first.refusal());
  const BudgetReservation second{{&budget, 1}, usd(60), start};
  REQUIRE(second.refusal());
  CHECK(second.refusal()->limit_name == "per_period");
  CHECK(second.refusal()->limit == Money::usd(100));
  CHECK(second.refusal()->reserved == Money::usd(60));
  CHECK(has_room(budget, usd(40)));
}

TEST_CASE("what was spent elsewhere counts from when it was spent, also before the machine was started") {
  const Budget budget{{.per_period = Money::usd(100), .period = 720h}};
  const TimePoint now{10h};
  for (const auto ago : {800h, 700h, 400h, 100h, 11h, 9h}) budget.book(Money::usd(10), now - ago);
  CHECK(budget.snapshot(now).spent.cost == Money::usd(50));
  CHECK(budget.snapshot(now).spent.premium == Money{});
  budget.book(Money::usd(-5), now);
  CHECK(budget.snapshot(now).spent.cost == Money::usd(50));
  CHECK(has_room(budget, usd(50), now));
  CHECK_FALSE(has_room(budget, usd(51), now));
  CHECK(budget.snapshot(now + 40h).spent.cost == Money::usd(40));
  CHECK(budget.snapshot(now + 640h).spent.cost == Money::usd(20));
  CHECK(budget.snapshot(now + 800h).spent.cost == Money{});
}

TEST_CASE("a budget is looked at and booked on by the machine's clock where no time is given") {
  const Budget budget{{.per_period = Money::usd(100)}};
  budget.book(Money::usd(3));
  CHECK(budget.snapshot().spent.cost == Money::usd(3));
  CHECK(budget.snapshot(machine_clock().now() + 25h).spent.cost == Money{});
}

TEST_CASE("a look at a budget at another time changes nothing") {
  const Budget budget{{.per_period = Money::usd(100)}};
  budget.book(Money::usd(1), start);
  CHECK(budget.snapshot(start + 25h).spent.cost == Money{});
  CHECK(budget.snapshot(start).spent.cost == Money::usd(1));
}

TEST_CASE("what is booked late and is older than the period does not count, however often") {
  const Budget budget{{.per_period = Money::usd(100)}};
  const TimePoint now = start + 100h;
  static_cast<void>(budget.snapshot(now));
  for (int i = 0; i < 3; ++i) budget.book(Money::usd(3.20), now - 25h);
  CHECK(budget.snapshot(now).spent.cost == Money{});
  CHECK(budget.snapshot(now + 72h).spent.cost == Money{});
}

TEST_CASE("threads cannot reserve more than a budget has", "[scenario-180]") {
  const Budget budget{{.per_period = Money::usd(100)}};
  std::array<std::unique_ptr<BudgetReservation>, 50> reservations;
  std::atomic<bool> go{false};
  {
    std::vector<std::jthread> threads;
    for (auto& reservation : reservations) {
      threads.emplace_back([&] {
        go.wait(false);
        reservation = std::make_unique<BudgetReservation>(std::span{&budget, 1}, usd(9), start);
      });
    }
    go = true;
    go.notify_all();
  }
  int admitted = 0;
  for (const auto& reservation : reservations) admitted += reservation->refusal() ? 0 : 1;
  CHECK(admitted == 11);
}

TEST_CASE("what a send did not cost is given back", "[scenario-181]") {
  const Budget budget{{.per_period = Money::usd(100)}};
  BudgetReservation first{{&budget, 1}, usd(60), start};
  first.settle(usd(20), start);
  CHECK(budget.snapshot(start).spent.cost == Money::usd(20));
  CHECK(budget.snapshot(start).reserved.cost == Money{});
  CHECK(has_room(budget, usd(70)));
  CHECK_FALSE(has_room(budget, usd(81)));
}

TEST_CASE("a send that did not happen costs nothing", "[scenario-183]") {
  const Budget budget{{.per_period = Money::usd(100)}};
  { const BudgetReservation never_sent{{&budget, 1}, usd(100), start}; }
  CHECK(budget.snapshot(start).spent == BudgetCharge{});
  CHECK(budget.snapshot(start).reserved == BudgetCharge{});
}

TEST_CASE("a reservation is settled once", "[scenario-186]") {
  const Budget budget{{.per_period = Money::usd(100)}};
  BudgetReservation reservation{{&budget, 1}, usd(60), start};
  reservation.settle(usd(20), start);
  reservation.settle(usd(20), start);
  CHECK(budget.snapshot(start).spent.cost == Money::usd(20));
  CHECK(budget.snapshot(start).reserved.cost == Money{});
}

TEST_CASE("a spending leaves the budget when its period is over", "[scenario-185]") {
  const Budget budget{{.per_period = Money::usd(100), .period = 24h}};
  spend(budget, usd(60), start);
  spend(budget, usd(40), start + 1h);
  CHECK_FALSE(has_room(budget, usd(1), start + 24h - 1ns));
  CHECK(has_room(budget, usd(60), start + 24h));
  CHECK_FALSE(has_room(budget, usd(61), start + 25h - 1ns));
  CHECK(has_room(budget, usd(100), start + 25h));
}

TEST_CASE("several budgets are reserved all or none") {
  const std::array budgets{Budget{{.per_period = Money::usd(100)}}, Budget{{.per_period = Money::usd(10)}},
                           Budget{{.per_period = Money::usd(50)}}};
  {
    const BudgetReservation too_much{budgets, usd(20), start};
    REQUIRE(too_much.refusal());
    CHECK(too_much.refusal()->limit == Money::usd(10));
  }
  for (const Budget& budget : budgets) CHECK(budget.snapshot(start).reserved == BudgetCharge{});
  BudgetReservation fits{budgets, usd(10), start};
  CHECK_FALSE(fits.refusal());
  fits.settle(usd(4), start);
  for (const Budget& budget : budgets) CHECK(budget.snapshot(start).spent == usd(4));
}

TEST_CASE("a premium has its own limit, which holds back nothing else") {
  const Budget budget{{.per_period = Money::usd(100), .fallback_premium_per_period = Money::usd(5)}};
  CHECK(has_room(budget, usd(20, 5)));
  const BudgetReservation over{{&budget, 1}, usd(20, 5.01), start};
  REQUIRE(over.refusal());
  CHECK(over.refusal()->limit_name == "fallback_premium_per_period");
  spend(budget, usd(20, 5), start);
  CHECK_FALSE(has_room(budget, usd(1, 0.01)));
  CHECK(has_room(budget, usd(80)));
}

TEST_CASE("spent and reserved stay below the limit but for what was dearer than its worst case", "[scenario-186]") {
  std::mt19937_64 random{7};
  const auto units = [&](std::int64_t bound) {
    return Money::from_units(static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(bound)));
  };
  constexpr Money limit = Money::from_units(10'000);
  const Budget budget{{.per_period = limit, .period = 1min}};
  TimePoint now = start;
  struct UnderWay {
    std::unique_ptr<BudgetReservation> reservation;
    Money worst;
  };
  std::vector<UnderWay> under_way;
  for (int step = 0; step < 20'000; ++step) {
    now += Duration{random() % 2'000'000'000};
    if (under_way.size() < 20 && random() % 2 == 0) {
      const Money worst = units(3000);
      auto reservation = std::make_unique<BudgetReservation>(std::span{&budget, 1}, BudgetCharge{worst, {}}, now);
      if (!reservation->refusal()) under_way.push_back({std::move(reservation), worst});
    } else if (!under_way.empty()) {
      UnderWay& last = under_way[random() % under_way.size()];
      if (random() % 10 != 0) last.reservation->settle({units(last.worst.units() + 1), {}}, now);
      std::swap(last, under_way.back());
      under_way.pop_back();
    }
    const BudgetSnapshot snapshot = budget.snapshot(now);
    REQUIRE(snapshot.spent.cost + snapshot.reserved.cost <= limit);
    REQUIRE(snapshot.spent.cost >= Money{});
    REQUIRE(snapshot.reserved.cost >= Money{});
  }
  under_way.clear();
  CHECK(budget.snapshot(now).reserved == BudgetCharge{});
}

TEST_CASE("a send that was dearer than its worst case is booked in full; no amount is negative", "[scenario-186]") {
  const Budget budget{{.per_period = Money::usd(100)}};
  BudgetReservation dear{{&budget, 1}, usd(90), start};
  dear.settle(usd(130), start);
  CHECK(budget.snapshot(start).spent.cost == Money::usd(130));
  BudgetReservation refund{{&budget, 1}, usd(-50), start};
  CHECK_FALSE(refund.refusal());  // as what costs nothing
  CHECK(budget.snapshot(start).reserved == BudgetCharge{});
  spend(Budget{{}}, usd(-1), start);
  const Budget other{{}};
  spend(other, usd(-5, -5), start);
  CHECK(other.snapshot(start).spent == BudgetCharge{});
  spend(other, {Money::max(), Money::max()}, start);
  spend(other, {Money::max(), Money::max()}, start);
  CHECK(other.snapshot(start).spent.cost == Money::max());
}

TEST_CASE("a budget that makes no sense is refused at construction, by name") {
  const auto problem = [](const BudgetOptions& options) {
    CHECK_THROWS_AS(Budget{options}, std::invalid_argument);
    return problem_with(options);
  };
  using Catch::Matchers::ContainsSubstring;
  CHECK_THAT(problem({.per_period = Money::usd(-1)}), ContainsSubstring("per_period must not be below $0"));
  CHECK(problem_with(BudgetOptions{.per_period = Money{}}).empty());
  CHECK_THAT(problem({.fallback_premium_per_period = Money::usd(-1)}), ContainsSubstring("fallback_premium"));
  CHECK_THAT(problem({.period = 0s}), ContainsSubstring("period must be longer than 0"));
}

}  // namespace budget_test
