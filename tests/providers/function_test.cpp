#include "backstop/providers/function.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "backstop/fallback_client.hpp"
#include "backstop/testing/event_log.hpp"
#include "backstop/testing/virtual_runtime.hpp"
#include "call/root_call.hpp"

namespace function_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

Task<Result<ChatResponse>> answer_later(const ChatRequest& request, CallContext& context) {
  const Result<void> slept = co_await context.sleep(5s);
  if (!slept) co_return slept.error();
  ChatResponse answer;
  answer.parts.emplace_back(Text{"later: " + backstop::text_of(request.messages.front().parts)});
  co_return answer;
}

Task<Result<ChatResponse>> answer_all_the_same(const ChatRequest&, CallContext& context) {
  const Result<void> slept = co_await context.sleep(5s);
  static_cast<void>(slept);
  ChatResponse answer;
  answer.parts.emplace_back(Text{"too late"});
  co_return answer;
}

Task<Result<ChatResponse>> answer_in_pieces(const ChatRequest&, CallContext& context) {
  ChatResponse answer;
  for (const std::string_view piece : {"one ", "two"}) {
    StreamEvent event;
    event.delta = piece;
    context.deliver(event);
  }
  answer.parts.emplace_back(Text{"one two"});
  co_return answer;
}

Task<Result<ChatResponse>> fail_to_answer(const ChatRequest&, CallContext&) {
  throw std::runtime_error{"out of ideas"};
  co_return ChatResponse{};
}

/// Runs one call on a real runtime, on this thread; `run` may be asked to stop the call from another one.
class RealCall {
 public:
  explicit RealCall(Provider provider) : provider_{std::move(provider)} {}

  Result<ChatResponse> run(const ChatRequest& request, Duration deadline = 10s) {
    const CallLimits limits{deadline, 5};
    detail::RootCall call{runtime_, limits, nullptr};
    Runtime::Gate gate;
    const Forward forward{provider_};
    call_ = &call;
    runtime_.block_until(gate, [&] { call.start(forward, request, nullptr, [&] { runtime_.open(gate); }); });
    return call.result();
  }
  /// From any thread.
  void cancel() {
    runtime_.post([this] { call_->stop(StopReason::cancelled); });
  }

 private:
  struct Forward final : ChatProvider {
    explicit Forward(const Provider& next) : next_{&next} {}
    const Target& target() const noexcept override { return next_->target(); }
    Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
      return next_->call(request, context);
    }
    std::string describe() const override { return next_->describe(); }
    const Provider* next_;
  };

  Provider provider_;
  Runtime runtime_{RuntimeOptions{}};
  detail::RootCall* call_ = nullptr;
};

}  // namespace

TEST_CASE("a function that returns text is a provider") {
  VirtualRuntime runtime;
  const Provider canned = make_provider("canned/apology", [](const ChatRequest&) { return "We are down, sorry."; });
  const auto reply = runtime.call(canned, "hello");
  REQUIRE(reply);
  CHECK(reply->text() == "We are down, sorry.");
  CHECK(reply->finish_reason == FinishReason::stop);
  CHECK(reply->served_by.name() == "canned/apology");
  CHECK(reply->model == "apology");
  REQUIRE(reply->attempts.size() == 1);
  CHECK_FALSE(reply->attempts[0].outcome);
  CHECK(canned.describe() == "canned/apology");
}

TEST_CASE("a name without a slash is a local model") {
  CHECK(make_provider("echo", [](const ChatRequest&) { return std::string{"x"}; }).target().name() == "local/echo");
}

TEST_CASE("a function may answer in full, or with an error") {
  VirtualRuntime runtime;
  SECTION("a response") {
    const auto reply = runtime.call(make_provider("f/m",
                                                  [](const ChatRequest&) {
                                                    ChatResponse answer;
                                                    answer.parts.emplace_back(ToolCall{"", "now", "{}"});
                                                    return answer;
                                                  }),
                                    "hello");
    REQUIRE(reply);
    CHECK(reply->finish_reason == FinishReason::tool_calls);
    CHECK_FALSE(reply->tool_calls().at(0).id.empty());
  }
  SECTION("an error") {
    const auto reply = runtime.call(make_provider("f/m",
                                                  [](const ChatRequest&) {
                                                    return Error{ErrorKind::overloaded, "busy"};
                                                  }),
                                    "hello");
    REQUIRE_FALSE(reply);
    CHECK(reply.error().kind == ErrorKind::overloaded);
    CHECK(reply.error().target.name() == "f/m");
  }
  SECTION("either") {
    const auto reply = runtime.call(make_provider("f/m",
                                                  [](const ChatRequest& request) -> Result<std::string> {
                                                    if (request.messages.empty()) {
                                                      return Error{ErrorKind::invalid_request, "nothing asked"};
                                                    }
                                                    return std::string{"yes"};
                                                  }),
                                    "hello");
    REQUIRE(reply);
    CHECK(reply->text() == "yes");
  }
  SECTION("nothing at all is no answer") {
    const auto reply = runtime.call(make_provider("f/m", [](const ChatRequest&) { return std::string{}; }), "hello");
    REQUIRE_FALSE(reply);
    CHECK(reply.error().kind == ErrorKind::malformed_response);
    CHECK(reply.error().replay == ReplaySafety::processed);
  }
}

