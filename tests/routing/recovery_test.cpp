#include "backstop/routing/recovery_options.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/bulkhead.hpp"
#include "backstop/policies/cache.hpp"
#include "backstop/policies/circuit_breaker.hpp"
#include "backstop/policies/standard.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace recovery_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

Step out_for(Duration span) { return error(ErrorKind::rate_limited, {.retry_after = span}); }

struct Lab {
  FallbackClient client(std::vector<Provider> providers, const RecoveryOptions& recovery = {}) {
    return FallbackClient{std::move(providers), FallbackOptions{.recovery = recovery, .runtime = world.share()}};
  }
  /// When requests went out there, since the beginning.
  std::vector<Duration> times(const ScriptedProvider& model) const {
    std::vector<Duration> times;
    for (const auto& send : model.sends()) times.push_back(world.since(send.at));
    return times;
  }
  /// A call at that moment; all of them run when the world does.
  void call_at(Duration moment, const FallbackClient& client, std::string text = "hello") {
    world.at(moment, [this, client, text] { calls.push_back(world.start(client, text)); });
  }

  VirtualRuntime world;
  std::vector<std::shared_ptr<VirtualCall>> calls;
};

/// The target is out from now on, by a call that does not wait.
void take_out(const FallbackClient& client) { REQUIRE_FALSE(client.chat("first", {.limits = {.recovery_wait = 0s}})); }

using Times = std::vector<Duration>;

}  // namespace

TEST_CASE("a call waits for its target to come back, and the row says how long") {
  Lab lab;
  const ScriptedProvider model{"one/a", {out_for(3s), answer("back")}};
  const FallbackClient client = lab.client({model});
  SECTION("when its own send was refused") {
    const auto reply = client.chat("hello");
    REQUIRE(reply);
    CHECK(reply->text() == "back");
    CHECK(reply->elapsed == 3s);
    REQUIRE(reply->attempts.size() == 2);
    CHECK(reply->attempts[0].outcome == ErrorKind::rate_limited);
    CHECK(reply->attempts[0].waited == 0s);
    CHECK(reply->attempts[1].waited == 3s);
  }
  SECTION("when an earlier call's was") {
    take_out(client);
    lab.world.run_for(1s);
    const auto reply = client.chat("hello");
    REQUIRE(reply);
    CHECK(reply->elapsed == 2s);
    REQUIRE(reply->attempts.size() == 2);
    CHECK_FALSE(reply->attempts[0].sent);
    CHECK(reply->attempts[0].outcome == ErrorKind::local_limit);
    CHECK(reply->attempts[1].sent);
    CHECK(reply->attempts[1].waited == 2s);
  }
  CHECK(lab.times(model) == Times{0s, 3s});
  CHECK(lab.world.idle());
}

TEST_CASE("of several targets the one that is back first is waited for, and all are asked anew in their order") {
  Lab lab;
  const ScriptedProvider first{"one/a", {out_for(5s), answer("from a")}};
  const ScriptedProvider second{"two/b", {out_for(2s), answer("from b")}};
  const auto reply = lab.client({first, second}).chat("hello");
  REQUIRE(reply);
  CHECK(reply->text() == "from b");
  CHECK(reply->elapsed == 2s);
  CHECK(reply->fallback);
}

TEST_CASE("a call that has used its sends up does not wait, as with three targets that fail twice each") {
  Lab lab;
  const auto overloaded_target = [](const char* name) {
    return Provider{ScriptedProvider{name, {error(ErrorKind::overloaded)}}} | standard();
  };
  const FallbackClient client =
      lab.client({overloaded_target("one/a"), overloaded_target("two/b"), overloaded_target("three/c")});
  const auto reply = client.chat("hello");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::overloaded);
  int sends = 0;
  for (const Attempt& row : reply.error().attempts) {
    sends += row.sent ? 1 : 0;
    CHECK(row.waited < 10s);
  }
  CHECK(sends == 5);
  CHECK(reply.error().elapsed < 10s);
}

TEST_CASE("what a call waits is bounded over its whole life") {
  Lab lab;
  const ScriptedProvider model{"one/a", {out_for(6s), out_for(4s), out_for(1s), answer("late")}};
  SECTION("each wait counts") {
    const auto reply = lab.client({model}).chat("hello");
    REQUIRE_FALSE(reply);
    CHECK(reply.error().kind == ErrorKind::rate_limited);
    CHECK(reply.error().elapsed == 10s);
    CHECK(lab.times(model) == Times{0s, 6s, 10s});
  }
  SECTION("a wait beyond the bound is not begun") {
    const auto reply = lab.client({model}, {.max_wait = 9s}).chat("hello");
    REQUIRE_FALSE(reply);
    CHECK(reply.error().elapsed == 6s);
    CHECK(reply.error().retry_after == 4s);
    CHECK(lab.times(model) == Times{0s, 6s});
  }
  CHECK(lab.world.idle());
}

