#include "backstop/policies/intercept.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <stdexcept>
#include <string>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/cache.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/routing/degrade.hpp"
#include "backstop/testing/event_log.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace intercept_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

ChatResponse canned(std::string text) {
  ChatResponse response;
  response.parts.emplace_back(Text{std::move(text)});
  return response;
}

Policy before(std::function<Result<void>(RequestEdit&)> function) {
  InterceptOptions options;
  options.before = std::move(function);
  return intercept(std::move(options));
}

Policy after(std::function<void(const ChatRequest&, Result<ChatResponse>&)> function) {
  InterceptOptions options;
  options.after = std::move(function);
  return intercept(std::move(options));
}

Policy around(std::function<Task<Result<ChatResponse>>(const Provider&, const ChatRequest&, CallContext&)> function) {
  InterceptOptions options;
  options.around = std::move(function);
  return intercept(std::move(options));
}

Task<Result<ChatResponse>> ask_twice(const Provider& next, const ChatRequest& request, CallContext& context) {
  auto first = co_await next.call(request, context);
  if (first) co_return first;
  auto second = co_await next.call(request, context);
  co_return second;
}

Task<Result<ChatResponse>> answer_alone(const Provider&, const ChatRequest&, CallContext& context) {
  auto slept = co_await context.sleep(1s);
  if (!slept) co_return slept.error();
  co_return canned("by hand");
}

Task<Result<ChatResponse>> throw_after_the_call(const Provider& next, const ChatRequest& request,
                                                CallContext& context) {
  auto result = co_await next.call(request, context);
  if (result) throw std::runtime_error{"around the corner"};
  co_return result;
}

}  // namespace

TEST_CASE("before may change the request, and the caller's own stays as it is") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m"};
  const Provider guarded = model | before([](RequestEdit& request) -> Result<void> {
    CHECK(request.target().name() == "a/m");
    request.edit().max_output_tokens = 7;
    request.edit().metadata.user_id = "ada";
    return {};
  });
  const ChatRequest request{"hello"};
  REQUIRE(runtime.call(guarded, request));
  CHECK(model.sends().front().request.max_output_tokens == 7);
  CHECK(model.sends().front().request.metadata.user_id == "ada");
  CHECK_FALSE(request.max_output_tokens);
}

TEST_CASE("a request that is only looked at is not copied") {
  const ChatRequest request{"hello"};
  const Target target{"a", "m"};
  RequestEdit edit{request, target};
  CHECK(&*edit == &request);
  CHECK(edit->messages.size() == 1);
  ChatRequest& copy = edit.edit();
  CHECK(&copy != &request);
  CHECK(&copy == &edit.edit());
  CHECK(&*edit == &copy);
}

TEST_CASE("before may refuse: nothing is sent, the ledger says why, and the next target is asked") {
  VirtualRuntime runtime;
  const ScriptedProvider first{"a/m"};
  const ScriptedProvider second{"b/m", {answer("from b")}};
  int seen = 0;
  InterceptOptions options;
  options.before = [](RequestEdit&) -> Result<void> { return Error{ErrorKind::local_limit, "not on Sundays"}; };
  options.after = [&](const ChatRequest&, Result<ChatResponse>&) { ++seen; };
  const FallbackClient client{first | intercept(options), second};
  const auto reply = runtime.call(client, "hello");
  REQUIRE(reply);
  CHECK(reply->text() == "from b");
  CHECK(first.send_count() == 0);
  CHECK(seen == 0);
  REQUIRE(reply->attempts.size() == 2);
  CHECK_FALSE(reply->attempts[0].sent);
  CHECK(reply->attempts[0].target == first.target());
  CHECK(reply->attempts[0].outcome == ErrorKind::local_limit);
  CHECK(reply->attempts[0].reason == "not on Sundays");
}

