#include "backstop/routing/hedge.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/accept_if.hpp"
#include "backstop/policies/checks.hpp"
#include "backstop/policies/circuit_breaker.hpp"
#include "backstop/policies/cost_cap.hpp"
#include "backstop/policies/intercept.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/policies/single_flight.hpp"
#include "backstop/policies/timeout.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace hedge_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

/// A client that hedges; the delay is 10 s unless there are samples.
class HedgedClient {
 public:
  template <class... Others>
  explicit HedgedClient(const Provider& first, const Others&... others)
      : HedgedClient{HedgeOptions{}, {first, others...}} {}
  HedgedClient(HedgeOptions hedge, std::vector<Provider> targets) {
    FallbackOptions options;
    options.hedge = std::move(hedge);
    options.recovery.max_wait = 0s;
    options.runtime = world.share();
    client = std::make_unique<FallbackClient>(std::move(targets), std::move(options));
  }

  [[nodiscard]] Duration sent_at(const ScriptedProvider& provider, std::size_t send = 0) const {
    return world.since(provider.sends().at(send).at);
  }
  Result<ChatResponse> ask(const VirtualCallOptions& options = {}) { return world.call(*client, "hello", options); }

  VirtualRuntime world;
  std::unique_ptr<FallbackClient> client;
};

Target priced(std::string_view name) {
  const Target target = Target::parse(name);
  ModelFacts facts;
  facts.price = Price{.input = Money::usd_per_million(1), .output = Money::usd_per_million(10)};
  facts.max_output_tokens = 100;
  return Target{target.provider(), target.model(), facts};
}

bool is_hedge(const Attempt& row) {
  return row.reason.find("a hedge, after 10s of silence from one/a") != std::string::npos;
}

}  // namespace

TEST_CASE("content in time brings no hedge", "[scenario-135]") {
  ScriptedProvider first{"one/a", {stream({"in ", "time"}, 5s).after(9s)}};
  ScriptedProvider second{"two/b"};
  HedgedClient hedged{first, second};
  EventLog log{hedged.world.runtime()};
  const auto reply = hedged.ask({.sink = &log});
  REQUIRE(reply);
  CHECK(log.text() == "in time");
  CHECK(hedged.world.elapsed() == 14s);
  CHECK(second.send_count() == 0);
  CHECK(hedged.world.idle());
}

TEST_CASE("after the delay a silent target gets one hedge", "[scenario-136]") {
  ScriptedProvider first{"one/a", {silence()}};
  ScriptedProvider second{"two/b", {answer("from two").after(2s)}};
  ScriptedProvider third{"three/c"};
  HedgedClient hedged{first, second, third};
  const auto reply = hedged.ask();
  REQUIRE(reply);
  CHECK(reply->text() == "from two");
  CHECK(reply->served_by.name() == "two/b");
  CHECK(reply->fallback);
  CHECK(hedged.sent_at(second) == 10s);
  CHECK(hedged.world.elapsed() == 12s);
  CHECK(third.send_count() == 0);
  REQUIRE(reply->attempts.size() == 2);
  CHECK(reply->attempts[0].outcome == ErrorKind::cancelled);
  CHECK(reply->attempts[0].reason == "another attempt won");
  CHECK_FALSE(reply->attempts[1].outcome);
  CHECK(is_hedge(reply->attempts[1]));
  CHECK(hedged.world.idle());
}

TEST_CASE("when the hedge's content comes first nothing of the slower stream is seen", "[scenario-137]") {
  ScriptedProvider first{"one/a", {stream({"slow ", "words"}, 1s).after(11s)}};
  ScriptedProvider second{"two/b", {stream({"fast ", "and ", "steady"}, 400ms).after(500ms)}};
  HedgedClient hedged{first, second};
  EventLog log{hedged.world.runtime()};
  const auto reply = hedged.ask({.sink = &log});
  REQUIRE(reply);
  CHECK(reply->text() == "fast and steady");
  CHECK(log.text() == "fast and steady");
  CHECK(log.count(StreamEvent::Type::finished) == 1);
  CHECK(log.events().size() == 4);
  CHECK(reply->attempts[0].outcome == ErrorKind::cancelled);
  CHECK(reply->attempts[0].elapsed == 10500ms);
}