TEST_CASE("without leave to wait a call fails at once, and says when to come back") {
  Lab lab;
  const ScriptedProvider model{"one/a", {out_for(3s), answer("back")}};
  const FallbackClient client = lab.client({model}, {.max_wait = 0s});
  const auto refused = client.chat("hello");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::rate_limited);
  CHECK(refused.error().retry_after == 3s);
  lab.world.run_for(1s);
  const auto passed_over = client.chat("hello");
  REQUIRE_FALSE(passed_over);
  CHECK(passed_over.error().kind == ErrorKind::local_limit);
  CHECK(passed_over.error().retry_after == 2s);
  CHECK(lab.world.elapsed() == 1s);
}

TEST_CASE("one call may wait longer or shorter than its client's calls do") {
  Lab lab;
  const ScriptedProvider model{"one/a", {out_for(3s), answer("back")}};
  const FallbackClient never = lab.client({model}, {.max_wait = 0s});
  const FallbackClient waits = lab.client({model});
  REQUIRE_FALSE(waits.chat("hello", {.limits = {.recovery_wait = 0s}}));
  CHECK(lab.world.elapsed() == 0s);
  REQUIRE_FALSE(waits.chat("hello", {.limits = {.recovery_wait = 2999ms}}));
  CHECK(lab.world.elapsed() == 0s);
  REQUIRE(never.chat("hello", {.limits = {.recovery_wait = 3s}}));
  CHECK(lab.world.elapsed() == 3s);
}

TEST_CASE("so many calls wait at once, and the next ones fail at once") {
  Lab lab;
  const ScriptedProvider model{"one/a", {out_for(3s), answer("back")}};
  const FallbackClient client = lab.client({model}, {.max_waiting = 2});
  take_out(client);
  for (int i = 0; i < 3; ++i) lab.call_at(1s + i * 1ms, client);
  lab.world.run_for(10s);
  REQUIRE(lab.calls.size() == 3);
  CHECK(lab.calls[0]->result());
  CHECK(lab.calls[1]->result());
  REQUIRE_FALSE(lab.calls[2]->result());
  CHECK(lab.calls[2]->result().error().kind == ErrorKind::local_limit);
  CHECK(lab.calls[2]->result().error().retry_after == 1998ms);
  CHECK(lab.world.since(lab.calls[2]->ended_at()) == 1002ms);
}

TEST_CASE("a call whose deadline leaves no time for the attempt after the wait fails at once") {
  Lab lab;
  const ScriptedProvider model{"one/a", {out_for(3s), answer("back")}};
  const FallbackClient client = lab.client({model}, {.min_attempt_time = 4s});
  const auto late = client.chat("hello", {.limits = {.deadline = 7s - 1ns}});
  REQUIRE_FALSE(late);
  CHECK(late.error().kind == ErrorKind::rate_limited);
  CHECK(lab.world.elapsed() == 0s);
  CHECK(client.chat("hello", {.limits = {.deadline = 7s}}));
  CHECK(lab.world.elapsed() == 3s);
}

TEST_CASE("calls go on in the order of coming: one, and after its first content two, then four") {
  Lab lab;
  const Step slow = stream({"a", "b"}, 10s).after(1s);  // its first content comes after a second
  const ScriptedProvider model{"one/a", {out_for(3s), slow}};
  const FallbackClient client = lab.client({model});
  take_out(client);
  constexpr int count = 12;
  std::vector<std::unique_ptr<EventLog>> logs;
  std::vector<std::shared_ptr<VirtualCall>> calls;
  for (int i = 0; i < count; ++i) {
    logs.push_back(std::make_unique<EventLog>(lab.world.runtime()));
    lab.world.at(100ms * (i + 1), [&, i] {
      calls.push_back(lab.world.start(client, std::to_string(i), {.sink = logs[static_cast<std::size_t>(i)].get()}));
    });
  }
  lab.world.run_for(60s);
  const auto sends = model.sends();
  REQUIRE(sends.size() == count + 1);
  for (int i = 0; i < count; ++i) {
    CAPTURE(i);
    CHECK(text_of(sends[static_cast<std::size_t>(i) + 1].request.messages.front().parts) == std::to_string(i));
  }
  const Times times = lab.times(model);
  // One; two at once, of which the first is under way still; four, of which two are; eight, of which four are.
  CHECK(times == Times{0s, 3s, 4s, 5s, 5s, 6s, 6s, 6s, 6s, 7s, 7s, 7s, 7s});
  for (const auto& call : calls) CHECK(call->result());
  CHECK(lab.world.idle());
}

TEST_CASE("plain answers let the calls that wait go on step by step too") {
  Lab lab;
  const ScriptedProvider model{"one/a", {out_for(3s), answer("back").after(1s)}};
  const FallbackClient client = lab.client({model});
  take_out(client);
  for (int i = 0; i < 40; ++i) lab.call_at(1s, client);
  lab.world.run_for(20s);
  const Times times = lab.times(model);
  const auto count = [&](Duration at) { return std::count(times.begin(), times.end(), at); };
  for (int step = 0; step < 5; ++step) CHECK(count(3s + step * 1s) == 1 << step);
  CHECK(count(8s) == 9);
  for (const auto& call : lab.calls) CHECK(call->result());
}

