#include "backstop/policies/retry.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <stdexcept>
#include <string>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/intercept.hpp"
#include "backstop/policies/timeout.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace retry_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;

namespace {

Step server_error(int status = 500) { return error(ErrorKind::server_error, {.http_status = status}); }

/// Between each send and the one before.
std::vector<Duration> gaps(const ScriptedProvider& provider) {
  std::vector<Duration> gaps;
  const auto sends = provider.sends();
  for (std::size_t i = 1; i < sends.size(); ++i) gaps.push_back(sends[i].at - sends[i - 1].at);
  return gaps;
}

RetryOptions without_refill() {
  RetryOptions options;
  options.budget->refill_per_second = 0;
  return options;
}

/// A provider that refuses without sending, as an open breaker does.
class Gatekeeper final : public Decorator {
 public:
  Gatekeeper(Provider next, Standing standing)
      : Decorator{std::move(next), "gatekeeper"}, standing_{standing} {}
  [[nodiscard]] Standing standing(const ChatRequest&, const Needs&, TimePoint) const noexcept override {
    return standing_;
  }
  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
    if (calls_++ > 0) {
      Error refusal{ErrorKind::circuit_open, "the breaker is open"};
      context.note_skipped(target(), refusal);
      co_return refusal;
    }
    auto result = co_await next().call(request, context);
    co_return result;
  }

 private:
  Standing standing_;
  mutable int calls_ = 0;
};

}  // namespace

TEST_CASE("two failures and a success are three sends", "[scenario-1]") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    VirtualRuntime runtime{seed};
    const ScriptedProvider provider{"a/m", {server_error(), server_error(), answer("hi")}};
    const auto reply = runtime.call(provider | retry(), "hello");
    REQUIRE(reply);
    CHECK(reply->text() == "hi");
    REQUIRE(provider.send_count() == 3);
    CHECK(gaps(provider)[0] <= 500ms);
    CHECK(gaps(provider)[1] <= 1s);
    REQUIRE(reply->attempts.size() == 3);
    CHECK(reply->attempts[0].waited == 0s);
    CHECK(reply->attempts[1].waited == gaps(provider)[0]);
    CHECK(reply->attempts[2].waited == gaps(provider)[1]);
    CHECK(runtime.idle());
  }
}

TEST_CASE("when all attempts fail the last error is returned, without a sleep after it", "[scenario-2]") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m", {server_error(500), server_error(502), server_error(504)}};
  const auto reply = runtime.call(provider | retry(), "hello");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::server_error);
  CHECK(reply.error().http_status == 504);
  CHECK(provider.send_count() == 3);
  REQUIRE(reply.error().attempts.size() == 3);
  CHECK_THAT(reply.error().attempts[2].reason, EndsWith("; not retried: attempt 3 of 3"));
  CHECK(runtime.elapsed() == gaps(provider)[0] + gaps(provider)[1]);
}

TEST_CASE("what would fail again is sent once", "[scenario-3][scenario-6]") {
  const ErrorKind kind =
      GENERATE(ErrorKind::invalid_request, ErrorKind::authentication, ErrorKind::permission, ErrorKind::model_not_found,
               ErrorKind::context_window_exceeded, ErrorKind::unsupported_capability, ErrorKind::content_filtered,
               ErrorKind::quota_exhausted, ErrorKind::rejected_response);
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m", {error(kind)}};
  const auto reply = runtime.call(provider | retry(), "hello");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == kind);
  CHECK(provider.send_count() == 1);
  CHECK(runtime.elapsed() == 0s);
  CHECK_THAT(reply.error().attempts[0].reason, !ContainsSubstring("not retried"));
}

TEST_CASE("what may pass is sent again", "[scenario-4]") {
  const ErrorKind kind = GENERATE(ErrorKind::connect_failed, ErrorKind::server_error, ErrorKind::overloaded,
                                  ErrorKind::rate_limited, ErrorKind::stream_interrupted, ErrorKind::timeout);
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m", {error(kind), answer("hi")}};
  CHECK(runtime.call(provider | retry(), "hello"));
  CHECK(provider.send_count() == 2);
}