TEST_CASE("when the slow target is first after all the hedge is stopped", "[scenario-140]") {
  ScriptedProvider first{"one/a", {stream({"slow ", "words"}, 1s).after(11s)}};
  ScriptedProvider second{"two/b", {stream({"too ", "late"}).after(5s)}};
  HedgedClient hedged{first, second};
  EventLog log{hedged.world.runtime()};
  const auto reply = hedged.ask({.sink = &log});
  REQUIRE(reply);
  CHECK(log.text() == "slow words");
  CHECK_FALSE(reply->fallback);
  CHECK(reply->served_by.name() == "one/a");
  REQUIRE(reply->attempts.size() == 2);
  CHECK_FALSE(reply->attempts[0].outcome);
  CHECK(reply->attempts[1].outcome == ErrorKind::cancelled);
  CHECK(reply->attempts[1].elapsed == 1s);
  CHECK(is_hedge(reply->attempts[1]));
  CHECK(hedged.world.idle());
}

TEST_CASE("content of both in the same moment has one winner, always the same", "[scenario-138]") {
  std::vector<std::string> texts;
  for (int run = 0; run < 3; ++run) {
    ScriptedProvider first{"one/a", {stream({"one"}).after(12s)}};
    ScriptedProvider second{"two/b", {stream({"two"}).after(2s)}};
    HedgedClient hedged{first, second};
    EventLog log{hedged.world.runtime()};
    const auto reply = hedged.ask({.sink = &log});
    REQUIRE(reply);
    CHECK(log.text() == reply->text());
    CHECK(log.events().size() == 2);
    int answered = 0;
    for (const Attempt& row : reply->attempts) answered += row.outcome ? 0 : 1;
    CHECK(answered == 1);
    texts.push_back(log.text());
  }
  CHECK(texts == std::vector<std::string>{"one", "one", "one"});
}

TEST_CASE("of plain answers complete in the same moment one counts", "[scenario-138]") {
  ScriptedProvider first{"one/a", {answer("one").after(12s)}};
  ScriptedProvider second{"two/b", {answer("two").after(2s)}};
  HedgedClient hedged{first, second};
  const auto reply = hedged.ask();
  REQUIRE(reply);
  CHECK(reply->text() == "one");
  REQUIRE(reply->attempts.size() == 2);
  CHECK(reply->attempts[1].outcome == ErrorKind::cancelled);
}

TEST_CASE("a failure before the delay is fallback's business at once", "[scenario-139]") {
  ScriptedProvider first{"one/a", {error(ErrorKind::server_error).after(4s)}};
  ScriptedProvider second{"two/b"};
  HedgedClient hedged{first, second};
  const auto reply = hedged.ask();
  REQUIRE(reply);
  CHECK(hedged.sent_at(second) == 4s);
  CHECK_FALSE(is_hedge(reply->attempts[1]));
}

TEST_CASE("when the hedge fails the target goes on", "[scenario-140]") {
  ScriptedProvider first{"one/a", {answer("late").after(15s)}};
  ScriptedProvider second{"two/b", {error(ErrorKind::rate_limited, {.retry_after = 60s})}};
  HedgedClient hedged{first, second};
  const auto reply = hedged.ask();
  REQUIRE(reply);
  CHECK(reply->text() == "late");
  CHECK_FALSE(reply->fallback);
  REQUIRE(reply->attempts.size() == 2);
  CHECK(reply->attempts[1].outcome == ErrorKind::rate_limited);
  // What the hedge learnt holds for later calls.
  CHECK(hedged.client->explain("hello").steps[1].skipped);
}

TEST_CASE("when both fail the error is the first one's, and the hedge's target is not asked again", "[scenario-141]") {
  ScriptedProvider first{"one/a", {error(ErrorKind::overloaded).after(12s)}};
  ScriptedProvider second{"two/b", {error(ErrorKind::server_error).after(1s)}};
  SECTION("there is no other") {
    HedgedClient hedged{first, second};
    const auto reply = hedged.ask();
    REQUIRE_FALSE(reply);
    CHECK(reply.error().kind == ErrorKind::overloaded);
    CHECK(reply.error().target.name() == "one/a");
    REQUIRE(reply.error().attempts.size() == 2);
    CHECK(reply.error().attempts[0].outcome == ErrorKind::overloaded);
    CHECK(reply.error().attempts[1].outcome == ErrorKind::server_error);
    CHECK(second.send_count() == 1);
  }
  SECTION("the next one answers") {
    ScriptedProvider third{"three/c", {answer("from three")}};
    HedgedClient hedged{first, second, third};
    const auto reply = hedged.ask();
    REQUIRE(reply);
    CHECK(reply->text() == "from three");
    CHECK(second.send_count() == 1);
    CHECK(reply->attempts.size() == 3);
  }
}

TEST_CASE("a hedge that stays silent leaves time for the targets behind it") {
  ScriptedProvider first{"one/a", {error(ErrorKind::server_error).after(12s)}};
  ScriptedProvider third{"three/c", {answer("from three")}};
  HedgedClient hedged{first, ScriptedProvider{"two/b", {silence()}}, third};
  const auto reply = hedged.ask({.deadline = 100s});
  REQUIRE(reply);
  CHECK(reply->text() == "from three");
  CHECK(hedged.world.elapsed() == 90s);
}

