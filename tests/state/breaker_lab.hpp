#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backstop/observe/observer.hpp"
#include "backstop/state/circuit_breaker.hpp"

/// A breaker on a clock that the test sets, whose open times have no jitter unless asked for.
struct BreakerLab {
  using Duration = backstop::Duration;
  using TimePoint = backstop::TimePoint;

  explicit BreakerLab(backstop::CircuitBreakerOptions options = {}) : breaker{std::move(options)} {}

  backstop::BreakerPermit acquire() { return breaker.try_acquire(now); }
  bool admits() {
    const backstop::BreakerPermit permit = acquire();
    return static_cast<bool>(permit);
  }
  backstop::BreakerOutcome outcome(backstop::BreakerVerdict verdict) const {
    return {.verdict = verdict, .at = now, .jitter = jitter};
  }
  void end(backstop::BreakerPermit& permit, backstop::BreakerVerdict verdict) { permit.record(outcome(verdict)); }
  /// So many calls that each take no time.
  void calls(backstop::BreakerVerdict verdict, int count) {
    for (int i = 0; i < count; ++i) {
      backstop::BreakerPermit permit = acquire();
      end(permit, verdict);
    }
  }
  void fail(int count = 1) { calls(backstop::BreakerVerdict::failure, count); }
  void succeed(int count = 1) { calls(backstop::BreakerVerdict::success, count); }
  void ignore(int count = 1) { calls(backstop::BreakerVerdict::ignored, count); }
  void pass(Duration span) { now += span; }

  backstop::BreakerState state() const { return breaker.state(); }
  backstop::BreakerSnapshot snapshot() const { return breaker.snapshot(now); }
  /// How long calls are refused from now on.
  std::optional<Duration> refused_for() const {
    const std::optional<TimePoint> until = breaker.refuses_until(now);
    if (!until) return std::nullopt;
    return *until - now;
  }

  TimePoint now{std::chrono::seconds{1000}};
  double jitter = 0;
  backstop::CircuitBreaker breaker;
};

/// Keeps what it was told, as "closed>open: consecutive failures".
struct BreakerDiary final : backstop::Observer {
  void on_breaker(const backstop::BreakerEvent& event) noexcept override {
    lines.push_back(std::string{event.from}.append(">").append(event.to).append(": ").append(event.reason));
    targets.push_back(event.target.name());
  }

  std::vector<std::string> lines;
  std::vector<std::string> targets;
};