TEST_CASE("when the first that goes on fails, the others begin from one again") {
  Lab lab;
  const ScriptedProvider model{"one/a", {out_for(3s), out_for(2s).after(500ms), answer("back").after(1s)}};
  const FallbackClient client = lab.client({model});
  take_out(client);
  for (int i = 0; i < 3; ++i) lab.call_at(1s, client);
  lab.world.run_for(20s);
  const Times times = lab.times(model);
  REQUIRE(times.size() == 5);
  CHECK(times[1] == 3s);
  CHECK(times[2] == 5500ms);
  CHECK(times[3] == 6500ms);
  CHECK(times[4] == 6500ms);
  for (const auto& call : lab.calls) CHECK(call->result());
}

TEST_CASE("when those that go on fail, or all has been well since, the next begin from one again") {
  Lab lab;
  const Step slow = answer("back").after(1s);
  const ScriptedProvider model{"one/a", {out_for(3s), slow, out_for(2s).after(1s), out_for(2s).after(1s), slow, slow,
                                          slow, slow, slow, slow, out_for(3s), slow}};
  const FallbackClient client = lab.client({model});
  take_out(client);
  for (int i = 0; i < 6; ++i) lab.call_at(1s, client);
  lab.world.run_for(20s);
  for (const auto& call : lab.calls) CHECK(call->result());
  CHECK(lab.times(model) == Times{0s, 3s, 4s, 4s, 7s, 8s, 8s, 9s, 9s});

  REQUIRE(client.chat("hello"));  // at 20 s
  take_out(client);
  for (int i = 0; i < 3; ++i) lab.call_at(22s, client);
  lab.world.run_for(20s);
  const Times times = lab.times(model);
  CHECK(Times(times.begin() + 11, times.end()) == Times{24s, 25s, 25s});
}

TEST_CASE("what failed for good within a client is not waited for, its other targets are") {
  Lab lab;
  const ScriptedProvider passes{"one/a", {out_for(3s), answer("back")}};
  const ScriptedProvider refused{"two/b", {error(ErrorKind::authentication)}};
  const auto reply = lab.client({lab.client({passes, refused})}).chat("hello");
  REQUIRE(reply);
  CHECK(reply->text() == "back");
  CHECK(reply->elapsed == 3s);
  CHECK(refused.send_count() == 1);
}

TEST_CASE("a call that waits goes on when a target of its client answers another one") {
  Lab lab;
  const auto breaker = CircuitBreaker::create({.consecutive_failures = 1, .open_for = 60s, .jitter = 0});
  const ScriptedProvider model{"one/a", {error(ErrorKind::server_error), answer("well again")}};
  const FallbackClient client =
      lab.client({model | circuit_breaker(breaker)}, {.probe_interval = 8s, .probe_interval_max = 8s});
  take_out(client);
  lab.call_at(1s, client);
  lab.world.at(2s, [&] { breaker->force_close(); });
  lab.call_at(3s, client);
  lab.world.run_for(20s);
  REQUIRE(lab.calls.size() == 2);
  REQUIRE(lab.calls[0]->result());
  REQUIRE(lab.calls[1]->result());
}

TEST_CASE("a target with an open breaker is probed by force, a second after its failure") {
  Lab lab;
  const auto breaker = CircuitBreaker::create({.consecutive_failures = 1, .open_for = 60s, .successes_to_close = 1});
  const ScriptedProvider model{"one/a", {error(ErrorKind::server_error), answer("well again")}};
  const FallbackClient client = lab.client({model | circuit_breaker(breaker)});
  const auto reply = client.chat("hello");
  REQUIRE(reply);
  CHECK(reply->elapsed == 1s);
  REQUIRE(reply->attempts.size() == 2);
  CHECK(reply->attempts[1].waited == 1s);
  CHECK(breaker->state() == BreakerState::closed);
}

TEST_CASE("forced probes are paced from one second to ten, also for calls that come one after another") {
  Lab lab;
  const ScriptedProvider model{"one/a", {error(ErrorKind::server_error)}};
  const Policy breaker = circuit_breaker({.consecutive_failures = 1, .open_for = 1h, .open_for_max = 1h});
  const Duration max_wait = GENERATE(Duration{0s}, Duration{10s});
  const FallbackClient client = lab.client({model | breaker}, {.max_wait = max_wait});
  for (int i = 0; i < 100; ++i) lab.call_at(500ms * i, client);
  lab.world.run_for(50s);
  if (max_wait == 0s) {
    CHECK(lab.times(model) == Times{0s, 500ms, 1500ms, 3500ms, 7500ms, 15500ms, 25500ms, 35500ms, 45500ms});
  } else {
    const Times times = lab.times(model);
    REQUIRE(times.size() >= 4);
    CHECK(times.size() <= 9);
    for (std::size_t i = 2; i < times.size(); ++i) {
      CHECK(times[i] - times[i - 1] >= std::min<Duration>(1s * (1 << (i - 2)), 10s));
    }
  }
}

TEST_CASE("an endless interval turns forced probes off but for the first") {
  Lab lab;
  const ScriptedProvider model{"one/a", {error(ErrorKind::server_error)}};
  const Policy breaker = circuit_breaker({.consecutive_failures = 1, .open_for = 300s});
  const FallbackClient client = lab.client(
      {model | breaker},
      {.max_wait = 0s, .probe_interval = Duration::max(), .probe_interval_max = Duration::max()});
  for (int i = 0; i < 20; ++i) lab.call_at(10s * i, client);
  lab.world.run_for(200s);
  CHECK(lab.times(model) == Times{0s, 10s});
}