TEST_CASE("a hedge to a client is one send too, and nobody waits in it for what comes back") {
  ScriptedProvider first{"one/a", {error(ErrorKind::server_error).after(20s)}};
  ScriptedProvider second{"two/b", {error(ErrorKind::server_error)}};
  ScriptedProvider third{"three/c", {answer("from three")}};
  HedgedClient hedged{first, FallbackClient{second}, third};
  const auto reply = hedged.ask();
  REQUIRE(reply);
  CHECK(reply->text() == "from three");
  CHECK(second.send_count() == 1);
  CHECK(hedged.world.elapsed() == 20s);
}

TEST_CASE("a hedged target keeps a hint for as long as its client says") {
  ScriptedProvider first{"one/a", {answer("from one").after(30s)}};
  ScriptedProvider second{"two/b", {error(ErrorKind::rate_limited, {.retry_after = 300s})}};
  VirtualRuntime world;
  const FallbackClient client{{first, second},
                              {.hedge = HedgeOptions{}, .recovery = {.cooldown_max = 60s}, .runtime = world.share()}};
  CHECK(client.chat("hello"));
  const Plan plan = client.explain("hello");
  REQUIRE(plan.steps[1].skipped);
  CHECK(plan.steps[1].skipped->retry_after == 40s);
}

TEST_CASE("a hedge that is out when its target fails stands in for it") {
  ScriptedProvider first{"one/a", {error(ErrorKind::rate_limited, {.retry_after = 60s}).after(11s)}};
  ScriptedProvider second{"two/b", {answer("from two").after(3s)}};
  HedgedClient hedged{first, second};
  const auto reply = hedged.ask();
  REQUIRE(reply);
  CHECK(reply->text() == "from two");
  CHECK(second.send_count() == 1);
  CHECK(hedged.world.elapsed() == 13s);
  CHECK(hedged.client->explain("hello").steps[0].skipped);
}

TEST_CASE("what would fail everywhere ends the hedge too") {
  ScriptedProvider first{"one/a", {error(ErrorKind::invalid_request).after(11s)}};
  ScriptedProvider second{"two/b", {answer("from two").after(3s)}};
  HedgedClient hedged{first, second};
  const auto reply = hedged.ask();
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::invalid_request);
  CHECK(hedged.world.elapsed() == 11s);
  CHECK(hedged.world.idle());
}

TEST_CASE("a winner that breaks off later fails as itself") {
  ScriptedProvider first{"one/a", {silence()}};
  ScriptedProvider second{"two/b", {deltas({"half"}).wait(1s).cut()}};
  HedgedClient hedged{first, second};
  EventLog log{hedged.world.runtime()};
  const auto reply = hedged.ask({.sink = &log});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::stream_interrupted);
  CHECK(reply.error().committed);
  CHECK(log.text() == "half");
  CHECK(reply.error().partial_text == "half");
  CHECK(reply.error().target.name() == "two/b");
  CHECK(reply.error().attempts[0].outcome == ErrorKind::cancelled);
  CHECK(reply.error().attempts[1].outcome == ErrorKind::stream_interrupted);
}

TEST_CASE("an empty budget means no hedge, and nothing else", "[scenario-142]") {
  ScriptedProvider first{"one/a", {answer("slow").after(15s)}};
  ScriptedProvider second{"two/b"};
  const HedgeBudget budget{{.share = 0.5}};
  HedgedClient hedged{HedgeOptions{.shared_budget = budget}, {first, second}};
  REQUIRE(budget.take());  // the one that it starts with
  const auto slow = hedged.ask();
  REQUIRE(slow);
  CHECK(slow->text() == "slow");
  CHECK(second.send_count() == 0);
  CHECK(budget.balance() == 0.5);
  REQUIRE(hedged.ask());
  CHECK(second.send_count() == 1);
  CHECK(budget.balance() == 0);
}