TEST_CASE("an answer gets what its function left out") {
  VirtualRuntime runtime;
  const Target other{"elsewhere", "n"};
  const auto reply = runtime.call(make_provider("f/m",
                                                [&other](const ChatRequest&) {
                                                  ChatResponse answer;
                                                  answer.parts.emplace_back(Reasoning{.text = "Hm."});
                                                  answer.parts.emplace_back(Reasoning{.text = "Oh.", .origin = other});
                                                  answer.parts.emplace_back(ToolCall{"", "now", "{}"});
                                                  answer.parts.emplace_back(ToolCall{"mine", "now", "{}"});
                                                  answer.parts.emplace_back(ToolCall{"", "now", "{}"});
                                                  return answer;
                                                }),
                                  "hello");
  REQUIRE(reply);
  CHECK(std::get<Reasoning>(reply->parts.at(0)).origin == Target{"f", "m"});
  CHECK(std::get<Reasoning>(reply->parts.at(1)).origin == other);
  const std::vector<ToolCall> calls = reply->tool_calls();
  REQUIRE(calls.size() == 3);
  CHECK(calls[1].id == "mine");
  CHECK_FALSE(calls[0].id.empty());
  CHECK_FALSE(calls[2].id.empty());
  CHECK(calls[0].id != calls[2].id);
}

TEST_CASE("an answer may be empty where its reason to stop says why") {
  VirtualRuntime runtime;
  using enum FinishReason;
  for (const FinishReason reason : {stop, length, tool_calls, content_filter, context_full, paused, other}) {
    CAPTURE(to_string(reason));
    const auto reply = runtime.call(make_provider("f/m",
                                                  [reason](const ChatRequest&) {
                                                    ChatResponse answer;
                                                    answer.finish_reason = reason;
                                                    return answer;
                                                  }),
                                    "hello");
    CHECK(reply.has_value() == (reason == length || reason == context_full || reason == paused));
  }
}

TEST_CASE("a coroutine is a provider, and waits on the call's own clock") {
  VirtualRuntime runtime;
  const Provider provider = make_provider(Target{"mine", "slow"}, answer_later);
  SECTION("to its end") {
    const auto reply = runtime.call(provider, "hello");
    REQUIRE(reply);
    CHECK(reply->text() == "later: hello");
    CHECK(runtime.elapsed() == 5s);
    CHECK(reply->attempts.at(0).elapsed == 5s);
  }
  SECTION("or until the caller's deadline") {
    VirtualCallOptions options;
    options.deadline = 2s;
    const auto reply = runtime.call(provider, "hello", options);
    REQUIRE_FALSE(reply);
    CHECK(reply.error().kind == ErrorKind::deadline_exceeded);
    CHECK(runtime.elapsed() == 2s);
  }
  CHECK(runtime.idle());
}

TEST_CASE("an answer that comes after its call was stopped is none") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  VirtualCallOptions options;
  options.deadline = 2s;
  options.sink = &log;
  const auto reply = runtime.call(make_provider("f/m", answer_all_the_same), "hello", options);
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::deadline_exceeded);
  CHECK(log.count(StreamEvent::Type::text) == 0);
  REQUIRE(reply.error().attempts.size() == 1);
  CHECK(reply.error().attempts[0].outcome == ErrorKind::deadline_exceeded);
}

TEST_CASE("an answer that is there at once is streamed in one piece") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  VirtualCallOptions options;
  options.sink = &log;
  const auto reply = runtime.call(make_provider("f/m",
                                                [](const ChatRequest&) {
                                                  ChatResponse answer;
                                                  answer.parts.emplace_back(Reasoning{.text = "Hm."});
                                                  answer.parts.emplace_back(Text{"The moon."});
                                                  answer.parts.emplace_back(ToolCall{"c1", "now", "{}"});
                                                  return answer;
                                                }),
                                  "why?", options);
  REQUIRE(reply);
  CHECK(log.count(StreamEvent::Type::reasoning) == 1);
  CHECK(log.count(StreamEvent::Type::text) == 1);
  CHECK(log.count(StreamEvent::Type::tool_call) == 1);
  CHECK(log.text() == "The moon.");
}

TEST_CASE("what a coroutine has streamed itself is not streamed again") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  VirtualCallOptions options;
  options.sink = &log;
  const auto reply = runtime.call(make_provider("f/m", answer_in_pieces), "count", options);
  REQUIRE(reply);
  CHECK(log.count(StreamEvent::Type::text) == 2);
  CHECK(log.text() == "one two");
}

