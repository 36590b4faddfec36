#include "backstop/policies/probe.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/circuit_breaker.hpp"
#include "backstop/policies/cost_cap.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/providers/function.hpp"
#include "backstop/routing/strategy.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace probe_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

[[nodiscard]] bool is_probe(const ChatRequest& request) {
  return request.messages.size() == 1 && request.max_output_tokens == 16;
}

/// A target that tells probes and calls apart, and answers each as it is told to.
struct Model {
  explicit Model(VirtualRuntime& world_time, std::string called = "p/model")
      : world{&world_time}, name{std::move(called)} {}

  [[nodiscard]] Provider provider() {
    return make_provider(name, [this](const ChatRequest& request) -> Result<ChatResponse> {
      if (is_probe(request)) {
        probes.push_back(world->elapsed());
      } else {
        ++calls;
      }
      const std::optional<ErrorKind>& fails = is_probe(request) ? probe_fails : call_fails;
      if (fails) return Error{*fails, "as told"};
      ChatResponse response;
      response.parts.emplace_back(Text{"hi"});
      return response;
    });
  }

  VirtualRuntime* world;
  std::string name;
  std::optional<ErrorKind> probe_fails{};
  std::optional<ErrorKind> call_fails{};
  std::vector<Duration> probes{};
  int calls = 0;
};

[[nodiscard]] FallbackOptions options_of(const VirtualRuntime& world) {
  FallbackOptions options;
  options.runtime = world.share();
  options.recovery.max_wait = 0s;
  return options;
}

}  // namespace

TEST_CASE("two failed probes take a target out, two that succeed bring it back, one never does", "[scenario-175]") {
  VirtualRuntime world;
  Model model{world};
  Model other{world, "p/other"};
  const FallbackClient client{{model.provider() | probe(), other.provider()}, options_of(world)};
  const auto served_by = [&] { return std::string{client.chat("hello")->served_by.name()}; };
  const auto until_probe = [&](std::size_t number) {
    while (model.probes.size() < number) world.run_for(1s);
  };
  CHECK(served_by() == "p/model");
  CHECK(model.probes.empty());

  model.probe_fails = ErrorKind::overloaded;
  until_probe(1);
  CHECK_FALSE(client.explain("hello").steps[0].skipped);
  until_probe(2);
  const auto passed_over = client.chat("hello");
  CHECK(passed_over->served_by.name() == "p/other");
  REQUIRE(passed_over->attempts.size() == 2);
  CHECK(passed_over->attempts[0].outcome == ErrorKind::overloaded);
  CHECK(passed_over->attempts[0].reason.find("its probes fail") != std::string::npos);
  CHECK_FALSE(passed_over->attempts[0].sent);

  model.probe_fails.reset();
  until_probe(3);
  CHECK(served_by() == "p/other");
  until_probe(4);
  CHECK(served_by() == "p/model");

  model.probe_fails = ErrorKind::timeout;
  until_probe(5);
  model.probe_fails.reset();
  until_probe(6);
  model.probe_fails = ErrorKind::timeout;
  until_probe(7);
  CHECK(served_by() == "p/model");
}

TEST_CASE("an answer to a call ends a row of failed probes") {
  VirtualRuntime world;
  Model model{world};
  Model other{world, "p/other"};
  const FallbackClient client{{model.provider() | probe(), other.provider()}, options_of(world)};
  static_cast<void>(client.chat("hello"));
  model.probe_fails = ErrorKind::overloaded;
  for (std::size_t number = 1; number < 6; ++number) {
    while (model.probes.size() < number) world.run_for(1s);
    CHECK(client.chat("hello")->served_by.name() == "p/model");
  }
}

TEST_CASE("a target is not down for ever when nobody drives its probes any more") {
  VirtualRuntime first;
  VirtualRuntime second;
  Model model{first};
  Model other{first, "p/other"};
  const Provider probed = model.provider() | probe();
  REQUIRE(first.call(probed, "hello"));
  model.probe_fails = ErrorKind::overloaded;
  while (model.probes.size() < 2) first.run_for(1s);
  const FallbackClient client{{probed, other.provider()}, options_of(second)};
  second.run_for(first.elapsed() - second.elapsed());
  CHECK(client.chat("hello")->served_by.name() == "p/other");
  second.run_for(189s);
  CHECK(client.chat("hello")->served_by.name() == "p/other");
  second.run_for(1s);
  CHECK(client.chat("hello")->served_by.name() == "p/model");
}