TEST_CASE("retries and hedges draw from their own budgets", "[scenario-33]") {
  SECTION("no retry is left, and the hedge is sent") {
    ScriptedProvider first{"one/a", {error(ErrorKind::server_error), silence()}};
    ScriptedProvider second{"two/b"};
    HedgedClient hedged{Provider{first} | retry({.budget = RetryBudgetOptions{.capacity = 0}}), second};
    REQUIRE(hedged.ask());
    CHECK(first.send_count() == 1);
    REQUIRE(hedged.ask());
    CHECK(first.send_count() == 2);
    CHECK(second.send_count() == 2);
    CHECK(hedged.sent_at(second, 1) == 10s);
  }
  SECTION("no hedge is left, and the retry is made") {
    ScriptedProvider first{"one/a", {error(ErrorKind::server_error).after(11s), answer("again")}};
    ScriptedProvider second{"two/b"};
    const HedgeBudget budget;
    REQUIRE(budget.take());
    HedgedClient hedged{HedgeOptions{.shared_budget = budget}, {Provider{first} | retry(), second}};
    const auto reply = hedged.ask();
    REQUIRE(reply);
    CHECK(reply->text() == "again");
    CHECK(second.send_count() == 0);
  }
  SECTION("both are wanted, and both happen") {
    ScriptedProvider first{"one/a", {error(ErrorKind::server_error).after(11s), answer("again")}};
    ScriptedProvider second{"two/b", {silence()}};
    HedgedClient hedged{Provider{first} | retry(), second};
    const auto reply = hedged.ask();
    REQUIRE(reply);
    CHECK(reply->text() == "again");
    CHECK(first.send_count() == 2);
    CHECK(second.send_count() == 1);
  }
}

TEST_CASE("cancelling stops both and gives back what they held", "[scenario-143][scenario-195]") {
  const auto breaker_one = CircuitBreaker::create();
  const auto breaker_two = CircuitBreaker::create();
  const Budget money{{.per_period = Money::usd(1)}};
  ScriptedProvider first{priced("one/a"), {silence()}};
  ScriptedProvider second{priced("two/b"), {silence()}};
  HedgedClient hedged{Provider{first} | circuit_breaker(breaker_one) | cost_cap(money),
                      Provider{second} | circuit_breaker(breaker_two) | cost_cap(money)};
  for (const Duration when : {5s, 12s}) {
    CAPTURE(when.count());
    auto call = hedged.world.start(*hedged.client, "hello");
    hedged.world.at(hedged.world.elapsed() + when, [&] { call->cancel(); });
    const Duration began = hedged.world.elapsed();
    hedged.world.run(*call);
    CHECK(hedged.world.elapsed() == began + when);
    REQUIRE_FALSE(call->result());
    CHECK(call->result().error().kind == ErrorKind::cancelled);
    CHECK(call->completions() == 1);
    CHECK(money.snapshot(hedged.world.clock().now()).reserved.cost == Money{});
    CHECK(hedged.world.idle());
  }
  CHECK(first.send_count() == 2);
  CHECK(second.send_count() == 1);
  CHECK(breaker_one->snapshot(hedged.world.clock().now()).calls == 0);
  CHECK(breaker_two->snapshot(hedged.world.clock().now()).calls == 0);
}

TEST_CASE("the loser is booked and leaves its breaker alone", "[scenario-144]") {
  const auto breaker_one = CircuitBreaker::create();
  const auto breaker_two = CircuitBreaker::create();
  const Budget money{{.per_period = Money::usd(1)}};
  ScriptedProvider first{priced("one/a"), {silence()}};
  ScriptedProvider second{priced("two/b"), {answer("from two").after(1s).usage(1000, 10)}};
  HedgedClient hedged{Provider{first} | circuit_breaker(breaker_one) | cost_cap(money),
                      Provider{second} | circuit_breaker(breaker_two) | cost_cap(money)};
  const auto reply = hedged.ask();
  REQUIRE(reply);
  const TimePoint now = hedged.world.clock().now();
  CHECK(breaker_one->snapshot(now).calls == 0);
  CHECK(breaker_two->snapshot(now).calls == 1);
  REQUIRE(reply->attempts.size() == 2);
  CHECK(reply->attempts[0].cost_estimated);
  CHECK(reply->attempts[0].cost > Money{});
  CHECK(reply->attempts[1].cost == Money::usd(1000 * 1e-6 + 10 * 10e-6));
  CHECK(reply->cost == reply->attempts[0].cost + reply->attempts[1].cost);
  CHECK(money.snapshot(now).spent.cost == reply->cost);
  CHECK(money.snapshot(now).reserved.cost == Money{});
}

TEST_CASE("what must not be asked twice is never hedged", "[scenario-145]") {
  for (const bool throws : {false, true}) {
    ScriptedProvider first{"one/a", {answer("slow").after(15s)}};
    ScriptedProvider second{"two/b"};
    const HedgeOptions options{.may_repeat = [throws](const ChatRequest&) {
      if (throws) throw std::runtime_error{"no idea"};
      return false;
    }};
    HedgedClient hedged{options, {first, second}};
    REQUIRE(hedged.ask());
    CHECK(second.send_count() == 0);
  }
}

