#include "backstop/observe/metrics.hpp"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include <memory>
#include <thread>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/observe/metrics_json.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace metrics_test {

using namespace backstop;
using namespace std::chrono_literals;

namespace {

Attempt attempt_at(const char* target, std::optional<ErrorKind> outcome, Money cost = {}) {
  Attempt attempt;
  attempt.target = Target::parse(target);
  attempt.outcome = outcome;
  attempt.sent = true;
  attempt.elapsed = 10ms;
  attempt.cost = cost;
  return attempt;
}

/// What a client tells its observers of a call with these attempts, the last of which decided it.
void tell(Observer& observer, const Ledger& attempts, const Target& first_choice, Usage usage = {}) {
  Money cost;
  for (const Attempt& attempt : attempts) {
    cost += attempt.cost;
    if (attempt.sent) observer.on_attempt(AttemptEvent{attempt, attempt.ttft.has_value()});
  }
  const Attempt& last = attempts.back();
  ChatResponse response;
  response.served_by = last.target;
  response.fallback = !(last.target == first_choice);
  response.usage = usage;
  const Error error{last.outcome.value_or(ErrorKind::cancelled), ""};
  observer.on_call(CallEvent{last.outcome ? nullptr : &response, last.outcome ? &error : nullptr, attempts, 20ms, cost,
                             true, first_choice});
}

}  // namespace

TEST_CASE("without events nothing is counted and rates have their neutral value") {
  const MetricsSnapshot snapshot = Metrics{}.snapshot();
  CHECK(snapshot.calls == 0);
  CHECK(snapshot.fallback_rate() == 0);
  CHECK(snapshot.rescued_share() == 1);
  CHECK(snapshot.success_rate() == 1);
  CHECK(snapshot.find("a/b") == nullptr);
}

TEST_CASE("calls that fall back are counted, and those that it rescued") {
  Metrics metrics;
  const Target first = Target::parse("a/1");
  tell(metrics, {attempt_at("a/1", {})}, first);
  tell(metrics, {attempt_at("a/1", ErrorKind::overloaded), attempt_at("b/1", {})}, first);
  tell(metrics, {attempt_at("a/1", ErrorKind::server_error), attempt_at("b/1", ErrorKind::timeout)}, first);
  tell(metrics, {attempt_at("a/1", ErrorKind::invalid_request)}, first);

  const MetricsSnapshot snapshot = metrics.snapshot();
  CHECK(snapshot.calls == 4);
  CHECK(snapshot.succeeded == 2);
  CHECK(snapshot.fallbacks == 2);
  CHECK(snapshot.fallback_rate() == 0.5);
  CHECK(snapshot.troubled == 3);
  CHECK(snapshot.rescued == 1);
  CHECK(snapshot.failures[ErrorKind::timeout] == 1);
  CHECK(snapshot.failures[ErrorKind::invalid_request] == 1);
  CHECK(snapshot.failures.total() == 2);
}

TEST_CASE("each target has its own success, failures by kind and spend") {
  Metrics metrics;
  const Target first = Target::parse("a/1");
  Attempt broken = attempt_at("a/1", ErrorKind::stream_interrupted, Money::usd(0.01));
  broken.ttft = 2ms;
  broken.cost_estimated = true;
  Attempt skipped = attempt_at("b/1", ErrorKind::circuit_open);
  skipped.sent = false;
  tell(metrics, {broken, skipped, attempt_at("c/1", {}, Money::usd(0.03))}, first);
  tell(metrics, {attempt_at("a/1", {}, Money::usd(0.02))}, first);
  tell(metrics, {attempt_at("a/1", ErrorKind::cancelled)}, first);

  const MetricsSnapshot snapshot = metrics.snapshot();
  REQUIRE(snapshot.targets.size() == 3);
  const TargetMetrics& a = *snapshot.find("a/1");
  CHECK(a.attempts == 3);
  CHECK(a.succeeded == 1);
  CHECK(a.success_rate() == 0.5);
  CHECK(a.broken_after_content == 1);
  CHECK(a.failures[ErrorKind::stream_interrupted] == 1);
  CHECK(a.spend == Money::usd(0.03));
  CHECK(a.estimated_spend == Money::usd(0.01));
  CHECK(a.elapsed == 30ms);
  const TargetMetrics& b = *snapshot.find("b/1");
  CHECK(b.attempts == 0);
  CHECK(b.skips[ErrorKind::circuit_open] == 1);
  CHECK(b.success_rate() == 1);
  CHECK(snapshot.find("c/1")->succeeded == 1);
  CHECK(snapshot.spend == Money::usd(0.06));
}

