#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/observe/metrics.hpp"
#include "support/fault_server.hpp"

namespace backstop::failover_bench {

/// A wait or a limit of the catalogue. By default both are shortened alike, to a twentieth, so that a limit that does
/// not hold is found out all the same; with the environment variable BACKSTOP_FAILOVER_BENCH=full they are the
/// catalogue's own.
[[nodiscard]] Duration scaled(Duration span);
[[nodiscard]] std::chrono::milliseconds scaled_ms(Duration span);

/// What the model of this server says, and its 60 tokens.
[[nodiscard]] std::string story(std::string_view who);

/// One request of the application, as a stream: what came of it, and what its reader has on the screen.
struct Reply {
  Result<ChatResponse> result;
  std::string screen;
  Duration elapsed{0};

  [[nodiscard]] const Ledger& ledger() const noexcept { return result ? result->attempts : result.error().attempts; }
  [[nodiscard]] bool answered_by(std::string_view target) const { return result && result->served_by.name() == target; }
  /// The requests that went out to that target, or to all, within that time of the start.
  [[nodiscard]] int sends(std::string_view target = {}, Duration within = Duration::max()) const;
};

/// Two providers over real sockets, and a client around them as one would put it together who wants the whole list.
class Bench {
 public:
  explicit Bench(MidStream mid_stream = MidStream::restart);

  /// Both servers answer well until told otherwise.
  faults::FaultServer primary;
  faults::FaultServer fallback;
  std::shared_ptr<Metrics> metrics = std::make_shared<Metrics>();

  [[nodiscard]] Reply ask() const;
  [[nodiscard]] const FallbackClient& client() const noexcept { return client_; }

 private:
  FallbackClient client_;
};

/// A scenario of the list: collects what was checked, and prints one line at its end, such as
/// `S06 pass: 2 attempts, 0.3 s`. Passed is what has passed its required checks and the advisory ones.
class Scenario {
 public:
  explicit Scenario(std::string_view id) : id_{id} {}
  Scenario(const Scenario&) = delete;
  Scenario& operator=(const Scenario&) = delete;
  ~Scenario();

  void require(bool holds, std::string_view what) { check(holds, what, failed_); }
  void advise(bool holds, std::string_view what) { check(holds, what, missed_); }
  /// Counts a request that was made.
  const Reply& note(const Reply& reply);

 private:
  static void check(bool holds, std::string_view what, int& count);

  std::string id_;
  int failed_ = 0;
  int missed_ = 0;
  int attempts_ = 0;
  int requests_ = 0;
  Duration elapsed_{0};
};

}  // namespace backstop::failover_bench