TEST_CASE("a call that is cancelled where it is asked for a hedge gets none") {
  ScriptedProvider first{"one/a", {silence()}};
  ScriptedProvider second{"two/b"};
  std::shared_ptr<VirtualCall> call;
  HedgeOptions options;
  options.may_repeat = [&](const ChatRequest&) {
    call->cancel();
    return true;
  };
  HedgedClient hedged{options, {first, second}};
  call = hedged.world.start(*hedged.client, "hello");
  hedged.world.run_all();
  CHECK(call->result().error().kind == ErrorKind::cancelled);
  CHECK(second.send_count() == 0);
}

TEST_CASE("a deadline before the delay has passed means no hedge", "[scenario-146]") {
  ScriptedProvider first{"one/a", {silence()}};
  ScriptedProvider second{"two/b"};
  HedgedClient hedged{first, second};
  const auto reply = hedged.ask({.deadline = 8s});
  REQUIRE(reply);
  CHECK(hedged.sent_at(second) == 4s);  // the first one's share is over
  CHECK_FALSE(is_hedge(reply->attempts[1]));
}

TEST_CASE("a target that is not known to be well gets no hedge") {
  ScriptedProvider first{"one/a", {error(ErrorKind::server_error), answer("slow").after(15s)}};
  SECTION("its breaker has yet to find out") {
    ScriptedProvider second{"two/b", {error(ErrorKind::server_error), answer("well")}};
    HedgedClient hedged{first, Provider{second} | circuit_breaker({.consecutive_failures = 1, .open_for = 5s})};
    CHECK_FALSE(hedged.ask());
    hedged.world.run_for(1min);
    REQUIRE(hedged.ask());
    CHECK(second.send_count() == 1);
  }
  SECTION("it cools down") {
    ScriptedProvider second{"two/b", {error(ErrorKind::rate_limited, {.retry_after = 60s})}};
    HedgedClient hedged{first, second};
    CHECK_FALSE(hedged.ask());
    const auto reply = hedged.ask();
    REQUIRE(reply);
    CHECK(reply->text() == "slow");
    CHECK(second.send_count() == 1);
  }
}

TEST_CASE("the call's last send is not spent on a hedge") {
  ScriptedProvider first{"one/a", {answer("slow").after(15s)}};
  ScriptedProvider second{"two/b"};
  HedgedClient hedged{first, second};
  REQUIRE(hedged.ask({.max_attempts = 1}));
  CHECK(second.send_count() == 0);
}

TEST_CASE("a cost cap that cannot cover both sends refuses the hedge") {
  const Money one_send = Money::usd(0.0012);  // 100 output tokens at $10 a million, and some input
  ScriptedProvider first{priced("one/a"), {answer("slow").after(15s)}};
  ScriptedProvider second{priced("two/b")};
  const Policy cap = cost_cap({.per_request = one_send});
  HedgedClient hedged{Provider{first} | cap, Provider{second} | cap};
  const auto reply = hedged.ask();
  REQUIRE(reply);
  CHECK(reply->text() == "slow");
  CHECK(second.send_count() == 0);
  REQUIRE(reply->attempts.size() == 2);
  CHECK(reply->attempts[1].outcome == ErrorKind::budget_exceeded);
  CHECK_FALSE(reply->attempts[1].sent);
}

TEST_CASE("the delay follows what the target usually takes") {
  for (const auto& [usual, delay] : {std::pair<Duration, Duration>{3s, 3s}, {100ms, 1s}}) {
    CAPTURE(usual.count());
    ScriptedProvider first{"one/a"};
    for (int i = 0; i < 50; ++i) first.then(answer("ok").after(usual));
    first.then(silence());
    ScriptedProvider second{"two/b"};
    HedgedClient hedged{first, second};
    for (int i = 0; i < 50; ++i) REQUIRE(hedged.ask());
    const Duration before = hedged.world.elapsed();
    REQUIRE(hedged.ask());
    CHECK(hedged.sent_at(second) == before + delay);
  }
}

TEST_CASE("a stream is one sample of what the target usually takes") {
  ScriptedProvider first{"one/a"};
  for (int i = 0; i < 3; ++i) first.then(stream({"o", "k"}).after(3s));
  first.then(silence()).then(stream({"o", "k"}).after(3s)).then(silence());
  const ScriptedProvider second{"two/b"};
  HedgedClient hedged{{.min_samples = 5, .budget = {.share = 1}}, {first, second}};
  const auto ask = [&] {
    EventLog log{hedged.world.runtime()};
    return hedged.ask({.sink = &log}).has_value();
  };
  for (int i = 0; i < 3; ++i) REQUIRE(ask());
  Duration before = hedged.world.elapsed();
  REQUIRE(ask());  // that the first was slow is the fourth sample
  CHECK(hedged.sent_at(second) == before + 10s);
  REQUIRE(ask());
  before = hedged.world.elapsed();
  REQUIRE(ask());
  CHECK(hedged.sent_at(second, 1) == before + 10s);  // the 95th percentile
}

