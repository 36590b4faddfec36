#include <catch2/catch_test_macros.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/circuit_breaker.hpp"
#include "backstop/routing/hedge.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace walk_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

Target in_domain(std::string_view name, std::string domain) {
  const Target target = Target::parse(name);
  ModelFacts facts;
  facts.failure_domain = std::move(domain);
  return Target{target.provider(), target.model(), facts};
}

FallbackClient client_of(VirtualRuntime& world, std::vector<Provider> providers) {
  return FallbackClient{std::move(providers), FallbackOptions{.recovery = {.max_wait = 0s}, .runtime = world.share()}};
}

/// Answers, and says what is left of its limits.
class Limited final : public ModelProvider {
 public:
  Limited(std::string_view name, RateLimitStatus status)
      : ModelProvider{Target::parse(name)}, status_{std::make_shared<RateLimitStatus>(status)} {}

  void says(RateLimitStatus status) const { *status_ = status; }

 protected:
  Task<Result<ChatResponse>> send(const ChatRequest&, CallContext& context) const override {
    context.state().ledger.back().rate_limit = std::make_shared<const RateLimitStatus>(*status_);
    ChatResponse response;
    response.parts.emplace_back(Text{"ok"});
    co_return response;
  }

 private:
  std::shared_ptr<RateLimitStatus> status_;
};

RateLimitStatus requests_left(std::int64_t remaining, std::optional<Duration> reset = {}) {
  RateLimitStatus status;
  status.requests = {100, remaining, reset};
  return status;
}

std::string served_by(const FallbackClient& client) {
  const auto reply = client.chat("hello");
  return reply ? reply->served_by.name() : std::string{to_string(reply.error().kind)};
}

}  // namespace

TEST_CASE("targets of one failure domain are not each other's fallback for failures of it") {
  const std::vector<ErrorKind> of_the_pool{ErrorKind::connect_failed, ErrorKind::rate_limited,
                                           ErrorKind::quota_exhausted, ErrorKind::overloaded,
                                           ErrorKind::authentication,  ErrorKind::permission};
  const std::vector<ErrorKind> of_the_model{ErrorKind::server_error, ErrorKind::timeout, ErrorKind::model_not_found};
  for (const bool shared : {true, false}) {
    for (const ErrorKind kind : shared ? of_the_pool : of_the_model) {
      CAPTURE(to_string(kind));
      VirtualRuntime world;
      const ScriptedProvider first{in_domain("one/a", "gateway"), {error(kind)}};
      const ScriptedProvider sibling{in_domain("one/b", "gateway")};
      const ScriptedProvider other{in_domain("two/c", "elsewhere")};
      const auto reply = client_of(world, {first, sibling, other}).chat("hello");
      REQUIRE(reply);
      CHECK(reply->served_by.name() == (shared ? "two/c" : "one/b"));
      if (!shared) continue;
      REQUIRE(reply->attempts.size() == 3);
      CHECK(reply->attempts[1].outcome == ErrorKind::local_limit);
      CHECK_FALSE(reply->attempts[1].sent);
      CHECK(reply->attempts[1].reason.find("\"gateway\" with one/a") != std::string::npos);
    }
  }
}

TEST_CASE("while a pool's failure lasts its other targets are passed over too") {
  VirtualRuntime world;
  const ScriptedProvider first{in_domain("one/a", "gateway"),
                               {error(ErrorKind::rate_limited, {.retry_after = 30s}), answer("back")}};
  const ScriptedProvider sibling{in_domain("one/b", "gateway")};
  const ScriptedProvider other{"two/c"};
  const FallbackClient client = client_of(world, {first, sibling, other});
  CHECK(served_by(client) == "two/c");
  CHECK(client.explain("hello").steps[1].skipped);
  CHECK(served_by(client) == "two/c");
  world.run_for(30s);
  CHECK(served_by(client) == "one/a");
  CHECK(sibling.send_count() == 0);
}

TEST_CASE("a failure of the pool with no other target left is what the call fails with") {
  VirtualRuntime world;
  const ScriptedProvider first{in_domain("one/a", "gateway"), {error(ErrorKind::overloaded)}};
  const ScriptedProvider sibling{in_domain("one/b", "gateway")};
  const auto reply = client_of(world, {first, sibling}).chat("hello");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::overloaded);
}

TEST_CASE("a hedge goes to another failure domain") {
  VirtualRuntime world;
  const ScriptedProvider first{in_domain("one/a", "gateway"), {silence()}};
  const ScriptedProvider sibling{in_domain("one/b", "gateway")};
  const ScriptedProvider other{"two/c"};
  const auto reply = FallbackClient{{first, sibling, other},
                                    FallbackOptions{.hedge = HedgeOptions{}, .runtime = world.share()}}
                         .chat("hello");
  REQUIRE(reply);
  CHECK(reply->served_by.name() == "two/c");
  CHECK(sibling.send_count() == 0);
}

