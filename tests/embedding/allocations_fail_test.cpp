// A program that has no memory for a moment: every allocation of a call fails once, and the process goes on.

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <future>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/observe/metrics.hpp"
#include "backstop/policies/single_flight.hpp"
#include "backstop/policies/standard.hpp"
#include "backstop/providers/openai.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "support/allocations.hpp"
#include "support/fault_server.hpp"

namespace allocations_fail_test {

using namespace backstop;
using namespace std::chrono_literals;
using failing_allocations::Which;

namespace {

/// What an application sees of a call.
struct Seen {
  bool threw = false;  // std::bad_alloc, in place of a result
  std::optional<Result<ChatResponse>> result;
  int ends = 0;        // of a stream, or calls of the callback
  std::string text;    // of a stream
  int tool_calls = 0;  // likewise
  bool content = false;
};

/// A coroutine of the application's own.
struct Own {
  struct promise_type {
    Own get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() { std::terminate(); }
  };
};

void note(Seen& seen, const StreamEvent& event) {
  const failing_allocations::Pause pause;
  if (event.type == StreamEvent::Type::text) seen.text += event.delta;
  if (event.type == StreamEvent::Type::tool_call) ++seen.tool_calls;
  seen.content = seen.content || event.is_content();
  if (event.type == StreamEvent::Type::finished || event.type == StreamEvent::Type::failed) ++seen.ends;
}

/// A target behind every policy that holds something for a call.
class Guarded {
 public:
  Guarded(Provider target, const Budget& budget)
      : provider{std::move(target) | timeout(20s) | circuit_breaker(breaker_) | bulkhead(limit_) |
                 rate_limit({.requests_per_minute = 1'000'000}) | cost_cap(budget) | retry() | single_flight()} {}

  void check() const {
    CHECK(breaker_->state() != BreakerState::open);
    CHECK(limit_.snapshot().in_flight == 0);
    CHECK(limit_.snapshot().waiting == 0);
  }
  void reset() const { breaker_->reset(); }

 private:
  std::shared_ptr<CircuitBreaker> breaker_ = CircuitBreaker::create();
  ConcurrencyLimit limit_{BulkheadOptions{.max_in_flight = 4}};

 public:
  Provider provider;
};

constexpr Price price{.input = Money::usd_per_million(1), .output = Money::usd_per_million(1)};

ModelFacts priced() {
  ModelFacts facts;
  facts.price = price;
  return facts;
}

Provider over_http(const faults::FaultServer& server, std::string model) {
  return openai({.model = std::move(model),
                 .api_key = "sk-secret-0123456789",
                 .base_url = server.base_url("/v1"),
                 .price = price});
}

enum class Scene { answers, answers_at_length, calls_a_tool, falls_back };

std::string text_of(Scene scene) {
  if (scene == Scene::calls_a_tool) return {};
  std::string text = "All is well.";
  for (int i = 0; scene == Scene::answers_at_length && i < 20; ++i) text += " And it will stay so.";
  return text;
}

/// Two targets that are called over HTTP.
class Servers {
 public:
  explicit Servers(Scene scene) {
    const faults::Behaviour answer = scene == Scene::calls_a_tool
                                         ? faults::tool_call("look_up", R"({"city":"Wernigerode am Harz","days":7})")
                                         : faults::answer(text_of(scene));
    first_.always(scene == Scene::falls_back ? faults::overloaded() : answer);
    second_.always(answer);
  }
  [[nodiscard]] Provider one() const { return over_http(first_, "one"); }
  [[nodiscard]] Provider two() const { return over_http(second_, "two"); }
  [[nodiscard]] std::size_t sends() const { return first_.request_count() + second_.request_count(); }
  void before_call() {}

 private:
  faults::FaultServer first_;
  faults::FaultServer second_;
};

/// The same without a network.
class Scripts {
 public:
  explicit Scripts(Scene scene) : scene_{scene} {}
  [[nodiscard]] Provider one() const { return Provider{first_}; }
  [[nodiscard]] Provider two() const { return Provider{second_}; }
  [[nodiscard]] std::size_t sends() const { return first_.send_count() + second_.send_count(); }
  void before_call() {
    const testing::Step answer = testing::stream({"All is ", "well."});
    first_.then(scene_ == Scene::falls_back ? testing::error(ErrorKind::overloaded) : answer);
    second_.then(answer);
  }