TEST_CASE("a forced probe that hangs keeps others back for two minutes, not until it ends") {
  Lab lab;
  const ScriptedProvider model{"one/a", {error(ErrorKind::server_error), silence()}};
  const Policy breaker = circuit_breaker({.consecutive_failures = 1, .open_for = 300s, .jitter = 0});
  const FallbackClient client = lab.client({model | breaker}, {.max_wait = 0s});
  for (int i = 0; i < 30; ++i) lab.call_at(10s * i, client);
  lab.world.run_for(290s);
  CHECK(lab.times(model) == Times{0s, 10s, 130s, 250s});
}

TEST_CASE("a forced probe that its caller gives up says nothing of the target, and the next one may go at once") {
  Lab lab;
  const ScriptedProvider model{"one/a", {error(ErrorKind::server_error), silence(), silence(), silence(), answer("back")}};
  const Policy breaker = circuit_breaker({.consecutive_failures = 1, .open_for = 300s, .jitter = 0});
  const FallbackClient client = lab.client({model | breaker}, {.max_wait = 0s});
  take_out(client);
  lab.world.run_for(1s);
  for (int i = 0; i < 3; ++i) {
    const auto given_up = lab.world.start(client, "hello");
    lab.world.run_for(2s);
    given_up->cancel();
    lab.world.run_for(1ms);
  }
  CHECK(model.send_count() == 4);
  CHECK(client.chat("hello"));
}

TEST_CASE("a call that a full bulkhead refuses waits for room") {
  Lab lab;
  const ScriptedProvider model{"one/a", {answer("hi").after(3s)}};
  const FallbackClient client = lab.client({model | bulkhead({.max_in_flight = 1})});
  lab.call_at(0s, client);
  lab.call_at(1s, client);
  lab.world.run_for(20s);
  for (const auto& call : lab.calls) {
    REQUIRE(call->done());
    CHECK(call->result());
  }
  CHECK(lab.times(model) == Times{0s, 3s});
}

TEST_CASE("an answer from a cache is no success of a target: probes keep their pace") {
  Lab lab;
  const ScriptedProvider model{"one/a", {answer("kept"), error(ErrorKind::server_error)}};
  const Policy breaker = circuit_breaker({.consecutive_failures = 1, .open_for = 300s});
  const FallbackClient client =
      lab.client({model | breaker | cache({.any_temperature = true})}, {.max_wait = 0s});
  REQUIRE(client.chat("known"));
  for (int i = 0; i < 40; ++i) {
    lab.call_at(500ms * i, client, "known");
    lab.call_at(500ms * i, client, "new");
  }
  lab.world.run_for(20s);
  CHECK(lab.times(model) == Times{0s, 0s, 500ms, 1500ms, 3500ms, 7500ms, 15500ms});
}

TEST_CASE("what a server set by a hint is not probed before it ends") {
  Lab lab;
  const ErrorKind kind = GENERATE(ErrorKind::rate_limited, ErrorKind::overloaded);
  const bool broken = GENERATE(false, true);
  CAPTURE(to_string(kind), broken);
  const ScriptedProvider model{"one/a", {error(kind, {.retry_after = 60s}), answer("back")}};
  const Provider target =
      broken ? model | circuit_breaker({.consecutive_failures = 1, .open_for = 20s}) : Provider{model};
  const FallbackClient client = lab.client({target}, {.max_wait = 0s});
  for (int i = 0; i < 99; ++i) lab.call_at(500ms * i, client);
  lab.world.run_for(50s);
  CHECK(model.send_count() == 1);
  for (const auto& call : lab.calls) CHECK_FALSE(call->result());
  lab.world.run_for(10s);
  CHECK(client.chat("hello"));
}

TEST_CASE("what a probe cannot mend is never probed and never waited for") {
  Lab lab;
  const auto refuses = [&](const FallbackClient& client, const ChatRequest& request) {
    const Duration before = lab.world.elapsed();
    for (int i = 0; i < 3; ++i) {
      const auto reply = client.chat(request);
      CHECK_FALSE(reply);
      CHECK(lab.world.elapsed() == before + i * 2s);
      lab.world.run_for(2s);
    }
  };
  SECTION("bad credentials, missing permission, a used-up quota") {
    for (const ErrorKind kind : {ErrorKind::authentication, ErrorKind::permission, ErrorKind::quota_exhausted}) {
      CAPTURE(to_string(kind));
      const ScriptedProvider model{"one/a", {error(kind)}};
      refuses(lab.client({model | circuit_breaker({.consecutive_failures = 1})}), "hello");
      CHECK(model.send_count() == 1);
    }
  }
  SECTION("a target that was isolated by hand") {
    const auto breaker = CircuitBreaker::create();
    breaker->isolate();
    const ScriptedProvider model{"one/a"};
    refuses(lab.client({model | circuit_breaker(breaker)}), "hello");
    CHECK(model.send_count() == 0);
  }
  SECTION("one that cannot take the request") {
    ModelFacts blind;
    blind.capabilities.vision = false;
    const ScriptedProvider model{Target{"one", "a", blind}, {error(ErrorKind::server_error)}};
    const FallbackClient client = lab.client({model | circuit_breaker({.consecutive_failures = 1, .open_for = 300s})});
    take_out(client);
    ChatRequest request{"what is that?"};
    request.messages.front().parts.emplace_back(Image{.url = "https://example.org/a.png"});
    refuses(client, request);
    CHECK(model.send_count() == 1);
  }
  CHECK(lab.world.idle());
}

