#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/observe/observer.hpp"
#include "backstop/policies/single_flight.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"
#include "support/detached.hpp"

namespace call_faces_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

// Mostly the real clock and real threads: what is tested is who drives the loop, not how long things take.

namespace {

FallbackClient client_of(ScriptedProvider provider) {
  FallbackOptions options;
  options.runtime = std::make_shared<Runtime>(RuntimeOptions{});
  return FallbackClient{{Provider{std::move(provider)}}, std::move(options)};
}

Detached ask(FallbackClient client, std::promise<std::string>& answer) {
  const ChatRequest request{"hello"};
  auto reply = co_await client.chat_async(request);
  answer.set_value(reply ? reply->text() : "failed");
}

}  // namespace

TEST_CASE("a piece of a tool call comes with the call's id and name, and without the arguments so far") {
  class Caller final : public ModelProvider {
   public:
    Caller() : ModelProvider{Target{"own", "m"}} {}

   private:
    Task<Result<ChatResponse>> send(const ChatRequest&, CallContext& context) const override {
      ToolCall call{"id", "name", ""};
      for (const std::string_view piece : {"{\"a\"", ": 1}"}) {
        call.arguments += piece;  // of an own provider that hands on all that it has
        StreamEvent event;
        event.type = StreamEvent::Type::tool_call_delta;
        event.delta = piece;
        event.tool_call = &call;
        context.deliver(event);
      }
      StreamEvent whole;
      whole.type = StreamEvent::Type::tool_call;
      whole.tool_call = &call;
      context.deliver(whole);
      ChatResponse response;
      response.parts.emplace_back(call);
      co_return response;
    }
  };
  for (const Provider& provider : {Provider{Caller{}}, Caller{} | single_flight()}) {
    FallbackOptions options;
    options.runtime = std::make_shared<Runtime>(RuntimeOptions{});
    options.hold.emplace();
    const FallbackClient client{{provider}, options};
    std::string pieces;
    std::string whole;
    for (const StreamEvent& event : client.stream("hello")) {
      if (event.tool_call == nullptr) continue;
      CHECK(event.tool_call->id == "id");
      CHECK(event.tool_call->name == "name");
      if (event.type == StreamEvent::Type::tool_call) {
        whole = event.tool_call->arguments;
      } else {
        CHECK(event.tool_call->arguments.empty());
        pieces += event.delta;
      }
    }
    CHECK(pieces == "{\"a\": 1}");
    CHECK(whole == pieces);
  }
}

TEST_CASE("a blocking call needs no thread but the caller's") {
  const FallbackClient client = client_of(ScriptedProvider{"one/a", {answer("hi").after(1ms)}});
  const auto reply = client.chat("hello");
  REQUIRE(reply);
  CHECK(reply->text() == "hi");
}

TEST_CASE("threads that block on one client all get their own answer") {
  const FallbackClient client = client_of(ScriptedProvider{"one/a", {answer("hi").after(1ms)}});
  std::atomic<int> answered = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 50; ++j) answered += client.chat("hello").has_value() ? 1 : 0;
    });
  }
  threads.clear();
  CHECK(answered == 400);
}

TEST_CASE("a started call runs in the background, can be waited for, and calls back once") {
  const FallbackClient client = client_of(ScriptedProvider{"one/a", {answer("hi").after(1ms)}});
  PendingCall call = client.start("hello");
  std::promise<std::string> told;
  call.on_done([&](const Result<ChatResponse>& reply) { told.set_value(reply ? reply->text() : "failed"); });
  CHECK(told.get_future().get() == "hi");
  REQUIRE(call.wait());
  CHECK(call.done());
  bool at_once = false;
  call.on_done([&](const Result<ChatResponse>&) { at_once = true; });
  CHECK(at_once);
}

TEST_CASE("who waits for a call, or lets go of it, waits for its callback too") {
  for (const bool lets_go : {false, true}) {
    const FallbackClient client = client_of(ScriptedProvider{"one/a", {answer("hi").after(1ms), answer("more").after(50ms)}});
    std::optional<PendingCall> call = client.start("hello");
    std::promise<void> begun;
    std::atomic<bool> returned = false;
    call->on_done([&](const Result<ChatResponse>&) {
      begun.set_value();
      returned = client.chat("and more").has_value();
    });
    begun.get_future().wait();
    if (lets_go) {
      call.reset();
    } else {
      REQUIRE(call->wait());
    }
    CHECK(returned);
  }
}

TEST_CASE("the result of a handle that goes away at once stays") {
  const FallbackClient client = client_of(ScriptedProvider{"one/a", {answer("hi").after(1ms)}});
  const auto& reply = client.start("hello").wait();
  REQUIRE(reply);
  CHECK(reply->text() == "hi");
}

TEST_CASE("cancelling a silent call ends it", "[scenario-195]") {
  const FallbackClient client = client_of(ScriptedProvider{"one/a", {silence()}});
  PendingCall call = client.start("hello");
  call.cancel();
  const auto& reply = call.wait();
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::cancelled);
  call.cancel();  // [scenario-197]: nothing happens
  CHECK(call.wait().error().kind == ErrorKind::cancelled);
}

TEST_CASE("a call may be watched and cancelled from another thread than the one that waits") {
  const FallbackClient client = client_of(ScriptedProvider{"one/a", {silence()}});
  PendingCall call = client.start("hello");
  std::vector<std::jthread> others;
  for (int i = 0; i < 4; ++i) {
    others.emplace_back([&] {
      call.cancel();
      while (!call.done()) std::this_thread::yield();
    });
  }
  const auto& reply = call.wait();
  others.clear();
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::cancelled);
}

