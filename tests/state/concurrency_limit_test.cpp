#include "backstop/state/concurrency_limit.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <atomic>
#include <limits>
#include <memory>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

namespace concurrency_limit_test {

using namespace backstop;
using namespace std::chrono_literals;

namespace {

using Stage = ConcurrencyPermit::Stage;
using Permits = std::vector<std::unique_ptr<ConcurrencyPermit>>;

constexpr TimePoint start{1000s};

std::unique_ptr<ConcurrencyPermit> take(const ConcurrencyLimit& limit, TimePoint deadline = TimePoint::max()) {
  return std::make_unique<ConcurrencyPermit>(limit, start, deadline, false);
}

Permits take(const ConcurrencyLimit& limit, int count) {
  Permits permits;
  for (int i = 0; i < count; ++i) permits.push_back(take(limit));
  return permits;
}

void end(Permits& permits, ConcurrencyVerdict verdict) {
  for (const auto& permit : permits) permit->release(verdict);
}

int limit_of(const ConcurrencyLimit& limit) { return limit.snapshot().limit; }

}  // namespace

TEST_CASE("of three sends two are under way and the third is refused", "[scenario-121]") {
  const ConcurrencyLimit limit{{.max_in_flight = 2}};
  Permits permits = take(limit, 3);
  CHECK(permits[0]->stage() == Stage::held);
  CHECK(permits[1]->stage() == Stage::held);
  CHECK(permits[2]->stage() == Stage::refused);
  CHECK(limit.full());
  permits[0].reset();
  CHECK_FALSE(limit.full());
  CHECK(take(limit)->stage() == Stage::held);
}

TEST_CASE("who waits gets the permit in the order of coming", "[scenario-124]") {
  const ConcurrencyLimit limit{{.max_in_flight = 1, .max_queued = 2}};
  Permits permits = take(limit, 4);
  CHECK(permits[1]->stage() == Stage::waiting);
  CHECK(permits[2]->stage() == Stage::waiting);
  CHECK(permits[3]->stage() == Stage::refused);
  permits[0].reset();
  CHECK(permits[2]->look(start) == Stage::waiting);
  CHECK(permits[1]->look(start) == Stage::held);
  permits[1].reset();
  CHECK(permits[2]->look(start) == Stage::held);
}

TEST_CASE("who leaves the queue frees the place and gets no permit later", "[scenario-124][scenario-125]") {
  const ConcurrencyLimit limit{{.max_in_flight = 1, .max_queued = 1}};
  auto held = take(limit);
  auto waiting = take(limit);
  SECTION("while it waits") {
    waiting.reset();
    CHECK(limit.snapshot().waiting == 0);
    auto next = take(limit);
    CHECK(next->stage() == Stage::waiting);
    held.reset();
    CHECK(next->look(start) == Stage::held);
  }
  SECTION("when its turn has come and it has not looked yet") {
    held.reset();
    CHECK(limit.snapshot().in_flight == 1);
    waiting.reset();
  }
  held.reset();
  CHECK(limit.snapshot().waiting == 0);
}

TEST_CASE("patience ends at the deadline or the longest wait") {
  const ConcurrencyLimit limit{{.max_in_flight = 1, .max_queued = 5, .max_wait = 10s}};
  const auto held = take(limit);
  CHECK(take(limit, start)->stage() == Stage::refused);
  CHECK(take(limit, start + 3s)->turn() == start + 3s);
  CHECK(ConcurrencyPermit{limit, start, TimePoint::max(), true}.turn() == start + 2s);
  const auto waiting = take(limit);
  CHECK(waiting->turn() == start + 10s);
  CHECK(waiting->look(start + 10s - 1ns) == Stage::waiting);
  CHECK(waiting->look(start + 10s) == Stage::refused);
  CHECK(limit.snapshot().waiting == 0);
}

TEST_CASE("a lowered limit blocks nobody and admits nobody until there is room", "[scenario-126]") {
  const ConcurrencyLimit limit{{.max_in_flight = 10}};
  Permits permits = take(limit, 8);
  limit.resize(2);
  CHECK(limit.snapshot().in_flight == 8);
  while (permits.size() > 2) {
    CHECK(take(limit)->stage() == Stage::refused);
    permits.pop_back();
  }
  CHECK(take(limit)->stage() == Stage::refused);
  permits.pop_back();
  CHECK(take(limit)->stage() == Stage::held);
  CHECK_THROWS_AS(limit.resize(0), std::invalid_argument);
}

TEST_CASE("a raised limit lets those who wait through") {
  const ConcurrencyLimit limit{{.max_in_flight = 1, .max_queued = 5}};
  Permits permits = take(limit, 4);
  limit.resize(3);
  CHECK(permits[1]->look(start) == Stage::held);
  CHECK(permits[2]->look(start) == Stage::held);
  CHECK(permits[3]->look(start) == Stage::waiting);
}

TEST_CASE("a permit is given back once") {
  const ConcurrencyLimit limit{{.max_in_flight = 2}};
  Permits permits = take(limit, 2);
  permits[0]->release(ConcurrencyVerdict::success);
  permits[0]->release(ConcurrencyVerdict::success);
  permits[0].reset();
  CHECK(limit.snapshot().in_flight == 1);
}

TEST_CASE("whatever threads do, the limit holds and in the end nothing is in flight", "[scenario-116][scenario-128]") {
  const ConcurrencyLimit limit{{.max_in_flight = 5, .max_queued = 3}};
  std::atomic<int> in_flight{0};
  std::atomic<int> most{0};
  {
    std::vector<std::jthread> threads;
    for (unsigned seed = 0; seed < 8; ++seed) {
      threads.emplace_back([&, seed] {
        std::mt19937 random{seed};
        for (int i = 0; i < 5000; ++i) {
          ConcurrencyPermit permit{limit, start, TimePoint::max(), false};
          for (int look = 0; look < 10 && permit.look(start) == Stage::waiting; ++look) std::this_thread::yield();
          if (permit.stage() != Stage::held) continue;
          const int now = ++in_flight;
          for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
          }
          if (random() % 4 == 0) std::this_thread::yield();
          --in_flight;
          if (random() % 2 == 0) permit.release(ConcurrencyVerdict::success);
        }
      });
    }
  }
  CHECK(most <= 5);
  CHECK(limit.snapshot().in_flight == 0);
  CHECK(limit.snapshot().waiting == 0);
}