TEST_CASE("the server's own word on a retry is obeyed", "[scenario-5]") {
  VirtualRuntime runtime;
  SECTION("yes") {
    const ScriptedProvider provider{"a/m", {error(ErrorKind::invalid_request, {.should_retry = true}), answer("hi")}};
    CHECK(runtime.call(provider | retry(), "hello"));
    CHECK(provider.send_count() == 2);
  }
  SECTION("no, and the other target is tried at once") {
    const ScriptedProvider provider{"a/m", {error(ErrorKind::server_error, {.should_retry = false})}};
    const ScriptedProvider other{"b/m", {answer("from b")}};
    FallbackOptions options;
    options.recovery.max_wait = 0s;
    options.runtime = runtime.share();
    const FallbackClient client{{provider | retry(), other}, options};
    const auto reply = client.chat("hello");
    REQUIRE(reply);
    CHECK(reply->text() == "from b");
    CHECK(provider.send_count() == 1);
    CHECK_THAT(reply->attempts[0].reason, ContainsSubstring("x-should-retry"));
    CHECK(runtime.elapsed() == 0s);
  }
  SECTION("it cannot make good for a quota or a filter") {
    const ErrorKind kind = GENERATE(ErrorKind::quota_exhausted, ErrorKind::content_filtered);
    const ScriptedProvider provider{"a/m", {error(kind, {.should_retry = true})}};
    CHECK_FALSE(runtime.call(provider | retry(), "hello"));
    CHECK(provider.send_count() == 1);
  }
}

TEST_CASE("after a quota error the other target is tried", "[scenario-6]") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m", {error(ErrorKind::quota_exhausted, {.code = "insufficient_quota"})}};
  const ScriptedProvider other{"b/m"};
  FallbackOptions options;
  options.recovery.max_wait = 0s;
  options.runtime = runtime.share();
  const FallbackClient client{{provider | retry(), other | retry()}, options};
  const auto reply = client.chat("hello");
  REQUIRE(reply);
  CHECK(provider.send_count() == 1);
  CHECK(reply->attempts[0].outcome == ErrorKind::quota_exhausted);
}

TEST_CASE("throttling waits at least half of a longer backoff") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    VirtualRuntime runtime{seed};
    const ScriptedProvider provider{
        "a/m", {error(ErrorKind::overloaded), error(ErrorKind::rate_limited), answer("hi")}};
    REQUIRE(runtime.call(provider | retry(), "hello"));
    CHECK(gaps(provider)[0] >= 500ms);
    CHECK(gaps(provider)[0] <= 1s);
    CHECK(gaps(provider)[1] >= 1s);
    CHECK(gaps(provider)[1] <= 2s);
  }
}

TEST_CASE("a wait that does not fit into the deadline is not begun", "[scenario-11][scenario-42][scenario-56]") {
  VirtualRuntime runtime;
  SECTION("the backoff would outlive it") {
    const ScriptedProvider provider{"a/m", {server_error()}};
    const auto reply = runtime.call(provider | retry({.initial = 1s, .min_attempt_time = 0s}), "hello",
                                    {.deadline = 1ms});
    CHECK(reply.error().kind == ErrorKind::server_error);
    CHECK_THAT(reply.error().attempts[0].reason, ContainsSubstring("deadline"));
    CHECK(provider.send_count() == 1);
    CHECK(runtime.elapsed() == 0s);
  }
  SECTION("nothing worth starting would be left") {
    const ScriptedProvider provider{"a/m", {server_error().after(9700ms)}};
    const auto reply = runtime.call(provider | retry(), "hello", {.deadline = 10s});
    CHECK(reply.error().kind == ErrorKind::server_error);
    CHECK(provider.send_count() == 1);
    CHECK(runtime.elapsed() == 9700ms);
  }
  SECTION("the server's hint is longer than it") {
    const ScriptedProvider provider{"a/m", {error(ErrorKind::rate_limited, {.retry_after = 30s})}};
    const auto reply = runtime.call(provider | retry(), "hello", {.deadline = 10s});
    CHECK(reply.error().kind == ErrorKind::rate_limited);
    CHECK(reply.error().retry_after == 30s);
    CHECK(runtime.elapsed() == 0s);
  }
}

