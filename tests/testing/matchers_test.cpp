#include "backstop/testing/matchers.hpp"

#include <sstream>
#include <string>
#include <type_traits>

#include <catch2/catch_test_macros.hpp>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/circuit_breaker.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/testing/faults.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace matchers_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

Target priced(std::string_view name) {
  ModelFacts facts;
  facts.price = Price{Money::usd(0.001), Money::usd(0.002)};
  const Target bare = Target::parse(name);
  return Target{bare.provider(), bare.model(), facts};
}

std::string printed(const Match& match) {
  std::ostringstream out;
  out << match;
  return out.str();
}

/// A first target that is overloaded twice, and a second one that answers.
struct Rescue {
  VirtualRuntime runtime;
  ScriptedProvider first{Target::parse("a/m"), {overloaded(1s)}};
  ScriptedProvider second{priced("b/m"), {answer("hi").usage(10, 20)}};
  FallbackOptions options{.runtime = runtime.share()};
  FallbackClient client{{first | circuit_breaker({.consecutive_failures = 2}) | retry(), second}, options};
};

}  // namespace

TEST_CASE("matchers of a rescued call see who answered, who was tried and what it cost") {
  Rescue rescue;
  const auto reply = rescue.client.chat("hello");
  CHECK(answers(reply));
  CHECK(answers(reply, "hi"));
  CHECK_FALSE(answers(reply, "ho"));
  CHECK(answered_by(reply, "b/m"));
  CHECK_FALSE(answered_by(reply, "a/m"));
  CHECK_FALSE(fails_with(reply, ErrorKind::overloaded));
  CHECK(tried(reply, {"a/m", "a/m", "b/m"}));
  CHECK_FALSE(tried(reply, {"a/m", "b/m"}));
  CHECK(sends(reply, 3));
  CHECK(sends_to(reply, "a/m", 2));
  CHECK_FALSE(sends_to(reply, "b/m", 2));
  CHECK(failed_at(reply, "a/m", ErrorKind::overloaded));
  CHECK_FALSE(failed_at(reply, "b/m", ErrorKind::overloaded));
  CHECK_FALSE(skipped(reply, "a/m"));
  CHECK(costs(reply, Money::usd(0.05)));
  CHECK_FALSE(costs(reply, Money::usd(0.04)));
  CHECK(costs_at_most(reply, Money::usd(0.05)));
  CHECK_FALSE(costs_at_most(reply, Money::usd(0.049)));

  rescue.runtime.run_for(5s);  // the server's hint is over, the breaker's time is not
  const auto next = rescue.client.chat("hello");
  CHECK(skipped(next, "a/m"));
  CHECK(skipped(next, "a/m", ErrorKind::circuit_open));
  CHECK_FALSE(skipped(next, "a/m", ErrorKind::local_limit));
  CHECK(tried(next, {"b/m"}));
}

TEST_CASE("matchers of a failed call see its kind and its target") {
  VirtualRuntime runtime;
  const ScriptedProvider only{"a/m", {bad_key()}};
  const auto reply = runtime.call(only, "hello");
  CHECK(fails_with(reply, ErrorKind::authentication));
  CHECK(fails_with(reply, ErrorKind::authentication, "a/m"));
  CHECK_FALSE(fails_with(reply, ErrorKind::authentication, "b/m"));
  CHECK_FALSE(fails_with(reply, ErrorKind::permission));
  CHECK_FALSE(answers(reply));
  CHECK_FALSE(answered_by(reply, "a/m"));
  CHECK(tried(reply, {"a/m"}));
  CHECK(fails_with(reply.error(), ErrorKind::authentication));
}

TEST_CASE("a finding explains itself, so that a failed check says why") {
  Rescue rescue;
  const auto reply = rescue.client.chat("hello");
  const std::string words = printed(tried(reply, {"b/m"}));
  CHECK(words.starts_with("tried b/m (found: a/m, a/m, b/m): no; it was answered by b/m: \"hi\"\n"));
  CHECK(words.find("1. a/m: overloaded, HTTP 503") != std::string::npos);
  CHECK(words.find("3. b/m: ok") != std::string::npos);
  const Error error{ErrorKind::timeout, "too slow"};
  CHECK(printed(fails_with(error, ErrorKind::overloaded)) == "fails with overloaded: no; it failed: timeout: too slow");
  CHECK(printed(tried(error, {})) == "tried nobody (found: nobody): yes; it failed: timeout: too slow");
}

// What GoogleTest and doctest ask of a value: a conversion in a condition, and printing.
static_assert(std::is_constructible_v<bool, Match> && !std::is_convertible_v<Match, bool>);

}  // namespace matchers_test
