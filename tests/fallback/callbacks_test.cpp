#include <catch2/catch_test_macros.hpp>

#include <coroutine>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/intercept.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/policies/single_flight.hpp"
#include "backstop/providers/function.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace callbacks_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

/// The places of a call where code of the application runs.
enum class Place { sink, before, around, after, on_attempt, on_call, on_done };
constexpr Place inside_places[] = {Place::sink,  Place::before,     Place::around,
                                   Place::after, Place::on_attempt, Place::on_call};
constexpr Place all_places[] = {Place::sink,       Place::before,  Place::around, Place::after,
                                Place::on_attempt, Place::on_call, Place::on_done};

/// One call, and something that is done once from inside it.
class Scene {
 public:
  using Act = std::function<void(Scene&)>;

  explicit Scene(Place place, Act act) : place_{place}, act_{std::move(act)} {}

  void begin() {
    InterceptOptions options;
    options.before = [this](RequestEdit&) -> Result<void> {
      reach(Place::before);
      return {};
    };
    options.around = [this](const Provider& next, const ChatRequest& request, CallContext& context) {
      return go_around(*this, next, request, context);
    };
    options.after = [this](const ChatRequest&, Result<ChatResponse>&) { reach(Place::after); };
    FallbackOptions client_options;
    client_options.recovery.max_wait = 0s;
    client_options.runtime = world.share();
    client_options.observers = {std::make_shared<Watcher>(*this)};
    client.emplace(std::vector<Provider>{model | intercept(options)}, client_options);
    sink.scene = this;
    call.emplace(client->start("hello", {.sink = &sink}));
    call->on_done([this](const Result<ChatResponse>& result) {
      ++told;
      ended_as = result ? std::optional<ErrorKind>{} : result.error().kind;
      reach(Place::on_done);
    });
    world.run_for(10s);
  }
  [[nodiscard]] bool acted() const noexcept { return acted_; }

  VirtualRuntime world;
  ScriptedProvider model{"one/a", {stream({"a", "b"}, 1s)}};
  std::optional<FallbackClient> client;
  std::optional<PendingCall> call;
  int told = 0;
  std::optional<ErrorKind> ended_as;

 private:
  struct Sink final : StreamSink {
    void on_event(const StreamEvent& event) noexcept override {
      if (event.is_content()) scene->reach(Place::sink);
    }
    Scene* scene = nullptr;
  };
  struct Watcher final : Observer {
    explicit Watcher(Scene& watched) : scene{&watched} {}
    void on_attempt(const AttemptEvent&) noexcept override { scene->reach(Place::on_attempt); }
    void on_call(const CallEvent&) noexcept override { scene->reach(Place::on_call); }
    Scene* scene;
  };

  static Task<Result<ChatResponse>> go_around(Scene& scene, const Provider& next, const ChatRequest& request,
                                              CallContext& context) {
    auto result = co_await next.call(request, context);
    scene.reach(Place::around);
    co_return result;
  }

  void reach(Place place) {
    if (place != place_ || std::exchange(acted_, true)) return;
    act_(*this);
  }

  Place place_;
  Act act_;
  bool acted_ = false;

 public:
  Sink sink;
};

/// A coroutine of the application's own, whose frame the test may destroy.
struct Own {
  struct promise_type {
    Own get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept {}
  };
  std::coroutine_handle<promise_type> handle;
};

Own ask(FallbackClient client, int& steps) {
  const ChatRequest request{"hello"};
  auto reply = co_await client.chat_async(request);
  steps += reply ? 1 : 100;
}

Step long_stream() {
  Step step = deltas({});
  for (int i = 0; i < 1000; ++i) step.text("word ");
  step.finish();
  return step;
}

Task<Result<ChatResponse>> write_much(const ChatRequest&, CallContext& context) {
  for (int i = 0; i < 1000; ++i) {
    ConsumerReady ready{context};
    co_await ready;
    if (context.stopping()) co_return context.stop_error();
    StreamEvent event;
    event.delta = "word ";
    context.deliver(event);
  }
  ChatResponse response;
  response.parts.emplace_back(Text{"done"});
  co_return response;
}

}  // namespace