TEST_CASE("after sees what came of it and may replace it") {
  VirtualRuntime runtime;
  SECTION("an answer by a better one") {
    const ScriptedProvider model{"a/m", {answer("number 4711")}};
    const Provider guarded = model | after([](const ChatRequest& request, Result<ChatResponse>& result) {
      CHECK(text_of(request.messages.front().parts) == "hello");
      REQUIRE(result);
      result->parts = {Text{"number [removed]"}};
    });
    CHECK(runtime.call(guarded, "hello")->text() == "number [removed]");
  }
  SECTION("an answer by an error, which is retried as such") {
    const ScriptedProvider model{"a/m", {answer("bad"), answer("good")}};
    const Provider guarded = model | after([](const ChatRequest&, Result<ChatResponse>& result) {
      if (result->text() == "bad") result = Error{ErrorKind::malformed_response, "not good"};
    }) | retry();
    CHECK(runtime.call(guarded, "hello")->text() == "good");
    CHECK(model.send_count() == 2);
  }
  SECTION("an error by an answer, which knows whom it stands for") {
    const ScriptedProvider model{"a/m", {error(ErrorKind::server_error)}};
    const Provider guarded = model | after([](const ChatRequest&, Result<ChatResponse>& result) {
      if (!result) result = canned("we are down");
    });
    const auto reply = runtime.call(guarded, "hello");
    REQUIRE(reply);
    CHECK(reply->text() == "we are down");
    CHECK(reply->served_by == model.target());
    CHECK(reply->attempts.size() == 1);
  }
}

TEST_CASE("an answer that is rejected has a row more, which says why") {
  VirtualRuntime runtime;
  const ScriptedProvider draft{"a/m", {answer("bad")}};
  const ScriptedProvider better{"b/m", {answer("good")}};
  const Policy check = after([](const ChatRequest&, Result<ChatResponse>& result) {
    if (result && result->text() == "bad") result = Error{ErrorKind::rejected_response, "not good enough"};
  });
  SECTION("of the target that gave it") {
    const auto reply = runtime.call(FallbackClient{draft | check, better}, "hello");
    REQUIRE(reply);
    CHECK(reply->text() == "good");
    REQUIRE(reply->attempts.size() == 3);
    CHECK(reply->attempts[0].sent);
    CHECK_FALSE(reply->attempts[0].outcome);
    CHECK(reply->attempts[1].target == draft.target());
    CHECK_FALSE(reply->attempts[1].sent);
    CHECK(reply->attempts[1].outcome == ErrorKind::rejected_response);
    CHECK(reply->attempts[1].reason == "not good enough");
    CHECK(reply->attempts[2].target == better.target());
  }
  SECTION("around a client too") {
    const ScriptedProvider down{"c/m", {error(ErrorKind::server_error)}};
    const auto reply = runtime.call(FallbackClient{down, draft} | check, "hello");
    REQUIRE_FALSE(reply);
    REQUIRE(reply.error().attempts.size() == 3);
    CHECK(reply.error().attempts[2].target == draft.target());
    CHECK(reply.error().attempts[2].outcome == ErrorKind::rejected_response);
  }
  SECTION("an exception likewise, once for policies around each other") {
    const Policy throws = after([](const ChatRequest&, Result<ChatResponse>& result) {
      if (result) throw std::runtime_error{"no"};
    });
    const auto reply = runtime.call(draft | throws | check, "hello");
    REQUIRE_FALSE(reply);
    REQUIRE(reply.error().attempts.size() == 2);
    CHECK(reply.error().attempts[1].outcome == ErrorKind::invalid_request);
    CHECK(reply.error().attempts[1].reason == "intercept: after threw: no");
  }
  SECTION("a failure that has its row already has no second one") {
    const ScriptedProvider down{"c/m", {error(ErrorKind::server_error)}};
    CHECK(runtime.call(down | check | around(ask_twice), "hello").error().attempts.size() == 2);
  }
}

