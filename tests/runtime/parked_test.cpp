#include "backstop/runtime/parked.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <coroutine>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace parked_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

/// A coroutine whose frame belongs to the test.
class Own {
 public:
  struct promise_type {
    Own get_return_object() noexcept { return Own{std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept {}
  };
  explicit Own(std::coroutine_handle<promise_type> handle) noexcept : handle_{handle} {}
  Own(Own&& other) noexcept : handle_{std::exchange(other.handle_, {})} {}
  ~Own() { destroy(); }

  void destroy() noexcept {
    if (handle_) std::exchange(handle_, {}).destroy();
  }

 private:
  std::coroutine_handle<promise_type> handle_;
};

/// What a coroutine waits with, and what came of it.
struct Waiter {
  explicit Waiter(Runtime& loop, const void* of_call = nullptr) noexcept : runtime{&loop}, call{of_call} {}

  Runtime* runtime;
  const void* call;
  TimePoint until = TimePoint::max();
  StopSource* stop = nullptr;
  Parked* parked = nullptr;  // while the coroutine is there
  int resumed = 0;
  std::function<void()> then;
};

class Suspend {
 public:
  explicit Suspend(Waiter& waiter) noexcept : waiter_{&waiter}, parked_{*waiter.runtime, waiter.call} {
    waiter.parked = &parked_;
  }
  ~Suspend() { waiter_->parked = nullptr; }
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    parked_.park(handle);
    parked_.wake_at(waiter_->until);
    if (waiter_->stop != nullptr) parked_.wake_on(*waiter_->stop);
  }
  void await_resume() const noexcept {}

 private:
  Waiter* waiter_;
  Parked parked_;
};

Own wait(Waiter& waiter) {
  Suspend suspend{waiter};
  co_await suspend;
  ++waiter.resumed;
  if (waiter.then) waiter.then();
}

}  // namespace

TEST_CASE("a coroutine that is woken twice is resumed once, and by the loop") {
  VirtualRuntime world;
  Waiter waiter{world.runtime()};
  waiter.then = [&] { waiter.parked->wake(); };  // it does not wait any more
  const Own own = wait(waiter);
  REQUIRE(waiter.parked != nullptr);
  CHECK(waiter.parked->waits());
  CHECK(world.idle());
  waiter.parked->wake();
  CHECK_FALSE(waiter.parked->waits());
  waiter.parked->wake();
  CHECK(waiter.resumed == 0);
  CHECK_FALSE(world.idle());
  world.run_for(0s);
  CHECK(waiter.resumed == 1);
  world.run_for(1s);
  CHECK(waiter.resumed == 1);
  CHECK(world.idle());
}

TEST_CASE("a coroutine that is destroyed leaves no trace, wherever it is") {
  VirtualRuntime world;
  StopSource stop;
  Waiter waiter{world.runtime()};
  waiter.until = world.clock().now() + 5s;
  waiter.stop = &stop;
  Own own = wait(waiter);
  SECTION("while it waits") {}
  SECTION("while it is queued") { waiter.parked->wake(); }
  SECTION("by what is resumed before it, in the same turn") {
    Waiter first{world.runtime()};
    const Own earlier = wait(first);
    first.then = [&] { own.destroy(); };
    first.parked->wake();
    waiter.parked->wake();
    world.run_for(0s);
    CHECK(first.resumed == 1);
  }
  own.destroy();
  CHECK(world.idle());
  stop.request_stop(StopReason::cancelled);
  world.run_for(10s);
  CHECK(waiter.resumed == 0);
}

TEST_CASE("the moment, the stop and a wake in one turn resume a coroutine once") {
  VirtualRuntime world;
  StopSource stop;
  Waiter waiter{world.runtime()};
  waiter.until = world.clock().now() + 5s;
  waiter.stop = &stop;
  std::optional<Own> own;
  SECTION("the moment first") {
    own.emplace(wait(waiter));
    world.at(5s, [&] { stop.request_stop(StopReason::cancelled); });
  }
  SECTION("the stop first") {
    world.at(5s, [&] { stop.request_stop(StopReason::cancelled); });
    own.emplace(wait(waiter));
  }
  SECTION("all from one place") {
    world.at(5s, [&] {
      waiter.parked->wake();
      stop.request_stop(StopReason::cancelled);
    });
    own.emplace(wait(waiter));
  }
  world.run_for(5s);
  CHECK(waiter.resumed == 1);
  CHECK(world.idle());
  world.run_for(5s);
  CHECK(waiter.resumed == 1);
}

TEST_CASE("who was woken waits for nothing else any more") {
  VirtualRuntime world;
  StopSource stop;
  Waiter waiter{world.runtime()};
  waiter.until = world.clock().now() + 5s;
  waiter.stop = &stop;
  const Own own = wait(waiter);
  CHECK_FALSE(world.idle());  // the timer
  stop.request_stop(StopReason::cancelled);
  world.run_for(0s);
  CHECK(waiter.resumed == 1);
  CHECK(world.idle());
}