TEST_CASE("a call that waits for itself gets an error that says so, and goes on") {
  for (const Place place : inside_places) {
    CAPTURE(static_cast<int>(place));
    std::optional<Error> error;
    Scene scene{place, [&](Scene& at) {
      const Result<ChatResponse>& reply = at.call->wait();
      if (!reply) error = reply.error();
    }};
    scene.begin();
    REQUIRE(scene.acted());
    REQUIRE(error);
    CHECK(error->kind == ErrorKind::invalid_request);
    CHECK(error->message.find("cannot wait for itself") != std::string::npos);
    CHECK(scene.told == 1);
    CHECK_FALSE(scene.ended_as);
    CHECK(scene.call->wait());
    CHECK(scene.world.idle());
  }
}

TEST_CASE("a call that has ended may be waited for in its own callback") {
  bool answered = false;
  Scene scene{Place::on_done, [&](Scene& at) { answered = at.call->wait().has_value() && at.call->done(); }};
  scene.begin();
  CHECK(answered);
}

TEST_CASE("another call may be made and waited for from every callback") {
  for (const Place place : all_places) {
    CAPTURE(static_cast<int>(place));
    std::string chatted;
    std::string waited;
    std::string streamed;
    Scene scene{place, [&](Scene& at) {
      const ScriptedProvider other{"two/b", {stream({"hi"}).after(2s)}};
      const FallbackClient aside{{other}, FallbackOptions{.runtime = at.world.share()}};
      if (const auto reply = aside.chat("hello")) chatted = reply->text();
      PendingCall call = aside.start("hello");
      if (const auto& reply = call.wait()) waited = reply->text();
      for (const StreamEvent& event : aside.stream("hello")) {
        if (event.type == StreamEvent::Type::text) streamed += event.delta;
      }
    }};
    scene.begin();
    CHECK(chatted == "hi");
    CHECK(waited == "hi");
    CHECK(streamed == "hi");
    CHECK(scene.told == 1);
    CHECK_FALSE(scene.ended_as);
    CHECK(scene.world.idle());
  }
}

TEST_CASE("waits for one call within each other all end with it") {
  VirtualRuntime world;
  const ScriptedProvider model{"p/m", {answer("b").after(400ms), answer("a").after(200ms)}};
  FallbackOptions options;
  options.runtime = world.share();
  const FallbackClient client{model, options};
  PendingCall first = client.start("b");
  int waits = 0;
  PendingCall second = client.start("a", {.on_event = [&](const StreamEvent& event) {
    if (event.type != StreamEvent::Type::text) return;
    CHECK(first.wait());
    ++waits;
  }});
  REQUIRE(first.wait());
  CHECK(waits == 1);
  CHECK(second.wait());
  REQUIRE(first.wait());
}

TEST_CASE("a call that has ended may be cancelled, and leaves nothing behind") {
  std::weak_ptr<Runtime> runtime;
  {
    FallbackOptions options;
    options.runtime = std::make_shared<Runtime>(RuntimeOptions{.background_driver = false});
    runtime = options.runtime;
    const FallbackClient client{ScriptedProvider{"p/m"}, options};
    PendingCall call = client.start("x");
    CHECK(call.wait());
    call.cancel();
    CHECK(call.wait());
  }
  CHECK(runtime.expired());
}

TEST_CASE("a call that is waited for may be destroyed in its own callback") {
  VirtualRuntime world;
  FallbackOptions options;
  options.runtime = world.share();
  const FallbackClient client{ScriptedProvider{"p/m", {answer("x").after(1s)}}, options};
  std::optional<PendingCall> call;
  call.emplace(client.start("x", {.on_event = [&](const StreamEvent& event) {
    if (event.type == StreamEvent::Type::text) call.reset();
  }}));
  static_cast<void>(call->wait());
  CHECK_FALSE(call);
  world.run_all();
  CHECK(world.idle());
}

