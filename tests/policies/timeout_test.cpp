#include "backstop/policies/timeout.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/providers/openai.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"
#include "policies/tighter_limits.hpp"
#include "runtime/attempt_watchdog.hpp"
#include "support/replay_transport.hpp"

namespace timeout_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr Duration off = Duration::max();

/// Makes every call wait before it is let through, as a queue for permits does.
class Queue final : public Decorator {
 public:
  Queue(Provider next, Duration wait) : Decorator{std::move(next), "queue"}, wait_{wait} {}
  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
    Sleep sleep = context.sleep(wait_);
    auto slept = co_await sleep;
    if (!slept) co_return std::move(slept).error();
    auto result = co_await next().call(request, context);
    co_return result;
  }

 private:
  Duration wait_;
};

/// A model that may be asked for a stream by a plain call: it sends its headers at once, and nothing after them.
class HangsAfterHeaders final : public ModelProvider {
 public:
  explicit HangsAfterHeaders(bool may_stream = true)
      : ModelProvider{Target{"hanging", "m"}},
        may_stream_{may_stream},
        streamed_{std::make_shared<std::vector<bool>>()} {}

  /// Of each send, whether it asked for a stream.
  [[nodiscard]] const std::vector<bool>& streamed() const noexcept { return *streamed_; }

 private:
  Task<Result<ChatResponse>> send(const ChatRequest&, CallContext& context) const override {
    AttemptProgress& progress = *context.progress();
    streamed_->push_back(progress.streamed);
    progress.network = true;
    progress.connected = progress.first_byte = progress.last_byte = context.now();
    Sleep sleep = context.sleep(1h);
    auto slept = co_await sleep;
    if (!slept) co_return std::move(slept).error();
    co_return ChatResponse{};
  }
  [[nodiscard]] bool can_stream_plain_calls() const noexcept override { return may_stream_; }

  bool may_stream_;
  std::shared_ptr<std::vector<bool>> streamed_;
};

FallbackClient client_of(VirtualRuntime& world, std::vector<Provider> providers, const CallLimits& limits = {}) {
  return FallbackClient{std::move(providers),
                        FallbackOptions{.limits = limits, .recovery = {.max_wait = 0s}, .runtime = world.share()}};
}

Step connect_then(Duration connecting, Step step) {
  step.connects_after(connecting);
  return step;
}

}  // namespace

TEST_CASE("a connection that hangs fails after exactly 5 s, and the next target is tried", "[scenario-49]") {
  VirtualRuntime runtime;
  const ScriptedProvider a{"a/m", {no_connection()}};
  const ScriptedProvider b{"b/m", {answer("from b")}};
  FallbackOptions options;
  options.recovery.max_wait = 0s;
  options.runtime = runtime.share();
  const FallbackClient client{{a | timeout(), b | timeout()}, options};
  const auto reply = client.chat("hello");
  REQUIRE(reply);
  CHECK(reply->text() == "from b");
  CHECK(runtime.elapsed() == 5s);
  CHECK(reply->attempts[0].outcome == ErrorKind::connect_failed);
  CHECK(reply->attempts[0].replay == ReplaySafety::not_sent);
  CHECK(reply->attempts[0].elapsed == 5s);

  const auto alone = runtime.call(a | timeout(), "hello");
  CHECK(alone.error().kind == ErrorKind::connect_failed);
  CHECK(alone.error().timeout_limit == TimeoutLimit::connect);
  CHECK(runtime.idle());
}

TEST_CASE("a stream that pings until its content comes is left alone", "[scenario-50]") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  Step script;
  script.wait(1s).ping().pings(12, 20s).wait(9s).text("late").finish();
  const ScriptedProvider provider{"a/m", {script}};
  const auto reply = runtime.call(provider | timeout(), "hello", {.sink = &log});
  REQUIRE(reply);
  CHECK(runtime.elapsed() == 250s);
  CHECK(log.text() == "late");
}