TEST_CASE("what the application ended itself says nothing about a target's success") {
  Metrics metrics;
  const Target first = Target::parse("a/1");
  tell(metrics, {attempt_at("a/1", {})}, first);
  tell(metrics, {attempt_at("a/1", ErrorKind::cancelled)}, first);
  tell(metrics, {attempt_at("a/1", ErrorKind::deadline_exceeded)}, first);
  CHECK(metrics.snapshot().find("a/1")->success_rate() == 1);
  tell(metrics, {attempt_at("a/1", ErrorKind::timeout)}, first);
  CHECK(metrics.snapshot().find("a/1")->success_rate() == 0.5);
}

TEST_CASE("what was sent is no skipped candidate, and what was skipped is no fallback") {
  Metrics metrics;
  const Target first = Target::parse("a/1");
  Attempt skipped = attempt_at("b/1", ErrorKind::circuit_open);
  skipped.sent = false;
  tell(metrics, {skipped, attempt_at("a/1", ErrorKind::overloaded)}, first);
  const MetricsSnapshot snapshot = metrics.snapshot();
  CHECK(snapshot.fallbacks == 0);
  CHECK(snapshot.find("a/1")->skips.total() == 0);
  CHECK(snapshot.find("b/1")->skips.total() == 1);
  CHECK(snapshot.find("b/1")->failures.total() == 0);
}

TEST_CASE("an attempt that was stopped because another had answered is no trouble") {
  Metrics metrics;
  tell(metrics, {attempt_at("a/1", ErrorKind::cancelled), attempt_at("b/1", {})}, Target::parse("a/1"));
  const MetricsSnapshot snapshot = metrics.snapshot();
  CHECK(snapshot.troubled == 0);
  CHECK(snapshot.rescued == 0);
  CHECK(snapshot.rescued_share() == 1);
  CHECK(snapshot.fallbacks == 1);
}

TEST_CASE("an answer of the first choice beside a stopped hedge is no fallback") {
  Metrics metrics;
  tell(metrics, {attempt_at("b/1", ErrorKind::cancelled), attempt_at("a/1", {})}, Target::parse("a/1"));
  CHECK(metrics.snapshot().fallbacks == 0);
}

TEST_CASE("a target that was out is trouble, and an answer from another one a rescue") {
  Metrics metrics;
  Attempt skipped = attempt_at("a/1", ErrorKind::circuit_open);
  skipped.sent = false;
  tell(metrics, {skipped, attempt_at("b/1", {})}, Target::parse("a/1"));
  CHECK(metrics.snapshot().troubled == 1);
  CHECK(metrics.snapshot().rescued == 1);
}

TEST_CASE("the cost differential compares answered calls with what their first choice would have cost") {
  Metrics metrics;
  ModelFacts facts;
  facts.price = Price{Money::usd_per_million(1), Money::usd_per_million(2)};
  const Target first{"a", "1", facts};
  Usage usage;
  usage.input_tokens = 1000;
  usage.output_tokens = 500;
  tell(metrics, {attempt_at("a/1", ErrorKind::overloaded), attempt_at("b/1", {}, Money::usd(0.01))}, first, usage);
  tell(metrics, {attempt_at("b/1", {}, Money::usd(5))}, Target::parse("unpriced/1"), usage);

  const MetricsSnapshot snapshot = metrics.snapshot();
  CHECK(snapshot.first_choice_cost == Money::usd(0.002));
  CHECK(snapshot.cost_differential() == Money::usd(0.008));
}

TEST_CASE("a breaker's last state stands in its target's row") {
  Metrics metrics;
  metrics.on_breaker(BreakerEvent{Target::parse("a/1"), "closed", "open", "5 failures in a row"});
  metrics.on_breaker(BreakerEvent{Target::parse("a/1"), "open", "half_open", ""});
  const MetricsSnapshot snapshot = metrics.snapshot();
  CHECK(snapshot.find("a/1")->breaker == "half_open");
  CHECK(snapshot.find("a/1")->breaker_changes == 2);
}