TEST_CASE("a hedge does not begin inside a callback of its call") {
  // The fourth row is one more than the ledger has had room for.
  for (const bool waits_at_begin : {false, true}) {
    VirtualRuntime world;
    FallbackOptions options;
    options.recovery.max_wait = 0s;
    options.runtime = world.share();
    const FallbackClient aside{ScriptedProvider{"x/m", {answer("x").after(2s)}}, options};
    options.hedge = HedgeOptions{.min_delay = 500ms, .delay_without_samples = 500ms};
    const ScriptedProvider a{"a/m", {error(ErrorKind::server_error)}};
    const ScriptedProvider b{"b/m", {error(ErrorKind::server_error)}};
    const ScriptedProvider c{"c/m", {error(ErrorKind::server_error).after(400ms)}};
    const ScriptedProvider d{"d/m", {answer("d")}};
    const FallbackClient client{{a, b, c, d}, options};
    int seen = 0;
    int depth = 0;
    const auto reply = client.chat("q", {.on_event = [&](const StreamEvent& event) {
      CHECK(depth == 0);
      ++depth;
      const auto awaited = waits_at_begin ? ProgressEvent::Type::attempt_began : ProgressEvent::Type::attempt_failed;
      if (event.progress != nullptr && event.progress->type == awaited && ++seen == 3) {
        CHECK(aside.chat("aside"));
        CHECK(event.progress->attempt->target.name() == "c/m");
      }
      --depth;
    }});
    REQUIRE(reply);
    CHECK(reply->served_by.name() == "d/m");
    REQUIRE(reply->attempts.size() == 4);
    if (!waits_at_begin) CHECK(reply->attempts[3].reason.empty());  // no hedge: it has failed before the delay was over
    CHECK(world.idle());
  }
}

TEST_CASE("a shared send leaves the ledger of a call alone that is in a callback") {
  VirtualRuntime world;
  FallbackOptions options;
  options.recovery.max_wait = 0s;
  options.limits.max_attempts = 8;
  options.runtime = world.share();
  const FallbackClient aside{ScriptedProvider{"x/m", {answer("x").after(2s)}}, options};
  options.hedge = HedgeOptions{.min_delay = 500ms, .delay_without_samples = 100ms, .budget = {.share = 1}};
  const auto down = [](Duration after) { return error(ErrorKind::server_error).after(after); };
  const ScriptedProvider a{"a/m", {down(0s)}};
  const ScriptedProvider e{"e/m", {down(600ms), down(0s), answer("f")}};
  const ScriptedProvider b{"b/m", {down(120ms)}};
  const Provider shared = e | retry({.max_attempts = 5, .max_attempts_with_fallback = 5}) | single_flight();
  const FallbackClient client{{a, shared, b}, options};
  const auto reply = client.chat("q", {.on_event = [&](const StreamEvent& event) {
    if (event.progress == nullptr || event.progress->type != ProgressEvent::Type::attempt_failed) return;
    const std::string name = event.progress->attempt->target.name();
    if (name == "b/m") CHECK(aside.chat("aside"));
    CHECK(event.progress->attempt->target.name() == name);
  }});
  REQUIRE(reply);
  CHECK(reply->text() == "f");
  CHECK(world.idle());
}

TEST_CASE("the handle of a call may be destroyed in its own callback") {
  for (const Place place : all_places) {
    CAPTURE(static_cast<int>(place));
    Scene scene{place, [](Scene& at) { at.call.reset(); }};
    scene.begin();
    CHECK(scene.acted());
    CHECK(scene.told == (place == Place::on_done ? 1 : 0));
    CHECK(scene.world.idle());
  }
}

TEST_CASE("a call may be cancelled in its own callback, and ends once") {
  for (const Place place : all_places) {
    CAPTURE(static_cast<int>(place));
    Scene scene{place, [](Scene& at) { at.call->cancel(); }};
    scene.begin();
    CHECK(scene.told == 1);
    const bool ended_before = place == Place::on_call || place == Place::on_done || place == Place::after ||
                              place == Place::on_attempt || place == Place::around;
    if (!ended_before) CHECK(scene.ended_as == ErrorKind::cancelled);
    if (place == Place::on_call || place == Place::on_done) CHECK_FALSE(scene.ended_as);
    CHECK(scene.world.idle());
  }
}

