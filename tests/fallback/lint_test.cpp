#include "backstop/lint.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/cost_cap.hpp"
#include "backstop/policies/intercept.hpp"
#include "backstop/policies/standard.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace lint_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

/// A policy of whatever name that does nothing.
class Nameplate final : public Decorator {
 public:
  Nameplate(Provider next, std::string description) : Decorator{std::move(next), std::move(description)} {}
  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
    return next().call(request, context);
  }
};

Policy named(std::string name) { return make_policy<Nameplate>(std::move(name)); }

ScriptedProvider model(std::string_view name) { return ScriptedProvider{name}; }
Provider other() { return model("b/m") | standard(); }

/// What is found about `a/m` in this stack, when there is another target.
std::vector<std::string> found(const Policy& stack) {
  std::vector<std::string> whats;
  for (const Finding& finding : lint(FallbackClient{model("a/m") | stack, other()})) {
    CHECK(finding.target.name() == "a/m");
    CHECK_FALSE(finding.why.empty());
    CHECK_FALSE(finding.instead.empty());
    whats.push_back(finding.what);
  }
  return whats;
}

std::vector<std::string> found_around(const Provider& client) {
  std::vector<std::string> whats;
  for (const Finding& finding : lint(client)) {
    CHECK(finding.target.empty());
    whats.push_back(finding.what);
  }
  return whats;
}

using Whats = std::vector<std::string>;

}  // namespace

TEST_CASE("nothing is found in the standard stack") {
  CHECK(lint(FallbackClient{model("a/m") | standard()}).empty());
  CHECK(lint(model("a/m") | standard()).empty());
  CHECK(found(standard()).empty());
  CHECK(found(standard({.cost_cap = CostCapOptions{.per_request = Money::usd(1)}})).empty());
  CHECK(found(timeout(20s) | circuit_breaker() | retry({.max_attempts = 2})).empty());
  CHECK(found(timeout(20s) | circuit_breaker() | named("bulkhead(4)") | named("rate_limit(60/min)") | named("cost_cap") |
              retry() | named("accept_if") | named("single_flight") | named("cache"))
            .empty());
  CHECK(lint(FallbackClient{model("a/m"), model("b/m")}).empty());
  CHECK(lint(FallbackClient{FallbackClient{model("a/m"), model("c/m")}, other()} | named("single_flight") | named("cache"))
            .empty());
}

TEST_CASE("policies in an order in which they do not work together are named") {
  struct Case {
    Policy stack;
    Whats what;
  };
  const Policy after = intercept({.after = [](const ChatRequest&, Result<ChatResponse>&) {}});
  const Case cases[] = {
      {retry() | after | circuit_breaker(), {"circuit_breaker stands outside retry"}},
      {retry() | named("rate_limit(60)"), {"rate_limit stands outside retry"}},
      {retry() | named("bulkhead(4)"), {"bulkhead stands outside retry"}},
      {retry() | named("adaptive_concurrency"), {"adaptive_concurrency stands outside retry"}},
      {named("rate_limit(60)") | named("bulkhead(4)"), {"bulkhead stands outside rate_limit"}},
      {named("rate_limit") | circuit_breaker(), {"circuit_breaker stands outside rate_limit"}},
      {named("bulkhead") | circuit_breaker(), {"circuit_breaker stands outside bulkhead"}},
      {named("adaptive_concurrency") | circuit_breaker(), {"circuit_breaker stands outside adaptive_concurrency"}},
      {named("cost_cap") | circuit_breaker(), {"circuit_breaker stands outside cost_cap"}},
      {named("cache") | retry(), {"retry stands outside cache"}},
      {named("cache") | named("rate_limit"), {"rate_limit stands outside cache"}},
      {named("cache") | named("bulkhead"), {"bulkhead stands outside cache"}},
      {named("cache") | named("adaptive_concurrency"), {"adaptive_concurrency stands outside cache"}},
      {named("cache") | circuit_breaker(), {"circuit_breaker stands outside cache"}},
      {named("cache") | named("accept_if"), {"accept_if stands outside cache"}},
      {named("cache") | named("single_flight"), {"single_flight stands outside cache"}},
      {named("single_flight") | retry(), {"retry stands outside single_flight"}},
      {named("single_flight") | named("rate_limit"), {"rate_limit stands outside single_flight"}},
      {named("single_flight") | named("bulkhead"), {"bulkhead stands outside single_flight"}},
      {named("single_flight") | circuit_breaker(), {"circuit_breaker stands outside single_flight"}},
  };
  for (const Case& one : cases) {
    INFO(one.stack.describe());
    CHECK(found(one.stack) == one.what);
  }
}