TEST_CASE("what around streams again begins anew") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  SECTION("after content") {
    const ScriptedProvider model{"a/m", {deltas({"half an ans"}).cut(), stream({"a whole ", "one"})}};
    const auto reply = runtime.call(model | around(ask_twice), "hello", {.sink = &log});
    REQUIRE(reply);
    CHECK(reply->text() == "a whole one");
    CHECK(log.text() == "a whole one");
    CHECK(log.count(StreamEvent::Type::restarted) == 1);
  }
  SECTION("after content, and fails") {
    const ScriptedProvider model{"a/m", {deltas({"half an ans"}).cut(), error(ErrorKind::server_error)}};
    const auto reply = runtime.call(FallbackClient{model | around(ask_twice), ScriptedProvider{"b/m"}}, "hello", {.sink = &log});
    REQUIRE_FALSE(reply);
    CHECK(reply.error().committed);
    CHECK(log.text() == "half an ans");
    CHECK(log.count(StreamEvent::Type::restarted) == 0);
  }
  SECTION("before content") {
    const ScriptedProvider model{"a/m", {error(ErrorKind::server_error), stream({"a whole ", "one"})}};
    REQUIRE(runtime.call(model | around(ask_twice), "hello", {.sink = &log}));
    CHECK(log.count(StreamEvent::Type::restarted) == 0);
  }
  SECTION("not after a tool call") {
    const ScriptedProvider model{"a/m", {deltas({"text"}).tool_call("weather", "{}").cut(), stream({"a whole ", "one"})}};
    ChatRequest request{"hello"};
    request.tools = {{.name = "weather"}};
    const auto reply = runtime.call(model | around(ask_twice), request, {.sink = &log});
    REQUIRE_FALSE(reply);
    CHECK(model.send_count() == 1);
  }
}

TEST_CASE("what around calls again is told once where a hold keeps it back") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  const auto last_of_two = [](const Provider& next, const ChatRequest& request, CallContext& context) -> Task<Result<ChatResponse>> {
    Task<Result<ChatResponse>> first_task = next.call(request, context);
    auto first = co_await first_task;
    Task<Result<ChatResponse>> second_task = next.call(request, context);
    auto second = co_await second_task;
    if (!second) co_return first;
    co_return second;
  };
  FallbackOptions options{.hold = StreamHold{}, .runtime = runtime.share()};
  SECTION("from a cache") {
    const ScriptedProvider model{"a/m", {answer("one")}};
    const FallbackClient client{{model | cache({.any_temperature = true}) | around(last_of_two)}, options};
    REQUIRE(runtime.call(client, "hello", {.sink = &log}));
    CHECK(log.text() == "one");
  }
  SECTION("with what was given up") {
    ModelFacts blind;
    blind.capabilities.vision = false;
    const ScriptedProvider model{Target{"a", "m", blind}, {answer("good"), error(ErrorKind::server_error)}};
    FallbackOptions reduces{.runtime = runtime.share()};
    reduces.degrade = {degrade::images()};
    const FallbackClient inner{{model}, reduces};
    ChatRequest request{"what is this?"};
    request.messages.front().parts.emplace_back(Image{.data = "AAAA", .media_type = "image/png"});
    const auto reply = runtime.call(FallbackClient{{inner | around(last_of_two)}, options}, request, {.sink = &log});
    REQUIRE(reply);
    REQUIRE(reply->degradation);
    CHECK(log.text() == "good");
    CHECK(log.count(StreamEvent::Type::degraded) == 1);
  }
}

TEST_CASE("around calls the next provider as often as it likes") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m", {error(ErrorKind::server_error), answer("hi")}};
  CHECK(runtime.call(model | around(ask_twice), "hello")->text() == "hi");
  CHECK(model.send_count() == 2);
  const ScriptedProvider idle{"b/m"};
  const auto reply = runtime.call(idle | around(answer_alone), "hello");
  CHECK(reply->text() == "by hand");
  CHECK(reply->served_by == idle.target());
  CHECK(reply->elapsed == 1s);
  CHECK(idle.send_count() == 0);
  const auto late = runtime.call(idle | around(answer_alone), "hello", {.deadline = 100ms});
  CHECK(late.error().kind == ErrorKind::deadline_exceeded);
  CHECK(runtime.idle());
}