TEST_CASE("a call that is cancelled during the backoff ends at once and sends no more",
          "[scenario-12][scenario-30][scenario-195]") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m", {error(ErrorKind::rate_limited, {.retry_after = 10s})}};
  const Provider guarded = provider | retry(without_refill());
  const auto call = runtime.start(guarded, "hello");
  runtime.at(4s, [&] { call->cancel(); });
  runtime.run(*call);
  CHECK(call->result().error().kind == ErrorKind::cancelled);
  CHECK(call->result().error().target.name() == "a/m");
  CHECK(runtime.since(call->ended_at()) == 4s);
  CHECK(provider.send_count() == 1);
  CHECK(call->completions() == 1);
  CHECK(runtime.idle());

  // What the retry would have cost is back, once: the whole burst of 20 is there.
  int retried = 0;
  for (int i = 0; i < 25; ++i) {
    const std::size_t before = provider.send_count();
    static_cast<void>(runtime.call(guarded, "hello", {.max_attempts = 2}));
    retried += static_cast<int>(provider.send_count() - before) - 1;
  }
  CHECK(retried == 20);
}

TEST_CASE("the call's attempts are counted over all targets", "[scenario-13]") {
  VirtualRuntime runtime;
  const ScriptedProvider a{"a/m", {server_error()}};
  const ScriptedProvider b{"b/m", {server_error()}};
  const ScriptedProvider c{"c/m", {server_error()}};
  const Policy three = retry({.max_attempts = 3, .max_attempts_with_fallback = 3});
  FallbackOptions options;
  options.recovery.max_wait = 0s;
  options.runtime = runtime.share();
  const FallbackClient client{{a | three, b | three, c | three}, options};
  const auto reply = client.chat("hello");
  REQUIRE_FALSE(reply);
  CHECK(a.send_count() + b.send_count() + c.send_count() == 5);
  CHECK(c.send_count() == 1);  // a send is kept for every target still to come
  CHECK(reply.error().kind == ErrorKind::server_error);
}

TEST_CASE("two attempts are made while another target is ready, three when there is none") {
  VirtualRuntime runtime;
  const ScriptedProvider a{"a/m", {server_error()}};
  const ScriptedProvider b{"b/m", {server_error()}};
  FallbackOptions options;
  options.recovery.max_wait = 0s;
  options.runtime = runtime.share();
  const FallbackClient client{{a | retry(), b | retry()}, options};
  CHECK_FALSE(client.chat("hello"));
  CHECK(a.send_count() == 2);
  CHECK(b.send_count() == 3);
}

TEST_CASE("nested retries do not multiply", "[scenario-14]") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m", {server_error()}};
  const auto reply = runtime.call(provider | retry() | retry(), "hello", {.max_attempts = 100});
  REQUIRE_FALSE(reply);
  CHECK(provider.send_count() == 3);
}

TEST_CASE("the call's attempts bound a retry too, and the real error comes back") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m", {server_error()}};
  const auto reply = runtime.call(provider | retry({.max_attempts = 9}), "hello", {.max_attempts = 4});
  CHECK(provider.send_count() == 4);
  CHECK(reply.error().kind == ErrorKind::server_error);
  CHECK_THAT(reply.error().attempts.back().reason, ContainsSubstring("the call has used up its attempts"));
}

TEST_CASE("a request with effects is sent again only when it was not processed", "[scenario-16]") {
  VirtualRuntime runtime;
  const Policy careful = retry({.repeatable = false});
  const auto sends_after = [&](Step failure) {
    const ScriptedProvider provider{"a/m", {std::move(failure), answer("hi")}};
    static_cast<void>(runtime.call(provider | careful, "hello"));
    return provider.send_count();
  };
  CHECK(sends_after(error(ErrorKind::timeout)) == 1);
  CHECK(sends_after(server_error()) == 1);
  CHECK(sends_after(error(ErrorKind::overloaded)) == 1);
  CHECK(sends_after(error(ErrorKind::connect_failed)) == 2);
  CHECK(sends_after(error(ErrorKind::rate_limited)) == 2);
  CHECK(sends_after(error(ErrorKind::overloaded, {.retry_after = 1s})) == 2);
  CHECK(sends_after(error(ErrorKind::server_error, {.should_retry = true})) == 2);
}

