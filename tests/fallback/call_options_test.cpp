// What is said for one call, whichever way it is made.

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <memory>
#include <sstream>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "backstop/chat/format.hpp"
#include "backstop/fallback_client.hpp"
#include "backstop/policies/accept_if.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/policies/timeout.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"
#include "support/detached.hpp"

namespace call_options_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

struct Lab {
  [[nodiscard]] FallbackOptions options() const {
    FallbackOptions options;
    options.recovery.max_wait = 0s;
    options.runtime = world.share();
    return options;
  }
  [[nodiscard]] FallbackClient client(std::vector<Provider> targets) const {
    return FallbackClient{std::move(targets), options()};
  }

  VirtualRuntime world;
};

class Calls final : public Observer {
 public:
  void on_call(const CallEvent&) noexcept override { ++count; }
  int count = 0;
};

/// What each way of calling gives.
struct Face {
  std::string_view name;
  Result<ChatResponse> (*call)(const FallbackClient&, const CallOptions&);
};

Detached ask(const FallbackClient& client, const CallOptions& options, std::optional<Result<ChatResponse>>& result) {
  const ChatRequest request{"hello"};
  auto reply = co_await client.chat_async(request, options);
  result.emplace(std::move(reply));
}

const std::vector<Face> faces{
    {"chat", [](const FallbackClient& client, const CallOptions& options) { return client.chat("hello", options); }},
    {"stream",
     [](const FallbackClient& client, const CallOptions& options) {
       ChatStream stream = client.stream("hello", options);
       return Result<ChatResponse>{stream.result()};
     }},
    {"start",
     [](const FallbackClient& client, const CallOptions& options) { return client.start("hello", options).wait(); }},
    {"chat_async",
     [](const FallbackClient& client, const CallOptions& options) {
       std::optional<Result<ChatResponse>> result;
       ask(client, options, result);
       while (!result) static_cast<void>(client.options().runtime->poll(1h));
       return *std::move(result);
     }},
};

[[nodiscard]] std::vector<std::string> asked(const Result<ChatResponse>& result) {
  std::vector<std::string> names;
  for (const Attempt& row : result ? result->attempts : result.error().attempts) names.push_back(row.target.name());
  return names;
}

}  // namespace

TEST_CASE("limits of one call hold whichever way it is made, and what is unset is the client's") {
  for (const Face& face : faces) {
    CAPTURE(face.name);
    Lab lab;
    FallbackOptions options = lab.options();
    options.limits.deadline = 20s;
    const FallbackClient client{ScriptedProvider{"one/a", {silence()}}, options};
    const auto shorter = face.call(client, {.limits = {.deadline = 3s}});
    REQUIRE_FALSE(shorter);
    CHECK(shorter.error().kind == ErrorKind::deadline_exceeded);
    CHECK(lab.world.elapsed() == 3s);
    const auto usual = face.call(client, {.limits = {.max_attempts = 1}});
    REQUIRE_FALSE(usual);
    CHECK(usual.error().elapsed == 20s);
  }
}

TEST_CASE("limits of one call that cannot be are refused") {
  Lab lab;
  const FallbackClient client = lab.client({ScriptedProvider{"one/a", {answer("hi")}}});
  CHECK_THROWS_AS(client.chat("hello", {.limits = {.max_attempts = 0}}), std::invalid_argument);
  CHECK_THROWS_AS(client.chat_async("hello", {.limits = {.recovery_wait = -1s}}), std::invalid_argument);
}

TEST_CASE("a stop token cancels a call whichever way it is made") {
  for (const Face& face : faces) {
    CAPTURE(face.name);
    Lab lab;
    const FallbackClient client = lab.client({ScriptedProvider{"one/a", {silence()}}});
    std::stop_source source;
    lab.world.at(2s, [&] { source.request_stop(); });
    const auto reply = face.call(client, {.stop = source.get_token()});
    REQUIRE_FALSE(reply);
    CHECK(reply.error().kind == ErrorKind::cancelled);
    CHECK(lab.world.elapsed() == 2s);
  }
}