 private:
  Scene scene_;
  testing::ScriptedProvider first_{Target{"scripted", "one", priced()}};
  testing::ScriptedProvider second_{Target{"scripted", "two", priced()}};
};

struct Lab {
  template <class Targets>
  explicit Lab(const Targets& targets) : one{targets.one(), budget}, two{targets.two(), budget} {
    FallbackOptions options;
    options.runtime = runtime;
    options.recovery.max_wait = 0s;
    options.observers = {metrics};
    client.emplace(std::vector<Provider>{one.provider, two.provider}, options);
  }

  /// The thread that drives `start` has its part in what fails.
  void begin_driver() const {
    std::promise<void> told;
    runtime->ensure_background_driver();
    runtime->post([&] {
      failing_allocations::include_this_thread();
      told.set_value();
    });
    told.get_future().wait();
  }
  /// Nothing is held for a call that is over, and the next one is answered.
  template <class Targets>
  void check(Targets& targets, Scene scene) const {
    one.check();
    two.check();
    CHECK(budget.snapshot(runtime->clock().now()).reserved == BudgetCharge{});
    std::promise<bool> idle;
    runtime->ensure_background_driver();
    runtime->post([&] { idle.set_value(runtime->idle()); });
    CHECK(idle.get_future().get());
    targets.before_call();
    const auto next = client->chat("the next one");
    REQUIRE(next);
    CHECK(next->text() == text_of(scene));
    one.reset();
    two.reset();
  }

