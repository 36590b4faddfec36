#include "backstop/state/rate_limit.hpp"
#include "state/rate_reservation.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <atomic>
#include <deque>
#include <memory>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

namespace rate_limit_test {

using namespace backstop;
using namespace std::chrono_literals;

namespace {

using Stage = RateReservation::Stage;

constexpr TimePoint start{1000s};

constexpr Duration endless = Duration::max();

std::int64_t requests_left(const RateLimit& limit, TimePoint now = start) {
  return limit.snapshot(now).requests->available;
}
std::int64_t tokens_left(const RateLimit& limit, TimePoint now = start) {
  return limit.snapshot(now).tokens->available;
}

RateDemand tokens(std::int64_t input, std::int64_t output) {
  return {.input_tokens = input, .max_output_tokens = output};
}

/// One send that uses what it reserves; true when it needs not wait.
bool passes(const RateLimit& limit, TimePoint now = start, const RateDemand& demand = {}) {
  RateReservation reservation{limit, demand, now};
  if (reservation.stage() != Stage::held) return false;
  reservation.settle({}, now);
  return true;
}

void use_up(const RateLimit& limit, TimePoint now = start) {
  while (requests_left(limit, now) > 0) REQUIRE(passes(limit, now));
}

}  // namespace

TEST_CASE("of eleven requests at once ten pass and the last waits a second", "[scenario-101]") {
  const RateLimit limit{{.requests_per_minute = 60, .burst = 10}};
  for (int i = 0; i < 10; ++i) CHECK(passes(limit));
  RateReservation last{limit, {}, start};
  CHECK(last.stage() == Stage::waiting);
  CHECK(last.turn() == start + 1s);
  CHECK(last.look(start + 1s - 1ns) == Stage::waiting);
  CHECK(last.look(start + 1s) == Stage::held);
}

TEST_CASE("a burst is ten seconds' worth unless it is given, and at least one") {
  CHECK(RateLimit{{.requests_per_minute = 60}}.snapshot(start).requests->burst == 10);
  CHECK(RateLimit{{.requests_per_minute = 6}}.snapshot(start).requests->burst == 1);
  CHECK(RateLimit{{.requests_per_minute = 1}}.snapshot(start).requests->burst == 1);
  CHECK(RateLimit{{.requests_per_minute = 60, .burst = 3}}.snapshot(start).requests->burst == 3);
  CHECK(RateLimit{{.tokens_per_minute = 90'000}}.snapshot(start).tokens->burst == 90'000);
  const RateLimit both{{.requests_per_minute = 60, .tokens_per_minute = 90'000, .burst = 3}};
  CHECK(both.snapshot(start).tokens->burst == 90'000);
  const RateLimit six{{.requests_per_minute = 6}};
  CHECK(passes(six));
  CHECK_FALSE(passes(six, start + 10s - 1ns));
  CHECK(passes(six, start + 10s));
  CHECK_FALSE(passes(six, start + 20s - 1ns));
}

TEST_CASE("a safety factor uses a share of the limits") {
  const RateLimit limit{{.requests_per_minute = 60, .tokens_per_minute = 1000, .safety_factor = 0.95}};
  CHECK(limit.snapshot(start).requests->per_minute == 57);
  CHECK(limit.snapshot(start).requests->burst == 9);
  CHECK(limit.snapshot(start).tokens->per_minute == 950);
}

TEST_CASE("a wait that is too long is refused at once, with the time it would take, and takes nothing",
          "[scenario-102]") {
  const RateLimit limit{{.requests_per_minute = 60, .burst = 10, .max_wait = 500ms}};
  use_up(limit);
  const RateReservation refused{limit, {}, start};
  REQUIRE(refused.stage() == Stage::refused);
  CHECK(refused.refusal().dimension == LimitDimension::requests);
  CHECK(refused.refusal().turn == start + 1s);
  CHECK(requests_left(limit) == 0);
  CHECK(limit.refuses_until(start) == start + 500ms);
  CHECK(limit.refuses_until(start + 499ms) == start + 500ms);
  CHECK_FALSE(limit.refuses_until(start + 500ms));
  RateReservation waits{limit, {}, start + 500ms};
  CHECK(waits.look(start + 1s) == Stage::held);
}

TEST_CASE("one request a second never waits, and no minute sees more than the limit and the burst", "[scenario-103]") {
  const RateLimit limit{{.requests_per_minute = 60, .burst = 10}};
  for (int second = 0; second < 600; ++second) REQUIRE(passes(limit, start + std::chrono::seconds{second}));

  const RateLimit pressed{{.requests_per_minute = 60, .burst = 10}};
  std::deque<TimePoint> sent;
  for (int tick = 0; tick < 6000; ++tick) {
    const TimePoint now = start + tick * 100ms;
    while (!sent.empty() && sent.front() <= now - 60s) sent.pop_front();
    while (passes(pressed, now)) sent.push_back(now);
    REQUIRE(sent.size() <= 70);
  }
}

TEST_CASE("where the tokens do not suffice no request is taken either", "[scenario-104]") {
  const RateLimit limit{{.requests_per_minute = 60, .tokens_per_minute = 1000, .max_wait = 0s}};
  RateReservation first{limit, tokens(300, 600), start};
  REQUIRE(first.stage() == Stage::held);
  const RateReservation refused{limit, tokens(100, 100), start};
  REQUIRE(refused.stage() == Stage::refused);
  CHECK(refused.refusal().dimension == LimitDimension::tokens);
  CHECK(refused.refusal().turn == start + 6s);
  CHECK(requests_left(limit) == 9);
  CHECK(tokens_left(limit) == 100);
}

TEST_CASE("input and output have limits of their own") {
  const RateLimit limit{
      {.input_tokens_per_minute = 1000, .output_tokens_per_minute = 600, .max_wait = 0s}};
  RateReservation first{limit, tokens(400, 500), start};
  REQUIRE(first.stage() == Stage::held);
  CHECK(RateReservation{limit, tokens(601, 1), start}.refusal().dimension == LimitDimension::input_tokens);
  CHECK(RateReservation{limit, tokens(1, 101), start}.refusal().dimension == LimitDimension::output_tokens);
  CHECK(passes(limit, start, tokens(600, 100)));
}

TEST_CASE("who leaves the queue makes way for those behind", "[scenario-105]") {
  const RateLimit limit{{.requests_per_minute = 60, .burst = 1}};
  use_up(limit);
  auto first = std::make_unique<RateReservation>(limit, RateDemand{}, start);
  RateReservation second{limit, {}, start};
  CHECK(second.turn() == start + 2s);
  first.reset();
  CHECK(second.look(start) == Stage::waiting);
  CHECK(second.turn() == start + 1s);
  CHECK(second.look(start + 1s) == Stage::held);
  CHECK(limit.snapshot(start + 1s).waiting == 0);
}

TEST_CASE("who has had its turn and leaves without a send gives it to the next", "[scenario-105]") {
  const RateLimit limit{{.requests_per_minute = 60, .burst = 1}};
  use_up(limit);
  auto first = std::make_unique<RateReservation>(limit, RateDemand{}, start);
  RateReservation second{limit, {}, start};
  REQUIRE(first->look(start + 1s) == Stage::held);
  first.reset();
  CHECK(second.look(start + 1s) == Stage::held);
}

TEST_CASE("a deadline before the turn is refused at the end of the queue, not at the deadline", "[scenario-106]") {
  const RateLimit limit{{.requests_per_minute = 60, .burst = 1, .max_wait = endless}};
  use_up(limit);
  RateReservation first{limit, {}, start};
  RateReservation late{limit, {.deadline = start + 1999ms}, start};
  REQUIRE(late.stage() == Stage::refused);
  CHECK(late.refusal().turn == start + 2s);
  CHECK(limit.snapshot(start).waiting == 1);
  CHECK(RateReservation{limit, {.deadline = start + 2s}, start}.stage() == Stage::waiting);
}

TEST_CASE("while another target is ready the wait is a short one") {
  const RateLimit limit{{.requests_per_minute = 20, .burst = 1}};
  use_up(limit);
  CHECK(RateReservation{limit, {.other_target_ready = true}, start}.stage() == Stage::refused);
  CHECK(RateReservation{limit, {.other_target_ready = true}, start + 1s}.stage() == Stage::waiting);
  CHECK(RateReservation{limit, {}, start}.stage() == Stage::waiting);
}

TEST_CASE("nobody overtakes: a small send waits behind a large one") {
  const RateLimit limit{{.tokens_per_minute = 60'000}};
  RateReservation first{limit, tokens(0, 50'000), start};
  RateReservation large{limit, tokens(0, 40'000), start};
  RateReservation small{limit, tokens(0, 1000), start};
  CHECK(first.stage() == Stage::held);
  CHECK(large.turn() == start + 30s);
  CHECK(small.turn() == start + 31s);
  CHECK(small.look(start + 30s) == Stage::waiting);
  CHECK(large.look(start + 30s) == Stage::held);
}

TEST_CASE("what was not used is given back, and those who wait are looked at anew", "[scenario-107]") {
  const RateLimit limit{{.tokens_per_minute = 1000}};
  RateReservation first{limit, tokens(400, 600), start};
  RateReservation second{limit, tokens(200, 400), start};
  CHECK(second.stage() == Stage::waiting);
  CHECK(tokens_left(limit) == 0);
  first.settle({.input_tokens = 100, .output_tokens = 200}, start);
  CHECK(second.look(start) == Stage::held);
  CHECK(tokens_left(limit) == 100);
}

TEST_CASE("what was used above the reservation is owed by those who come later", "[scenario-108]") {
  const RateLimit limit{{.tokens_per_minute = 1200}};
  RateReservation first{limit, tokens(100, 200), start};
  CHECK(tokens_left(limit) == 900);
  first.settle({.input_tokens = 400, .output_tokens = 600}, start);
  CHECK(tokens_left(limit) == 200);
  const RateReservation next{limit, tokens(100, 300), start};
  CHECK(next.turn() == start + 10s);  // 200 more, at 20 a second
}

TEST_CASE("debt is bounded by a burst") {
  const RateLimit limit{{.tokens_per_minute = 600, .max_wait = endless}};
  RateReservation first{limit, tokens(1, 1), start};
  first.settle({.input_tokens = 1'000'000'000, .output_tokens = 1'000'000'000}, start);
  CHECK(tokens_left(limit) == -600);
  CHECK(RateReservation{limit, tokens(0, 600), start}.turn() == start + 2min);
  RateReservation nothing{limit, tokens(0, 0), start};
  CHECK(nothing.turn() == start + 1min);
}

TEST_CASE("a reservation is settled once", "[scenario-109]") {
  const RateLimit limit{{.tokens_per_minute = 1000}};
  {
    RateReservation reservation{limit, tokens(100, 400), start};
    reservation.settle({.input_tokens = 100, .output_tokens = 100}, start);
    CHECK(tokens_left(limit) == 800);
    reservation.settle({.input_tokens = 0, .output_tokens = 0}, start);
    CHECK(tokens_left(limit) == 800);
  }
  CHECK(tokens_left(limit) == 800);
  CHECK(limit.snapshot(start).tokens->charged == 200);
  CHECK(limit.snapshot(start).tokens->reserved == 0);

  SECTION("one that never had its turn has nothing to settle") {
    RateReservation all{limit, tokens(0, 800), start};
    RateReservation waiting{limit, tokens(0, 100), start};
    waiting.settle({.input_tokens = 500}, start);
    CHECK(waiting.stage() == Stage::waiting);
    CHECK(tokens_left(limit) == 0);
  }
}

TEST_CASE("an estimate above the burst waits for a full bucket, a certain need above it is refused for good",
          "[scenario-110]") {
  const RateLimit limit{{.tokens_per_minute = 6000, .max_wait = endless}};
  CHECK(passes(limit, start, tokens(1000, 0)));
  RateReservation estimated{limit, tokens(1'000'000, 10), start};
  REQUIRE(estimated.stage() == Stage::waiting);
  CHECK(estimated.turn() == start + 10s);
  CHECK(estimated.look(start + 10s) == Stage::held);
  CHECK(tokens_left(limit, start + 10s) == 0);
  const RateReservation certain{limit, tokens(10, 6001), start};
  REQUIRE(certain.stage() == Stage::refused);
  CHECK_FALSE(certain.refusal().turn);
  CHECK(certain.refusal().dimension == LimitDimension::tokens);
  CHECK(certain.refusal().needed == 6001);
  CHECK(certain.refusal().burst == 6000);
}

TEST_CASE("without an output limit the reservation is what was written lately", "[scenario-110]") {
  const RateLimit limit{{.output_tokens_per_minute = 100'000}};
  {
    const RateReservation first{limit, {}, start};
    CHECK(limit.snapshot(start).output_tokens->reserved == 1024);
  }
  for (std::int64_t i = 1; i <= 64; ++i) {
    RateReservation reservation{limit, {}, start};
    reservation.settle({.output_tokens = i * 10}, start);
  }
  const RateReservation next{limit, {}, start};
  CHECK(next.expected_output() == 610);  // of 10, 20, ... 640, five in a hundred are above it
}

TEST_CASE("what a success does not report keeps its reservation") {
  const RateLimit limit{{.tokens_per_minute = 1000, .input_tokens_per_minute = 1000, .output_tokens_per_minute = 1000}};
  RateReservation silent{limit, tokens(100, 200), start};
  silent.settle({}, start);
  CHECK(tokens_left(limit) == 700);
  RateReservation half{limit, tokens(100, 200), start};
  half.settle({.output_tokens = 50}, start);
  CHECK(tokens_left(limit) == 550);
  CHECK(limit.snapshot(start).input_tokens->available == 800);
  CHECK(limit.snapshot(start).output_tokens->available == 750);
}

TEST_CASE("after a 429 the dimension that it names is closed until the hint", "[scenario-114]") {
  const RateLimit limit{{.requests_per_minute = 60, .tokens_per_minute = 6000, .max_wait = endless}};
  RateLimitStatus status;
  RateOutcome outcome{
      .input_tokens = 0, .output_tokens = 0, .reported = &status, .throttled = true, .retry_after = 20s};

  SECTION("the tokens, with enough for that send when the hint is over") {
    status.requests.remaining = 59;
    status.tokens.remaining = 0;
    RateReservation refused{limit, tokens(1000, 2000), start};
    refused.settle(outcome, start);
    CHECK(requests_left(limit) == 9);
    CHECK(tokens_left(limit) == 0);
    CHECK(tokens_left(limit, start + 19s) == 0);
    CHECK(tokens_left(limit, start + 20s) == 3000);
    RateReservation next{limit, tokens(1000, 2000), start + 1s};
    CHECK(next.turn() == start + 20s);
  }
  SECTION("the requests, when it names nothing") {
    outcome.reported = nullptr;
    RateReservation refused{limit, tokens(1000, 2000), start};
    refused.settle(outcome, start);
    CHECK(requests_left(limit) == 0);
    CHECK(tokens_left(limit) == 6000);
    RateReservation next{limit, tokens(1000, 2000), start + 1s};
    RateReservation after{limit, tokens(1000, 2000), start + 1s};
    CHECK(next.turn() == start + 20s);
    CHECK(after.turn() == start + 21s);
  }
  SECTION("without a hint it is emptied") {
    outcome.reported = nullptr;
    outcome.retry_after.reset();
    RateReservation refused{limit, tokens(1, 1), start};
    refused.settle(outcome, start);
    CHECK(requests_left(limit) == 0);
    CHECK(RateReservation{limit, tokens(1, 1), start}.turn() == start + 1s);
  }
  SECTION("a shorter hint does not shorten a longer one") {
    outcome.reported = nullptr;
    RateReservation one{limit, tokens(1, 1), start};
    RateReservation other{limit, tokens(1, 1), start};
    one.settle(outcome, start);
    outcome.retry_after = 1s;
    other.settle(outcome, start);
    CHECK(RateReservation{limit, tokens(1, 1), start}.turn() == start + 20s);
  }
  SECTION("whoever waits is not let through by what the refused send gives back") {
    outcome.reported = nullptr;
    RateReservation refused{limit, tokens(0, 6000), start};
    RateReservation waiting{limit, tokens(0, 100), start};
    refused.settle(outcome, start);
    CHECK(waiting.look(start) == Stage::waiting);
    CHECK(waiting.turn() == start + 20s);
  }
}

TEST_CASE("what the provider says is left lowers what is there and never raises it", "[scenario-115]") {
  const RateLimit limit{{.requests_per_minute = 60, .tokens_per_minute = 6000, .input_tokens_per_minute = 6000}};
  RateLimitStatus status;
  RateReservation first{limit, tokens(0, 0), start};
  SECTION("lower") {
    status.requests.remaining = 3;
    status.tokens.remaining = 500;
    first.settle({.reported = &status}, start);
    CHECK(requests_left(limit) == 3);
    CHECK(tokens_left(limit) == 500);
    CHECK(limit.snapshot(start).input_tokens->available == 500);  // input is part of both together
    CHECK(requests_left(limit, start + 1s) == 4);
  }
  SECTION("higher") {
    status.requests.remaining = 1000;
    status.tokens.remaining = 1'000'000;
    first.settle({.reported = &status}, start);
    CHECK(requests_left(limit) == 9);
    CHECK(tokens_left(limit) == 6000);
  }
  SECTION("nonsense") {
    status.requests.remaining = std::numeric_limits<std::int64_t>::min();
    status.tokens.remaining = std::numeric_limits<std::int64_t>::max();
    status.input_tokens.remaining = std::numeric_limits<std::int64_t>::max();
    status.output_tokens.remaining = std::numeric_limits<std::int64_t>::max();
    first.settle({.reported = &status}, start);
    CHECK(requests_left(limit) == 0);
    CHECK(tokens_left(limit) == 6000);
  }
}

TEST_CASE("of 64 threads exactly as many are admitted as there is room for", "[scenario-116]") {
  for (int round = 0; round < 20; ++round) {
    const RateLimit limit{{.requests_per_minute = 60, .tokens_per_minute = 1300, .burst = 40, .max_wait = 0s}};
    std::vector<std::unique_ptr<RateReservation>> reservations(64);
    std::atomic<bool> go{false};
    {
      std::vector<std::jthread> threads;
      for (auto& reservation : reservations) {
        threads.emplace_back([&] {
          go.wait(false);
          reservation = std::make_unique<RateReservation>(limit, tokens(20, 30), start);
        });
      }
      go = true;
      go.notify_all();
    }
    int held = 0;
    for (const auto& reservation : reservations) held += reservation->stage() == Stage::held ? 1 : 0;
    REQUIRE(held == 26);
    REQUIRE(tokens_left(limit) == 0);
    REQUIRE(requests_left(limit) == 14);
    reservations.clear();
    REQUIRE(tokens_left(limit) == 1300);
  }
}

TEST_CASE("threads that reserve, settle, leave and change limits leave it whole", "[scenario-116]") {
  const RateLimit limit{{.requests_per_minute = 60'000, .tokens_per_minute = 1'000'000, .burst = 100}};
  std::atomic<std::int64_t> clock{0};
  {
    std::vector<std::jthread> threads;
    for (unsigned seed = 0; seed < 8; ++seed) {
      threads.emplace_back([&, seed] {
        std::mt19937 random{seed};
        for (int i = 0; i < 2000; ++i) {
          const TimePoint now = start + Duration{clock.fetch_add(100'000)};
          RateReservation reservation{limit, tokens(random() % 1000, random() % 1000), now};
          if (random() % 3 == 0) continue;
          for (int look = 0; look < 5 && reservation.look(now + look * 1ms) == Stage::waiting; ++look) {
          }
          reservation.settle({.output_tokens = random() % 2000}, now);
          if (random() % 100 == 0) {
            limit.change({.requests_per_minute = 60'000, .tokens_per_minute = 500'000 + random() % 1000}, now);
          }
        }
      });
    }
  }
  const RateLimitSnapshot end = limit.snapshot(start + 1h);
  CHECK(end.waiting == 0);
  CHECK(end.requests->reserved == 0);
  CHECK(end.tokens->reserved == 0);
  CHECK(end.tokens->available == end.tokens->burst);
}

TEST_CASE("a clock that stands still or goes back brings nothing", "[scenario-117]") {
  const RateLimit limit{{.requests_per_minute = 60, .burst = 10, .max_wait = 0s}};
  use_up(limit);
  for (int i = 0; i < 1000; ++i) CHECK_FALSE(passes(limit, start));
  CHECK_FALSE(passes(limit, start - 1h));
  CHECK_FALSE(passes(limit, start + 999ms));
  CHECK(passes(limit, start + 1s));
  CHECK_FALSE(passes(limit, start + 999ms));
  CHECK_FALSE(passes(limit, start + 1s));
}

TEST_CASE("nothing overflows, however long it runs and however large the numbers are", "[scenario-118][scenario-212]") {
  constexpr std::int64_t huge = std::numeric_limits<std::int64_t>::max();
  SECTION("a billion seconds") {
    const RateLimit limit{{.requests_per_minute = 60, .burst = 10}};
    const TimePoint late = start + std::chrono::seconds{1'000'000'000};
    use_up(limit);
    use_up(limit, late);
    CHECK(RateReservation{limit, {}, late}.turn() == late + 1s);
  }
  SECTION("the ends of time") {
    const RateLimit limit{{.requests_per_minute = 60, .burst = 10, .max_wait = endless}};
    use_up(limit, TimePoint::min());
    RateReservation last{limit, {}, TimePoint::min()};
    CHECK(last.turn() == TimePoint::min() + 1s);
    CHECK(last.look(TimePoint::max()) == Stage::held);
    CHECK(requests_left(limit, TimePoint::max()) == 10);
  }
  SECTION("the largest limits and the smallest") {
    const RateLimit wide{{.requests_per_minute = 1'000'000'000'000, .tokens_per_minute = 1'000'000'000'000,
                          .burst = 1'000'000'000}};
    CHECK(passes(wide, start, tokens(huge, 1'000'000'000'000)));
    CHECK(tokens_left(wide) == 0);
    CHECK(tokens_left(wide, start + 30s) == 500'000'000'000);
    const RateLimit narrow{{.requests_per_minute = 1, .tokens_per_minute = 1, .burst = 1'000'000'000}};
    CHECK(passes(narrow, start, tokens(huge, 0)));
    CHECK_FALSE(RateReservation{narrow, tokens(0, huge), start}.refusal().turn);
    CHECK(requests_left(narrow) > 0);
  }
  SECTION("an endless hint") {
    const RateLimit limit{{.requests_per_minute = 60, .max_wait = endless}};
    RateReservation refused{limit, {}, start};
    refused.settle({.throttled = true, .retry_after = endless}, start);
    CHECK(RateReservation{limit, {.deadline = start + 1h}, start}.stage() == Stage::refused);
  }
  SECTION("amounts that cannot be") {
    const RateLimit limit{{.tokens_per_minute = 1000}};
    RateReservation reservation{limit, {.input_tokens = -5, .max_output_tokens = -5}, start};
    constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();
    reservation.settle({.requests = -5, .input_tokens = least, .output_tokens = huge}, start);
    CHECK(tokens_left(limit) == -1000);
  }
}

TEST_CASE("when limits change what has flowed in at the old rate stays", "[scenario-119]") {
  const RateLimit limit{{.requests_per_minute = 60, .burst = 10, .max_wait = endless}};
  use_up(limit);
  SECTION("faster") {
    limit.change({.requests_per_minute = 600, .burst = 100}, start + 4s);
    CHECK(requests_left(limit, start + 4s) == 4);
    CHECK(requests_left(limit, start + 5s) == 14);
  }
  SECTION("smaller: up to the new burst") {
    limit.change({.requests_per_minute = 30, .burst = 2}, start + 4s);
    CHECK(requests_left(limit, start + 4s) == 2);
    use_up(limit, start + 4s);
    CHECK(RateReservation{limit, {}, start + 4s}.turn() == start + 6s);
  }
  SECTION("those who wait are looked at anew") {
    RateReservation waiting{limit, {}, start};
    RateReservation behind{limit, {}, start};
    limit.change({.requests_per_minute = 6000, .burst = 10}, start);
    CHECK(waiting.look(start + 10ms) == Stage::held);
    CHECK(behind.look(start + 10ms) == Stage::waiting);
    CHECK(behind.turn() == start + 20ms);
  }
  SECTION("those whose turn would come too late now are refused when they look") {
    RateReservation waiting{limit, {.deadline = start + 5s}, start};
    limit.change({.requests_per_minute = 6, .burst = 10}, start);
    CHECK(waiting.look(start + 1s) == Stage::refused);
    CHECK(waiting.refusal().turn == start + 10s);
    CHECK(limit.snapshot(start + 1s).waiting == 0);
  }
  SECTION("a limit that was not there begins full") {
    limit.change({.requests_per_minute = 60, .tokens_per_minute = 500}, start);
    CHECK(tokens_left(limit) == 500);
    CHECK(limit.options().tokens_per_minute == 500);
  }
  SECTION("what the provider has closed stays closed until its hint") {
    const RateLimit closed{{.requests_per_minute = 60, .burst = 10}};
    RateReservation refused{closed, {}, start};
    refused.settle({.throttled = true, .retry_after = 30s}, start);
    closed.change({.requests_per_minute = 600, .burst = 100}, start + 10s);
    CHECK(requests_left(closed, start + 29s) == 0);
    CHECK(RateReservation{closed, {}, start + 10s}.turn() == start + 30s);
  }
  SECTION("debt stays debt") {
    const RateLimit tokens_only{{.tokens_per_minute = 1000}};
    RateReservation first{tokens_only, tokens(0, 0), start};
    first.settle({.input_tokens = 1300, .output_tokens = 0}, start);
    tokens_only.change({.tokens_per_minute = 6000}, start);
    CHECK(tokens_left(tokens_only) == -300);
  }
  CHECK_THROWS_AS(limit.change({}, start), std::invalid_argument);
}

TEST_CASE("whatever happens, what is there and what was charged add up", "[scenario-120]") {
  std::mt19937_64 random{11};
  constexpr std::int64_t burst = 6000;
  for (int round = 0; round < 200; ++round) {
    const RateLimit limit{{.tokens_per_minute = burst, .max_wait = endless}};
    std::vector<std::unique_ptr<RateReservation>> reservations;
    std::int64_t charged = 0;
    TimePoint now = start;
    const bool frozen = round % 2 == 0;
    for (int step = 0; step < 200; ++step) {
      if (!frozen) now += Duration{random() % 1'000'000'000};
      if (random() % 2 == 0 || reservations.empty()) {
        reservations.push_back(std::make_unique<RateReservation>(limit, tokens(random() % 300, random() % 300), now));
      } else {
        const std::size_t which = random() % reservations.size();
        RateReservation& reservation = *reservations[which];
        reservation.look(now);
        if (random() % 2 == 0 && reservation.stage() == Stage::held) {
          const std::int64_t input = random() % 300;
          const std::int64_t output = random() % 300;
          reservation.settle({.input_tokens = input, .output_tokens = output}, now);
          charged += input + output;
        }
        reservations.erase(reservations.begin() + static_cast<std::ptrdiff_t>(which));
      }
      const auto snapshot = limit.snapshot(now).tokens.value();
      REQUIRE(snapshot.available <= burst);
      REQUIRE(snapshot.available >= -burst);
      REQUIRE(snapshot.charged == charged);
      if (frozen) REQUIRE(snapshot.available == burst - snapshot.reserved - snapshot.charged);
    }
    reservations.clear();
    REQUIRE(limit.snapshot(now).tokens->reserved == 0);
    REQUIRE(limit.snapshot(now).waiting == 0);
  }
}

TEST_CASE("limits that make no sense are refused at construction, by name", "[scenario-100]") {
  using Catch::Matchers::ContainsSubstring;
  const auto problem = [](const RateLimitOptions& options) { return problem_with(options); };
  CHECK_THAT(problem({}), ContainsSubstring("no limit is set") && ContainsSubstring("requests_per_minute"));
  CHECK_THAT(problem({.requests_per_minute = 0}), ContainsSubstring("requests_per_minute is 0"));
  CHECK_THAT(problem({.tokens_per_minute = -1}), ContainsSubstring("tokens_per_minute is -1"));
  CHECK_THAT(problem({.output_tokens_per_minute = 2'000'000'000'000}), ContainsSubstring("output_tokens_per_minute"));
  CHECK_THAT(problem({.tokens_per_minute = 1, .burst = 1}), ContainsSubstring("burst"));
  CHECK_THAT(problem({.requests_per_minute = 1, .burst = 0}), ContainsSubstring("burst is 0"));
  CHECK_THAT(problem({.requests_per_minute = 1, .max_wait = -1s}), ContainsSubstring("max_wait"));
  CHECK_THAT(problem({.requests_per_minute = 1, .failover_wait = -1s}), ContainsSubstring("failover_wait"));
  CHECK_THAT(problem({.requests_per_minute = 1, .safety_factor = 0}), ContainsSubstring("safety_factor"));
  CHECK_THAT(problem({.requests_per_minute = 1, .safety_factor = 1.01}), ContainsSubstring("safety_factor"));
  CHECK(problem({.requests_per_minute = 1}).empty());
  CHECK_THROWS_AS(RateLimit{RateLimitOptions{}}, std::invalid_argument);
}

}  // namespace rate_limit_test
