#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <string>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/circuit_breaker.hpp"
#include "backstop/policies/intercept.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace restart_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

Target continuing(std::string_view provider) {
  ModelFacts facts;
  facts.capabilities.prefill = true;
  return Target{provider, "m", facts};
}

struct Lab {
  FallbackClient client(MidStream policy, std::vector<Provider> providers) {
    return FallbackClient{std::move(providers), FallbackOptions{.mid_stream = policy, .recovery = {.max_wait = Duration::zero()}, .runtime = world.share()}};
  }
  Result<ChatResponse> ask(const FallbackClient& client) { return world.call(client, "Count.", {.sink = &log}); }
  /// Whom the consumer was told that the answer begins anew from.
  std::vector<std::string> restarts() const {
    std::vector<std::string> names;
    for (const RecordedEvent& event : log.events()) {
      if (event.type == StreamEvent::Type::restarted) names.push_back(event.target.name());
    }
    return names;
  }

  VirtualRuntime world;
  EventLog log{world.runtime()};
};

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("a stream that begins anew names who gives it, not one that refused") {
  Lab lab;
  const ScriptedProvider broken{"one/m", {deltas({"half"}).cut()}};
  const ScriptedProvider answering{"three/m", {stream({"the ", "whole"})}};
  const auto isolated = CircuitBreaker::create();
  isolated->isolate();
  const InterceptOptions refuses{.before = [](RequestEdit&) -> Result<void> {
    return Error{ErrorKind::local_limit, "not today"};
  }};
  const ScriptedProvider model{"two/m"};
  const std::vector<Provider> betweens{
      model | circuit_breaker(isolated),
      model | intercept(refuses),
      ScriptedProvider{"two/m", {error(ErrorKind::rate_limited, {.retry_after = 30s})}},
      ScriptedProvider{"two/m", {error(ErrorKind::overloaded).after(1s)}},
      ScriptedProvider{"two/m", {Step{}.pings(3, 1s).fail(ErrorKind::server_error)}},
      lab.client(MidStream::fail, {model | intercept(refuses)}),
  };
  const std::size_t which = GENERATE(0U, 1U, 2U, 3U, 4U, 5U);
  CAPTURE(betweens[which].describe());
  const auto reply = lab.ask(lab.client(MidStream::restart, {broken, betweens[which], answering}));
  REQUIRE(reply);
  CHECK(reply->text() == "the whole");
  CHECK(lab.log.text() == "the whole");
  CHECK(lab.restarts() == Names{"three/m"});
  CHECK(lab.log.count(StreamEvent::Type::finished) == 1);
}

TEST_CASE("a stream that nobody begins anew was not restarted, and keeps its text") {
  Lab lab;
  const ScriptedProvider broken{"one/m", {deltas({"half"}).cut()}};
  const ScriptedProvider down{"two/m", {error(ErrorKind::overloaded)}};
  const auto reply = lab.ask(lab.client(MidStream::restart, {broken, down}));
  REQUIRE_FALSE(reply);
  CHECK(reply.error().committed);
  CHECK(reply.error().partial_text == "half");
  CHECK(lab.log.text() == "half");
  CHECK(lab.restarts().empty());
}

TEST_CASE("an answer without content that takes the place of a broken one is told too") {
  Lab lab;
  const ScriptedProvider broken{"one/m", {deltas({"half"}).cut()}};
  const ScriptedProvider empty{"two/m", {Step{}.finish()}};
  const auto reply = lab.ask(lab.client(MidStream::restart, {broken, empty}));
  REQUIRE(reply);
  CHECK(lab.restarts() == Names{"two/m"});
  CHECK(lab.log.text().empty());
}

TEST_CASE("a client that restarts may stand inside one that resumes") {
  Lab lab;
  const ScriptedProvider first{continuing("one"), {deltas({"one, ", "two,"}).cut()}};
  SECTION("the inner one answers anew") {
    const ScriptedProvider second{continuing("two"), {stream({"uno, ", "due"})}};
    const ScriptedProvider third{continuing("three")};
    const FallbackClient inner = lab.client(MidStream::restart, {first, second});
    const auto reply = lab.ask(lab.client(MidStream::resume, {inner, third}));
    REQUIRE(reply);
    CHECK(reply->text() == "uno, due");
    CHECK(lab.log.text() == "uno, due");
    CHECK(lab.restarts() == Names{"two/m"});
    CHECK(third.send_count() == 0);
  }
  SECTION("what breaks anew is continued from its own text") {
    const ScriptedProvider second{continuing("two"), {deltas({"uno, ", "due,"}).cut()}};
    const ScriptedProvider third{continuing("three"), {stream({" tre"})}};
    const FallbackClient inner = lab.client(MidStream::restart, {first, second});
    const auto reply = lab.ask(lab.client(MidStream::resume, {inner, third}));
    REQUIRE(reply);
    CHECK(reply->text() == "uno, due, tre");
    CHECK(lab.log.text() == "uno, due, tre");
    CHECK(third.sends().at(0).request.messages.back() == Message::assistant("uno, due,"));
    CHECK(lab.restarts() == Names{"two/m"});
  }
  SECTION("what nobody begins anew is continued from the text that the consumer has") {
    const ScriptedProvider second{continuing("two"), {error(ErrorKind::overloaded)}};
    const ScriptedProvider third{continuing("three"), {stream({" three"})}};
    const FallbackClient inner = lab.client(MidStream::restart, {first, second});
    const auto reply = lab.ask(lab.client(MidStream::resume, {inner, third}));
    REQUIRE(reply);
    CHECK(reply->text() == "one, two, three");
    CHECK(lab.log.text() == "one, two, three");
    CHECK(lab.restarts().empty());
  }
  SECTION("behind the one that broke, it begins the rest anew, not the whole") {
    const ScriptedProvider second{continuing("two"), {deltas({" three,"}).cut()}};
    const ScriptedProvider third{continuing("three"), {stream({" 3, ", "4"})}};
    const FallbackClient inner = lab.client(MidStream::restart, {second, third});
    const auto reply = lab.ask(lab.client(MidStream::resume, {first, inner}));
    REQUIRE(reply);
    CHECK(lab.log.text() == reply->text());
    CHECK(third.sends().at(0).request.messages.back() == Message::assistant("one, two,"));
    CHECK(reply->text() == "one, two, 3, 4");
  }
}

TEST_CASE("a client that resumes may stand inside one that restarts") {
  Lab lab;
  const ScriptedProvider first{continuing("one"), {deltas({"one,"}).cut()}};
  const ScriptedProvider second{continuing("two"), {deltas({" two,"}).cut()}};
  const ScriptedProvider third{continuing("three"), {stream({"uno, ", "due"})}};
  const FallbackClient inner = lab.client(MidStream::resume, {first, second});
  const auto reply = lab.ask(lab.client(MidStream::restart, {inner, third}));
  REQUIRE(reply);
  CHECK(reply->text() == "uno, due");
  CHECK(lab.log.text() == "uno, due");
  CHECK(lab.restarts() == Names{"three/m"});
  CHECK(third.sends().at(0).request.messages.size() == 1);
}

}  // namespace restart_test
