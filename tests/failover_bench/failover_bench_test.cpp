// The sixteen scenarios of FailoverBench (github.com/failoverbench/failoverbench, scenarios/catalogue.yaml), over real
// sockets, each at the verdict "pass": rescued, with the advisory checks too.
//
// By default the long silences and the limits on them are shortened alike. With the catalogue's own waits, which take
// two minutes:
//     ctest --test-dir build/dev -C full -L failover-bench-full -V
// or BACKSTOP_FAILOVER_BENCH=full backstop-tests "[failover-bench]".

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>

#include <catch2/catch_test_macros.hpp>

#include "failover_bench.hpp"

namespace failover_bench_test {

using namespace backstop;
using namespace backstop::failover_bench;
using namespace std::chrono_literals;
using faults::Answer;

namespace {

const std::string primary_name = "primary/gpt-4o";
const std::string fallback_name = "fallback/claude-sonnet-5";

/// The whole answer of the fallback, and nothing else on the screen.
void require_rescue(Scenario& scenario, const Reply& reply) {
  scenario.require(reply.answered_by(fallback_name), "the fallback answers");
  scenario.require(reply.screen == story("fallback"), "the answer is whole, and the reader sees nothing else");
}

}  // namespace

TEST_CASE("429 with Retry-After is waited for, or failed over", "[S01][failover-bench]") {
  Scenario scenario{"S01"};
  Bench bench;
  bench.primary.next(faults::rate_limited(2s));
  const Reply reply = scenario.note(bench.ask());
  scenario.require(reply.result.has_value(), "it is answered");
  scenario.require(reply.sends({}, 1500ms) <= 2, "at most 2 attempts within 1.5 s");
  if (reply.sends(primary_name) > 1) {
    scenario.require(reply.sends(primary_name, 1800ms) == 1, "the primary is left alone for 1.8 s");
  }
  scenario.require(
      bench.primary.request_count() + bench.fallback.request_count() == static_cast<std::size_t>(reply.sends()),
      "the ledger knows of every request");
}

TEST_CASE("429 without a hint is not hammered, and failed over", "[S02][failover-bench]") {
  Scenario scenario{"S02"};
  Bench bench;
  bench.primary.always(faults::status(429));
  const Reply reply = scenario.note(bench.ask());
  require_rescue(scenario, reply);
  scenario.require(reply.sends({}, 3s) <= 4, "at most 4 attempts within 3 s");
  scenario.require(reply.sends() <= 6, "at most 6 attempts");
}

TEST_CASE("one 500 is retried once at the same provider", "[S03][failover-bench]") {
  Scenario scenario{"S03"};
  Bench bench;
  bench.primary.next(faults::status(500));
  const Reply reply = scenario.note(bench.ask());
  scenario.require(reply.answered_by(primary_name), "the primary answers");
  scenario.require(bench.primary.request_count() == 2 && bench.fallback.request_count() == 0, "by one retry");
  scenario.require(reply.screen == story("primary"), "the answer is whole");
}

TEST_CASE("a persistent 503 is failed over", "[S04][failover-bench]") {
  Scenario scenario{"S04"};
  Bench bench;
  bench.primary.always(faults::status(503));
  const Reply reply = scenario.note(bench.ask());
  require_rescue(scenario, reply);
  scenario.require(reply.sends() <= 6, "at most 6 attempts");
}

TEST_CASE("a reset before the headers is retried or failed over", "[S05][failover-bench]") {
  Scenario scenario{"S05"};
  Bench bench;
  bench.primary.always(faults::reset_before_headers());
  const Reply reply = scenario.note(bench.ask());
  require_rescue(scenario, reply);
}

TEST_CASE("a provider that accepts and never answers is left for another, once", "[S06][failover-bench]") {
  Scenario scenario{"S06"};
  Bench bench;
  bench.primary.always(faults::slow_headers(scaled_ms(120s), faults::answer({.text = story("primary")})));
  const Reply reply = scenario.note(bench.ask());
  require_rescue(scenario, reply);
  scenario.require(reply.elapsed <= scaled(100s), "within 100 s");
  scenario.advise(bench.primary.request_count() == 1, "the silent route is tried once only");
}

TEST_CASE("headers without a first token are not waited for", "[S07][failover-bench]") {
  Scenario scenario{"S07"};
  Bench bench;
  bench.primary.always(faults::answer(Answer{.text = story("primary"), .delay_before_first = scaled_ms(20s)}));
  const Reply reply = scenario.note(bench.ask());
  scenario.require(reply.result.has_value(), "it is answered");
  scenario.require(reply.screen == story("fallback") || reply.screen == story("primary"), "the answer is whole");
  scenario.advise(reply.elapsed <= scaled(15s), "within 15 s");
}

TEST_CASE("a stream that is cut is never a success", "[S08][failover-bench]") {
  Scenario scenario{"S08"};
  Bench bench;
  bench.primary.always(faults::cut_stream(40, {.text = story("primary")}));
  const Reply reply = scenario.note(bench.ask());
  require_rescue(scenario, reply);
}

TEST_CASE("a stream that falls silent is given up in time, and the process is well afterwards",
          "[S09][failover-bench]") {
  Scenario scenario{"S09"};
  Bench bench;
  bench.primary.next(faults::stall_then_close(20, scaled_ms(30s), {.text = story("primary")}));
  const Reply reply = scenario.note(bench.ask());
  require_rescue(scenario, reply);
  scenario.require(reply.elapsed <= scaled(45s), "within 45 s");
  const Reply after = scenario.note(bench.ask());
  scenario.require(after.result.has_value(), "the next request is answered");
  scenario.require(after.screen == story("primary") || after.screen == story("fallback"), "and whole");
}

TEST_CASE("an event that is no JSON does not garble the answer", "[S10][failover-bench]") {
  Scenario scenario{"S10"};
  Bench bench;
  bench.primary.always(faults::malformed_json(9, {.text = story("primary")}));
  const Reply reply = scenario.note(bench.ask());
  scenario.require(reply.screen == story("fallback") || reply.screen == story("primary") || !reply.result,
                   "the event is skipped, or the answer fails cleanly");
  scenario.advise(reply.result.has_value(), "the answer is complete");
}

TEST_CASE("a complete stream without [DONE] is complete", "[S11][failover-bench]") {
  Scenario scenario{"S11"};
  for (const bool stays_open : {false, true}) {
    Bench bench;
    bench.primary.always(faults::without_done({.text = story("primary"), .usage = {.input = 55}}, stays_open));
    const Reply reply = scenario.note(bench.ask());
    scenario.require(reply.answered_by(primary_name) && reply.screen == story("primary"),
                     "the primary's answer stands");
    scenario.require(reply.elapsed <= 8s, "within 8 s");
    scenario.require(reply.result && reply.result->usage.input_tokens == 55 && reply.result->usage.output_tokens == 60,
                     "with its usage");
    scenario.require(reply.sends() == 1, "nothing is sent twice");
  }
}

TEST_CASE("a prompt that is too long goes to the larger model at once", "[S12][failover-bench]") {
  Scenario scenario{"S12"};
  Bench bench;
  bench.primary.always(faults::context_too_long());
  const Reply reply = scenario.note(bench.ask());
  require_rescue(scenario, reply);
  scenario.require(bench.primary.request_count() == 1, "exactly one attempt on the model that is too small");
}

TEST_CASE("a filter's refusal is not retried, and its reason reaches the caller", "[S13][failover-bench]") {
  Scenario scenario{"S13"};
  Bench bench;
  bench.primary.always(faults::content_filtered("The prompt asks for violence."));
  const Reply reply = scenario.note(bench.ask());
  scenario.require(bench.primary.request_count() == 1, "exactly one attempt on that model");
  scenario.require(!reply.result && reply.result.error().kind == ErrorKind::content_filtered,
                   "by default no other provider is asked to do what this one refused");
  scenario.require(!reply.result && reply.result.error().provider_message.find("asks for violence") != std::string::npos,
                   "the provider's reason reaches the caller");
}

TEST_CASE("a cut stream is begun anew where the next model takes no prefill", "[S14][failover-bench]") {
  Scenario scenario{"S14"};
  Bench bench;
  bench.primary.always(faults::cut_stream(30, {.text = story("primary")}));
  bench.fallback.always(faults::refuses_prefill({.text = story("fallback")}));
  const Reply reply = scenario.note(bench.ask());
  require_rescue(scenario, reply);
  const Ledger& ledger = reply.ledger();
  scenario.require(std::none_of(ledger.begin(), ledger.end(),
                                [](const Attempt& row) { return row.outcome == ErrorKind::invalid_request; }),
                   "no prefill was refused on the way");

  // Told to go on where the answer broke off: the fallback's model is known not to, and is not asked to.
  Bench resuming{MidStream::resume};
  resuming.primary.always(faults::cut_stream(30, {.text = story("primary")}));
  resuming.fallback.always(faults::refuses_prefill({.text = story("fallback")}));
  const Reply broken = scenario.note(resuming.ask());
  scenario.require(!broken.result && broken.result.error().kind == ErrorKind::stream_interrupted &&
                       broken.result.error().target.name() == primary_name,
                   "without a model that takes a prefill the error is that of the cut");
  scenario.require(!broken.result && broken.result.error().partial_text == broken.screen && !broken.screen.empty(),
                   "with the text so far");
  scenario.require(resuming.fallback.request_count() == 0, "and no prefill was sent to be refused");
}

TEST_CASE("an outage is served, its provider spared, probed and returned to", "[S15][failover-bench]") {
  Scenario scenario{"S15"};
  Bench bench;
  const auto start = std::chrono::steady_clock::now();
  const Duration outage = scaled(60s);
  bench.primary.always(
      faults::down_for(scaled_ms(60s), faults::status(503), faults::answer({.text = story("primary")})));
  int answered = 0;
  int spared = 0;
  int probes = 0;
  bool opened = false;
  Duration back = Duration::max();
  for (int request = 0; request < 20; ++request) {
    std::this_thread::sleep_until(start + request * scaled(4s));
    const Duration at = std::chrono::steady_clock::now() - start;
    const Reply reply = scenario.note(bench.ask());
    answered += reply.screen == story("fallback") || reply.screen == story("primary") ? 1 : 0;
    const bool skipped = reply.sends(primary_name) == 0;
    opened = opened || skipped;
    spared += skipped ? 1 : 0;
    probes += opened && at < outage && !skipped ? 1 : 0;
    if (reply.answered_by(primary_name)) back = std::min(back, at);
  }
  scenario.require(answered == 20, "every request is answered, the outage notwithstanding");
  scenario.require(opened && spared >= 3, "the circuit opens, and requests pass the primary over");
  scenario.require(probes >= 1 && probes <= 6, "now and then one finds out whether it is back");
  scenario.require(back != Duration::max() && back <= outage + scaled(30s),
                   "back on the primary within 30 s of its recovery");
  const MetricsSnapshot seen = bench.metrics->snapshot();
  scenario.require(seen.find(primary_name) != nullptr && seen.find(primary_name)->breaker == "closed",
                   "the circuit is closed in the end, not " + seen.find(primary_name)->breaker);
}

TEST_CASE("the caller sees who answered, and what that used", "[S16][failover-bench]") {
  Scenario scenario{"S16"};
  Bench bench;
  bench.primary.always(faults::status(503));
  const Reply reply = scenario.note(bench.ask());
  require_rescue(scenario, reply);
  scenario.require(reply.result && reply.result->model == "claude-of-the-fallback", "the model is the fallback's");
  scenario.require(reply.result && reply.result->usage.input_tokens == 77 && reply.result->usage.output_tokens == 60,
                   "the usage is the fallback's");
  scenario.require(reply.result && reply.result->fallback, "and it says so");
  scenario.require(reply.sends() <= 6, "at most 6 attempts");
  const MetricsSnapshot seen = bench.metrics->snapshot();
  scenario.require(
      seen.succeeded == 1 && seen.find(primary_name)->succeeded == 0 && seen.find(fallback_name)->succeeded == 1,
      "failed attempts are not counted as completions");
}

}  // namespace failover_bench_test