TEST_CASE("after a call was cancelled in a callback of its own nothing is sent") {
  VirtualRuntime world;
  const ScriptedProvider model{"one/a", {answer("hi")}};
  std::optional<PendingCall> call;
  InterceptOptions options;
  options.before = [&](RequestEdit&) -> Result<void> {
    call->cancel();
    return {};
  };
  const FallbackClient client{{model | intercept(options), ScriptedProvider{"two/b"}}, {.runtime = world.share()}};
  call = client.start("hello");
  const auto& reply = call->wait();
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::cancelled);
  CHECK(model.send_count() == 0);
}

TEST_CASE("the client may be let go of in a callback of its own call") {
  for (const Place place : all_places) {
    CAPTURE(static_cast<int>(place));
    Scene scene{place, [](Scene& at) { at.client.reset(); }};
    scene.begin();
    CHECK(scene.told == 1);
    CHECK_FALSE(scene.ended_as);
    CHECK(scene.world.idle());
  }
}

TEST_CASE("what a callback throws is dropped, whether the call has ended already or not") {
  Scene scene{Place::on_done, [](Scene&) { throw std::runtime_error{"no"}; }};
  scene.begin();
  CHECK(scene.told == 1);
  REQUIRE(scene.call->done());
  int told = 0;
  const auto throws = [&](const Result<ChatResponse>&) {
    ++told;
    throw std::runtime_error{"no"};
  };
  CHECK_NOTHROW(scene.call->on_done(throws));
  CHECK(told == 1);
  CHECK(scene.call->wait());
}

TEST_CASE("what the application's code throws inside a call fails that call alone") {
  for (const Place place : {Place::before, Place::around, Place::after}) {
    Scene scene{place, [](Scene&) { throw std::runtime_error{"no"}; }};
    scene.begin();
    CHECK(scene.told == 1);
    CHECK(scene.ended_as == ErrorKind::invalid_request);
    CHECK(scene.world.idle());
  }
}

TEST_CASE("a coroutine that is destroyed while it waits for an answer is not resumed") {
  VirtualRuntime world;
  const ScriptedProvider model{"one/a", {answer("hi").after(1s)}};
  const FallbackClient client{{model}, FallbackOptions{.runtime = world.share()}};
  int steps = 0;
  const Own kept = ask(client, steps);
  const Own destroyed = ask(client, steps);
  world.run_for(500ms);
  destroyed.handle.destroy();
  CHECK(steps == 0);
  world.run_for(5s);
  CHECK(steps == 1);
  CHECK(kept.handle.done());
  kept.handle.destroy();
  CHECK(world.idle());
}

TEST_CASE("a coroutine may be destroyed from inside the call that it waits for") {
  VirtualRuntime world;
  const ScriptedProvider model{"one/a", {answer("hi").after(1s)}};
  std::optional<Own> waiting;
  InterceptOptions options;
  options.after = [&](const ChatRequest&, Result<ChatResponse>&) { waiting->handle.destroy(); };
  const FallbackClient client{{model | intercept(options)}, FallbackOptions{.runtime = world.share()}};
  int steps = 0;
  waiting = ask(client, steps);
  world.run_for(5s);
  CHECK(steps == 0);
  CHECK(model.send_count() == 1);
  CHECK(world.idle());
}

TEST_CASE("from inside a stream's own call no event would come, and it may be let go of there") {
  for (const bool lets_go : {false, true}) {
    VirtualRuntime world;
    const ScriptedProvider model{"one/a", {stream({"a", "b"}, 1s)}};
    std::optional<ChatStream> own;
    bool looked = false;
    InterceptOptions options;
    options.before = [&](RequestEdit&) -> Result<void> {
      looked = true;
      CHECK(own->next() == nullptr);
      if (lets_go) own.reset();
      return {};
    };
    const FallbackClient client{{model | intercept(options)}, FallbackOptions{.runtime = world.share()}};
    own.emplace(client.stream("hello"));
    world.run_for(500ms);
    CHECK(looked);
    if (!lets_go) {
      std::string text;
      while (const StreamEvent* event = own->next()) text += event->type == StreamEvent::Type::text ? event->delta : "";
      CHECK(text == "ab");
    }
    world.run_for(5s);
    CHECK(world.idle());
  }
}

