#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include "breaker_lab.hpp"

namespace circuit_breaker_model_test {

using namespace backstop;
using namespace std::chrono_literals;

namespace {

/// The rules of a breaker, written down as plainly as possible: no words, no locks, every outcome kept.
struct Model {
  struct Permit {
    std::int64_t born = 0;  ///< the era of its birth, or of its verdict at first content
    bool probe = false;
    bool judged = false;
  };
  struct Entry {
    TimePoint at;
    bool failed;
  };

  static constexpr Duration width = 6s;

  BreakerState state = BreakerState::closed;
  std::int64_t era = 0;  ///< a permit of another era is void
  std::int64_t recovery = 0;
  bool probe_out = false;
  TimePoint lease_until{};
  TimePoint open_until{};
  int in_a_row = 0;
  int successes = 0;
  int doublings = 0;
  bool closed_since_known = false;
  TimePoint closed_since{};
  std::map<std::int64_t, std::vector<Entry>> buckets;

  std::pair<int, int> calls_and_failures(TimePoint now) const {
    int calls = 0;
    int failures = 0;
    for (const auto& [index, entries] : buckets) {
      if (now - entries.back().at >= 60s) continue;
      for (const Entry& entry : entries) {
        ++calls;
        failures += entry.failed ? 1 : 0;
      }
    }
    return {calls, failures};
  }

  bool admits(TimePoint now, bool forced) const {
    switch (state) {
      case BreakerState::closed:
      case BreakerState::disabled:
      case BreakerState::metrics_only:
        return true;
      case BreakerState::isolated:
        return false;
      case BreakerState::open:
        if (!forced && now < open_until) return false;
        break;
      case BreakerState::half_open:
        break;
    }
    return !probe_out || now >= lease_until;
  }

  Permit acquire(TimePoint now) {
    if (state != BreakerState::open && state != BreakerState::half_open) return {era, false, false};
    if (state == BreakerState::open && now >= open_until) {
      enter(BreakerState::half_open);
      recovery = era;
      successes = 0;
    } else if (probe_out) {
      ++era;
    }
    probe_out = true;
    lease_until = now + 120s;
    return {era, true, false};
  }

  void cancel(const Permit& permit) {
    if (permit.probe && !permit.judged && permit.born == era) probe_out = false;
  }

  void first_content(Permit& permit, TimePoint now) {
    if (!permit.probe || permit.judged) return;
    permit.judged = true;
    if (permit.born != era) {
      permit.born = -1;
      return;
    }
    probe_succeeded(now);
    permit.born = era;
  }

  void end(const Permit& permit, TimePoint now, bool failed) {
    if (permit.judged) {
      const bool news = failed && permit.born >= recovery;
      if (news && state == BreakerState::closed) count(now, true);
      if (news && state == BreakerState::half_open) open(now);
      return;
    }
    if (permit.born != era) return;
    if (permit.probe && failed && state == BreakerState::half_open) {
      open(now);
    } else if (permit.probe && failed) {
      probe_out = false;
    } else if (permit.probe) {
      probe_succeeded(now);
    } else if (state == BreakerState::closed || state == BreakerState::metrics_only) {
      count(now, failed);
    }
  }

  void by_hand(BreakerState to, bool as_new) {
    enter(to);
    recovery = era;
    forget();
    closed_since_known = false;
    if (as_new) doublings = 0;
  }