TEST_CASE("a stream may be cancelled from another thread than the one that reads it") {
  const FallbackClient client = client_of(ScriptedProvider{"one/a", {deltas({"Once", " upon"}).silence()}});
  ChatStream stream = client.stream("hello");
  REQUIRE(stream.next() != nullptr);
  std::jthread other{[&] { stream.cancel(); }};
  const Result<ChatResponse>& reply = stream.result();
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::cancelled);
}

TEST_CASE("letting go of a call does not wait for its answer", "[scenario-202]") {
  struct Ending final : Observer {
    void on_call(const CallEvent& event) noexcept override {
      kind = event.error != nullptr ? std::optional{event.error->kind} : std::nullopt;
      elapsed = event.elapsed;
    }
    std::optional<ErrorKind> kind;
    Duration elapsed{0};
  };
  VirtualRuntime world;
  const auto ending = std::make_shared<Ending>();
  FallbackOptions options;
  options.runtime = world.share();
  options.observers = {ending};
  const FallbackClient client{{Provider{ScriptedProvider{"one/a", {answer("late").after(5s)}}}}, options};
  {
    const PendingCall call = client.start("hello");
    world.run_for(1s);
  }
  CHECK(ending->kind == ErrorKind::cancelled);
  CHECK(ending->elapsed == 1s);
}

TEST_CASE("letting go of a call cancels it", "[scenario-202]") {
  const FallbackClient client = client_of(ScriptedProvider{"one/a", {silence()}});
  std::vector<PendingCall> calls;
  for (int i = 0; i < 100; ++i) calls.push_back(client.start("hello"));
  calls.clear();
  SUCCEED("all of them ended, or this would not return");
}

TEST_CASE("blocking and background calls share one loop") {
  const FallbackClient client = client_of(ScriptedProvider{"one/a", {answer("hi").after(2ms)}});
  std::vector<PendingCall> calls;
  for (int i = 0; i < 20; ++i) calls.push_back(client.start("hello"));
  for (int i = 0; i < 20; ++i) CHECK(client.chat("hello"));
  for (PendingCall& call : calls) CHECK(call.wait());
}

TEST_CASE("the application's own coroutine can wait for an answer") {
  std::promise<std::string> answer;
  ask(client_of(ScriptedProvider{"one/a", {testing::answer("hi").after(1ms)}}), answer);
  CHECK(answer.get_future().get() == "hi");
}

TEST_CASE("a client and its runtime may be let go of on the loop's own thread") {
  std::promise<std::string> answer;
  // The coroutine owns the client, and ends on the background driver.
  for (int i = 0; i < 20; ++i) {
    std::promise<std::string> one;
    ask(client_of(ScriptedProvider{"one/a"}), one);
    CHECK(one.get_future().get() == "ok");
  }
}

TEST_CASE("a stream is a range that ends with one final event") {
  const FallbackClient client = client_of(ScriptedProvider{"one/a", {stream({"a", "b", "c"}, 1ms)}});
  std::string text;
  int ends = 0;
  ChatStream answer = client.stream("hello");
  for (const StreamEvent& event : answer) {
    if (event.type == StreamEvent::Type::text) text += event.delta;
    if (event.type == StreamEvent::Type::finished) {
      ++ends;
      CHECK(event.response->text() == "abc");
    }
  }
  CHECK(text == "abc");
  CHECK(ends == 1);
  REQUIRE(answer.result());
  CHECK(answer.next() == nullptr);
}

TEST_CASE("a long stream passes through a bounded buffer complete and in order") {
  Step step = deltas({});
  std::string expected;
  for (int i = 0; i < 1000; ++i) {
    step.text(std::to_string(i) + " ");
    expected += std::to_string(i) + " ";
  }
  step.finish();
  const FallbackClient client = client_of(ScriptedProvider{"one/a", {step}});
  std::string text;
  for (const StreamEvent& event : client.stream("hello")) {
    if (event.type == StreamEvent::Type::text) text += event.delta;
  }
  CHECK(text == expected);
}

TEST_CASE("a stream that is let go of half-way is cancelled", "[scenario-201]") {
  ScriptedProvider provider{"one/a", {deltas({"a", "b"}).silence()}};
  const FallbackClient client = client_of(provider);
  {
    ChatStream answer = client.stream("hello");
    REQUIRE(answer.next() != nullptr);
  }
  std::jthread other{[stream = client.stream("again")]() mutable { static_cast<void>(stream.next()); }};
  other.join();
  CHECK(provider.send_count() == 2);
}

TEST_CASE("an application's own loop can drive calls by polling") {
  RuntimeOptions runtime_options;
  runtime_options.background_driver = false;
  FallbackOptions options;
  options.runtime = std::make_shared<Runtime>(std::move(runtime_options));
  const FallbackClient client{{Provider{ScriptedProvider{"one/a", {answer("hi").after(1ms)}}}}, options};
  PendingCall call = client.start("hello");
  while (!call.done()) options.runtime->poll(10ms);
  CHECK(call.wait()->text() == "hi");
}

TEST_CASE("a runtime ends with its last client, without waiting for more work") {
  std::weak_ptr<Runtime> runtime;
  {
    const FallbackClient client = client_of(ScriptedProvider{"one/a"});
    runtime = client.options().runtime;
    REQUIRE(client.start("hello").wait());
  }
  const auto start = std::chrono::steady_clock::now();
  while (!runtime.expired() && std::chrono::steady_clock::now() - start < 10s) std::this_thread::yield();
  CHECK(runtime.expired());
}

}  // namespace call_faces_test