TEST_CASE("each attempt sends the request as it was when the call began", "[scenario-18]") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m", {server_error(), answer("hi")}};
  ChatRequest request{"first"};
  const auto call = runtime.start(provider | retry(), request);
  runtime.at(0s, [&] { request.messages.clear(); });
  runtime.run(*call);
  REQUIRE(provider.send_count() == 2);
  CHECK(provider.sends()[1].request == ChatRequest{"first"});
}

TEST_CASE("an empty budget ends the call without a sleep, first tries still go out",
          "[scenario-19][scenario-23][scenario-24][scenario-27]") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m", {server_error()}};
  const Provider guarded = provider | retry(without_refill());
  int retried = 0;
  for (int i = 0; i < 8; ++i) {
    const std::size_t before = provider.send_count();
    static_cast<void>(runtime.call(guarded, "hello", {.max_attempts = 2}));
    retried += static_cast<int>(provider.send_count() - before) - 1;
  }
  CHECK(retried == 7);

  const Duration before = runtime.elapsed();
  const auto reply = runtime.call(guarded, "hello");
  CHECK(runtime.elapsed() == before);
  CHECK(reply.error().kind == ErrorKind::server_error);
  REQUIRE(reply.error().attempts.size() == 1);
  CHECK_THAT(reply.error().attempts[0].reason, ContainsSubstring("budget"));
}

TEST_CASE("a retry that succeeds costs nothing in the end", "[scenario-26]") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m", {}};
  for (int i = 0; i < 50; ++i) provider.then(server_error()).then(answer("hi"));
  provider.then(server_error());
  const Provider guarded = provider | retry(without_refill());
  for (int i = 0; i < 50; ++i) REQUIRE(runtime.call(guarded, "hello"));
  CHECK(provider.send_count() == 100);
}

TEST_CASE("failures that are not retried leave the budget alone", "[scenario-28]") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m", {}};
  for (int i = 0; i < 100; ++i) provider.then(error(ErrorKind::invalid_request));
  provider.then(server_error());
  const Provider guarded = provider | retry(without_refill());
  for (int i = 0; i < 100; ++i) static_cast<void>(runtime.call(guarded, "hello"));
  CHECK(provider.send_count() == 100);
  for (int i = 0; i < 7; ++i) static_cast<void>(runtime.call(guarded, "hello", {.max_attempts = 2}));
  CHECK(provider.send_count() == 114);
}

TEST_CASE("clients made at the same moment wait differently", "[scenario-20]") {
  const auto waits = [] {
    VirtualRuntime runtime{0};  // a seed from the system
    const ScriptedProvider provider{"a/m", {server_error()}};
    static_cast<void>(runtime.call(provider | retry(), "hello"));
    return gaps(provider);
  };
  CHECK(waits() != waits());
}

TEST_CASE("the same seed waits the same", "[scenario-218]") {
  const auto waits = [](std::uint64_t seed) {
    VirtualRuntime runtime{seed};
    const ScriptedProvider provider{"a/m", {server_error()}};
    static_cast<void>(runtime.call(provider | retry(), "hello"));
    return gaps(provider);
  };
  CHECK(waits(5) == waits(5));
  CHECK(waits(5) != waits(6));
}