TEST_CASE("a policy that a stack needs once is named when it stands there twice") {
  CHECK(found(retry() | retry()) == Whats{"retry stands twice in one stack"});
  CHECK(found(retry() | retry({.max_attempts = 1})).empty());  // the outer one only sends once
  CHECK(found(circuit_breaker() | circuit_breaker()) == Whats{"circuit_breaker stands twice in one stack"});
  CHECK(found(named("cache") | named("cache")) == Whats{"cache stands twice in one stack"});
  CHECK(found(named("single_flight") | named("single_flight")) == Whats{"single_flight stands twice in one stack"});
  CHECK(found(named("rate_limit(own)") | named("rate_limit(shared)")).empty());
}

TEST_CASE("what belongs around each target is named when it stands around the client") {
  const FallbackClient client{model("a/m") | standard(), other()};
  CHECK(found_around(client | retry()) == Whats{"retry stands outside fallback"});
  CHECK(found_around(client | circuit_breaker()) == Whats{"circuit_breaker stands outside fallback"});
  CHECK(found_around(client | timeout(20s)).empty());
  CHECK(found_around(client | cost_cap({.per_request = Money::usd(1)})).empty());
  CHECK(found_around(client | named("bulkhead") | named("cache")).empty());
  CHECK(found_around(FallbackClient{client | retry(), model("c/m")}) == Whats{"retry stands outside fallback"});
}

TEST_CASE("limits that can never be reached are named") {
  CHECK(found(timeout(20min)) == Whats{"timeout: attempt is 1200s, and the call's deadline 600s"});
  CHECK(found(timeout(600s)).empty());
  CHECK(found(timeout({.first_token = 20s, .attempt = 10s})) == Whats{"timeout: first_token is 20s, and attempt 10s"});
  CHECK(found(timeout({.connect = 11s, .attempt = 10s})) == Whats{"timeout: connect is 11s, and attempt 10s"});
  CHECK(found(timeout({.idle = 11s, .attempt = 10s})) == Whats{"timeout: idle is 11s, and attempt 10s"});
  CHECK(found(timeout({.first_byte = 11s, .attempt = 10s})) == Whats{"timeout: first_byte is 11s, and attempt 10s"});
  CHECK(found(timeout({.first_byte = 9s, .first_token = 8s})) == Whats{"timeout: first_byte is 9s, and first_token 8s"});
  CHECK(found(timeout({.idle = Duration::max(), .attempt = 10s})).empty());
  CHECK(found(timeout(30s) | timeout(20s)) == Whats{"timeout: attempt is 30s, and 20s in the timeout further out"});
  CHECK(found(timeout({.first_token = 5s}) | timeout(20s)).empty());

  FallbackOptions options;
  options.limits = {.deadline = 5s, .max_attempts = 2};
  const FallbackClient hasty{{model("a/m") | timeout(6s) | retry(), model("b/m") | retry({.max_attempts = 4})}, options};
  const std::vector<Finding> findings = lint(hasty);
  REQUIRE(findings.size() == 2);
  CHECK(findings[0].what == "timeout: attempt is 6s, and the call's deadline 5s");
  CHECK(findings[1].what == "retry allows 4 sends, and the call 2");
  CHECK(findings[1].target.name() == "b/m");
}

TEST_CASE("a target that can never fit a cap around it is named, wherever the cap stands") {
  const auto priced = [](int usd_per_million) {
    ModelFacts facts;
    facts.price = Price{.input = Money{}, .output = Money::usd_per_million(usd_per_million)};
    return ScriptedProvider{Target{"a", "m", facts}};
  };
  const Policy cap = cost_cap({.per_request = Money::usd_per_million(2560)});  // 256 tokens at $10 a million
  CHECK(lint(FallbackClient{priced(10) | standard() | cap, other()}).empty());
  for (const Provider& client :
       {Provider{FallbackClient{priced(11) | standard() | cap, other()}},
        FallbackClient{priced(11) | standard(), other()} | cap,
        FallbackClient{priced(11) | standard(), other()} | cost_cap(Budget{{.per_period = Money::usd_per_million(2560)}})}) {
    const std::vector<Finding> findings = lint(client);
    REQUIRE(findings.size() == 1);
    CHECK(findings[0].target.name() == "a/m");
    CHECK(findings[0].what == "a cap of $0.00256, and the least that a send costs is $0.002816");
  }
}

TEST_CASE("a target that is alone needs a retry, and a hedge needs another target") {
  const auto alone = [](const Policy& stack) {
    Whats whats;
    for (const Finding& finding : lint(FallbackClient{model("a/m") | stack})) whats.push_back(finding.what);
    return whats;
  };
  CHECK(alone(timeout(20s)) == Whats{"the only target has no retry"});
  CHECK(alone(timeout(20s) | retry({.max_attempts = 1})) == Whats{"the only target has no retry"});
  CHECK(alone(standard()).empty());
  CHECK(lint(FallbackClient{FallbackClient{model("a/m")}, other()}).empty());
}

}  // namespace lint_test