TEST_CASE("a stream may be destroyed in any callback while it is waited for, and the wait then has nothing") {
  enum class In { own_event, event_of_another, end_of_another };
  enum class Wait { next, next_for, result };
  for (const In in : {In::own_event, In::event_of_another, In::end_of_another}) {
    for (const Wait wait : {Wait::next, Wait::next_for, Wait::result}) {
      for (const bool moved_away : {false, true}) {
        CAPTURE(static_cast<int>(in), static_cast<int>(wait), moved_away);
        VirtualRuntime world;
        const ScriptedProvider slow{"one/a", {stream({"a", "b", "c"}, 100ms)}};
        const ScriptedProvider quick{"two/b", {stream({"x", "y"}, 130ms)}};
        const FallbackClient client{{slow}, FallbackOptions{.runtime = world.share()}};
        const FallbackClient another{{quick}, FallbackOptions{.runtime = world.share()}};
        std::optional<ChatStream> own;
        bool gone = false;
        const auto let_go = [&] {
          if (std::exchange(gone, true)) return;
          if (moved_away) {
            const ChatStream last = std::move(*own);
          } else {
            own.reset();
          }
        };
        const auto on_text = [&](In place) {
          return [&, place](const StreamEvent& event) {
            if (in == place && event.type == StreamEvent::Type::text) let_go();
          };
        };
        PendingCall aside = another.start("hello", {.on_event = on_text(In::event_of_another)});
        aside.on_done([&](const Result<ChatResponse>&) {
          if (in == In::end_of_another) let_go();
        });
        own.emplace(client.stream("hello", {.on_event = on_text(In::own_event)}));
        if (wait == Wait::result) {
          const Result<ChatResponse>& result = own->result();
          REQUIRE_FALSE(result);
          CHECK(result.error().kind == ErrorKind::cancelled);
        } else {
          while (!gone) {
            const StreamEvent* event = wait == Wait::next ? own->next() : own->next_for(1h);
            CHECK((event == nullptr) == gone);
          }
        }
        CHECK(gone);
        CHECK(aside.wait());
        world.run_for(10s);
        CHECK(world.idle());
      }
    }
  }
}

TEST_CASE("waits for one stream within each other have its events once, and end in time") {
  enum class Inner { next, next_for, result };
  for (const Inner inner : {Inner::next, Inner::next_for, Inner::result}) {
    for (const Duration before : {Duration{0ms}, Duration{1s}}) {
      CAPTURE(static_cast<int>(inner), before.count());
      VirtualRuntime world;
      const ScriptedProvider slow{"one/a", {stream({"a", "b", "c"}, 100ms).after(before)}};
      const ScriptedProvider quick{"two/b", {stream({"x", "y"}, 10ms)}};
      const FallbackClient client{{slow}, FallbackOptions{.runtime = world.share()}};
      const FallbackClient another{{quick}, FallbackOptions{.runtime = world.share()}};
      std::optional<ChatStream> own;
      std::string text;
      const auto take = [&](const StreamEvent* event) {
        if (event != nullptr && event->type == StreamEvent::Type::text) text += event->delta;
        return event != nullptr;
      };
      bool acted = false;
      const PendingCall aside = another.start("hello", {.on_event = [&](const StreamEvent& event) {
        if (event.type != StreamEvent::Type::text || std::exchange(acted, true)) return;
        if (inner == Inner::next) CHECK(take(own->next()));
        if (inner == Inner::result) CHECK(own->result());
        if (inner != Inner::next_for) return;
        const Duration since = world.elapsed();
        if (!take(own->next_for(20ms))) CHECK(world.elapsed() - since == 20ms);
      }});
      own.emplace(client.stream("hello"));
      while (take(own->next_for(1h))) {
      }
      CHECK(acted);
      CHECK(own->ended());
      CHECK(own->result());
      if (inner != Inner::result) CHECK(text == "abc");
      CHECK(world.elapsed() < 10s);
      world.run_for(10s);
      CHECK(world.idle());
    }
  }
}