TEST_CASE("pings without content end at the first-token limit, and another target may answer", "[scenario-51]") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  Step pinging;
  pinging.pings(1000, 7s);
  const ScriptedProvider a{"a/m", {pinging}};
  const auto reply = runtime.call(a | timeout({.first_token = 300s}), "hello", {.sink = &log});
  CHECK(reply.error().kind == ErrorKind::timeout);
  CHECK(reply.error().timeout_limit == TimeoutLimit::first_token);
  CHECK_FALSE(reply.error().committed);
  CHECK(runtime.elapsed() == 300s);

  VirtualRuntime second;
  const ScriptedProvider b{"b/m", {answer("from b")}};
  FallbackOptions options;
  options.recovery.max_wait = 0s;
  options.runtime = second.share();
  const FallbackClient client{{a | timeout({.first_token = 10s}) | retry(), b}, options};
  const auto saved = client.chat("hello");
  REQUIRE(saved);
  CHECK(saved->text() == "from b");
  CHECK(second.elapsed() == 10s);
}

TEST_CASE("a stream that falls silent after content is interrupted, with what came", "[scenario-52]") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  Step script = deltas({"half ", "an answer"}, 3s);
  script.silence();
  const ScriptedProvider provider{"a/m", {script}};
  const auto reply = runtime.call(provider | timeout() | retry(), "hello", {.sink = &log});
  CHECK(reply.error().kind == ErrorKind::stream_interrupted);
  CHECK(reply.error().cause == ErrorKind::timeout);
  CHECK(reply.error().timeout_limit == TimeoutLimit::idle);
  CHECK(reply.error().committed);
  CHECK(reply.error().partial_text == "half an answer");
  CHECK(runtime.elapsed() == 123s);
  CHECK(provider.send_count() == 1);
}

TEST_CASE("pings keep a stream alive after content", "[scenario-53]") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  Step script = deltas({"start"});
  script.pings(20, 30s).text(" end").finish();
  const ScriptedProvider provider{"a/m", {script}};
  const auto reply = runtime.call(provider | timeout({.attempt = off}), "hello", {.sink = &log});
  REQUIRE(reply);
  CHECK(runtime.elapsed() == 10min);
}

TEST_CASE("reasoning and tool arguments are content", "[scenario-54]") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  Step script;
  SECTION("reasoning") { script.wait(9s).reasoning("hm").wait(30s).text("yes").finish(); }
  SECTION("tool arguments") { script.wait(9s).tool_arguments("{").wait(30s).tool_call("page", "{}").finish(); }
  const ScriptedProvider provider{"a/m", {script}};
  CHECK(runtime.call(provider | timeout({.first_token = 10s}), "hello", {.sink = &log}));
  CHECK(runtime.elapsed() == 39s);
}

TEST_CASE("the limits stand still while the consumer does not read", "[scenario-55]") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  Step script = deltas({"a", "b"}, 1s);
  SECTION("and run again from when it goes on") {
    script.silence();
    const ScriptedProvider provider{"a/m", {script}};
    const auto call = runtime.start(provider | timeout(), "hello", {.sink = &log});
    runtime.at(500ms, [&] { log.pause(); });
    runtime.at(600s, [&] { log.resume(); });
    runtime.run(*call);
    CHECK(call->result().error().timeout_limit == TimeoutLimit::idle);
    CHECK(runtime.since(call->ended_at()) >= 720s);
    CHECK(runtime.since(call->ended_at()) <= 725s);
  }
  SECTION("the attempt's too") {
    script.wait(100s).text("c").finish();
    const ScriptedProvider provider{"a/m", {script}};
    const auto call = runtime.start(provider | timeout(200s), "hello", {.sink = &log});
    runtime.at(500ms, [&] { log.pause(); });
    runtime.at(600s, [&] { log.resume(); });
    runtime.run(*call);
    REQUIRE(call->result());
    CHECK(log.text() == "abc");
  }
}