TEST_CASE("a target that says its limit is used up lets others go first until it is back") {
  VirtualRuntime world;
  const Limited first{"one/a", requests_left(0, 30s)};
  const Limited second{"two/b", {}};
  const FallbackClient client = client_of(world, {first, second});
  CHECK(served_by(client) == "one/a");
  const auto reply = client.chat("hello");
  REQUIRE(reply);
  CHECK(reply->served_by.name() == "two/b");
  CHECK(reply->attempts[0].outcome == ErrorKind::local_limit);
  CHECK(reply->attempts[0].reason == "its limits are used up for another 30s, as its last answer said");
  CHECK(client.explain("hello").steps[0].skipped);
  world.run_for(30s);
  CHECK(served_by(client) == "one/a");
}

TEST_CASE("tokens count like requests, and two minutes are the most") {
  VirtualRuntime world;
  RateLimitStatus status;
  status.input_tokens = {40'000, 0, 1h};
  const Limited first{"one/a", status};
  const Limited second{"two/b", {}};
  const FallbackClient client = client_of(world, {first, second});
  CHECK(served_by(client) == "one/a");
  first.says({});
  world.run_for(119s);
  CHECK(served_by(client) == "two/b");
  world.run_for(1s);
  CHECK(served_by(client) == "one/a");
}

TEST_CASE("what is left, and a limit without a moment when it is back, spare nobody") {
  for (const RateLimitStatus& status : {requests_left(1, 30s), requests_left(0), RateLimitStatus{}}) {
    VirtualRuntime world;
    const Limited first{"one/a", status};
    const Limited second{"two/b", {}};
    const FallbackClient client = client_of(world, {first, second});
    CHECK(served_by(client) == "one/a");
    CHECK(served_by(client) == "one/a");
  }
}

TEST_CASE("when no other can answer, the one whose limit is used up is asked all the same") {
  VirtualRuntime world;
  const Limited first{"one/a", requests_left(0, 30s)};
  const ScriptedProvider second{"two/b", {error(ErrorKind::rate_limited, {.retry_after = 60s})}};
  const FallbackClient only = client_of(world, {first});
  CHECK(served_by(only) == "one/a");
  CHECK(served_by(only) == "one/a");
  const FallbackClient both = client_of(world, {second, first});
  CHECK(served_by(both) == "one/a");
  CHECK(served_by(both) == "one/a");
}

TEST_CASE("cooldown and breaker each keep a target out by themselves", "[scenario-172]") {
  VirtualRuntime world;
  const auto breaker = CircuitBreaker::create();
  const Step limited = error(ErrorKind::rate_limited, {.retry_after = 10s});
  const ScriptedProvider first{"one/a", {limited, answer("back"), limited, answer("back again")}};
  const ScriptedProvider second{"two/b"};
  const FallbackClient client = client_of(world, {Provider{first} | circuit_breaker(breaker), second});
  CHECK(served_by(client) == "two/b");
  breaker->isolate();
  world.run_for(10s);
  CHECK(served_by(client) == "two/b");  // the cooldown has ended, the breaker is open
  CHECK(first.send_count() == 1);
  breaker->force_close();
  CHECK(served_by(client) == "one/a");

  CHECK(served_by(client) == "two/b");
  breaker->isolate();
  breaker->force_close();
  CHECK(served_by(client) == "two/b");  // the breaker is closed, the cooldown goes on
  world.run_for(10s);
  CHECK(served_by(client) == "one/a");
}

TEST_CASE("a target that has been tried is not tried again by the same call", "[scenario-177]") {
  VirtualRuntime world;
  const ScriptedProvider first{"one/a", {error(ErrorKind::server_error)}};
  const ScriptedProvider second{"two/b", {error(ErrorKind::server_error)}};
  const ScriptedProvider third{"three/c", {error(ErrorKind::server_error)}};
  CHECK_FALSE(client_of(world, {first, second, third}).chat("hello"));
  CHECK(first.send_count() == 1);
  CHECK(second.send_count() == 1);
  CHECK(third.send_count() == 1);
}

TEST_CASE("a call goes on with the targets it began with when its client is replaced", "[scenario-160][scenario-213]") {
  VirtualRuntime world;
  const auto breaker = CircuitBreaker::create({.consecutive_failures = 1});
  const ScriptedProvider slow{"one/a", {error(ErrorKind::server_error).after(5s)}};
  const ScriptedProvider before{"two/b", {answer("before")}};
  const ScriptedProvider after{"three/c", {answer("after")}};
  FallbackClient client = client_of(world, {Provider{slow} | circuit_breaker(breaker), before});
  auto running = world.start(client, "hello");
  world.run_for(1s);
  client = client_of(world, {Provider{slow} | circuit_breaker(breaker), after});
  world.run(*running);
  REQUIRE(running->result());
  CHECK(running->result()->text() == "before");
  // The breaker's state outlives the client that it was found with.
  CHECK(served_by(client) == "three/c");
  CHECK(slow.send_count() == 1);
}

}  // namespace walk_test