TEST_CASE("the handle of a call that has ended keeps nothing of its client") {
  VirtualRuntime world;
  auto token = std::make_shared<int>();
  const std::weak_ptr<int> kept = token;
  InterceptOptions options;
  options.before = [token = std::move(token)](RequestEdit&) { return Result<void>{}; };
  std::optional<FallbackClient> client;
  client.emplace(ScriptedProvider{"one/a"} | intercept(std::move(options)), FallbackOptions{.runtime = world.share()});
  options = {};
  std::optional<PendingCall> call;
  std::optional<ChatStream> stream;
  SECTION("a call in the background") {
    call.emplace(client->start("hello"));
    REQUIRE(call->wait());
  }
  SECTION("a stream") {
    stream.emplace(client->stream("hello"));
    REQUIRE(stream->result());
  }
  SECTION("a part of the client, and a policy around it") {
    call.emplace(client->start("hello", {.targets = {"one/a"}, .around = retry()}));
    REQUIRE(call->wait());
  }
  CHECK_FALSE(kept.expired());
  client.reset();
  CHECK(kept.expired());
  if (call) CHECK(call->wait()->text() == "ok");
  if (stream) CHECK(stream->result()->text() == "ok");
}

TEST_CASE("callbacks on the background driver may call, wait, and let go of their own call") {
  FallbackOptions options;
  options.runtime = std::make_shared<Runtime>(RuntimeOptions{});
  const FallbackClient client{{ScriptedProvider{"one/a", {stream({"a", "b"}, 1ms)}}}, options};
  std::promise<std::string> told;
  PendingCall outer = client.start("hello");
  outer.on_done([&](const Result<ChatResponse>&) {
    PendingCall inner = client.start("hello");
    std::string text = inner.wait() ? inner.wait()->text() : "failed";
    if (const auto reply = client.chat("hello")) text += reply->text();
    told.set_value(text);
  });
  CHECK(told.get_future().get() == "abab");
  CHECK(outer.wait());

  struct LetsGo final : StreamSink {
    void on_event(const StreamEvent&) noexcept override {
      if (std::exchange(gone, true)) return;
      call->reset();
      done.set_value();
    }
    std::optional<PendingCall>* call = nullptr;
    std::promise<void> done;
    bool gone = false;
  };
  for (int i = 0; i < 20; ++i) {
    std::optional<PendingCall> call;
    LetsGo sink;
    sink.call = &call;
    std::promise<void> stored;
    InterceptOptions waits;
    waits.before = [&](RequestEdit&) -> Result<void> {
      stored.get_future().wait();  // the handle is where the sink looks for it
      return {};
    };
    const FallbackClient slow{{ScriptedProvider{"one/a", {stream({"a", "b"}, 1ms)}} | intercept(waits)}, options};
    call.emplace(slow.start("hello", {.sink = &sink}));
    stored.set_value();
    sink.done.get_future().wait();
  }
}

TEST_CASE("a stream that is let go of while more is ahead than it takes leaves nothing") {
  for (const bool shared : {false, true}) {
    for (const bool scripted : {false, true}) {
      CAPTURE(shared, scripted);
      VirtualRuntime world;
      const Provider model = scripted ? Provider{ScriptedProvider{"one/a", {long_stream()}}}
                                      : make_provider("one/a", &write_much);
      const FallbackClient client{{shared ? model | single_flight() : model},
                                  FallbackOptions{.runtime = world.share()}};
      {
        ChatStream answer = client.stream("hello");
        REQUIRE(answer.next() != nullptr);
        world.run_for(1s);  // until it waits for the consumer
      }
      CHECK(world.idle());
      {
        ChatStream answer = client.stream("hello");
        for (int i = 0; i < 100; ++i) REQUIRE(answer.next() != nullptr);
        answer.cancel();
        CHECK_FALSE(answer.result());
      }
      CHECK(world.idle());
      std::size_t words = 0;
      for (const StreamEvent& event : client.stream("hello")) words += event.is_content() ? 1 : 0;
      CHECK(words == 1000);
    }
  }
}