TEST_CASE("beside a client a hedge avoids the failure domain of the target that is asked, not of the first one") {
  const auto in = [](std::string_view name, std::string domain) {
    ModelFacts facts;
    facts.failure_domain = std::move(domain);
    const Target target = Target::parse(name);
    return Target{target.provider(), target.model(), facts};
  };
  const bool asks_first = GENERATE(false, true);
  ScriptedProvider a{in("one/a", "x"), {asks_first ? silence() : error(ErrorKind::malformed_response)}};
  ScriptedProvider b{in("two/b", "y"), {silence()}};
  ScriptedProvider c{in("three/c", "x"), {answer("c")}};
  ScriptedProvider d{in("four/d", "y"), {answer("d")}};
  VirtualRuntime world;
  const FallbackClient inner{{a, b}, FallbackOptions{.runtime = world.share()}};
  FallbackOptions options;
  options.hedge = HedgeOptions{};
  options.runtime = world.share();
  const FallbackClient outer{{inner, c, d}, options};
  const auto reply = outer.chat("hello");
  REQUIRE(reply);
  CHECK(reply->text() == (asks_first ? "d" : "c"));
  CHECK(reply->elapsed == 10s);
}

TEST_CASE("a consumer that is not reading yet holds neither of them up") {
  ScriptedProvider first{"one/a", {silence()}};
  ScriptedProvider second{"two/b", {stream({"from ", "two"}, 1s).after(1s)}};
  HedgedClient hedged{first, second};
  EventLog log{hedged.world.runtime()};
  log.pause();
  hedged.world.at(30s, [&] { log.resume(); });
  const auto reply = hedged.ask({.sink = &log});
  REQUIRE(reply);
  CHECK(log.text() == "from two");
  CHECK(hedged.sent_at(second) == 10s);
}

TEST_CASE("whatever races whatever, a call ends once, its text stands once, and nothing is left behind",
          "[scenario-138][scenario-143][scenario-144]") {
  std::minstd_rand random{7};
  const auto pick = [&random](int below) { return static_cast<int>(random() % static_cast<unsigned>(below)); };
  // Multiples of half a second, so that many things happen in the same moment.
  const auto some_time = [&pick] { return pick(8) * 500ms; };
  const auto some_step = [&]() -> Step {
    switch (pick(6)) {
      case 0: return error(ErrorKind::server_error).after(some_time());
      case 1: return error(ErrorKind::overloaded).after(some_time());
      case 2: return silence();
      case 3: return deltas({"text ", "cut"}, some_time()).after(some_time()).cut();
      default: return stream({"text ", "of ", "several"}, some_time()).after(some_time());
    }
  };
  const Budget money{{.per_period = Money::usd(1e6)}};
  const auto breaker_one = CircuitBreaker::create({.consecutive_failures = 1000, .failure_rate = 1});
  const auto breaker_two = CircuitBreaker::create({.consecutive_failures = 1000, .failure_rate = 1});
  for (int round = 0; round < 1500; ++round) {
    CAPTURE(round);
    ScriptedProvider first{priced("one/a"), {some_step(), some_step(), some_step()}};
    ScriptedProvider second{priced("two/b"), {some_step(), some_step()}};
    ScriptedProvider third{priced("three/c"), {some_step()}};
    HedgedClient hedged{HedgeOptions{.delay_without_samples = 1s, .budget = {.share = 1}},
                        {Provider{first} | timeout(6s) | circuit_breaker(breaker_one) | cost_cap(money) | retry(),
                         Provider{second} | timeout(6s) | circuit_breaker(breaker_two) | cost_cap(money) | retry(),
                         Provider{third} | timeout(6s) | cost_cap(money)}};
    EventLog log{hedged.world.runtime()};
    VirtualCallOptions options;
    options.deadline = 30s;
    if (pick(2) == 0) options.sink = &log;
    auto call = hedged.world.start(*hedged.client, "hello", options);
    if (pick(4) == 0) hedged.world.at(some_time(), [call] { call->cancel(); });
    hedged.world.run(*call);
    const auto& result = call->result();
    CHECK(call->completions() == 1);
    if (options.sink != nullptr) {
      CHECK(log.text() == (result ? result->text() : result.error().partial_text));
      CHECK(log.count(StreamEvent::Type::finished) + log.count(StreamEvent::Type::failed) == 1);
    }
    const Ledger& rows = result ? result->attempts : result.error().attempts;
    std::size_t answered = 0;
    std::size_t sent = 0;
    for (const Attempt& row : rows) {
      answered += row.outcome ? 0 : 1;
      sent += row.sent ? 1 : 0;
    }
    CHECK(answered == (result ? 1 : 0));
    CHECK(sent == first.send_count() + second.send_count() + third.send_count());
    CHECK(sent <= 5);
    CHECK(money.snapshot(hedged.world.clock().now()).reserved.cost == Money{});
    hedged.world.run_for(1h);
    CHECK(hedged.world.idle());
  }
}