TEST_CASE("a stop that is requested when a target has failed cancels the call, whatever the failure") {
  for (const ErrorKind kind : {ErrorKind::overloaded, ErrorKind::server_error, ErrorKind::rate_limited,
                               ErrorKind::connect_failed, ErrorKind::malformed_response, ErrorKind::authentication}) {
    for (const Face& face : faces) {
      for (const bool retries : {false, true}) {
        CAPTURE(to_string(kind), face.name, retries);
        Lab lab;
        const ScriptedProvider first{"one/a", {error(kind)}};
        const ScriptedProvider second{"two/b"};
        const Provider asked = retries ? first | retry({.max_attempts = 2}) : Provider{first};
        std::stop_source source;
        const auto reply = face.call(lab.client({asked, second}), {.stop = source.get_token(), .on_event = [&](const StreamEvent& event) {
          if (event.progress && event.progress->type == ProgressEvent::Type::attempt_failed) source.request_stop();
        }});
        REQUIRE_FALSE(reply);
        CHECK(reply.error().kind == ErrorKind::cancelled);
        CHECK(first.send_count() == 1);
        CHECK(second.send_count() == 0);
      }
    }
  }
}

TEST_CASE("a call whose stop was requested before it begins sends nothing") {
  for (const Face& face : faces) {
    CAPTURE(face.name);
    Lab lab;
    const ScriptedProvider model{"one/a", {answer("hi")}};
    std::stop_source source;
    source.request_stop();
    const auto reply = face.call(lab.client({model}), {.stop = source.get_token()});
    REQUIRE_FALSE(reply);
    CHECK(reply.error().kind == ErrorKind::cancelled);
    CHECK(model.send_count() == 0);
  }
}

TEST_CASE("a stop from another thread ends a call that blocks") {
  FallbackOptions options;
  options.runtime = std::make_shared<Runtime>(RuntimeOptions{});
  const FallbackClient client{ScriptedProvider{"one/a", {silence()}}, options};
  std::stop_source source;
  const std::jthread stopper{[&] { source.request_stop(); }};
  const auto reply = client.chat("hello", {.stop = source.get_token()});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::cancelled);
}

TEST_CASE("on_event gets the answer as it comes whichever way the call is made, and the whole of it is the result") {
  for (const Face& face : faces) {
    CAPTURE(face.name);
    Lab lab;
    const FallbackClient client = lab.client({ScriptedProvider{"one/a", {stream({"Hel", "lo"}, 1s)}}});
    std::string text;
    std::vector<Duration> times;
    bool finished = false;
    const auto reply = face.call(client, {.on_event = [&](const StreamEvent& event) {
      if (event.type == StreamEvent::Type::finished) finished = true;
      if (event.type != StreamEvent::Type::text) return;
      text += event.delta;
      times.push_back(lab.world.elapsed());
    }});
    REQUIRE(reply);
    CHECK(reply->text() == "Hello");
    CHECK(text == "Hello");
    CHECK(times == std::vector<Duration>{0s, 1s});
    CHECK(finished);
  }
}

TEST_CASE("an exception out of on_event is dropped, and a wait for the call in it does not hang") {
  Lab lab;
  const FallbackClient client = lab.client({ScriptedProvider{"one/a", {answer("hi")}}});
  std::optional<PendingCall> call;
  std::optional<ErrorKind> waited;
  call.emplace(client.start("hello", {.on_event = [&](const StreamEvent&) {
    if (const auto& result = call->wait(); !result) waited = result.error().kind;
    throw std::runtime_error{"no"};
  }}));
  REQUIRE(call->wait());
  CHECK(waited == ErrorKind::invalid_request);
}

TEST_CASE("a sink is for calls that have no range") {
  Lab lab;
  const FallbackClient client = lab.client({ScriptedProvider{"one/a", {answer("hi"), answer("hi")}}});
  EventLog log{lab.world.runtime()};
  REQUIRE(client.chat("hello", {.sink = &log}));
  CHECK(log.text() == "hi");
  CHECK_THROWS_AS(client.stream("hello", {.sink = &log}), std::invalid_argument);
}

TEST_CASE("an observer of one call is told of that call only") {
  for (const Face& face : faces) {
    CAPTURE(face.name);
    Lab lab;
    const auto all = std::make_shared<Calls>();
    const auto one = std::make_shared<Calls>();
    FallbackOptions options = lab.options();
    options.observers = {all};
    const FallbackClient client{ScriptedProvider{"one/a", {answer("hi"), answer("hi")}}, options};
    REQUIRE(face.call(client, {.observer = one}));
    REQUIRE(face.call(client, {}));
    CHECK(one->count == 1);
    CHECK(all->count == 2);
  }
}