TEST_CASE("the application's own judgement replaces the table", "[scenario-22]") {
  VirtualRuntime runtime;
  RetryOptions options;
  SECTION("it may want what the table does not") {
    int asked = 0;
    options.should_retry = [&](const RetryQuestion& question) {
      ++asked;
      CHECK(question.attempts == asked);
      CHECK(question.remaining == 60s - runtime.elapsed());
      return question.error.kind == ErrorKind::invalid_request;
    };
    const ScriptedProvider provider{"a/m", {error(ErrorKind::invalid_request)}};
    CHECK_FALSE(runtime.call(provider | retry(options), "hello", {.deadline = 60s}));
    CHECK(provider.send_count() == 3);
    CHECK(asked == 2);
  }
  SECTION("it may refuse what the table allows") {
    options.should_retry = [](const RetryQuestion&) { return false; };
    const ScriptedProvider provider{"a/m", {server_error()}};
    const auto reply = runtime.call(provider | retry(options), "hello");
    CHECK(provider.send_count() == 1);
    CHECK_THAT(reply.error().attempts[0].reason, ContainsSubstring("should_retry says no"));
  }
  SECTION("when it throws, the call fails with that and leaves nothing behind") {
    options.should_retry = [](const RetryQuestion&) -> bool { throw std::runtime_error{"a bug of mine"}; };
    const ScriptedProvider provider{"a/m", {server_error()}};
    const auto reply = runtime.call(provider | retry(options), "hello");
    CHECK(reply.error().kind == ErrorKind::invalid_request);
    CHECK_THAT(reply.error().message, ContainsSubstring("a bug of mine"));
    CHECK(reply.error().attempts[0].outcome == ErrorKind::server_error);
    CHECK(provider.send_count() == 1);
    CHECK(runtime.idle());
  }
}

TEST_CASE("the application's own judgement knows what is left of attempts, time and budget") {
  VirtualRuntime runtime;
  RetryOptions options = without_refill();
  std::vector<std::int64_t> budgets;
  std::vector<int> attempts_left;
  options.should_retry = [&](const RetryQuestion& question) {
    budgets.push_back(question.budget.value_or(-1));
    attempts_left.push_back(question.attempts_left);
    CHECK_FALSE(question.other_target_ready);
    return true;
  };
  const ScriptedProvider provider{"a/m", {server_error()}};
  static_cast<void>(runtime.call(provider | retry(options), "hello"));
  CHECK(budgets == std::vector<std::int64_t>{100, 86});
  CHECK(attempts_left == std::vector<int>{2, 1});

  options.budget.reset();
  options.should_retry = [](const RetryQuestion& question) {
    CHECK_FALSE(question.budget);
    CHECK(question.other_target_ready);
    CHECK(question.attempts_left == 1);
    return false;
  };
  static_cast<void>(runtime.call(provider | retry(options), "hello", {.alternative_ready = true}));
}

TEST_CASE("the application's own judgement may leave it to the table, and say how long to wait") {
  VirtualRuntime runtime;
  RetryOptions options;
  SECTION("as usual") {
    options.should_retry = [](const RetryQuestion&) { return RetryVerdict::as_usual(); };
    const ScriptedProvider fails{"a/m", {error(ErrorKind::invalid_request)}};
    CHECK_FALSE(runtime.call(fails | retry(options), "hello"));
    CHECK(fails.send_count() == 1);
    const ScriptedProvider recovers{"a/m", {server_error(), answer("hi")}};
    CHECK(runtime.call(recovers | retry(options), "hello"));
    CHECK(recovers.send_count() == 2);
  }
  SECTION("a wait of its own, once") {
    options.should_retry = [](const RetryQuestion& question) {
      return question.attempts == 1 ? RetryVerdict::again(7s) : RetryVerdict::as_usual();
    };
    const ScriptedProvider provider{"a/m", {server_error(), server_error(), answer("hi")}};
    CHECK(runtime.call(provider | retry(options), "hello"));
    CHECK(gaps(provider)[0] == 7s);
    CHECK(gaps(provider)[1] <= 500ms);
  }
  SECTION("the server's hint is the least wait all the same") {
    options.should_retry = [](const RetryQuestion&) { return RetryVerdict::as_usual(1s); };
    const ScriptedProvider provider{"a/m", {error(ErrorKind::rate_limited, {.retry_after = 3s}), answer("hi")}};
    CHECK(runtime.call(provider | retry(options), "hello"));
    CHECK(gaps(provider)[0] == 3s);
  }
  SECTION("no") {
    options.should_retry = [](const RetryQuestion&) { return RetryVerdict::stop(); };
    const ScriptedProvider provider{"a/m", {server_error()}};
    CHECK_FALSE(runtime.call(provider | retry(options), "hello"));
    CHECK(provider.send_count() == 1);
  }
}