TEST_CASE("targets that are chosen for one call are hedged by what the client knows of them") {
  ScriptedProvider first{"one/a", {answer("1").after(1s), answer("2").after(1s), silence()}};
  ScriptedProvider second{"two/b", {answer("from two")}};
  HedgedClient hedged{HedgeOptions{.min_samples = 2}, {first, second}};
  REQUIRE(hedged.client->chat("one"));
  REQUIRE(hedged.client->chat("two", {.targets = {"one", "two"}}));
  const auto reply = hedged.client->chat("three", {.targets = {"one", "two"}});
  REQUIRE(reply);
  CHECK(reply->served_by.name() == "two/b");
  CHECK(hedged.sent_at(second) == 3s);  // a second after it was asked, not ten
}

TEST_CASE("with one target there is nobody to hedge to") {
  ScriptedProvider only{"one/a", {answer("slow").after(15s)}};
  HedgedClient hedged{only};
  const auto reply = hedged.ask();
  REQUIRE(reply);
  CHECK(reply->attempts.size() == 1);
}

TEST_CASE("options of a hedge that cannot be right are refused") {
  CHECK(problem_with(HedgeOptions{}).empty());
  CHECK_FALSE(problem_with(HedgeOptions{.percentile = 1}).empty());
  CHECK_FALSE(problem_with(HedgeOptions{.min_samples = 0}).empty());
  CHECK_FALSE(problem_with(HedgeOptions{.min_samples = 257}).empty());
  CHECK_FALSE(problem_with(HedgeOptions{.min_delay = -1s}).empty());
  CHECK_FALSE(problem_with(HedgeOptions{.budget = {.share = 0}}).empty());
  FallbackOptions options;
  options.hedge = HedgeOptions{.budget = {.most = 0}};
  CHECK_THROWS_AS((FallbackClient{{Provider{ScriptedProvider{"one/a"}}}, options}), std::invalid_argument);
}

TEST_CASE("a target that was only slow is asked again when the hedge that won breaks off") {
  VirtualRuntime world;
  ScriptedProvider first{"one/a", {silence(), answer("from a")}};
  ScriptedProvider second{"two/b", {deltas({"half"}, 1s).wait(1s).cut()}};
  FallbackOptions options;
  options.mid_stream = MidStream::restart;
  options.hedge.emplace();
  options.recovery.max_wait = 0s;
  options.runtime = world.share();
  EventLog log{world.runtime()};
  const auto reply = world.call(FallbackClient{{first, second}, options}, "hello", {.sink = &log});
  REQUIRE(reply);
  CHECK(reply->served_by == first.target());
  CHECK(log.text() == "from a");
  CHECK(log.count(StreamEvent::Type::restarted) == 1);
  CHECK(first.send_count() == 2);
}

TEST_CASE("a hedge that is refused before it is sent is there for the next call") {
  const HedgeBudget budget;
  HedgeOptions options;
  options.shared_budget = budget;
  InterceptOptions refusing;
  refusing.before = [](RequestEdit&) -> Result<void> { return Error{ErrorKind::local_limit, "not now"}; };
  ScriptedProvider first{"one/a", {answer("late").after(15s)}};
  ScriptedProvider second{"two/b"};
  HedgedClient hedged{options, {first, second | intercept(refusing)}};
  REQUIRE(hedged.ask());
  CHECK(second.send_count() == 0);
  CHECK(budget.balance() == 1.05);  // what it begins with, and the share of the call
}

TEST_CASE("every call pays its share of a hedge once, however many targets it asks") {
  const HedgeBudget budget{{.share = 0.1}};
  HedgeOptions hedge;
  hedge.shared_budget = budget;
  REQUIRE(budget.take());
  const ScriptedProvider failing{"one/a", {error(ErrorKind::malformed_response)}};
  HedgedClient many{hedge, {failing, ScriptedProvider{"two/b", {error(ErrorKind::malformed_response)}}, ScriptedProvider{"three/c"}}};
  REQUIRE(many.ask());
  CHECK(budget.balance() == 0.1);
  HedgedClient one{hedge, {ScriptedProvider{"one/a"}}};
  REQUIRE(one.ask());
  CHECK(budget.balance() == 0.2);
}