TEST_CASE("the targets of one call are a part of the client's, in their own order") {
  for (const Face& face : faces) {
    CAPTURE(face.name);
    Lab lab;
    const FallbackClient client = lab.client({ScriptedProvider{"one/a", {answer("a")}},
                                              ScriptedProvider{"two/b", {answer("b")}},
                                              ScriptedProvider{"three/c", {error(ErrorKind::server_error)}}});
    const auto reply = face.call(client, {.targets = {"three", "two/b"}});
    REQUIRE(reply);
    CHECK(reply->text() == "b");
    CHECK(asked(reply) == std::vector<std::string>{"three/c", "two/b"});
    CHECK(reply->fallback);
    const auto wrong = face.call(client, {.targets = {"two/b", "four/d"}});
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().kind == ErrorKind::invalid_request);
    CHECK(wrong.error().message == "targets: no target is called four/d; there are one/a, two/b, three/c");
    CHECK(wrong.error().attempts.empty());
  }
}

TEST_CASE("what a client knows of its targets holds for a part of it") {
  Lab lab;
  const ScriptedProvider limited{"one/a", {error(ErrorKind::rate_limited, {.retry_after = 30s}), answer("a")}};
  const FallbackClient client = lab.client({limited, ScriptedProvider{"two/b", {answer("b")}}});
  REQUIRE(client.chat("hello"));
  const auto reply = client.chat("hello", {.targets = {"one/a"}});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::local_limit);
  CHECK(limited.send_count() == 1);
}

TEST_CASE("calls to a part of a client wait for a target to recover in the queue of the whole") {
  Lab lab;
  FallbackOptions options = lab.options();
  options.recovery.max_wait = 10s;
  options.recovery.max_waiting = 1;
  const Step limited = error(ErrorKind::rate_limited, {.retry_after = 5s});
  const FallbackClient client{ScriptedProvider{"one/a", {limited, answer("a")}}, options};
  PendingCall waits = client.start("hello");
  lab.world.run_for(1s);
  const auto refused = client.chat("hello", {.targets = {"one"}});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().elapsed == 0s);
  CHECK(waits.wait());
}

TEST_CASE("a target inside a client is asked directly, one behind common policies only with the others there") {
  Lab lab;
  const FallbackClient pool =
      lab.client({ScriptedProvider{"one/a", {answer("a")}}, ScriptedProvider{"two/b", {answer("b")}}});
  const FallbackClient nested = lab.client({pool, ScriptedProvider{"three/c", {answer("c")}}});
  const auto inside = nested.chat("hello", {.targets = {"two/b"}});
  REQUIRE(inside);
  CHECK(inside->text() == "b");

  const FallbackClient guarded = lab.client({pool | timeout(20s), ScriptedProvider{"three/c", {answer("c")}}});
  CHECK(guarded.only({"two/b"}).error().message ==
        "targets: one/a has policies in common with others there and is not listed; they are asked together or not at "
        "all");
  CHECK(guarded.only({"two/b", "one/a"})->describe() == "fallback(fallback(one/a, two/b) | timeout(20s))");
  CHECK(guarded.chat("hello", {.targets = {"three/c", "two/b", "one/a"}})->text() == "c");
  CHECK(guarded.chat("hello", {.targets = {"two/b", "three/c", "one/a"}})->text() == "a");
  CHECK(guarded.only({"three/c", "three"}).error().message == "targets: three stands there twice");
  CHECK(guarded.only({}).error().kind == ErrorKind::invalid_request);
  const FallbackClient same = lab.client({ScriptedProvider{"one/a", {}}, ScriptedProvider{"one/b", {}}});
  CHECK_THAT(same.only({"one"}).error().message, ContainsSubstring("2 targets are called one"));
}

TEST_CASE("a policy around the client for one call leaves it its limits and its waits") {
  for (const Face& face : faces) {
    CAPTURE(face.name);
    Lab lab;
    FallbackOptions options = lab.options();
    options.limits.max_attempts = 1;
    options.recovery.max_wait = 10s;
    const Step limited = error(ErrorKind::rate_limited, {.retry_after = 3s});
    const ScriptedProvider model{"one/a", {limited, answer("bad"), answer("good")}};
    const FallbackClient client{model, options};
    const Check good = satisfies("is good", [](const Answer& answer) { return answer.response.text() == "good"; });
    const auto reply = face.call(client, {.limits = {.max_attempts = 4}, .around = accept_if(good, {.repair = 1})});
    REQUIRE(reply);
    CHECK(reply->text() == "good");
    CHECK(model.send_count() == 3);
    CHECK(lab.world.elapsed() == 3s);
  }
}