TEST_CASE("the shorter of two deadlines wins", "[scenario-57]") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m", {testing::silence()}};
  SECTION("the caller's") {
    const auto reply = runtime.call(provider | timeout(10s), "hello", {.deadline = 3s});
    CHECK(reply.error().kind == ErrorKind::deadline_exceeded);
    CHECK(reply.error().timeout_limit == TimeoutLimit::none);
    CHECK(runtime.elapsed() == 3s);
  }
  SECTION("the attempt's") {
    const auto reply = runtime.call(provider | timeout(3s), "hello", {.deadline = 10s});
    CHECK(reply.error().kind == ErrorKind::timeout);
    CHECK(reply.error().timeout_limit == TimeoutLimit::attempt);
    CHECK(runtime.elapsed() == 3s);
  }
  SECTION("of two policies the shorter") {
    const auto inner = runtime.call(provider | timeout(3s) | timeout(5s), "hello");
    CHECK(inner.error().timeout_limit == TimeoutLimit::attempt);
    CHECK(runtime.elapsed() == 3s);
    const auto outer = runtime.call(provider | timeout(5s) | timeout(3s), "hello");
    CHECK(outer.error().timeout_limit == TimeoutLimit::attempt);
    CHECK(runtime.elapsed() == 6s);
  }
  SECTION("at the same moment it is the caller's") {
    const auto reply = runtime.call(provider | timeout(3s), "hello", {.deadline = 3s});
    CHECK(reply.error().kind == ErrorKind::deadline_exceeded);
  }
}

TEST_CASE("waiting for permits does not count against the attempt", "[scenario-58]") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m", {answer("hi").after(4s)}};
  const auto reply = runtime.call(Provider{Queue{provider | timeout(5s), 8s}}, "hello");
  REQUIRE(reply);
  CHECK(runtime.elapsed() == 12s);
}

TEST_CASE("a policy around retries limits each of them, not the waits between", "[scenario-58]") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m",
                                  {error(ErrorKind::rate_limited, {.retry_after = 60s}).after(2s), testing::silence()}};
  const auto reply = runtime.call(provider | retry({.max_attempts = 2}) | timeout(5s), "hello");
  CHECK(reply.error().timeout_limit == TimeoutLimit::attempt);
  REQUIRE(provider.send_count() == 2);
  CHECK(reply.error().attempts[1].elapsed == 5s);
  CHECK(runtime.elapsed() >= 2s + 60s + 5s);
}

TEST_CASE("a deadline that has passed already sends nothing", "[scenario-59]") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m"};
  const auto reply = runtime.call(provider | timeout() | retry(), "hello", {.deadline = 0s});
  CHECK(reply.error().kind == ErrorKind::deadline_exceeded);
  CHECK(provider.send_count() == 0);
  CHECK(runtime.idle());
}

TEST_CASE("an answer in the very moment of its limit has one outcome, always the same", "[scenario-60]") {
  std::vector<bool> outcomes;
  for (int i = 0; i < 10; ++i) {
    VirtualRuntime runtime;
    EventLog log{runtime.runtime()};
    const ScriptedProvider provider{"a/m", {answer("hi").after(5s)}};
    const auto call = runtime.start(provider | timeout(5s), "hello", {.sink = &log});
    runtime.run(*call);
    CHECK(call->completions() == 1);
    CHECK(log.count(StreamEvent::Type::finished) + log.count(StreamEvent::Type::failed) == 1);
    CHECK(runtime.idle());
    outcomes.push_back(call->result().has_value());
  }
  CHECK(outcomes == std::vector<bool>(10, outcomes.front()));
}

TEST_CASE("setting the calendar moves no limit", "[scenario-62]") {
  VirtualRuntime runtime;
  const Duration jump = GENERATE(Duration{24h}, Duration{-24h});
  const ScriptedProvider provider{"a/m", {testing::silence()}};
  const auto call = runtime.start(provider | timeout(20s), "hello");
  runtime.at(10s, [&] { runtime.clock().jump_wall(jump); });
  runtime.run(*call);
  CHECK(call->result().error().timeout_limit == TimeoutLimit::attempt);
  CHECK(runtime.since(call->ended_at()) == 20s);
}