 private:
  void enter(BreakerState to) {
    state = to;
    ++era;
    probe_out = false;
  }
  void forget() {
    buckets.clear();
    in_a_row = 0;
    successes = 0;
  }
  void probe_succeeded(TimePoint now) {
    probe_out = false;
    if (state == BreakerState::open) {
      enter(BreakerState::half_open);
      recovery = era;
      successes = 1;
    } else if (++successes == 2) {
      enter(BreakerState::closed);
      forget();
      closed_since = now;
      closed_since_known = true;
    }
  }
  void count(TimePoint now, bool failed) {
    buckets[now.time_since_epoch() / width].push_back({now, failed});
    while (now - buckets.begin()->second.back().at >= 120s) buckets.erase(buckets.begin());
    in_a_row = failed ? in_a_row + 1 : 0;
    if (!closed_since_known) closed_since = now;
    closed_since_known = true;
    if (state != BreakerState::closed) return;
    const auto [calls, failures] = calls_and_failures(now);
    if (in_a_row >= 5 || (calls >= 10 && 2 * failures >= calls)) open(now);
  }
  void open(TimePoint now) {
    if (state == BreakerState::closed) {
      for (Duration healthy = now - closed_since; healthy >= 60s && doublings > 0; healthy -= 60s) --doublings;
    }
    Duration span = 30s;
    for (int i = 0; i < doublings; ++i) span *= 2;
    if (span < 300s) ++doublings;
    enter(BreakerState::open);
    recovery = era;
    forget();
    open_until = now + std::min<Duration>(span, 300s);
  }
};

struct UnderWay {
  BreakerPermit permit;
  Model::Permit model;
};

}  // namespace

TEST_CASE("100,000 random operations agree with the rules written down plainly", "[scenario-96]") {
  std::mt19937_64 random{20260101};
  const auto below = [&](int bound) { return static_cast<int>(random() % static_cast<std::uint64_t>(bound)); };

  BreakerLab lab;
  Model model;
  std::vector<UnderWay> under_way;
  std::map<BreakerState, int> visits;
  int error_percent = 0;

  for (int step = 0; step < 100'000; ++step) {
    if (step % 200 == 0) error_percent = below(5) * 25;  // good and bad times alternate
    lab.pass(below(4) == 0 ? Duration{1s} * below(20) : Duration{1ms} * below(2000));

    const int what = below(1000);
    if (what < 500 && under_way.size() < 50) {
      const bool forced = below(50) == 0;
      const bool expected = model.admits(lab.now, forced);
      BreakerPermit permit = lab.breaker.try_acquire(lab.now, forced);
      REQUIRE(static_cast<bool>(permit) == expected);
      if (permit) {
        under_way.push_back({std::move(permit), model.acquire(lab.now)});
        REQUIRE(under_way.back().permit.is_probe() == under_way.back().model.probe);
      }
    } else if (what < 997 && !under_way.empty()) {
      const auto chosen = under_way.begin() + below(static_cast<int>(under_way.size()));
      const int how = below(10);
      if (how < 2) {
        chosen->permit.first_content(lab.now);
        model.first_content(chosen->model, lab.now);
      } else {
        if (how == 2) {
          chosen->permit.give_back();
          model.cancel(chosen->model);
        } else if (how == 3) {
          lab.end(chosen->permit, BreakerVerdict::ignored);
          model.cancel(chosen->model);
        } else {
          const bool failed = below(100) < error_percent;
          lab.end(chosen->permit, failed ? BreakerVerdict::failure : BreakerVerdict::success);
          model.end(chosen->model, lab.now, failed);
        }
        under_way.erase(chosen);
      }
    } else if (what >= 997) {
      switch (below(5)) {
        case 0:
          lab.breaker.isolate();
          model.by_hand(BreakerState::isolated, false);
          break;
        case 1:
          lab.breaker.metrics_only();
          model.by_hand(BreakerState::metrics_only, false);
          break;
        case 2:
          lab.breaker.disable();
          model.by_hand(BreakerState::disabled, false);
          break;
        case 3:
          lab.breaker.force_close();
          model.by_hand(BreakerState::closed, false);
          break;
        default:
          lab.breaker.reset();
          model.by_hand(BreakerState::closed, true);
          break;
      }
    }
    if (step % 100 == 99 && (model.state == BreakerState::isolated || model.state == BreakerState::disabled)) {
      lab.breaker.reset();
      model.by_hand(BreakerState::closed, true);
    }

    ++visits[model.state];
    const BreakerSnapshot snapshot = lab.snapshot();
    const auto [calls, failures] = model.calls_and_failures(lab.now);
    REQUIRE(snapshot.state == model.state);
    REQUIRE(static_cast<std::int64_t>(snapshot.generation) == model.era);
    REQUIRE(snapshot.probe_out == model.probe_out);
    REQUIRE(snapshot.calls == calls);
    REQUIRE(snapshot.failures == failures);
    REQUIRE(snapshot.probe_successes == model.successes);
    if (model.state == BreakerState::open) REQUIRE(snapshot.open_until == model.open_until);
    REQUIRE(lab.refused_for().has_value() != model.admits(lab.now, false));
  }
  for (const BreakerState state : {BreakerState::closed, BreakerState::open, BreakerState::half_open,
                                   BreakerState::isolated, BreakerState::disabled, BreakerState::metrics_only}) {
    INFO(to_string(state));
    CHECK(visits[state] > 500);
  }
}

}  // namespace circuit_breaker_model_test