TEST_CASE("the end of time arms no timer, and a scope may end before who waits in it") {
  VirtualRuntime world;
  Waiter waiter{world.runtime()};
  auto stop = std::make_unique<StopSource>();
  waiter.stop = stop.get();
  const Own own = wait(waiter);
  CHECK(world.idle());
  stop.reset();
  waiter.parked->wake();
  world.run_for(0s);
  CHECK(waiter.resumed == 1);
}

// Turns within turns.

TEST_CASE("steps of one call do not nest: what becomes ready of it goes on when the step is over") {
  VirtualRuntime world;
  const int one_call = 0;
  const int other_call = 0;
  Waiter same{world.runtime(), &one_call};
  Waiter other{world.runtime(), &other_call};
  Waiter gone{world.runtime(), &one_call};
  const Own first = wait(same);
  const Own second = wait(other);
  Own third = wait(gone);
  {
    const Runtime::Step step{world.runtime(), &one_call};
    CHECK(world.runtime().is_inside(&one_call));
    CHECK_FALSE(world.runtime().is_inside(&other_call));
    same.parked->wake();
    gone.parked->wake();
    other.parked->wake();
    world.run_for(1s);
    CHECK(same.resumed == 0);
    CHECK(other.resumed == 1);
    third.destroy();  // while it is put off
  }
  CHECK_FALSE(world.idle());
  world.run_for(0s);
  CHECK(same.resumed == 1);
  CHECK(gone.resumed == 0);
  CHECK(world.idle());
}

TEST_CASE("a sink that drives the loop gets no event from inside of itself") {
  struct Driving final : StreamSink {
    void on_event(const StreamEvent& event) noexcept override {
      deepest = std::max(deepest, ++depth);
      if (event.is_content()) {
        text += event.delta;
        static_cast<void>(aside->chat("hello"));
      }
      --depth;
    }
    const FallbackClient* aside = nullptr;
    std::string text;
    int depth = 0;
    int deepest = 0;
  };
  VirtualRuntime world;
  const ScriptedProvider slow{"two/b", {answer("hi").after(5s)}};
  const FallbackClient aside{{slow}, FallbackOptions{.runtime = world.share()}};
  // Two sends of one call: the one that loses becomes ready while the sink is busy with the other's first event.
  const ScriptedProvider first{"one/a", {stream({"a", "b", "c"}, 1s).after(1500ms)}};
  const ScriptedProvider beside{"one/b", {stream({"x", "y"}, 1s).after(500ms)}};
  FallbackOptions options;
  options.runtime = world.share();
  options.hedge = HedgeOptions{.min_delay = 1s, .delay_without_samples = 1s};
  const FallbackClient client{{first, beside}, options};
  Driving sink;
  sink.aside = &aside;
  PendingCall call = client.start("hello", {.sink = &sink});
  const auto& reply = call.wait();
  REQUIRE(reply);
  CHECK(sink.deepest == 1);
  CHECK(sink.text == reply->text());
  CHECK(beside.send_count() == 1);
  CHECK(world.idle());
}

TEST_CASE("a callback may wait for work that was posted with it") {
  VirtualRuntime world;
  Runtime& runtime = world.runtime();
  Runtime::Gate gate;
  std::vector<std::string> steps;
  runtime.post([&] {
    steps.emplace_back("waits");
    runtime.block_until(gate);
    steps.emplace_back("goes on");
  });
  runtime.post([&] {
    steps.emplace_back("opens");
    runtime.open(gate);
  });
  runtime.post([&] { steps.emplace_back("last"); });
  world.run_for(0s);
  REQUIRE(steps.size() == 4);
  CHECK(steps[0] == "waits");
  CHECK(steps[1] == "opens");
  CHECK(std::find(steps.begin(), steps.end(), "goes on") != steps.end());
  CHECK(std::find(steps.begin(), steps.end(), "last") != steps.end());
}

TEST_CASE("what was posted and has not run is let go of with the runtime, also what it posts then") {
  struct Posts {
    std::shared_ptr<int> held;
    Runtime* runtime;
    ~Posts() {
      if (runtime != nullptr) runtime->post([held = std::move(held)] {});
    }
  };
  const auto held = std::make_shared<int>(1);
  {
    VirtualRuntime world;
    world.runtime().post([last = std::make_shared<Posts>(held, &world.runtime())] {});
    CHECK(held.use_count() == 2);
  }
  CHECK(held.use_count() == 1);
}

TEST_CASE("a coroutine may wait for one that became ready with it, of another call") {
  VirtualRuntime world;
  Runtime& runtime = world.runtime();
  Runtime::Gate gate;
  const int one_call = 0;
  const int other_call = 0;
  Waiter waits{runtime, &one_call};
  Waiter opens{runtime, &other_call};
  waits.then = [&] { runtime.block_until(gate); };
  opens.then = [&] { runtime.open(gate); };
  const Own first = wait(waits);
  const Own second = wait(opens);
  waits.parked->wake();
  opens.parked->wake();
  world.run_for(0s);
  CHECK(waits.resumed == 1);
  CHECK(opens.resumed == 1);
  CHECK(world.idle());
}

}  // namespace parked_test