TEST_CASE("open breakers are probed before cooldowns, and of them the one that did best lately") {
  Lab lab;
  const Step fails = error(ErrorKind::server_error);
  SECTION("a model that was not there comes after an open breaker") {
    const ScriptedProvider missing{"one/a", {error(ErrorKind::model_not_found)}};
    const ScriptedProvider broken{"two/b", {fails, answer("from b")}};
    const FallbackClient client = lab.client({missing, broken | circuit_breaker({.consecutive_failures = 1})});
    take_out(client);
    lab.world.run_for(5s);
    const auto reply = client.chat("hello");
    REQUIRE(reply);
    CHECK(reply->served_by.name() == "two/b");
    CHECK(missing.send_count() == 1);
  }
  SECTION("and is probed all the same when there is none") {
    const ScriptedProvider missing{"one/a", {error(ErrorKind::model_not_found), answer("there now")}};
    const FallbackClient client = lab.client({missing});
    take_out(client);
    lab.world.run_for(5s);
    CHECK(client.chat("hello"));
  }
  SECTION("the better of two") {
    const Policy breaker = circuit_breaker({.consecutive_failures = 3});
    const ScriptedProvider worse{"one/a", {fails, fails, fails, answer("from a")}};
    const ScriptedProvider better{"two/b", {answer("ok"), fails, fails, fails, answer("from b")}};
    const FallbackClient client = lab.client({worse | breaker, better | breaker});
    REQUIRE(client.chat("hello"));
    for (int i = 0; i < 3; ++i) take_out(client);
    lab.world.run_for(5s);
    const auto reply = client.chat("hello");
    REQUIRE(reply);
    CHECK(reply->served_by.name() == "two/b");
  }
  SECTION("until its probes fail, too") {
    const Policy breaker = circuit_breaker({.consecutive_failures = 3, .open_for = 1h, .open_for_max = 1h});
    const ScriptedProvider worse{"one/a", {fails, fails, fails, answer("from a")}};
    const ScriptedProvider better{"two/b", {answer("ok"), fails}};
    const FallbackClient client = lab.client({worse | breaker, better | breaker});
    REQUIRE(client.chat("hello"));
    for (int i = 0; i < 3; ++i) take_out(client);
    CHECK(better.send_count() == 4);
    lab.world.run_for(20s);
    const auto reply = client.chat("hello");
    REQUIRE(reply);
    CHECK(reply->served_by.name() == "one/a");
    CHECK(better.send_count() == 5);
  }
}

TEST_CASE("cancelling ends a wait at once and leaves nothing") {
  Lab lab;
  const ScriptedProvider model{"one/a", {out_for(8s), answer("back")}};
  const FallbackClient client = lab.client({model}, {.max_waiting = 1});
  lab.call_at(0s, client);
  lab.world.at(2s, [&] { lab.calls.front()->cancel(); });
  lab.world.run_for(2s);
  REQUIRE(lab.calls.front()->done());
  CHECK(lab.calls.front()->result().error().kind == ErrorKind::cancelled);
  CHECK(lab.world.since(lab.calls.front()->ended_at()) == 2s);
  CHECK(lab.world.idle());
  CHECK(client.chat("hello"));  // its place is free
  CHECK(lab.times(model) == Times{0s, 8s});
}

TEST_CASE("the first in the queue who leaves lets the next one go") {
  Lab lab;
  const ScriptedProvider model{"one/a", {out_for(3s), silence(), answer("back")}};
  const FallbackClient client = lab.client({model});
  take_out(client);
  lab.call_at(1s, client, "leaves");
  lab.call_at(1s, client, "stays");
  lab.world.at(4s, [&] { lab.calls.front()->cancel(); });
  lab.world.run_for(10s);
  REQUIRE(lab.calls[1]->done());
  REQUIRE(lab.calls[1]->result());
  CHECK(lab.times(model) == Times{0s, 3s, 4s});
  CHECK(lab.world.idle());
}

TEST_CASE("nothing is waited for once content has reached a consumer who cannot be told of another answer") {
  Lab lab;
  ModelFacts facts;
  facts.capabilities.prefill = true;
  const ScriptedProvider model{Target{"one", "a", facts},
                               {deltas({"half"}).fail(ErrorKind::overloaded, {.retry_after = 3s}), answer("whole")}};
  const FallbackClient client{{model}, FallbackOptions{.runtime = lab.world.share()}};
  EventLog log{lab.world.runtime()};
  const auto reply = lab.world.call(client, "hello", {.sink = &log});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::stream_interrupted);
  CHECK(reply.error().partial_text == "half");
  CHECK(reply.error().elapsed == 0s);
  CHECK(log.text() == "half");
  CHECK(model.send_count() == 1);
}