TEST_CASE("a hedge is one send, whatever retry stands around its target") {
  ScriptedProvider first{"one/a", {answer("late").after(30s)}};
  ScriptedProvider second{"two/b", {error(ErrorKind::server_error)}};
  HedgedClient hedged{first, second | retry()};
  const auto reply = hedged.ask();
  REQUIRE(reply);
  CHECK(reply->served_by == first.target());
  CHECK(second.send_count() == 1);
}

TEST_CASE("a hedge leaves the call's last send to the target that waits to send") {
  VirtualRuntime world;
  ModelFacts facts;
  facts.price = Price{.input = Money::usd_per_million(1), .output = Money::usd_per_million(1)};
  facts.max_output_tokens = 1000;
  const ScriptedProvider a{Target{"p", "a", facts}, {answer("first").after(2s), answer("A").after(1s)}};
  const ScriptedProvider b{Target{"p", "b", facts}, {answer("B").after(1s)}};
  const Budget budget{{.per_period = Money::usd(0.0012)}};
  FallbackOptions options;
  options.runtime = world.share();
  options.hedge = HedgeOptions{
      .min_delay = 100ms, .delay_without_samples = 100ms, .budget = {.share = 1, .most = 10}};
  const Provider client = FallbackClient{{a, b}, options} | single_flight() | cost_cap(budget);
  const auto request = [](const char* prompt) {
    ChatRequest one{prompt};
    one.max_output_tokens = 1000;
    return one;
  };
  const auto first = world.start(client, request("one"), {.max_attempts = 1});
  world.run_for(300ms);
  const auto second = world.start(client, request("two"), {.max_attempts = 1});
  world.run_for(1min);
  REQUIRE(first->result());
  REQUIRE(second->result());
  CHECK(second->result()->text() == "A");
  CHECK(b.send_count() == 0);
  CHECK(budget.snapshot(world.clock().now()).spent.cost ==
        first->result()->attempts.back().cost + second->result()->attempts.back().cost);
}

TEST_CASE("a client inside another hedges within its own limit of attempts") {
  ScriptedProvider first{"one/a", {silence()}};
  ScriptedProvider second{"two/b", {answer("from two")}};
  VirtualRuntime world;
  FallbackOptions options{.limits = {.max_attempts = 3}, .hedge = HedgeOptions{}};
  options.runtime = world.share();
  const FallbackClient inner{{first, second}, options};
  FallbackOptions plain{.recovery = {.max_wait = 0s}};
  plain.runtime = world.share();
  const auto reply = FallbackClient{{inner, ScriptedProvider{"three/c"}}, plain}.chat("hello");
  REQUIRE(reply);
  CHECK(reply->text() == "from two");
  CHECK(reply->elapsed == 10s);
}

TEST_CASE("a hedge goes on when the first answer was filtered, where another may answer that") {
  ScriptedProvider first{"one/a", {error(ErrorKind::content_filtered).after(11s)}};
  ScriptedProvider second{"two/b", {answer("from two").after(3s)}};
  VirtualRuntime world;
  FallbackOptions options{.fall_back_on_content_filter = true, .hedge = HedgeOptions{}};
  options.runtime = world.share();
  const auto reply = FallbackClient{{first, second}, options}.chat("hello");
  REQUIRE(reply);
  CHECK(reply->elapsed == 13s);
  CHECK(second.send_count() == 1);
}

TEST_CASE("what a judge of the losing hedge said stays in its row, and the answer's row says both") {
  ScriptedProvider first{"one/a", {answer("from one").after(20s)}};
  ScriptedProvider second{"two/b", {answer("from two")}};
  ScriptedProvider judge{"judge/j", {answer("no, it is not")}};
  HedgedClient hedged{first, second | accept_if(judged_by(judge, "Is it right?"))};
  const auto reply = hedged.ask();
  REQUIRE(reply);
  CHECK(reply->text() == "from one");
  REQUIRE(reply->attempts.size() == 3);
  CHECK(reply->attempts[1].outcome == ErrorKind::rejected_response);
  CHECK(is_hedge(reply->attempts[1]));
  CHECK(reply->attempts[2].judge);
  CHECK_FALSE(reply->attempts[2].outcome);
  CHECK(reply->attempts[2].reason.empty());
}

TEST_CASE("a stream that a floor holds back wins no race before it is let through") {
  ScriptedProvider first{"one/a", {stream({"well"}).after(13s)}};
  ScriptedProvider second{"two/b", {stream({"bad"})}};
  HedgedClient hedged{first, second | accept_if(satisfies("never", [](const Answer&) { return false; }))};
  EventLog log{hedged.world.runtime()};
  const auto reply = hedged.ask({.sink = &log});
  REQUIRE(reply);
  CHECK(log.text() == "well");
  CHECK(hedged.world.elapsed() == 13s);
  CHECK(first.send_count() == 1);
}

}  // namespace hedge_test