TEST_CASE("times are counted in buckets that double") {
  LatencyHistogram histogram;
  CHECK(histogram.at_most(0.5) == 0ms);
  for (const std::chrono::nanoseconds span : {1ms, 10ms, 11ms, 300ms, 200'000ms}) histogram.add(span);
  CHECK(histogram.count() == 5);
  CHECK(histogram.sum() == 200'322ms);
  CHECK(histogram.counts()[0] == 2);
  CHECK(histogram.counts()[1] == 1);
  CHECK(histogram.counts()[5] == 1);
  CHECK(histogram.counts().back() == 1);
  CHECK(histogram.at_most(0) == 10ms);
  CHECK(histogram.at_most(0.4) == 10ms);
  CHECK(histogram.at_most(0.5) == 20ms);
  CHECK(histogram.at_most(0.8) == 320ms);
  CHECK(histogram.at_most(1) == 200s);
}

TEST_CASE("latencies are those of answers, and the time to the first token is known of failures too") {
  Metrics metrics;
  Attempt broken = attempt_at("a/1", ErrorKind::stream_interrupted);
  broken.ttft = 2ms;
  Attempt answered = attempt_at("b/1", {});
  answered.ttft = 5ms;
  tell(metrics, {broken, answered}, Target::parse("a/1"));
  const MetricsSnapshot snapshot = metrics.snapshot();
  CHECK(snapshot.latency.sum() == 20ms);
  CHECK(snapshot.find("a/1")->latency.count() == 0);
  CHECK(snapshot.find("a/1")->ttft.sum() == 2ms);
  CHECK(snapshot.find("b/1")->latency.sum() == 10ms);
  CHECK(snapshot.find("b/1")->ttft.sum() == 5ms);
}

TEST_CASE("calls in flight are those that have begun and not ended, however they end") {
  testing::VirtualRuntime runtime;
  const auto metrics = std::make_shared<Metrics>();
  FallbackOptions options;
  options.observers = {metrics};
  options.runtime = runtime.share();
  const testing::ScriptedProvider model{"a/1", {testing::answer("hi").after(1s)}};
  const FallbackClient client{model, options};
  PendingCall first = client.start("hello");
  {
    PendingCall second = client.start("hello");
    runtime.run_for(1ms);
    CHECK(metrics->snapshot().in_flight == 2);
    CHECK(metrics->snapshot().calls == 0);
  }
  runtime.run_for(1ms);
  CHECK(metrics->snapshot().in_flight == 1);
  CHECK(first.wait());
  CHECK(metrics->snapshot().in_flight == 0);
  CHECK(metrics->snapshot().calls == 2);
}

TEST_CASE("metrics as JSON have every count, by name") {
  Metrics metrics;
  metrics.on_begin();
  const Attempt paid = attempt_at("b/1", {}, Money::usd(0.25));
  tell(metrics, {attempt_at("a/1", ErrorKind::overloaded), paid}, Target::parse("a/1"));
  metrics.on_begin();
  metrics.on_breaker(BreakerEvent{Target::parse("a/1"), "closed", "open", ""});
  const nlohmann::json json = to_json(metrics.snapshot());
  CHECK(json["calls"] == 1);
  CHECK(json["in_flight"] == 1);
  CHECK(json["rescued"] == 1);
  CHECK(json["fallback_rate"] == 1.0);
  CHECK(json["spend_usd"] == 0.25);
  CHECK(json["latency"]["count"] == 1);
  CHECK(json["latency"]["sum_ms"] == 20.0);
  CHECK(json["latency"]["counts"].size() == json["latency"]["bounds_ms"].size() + 1);
  REQUIRE(json["targets"].size() == 2);
  CHECK(json["targets"][0]["target"] == "a/1");
  CHECK(json["targets"][0]["failures"] == nlohmann::json{{"overloaded", 1}});
  CHECK(json["targets"][0]["breaker"] == "open");
  CHECK(json["targets"][1]["breaker"].is_null());
  CHECK(json["targets"][1]["success_rate"] == 1.0);
}

TEST_CASE("events from several threads are all counted") {
  Metrics metrics;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&metrics] {
      for (int n = 0; n < 500; ++n) tell(metrics, {attempt_at("a/1", {}, Money::usd(1))}, Target::parse("a/1"));
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(metrics.snapshot().calls == 2000);
  CHECK(metrics.snapshot().find("a/1")->spend == Money::usd(2000));
}

}  // namespace metrics_test