TEST_CASE("streams go through, and what is put in place of one is streamed whole") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  const Policy all = before([](RequestEdit& request) -> Result<void> {
    request.edit().temperature = 0;
    return {};
  }) | around(ask_twice) | after([](const ChatRequest&, Result<ChatResponse>& result) {
    if (!result && !result.error().committed) result = canned("canned");
  });
  SECTION("a stream") {
    const ScriptedProvider model{"a/m", {stream({"Hel", "lo"}, 10ms)}};
    const auto reply = runtime.call(model | all, "hello", {.sink = &log});
    REQUIRE(reply);
    CHECK(log.text() == "Hello");
    CHECK(log.count(StreamEvent::Type::text) == 2);
    CHECK(log.count(StreamEvent::Type::finished) == 1);
  }
  SECTION("a failure before content") {
    const ScriptedProvider model{"a/m", {error(ErrorKind::server_error)}};
    REQUIRE(runtime.call(model | all, "hello", {.sink = &log}));
    CHECK(log.text() == "canned");
    CHECK(log.count(StreamEvent::Type::finished) == 1);
  }
  SECTION("a failure after content stays one") {
    const ScriptedProvider model{"a/m", {deltas({"Hel"}).cut()}};
    const auto reply = runtime.call(model | after([](const ChatRequest&, Result<ChatResponse>& result) {
      CHECK(result.error().committed);
    }), "hello", {.sink = &log});
    CHECK(reply.error().kind == ErrorKind::stream_interrupted);
    CHECK(log.text() == "Hel");
    CHECK(log.count(StreamEvent::Type::failed) == 1);
  }
}

TEST_CASE("what the application's code throws fails the call with its words", "[scenario-22]") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m", {answer("hi")}};
  const ScriptedProvider other{"b/m"};
  struct Case {
    Policy policy;
    std::string words;
    std::size_t sends;
  };
  const Case cases[] = {
      {before([](RequestEdit&) -> Result<void> { throw std::runtime_error{"before noon"}; }),
       "intercept: before threw: before noon", 0},
      {after([](const ChatRequest&, Result<ChatResponse>&) { throw std::runtime_error{"after all"}; }),
       "intercept: after threw: after all", 1},
      {around(throw_after_the_call), "intercept: around threw: around the corner", 1},
      {around([](const Provider&, const ChatRequest&, CallContext&) -> Task<Result<ChatResponse>> { throw 42; }),
       "intercept: around threw something that is no std::exception", 0},
  };
  for (const Case& one : cases) {
    CAPTURE(one.words);
    const std::size_t before_call = model.send_count();
    const FallbackClient client{model | one.policy | retry(), other};
    const auto reply = runtime.call(client, "hello");
    REQUIRE_FALSE(reply);
    CHECK(reply.error().kind == ErrorKind::invalid_request);
    CHECK(reply.error().message == one.words);
    CHECK(reply.error().target == model.target());
    CHECK(model.send_count() - before_call == one.sends);
  }
  CHECK(other.send_count() == 0);
}

TEST_CASE("an error that is thrown as a BadResult stays the error that it is") {
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m", {error(ErrorKind::overloaded)}};
  const auto reply = runtime.call(model | after([](const ChatRequest&, Result<ChatResponse>& result) {
    static_cast<void>(result.value());
  }), "hello");
  CHECK(reply.error().kind == ErrorKind::overloaded);
}

TEST_CASE("an interception has the name it is given") {
  const ScriptedProvider model{"a/m"};
  const InterceptOptions options{.after = [](const ChatRequest&, Result<ChatResponse>&) {}, .name = "redact"};
  CHECK((model | intercept(options)).describe() == "a/m | redact");
  CHECK_THROWS_AS(intercept({}), std::invalid_argument);
}

}  // namespace intercept_test