TEST_CASE("what a function throws becomes an error") {
  VirtualRuntime runtime;
  SECTION("out of a plain function") {
    const auto reply = runtime.call(
        make_provider("f/m", [](const ChatRequest&) -> std::string { throw std::runtime_error{"no luck"}; }), "hello");
    REQUIRE_FALSE(reply);
    CHECK(reply.error().kind == ErrorKind::server_error);
    CHECK(reply.error().message.find("no luck") != std::string::npos);
    CHECK(reply.error().replay == ReplaySafety::maybe_processed);
  }
  SECTION("out of a coroutine") {
    const auto reply = runtime.call(make_provider("f/m", fail_to_answer), "hello");
    REQUIRE_FALSE(reply);
    CHECK(reply.error().message.find("out of ideas") != std::string::npos);
  }
  SECTION("something that is no exception class") {
    const auto reply = runtime.call(make_provider("f/m", [](const ChatRequest&) -> std::string { throw 42; }), "hello");
    REQUIRE_FALSE(reply);
    CHECK(reply.error().kind == ErrorKind::server_error);
  }
  SECTION("a result that was unpacked without looking keeps its error") {
    const auto reply =
        runtime.call(make_provider("f/m",
                                   [](const ChatRequest&) -> std::string {
                                     return Result<std::string>{Error{ErrorKind::rate_limited, "slow"}}.value();
                                   }),
                     "hello");
    REQUIRE_FALSE(reply);
    CHECK(reply.error().kind == ErrorKind::rate_limited);
  }
}

TEST_CASE("a blocking model runs on a thread of its own") {
  std::thread::id where;
  RealCall call{local_model("tiny", [&where](const ChatRequest& request) {
    where = std::this_thread::get_id();
    return "you said: " + text_of(request.messages.front().parts);
  })};
  const auto reply = call.run("hello");
  REQUIRE(reply);
  CHECK(reply->text() == "you said: hello");
  CHECK(reply->served_by.name() == "local/tiny");
  CHECK(where != std::this_thread::get_id());
}

TEST_CASE("a cancelled call raises the blocking model's flag and waits for it") {
  std::mutex mutex;
  std::condition_variable begun;
  bool has_begun = false;
  std::atomic<bool> has_ended{false};

  RealCall call{local_model("tiny", [&](const ChatRequest&, const StopFlag& stop) {
    {
      const std::scoped_lock lock{mutex};
      has_begun = true;
    }
    begun.notify_one();
    while (!stop.stop_requested()) std::this_thread::yield();
    has_ended = true;
    return std::string{"too late"};
  })};
  std::thread canceller{[&] {
    std::unique_lock lock{mutex};
    begun.wait(lock, [&] { return has_begun; });
    call.cancel();
  }};
  const auto reply = call.run("hello");
  canceller.join();
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::cancelled);
  CHECK(has_ended);
}

TEST_CASE("a blocking model that runs out of time is told so") {
  RealCall call{local_model("tiny", [](const ChatRequest&, const StopFlag& stop) {
    while (!stop.stop_requested()) std::this_thread::yield();
    return std::string{"too late"};
  })};
  const auto reply = call.run("hello", 5ms);
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::deadline_exceeded);
}

TEST_CASE("what a blocking model throws becomes an error") {
  RealCall call{local_model("tiny", [](const ChatRequest&) -> std::string { throw std::runtime_error{"no weights"}; })};
  const auto reply = call.run("hello");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::server_error);
  CHECK(reply.error().message.find("no weights") != std::string::npos);
}

TEST_CASE("an error of a function that tells of the model counts as a send, a refusal does not") {
  struct Row {
    ErrorKind kind;
    bool sent;
  };
  const Row rows[] = {{ErrorKind::server_error, true}, {ErrorKind::overloaded, true},      {ErrorKind::rate_limited, true},
                      {ErrorKind::timeout, true},      {ErrorKind::connect_failed, true},  {ErrorKind::authentication, false},
                      {ErrorKind::local_limit, false}, {ErrorKind::invalid_request, false}};
  for (const Row& row : rows) {
    CAPTURE(to_string(row.kind));
    testing::VirtualRuntime world;
    const auto fails = [kind = row.kind](const ChatRequest&) { return Error{kind, "as told"}; };
    FallbackOptions options{.strategy = least_in_flight(), .recovery = {.max_wait = 0s}, .runtime = world.share()};
    const FallbackClient client{{make_provider("p/one", fails), make_provider("p/two", fails)}, options};
    const auto reply = client.chat("hello");
    REQUIRE_FALSE(reply);
    REQUIRE_FALSE(reply.error().attempts.empty());
    CHECK(reply.error().attempts[0].sent == row.sent);
    CHECK(reply.error().attempts[0].cost == Money{});
    const auto snapshot = client.snapshot();
    const bool counted = snapshot.candidates[0].success_share.has_value() || snapshot.candidates[1].success_share.has_value();
    CHECK(counted == row.sent);
  }
}

}  // namespace function_test