TEST_CASE("a probe of a pool takes no turn of its strategy") {
  VirtualRuntime world;
  Model a{world, "p/a"};
  Model b{world, "p/b"};
  const FallbackClient pool{{a.provider(), b.provider()}, [&] {
                              FallbackOptions options = options_of(world);
                              options.strategy = weighted({1, 1});
                              return options;
                            }()};
  const Provider probed = Provider{pool} | probe();
  const FallbackClient client{{probed}, options_of(world)};
  const auto served_by = [&] { return std::string{client.chat("hello")->served_by.name()}; };
  CHECK(served_by() == "p/a");
  world.run_for(2min);
  CHECK(a.probes.size() + b.probes.size() > 0);
  CHECK(served_by() == "p/b");
  const ClientSnapshot snapshot = pool.snapshot();
  CHECK(snapshot.candidates[0].picks + snapshot.candidates[1].picks == 2);
}

TEST_CASE("what is not the target's failure counts neither way") {
  VirtualRuntime world;
  Model model{world};
  Model other{world, "p/other"};
  const FallbackClient client{{model.provider() | probe(), other.provider()}, options_of(world)};
  static_cast<void>(client.chat("hello"));
  model.probe_fails = ErrorKind::invalid_request;
  world.run_for(10min);
  CHECK(model.probes.size() > 5);
  CHECK(client.chat("hello")->served_by.name() == "p/model");
}

TEST_CASE("probes of many clients are spread, 20 % to either side", "[scenario-175]") {
  VirtualRuntime world;
  std::vector<std::unique_ptr<Model>> models;
  std::vector<Provider> probed;
  for (int i = 0; i < 100; ++i) {
    models.push_back(std::make_unique<Model>(world));
    probed.push_back(models.back()->provider() | probe());
    REQUIRE(world.call(probed.back(), "hello"));
  }
  world.run_for(80s);
  std::vector<Duration> first;
  for (const auto& model : models) {
    REQUIRE_FALSE(model->probes.empty());
    first.push_back(model->probes.front());
  }
  std::sort(first.begin(), first.end());
  CHECK(first.front() >= 48s);
  CHECK(first.back() <= 72s);
  CHECK(first.front() < 50s);
  CHECK(first.back() > 70s);
  CHECK(std::adjacent_find(first.begin(), first.end()) == first.end());
}

TEST_CASE("a probe that succeeds does not close a breaker, and one that fails opens none", "[scenario-174]") {
  VirtualRuntime world;
  Model model{world};
  const auto breaker = CircuitBreaker::create({.consecutive_failures = 3, .open_for = 30min, .open_for_max = 30min});
  const Provider provider = GENERATE_COPY(false, true) ? model.provider() | circuit_breaker(breaker) | probe()
                                                       : model.provider() | probe() | circuit_breaker(breaker);
  model.call_fails = ErrorKind::server_error;
  for (int i = 0; i < 3; ++i) CHECK_FALSE(world.call(provider, "hello"));
  CHECK(breaker->state() == BreakerState::open);
  world.run_for(10min);
  CHECK(model.probes.size() > 5);
  CHECK(breaker->state() == BreakerState::open);

  breaker->reset();
  model.call_fails.reset();
  model.probe_fails = ErrorKind::server_error;
  world.run_for(10min);
  CHECK(breaker->state() == BreakerState::closed);
  CHECK(breaker->snapshot(world.clock().now()).calls == 0);
}

TEST_CASE("a probe is in no usage, no statistics, no cooldown and no cap around it", "[scenario-176]") {
  VirtualRuntime world;
  ModelFacts facts;
  facts.price = Price{.input = Money::usd_per_million(1000), .output = Money::usd_per_million(1000)};
  const ScriptedProvider model{Target{"p", "model", facts},
                               {answer("hi").after(100ms), error(ErrorKind::rate_limited).after(5s)}};
  const ScriptedProvider other{Target{"p", "other", facts}, {answer("other")}};
  const Budget budget{{.per_period = Money::usd(100)}};
  FallbackOptions options = options_of(world);
  options.strategy = first_ready();
  const FallbackClient client{{model | probe() | cost_cap(budget), other}, options};
  const auto reply = client.chat("hello");
  REQUIRE(reply);
  const Money spent = budget.snapshot(world.clock().now()).spent.cost;
  CHECK(spent == reply->cost);
  world.run_for(80s);
  CHECK(model.send_count() == 2);
  CHECK(budget.snapshot(world.clock().now()).spent.cost == spent);
  const auto snapshot = client.snapshot();
  REQUIRE(snapshot.candidates.size() == 2);
  CHECK(snapshot.candidates[0].in_flight == 0);
  CHECK(snapshot.candidates[0].success_share_ever == 1);
  CHECK_FALSE(client.explain("hello").steps[0].skipped);
}