TEST_CASE("the end of a stream is the call's to tell, whatever a provider emits") {
  VirtualRuntime world;
  const auto emits_ends = [](const ChatRequest&, CallContext& context) -> Task<Result<ChatResponse>> {
    const Error failure{ErrorKind::server_error, "no"};
    const ChatResponse nothing;
    StreamEvent event;
    event.type = StreamEvent::Type::failed;
    event.error = &failure;
    context.deliver(event);
    event.type = StreamEvent::Type::finished;
    event.error = nullptr;
    event.response = &nothing;
    context.deliver(event);
    co_return failure;
  };
  const ScriptedProvider other{"two/b", {stream({"D"})}};
  const FallbackClient client{{make_provider(Target{"own", "m"}, emits_ends), other}, {.runtime = world.share()}};
  EventLog log{world.runtime()};
  REQUIRE(client.start("hello", {.sink = &log}).wait());
  REQUIRE(log.events().size() == 2);
  CHECK(log.events()[0].delta == "D");
  CHECK(log.events()[1].type == StreamEvent::Type::finished);
}

TEST_CASE("what an error of the application's own says of delivered content counts nowhere") {
  Error claims{ErrorKind::server_error, "no"};
  claims.committed = true;
  claims.partial_text = "of another call";
  claims.replay = ReplaySafety::maybe_processed;
  const ScriptedProvider other{"two/b", {answer("D")}};
  const Provider own = make_provider("own", [claims](const ChatRequest&) -> Result<ChatResponse> { return claims; });
  InterceptOptions replaces;
  replaces.after = [claims](const ChatRequest&, Result<ChatResponse>& result) { result = claims; };
  const Provider replaced = ScriptedProvider{"three/c"} | intercept(replaces);
  for (const MidStream policy : {MidStream::fail, MidStream::restart, MidStream::resume}) {
    for (const Provider& first : {own, replaced, own | retry({.max_attempts = 2})}) {
      VirtualRuntime world;
      FallbackOptions options;
      options.mid_stream = policy;
      options.recovery.max_wait = 0s;
      options.runtime = world.share();
      const auto reply = FallbackClient{{first, other}, options}.chat("hello");
      REQUIRE(reply);
      CHECK(reply->text() == "D");
      CHECK(reply->attempts.front().outcome.value_or(ErrorKind::server_error) == ErrorKind::server_error);
      const auto alone = FallbackClient{{first}, options}.chat("hello");
      REQUIRE_FALSE(alone);
      CHECK(alone.error().kind == ErrorKind::server_error);
      CHECK_FALSE(alone.error().committed);
      CHECK(alone.error().partial_text.empty());
    }
  }
}

TEST_CASE("a refusal that stands in for an answer of which the consumer has a part breaks the stream off") {
  for (const ErrorKind kind : {ErrorKind::local_limit, ErrorKind::circuit_open, ErrorKind::server_error}) {
    for (const MidStream policy : {MidStream::fail, MidStream::restart}) {
      VirtualRuntime world;
      InterceptOptions replaces;
      replaces.after = [kind](const ChatRequest&, Result<ChatResponse>& result) { result = Error{kind, "no"}; };
      const ScriptedProvider first{"one/a", {stream({"a", "b"})}};
      const ScriptedProvider other{"two/b", {stream({"S", "T"})}};
      FallbackOptions options;
      options.mid_stream = policy;
      options.recovery.max_wait = 0s;
      options.runtime = world.share();
      const FallbackClient client{{first | intercept(replaces), other}, options};
      EventLog log{world.runtime()};
      PendingCall call = client.start("hello", {.sink = &log});
      const auto& reply = call.wait();
      if (policy == MidStream::restart) {
        REQUIRE(reply);
        CHECK(log.text() == "ST");  // since it began anew
        CHECK(log.events()[2].type == StreamEvent::Type::restarted);
      } else {
        REQUIRE_FALSE(reply);
        CHECK(reply.error().committed);
        CHECK(reply.error().partial_text == "ab");
        CHECK(other.send_count() == 0);
      }
    }
  }
}

}  // namespace callbacks_test
