#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "breaker_lab.hpp"

namespace circuit_breaker_exploration_test {

using namespace backstop;
using namespace std::chrono_literals;

// Every order in which a few callers can use one breaker, to a certain depth: each state that is reached is reached by
// a breaker of its own, which is then shown to close again. States that look alike are looked into once.
namespace {

constexpr std::size_t caller_count = 3;
constexpr std::size_t depth = 16;  // some 8,000 states
constexpr Duration step = 1s;

enum class What : std::uint8_t { acquire, force, first_content, succeed, fail, cancel, tick };

struct Event {
  What what = What::tick;
  std::size_t caller = 0;
};

struct Caller {
  std::optional<BreakerPermit> permit;
  std::uint64_t generation = 0;
  TimePoint since{};
  bool probe = false;
  bool judged = false;
  bool timely = true;  ///< its verdict was
};

/// A breaker that opens and closes soon, and those who use it.
struct Scene {
  static CircuitBreakerOptions options() {
    CircuitBreakerOptions options;
    options.consecutive_failures = 2;
    options.min_calls = 1'000'000;  // the window's rate has tests of its own
    options.open_for = step;
    options.open_for_max = 2 * step;
    options.probe_lease = 2 * step;
    options.forgive_after = Duration::max();
    return options;
  }

  [[nodiscard]] bool possible(const Event& event) const {
    const Caller& caller = callers[event.caller];
    switch (event.what) {
      case What::tick: return event.caller == 0;
      case What::acquire:
      case What::force: return !caller.permit;
      case What::first_content: return caller.permit && caller.probe && !caller.judged;
      case What::succeed:
      case What::fail:
      case What::cancel: return caller.permit.has_value();
    }
    return false;
  }

  void happen(const Event& event) {
    Caller& caller = callers[event.caller];
    switch (event.what) {
      case What::tick: return lab.pass(step);
      case What::acquire:
      case What::force: return acquire(caller, event.what == What::force);
      case What::first_content: return judge(caller);
      case What::succeed: lab.end(*caller.permit, BreakerVerdict::success); break;
      case What::fail: lab.end(*caller.permit, BreakerVerdict::failure); break;
      case What::cancel: break;
    }
    caller.permit.reset();
  }

  /// What tells this state from others, as far as the future depends on it.
  [[nodiscard]] std::string key() const {
    const BreakerSnapshot now = lab.snapshot();
    std::vector<std::string> holders;
    for (const Caller& caller : callers) {
      if (!caller.permit) {
        holders.emplace_back("-");
        continue;
      }
      holders.push_back(std::string{!caller.timely ? "late" : caller.judged ? "j" : caller.probe ? "p" : "c"} +
                        std::to_string(now.generation - caller.generation) + ":" +
                        std::to_string(std::min((lab.now - caller.since) / step, Duration::rep{3})));
    }
    std::sort(holders.begin(), holders.end());  // callers are alike
    std::string key = std::string{to_string(now.state)} + (now.probe_out ? "!" : " ") +
                      std::to_string(now.consecutive_failures) + std::to_string(now.probe_successes) +
                      std::to_string(now.doublings) + std::to_string(lab.refused_for().value_or(Duration::zero()) / step);
    for (const std::string& holder : holders) key += " " + holder;
    return key;
  }

  /// Of the permits that callers hold, how many are a probe's whose verdict is still awaited.
  [[nodiscard]] int awaited_probes() const {
    const std::uint64_t generation = lab.snapshot().generation;
    return static_cast<int>(std::count_if(callers.begin(), callers.end(), [&](const Caller& caller) {
      return caller.permit && caller.probe && !caller.judged && caller.generation == generation;
    }));
  }

  /// Whatever has happened and whoever still holds a permit: time and two good answers close the breaker.
  [[nodiscard]] bool closes() {
    lab.pass(4 * step);
    for (int i = 0; i < 2 && lab.state() != BreakerState::closed; ++i) {
      BreakerPermit probe = lab.acquire();
      if (!probe) return false;
      lab.end(probe, BreakerVerdict::success);
    }
    BreakerPermit call = lab.acquire();
    return lab.state() == BreakerState::closed && call && !call.is_probe();
  }

  BreakerLab lab{options()};
  std::array<Caller, caller_count> callers;

 private:
  void judge(Caller& caller) {
    const bool in_time = caller.generation == lab.snapshot().generation;
    caller.permit->first_content(lab.now);
    caller.judged = true;
    if (in_time) caller.generation = lab.snapshot().generation;  // the verdict may have begun a new one
    caller.timely = in_time;
  }
  void acquire(Caller& caller, bool forced) {
    BreakerPermit permit = lab.breaker.try_acquire(lab.now, forced);
    if (!permit) return;
    caller = Caller{std::nullopt, lab.snapshot().generation, lab.now, permit.is_probe()};
    caller.permit.emplace(std::move(permit));
  }
};

using Path = std::vector<Event>;

std::unique_ptr<Scene> played(const Path& path) {
  auto scene = std::make_unique<Scene>();
  for (const Event& event : path) scene->happen(event);
  return scene;
}

std::vector<Event> all_events() {
  std::vector<Event> events{{What::tick, 0}};
  for (const What what :
       {What::acquire, What::force, What::first_content, What::succeed, What::fail, What::cancel}) {
    for (std::size_t caller = 0; caller < caller_count; ++caller) events.push_back({what, caller});
  }
  return events;
}

}  // namespace

TEST_CASE("in whatever order callers use it, a breaker can close and no permit leaks", "[scenario-96]") {
  const std::vector<Event> events = all_events();
  std::map<std::string, std::size_t> seen{{Scene{}.key(), 0}};
  std::map<BreakerState, int> states;
  std::vector<Path> frontier{{}};
  bool all_close = true;
  bool one_probe = true;
  bool none_leaks = true;

  for (std::size_t length = 1; length <= depth && !frontier.empty(); ++length) {
    std::vector<Path> next;
    for (const Path& path : frontier) {
      for (const Event& event : events) {
        auto scene = played(path);
        if (!scene->possible(event)) continue;
        scene->happen(event);
        if (!seen.emplace(scene->key(), length).second) continue;
        ++states[scene->lab.state()];
        Path longer = path;
        longer.push_back(event);

        one_probe = one_probe && scene->awaited_probes() == (scene->lab.breaker.probe_out() ? 1 : 0);
        all_close = all_close && scene->closes();
        const auto again = played(longer);
        for (Caller& caller : again->callers) caller.permit.reset();
        none_leaks = none_leaks && !again->lab.breaker.probe_out() && again->closes();
        next.push_back(std::move(longer));
      }
    }
    frontier = std::move(next);
  }
  CHECK(all_close);
  CHECK(one_probe);
  CHECK(none_leaks);
  CHECK(seen.size() > 5'000);
  for (const BreakerState state : {BreakerState::closed, BreakerState::open, BreakerState::half_open}) {
    INFO(to_string(state));
    CHECK(states[state] > 200);
  }
}

}  // namespace circuit_breaker_exploration_test