TEST_CASE("failures of one kind may be retried less often than others") {
  VirtualRuntime runtime;
  RetryOptions options;
  options.max_attempts = 5;
  options.max_retries_of_kind = {{ErrorKind::rate_limited, 1}, {ErrorKind::timeout, 0}};
  const Step limited = error(ErrorKind::rate_limited);
  SECTION("the kind's own count ends the retries") {
    const ScriptedProvider provider{"a/m", {limited, server_error(), limited, answer("hi")}};
    const auto reply = runtime.call(provider | retry(options), "hello");
    REQUIRE_FALSE(reply);
    CHECK(provider.send_count() == 3);
    CHECK_THAT(reply.error().attempts.back().reason, EndsWith("; not retried: retried 1 time(s) after rate_limited"));
  }
  SECTION("others are not touched by it") {
    const ScriptedProvider provider{"a/m", {limited, server_error(), server_error(), server_error(), answer("hi")}};
    CHECK(runtime.call(provider | retry(options), "hello"));
    CHECK(provider.send_count() == 5);
  }
  SECTION("none at all, whatever the application's own judgement says") {
    options.should_retry = [](const RetryQuestion&) { return true; };
    const ScriptedProvider provider{"a/m", {error(ErrorKind::timeout)}};
    CHECK_FALSE(runtime.call(provider | retry(options), "hello"));
    CHECK(provider.send_count() == 1);
  }
  SECTION("negative counts are refused") {
    options.max_retries_of_kind = {{ErrorKind::timeout, -1}};
    CHECK_THROWS_AS(retry(options), std::invalid_argument);
  }
}

TEST_CASE("the server's hint is the least wait", "[scenario-34]") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    VirtualRuntime runtime{seed};
    const ScriptedProvider provider{"a/m", {error(ErrorKind::rate_limited, {.retry_after = 2s}), answer("hi")}};
    REQUIRE(runtime.call(provider | retry(), "hello"));
    CHECK(gaps(provider)[0] >= 2s);
    CHECK(gaps(provider)[0] <= 2200ms);
  }
}

TEST_CASE("a hint that says nothing leaves the backoff as it is", "[scenario-38]") {
  const Duration hint = GENERATE(Duration{0}, Duration{-5s}, Duration::min());
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m", {error(ErrorKind::rate_limited, {.retry_after = hint}), answer("hi")}};
  REQUIRE(runtime.call(provider | retry(), "hello"));
  CHECK(gaps(provider)[0] >= 500ms);
  CHECK(gaps(provider)[0] <= 1s);
}

TEST_CASE("the row of a send says how long it was waited for since the send before, over all retries") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m", {answer("hi")}};
  int refusals = 2;
  InterceptOptions options;
  options.before = [&](RequestEdit&) -> Result<void> {
    if (refusals-- > 0) return Error{ErrorKind::server_error, "the application's own proxy is away"};
    return {};
  };
  const auto reply = runtime.call(provider | intercept(options) | retry(), "hello");
  REQUIRE(reply);
  REQUIRE(reply->attempts.size() == 3);
  CHECK(reply->attempts[2].sent);
  CHECK(runtime.elapsed() > 0s);
  CHECK(reply->attempts[2].waited == runtime.elapsed());
}

TEST_CASE("a hint above 120 s is not waited for", "[scenario-39]") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m", {error(ErrorKind::rate_limited, {.retry_after = 121s})}};
  const auto reply = runtime.call(provider | retry(), "hello");
  CHECK(reply.error().kind == ErrorKind::rate_limited);
  CHECK(reply.error().retry_after == 121s);
  CHECK(provider.send_count() == 1);
  CHECK(runtime.elapsed() == 0s);
}