TEST_CASE("a limit that is not above zero is refused with its name", "[scenario-63]") {
  CHECK_THROWS_AS(timeout(0s), std::invalid_argument);
  CHECK_THROWS_WITH(timeout(-1s), ContainsSubstring("attempt is -1s"));
  CHECK_THROWS_WITH(timeout({.connect = 0s}), ContainsSubstring("connect"));
  CHECK_THROWS_WITH(timeout({.first_byte = 0s}), ContainsSubstring("first_byte"));
  CHECK_THROWS_WITH(timeout({.first_token = -5s}), ContainsSubstring("first_token"));
  CHECK_THROWS_WITH(timeout({.idle = 0s}), ContainsSubstring("idle"));
}

TEST_CASE("the error names the limit and the time of each phase", "[scenario-65]") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  SECTION("no connection") {
    const ScriptedProvider provider{"a/m", {no_connection()}};
    const auto reply = runtime.call(provider | timeout({.connect = 2s}), "hello");
    CHECK(reply.error().message == "no connection within 2s");
  }
  SECTION("no byte") {
    const ScriptedProvider provider{"a/m", {connect_then(250ms, testing::silence())}};
    const auto reply = runtime.call(provider | timeout({.first_byte = 10s}), "hello");
    CHECK(reply.error().message == "no byte of an answer within 10s (connected after 250ms)");
    CHECK(reply.error().attempts[0].reason == reply.error().message);
    CHECK(runtime.elapsed() == 10250ms);
  }
  SECTION("no content") {
    Step script;
    script.wait(1s).ping().pings(100, 1s);
    const ScriptedProvider provider{"a/m", {connect_then(100ms, script)}};
    const auto reply = runtime.call(provider | timeout({.first_token = 2s}), "hello", {.sink = &log});
    CHECK(reply.error().timeout_limit == TimeoutLimit::first_token);
    CHECK_THAT(reply.error().message, ContainsSubstring("no content of an answer within 2s (connected after 100ms, "
                                                        "first byte after 1.1s"));
    CHECK(runtime.elapsed() == 2100ms);
  }
  SECTION("silence after content, and retry's decision behind it in the ledger") {
    Step script = deltas({"half"});
    script.silence();
    const ScriptedProvider provider{"a/m", {connect_then(1s, script)}};
    const auto reply = runtime.call(provider | timeout({.idle = 30s}) | retry(), "hello", {.sink = &log});
    CHECK(reply.error().message ==
          "the answer stopped coming for 30s (connected after 1s, first byte after 1s, first token after 1s, last byte "
          "after 1s)");
    CHECK(reply.error().attempts[0].reason == reply.error().message + "; not retried: content had been delivered");
  }
  SECTION("the whole attempt") {
    const ScriptedProvider provider{"a/m", {testing::silence()}};
    const auto reply = runtime.call(provider | timeout(3s), "hello");
    CHECK(reply.error().message == "the attempt took longer than 3s (connected after 0s)");
  }
}

TEST_CASE("what came with the last bytes did not come after them, and times have three digits") {
  AttemptProgress progress;
  progress.started = TimePoint{100s};
  progress.connected = progress.started + 385'600ns;
  progress.first_byte = progress.last_byte = progress.started + 792'800ns;
  progress.first_content = progress.started + 814'300ns;
  const detail::ArmedLimits limits{off, off, off, 2'999'710us, off};
  CHECK(detail::broken_limit(StopReason::idle, limits, progress) ==
        "the answer stopped coming for 3s (connected after 0.386ms, first byte after 0.793ms, first token after "
        "0.793ms, last byte after 0.793ms)");
}

TEST_CASE("the first byte is limited for streams by default, longer for a model on this machine") {
  ModelFacts facts;
  facts.local = GENERATE(false, true);
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  const ScriptedProvider provider{Target{"a", "m", facts}, {testing::silence()}};
  const auto streamed = runtime.call(provider | timeout(), "hello", {.sink = &log});
  CHECK(streamed.error().timeout_limit == TimeoutLimit::first_byte);
  CHECK(runtime.elapsed() == (facts.local ? 300s : 60s));

  const auto plain = runtime.call(provider | timeout(), "hello");
  CHECK(plain.error().timeout_limit == TimeoutLimit::attempt);
  const Duration before = runtime.elapsed();
  const auto asked_for = runtime.call(provider | timeout({.first_byte = 10s}), "hello");
  CHECK(asked_for.error().timeout_limit == TimeoutLimit::first_byte);
  CHECK(runtime.elapsed() == before + 10s);
}

