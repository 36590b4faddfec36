#include "backstop/testing/inject_faults.hpp"

#include <map>
#include <stdexcept>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/policies/timeout.hpp"
#include "backstop/testing/event_log.hpp"
#include "backstop/testing/matchers.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace inject_faults_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

/// The outcomes of that many calls, one letter each.
std::string outcomes(const FaultRates& rates, int calls, std::uint64_t seed) {
  VirtualRuntime runtime{seed};
  const ScriptedProvider sound{"a/m", {answer("ok")}};
  const Provider shaky = sound | inject_faults(rates) | timeout({.first_token = 30s});
  std::string letters;
  for (int i = 0; i < calls; ++i) {
    const auto reply = runtime.call(shaky, "hello");
    letters += reply ? '.' : static_cast<char>('a' + static_cast<int>(reply.error().kind));
    CHECK(sends(reply, 1));
  }
  CHECK(runtime.idle());
  return letters;
}

constexpr FaultRates some_of_each{.connection_refused = 0.05,
                                  .connection_reset = 0.05,
                                  .rate_limited = 0.05,
                                  .overloaded = 0.05,
                                  .server_error = 0.05,
                                  .quota_exhausted = 0.05,
                                  .bad_key = 0.05,
                                  .empty_answer = 0.05,
                                  .silence = 0.05,
                                  .pings_only = 0.05,
                                  .cut = 0.05,
                                  .garbled = 0.05};

}  // namespace

TEST_CASE("faults come as often as asked, and the rest is answered by the target", "[scenario-218]") {
  const std::string letters = outcomes(some_of_each, 4000, 7);
  std::map<char, int> counts;
  for (const char letter : letters) ++counts[letter];
  const auto share = [&](ErrorKind kind) { return counts[static_cast<char>('a' + static_cast<int>(kind))] / 4000.0; };
  CHECK(counts['.'] / 4000.0 > 0.37);
  CHECK(counts['.'] / 4000.0 < 0.43);
  const auto near = [](double found, double expected) { return found > expected - 0.015 && found < expected + 0.015; };
  CHECK(near(share(ErrorKind::connect_failed), 0.10));
  CHECK(near(share(ErrorKind::rate_limited), 0.05));
  CHECK(near(share(ErrorKind::overloaded), 0.05));
  CHECK(near(share(ErrorKind::server_error), 0.05));
  CHECK(near(share(ErrorKind::quota_exhausted), 0.05));
  CHECK(near(share(ErrorKind::authentication), 0.05));
  CHECK(near(share(ErrorKind::timeout), 0.10));
  CHECK(near(share(ErrorKind::malformed_response), 0.10));
  CHECK(near(share(ErrorKind::stream_interrupted), 0.05));
  CHECK(outcomes(some_of_each, 300, 7) == letters.substr(0, 300));
  CHECK(outcomes(some_of_each, 300, 8) != letters.substr(0, 300));
}

TEST_CASE("without rates nothing is changed") { CHECK(outcomes({}, 50, 1) == std::string(50, '.')); }

TEST_CASE("a stream is cut after content has come") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  const ScriptedProvider sound{"a/m", {answer("ok")}};
  const auto reply = runtime.call(sound | inject_faults({.cut = 1}) | retry(), "hello", {.sink = &log});
  CHECK(fails_with(reply, ErrorKind::stream_interrupted));
  CHECK(reply.error().committed);
  CHECK(log.text() == reply.error().partial_text);
  CHECK_FALSE(log.text().empty());
  CHECK(sends(reply, 1));
  CHECK(sound.send_count() == 0);
}

TEST_CASE("faults are retried as real ones, hints included") {
  VirtualRuntime runtime;
  const ScriptedProvider sound{"a/m", {answer("ok")}};
  const auto reply = runtime.call(sound | inject_faults({.rate_limited = 1, .retry_after = 7s}) | retry(), "hello");
  CHECK(fails_with(reply, ErrorKind::rate_limited));
  CHECK(sends(reply, 3));
  CHECK(runtime.elapsed() >= 14s);
}

TEST_CASE("latency comes before answers and faults, within its spread") {
  VirtualRuntime runtime;
  const ScriptedProvider sound{"a/m", {answer("ok")}};
  const Provider slow = sound | inject_faults({.overloaded = 0.5, .latency = 2s, .latency_spread = 1s});
  for (int i = 0; i < 50; ++i) {
    const Duration before = runtime.elapsed();
    const auto reply = runtime.call(slow, "hello");
    CHECK(runtime.elapsed() - before >= 2s);
    CHECK(runtime.elapsed() - before < 3s);
  }
  const auto late = runtime.call(slow | timeout(1s), "hello");
  CHECK_FALSE(answers(late));
  CHECK(late.error().target.name() == "a/m");
  CHECK(runtime.idle());
}

TEST_CASE("rates that cannot be are refused, with what is accepted") {
  CHECK_THROWS_AS(inject_faults({.cut = -0.1}), std::invalid_argument);
  CHECK_THROWS_AS(inject_faults({.cut = 1.1}), std::invalid_argument);
  CHECK_THROWS_AS(inject_faults({.overloaded = 0.6, .cut = 0.6}), std::invalid_argument);
  CHECK_THROWS_AS(inject_faults({.latency = -1s}), std::invalid_argument);
  CHECK_NOTHROW(inject_faults({.overloaded = 0.5, .cut = 0.5}));
}

TEST_CASE("the policy describes itself") {
  const ScriptedProvider sound{"a/m"};
  CHECK((sound | inject_faults({.overloaded = 0.25, .cut = 0.5})).describe() ==
        "a/m | inject_faults(overloaded = 0.25, cut = 0.5)");
}

TEST_CASE("strategies and cooldowns know of faults") {
  VirtualRuntime world;
  const Provider failing = ScriptedProvider{"a/failing"} | retry({.max_attempts = 1}) | inject_faults({.server_error = 1});
  const Provider limited = ScriptedProvider{"a/limited"} | inject_faults({.rate_limited = 1, .retry_after = 60s});
  const FallbackClient client{{failing, limited, ScriptedProvider{"a/well"}},
                              FallbackOptions{.strategy = first_ready(), .recovery = {.max_wait = 0s}, .runtime = world.share()}};
  CHECK(answered_by(client.chat("hello"), "a/well"));
  ClientSnapshot snapshot = client.snapshot();
  CHECK(snapshot.candidates[0].success_share == 0);
  CHECK(snapshot.candidates[0].ttft->value == 5);
  CHECK(snapshot.candidates[1].cooling_after == ErrorKind::rate_limited);
  for (int i = 0; i < 4; ++i) static_cast<void>(client.chat("hello"));
  snapshot = client.snapshot();
  CHECK(snapshot.candidates[0].ejected);
  CHECK(snapshot.candidates[0].in_flight == 0);
}

}  // namespace inject_faults_test