TEST_CASE("with restart a stream that broke waits for a target that gives the answer anew") {
  Lab lab;
  const ScriptedProvider model{"one/a", {deltas({"half"}).fail(ErrorKind::overloaded, {.retry_after = 3s}), answer("whole")}};
  const FallbackClient client{{model}, FallbackOptions{.mid_stream = MidStream::restart, .runtime = lab.world.share()}};
  EventLog log{lab.world.runtime()};
  const auto reply = lab.world.call(client, "hello", {.sink = &log});
  REQUIRE(reply);
  CHECK(reply->elapsed == 3s);
  CHECK(log.text() == "whole");
  CHECK(log.count(StreamEvent::Type::restarted) == 1);
}

TEST_CASE("a client inside another does not wait by itself") {
  Lab lab;
  const ScriptedProvider inside{"one/a", {out_for(3s), answer("from a")}};
  const FallbackClient inner = lab.client({inside});
  SECTION("while another target of the outer one is ready") {
    const auto reply = lab.client({inner, ScriptedProvider{"two/b"}}).chat("hello");
    REQUIRE(reply);
    CHECK(reply->served_by.name() == "two/b");
    CHECK(reply->elapsed == 0s);
  }
  SECTION("the outer one waits for all") {
    const ScriptedProvider beside{"two/b", {out_for(2s), answer("from b")}};
    const auto reply = lab.client({inner, beside}).chat("hello");
    REQUIRE(reply);
    CHECK(reply->served_by.name() == "two/b");
    CHECK(reply->elapsed == 2s);
  }
  SECTION("and decides for how long") {
    const ScriptedProvider beside{"two/b", {out_for(30s)}};
    const auto reply = lab.client({inner, beside}, {.max_wait = 1s}).chat("hello");
    CHECK_FALSE(reply);
    CHECK(lab.world.elapsed() == 0s);
  }
}

TEST_CASE("a plan tells the wait") {
  Lab lab;
  const ScriptedProvider model{"one/a", {out_for(8s), answer("back")}};
  const FallbackClient client = lab.client({model});
  CHECK_FALSE(client.explain("hello").waits);
  take_out(client);
  lab.world.run_for(3s);
  CHECK(client.explain("hello").waits == 5s);
  CHECK_FALSE(lab.client({model}, {.max_wait = 4s}).explain("hello").waits);
  CHECK_FALSE(lab.client({model, ScriptedProvider{"two/b"}}).explain("hello").waits);
  lab.world.run_for(5s);
  CHECK_FALSE(client.explain("hello").waits);
}

TEST_CASE("a plan tells no wait where the call would not wait") {
  Lab lab;
  const ScriptedProvider model{"one/a", {out_for(3s)}};
  const auto waits = [&](const CallLimits& limits) {
    return FallbackClient{{model}, {.limits = limits, .runtime = lab.world.share()}}.explain("hello").waits;
  };
  take_out(lab.client({model}));
  CHECK(waits({}) == 3s);
  CHECK_FALSE(waits({.recovery_wait = 2s}));
  CHECK(waits({.recovery_wait = 3s}) == 3s);
  CHECK_FALSE(waits({.deadline = 7s}));
  CHECK(waits({.deadline = 8s}) == 3s);
}

TEST_CASE("a plan tells the wait for a forced probe, too") {
  Lab lab;
  const ScriptedProvider model{"one/a", {error(ErrorKind::server_error)}};
  const Policy breaker = circuit_breaker({.consecutive_failures = 1, .open_for = 300s});
  const FallbackClient client = lab.client({model | breaker}, {.max_wait = 0s});
  take_out(client);
  CHECK(client.explain("hello").waits == 0s);  // one that comes now may find out
  take_out(client);
  lab.world.run_for(400ms);
  CHECK_FALSE(client.explain("hello").waits);
  const FallbackClient patient = lab.client({model | breaker});
  take_out(patient);
  take_out(patient);
  lab.world.run_for(400ms);
  CHECK(patient.explain("hello").waits == 600ms);
}

TEST_CASE("a hint of a month keeps a target out for ten minutes, then one call finds out") {
  Lab lab;
  constexpr Duration month = 24h * 31;
  const bool well = GENERATE(false, true);
  const Step then = well ? answer("back").after(1s) : out_for(month).after(1s);
  const ScriptedProvider model{"one/a", {out_for(month), then}};
  const FallbackClient client = lab.client({model}, {.max_wait = 0s});
  take_out(client);
  lab.world.run_for(10min - 1ns);
  CHECK_FALSE(client.chat("hello"));
  CHECK(model.send_count() == 1);
  for (int i = 0; i < 20; ++i) lab.call_at(10min, client);
  lab.world.run_for(10s);
  CHECK(model.send_count() == 2);
  const auto answered = [](const auto& call) { return call->result().has_value(); };
  CHECK(std::count_if(lab.calls.begin(), lab.calls.end(), answered) == (well ? 1 : 0));
  const auto next = client.chat("hello");
  CHECK(next.has_value() == well);
  CHECK(model.send_count() == (well ? 3 : 2));
}