TEST_CASE("limits fire to the nanosecond, whatever came before them") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  const Duration connecting = GENERATE(Duration{0}, Duration{700ms}, Duration{1300ms}, Duration{2999ms});
  Step script = deltas({"a", "b", "c"}, 333ms);
  script.silence();
  const ScriptedProvider provider{"a/m", {connect_then(connecting, script)}};
  const Policy limits = timeout({.connect = 3s, .first_byte = 1s, .first_token = 1s, .idle = 500ms});
  const auto reply = runtime.call(provider | limits, "hello", {.sink = &log});
  CHECK(reply.error().timeout_limit == TimeoutLimit::idle);
  CHECK(runtime.elapsed() == connecting + 666ms + 500ms);
}

TEST_CASE("an answer in time leaves no timer behind") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m", {answer("hi").after(4s)}};
  CHECK(runtime.call(provider | timeout(5s), "hello"));
  CHECK(runtime.elapsed() == 4s);
  CHECK(runtime.idle());
}

TEST_CASE("the application's cancellation is not a timeout", "[scenario-195][scenario-200]") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  Step script;
  SECTION("while connecting") { script = no_connection(); }
  SECTION("before the first byte") { script = testing::silence(); }
  SECTION("in mid stream") { script = deltas({"a"}).silence(); }
  const ScriptedProvider provider{"a/m", {script}};
  const auto call = runtime.start(provider | timeout() | retry(), "hello", {.sink = &log});
  runtime.at(2s, [&] { call->cancel(); });
  runtime.run(*call);
  CHECK(call->result().error().kind == ErrorKind::cancelled);
  CHECK(runtime.since(call->ended_at()) == 2s);
  CHECK(provider.send_count() == 1);
  CHECK(runtime.idle());
}

// Wherever it stands, and where none does.

TEST_CASE("around a client the limits are those of each attempt: the next target is asked") {
  VirtualRuntime world;
  const ScriptedProvider silent{"a/m", {testing::silence()}};
  const ScriptedProvider other{"b/m", {answer("from b").after(2s)}};
  const auto reply = world.call(client_of(world, {silent, other}) | timeout(3s), "hello");
  REQUIRE(reply);
  CHECK(reply->text() == "from b");
  CHECK(reply->attempts[0].outcome == ErrorKind::timeout);
  CHECK(reply->attempts[0].elapsed == 3s);
  CHECK(world.elapsed() == 5s);

  const FallbackClient inner = client_of(world, {silent | retry(), other});
  const auto nested = client_of(world, {inner | timeout(1s), ScriptedProvider{"c/m"}}).chat("hello");
  REQUIRE(nested);
  CHECK(nested->served_by.name() == "c/m");
  CHECK(nested->attempts[0].elapsed == 1s);
  CHECK(nested->attempts[1].elapsed == 1s);
  CHECK(world.idle());
}

TEST_CASE("of several timeouts around each other each limit is the tighter one") {
  const AttemptLimits inner{.connect = 1s, .first_token = 9s, .idle = 30s};
  const AttemptLimits outer{.connect = 2s, .first_byte = 4s, .first_token = 8s, .attempt = 60s,
                            .plain_calls_stream = PlainCallsStream::never};
  const AttemptLimits both{.connect = 1s, .first_byte = 4s, .first_token = 8s, .idle = 30s, .attempt = 60s,
                           .plain_calls_stream = PlainCallsStream::never};
  CHECK(detail::tighter(inner, outer) == both);
  CHECK(detail::tighter(outer, inner) == both);
  const AttemptLimits always{.plain_calls_stream = PlainCallsStream::always};
  CHECK(detail::tighter(always, outer).plain_calls_stream == PlainCallsStream::always);

  VirtualRuntime world;
  EventLog log{world.runtime()};
  const ScriptedProvider model{"a/m", {Step{}.endless_pings(500ms)}};
  const auto reply = world.call(model | timeout({.first_token = 5s}) | retry({.max_attempts = 1}) |
                                    timeout({.first_token = 2s, .attempt = 20s}),
                                "hello", {.sink = &log});
  CHECK(reply.error().timeout_limit == TimeoutLimit::first_token);
  CHECK(world.elapsed() == 2s);
}