TEST_CASE("next_for gives null when nothing has come for that long, and the call goes on") {
  Lab lab;
  const ScriptedProvider model{"one/a", {deltas({"a"}).wait(5s).text("b").finish()}};
  ChatStream stream = lab.client({model}).stream("hello");
  REQUIRE(stream.next_for(1s) != nullptr);
  CHECK(lab.world.elapsed() == 0s);
  CHECK(stream.next_for(2s) == nullptr);
  CHECK(lab.world.elapsed() == 2s);
  CHECK(stream.next_for(0s) == nullptr);
  CHECK_FALSE(stream.ended());
  const StreamEvent* event = stream.next_for(10s);
  REQUIRE(event != nullptr);
  CHECK(event->delta == "b");
  CHECK(lab.world.elapsed() == 5s);
  event = stream.next_for(10s);
  REQUIRE(event != nullptr);
  CHECK(event->type == StreamEvent::Type::finished);
  CHECK(stream.ended());
  CHECK(stream.next_for(10s) == nullptr);
  CHECK(lab.world.idle());
}

TEST_CASE("however short the wait, next_for lets the call go on, and an ended stream stays ended") {
  const FallbackClient client{ScriptedProvider{"one/a", {stream({"a", "b"}, 5ms)}}};
  for (const Duration wait : {Duration{0}, Duration{1}, Duration{-5}}) {
    ChatStream stream = client.stream("hello");
    std::string text;
    const auto until = std::chrono::steady_clock::now() + 20s;
    while (!stream.ended() && std::chrono::steady_clock::now() < until) {
      const StreamEvent* event = stream.next_for(wait);
      if (event != nullptr && event->type == StreamEvent::Type::text) text += event->delta;
    }
    CHECK(stream.ended());
    if (text.empty()) continue;  // the script has one stream, then plain answers
    CHECK(stream.next_for(wait) == nullptr);
    CHECK(stream.ended());
  }
}

TEST_CASE("next_for waits while another thread drives") {
  FallbackOptions options;
  options.runtime = std::make_shared<Runtime>(RuntimeOptions{});
  const FallbackClient client{ScriptedProvider{"one/a", {silence()}}, options};
  PendingCall other = client.start("hello");
  ChatStream stream = client.stream("hello");
  CHECK(stream.next_for(20ms) == nullptr);
  CHECK_FALSE(stream.ended());
}

TEST_CASE("one target with options, and prompts of every kind of text") {
  Lab lab;
  const Provider model = ScriptedProvider{"one/a", {answer("1"), answer("2"), answer("3"), answer("4")}};
  const FallbackClient client{model, {.recovery = {.max_wait = 0s}, .runtime = lab.world.share()}};
  const FallbackClient listed{{model}, {.runtime = lab.world.share()}};
  constexpr std::string_view prompt = "hello";
  CHECK(client.chat(prompt)->text() == "1");
  CHECK(client.chat(std::string{prompt})->text() == "2");
  CHECK(client.start(prompt).wait()->text() == "3");
  CHECK(listed.chat("hello")->text() == "4");
}

TEST_CASE("errors, kinds, money and targets go to streams as they go to fmt") {
  std::ostringstream out;
  const Error failure{ErrorKind::overloaded, "too much"};
  out << failure << '|' << ErrorKind::overloaded << '|' << Money::usd(0.25) << '|' << Target{"one", "a"};
  CHECK(out.str() == fmt::format("{}|{}|{}|{}", failure, ErrorKind::overloaded, Money::usd(0.25), Target{"one", "a"}));
}

TEST_CASE("a tool's result may say that the tool failed") {
  CHECK(std::get<ToolResult>(Message::tool_result("id", "no such city", true).parts[0]).is_error);
  CHECK_FALSE(std::get<ToolResult>(Message::tool_result("id", "12 C").parts[0]).is_error);
}

}  // namespace call_options_test