TEST_CASE("the longest that a hint is believed is an option") {
  Lab lab;
  const ScriptedProvider model{"one/a", {out_for(1h), answer("back")}};
  const FallbackClient client = lab.client({model}, {.max_wait = 0s, .cooldown_max = 20s});
  take_out(client);
  lab.world.run_for(20s - 1ns);
  CHECK_FALSE(client.chat("hello"));
  lab.world.run_for(1ns);
  CHECK(client.chat("hello"));
  CHECK(lab.times(model) == Times{0s, 20s});
}

TEST_CASE("of clients within each other the outermost says how long a hint is believed") {
  Lab lab;
  const ScriptedProvider model{"one/a", {out_for(1h), answer("back")}};
  const FallbackClient inner = lab.client({model}, {.max_wait = 0s, .cooldown_max = 600s});
  const FallbackClient outer = lab.client({inner}, {.max_wait = 0s, .cooldown_max = 20s});
  take_out(outer);
  lab.world.run_for(20s);
  CHECK(outer.chat("hello"));
}

TEST_CASE("after a wait the error names the target that recovers first then") {
  Lab lab;
  const ScriptedProvider first{"one/a", {out_for(3s), out_for(100s)}};
  const ScriptedProvider second{"two/b", {out_for(30s)}};
  const FallbackClient client = lab.client({first, second}, {.max_wait = 4s});
  take_out(client);
  const auto reply = client.chat("hello");
  REQUIRE_FALSE(reply);
  const auto later = client.chat("hello", {.limits = {.recovery_wait = 0s}});
  REQUIRE_FALSE(later);
  CHECK(later.error().target.name() == "two/b");
  CHECK(later.error().retry_after == 27s);
}

TEST_CASE("what failed for good is not waited for") {
  Lab lab;
  const ErrorKind kind = GENERATE(ErrorKind::invalid_request, ErrorKind::content_filtered, ErrorKind::authentication,
                                  ErrorKind::context_window_exceeded, ErrorKind::unsupported_capability);
  CAPTURE(to_string(kind));
  const ScriptedProvider model{"one/a", {error(kind)}};
  const auto reply = lab.client({model}).chat("hello");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == kind);
  CHECK(lab.world.elapsed() == 0s);
  CHECK(model.send_count() == 1);
}

TEST_CASE("bounds that cannot be are refused with their name") {
  CHECK(problem_with(RecoveryOptions{}).empty());
  CHECK(problem_with(RecoveryOptions{.max_wait = -1s}).find("max_wait") != std::string::npos);
  CHECK(problem_with(RecoveryOptions{.max_waiting = -1}).find("max_waiting") != std::string::npos);
  CHECK(problem_with(RecoveryOptions{.probe_interval = 0s}).find("probe_interval") != std::string::npos);
  CHECK(problem_with(RecoveryOptions{.probe_interval = 20s}).find("probe_interval_max") != std::string::npos);
  CHECK(problem_with(RecoveryOptions{.min_attempt_time = -1s}).find("min_attempt_time") != std::string::npos);
  CHECK(problem_with(RecoveryOptions{.cooldown_max = 0s}).find("cooldown_max") != std::string::npos);
  const ScriptedProvider model{"one/a"};
  CHECK_THROWS_AS((FallbackClient{{model}, FallbackOptions{.recovery = {.max_wait = -1s}}}), std::invalid_argument);
}

TEST_CASE("that a failure domain is out is found out anew when its targets have been waited for") {
  VirtualRuntime world;
  ModelFacts facts;
  facts.failure_domain = "gateway";
  const ScriptedProvider first{Target{"one", "a", facts},
                               {error(ErrorKind::connect_failed), error(ErrorKind::server_error)}};
  const ScriptedProvider second{Target{"two", "b", facts}, {answer("hi")}};
  FallbackOptions options;
  options.runtime = world.share();
  const auto reply = FallbackClient{{first, second}, options}.chat("hello");
  REQUIRE(reply);
  CHECK(reply->served_by == second.target());
  CHECK(first.send_count() == 2);
  CHECK(reply->attempts[1].outcome);
  CHECK_FALSE(reply->attempts[1].sent);
}

TEST_CASE("targets of one failure domain are waited for like others, and the plan says so") {
  VirtualRuntime world;
  ModelFacts facts;
  facts.failure_domain = "gateway";
  const ScriptedProvider first{Target{"one", "a", facts}, {out_for(3s), answer("back")}};
  const ScriptedProvider second{Target{"two", "b", facts}, {out_for(5s), answer("late")}};
  FallbackOptions options;
  options.runtime = world.share();
  const FallbackClient client{{first, second}, options};
  CHECK_FALSE(client.chat("hello", {.limits = {.recovery_wait = 0s}}));
  CHECK(client.explain("hello").waits == 3s);
  const auto reply = client.chat("hello");
  REQUIRE(reply);
  CHECK(reply->text() == "back");
  CHECK(world.elapsed() == 3s);
}