  std::shared_ptr<Runtime> runtime = std::make_shared<Runtime>(RuntimeOptions{});
  std::shared_ptr<Metrics> metrics = std::make_shared<Metrics>();
  Budget budget{{.per_period = Money::usd(1'000'000'000)}};
  Guarded one;
  Guarded two;
  std::optional<FallbackClient> client;
};

// The ways to call.

void chat(const Lab& lab, Seen& seen) { seen.result.emplace(lab.client->chat("hello")); }

void stream(const Lab& lab, Seen& seen) {
  ChatStream events = lab.client->stream("hello");
  while (const StreamEvent* event = events.next()) note(seen, *event);
  const Result<ChatResponse>& result = events.result();
  const failing_allocations::Pause pause;
  seen.result.emplace(result);
}

void on_done(const Lab& lab, Seen& seen) {
  PendingCall call = lab.client->start("hello");
  call.on_done([&seen](const Result<ChatResponse>&) { ++seen.ends; });
  const Result<ChatResponse>& result = call.wait();
  const failing_allocations::Pause pause;
  seen.result.emplace(result);
}

void with_sink(const Lab& lab, Seen& seen) {
  struct Sink final : StreamSink {
    explicit Sink(Seen& target) : seen{&target} {}
    void on_event(const StreamEvent& event) noexcept override { note(*seen, event); }
    Seen* seen;
  };
  Sink sink{seen};
  PendingCall call = lab.client->start("hello", {.sink = &sink});
  const Result<ChatResponse>& result = call.wait();
  const failing_allocations::Pause pause;
  seen.result.emplace(result);
}

Own await(const Lab& lab, Seen& seen, std::promise<void>& end) {
  try {
    AsyncCall call = lab.client->chat_async("hello");
    Result<ChatResponse> result = co_await call;
    const failing_allocations::Pause pause;
    seen.result.emplace(std::move(result));
  } catch (const std::bad_alloc&) {
    seen.threw = true;
  }
  const failing_allocations::Pause pause;
  end.set_value();
}

void coroutine(const Lab& lab, Seen& seen) {
  std::optional<std::promise<void>> end;
  {
    const failing_allocations::Pause pause;
    end.emplace();
  }
  await(lab, seen, *end);
  const failing_allocations::Pause pause;
  end->get_future().wait();
}

struct Way {
  std::string_view name;
  void (*call)(const Lab&, Seen&);
  int ends;
  bool streams;
};
constexpr std::array<Way, 5> ways{{{"chat", chat, 0, false},
                                   {"stream", stream, 1, true},
                                   {"start and on_done", on_done, 1, false},
                                   {"start with a sink", with_sink, 1, true},
                                   {"chat_async", coroutine, 0, false}}};

bool is_of_memory(ErrorKind kind, std::optional<ErrorKind> cause) {
  return kind == ErrorKind::local_limit || (kind == ErrorKind::stream_interrupted && cause == ErrorKind::local_limit);
}

/// The ledger agrees with what has arrived.
void check_rows(const Ledger& rows, std::size_t received, bool answered) {
  std::size_t sent = 0;
  std::size_t arrived = 0;
  for (const Attempt& row : rows) {
    if (!row.sent) continue;
    ++sent;
    if (row.http_status != 0 || row.replay != ReplaySafety::not_sent) ++arrived;
  }
  CHECK(sent >= received);
  CHECK(arrived >= received);
  if (answered) {
    REQUIRE_FALSE(rows.empty());
    CHECK_FALSE(rows.back().outcome);
  }
}

/// One call with the n-th of its allocations failing; false: it has fewer.
template <class Targets>
bool call_failing(const Lab& lab, const Way& way, Targets& targets, Scene scene, long nth, Which which) {
  targets.before_call();
  const std::size_t before = targets.sends();
  const auto begun = std::chrono::steady_clock::now();
  Seen seen;
  failing_allocations::begin(nth, which);
  try {
    way.call(lab, seen);
  } catch (const std::bad_alloc&) {
    seen.threw = true;
  }
  const bool reached = failing_allocations::end();
  CHECK(std::chrono::steady_clock::now() - begun < 4s);  // nothing is waited for in vain

  const std::size_t received = targets.sends() - before;
  if (seen.threw) {
    CHECK(received == 0);
    CHECK(seen.ends == 0);
    return true;
  }
  REQUIRE(seen.result);
  const Result<ChatResponse>& result = *seen.result;
  CHECK(seen.ends == way.ends);
  check_rows(result ? result->attempts : result.error().attempts, received, result.has_value());
  if (result) {
    CHECK(result->text() == text_of(scene));
    CHECK(result->tool_calls().size() == (scene == Scene::calls_a_tool ? 1 : 0));
    if (way.streams) {
      CHECK(seen.text == result->text());
      CHECK(seen.tool_calls == static_cast<int>(result->tool_calls().size()));
    }
  } else {
    const Error& error = result.error();
    CAPTURE(to_string(error));
    bool told = is_of_memory(error.kind, error.cause);
    for (const Attempt& row : error.attempts) {
      told = told || (row.outcome && is_of_memory(*row.outcome, error.cause)) || row.reason == "out of memory";
    }
    CHECK(told);
    if (way.streams) {
      CHECK(error.committed == seen.content);
      CHECK(seen.text.starts_with(error.partial_text));
    }
  }
  if (!reached) CHECK(result);
  return reached;
}

/// How many allocations a call makes; each has failed once.
template <class Targets>
long check_all(Scene scene, const Way& way, bool warm, Which which) {
  INFO(way.name << (warm ? ", warm" : ", cold"));
  Targets targets{scene};
  std::optional<Lab> lab;
  for (long nth = 1;; ++nth) {
    INFO("allocation " << nth);
    bool reached = false;
    const auto once = [&] {
      if (!warm || !lab) {
        lab.emplace(targets);
        lab->begin_driver();
        if (warm) lab->check(targets, scene);
      }
      reached = call_failing(*lab, way, targets, scene, nth, which);
      lab->check(targets, scene);
    };
    if (warm) {
      once();
    } else {
      std::async(std::launch::async, once).get();  // on a thread that keeps nothing yet
    }
    if (!reached) return nth - 1;
  }
}

template <class Targets>
void check_all(Scene scene, Which which = Which::one) {
  for (const Way& way : ways) {
    CHECK(check_all<Targets>(scene, way, true, which) > 5);
    CHECK(check_all<Targets>(scene, way, false, which) > 20);
  }
}

}  // namespace

TEST_CASE("every allocation of a call over HTTP fails once, and the process, the ledger and the next call are well") {
  check_all<Servers>(Scene::answers);
}

TEST_CASE("the same holds for an answer that comes faster than it is read") {
  check_all<Servers>(Scene::answers_at_length);
}

TEST_CASE("the same holds for an answer that calls a tool") { check_all<Servers>(Scene::calls_a_tool); }

TEST_CASE("the same holds for a call that falls back") { check_all<Servers>(Scene::falls_back); }

TEST_CASE("the same holds without a network") {
  check_all<Scripts>(Scene::answers);
  check_all<Scripts>(Scene::falls_back);
}

TEST_CASE("the same holds where all further allocations of the call fail too") {
  check_all<Servers>(Scene::answers, Which::all_from_there);
  check_all<Servers>(Scene::falls_back, Which::all_from_there);
}

}  // namespace allocations_fail_test