TEST_CASE("probes of a target do not overlap, and one without an answer in time has failed", "[scenario-176]") {
  VirtualRuntime world;
  const ScriptedProvider model{"p/model", {answer("hi"), answer("late").after(1h)}};
  const ScriptedProvider other{"p/other"};
  const FallbackClient client{{model | probe({.every = 1s, .timeout = 30s}), other}, options_of(world)};
  CHECK(client.chat("hello")->served_by.name() == "p/model");
  const auto passed_over = [&] { return client.explain("hello").steps[0].skipped.has_value(); };
  world.run_for(29s);
  CHECK(model.send_count() == 2);
  world.run_for(20s);  // the second probe is under way
  CHECK(model.send_count() == 3);
  CHECK_FALSE(passed_over());
  world.run_for(20s);
  CHECK(passed_over());
}

TEST_CASE("one answer to a call brings a target back that its probes have taken out") {
  VirtualRuntime world;
  Model model{world};
  const FallbackClient client{{model.provider() | probe()}, options_of(world)};
  static_cast<void>(client.chat("hello"));
  model.probe_fails = ErrorKind::server_error;
  world.run_for(5min);
  CHECK(model.provider().target().name() == "p/model");
  CHECK(client.chat("hello"));  // there is no other
  CHECK(client.standing("hello", {}, world.clock().now()).ready());
}

TEST_CASE("a probe under way ends with its policy", "[scenario-176]") {
  VirtualRuntime world;
  const ScriptedProvider model{"p/model", {answer("hi"), answer("late").after(1h)}};
  {
    const FallbackClient client{{model | probe({.timeout = 2h})}, options_of(world)};
    REQUIRE(client.chat("hello"));
    world.run_for(2min);
    CHECK(model.send_count() == 2);
    CHECK_FALSE(world.idle());
  }
  CHECK(world.idle());
  CHECK(world.elapsed() < 3min);
}

TEST_CASE("a policy may go away inside its own probe, before it has begun, and after its runtime was let go of") {
  {
    VirtualRuntime world;
    std::optional<FallbackClient> client;
    int probes = 0;
    const Provider model = make_provider("p/model", [&](const ChatRequest& request) -> Result<ChatResponse> {
      if (is_probe(request)) {
        ++probes;
        client.reset();
      }
      return ChatResponse{};
    });
    client.emplace(std::vector<Provider>{model | probe()}, options_of(world));
    static_cast<void>(client->chat("hello"));
    world.run_for(10min);
    CHECK(probes == 1);
    CHECK(world.idle());
  }
  { const Provider never = ScriptedProvider{"p/model"} | probe(); }
  std::optional<Provider> longer;
  {
    VirtualRuntime world;
    longer = ScriptedProvider{"p/model"} | probe();
    REQUIRE(world.call(*longer, "hello"));
  }
  longer.reset();
}

TEST_CASE("the background driver probes, and a policy may go away on any thread") {
  std::atomic<int> probes{0};
  const auto model = make_provider("p/model", [&](const ChatRequest& request) -> Result<ChatResponse> {
    if (is_probe(request)) ++probes;
    return ChatResponse{};
  });
  FallbackOptions options;
  options.runtime = std::make_shared<Runtime>(RuntimeOptions{});
  auto client = std::make_unique<FallbackClient>(std::vector<Provider>{model | probe({.every = 1s})}, options);
  options.runtime.reset();
  static_cast<void>(client->chat("hello"));
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (probes < 2 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  CHECK(probes >= 2);
  std::thread{[&] { client.reset(); }}.join();
  const int then = probes;
  CHECK(probes == then);
}

TEST_CASE("probing describes itself and refuses what cannot be") {
  const ScriptedProvider model{"a/m"};
  CHECK((model | probe()).describe() == "a/m | probe");
  CHECK((model | probe({.every = 30s, .timeout = 2s})).describe() == "a/m | probe(every = 30s, timeout = 2s)");
  CHECK(problem_with(ProbeOptions{.every = 500ms}) == "probe: every is 500ms; it must be between 1s and 24h");
  CHECK(problem_with(ProbeOptions{.timeout = 0s}) == "probe: timeout must be above zero");
  CHECK(problem_with(ProbeOptions{.request = ChatRequest{}}) == "probe: the request has no messages");
  CHECK_THROWS_AS(probe({.every = 48h}), std::invalid_argument);
}

TEST_CASE("a probe of a client finds out on its targets, and its answer is nobody's") {
  VirtualRuntime world;
  Model model{world};
  model.call_fails = ErrorKind::overloaded;
  model.probe_fails = ErrorKind::overloaded;
  FallbackOptions canned = options_of(world);
  canned.degrade = {degrade::canned("sorry")};
  Model other{world, "p/other"};
  const FallbackClient client{{FallbackClient{{model.provider()}, canned} | probe(), other.provider()}, options_of(world)};
  static_cast<void>(client.chat("hello"));
  while (model.probes.size() < 2) world.run_for(1s);
  const Plan plan = client.explain("hello");
  REQUIRE(plan.steps[0].skipped);
  CHECK(plan.steps[0].skipped->message.find("its probes fail") != std::string::npos);
}

}  // namespace probe_test