TEST_CASE("twenty sends that are dropped together shrink the limit once", "[scenario-129]") {
  const ConcurrencyLimit limit{AdaptiveConcurrencyOptions{.initial = 20}};
  Permits permits = take(limit, 20);
  end(permits, ConcurrencyVerdict::dropped);
  CHECK(limit_of(limit) == 18);
  permits = take(limit, 18);
  end(permits, ConcurrencyVerdict::dropped);
  CHECK(limit_of(limit) == 16);
}

TEST_CASE("a limit that is hardly used does not grow", "[scenario-130]") {
  const ConcurrencyLimit limit{AdaptiveConcurrencyOptions{.initial = 10}};
  for (int i = 0; i < 1000; ++i) {
    Permits permits = take(limit, 4);
    end(permits, ConcurrencyVerdict::success);
  }
  CHECK(limit_of(limit) == 10);
}

TEST_CASE("what says nothing on the load changes nothing", "[scenario-131]") {
  const ConcurrencyLimit limit{AdaptiveConcurrencyOptions{.initial = 10}};
  for (int i = 0; i < 100; ++i) {
    Permits permits = take(limit, 10);
    if (i % 2 == 0) end(permits, ConcurrencyVerdict::ignored);
  }
  CHECK(limit_of(limit) == 10);
}

TEST_CASE("the limit stays between its ends", "[scenario-132]") {
  const ConcurrencyLimit limit{AdaptiveConcurrencyOptions{.initial = 3, .min = 2, .max = 4}};
  for (int i = 0; i < 20; ++i) {
    Permits permits = take(limit, limit_of(limit));
    end(permits, ConcurrencyVerdict::dropped);
  }
  CHECK(limit_of(limit) == 2);
  for (int i = 0; i < 100; ++i) {
    Permits permits = take(limit, limit_of(limit));
    end(permits, ConcurrencyVerdict::success);
    CHECK(limit_of(limit) <= 4);
  }
  CHECK(limit_of(limit) == 4);
  limit.resize(100);
  CHECK(limit_of(limit) == 4);
}

TEST_CASE("it grows by one after as many successes as it is", "[scenario-134]") {
  const ConcurrencyLimit limit{AdaptiveConcurrencyOptions{.initial = 5}};
  const auto succeed = [&] {
    Permits permits = take(limit, limit_of(limit));
    permits[0]->release(ConcurrencyVerdict::success);  // while all are in flight
  };
  for (int i = 0; i < 4; ++i) succeed();
  CHECK(limit_of(limit) == 5);
  succeed();
  CHECK(limit_of(limit) == 6);
  for (int i = 0; i < 5; ++i) succeed();
  CHECK(limit_of(limit) == 6);
  succeed();
  CHECK(limit_of(limit) == 7);
}

TEST_CASE("a limit that is not adaptive does not listen") {
  const ConcurrencyLimit limit{BulkheadOptions{.max_in_flight = 4}};
  for (int i = 0; i < 20; ++i) {
    Permits permits = take(limit, 4);
    end(permits, i % 2 == 0 ? ConcurrencyVerdict::dropped : ConcurrencyVerdict::success);
  }
  CHECK(limit_of(limit) == 4);
}

TEST_CASE("options that make no sense are refused at construction, by name", "[scenario-100][scenario-212]") {
  using Catch::Matchers::ContainsSubstring;
  CHECK_THAT(problem_with(BulkheadOptions{.max_in_flight = 0}), ContainsSubstring("max_in_flight is 0"));
  CHECK_THAT(problem_with(BulkheadOptions{.max_in_flight = std::numeric_limits<int>::max()}),
             ContainsSubstring("max_in_flight"));
  CHECK_THAT(problem_with(BulkheadOptions{.max_queued = -1}), ContainsSubstring("max_queued is -1"));
  CHECK_THAT(problem_with(BulkheadOptions{.max_wait = -1s}), ContainsSubstring("max_wait"));
  CHECK_THAT(problem_with(AdaptiveConcurrencyOptions{.min = 0}), ContainsSubstring("min is 0"));
  CHECK_THAT(problem_with(AdaptiveConcurrencyOptions{.min = 5, .max = 4}), ContainsSubstring("max is 4"));
  CHECK_THAT(problem_with(AdaptiveConcurrencyOptions{.initial = 300}), ContainsSubstring("initial is 300"));
  CHECK_THAT(problem_with(AdaptiveConcurrencyOptions{.decrease = 1}), ContainsSubstring("decrease"));
  CHECK(problem_with(BulkheadOptions{}).empty());
  CHECK(problem_with(AdaptiveConcurrencyOptions{}).empty());
  CHECK_THROWS_AS(ConcurrencyLimit{BulkheadOptions{.max_in_flight = 0}}, std::invalid_argument);
}

}  // namespace concurrency_limit_test