TEST_CASE("a provider without a policy has the usual limits") {
  VirtualRuntime world;
  EventLog log{world.runtime()};
  const auto limit_of = [&](const Target& target, Step step, const VirtualCallOptions& options) {
    const TimePoint before = world.clock().now();
    const auto reply = world.call(ScriptedProvider{target, {std::move(step)}}, "hello", options);
    REQUIRE_FALSE(reply);
    return std::pair{reply.error().timeout_limit, world.clock().now() - before};
  };
  using Limit = std::pair<TimeoutLimit, Duration>;
  ModelFacts thinks;
  thinks.thinks_unseen = true;
  ModelFacts local;
  local.local = true;
  const Target usual{"a", "m"};
  const Target thinking{"a", "m", thinks};
  const Target on_this_machine{"a", "m", local};
  const Step pings = Step{}.endless_pings(1s);

  CHECK(limit_of(usual, no_connection(), {}) == Limit{TimeoutLimit::connect, 5s});
  CHECK(limit_of(usual, testing::silence(), {}) == Limit{TimeoutLimit::attempt, 600s});
  CHECK(limit_of(usual, testing::silence(), {.alternative_ready = true}) == Limit{TimeoutLimit::first_byte, 120s});
  CHECK(limit_of(on_this_machine, testing::silence(), {.alternative_ready = true}) ==
        Limit{TimeoutLimit::attempt, 600s});
  CHECK(limit_of(usual, testing::silence(), {.sink = &log}) == Limit{TimeoutLimit::first_byte, 60s});
  CHECK(limit_of(on_this_machine, testing::silence(), {.sink = &log}) == Limit{TimeoutLimit::first_byte, 300s});
  CHECK(limit_of(usual, pings, {.sink = &log}) == Limit{TimeoutLimit::attempt, 600s});
  CHECK(limit_of(usual, pings, {.sink = &log, .alternative_ready = true}) == Limit{TimeoutLimit::first_token, 30s});
  CHECK(limit_of(thinking, pings, {.sink = &log, .alternative_ready = true}) ==
        Limit{TimeoutLimit::first_token, 300s});
  CHECK(limit_of(on_this_machine, pings, {.sink = &log, .alternative_ready = true}) ==
        Limit{TimeoutLimit::first_token, 300s});
  CHECK(limit_of(usual, deltas({"half"}).silence(), {.sink = &log}) == Limit{TimeoutLimit::idle, 120s});
  CHECK(world.idle());
}

// Plain calls that ask for a stream.

TEST_CASE("a plain call asks for a stream where that helps") {
  VirtualRuntime world;
  const auto asks = [&](const HangsAfterHeaders& model, PlainCallsStream rule, bool other_ready,
                        std::optional<std::int64_t> output_limit = {}) {
    ChatRequest request{"hello"};
    request.max_output_tokens = output_limit;
    const Provider limited = model | timeout({.plain_calls_stream = rule});
    CHECK_FALSE(world.call(limited, request, {.deadline = 1s, .alternative_ready = other_ready}));
    return model.streamed().back();
  };
  const HangsAfterHeaders model;
  CHECK(asks(model, PlainCallsStream::automatic, true));
  CHECK_FALSE(asks(model, PlainCallsStream::automatic, false));
  CHECK(asks(model, PlainCallsStream::automatic, true, 257));
  CHECK_FALSE(asks(model, PlainCallsStream::automatic, true, 256));
  CHECK_FALSE(asks(HangsAfterHeaders{false}, PlainCallsStream::automatic, true));
  CHECK(asks(model, PlainCallsStream::always, false));
  CHECK_FALSE(asks(model, PlainCallsStream::never, true));
}