TEST_CASE("with another target ready a long hint is not waited for", "[scenario-40][scenario-43][scenario-44]") {
  VirtualRuntime runtime;
  const ScriptedProvider a{"a/m", {error(ErrorKind::rate_limited, {.retry_after = 30s}), answer("from a")}};
  const ScriptedProvider b{"b/m", {answer("from b")}};
  FallbackOptions options;
  options.recovery.max_wait = 0s;
  options.runtime = runtime.share();
  const FallbackClient client{{a | retry(), b | retry()}, options};
  CHECK(client.chat("hello")->text() == "from b");
  CHECK(runtime.elapsed() == 0s);
  CHECK(client.chat("hello")->text() == "from b");
  CHECK(a.send_count() == 1);
  runtime.run_for(30s);
  CHECK(client.chat("hello")->text() == "from a");
}

TEST_CASE("with another target ready a short hint is waited for", "[scenario-41]") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m", {error(ErrorKind::rate_limited, {.retry_after = 1s}), answer("hi")}};
  const auto reply = runtime.call(provider | retry(), "hello", {.alternative_ready = true});
  REQUIRE(reply);
  CHECK(gaps(provider)[0] >= 1s);
  CHECK(gaps(provider)[0] <= 1100ms);
}

TEST_CASE("a target that is dead or too busy is not waited for while another is ready") {
  const ErrorKind kind = GENERATE(ErrorKind::connect_failed, ErrorKind::overloaded, ErrorKind::rate_limited);
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m", {error(kind)}};
  const auto reply = runtime.call(provider | retry(), "hello", {.alternative_ready = true});
  CHECK(provider.send_count() == 1);
  CHECK(runtime.elapsed() == 0s);
  CHECK_THAT(reply.error().attempts[0].reason, EndsWith("; not retried: another target is ready"));
}

TEST_CASE("a timeout is repeated only when no other target is ready") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m", {testing::silence()}};
  const Provider guarded = provider | timeout(1s) | retry();
  CHECK_FALSE(runtime.call(guarded, "hello", {.alternative_ready = true}));
  CHECK(provider.send_count() == 1);
  CHECK_FALSE(runtime.call(guarded, "hello"));
  CHECK(provider.send_count() == 4);
}

TEST_CASE("a malformed answer is repeated once") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m", {error(ErrorKind::malformed_response)}};
  const auto reply = runtime.call(provider | retry(), "hello");
  CHECK(provider.send_count() == 2);
  CHECK_THAT(reply.error().attempts.back().reason, ContainsSubstring("repeated once"));
}

TEST_CASE("a stream that breaks before content is retried as what broke it") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  const Failure shed{.http_status = 200, .cause = ErrorKind::overloaded};
  const ScriptedProvider provider{"a/m", {error(ErrorKind::stream_interrupted, shed), answer("hi")}};
  REQUIRE(runtime.call(provider | retry(), "hello", {.sink = &log}));
  CHECK(gaps(provider)[0] >= 500ms);  // the throttle class
  CHECK(log.text() == "hi");

  const ScriptedProvider refused{"a/m", {error(ErrorKind::stream_interrupted, {.cause = ErrorKind::quota_exhausted})}};
  CHECK_FALSE(runtime.call(refused | retry(), "hello"));
  CHECK(refused.send_count() == 1);
}

TEST_CASE("nothing is sent again once content has reached the consumer", "[scenario-48][scenario-205]") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  Step script = deltas({"half"});
  script.fail(ErrorKind::rate_limited, {.retry_after = 1s, .should_retry = true});
  const ScriptedProvider provider{"a/m", {script}};
  const auto reply = runtime.call(provider | retry(), "hello", {.sink = &log});
  CHECK(reply.error().kind == ErrorKind::stream_interrupted);
  CHECK(provider.send_count() == 1);
  CHECK(runtime.elapsed() == 0s);
  CHECK_THAT(reply.error().attempts[0].reason, EndsWith("; not retried: content had been delivered"));
  CHECK(log.text() == "half");
}

