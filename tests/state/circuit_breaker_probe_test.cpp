#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "breaker_lab.hpp"

namespace circuit_breaker_probe_test {

using namespace backstop;
using namespace std::chrono_literals;

namespace {

/// Opens the breaker and lets the open time pass.
void make_due(BreakerLab& lab) {
  lab.fail(5);
  lab.now = lab.snapshot().open_until;
}

}  // namespace

TEST_CASE("of a hundred threads one gets the probe", "[scenario-72]") {
  BreakerLab lab;
  make_due(lab);
  std::atomic<int> admitted{0};
  std::atomic<bool> go{false};
  std::vector<BreakerPermit> permits(100);
  {
    std::vector<std::jthread> threads;
    for (BreakerPermit& permit : permits) {
      threads.emplace_back([&] {
        go.wait(false);
        permit = lab.breaker.try_acquire(lab.now);
        if (permit) ++admitted;
      });
    }
    go = true;
    go.notify_all();
  }
  CHECK(admitted == 1);
}

TEST_CASE("each failed probe doubles the open time, up to the longest", "[scenario-73]") {
  BreakerLab lab;
  lab.fail(5);
  for (const Duration expected : {30s, 60s, 120s, 240s, 300s, 300s}) {
    CHECK(lab.refused_for() == expected);
    lab.pass(expected);
    lab.fail();
    CHECK(lab.state() == BreakerState::open);
  }
}

TEST_CASE("two successful probes close it, with nothing counted", "[scenario-74]") {
  BreakerLab lab;
  make_due(lab);
  lab.succeed();
  CHECK(lab.state() == BreakerState::half_open);
  CHECK(lab.snapshot().probe_successes == 1);
  lab.succeed();
  CHECK(lab.state() == BreakerState::closed);
  CHECK(lab.snapshot().calls == 0);
  CHECK(lab.snapshot().consecutive_failures == 0);
  lab.fail(4);
  CHECK(lab.state() == BreakerState::closed);
}

TEST_CASE("a probe that is cancelled returns its permit", "[scenario-75]") {
  BreakerLab lab;
  make_due(lab);
  { const BreakerPermit cancelled = lab.acquire(); }
  CHECK(lab.state() == BreakerState::half_open);
  CHECK_FALSE(lab.snapshot().probe_out);
  CHECK(lab.snapshot().probe_successes == 0);
  CHECK(lab.admits());
}

TEST_CASE("a probe whose outcome is ignored returns its permit", "[scenario-76]") {
  BreakerLab lab;
  make_due(lab);
  lab.ignore();
  CHECK(lab.state() == BreakerState::half_open);
  CHECK_FALSE(lab.snapshot().probe_out);
  CHECK(lab.snapshot().probe_successes == 0);
}

TEST_CASE("a probe that never reports is void after its lease", "[scenario-77]") {
  BreakerLab lab;
  make_due(lab);
  BreakerPermit lost = lab.acquire();
  lab.pass(120s - 1ns);
  CHECK_FALSE(lab.admits());
  lab.pass(1ns);
  BreakerPermit second = lab.acquire();
  REQUIRE(second);
  SECTION("its late success changes nothing") {
    lost.first_content(lab.now);
    lab.end(lost, BreakerVerdict::success);
    CHECK(lab.snapshot().probe_successes == 0);
  }
  SECTION("nor does its late failure") { lab.end(lost, BreakerVerdict::failure); }
  SECTION("nor its end without an outcome") { lost.give_back(); }
  CHECK(lab.state() == BreakerState::half_open);
  CHECK(lab.snapshot().probe_out);
  CHECK_FALSE(lab.admits());
}

TEST_CASE("a call from before the opening says nothing to a half-open breaker", "[scenario-78][scenario-79]") {
  const BreakerVerdict verdict = GENERATE_COPY(BreakerVerdict::success, BreakerVerdict::failure);
  BreakerLab lab;
  BreakerPermit old = lab.acquire();
  make_due(lab);
  BreakerPermit probe = lab.acquire();
  const BreakerSnapshot before = lab.snapshot();
  lab.end(old, verdict);
  CHECK(lab.snapshot().generation == before.generation);
  CHECK(lab.snapshot().probe_out);
  CHECK(lab.snapshot().probe_successes == 0);
  lab.end(probe, BreakerVerdict::success);
  CHECK(lab.snapshot().probe_successes == 1);
}

TEST_CASE("a probe's verdict falls at its first content", "[scenario-82]") {
  BreakerLab lab;
  make_due(lab);
  BreakerPermit first = lab.acquire();
  lab.pass(2s);
  first.first_content(lab.now);
  BreakerPermit second = lab.acquire();
  REQUIRE(second.is_probe());
  lab.pass(2s);
  second.first_content(lab.now);
  CHECK(lab.state() == BreakerState::closed);
  lab.pass(4min);

  SECTION("their good ends are not counted a second time") {
    lab.end(first, BreakerVerdict::success);
    lab.end(second, BreakerVerdict::success);
    CHECK(lab.snapshot().calls == 0);
  }
  SECTION("a later break counts as a failure of the closed breaker") {
    lab.end(first, BreakerVerdict::failure);
    lab.end(second, BreakerVerdict::failure);
    CHECK(lab.snapshot().failures == 2);
    CHECK(lab.state() == BreakerState::closed);
  }
  SECTION("but not once the breaker has opened again") {
    make_due(lab);
    const BreakerPermit probe = lab.acquire();
    lab.end(first, BreakerVerdict::failure);
    CHECK(lab.state() == BreakerState::half_open);
  }
  SECTION("nor after a change by hand") {
    lab.breaker.isolate();
    lab.breaker.force_close();
    lab.end(first, BreakerVerdict::failure);
    CHECK(lab.snapshot().failures == 0);
  }
}

TEST_CASE("a probe that breaks after its first content reopens a breaker that is still half-open", "[scenario-82]") {
  BreakerLab lab;
  make_due(lab);
  BreakerPermit first = lab.acquire();
  first.first_content(lab.now);
  BreakerPermit second = lab.acquire();
  lab.end(first, BreakerVerdict::failure);
  CHECK(lab.state() == BreakerState::open);
  lab.end(second, BreakerVerdict::success);  // of an older generation by now
  CHECK(lab.state() == BreakerState::open);
}

TEST_CASE("a minute of being closed takes one doubling back", "[scenario-92]") {
  BreakerLab lab;
  lab.fail(5);
  for (int i = 0; i < 2; ++i) {
    lab.now = lab.snapshot().open_until;
    lab.fail();
  }
  lab.now = lab.snapshot().open_until;
  lab.succeed(2);
  REQUIRE(lab.state() == BreakerState::closed);
  CHECK(lab.snapshot().doublings == 3);
  const auto [healthy, doublings, open_time] = GENERATE(table<Duration, int, Duration>(
      {{0s, 3, 240s}, {59s, 3, 240s}, {60s, 2, 120s}, {180s, 0, 30s}, {std::chrono::hours{24}, 0, 30s}}));
  lab.pass(healthy);
  CHECK(lab.snapshot().doublings == doublings);
  lab.fail(5);
  CHECK(lab.refused_for() == open_time);
}

TEST_CASE("a forced probe passes an open breaker, one at a time", "[scenario-153]") {
  BreakerLab lab;
  lab.fail(5);
  const TimePoint open_until = lab.snapshot().open_until;
  BreakerPermit probe = lab.breaker.try_acquire(lab.now, true);
  REQUIRE(probe.is_probe());
  CHECK_FALSE(lab.breaker.try_acquire(lab.now, true));
  CHECK_FALSE(lab.admits());

  SECTION("its failure leaves the open time as it was") {
    lab.end(probe, BreakerVerdict::failure);
    CHECK(lab.state() == BreakerState::open);
    CHECK(lab.snapshot().open_until == open_until);
    CHECK(lab.breaker.try_acquire(lab.now, true));
  }
  SECTION("its success is the first of two") {
    probe.first_content(lab.now);
    CHECK(lab.state() == BreakerState::half_open);
    lab.succeed();
    CHECK(lab.state() == BreakerState::closed);
  }
  SECTION("while it is out, the end of the open time lets no second one through") {
    lab.now = open_until;
    CHECK_FALSE(lab.admits());
    probe.give_back();
    CHECK(lab.admits());
  }
  SECTION("isolation is stronger") {
    probe.give_back();
    lab.breaker.isolate();
    CHECK_FALSE(lab.breaker.try_acquire(lab.now, true));
  }
}

TEST_CASE("a permit is given back exactly once", "[scenario-95]") {
  BreakerLab lab;
  make_due(lab);
  SECTION("moved") {
    BreakerPermit first = lab.acquire();
    BreakerPermit second{std::move(first)};
    CHECK_FALSE(first);  // NOLINT(bugprone-use-after-move): what is left is an empty permit
    first.give_back();
    CHECK(lab.snapshot().probe_out);
    BreakerPermit third;
    third = std::move(second);
    CHECK(lab.snapshot().probe_out);
    third = BreakerPermit{};
    CHECK_FALSE(lab.snapshot().probe_out);
  }
  SECTION("reported twice") {
    BreakerPermit probe = lab.acquire();
    lab.end(probe, BreakerVerdict::success);
    lab.end(probe, BreakerVerdict::success);
    CHECK(lab.state() == BreakerState::half_open);
    CHECK(lab.snapshot().probe_successes == 1);
    BreakerPermit next = lab.acquire();
    probe.give_back();
    CHECK(lab.snapshot().probe_out);
  }
  SECTION("during an exception") {
    try {
      const BreakerPermit probe = lab.acquire();
      throw std::runtime_error{"the call failed to be a call"};
    } catch (const std::runtime_error&) {
    }
    CHECK_FALSE(lab.snapshot().probe_out);
  }
}

}  // namespace circuit_breaker_probe_test