TEST_CASE("a plain call that hangs after its headers is left for a ready target after 30 s") {
  VirtualRuntime world;
  const HangsAfterHeaders hanging;
  const ScriptedProvider other{"b/m", {answer("from b")}};
  const auto reply = client_of(world, {hanging, other}).chat("hello");
  REQUIRE(reply);
  CHECK(reply->text() == "from b");
  CHECK(reply->elapsed == 30s);
  CHECK(hanging.streamed() == std::vector<bool>{true});
  const auto alone = client_of(world, {hanging}).chat("hello");
  CHECK(alone.error().timeout_limit == TimeoutLimit::idle);
  CHECK(alone.error().elapsed == 120s);
  CHECK(hanging.streamed() == std::vector<bool>{true, false});
}

TEST_CASE("an HTTP target that hangs after its headers is left likewise, and the other's answer comes whole") {
  testing::VirtualClock clock;
  RuntimeOptions options;
  options.clock = &clock;
  options.background_driver = false;
  options.transport = std::make_unique<testing_support::ReplayTransport>(clock, [](const HttpRequest& request) {
    testing_support::ReplayedAnswer found;
    found.headers = {{"content-type", "text/event-stream"}};
    found.stays_open = request.url.find("hangs.test") != std::string::npos;
    if (found.stays_open) return found;
    found.headers = {{"content-type", "application/json"}};
    found.body = R"({"choices":[{"message":{"content":"whole"},"finish_reason":"stop"}]})";
    return found;
  });
  const auto& transport = static_cast<const testing_support::ReplayTransport&>(*options.transport);
  const auto runtime = std::make_shared<Runtime>(std::move(options));
  const FallbackClient client{
      {openai({.model = "gpt-4o", .api_key = "sk-secret-0123456789", .base_url = "http://hangs.test/v1"}),
       openai({.model = "gpt-4o-mini", .api_key = "sk-secret-0123456789", .base_url = "http://works.test/v1"})},
      FallbackOptions{.runtime = runtime}};
  const auto reply = client.chat("hello");
  REQUIRE(reply);
  CHECK(reply->text() == "whole");
  CHECK(reply->elapsed == 30s);
  REQUIRE(transport.requests().size() == 2);
  CAPTURE(transport.requests()[0].body);
  CHECK(transport.requests()[0].body.find("\"stream\":true") != std::string::npos);
  CHECK(transport.requests()[1].body.find("\"stream\":true") == std::string::npos);
  CHECK(runtime->idle());
}

// The deadline's share.

TEST_CASE("a stream that flows is not cut for targets that can no longer be used") {
  VirtualRuntime world;
  EventLog log{world.runtime()};
  const ScriptedProvider flowing{"a/m", {stream({"a", "b", "c", "d"}, 400ms).after(300ms)}};
  const ScriptedProvider other{"b/m", {answer("from b")}};
  const auto reply =
      world.call(client_of(world, {flowing, other}), "hello", {.deadline = 2s, .sink = &log});
  REQUIRE(reply);
  CHECK(reply->text() == "abcd");
  CHECK(reply->elapsed == 1500ms);
}

TEST_CASE("one that brings nothing leaves half of the time to the other target") {
  VirtualRuntime world;
  EventLog log{world.runtime()};
  const ScriptedProvider silent{"a/m", {testing::silence()}};
  const ScriptedProvider other{"b/m", {answer("from b")}};
  const auto reply = world.call(client_of(world, {silent, other}), "hello", {.deadline = 2s, .sink = &log});
  REQUIRE(reply);
  CHECK(reply->text() == "from b");
  CHECK(reply->elapsed == 1s);
}

TEST_CASE("a timeout describes itself") {
  CHECK(timeout(20s).describe() == "timeout(20s)");
  CHECK(timeout().describe() == "timeout()");
  CHECK(timeout({.first_token = 1500ms, .idle = off}).describe() == "timeout(first_token = 1.5s, idle = off)");
}

}  // namespace timeout_test