TEST_CASE("a list of statuses restricts retries to these and to connection failures") {
  VirtualRuntime runtime;
  const Policy listed = retry({.on_status = {429, 503}});
  const auto sends_after = [&](Step failure) {
    const ScriptedProvider provider{"a/m", {std::move(failure), answer("hi")}};
    static_cast<void>(runtime.call(provider | listed, "hello"));
    return provider.send_count();
  };
  CHECK(sends_after(error(ErrorKind::overloaded)) == 2);
  CHECK(sends_after(error(ErrorKind::rate_limited)) == 2);
  CHECK(sends_after(server_error(500)) == 1);
  CHECK(sends_after(error(ErrorKind::overloaded, {.http_status = 529})) == 1);
  CHECK(sends_after(error(ErrorKind::connect_failed)) == 2);
  CHECK(sends_after(error(ErrorKind::stream_interrupted)) == 2);                          // reset before any answer
  CHECK(sends_after(error(ErrorKind::stream_interrupted, {.http_status = 200})) == 1);    // and in the middle of one
  CHECK(sends_after(error(ErrorKind::overloaded, {.http_status = 200})) == 2);            // a 503 in disguise
  CHECK(sends_after(error(ErrorKind::server_error, {.http_status = 200})) == 1);
  CHECK(sends_after(error(ErrorKind::timeout)) == 1);
  CHECK(sends_after(error(ErrorKind::quota_exhausted)) == 1);                             // a 429, but no use
}

TEST_CASE("one attempt means exactly one") {
  VirtualRuntime runtime;
  const ErrorKind kind = GENERATE(ErrorKind::server_error, ErrorKind::connect_failed, ErrorKind::malformed_response);
  const ScriptedProvider provider{"a/m", {error(kind, {.should_retry = true})}};
  CHECK_FALSE(runtime.call(provider | retry({.max_attempts = 1}), "hello"));
  CHECK(provider.send_count() == 1);
}

TEST_CASE("no sleep is begun towards a target that will refuse") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m", {server_error()}};
  const Standing open{
      .verdict = Standing::Verdict::later, .why = ErrorKind::circuit_open, .ready_at = TimePoint::max()};
  const Provider guarded = Provider{Gatekeeper{provider, open}} | retry();
  const auto reply = runtime.call(guarded, "hello");
  CHECK(reply.error().kind == ErrorKind::server_error);
  CHECK(runtime.elapsed() == 0s);
  CHECK_THAT(reply.error().attempts[0].reason, EndsWith("; not retried: circuit_open by then"));
}

TEST_CASE("when the retry is refused on this side, the target's own error comes back") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m", {server_error()}};
  const Provider guarded = Provider{Gatekeeper{provider, Standing{}}} | retry();
  const auto reply = runtime.call(guarded, "hello");
  CHECK(reply.error().kind == ErrorKind::server_error);
  REQUIRE(reply.error().attempts.size() == 2);
  CHECK(reply.error().attempts[1].outcome == ErrorKind::circuit_open);
}

TEST_CASE("impossible options are refused with their name") {
  CHECK_THROWS_WITH(retry({.max_attempts = 0}), ContainsSubstring("max_attempts is 0"));
  CHECK_THROWS_WITH(retry({.max_attempts_with_fallback = -1}), ContainsSubstring("max_attempts_with_fallback"));
  CHECK_THROWS_WITH(retry({.initial = -1s}), ContainsSubstring("initial is -1s"));
  CHECK_THROWS_WITH(retry({.max_server_wait = -1s}), ContainsSubstring("max_server_wait"));
  CHECK_THROWS_WITH(retry({.on_status = {200}}), ContainsSubstring("on_status holds 200"));
  RetryOptions options;
  options.budget->capacity = -1;
  CHECK_THROWS_AS(retry(options), std::invalid_argument);
}

TEST_CASE("a retry describes itself") {
  const ScriptedProvider provider{"a/m"};
  CHECK((provider | retry({.max_attempts = 2})).describe() == "a/m | retry(max_attempts = 2)");
  CHECK(retry({.on_status = {429, 500}}).describe() == "retry(max_attempts = 3, on = [429, 500])");
  CHECK(retry({.max_attempts = 2, .max_retries_of_kind = {{ErrorKind::timeout, 0}}, .max = 2s, .repeatable = false,
               .budget = {}}).describe() ==
        "retry(max_attempts = 2, timeout = 0, max = 2s, repeatable = false, budget = none)");
}

}  // namespace retry_test