TEST_CASE("an answer of a model that was not found shows that it is there") {
  VirtualRuntime world;
  const ScriptedProvider a{"p/a", {error(ErrorKind::model_not_found), answer("x").after(3s)}};
  FallbackOptions options;
  options.runtime = world.share();
  const FallbackClient client{{a}, options};
  REQUIRE_FALSE(client.chat("hello"));
  REQUIRE(client.chat("hello"));
  CHECK(client.snapshot().candidates[0].ready);
}

TEST_CASE("with endless limits nothing is waited for that is not known to come back") {
  Lab lab;
  const auto breaker = CircuitBreaker::create();
  const ScriptedProvider model{"one/a", {error(ErrorKind::authentication)}};
  const FallbackClient client = lab.client({model | circuit_breaker(breaker)}, {.max_wait = Duration::max()});
  const CallOptions endless{.limits = {.deadline = Duration::max()}};
  SECTION("a wrong key") { CHECK(client.chat("hello", endless).error().kind == ErrorKind::authentication); }
  SECTION("a breaker that is isolated by hand") {
    breaker->isolate();
    CHECK(client.chat("hello", endless).error().kind == ErrorKind::circuit_open);
    const FallbackClient same{model | circuit_breaker(breaker),
                              FallbackOptions{.limits = {.deadline = Duration::max()},
                                              .recovery = {.max_wait = Duration::max()},
                                              .runtime = lab.world.share()}};
    CHECK_FALSE(same.explain("hello").waits);
  }
  CHECK(lab.world.elapsed() == 0s);
}

TEST_CASE("a call waits for the end of a cooldown, though the server's hint was longer") {
  Lab lab;
  const ScriptedProvider model{"one/a", {out_for(20s), answer("back")}};
  const auto reply = lab.client({model}, {.cooldown_max = 3s}).chat("hello");
  REQUIRE(reply);
  CHECK(reply->text() == "back");
  CHECK(lab.times(model) == Times{0s, 3s});
}

TEST_CASE("a call that comes when a probe is due does not pass those who wait for it") {
  Lab lab;
  const ScriptedProvider model{"one/a", {error(ErrorKind::server_error), answer("second"), answer("third")}};
  const Policy breaker = circuit_breaker({.consecutive_failures = 1, .open_for = 60s, .successes_to_close = 1});
  // The first call comes to the queue in the very moment of the second one's probe.
  const ScriptedProvider slow{"two/b", {error(ErrorKind::authentication).after(1s), error(ErrorKind::authentication)}};
  const FallbackClient client = lab.client({slow, model | breaker});
  lab.call_at(0s, client);
  lab.call_at(0s, client);
  lab.world.run_for(10s);
  REQUIRE(lab.calls.size() == 2);
  CHECK(lab.calls[1]->result()->text() == "second");
  CHECK(lab.calls[0]->result()->text() == "third");
}

TEST_CASE("without leave to wait a call may be the probe that is due, where its deadline leaves time for the attempt") {
  Lab lab;
  const ScriptedProvider model{"one/a", {error(ErrorKind::server_error), answer("well")}};
  const Policy breaker = circuit_breaker({.consecutive_failures = 1, .open_for = 300s});
  const FallbackClient client = lab.client({model | breaker}, {.max_wait = 0s});
  take_out(client);
  lab.world.run_for(2s);
  const auto late = client.chat("hello", {.limits = {.deadline = 5s - 1ns}});
  REQUIRE_FALSE(late);
  CHECK(late.error().kind == ErrorKind::circuit_open);
  CHECK(model.send_count() == 1);
  CHECK(client.chat("hello", {.limits = {.deadline = 5s}}));
  CHECK(lab.world.elapsed() == 2s);
}

TEST_CASE("explain says that a target is probed at once, unless the deadline is too short for that") {
  VirtualRuntime world;
  const auto breaker = CircuitBreaker::create({.consecutive_failures = 1});
  const ScriptedProvider a{"p/a", {error(ErrorKind::server_error), answer("x")}};
  const bool in_time = GENERATE(false, true);
  FallbackOptions options{.limits = {.deadline = in_time ? 5s : 4s}};
  options.runtime = world.share();
  const FallbackClient client{{a | circuit_breaker(breaker)}, options};
  REQUIRE_FALSE(client.chat("hello", {.limits = {.max_attempts = 1}}));
  world.run_for(2s);
  const Plan plan = client.explain("hello");
  REQUIRE(plan.steps.at(0).skipped);
  CHECK(plan.waits == (in_time ? std::optional{Duration::zero()} : std::nullopt));
  CHECK(client.chat("hello").has_value() == in_time);
}

TEST_CASE("explain tells no wait where no more calls may wait") {
  VirtualRuntime world;
  FallbackOptions options;
  options.recovery.max_waiting = GENERATE(0, 1);
  options.runtime = world.share();
  const ScriptedProvider model{"a/m", {error(ErrorKind::rate_limited, {.retry_after = 5s})}};
  const FallbackClient client{{model}, options};
  const auto call = world.start(client, "hello");
  world.run_for(1s);
  CHECK(call->done() == (options.recovery.max_waiting == 0));
  CHECK_FALSE(client.explain("hello").waits);
  world.run_all();
}

}  // namespace recovery_test
