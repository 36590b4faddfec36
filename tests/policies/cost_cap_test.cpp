#include "backstop/policies/cost_cap.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/handover/needs.hpp"
#include "backstop/policies/bulkhead.hpp"
#include "backstop/policies/cache.hpp"
#include "backstop/policies/circuit_breaker.hpp"
#include "backstop/policies/intercept.hpp"
#include "backstop/policies/rate_limit.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/policies/single_flight.hpp"
#include "backstop/policies/timeout.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"
#include "context_edit.hpp"

namespace cost_cap_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

/// A target whose output costs a dollar a token, and whose input costs nothing.
Target dollar_target(std::string_view provider = "openai", double usd_per_token = 1) {
  ModelFacts facts;
  facts.price = Price{.input = Money{}, .output = Money::usd(usd_per_token)};
  return Target{provider, "model", facts};
}

/// One whose input costs as much as its output.
Target even_target(std::string_view provider, double usd_per_token) {
  ModelFacts facts;
  facts.price = Price{.input = Money::usd(usd_per_token), .output = Money::usd(usd_per_token)};
  return Target{provider, "model", facts};
}

/// A request that reserves so many dollars there.
ChatRequest request_for(std::int64_t output_tokens) {
  ChatRequest request{"hello"};
  request.max_output_tokens = output_tokens;
  return request;
}

Step costing(std::int64_t output_tokens) { return answer("hi").usage(0, output_tokens); }

struct Lab {
  Result<ChatResponse> call(const Provider& provider, const ChatRequest& request) {
    return runtime.call(provider, request);
  }
  template <class... Providers>
  FallbackClient client(const Providers&... providers) {
    return FallbackClient{{Provider{providers}...}, {.recovery = {.max_wait = 0s}, .runtime = runtime.share()}};
  }
  BudgetSnapshot snapshot(const Budget& budget) { return budget.snapshot(runtime.clock().now()); }

  VirtualRuntime runtime;
};

/// A target with so much output at most, priced per million tokens.
Target writing(std::string_view provider, std::int64_t most, double usd_per_million) {
  ModelFacts facts;
  facts.price = Price{.input = Money{}, .output = Money::usd_per_million(usd_per_million)};
  facts.max_output_tokens = most;
  return Target{provider, "model", facts};
}

std::optional<std::int64_t> limit_sent_to(const ScriptedProvider& model) {
  return model.sends().back().request.max_output_tokens;
}

Task<Result<ChatResponse>> call_five_times(const Provider& next, const ChatRequest& request, CallContext& context) {
  for (int i = 0; i < 4; ++i) {
    auto result = co_await next.call(request, context);
    if (!result) co_return result;
  }
  auto last = co_await next.call(request, context);
  co_return last;
}

}  // namespace

TEST_CASE("two concurrent calls of 60 against a cap of 100: one is sent", "[scenario-180]") {
  Lab lab;
  const ScriptedProvider model{dollar_target(), {costing(60).after(1s)}};
  const Provider capped = model | cost_cap({.per_period = Money::usd(100)});
  const auto first = lab.runtime.start(capped, request_for(60));
  const auto second = lab.runtime.start(capped, request_for(60));
  lab.runtime.run_all();
  CHECK(first->result());
  REQUIRE_FALSE(second->result());
  CHECK(second->result().error().kind == ErrorKind::budget_exceeded);
  CHECK_THAT(second->result().error().message, ContainsSubstring("$100.00") && ContainsSubstring("$60.00 are spent"));
  CHECK(second->result().error().attempts.size() == 1);
  CHECK(model.send_count() == 1);
}

TEST_CASE("what a call did not cost is there for the next", "[scenario-181]") {
  Lab lab;
  const Budget budget{{.per_period = Money::usd(100)}};
  const ScriptedProvider model{dollar_target(), {costing(20)}};
  const Provider capped = model | cost_cap(budget);
  CHECK(lab.call(capped, request_for(60)));
  CHECK(lab.snapshot(budget).spent.cost == Money::usd(20));
  CHECK(lab.snapshot(budget).reserved.cost == Money{});
  CHECK(lab.call(capped, request_for(70)));
  CHECK_FALSE(lab.call(capped, request_for(70)));
}

TEST_CASE("attempts that may have been answered are charged, each", "[scenario-182]") {
  Lab lab;
  const Budget budget{{.per_period = Money::usd(100'000)}};
  const ScriptedProvider model{even_target("openai", 1), {error(ErrorKind::timeout), costing(20)}};
  const Provider capped = model | cost_cap(budget);
  const std::int64_t input = needs_of(request_for(60)).input_tokens;
  REQUIRE(input > 0);
  CHECK_FALSE(lab.call(capped, request_for(60)));
  CHECK(lab.snapshot(budget).spent.cost == Money::usd(1) * input);
  CHECK(lab.call(capped, request_for(60)));
  CHECK(lab.snapshot(budget).spent.cost == Money::usd(1) * (input + 20));
}

TEST_CASE("with a cap of $0 only targets that cost nothing are asked") {
  Lab lab;
  for (const Policy& cap : {cost_cap({.per_request = Money{}}), cost_cap({.per_period = Money{}}),
                            cost_cap(Budget{{.per_period = Money{}}})}) {
    CAPTURE(cap.describe());
    const ScriptedProvider dear{dollar_target("openai"), {costing(1)}};
    const ScriptedProvider free{dollar_target("ollama", 0), {answer("free").usage(100, 100)}};
    const auto reply = lab.call(lab.client(dear, free) | cap, request_for(60));
    REQUIRE(reply);
    CHECK(reply->text() == "free");
    CHECK(dear.send_count() == 0);
    const auto refused = lab.call(lab.client(dear) | cap, request_for(60));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == ErrorKind::budget_exceeded);
    CHECK(dear.send_count() == 0);
  }
}

TEST_CASE("where a free target is down, the refusals of those that cost something are in the rows before it") {
  Lab lab;
  const ScriptedProvider dear{dollar_target("openai"), {costing(1)}};
  const ScriptedProvider free{dollar_target("ollama", 0), {error(ErrorKind::connect_failed)}};
  const auto reply = lab.call(lab.client(dear, free) | cost_cap({.per_period = Money::usd(1)}), request_for(60));
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::connect_failed);
  REQUIRE_FALSE(reply.error().attempts.empty());
  CHECK(reply.error().attempts[0].outcome == ErrorKind::budget_exceeded);
}

TEST_CASE("what was not sent costs nothing", "[scenario-183][scenario-221][scenario-224]") {
  Lab lab;
  const Budget budget{{.per_period = Money::usd(100)}};
  SECTION("no connection") {
    const ScriptedProvider model{dollar_target(), {error(ErrorKind::connect_failed)}};
    CHECK_FALSE(lab.call(model | cost_cap(budget), request_for(60)));
  }
  SECTION("cancelled before the connection stood") {
    const ScriptedProvider model{dollar_target(), {no_connection()}};
    const auto call = lab.runtime.start(model | cost_cap(budget), request_for(60));
    lab.runtime.at(1s, [&] { call->cancel(); });
    lab.runtime.run_for(500ms);
    CHECK(lab.snapshot(budget).reserved.cost == Money::usd(60));
    lab.runtime.run(*call);
    CHECK(call->result().error().kind == ErrorKind::cancelled);
  }
  SECTION("an open breaker") {
    const auto breaker = CircuitBreaker::create();
    breaker->isolate();
    const ScriptedProvider model{dollar_target(), {costing(20)}};
    const auto reply = lab.call(model | circuit_breaker(breaker) | cost_cap(budget), request_for(60));
    CHECK(reply.error().kind == ErrorKind::circuit_open);
  }
  SECTION("no room in another budget") {
    const Budget small{{.per_period = Money::usd(10)}};
    const ScriptedProvider model{dollar_target(), {costing(20)}};
    CHECK_FALSE(lab.call(model | cost_cap({.budgets = {budget, small}}), request_for(60)));
    CHECK(model.send_count() == 0);
  }
  CHECK(lab.snapshot(budget).spent == BudgetCharge{});
  CHECK(lab.snapshot(budget).reserved == BudgetCharge{});
}

TEST_CASE("nothing is sent to a target whose price is not known, unless one is assumed", "[scenario-184]") {
  Lab lab;
  const ScriptedProvider model{"local/llama", {costing(20)}};
  const auto refused = lab.call(model | cost_cap({.per_request = Money::usd(100)}), request_for(60));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::budget_exceeded);
  CHECK_THAT(refused.error().message, ContainsSubstring("price of local/llama is not known"));
  CHECK(model.send_count() == 0);

  const Price assumed{.input = Money{}, .output = Money::usd(2)};
  const Budget budget{{.per_period = Money::usd(130)}};
  const Provider capped = model | cost_cap({.assume_price = assumed, .budgets = {budget}});
  CHECK(lab.call(capped, request_for(60)));
  CHECK(lab.snapshot(budget).spent.cost == Money::usd(40));
  CHECK_FALSE(lab.call(capped, request_for(60)));
}

TEST_CASE("money spent comes back when its period is over", "[scenario-185]") {
  Lab lab;
  const ScriptedProvider model{dollar_target(), {costing(60)}};
  const Provider capped = model | cost_cap({.per_period = Money::usd(100), .period = 1h});
  CHECK(lab.call(capped, request_for(60)));
  lab.runtime.run_for(1h - 1ns);
  CHECK_FALSE(lab.call(capped, request_for(60)));
  lab.runtime.clock().jump_wall(24h);
  CHECK_FALSE(lab.call(capped, request_for(60)));
  lab.runtime.run_for(1ns);
  CHECK(lab.call(capped, request_for(60)));
}

TEST_CASE("the cap of a call holds over its attempts, on whatever target") {
  // Two targets and an earlier attempt, put together as a fallback client would.
  struct Twice final : Decorator {
    Twice(Provider first, Provider second) : Decorator{std::move(first), "twice"}, second_{std::move(second)} {}
    Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
      auto first = co_await next().call(request, context);
      if (first) co_return first;
      auto second = co_await second_.call(request, context);
      co_return second;
    }
    Provider second_;
  };
  Lab lab;
  const Policy cap = cost_cap({.per_request = Money::usd(100)});
  const ScriptedProvider first{dollar_target("openai"), {deltas({"twelve bytes"}).cut()}};
  const ScriptedProvider second{dollar_target("anthropic"), {costing(20)}};
  const Provider both{Twice{first | cap, second | cap}};
  EventLog log{lab.runtime.runtime()};

  const auto fits = lab.runtime.call(both, request_for(97), {.sink = &log});  // 3 tokens were written before the cut
  REQUIRE(fits);
  CHECK(fits->served_by == second.target());
  const auto beyond = lab.runtime.call(both, request_for(98), {.sink = &log});
  REQUIRE_FALSE(beyond);
  CHECK(beyond.error().kind == ErrorKind::budget_exceeded);
  CHECK(beyond.error().target == second.target());
  CHECK_THAT(beyond.error().message, ContainsSubstring("$98.00") && ContainsSubstring("$3.00 are spent"));
  CHECK(second.send_count() == 1);
}

// Around several sends: each is checked where it is made.

TEST_CASE("a cap around a client holds for every send, at the price of whoever gets it") {
  Lab lab;
  const ScriptedProvider first{even_target("openai", 1), {error(ErrorKind::timeout)}};
  const ScriptedProvider second{even_target("anthropic", 2), {costing(20)}};
  const FallbackClient client = lab.client(first, second);
  const auto capped_at = [&](std::int64_t usd) { return client | cost_cap({.per_request = Money::usd(1) * usd}); };
  const std::int64_t input = needs_of(request_for(100)).input_tokens;  // what the send that fails costs
  const std::int64_t dearest = input + 2 * (input + 100);

  const auto fits = lab.call(capped_at(dearest), request_for(100));
  REQUIRE(fits);
  CHECK(fits->served_by == second.target());
  CHECK(fits->cost == Money::usd(1) * (input + 2 * 20));

  const auto beyond = lab.call(capped_at(dearest - 1), request_for(100));
  REQUIRE_FALSE(beyond);
  CHECK(second.send_count() == 1);
  const Attempt& refused = beyond.error().attempts.back();
  CHECK(refused.target == second.target());
  CHECK(refused.outcome == ErrorKind::budget_exceeded);
  CHECK_THAT(refused.reason, ContainsSubstring("are spent"));
  CHECK(first.send_count() == 2);
  CHECK_FALSE(lab.call(capped_at(input + 99), request_for(100)));
  CHECK(first.send_count() == 2);
}

TEST_CASE("a cap around a client sends on to a target that is cheap enough") {
  Lab lab;
  const ScriptedProvider dear{dollar_target("openai", 3)};
  const ScriptedProvider cheap{dollar_target("anthropic"), {costing(20)}};
  const auto reply = lab.call(lab.client(dear, cheap) | cost_cap({.per_request = Money::usd(100)}), request_for(50));
  REQUIRE(reply);
  CHECK(reply->served_by == cheap.target());
  CHECK(dear.send_count() == 0);
}

TEST_CASE("a cap outside retry checks every repeat, and settles each send when it has ended") {
  Lab lab;
  const Budget budget{{.per_period = Money::usd(100)}};
  const Provider again = ScriptedProvider{dollar_target(), {error(ErrorKind::connect_failed), costing(30)}} | retry();
  CHECK(lab.call(again | cost_cap(budget), request_for(60)));  // the first gave its 60 back
  CHECK(lab.snapshot(budget).spent.cost == Money::usd(30));

  const ScriptedProvider failing{even_target("openai", 1), {error(ErrorKind::timeout)}};
  const std::int64_t input = needs_of(request_for(60)).input_tokens;
  const Budget small{{.per_period = Money::usd(1) * (input + input + 59)}};
  CHECK_FALSE(lab.call(failing | retry() | cost_cap(small), request_for(60)));
  CHECK(failing.send_count() == 1);
  CHECK(lab.snapshot(small) == BudgetSnapshot{{Money::usd(1) * input, Money{}}, {}});
}

TEST_CASE("concurrent calls of a capped client share its budget") {
  Lab lab;
  const ScriptedProvider first{dollar_target("openai"), {error(ErrorKind::connect_failed)}};
  const ScriptedProvider second{dollar_target("anthropic"), {costing(60).after(1s)}};
  const Provider capped = lab.client(first, second) | cost_cap({.per_period = Money::usd(100)});
  const auto one = lab.runtime.start(capped, request_for(60));
  const auto other = lab.runtime.start(capped, request_for(60));
  lab.runtime.run_all();
  CHECK(one->result());
  CHECK_FALSE(other->result());
  CHECK(second.send_count() == 1);
}

TEST_CASE("the premium of falling over is capped around a client too") {
  Lab lab;
  const Budget budget{{.fallback_premium_per_period = Money::usd(100)}};
  const ScriptedProvider first{dollar_target("openai"), {error(ErrorKind::connect_failed)}};
  const ScriptedProvider dear{dollar_target("anthropic", 3), {costing(20)}};
  const Provider capped = lab.client(first, dear) | cost_cap(budget);
  CHECK_FALSE(lab.call(capped, request_for(51)));
  CHECK(lab.call(capped, request_for(50)));
  CHECK(lab.snapshot(budget) == BudgetSnapshot{{Money::usd(60), Money::usd(40)}, {}});
}

TEST_CASE("a hedge that the call cannot pay beside the first send is not sent") {
  Lab lab;
  const auto hedged_at = [&](int usd) {
    const ScriptedProvider slow{dollar_target("openai"), {costing(10).after(30s)}};
    const ScriptedProvider quick{dollar_target("anthropic"), {costing(10).after(1s)}};
    const FallbackClient client{{slow, quick}, {.hedge = HedgeOptions{}, .runtime = lab.runtime.share()}};
    const Provider capped = client | cost_cap({.per_request = Money::usd(usd)});
    const auto reply = lab.call(capped, request_for(60));
    REQUIRE(reply);
    return reply->served_by.provider() == "anthropic";
  };
  CHECK(hedged_at(120));
  CHECK_FALSE(hedged_at(119));
}

TEST_CASE("what one cap let through and another refused is given back") {
  Lab lab;
  const Budget large{{.per_period = Money::usd(100)}};
  const Budget small{{.per_period = Money::usd(10)}};
  const ScriptedProvider model{dollar_target(), {costing(1)}};
  for (const Provider& capped : {model | retry() | cost_cap(large) | cost_cap(small),
                                 model | retry() | cost_cap(small) | cost_cap(large)}) {
    CHECK_FALSE(lab.call(capped, request_for(60)));
  }
  CHECK(model.send_count() == 0);
  CHECK(lab.snapshot(large) == BudgetSnapshot{});
  CHECK(lab.snapshot(small) == BudgetSnapshot{});
}

TEST_CASE("what an outer cap refuses at one target is there again in the inner one for the next target") {
  Lab lab;
  const Budget inner{{.per_period = Money::usd(25)}};
  const Budget outer{{.per_period = Money::usd(15)}};
  const ScriptedProvider dear{dollar_target("dear", 2), {costing(10)}};
  const ScriptedProvider cheap{dollar_target("cheap"), {costing(10)}};
  const Provider capped = Provider{lab.client(dear, cheap)} | cost_cap(inner) | cost_cap(outer);
  const auto reply = lab.call(capped, request_for(10));
  REQUIRE(reply);
  CHECK(reply->served_by == cheap.target());
  CHECK(lab.runtime.elapsed() == 0s);
  CHECK(dear.send_count() == 0);
  CHECK(lab.snapshot(inner) == BudgetSnapshot{{Money::usd(10), Money{}}, {}});
}

TEST_CASE("what one cap of a call holds for a send is not in the way of the same send at the next cap") {
  Lab lab;
  const ScriptedProvider model{dollar_target(), {costing(60)}};
  const Policy inner = cost_cap({.per_request = Money::usd(80)});
  const Policy outer = cost_cap({.per_request = Money::usd(100)});
  const FallbackClient client = lab.client(model | inner);
  for (const Provider& capped : {model | inner | outer, model | outer | inner, client | outer,
                                 Provider{lab.client(model | outer)} | inner}) {
    CHECK(lab.call(capped, request_for(60)));
    CHECK_FALSE(lab.call(capped, request_for(81)));
  }
}

TEST_CASE("two caps without an output limit in the request leave what the tighter one has room for") {
  Lab lab;
  const ScriptedProvider model{dollar_target(), {costing(60)}};
  const Policy inner = cost_cap({.per_request = Money::usd(800)});
  const Policy outer = cost_cap({.per_request = Money::usd(600)});
  for (const Provider& capped : {model | inner | outer, model | outer | inner}) {
    CHECK(lab.call(capped, "hello"));
    CHECK(model.sends().back().request.max_output_tokens == 600);
  }
}

TEST_CASE("with two caps around a client a hedge counts once for each send") {
  Lab lab;
  const auto hedged_at = [&](int usd) {
    const ScriptedProvider slow{dollar_target("openai"), {costing(10).after(30s)}};
    const ScriptedProvider quick{dollar_target("anthropic"), {costing(10).after(1s)}};
    const FallbackClient client{{slow, quick}, {.hedge = HedgeOptions{}, .runtime = lab.runtime.share()}};
    const Policy cap = cost_cap({.per_request = Money::usd(usd)});
    const auto reply = lab.call(client | cap | cap, request_for(60));
    REQUIRE(reply);
    return reply->served_by.provider() == "anthropic";
  };
  CHECK(hedged_at(120));
  CHECK_FALSE(hedged_at(119));
}

TEST_CASE("a send counts once in a budget, however many caps around it have it") {
  Lab lab;
  const Budget budget{{.per_period = Money::usd(100)}};
  const Budget other{{.per_period = Money::usd(1000)}};
  const ScriptedProvider model{dollar_target(), {costing(60).after(1s)}};
  const Provider capped = model | cost_cap(budget) | cost_cap({.budgets = {other, budget, budget}});
  SECTION("with both caps around one send") {
    CHECK(lab.call(capped, request_for(100)));
  }
  SECTION("and one of them beyond a shared send") {
    CHECK(lab.call(model | cost_cap(budget) | single_flight() | cost_cap(budget), request_for(100)));
    CHECK(lab.snapshot(budget).spent.cost == Money::usd(60));
    CHECK(lab.snapshot(other).spent.cost == Money{});
    return;
  }
  SECTION("and where the caller who paid leaves a shared send") {
    const Provider shared = model | single_flight() | cost_cap(other) | cost_cap(budget) | cost_cap(budget);
    const auto first = lab.runtime.start(shared, request_for(100));
    const auto second = lab.runtime.start(shared, request_for(100));
    lab.runtime.run_for(500ms);
    CHECK(lab.snapshot(budget).reserved.cost == Money::usd(100));
    first->cancel();
    lab.runtime.run_for(1ms);
    CHECK(lab.snapshot(budget).reserved.cost == Money::usd(100));
    lab.runtime.run_all();
    CHECK(second->result());
  }
  CHECK(lab.snapshot(budget).spent.cost == Money::usd(60));
  CHECK(lab.snapshot(other).spent.cost == Money::usd(60));
  CHECK(lab.snapshot(budget).reserved == BudgetCharge{});
  CHECK(lab.snapshot(other).reserved == BudgetCharge{});
}

TEST_CASE("a single send that may cost too much is not sent") {
  Lab lab;
  const ScriptedProvider model{dollar_target(), {costing(1)}};
  const Provider capped = model | cost_cap({.per_request = Money::usd(100)});
  CHECK(lab.call(capped, request_for(100)));
  CHECK_FALSE(lab.call(capped, request_for(101)));
  CHECK_FALSE(lab.call(capped, "no limit of its own"));  // so 4096 tokens are assumed
  CHECK(model.send_count() == 1);
}

TEST_CASE("the premium of falling over is capped by itself") {
  Lab lab;
  const Target first = dollar_target("openai");
  const Budget budget{{.fallback_premium_per_period = Money::usd(100)}};
  const auto falling_over = [&](const ScriptedProvider& to) {
    return to | cost_cap(budget) |
           edit_context([&first](CallContext& context) { context.state().first_choice = &first; });
  };
  SECTION("a dearer target may be used until the premium is spent") {
    const ScriptedProvider dear{dollar_target("anthropic", 3), {costing(20)}};
    CHECK_FALSE(lab.call(falling_over(dear), request_for(51)));  // 153 instead of 51
    CHECK(lab.call(falling_over(dear), request_for(50)));        // 150 instead of 50
    CHECK(lab.snapshot(budget).spent.premium == Money::usd(40));
    CHECK_FALSE(lab.call(falling_over(dear), request_for(31)));
    CHECK(lab.call(falling_over(dear), request_for(30)));
  }
  SECTION("a cheaper one always") {
    const ScriptedProvider cheap{dollar_target("anthropic", 0.5), {costing(20)}};
    CHECK(lab.call(falling_over(cheap), request_for(1'000'000)));
    CHECK(lab.snapshot(budget).spent.premium == Money{});
  }
  SECTION("and the first choice itself") {
    const ScriptedProvider model{first, {costing(20)}};
    CHECK(lab.call(falling_over(model), request_for(1'000'000)));
  }
  CHECK(lab.snapshot(budget).reserved == BudgetCharge{});
}

// Without an output limit of the request's own: as much as is left pays for.

TEST_CASE("where the fallback's input is the dearer, the premium is highest for a short answer") {
  Lab lab;
  const auto target = [](const char* provider, double input, double output) {
    ModelFacts facts;
    facts.price = Price{.input = Money::usd(input), .output = Money::usd(output)};
    return Target{provider, "model", facts};
  };
  const ScriptedProvider first{target("openai", 1, 10), {error(ErrorKind::connect_failed)}};
  const ScriptedProvider other{target("anthropic", 10, 1), {answer("hi").usage(1, 0)}};
  const std::int64_t input = lab.client(other).explain(request_for(100)).estimated_input_tokens;
  const auto premium_of = [&](std::int64_t usd) {
    const Budget budget{{.fallback_premium_per_period = Money::usd(static_cast<double>(usd))}};
    const Provider capped = lab.client(first, other) | cost_cap(budget);
    const auto reply = lab.call(capped, request_for(100));
    if (!reply) CHECK_THAT(reply.error().message, ContainsSubstring("fallback_premium_per_period"));
    return std::pair{reply.has_value(), lab.snapshot(budget).spent.premium};
  };
  CHECK(premium_of(9 * input) == std::pair{true, Money::usd(9)});
  CHECK(premium_of(9 * input - 1) == std::pair{false, Money{}});
}

TEST_CASE("a request without an output limit is sent with the one that is left for, and its row says so") {
  Lab lab;
  const ScriptedProvider model{even_target("openai", 0.001), {answer("hi").usage(1, 1)}};
  const Provider capped = model | cost_cap({.per_request = Money::usd(1)});
  const std::int64_t input = needs_of(ChatRequest{"hello"}).input_tokens;
  const auto reply = lab.call(capped, "hello");
  REQUIRE(reply);
  CHECK(limit_sent_to(model) == 1000 - input);
  CHECK(reply->attempts[0].reason ==
        "output limited to " + std::to_string(1000 - input) + " tokens by what may be spent");
  CHECK(lab.call(capped, request_for(500)));
  CHECK(limit_sent_to(model) == 500);
}

TEST_CASE("the limit is never more than what the model writes, and below 256 tokens it is passed over") {
  Lab lab;
  const auto sent = [&](std::int64_t model_writes, std::int64_t left) -> std::optional<std::int64_t> {
    const ScriptedProvider model{writing("openai", model_writes, 1'000'000), {costing(1)}};
    const auto reply = lab.call(model | cost_cap({.per_request = Money::usd(1) * left}), "hello");
    if (!reply) {
      CHECK(reply.error().kind == ErrorKind::budget_exceeded);
      CHECK(model.send_count() == 0);
      return -1;
    }
    return limit_sent_to(model);
  };
  CHECK(sent(500, 1000) == std::nullopt);  // all that it writes may be spent: nothing to limit
  CHECK(sent(500, 500) == std::nullopt);
  CHECK(sent(500, 499) == 499);
  CHECK(sent(500, 256) == 256);
  CHECK(sent(500, 255) == -1);
  CHECK(sent(100, 100) == std::nullopt);
  CHECK(sent(100, 99) == -1);
}

TEST_CASE("half a dollar a request sends to a model that writes 128,000 tokens at most") {
  Lab lab;
  const ScriptedProvider model{writing("anthropic", 128'000, 25), {costing(100)}};
  const FallbackClient client = lab.client(model | cost_cap({.per_request = Money::usd(0.50)}));
  REQUIRE(lab.call(client, "hello"));
  CHECK(limit_sent_to(model) == 20'000);
  CHECK_FALSE(client.explain("hello").steps[0].skipped);
}

TEST_CASE("each target is judged by its own worst case, and gets its own limit") {
  Lab lab;
  const ScriptedProvider dear{writing("one", 128'000, 1000), {error(ErrorKind::overloaded)}};
  const ScriptedProvider cheap{writing("two", 128'000, 100), {costing(100)}};
  const ScriptedProvider cheapest{writing("three", 2'000, 100), {costing(100)}};
  const FallbackClient client = lab.client(dear, cheap, cheapest);
  REQUIRE(lab.call(client | cost_cap({.per_request = Money::usd(1)}), "hello"));
  CHECK(limit_sent_to(dear) == 1'000);
  CHECK(limit_sent_to(cheap) == 10'000);

  REQUIRE(lab.call(client | cost_cap({.per_request = Money::usd(0.2)}), "hello"));
  CHECK(dear.send_count() == 1);  // $0.20 are 200 tokens there
  CHECK(limit_sent_to(cheap) == 2'000);
}

TEST_CASE("what a failed attempt cost is no longer there for the next one's limit") {
  Lab lab;
  const ScriptedProvider first{dollar_target("one"), {deltas({"twelve bytes"}).cut()}};
  const ScriptedProvider second{dollar_target("two"), {costing(20)}};
  const FallbackClient client{{first, second},
                              {.mid_stream = MidStream::restart, .runtime = lab.runtime.share()}};
  EventLog log{lab.runtime.runtime()};
  const auto reply = lab.runtime.call(client | cost_cap({.per_request = Money::usd(1000)}), "hello", {.sink = &log});
  REQUIRE(reply);
  CHECK(limit_sent_to(first) == 1000);
  CHECK(limit_sent_to(second) == 997);
}

// What others have reserved.

TEST_CASE("calls of a batch wait for what the others have reserved, and all are answered") {
  Lab lab;
  const Budget budget{{.per_period = Money::usd(500)}};
  const ScriptedProvider model{dollar_target(), {costing(10).after(1s)}};
  const Provider capped = model | cost_cap(budget);
  std::vector<std::shared_ptr<VirtualCall>> calls;
  for (int i = 0; i < 20; ++i) calls.push_back(lab.runtime.start(capped, request_for(100)));
  lab.runtime.run_for(500ms);
  CHECK(model.send_count() == 5);
  lab.runtime.run_for(30s);
  for (const auto& call : calls) {
    REQUIRE(call->done());
    CHECK(call->result());
  }
  CHECK(lab.snapshot(budget) == BudgetSnapshot{{Money::usd(200), Money{}}, {}});
  CHECK(calls[5]->result()->attempts[0].waited == 1s);
  CHECK(lab.runtime.idle());
}

TEST_CASE("all that have room go on when a large reservation is settled") {
  Lab lab;
  const Budget budget{{.per_period = Money::usd(100)}};
  const ScriptedProvider large{dollar_target("one"), {costing(0).after(5s)}};
  const ScriptedProvider small{dollar_target("two"), {costing(10).after(1s)}};
  const auto first = lab.runtime.start(large | cost_cap(budget), request_for(100));
  const Provider capped = small | cost_cap(budget);
  std::vector<std::shared_ptr<VirtualCall>> calls;
  for (int i = 0; i < 10; ++i) calls.push_back(lab.runtime.start(capped, request_for(10)));
  lab.runtime.run_all();
  for (const auto& call : calls) {
    REQUIRE(call->result());
    CHECK(lab.runtime.since(call->ended_at()) == 6s);
  }
}

TEST_CASE("a wait for what is reserved has its bounds") {
  Lab lab;
  const Budget budget{{.per_period = Money::usd(100)}};
  const auto ends_after = [&](Duration under_way, const CostCapOptions& options, const VirtualCallOptions& call) {
    const ScriptedProvider slow{dollar_target("one"), {costing(0).after(under_way)}};
    const ScriptedProvider model{dollar_target("two"), {costing(0)}};
    const auto first = lab.runtime.start(slow | cost_cap(budget), request_for(100));
    const auto second = lab.runtime.start(model | cost_cap(options), request_for(100), call);
    lab.runtime.run_for(60s);
    REQUIRE(first->result());
    REQUIRE(second->done());
    CHECK(lab.runtime.idle());
    return std::pair{second->ended_at() - second->started_at(),
                     second->result() ? std::optional<ErrorKind>{} : second->result().error().kind};
  };
  using End = std::pair<Duration, std::optional<ErrorKind>>;
  CHECK(ends_after(29s, {.budgets = {budget}}, {}) == End{29s, std::nullopt});
  CHECK(ends_after(31s, {.budgets = {budget}}, {}) == End{30s, ErrorKind::budget_exceeded});
  CHECK(ends_after(5s, {.wait_for_reserved = 3s, .budgets = {budget}}, {}) == End{3s, ErrorKind::budget_exceeded});
  CHECK(ends_after(5s, {.wait_for_reserved = 0s, .budgets = {budget}}, {}) == End{0s, ErrorKind::budget_exceeded});
  CHECK(ends_after(5s, {.budgets = {budget}}, {.deadline = 2s}) == End{2s, ErrorKind::deadline_exceeded});
  CHECK(ends_after(5s, {.budgets = {budget}}, {.alternative_ready = true}) == End{0s, ErrorKind::local_limit});
}

TEST_CASE("a send that waits for money with a permit does not wait for who waits for that permit") {
  Lab lab;
  const Budget budget{{.per_period = Money::usd(100)}};
  const ConcurrencyLimit permits{BulkheadOptions{.max_in_flight = 1, .max_queued = 10, .max_wait = 600s}};
  const RateLimit rate{{.requests_per_minute = 12, .max_wait = 60s}};
  const ScriptedProvider model{dollar_target("m"), {costing(0).after(1s)}};
  const ScriptedProvider soon{dollar_target("soon"), {costing(0).after(2s)}};
  const ScriptedProvider later{dollar_target("later"), {costing(0).after(16s)}};
  const Provider stack = model | bulkhead(permits) | rate_limit(rate) | cost_cap(budget) | retry();
  const auto burst = {lab.runtime.start(model | rate_limit(rate), request_for(1)),
                      lab.runtime.start(model | rate_limit(rate), request_for(1))};
  lab.runtime.run_for(0s);
  const auto holds = lab.runtime.start(stack, request_for(60));  // through to the rate limit
  lab.runtime.run_for(1s);
  const auto first = lab.runtime.start(soon | cost_cap(budget), request_for(60));
  lab.runtime.run_for(1s);
  const auto queues = lab.runtime.start(stack, request_for(60));
  lab.runtime.run_for(2s);
  const auto last = lab.runtime.start(later | cost_cap(budget), request_for(60));
  lab.runtime.run_all();
  CHECK(burst.size() == 2);
  CHECK(holds->result());
  CHECK(queues->result());
  CHECK(lab.runtime.since(holds->ended_at()) == 21s);
}

TEST_CASE("who waits for a budget goes when there is room for it and for all in front of it") {
  Lab lab;
  const Budget budget{{.per_period = Money::usd(100)}};
  const ScriptedProvider large{dollar_target("one"), {costing(0).after(5s)}};
  const ScriptedProvider model{dollar_target("two"), {costing(0).after(1s)}};
  const auto first = lab.runtime.start(large | cost_cap(budget), request_for(95));
  lab.runtime.run_for(1s);
  const auto next = lab.runtime.start(model | cost_cap(budget), request_for(60));
  lab.runtime.run_for(1s);
  const auto fits = lab.runtime.start(model | cost_cap(budget), request_for(40));
  const auto waits = lab.runtime.start(model | cost_cap(budget), request_for(40));
  lab.runtime.run_all();
  CHECK(lab.runtime.since(next->ended_at()) == 6s);
  CHECK(lab.runtime.since(fits->ended_at()) == 6s);
  CHECK(lab.runtime.since(waits->ended_at()) == 7s);
}

TEST_CASE("a send of a call that had its turn does not wait for calls that wait behind it") {
  Lab lab;
  const Budget budget{{.per_period = Money::usd(70)}};
  const ScriptedProvider fails{dollar_target("one"), {error(ErrorKind::server_error).after(1s), costing(0).after(1s)}};
  const ScriptedProvider slow{dollar_target("two"), {costing(0).after(4s)}};
  const Provider capped = lab.client(fails, slow) | cost_cap({.wait_for_reserved = 3600s, .budgets = {budget}});
  const auto first = lab.runtime.start(capped, request_for(48));
  lab.runtime.run_for(0s);
  const auto second = lab.runtime.start(capped, request_for(40));
  lab.runtime.run_all();
  CHECK(first->result());
  CHECK(lab.runtime.since(first->ended_at()) == 5s);
  CHECK(second->result());
  CHECK(lab.runtime.since(second->ended_at()) == 6s);
}

TEST_CASE("one budget in two caps is waited for once, by the outer of them") {
  Lab lab;
  const auto ends_after = [&](Duration inner, Duration outer) {
    const Budget budget{{.per_period = Money::usd(100)}};
    const ScriptedProvider slow{dollar_target("one"), {costing(0).after(4s)}};
    const ScriptedProvider model{dollar_target("two"), {costing(0)}};
    const auto first = lab.runtime.start(slow | cost_cap(budget), request_for(60));
    lab.runtime.run_for(0s);
    const Provider inside = model | cost_cap({.wait_for_reserved = inner, .budgets = {budget}});
    const auto second = lab.runtime.start(
        inside | cost_cap({.wait_for_reserved = outer, .budgets = {budget}}), request_for(50));
    lab.runtime.run_all();
    CHECK(first->result());
    CHECK(lab.snapshot(budget).reserved == BudgetCharge{});
    return std::pair{second->ended_at() - second->started_at(), second->result().has_value()};
  };
  using End = std::pair<Duration, bool>;
  CHECK(ends_after(30s, 30s) == End{4s, true});
  CHECK(ends_after(30s, 6s) == End{4s, true});
  CHECK(ends_after(6s, 30s) == End{4s, true});
  CHECK(ends_after(30s, 1s) == End{1s, false});
  CHECK(ends_after(1s, 30s) == End{4s, true});
}

TEST_CASE("who waits for a budget that is used up meanwhile is refused then") {
  Lab lab;
  const Budget budget{{.per_period = Money::usd(100)}};
  const ScriptedProvider model{dollar_target(), {costing(100).after(5s)}};
  const Provider capped = model | cost_cap(budget);
  std::vector<std::shared_ptr<VirtualCall>> calls;
  for (int i = 0; i < 4; ++i) calls.push_back(lab.runtime.start(capped, request_for(100)));
  lab.runtime.run_for(1s);
  SECTION("by the send that it waits for") {
    lab.runtime.run_all();
    CHECK(lab.runtime.since(calls[3]->ended_at()) == 5s);
  }
  SECTION("by what another process spent") {
    budget.book(Money::usd(1), lab.runtime.clock().now());
    lab.runtime.run_all();
    CHECK(lab.runtime.since(calls[3]->ended_at()) == 1s);
  }
  for (std::size_t i = 1; i < calls.size(); ++i) {
    REQUIRE_FALSE(calls[i]->result());
    CHECK(calls[i]->result().error().kind == ErrorKind::budget_exceeded);
  }
}

TEST_CASE("calls wait for money before they take permits further in, and none is lost") {
  Lab lab;
  const Budget budget{{.per_period = Money::usd(70)}};
  const ConcurrencyLimit permits{BulkheadOptions{.max_in_flight = 2, .max_queued = 50, .max_wait = 3600s}};
  const ScriptedProvider model{dollar_target(), {costing(0).after(4s)}};
  const Provider capped = model | bulkhead(permits) | cost_cap({.wait_for_reserved = 3600s, .budgets = {budget}});
  std::vector<std::shared_ptr<VirtualCall>> calls;
  for (const int most : {48, 8, 48, 8, 60}) {
    VirtualCallOptions options;
    options.deadline = calls.size() == 3 ? 3s : 1000s;
    calls.push_back(lab.runtime.start(capped, request_for(most), options));
  }
  lab.runtime.run_all();
  std::vector<Duration> ends;
  for (const auto& call : calls) ends.push_back(lab.runtime.since(call->ended_at()));
  CHECK(ends == std::vector<Duration>{4s, 4s, 8s, 3s, 12s});
  CHECK(lab.snapshot(budget).reserved == BudgetCharge{});
}

TEST_CASE("runtimes on several threads share one budget, and nobody who waits for it is forgotten") {
  const Budget budget{{.per_period = Money::usd(5)}};
  std::atomic<int> answered{0};
  const auto begun = std::chrono::steady_clock::now();
  std::vector<std::jthread> threads;
  for (const bool own_driver : {true, true, false}) {
    threads.emplace_back([&, own_driver] {
      const auto runtime = std::make_shared<Runtime>(RuntimeOptions{.background_driver = own_driver});
      const ScriptedProvider model{dollar_target(), {costing(0).after(2ms), costing(0).after(1ms), costing(0)}};
      const FallbackClient client{{model | cost_cap({.wait_for_reserved = 20s, .budgets = {budget}})},
                                  {.recovery = {.max_wait = 0s}, .runtime = runtime}};
      for (int round = 0; round < 20; ++round) {
        std::vector<PendingCall> calls;
        for (int i = 0; i < 4; ++i) calls.push_back(client.start(request_for(2)));
        calls[static_cast<std::size_t>(round) % calls.size()].cancel();
        for (PendingCall& call : calls) {
          const auto& reply = call.wait();
          answered += reply || reply.error().kind == ErrorKind::cancelled ? 1 : 0;
        }
      }
    });
  }
  threads.clear();
  CHECK(answered == 3 * 20 * 4);
  CHECK(std::chrono::steady_clock::now() - begun < 15s);  // nobody has waited until its time was over
  CHECK(budget.snapshot().reserved == BudgetCharge{});
}

TEST_CASE("who comes later does not take what is left of a budget before those who wait for it") {
  Lab lab;
  const Budget budget{{.per_period = Money::usd(100)}};
  const ScriptedProvider model{dollar_target(), {costing(0).after(1s)}};
  const Provider capped = model | cost_cap(budget);
  std::vector<std::shared_ptr<VirtualCall>> small;
  std::shared_ptr<VirtualCall> large;
  for (int i = 0; i < 100; ++i) {
    lab.runtime.at(i * 300ms, [&] { small.push_back(lab.runtime.start(capped, request_for(20))); });
  }
  lab.runtime.at(1s, [&] { large = lab.runtime.start(capped, request_for(90)); });
  lab.runtime.run_for(60s);
  REQUIRE(large->done());
  REQUIRE(large->result());
  CHECK(large->result()->attempts[0].waited <= 1s);
  for (const auto& call : small) CHECK(call->result());
}

TEST_CASE("a send waits for money in front of calls that have not begun") {
  Lab lab;
  const Budget budget{{.per_period = Money::usd(100)}};
  const ScriptedProvider slow{dollar_target("slow"), {costing(0).after(10s)}};
  const ScriptedProvider fails{dollar_target("one"), {error(ErrorKind::server_error).after(2s)}};
  const ScriptedProvider dearer{dollar_target("two", 2), {costing(0).after(1s)}};
  const ScriptedProvider model{dollar_target("three"), {costing(0).after(1s)}};
  const auto holds = lab.runtime.start(slow | cost_cap(budget), request_for(50));
  const auto first = lab.runtime.start(lab.client(fails, dearer) | cost_cap(budget), request_for(30));
  lab.runtime.run_for(1s);
  const auto large = lab.runtime.start(model | cost_cap(budget), request_for(90));
  lab.runtime.run_all();
  REQUIRE(first->result());
  CHECK(lab.runtime.since(first->ended_at()) == 11s);
  REQUIRE(large->result());
  CHECK(lab.runtime.since(large->ended_at()) == 12s);
}

TEST_CASE("a call that has had its turn at a budget and waits further in holds nobody up") {
  Lab lab;
  const Budget budget{{.per_period = Money::usd(100)}};
  const RateLimit rate{{.requests_per_minute = 2, .burst = 1.0, .max_wait = 60s}};
  const ScriptedProvider slow{dollar_target("one"), {costing(0).after(1s)}};
  const ScriptedProvider model{dollar_target("two"), {costing(0).after(1s)}};
  REQUIRE(lab.call(model | rate_limit(rate), request_for(1)));
  const auto first = lab.runtime.start(slow | cost_cap(budget), request_for(100));
  lab.runtime.run_for(500ms);
  const auto limited = lab.runtime.start(model | rate_limit(rate) | cost_cap(budget), request_for(60));
  const auto other = lab.runtime.start(model | cost_cap(budget), request_for(60));
  lab.runtime.run_all();
  CHECK(limited->result());
  REQUIRE(other->result());
  CHECK(other->ended_at() - first->ended_at() == 1s);
}

TEST_CASE("calls that wait for two budgets in opposite orders do not wait for each other") {
  Lab lab;
  const Budget one{{.per_period = Money::usd(100)}};
  const Budget other{{.per_period = Money::usd(100)}};
  const CostCapOptions patient{.wait_for_reserved = 3600s};
  const auto capped_by = [&](const Budget& budget) {
    CostCapOptions options = patient;
    options.budgets = {budget};
    return cost_cap(options);
  };
  const ConcurrencyLimit permits{BulkheadOptions{.max_in_flight = 1, .max_queued = 10, .max_wait = 3600s}};
  const ScriptedProvider model{dollar_target(), {costing(0).after(1s)}};
  const auto first = lab.runtime.start(model | capped_by(one), request_for(60));
  const auto second = lab.runtime.start(model | capped_by(other), request_for(60));
  lab.runtime.run_for(500ms);
  std::vector<std::shared_ptr<VirtualCall>> calls;
  SECTION("two caps") {
    calls.push_back(lab.runtime.start(model | capped_by(one) | capped_by(other), request_for(60)));
    calls.push_back(lab.runtime.start(model | capped_by(other) | capped_by(one), request_for(60)));
  }
  SECTION("a cap and a bulkhead") {
    calls.push_back(lab.runtime.start(model | bulkhead(permits) | capped_by(one), request_for(60)));
    calls.push_back(lab.runtime.start(model | capped_by(one) | bulkhead(permits), request_for(60)));
  }
  SECTION("a cap at two levels, and a shared send") {
    calls.push_back(lab.runtime.start(model | capped_by(one) | single_flight() | capped_by(one), request_for(60)));
    calls.push_back(lab.runtime.start(model | capped_by(one) | single_flight(), request_for(60)));
  }
  lab.runtime.run_all();
  for (const auto& call : calls) {
    REQUIRE(call->result());
    CHECK(lab.runtime.since(call->ended_at()) <= 3s);
  }
}

TEST_CASE("who waits for a budget goes when something that was spent leaves its period") {
  Lab lab;
  const Budget budget{{.per_period = Money::usd(100), .period = 60s}};
  const ScriptedProvider slow{dollar_target("one"), {costing(0).after(300s)}};
  const ScriptedProvider model{dollar_target("two"), {costing(0).after(1s)}};
  budget.book(Money::usd(50), lab.runtime.clock().now() - 50s);
  const auto first = lab.runtime.start(slow | timeout({.first_token = 400s, .idle = 400s, .attempt = 400s}) |
                                           cost_cap(budget), request_for(40), {.deadline = 1000s});
  lab.runtime.run_for(1s);
  const auto waits = lab.runtime.start(model | cost_cap(budget), request_for(30));
  lab.runtime.run_all();
  REQUIRE(waits->result());
  CHECK(lab.runtime.since(waits->ended_at()) <= 12s);
}

TEST_CASE("an overspent budget does not keep anybody from what costs nothing") {
  Lab lab;
  const Budget budget{{.per_period = Money::usd(100)}};
  const ScriptedProvider dear{dollar_target("one"), {costing(150), costing(1)}};
  const ScriptedProvider free{dollar_target("two", 0), {costing(10)}};
  REQUIRE(lab.call(dear | cost_cap(budget), request_for(50)));
  CHECK(lab.snapshot(budget).spent.cost == Money::usd(150));
  const FallbackClient client = lab.client(dear, free);
  const auto reply = lab.call(client | cost_cap(budget), request_for(50));
  REQUIRE(reply);
  CHECK(reply->served_by == free.target());
  CHECK(lab.call(free | cost_cap({.per_request = Money::usd(1), .budgets = {budget}}), "hello"));
  CHECK(lab.client(free | cost_cap(budget)).explain("hello").steps[0].skipped == std::nullopt);
}

TEST_CASE("the wait of a send for money has one end, whoever else of its call waits or has waited") {
  Lab lab;
  const Budget budget{{.per_period = Money::usd(50)}};
  SECTION("two calls that share it") {
    const Policy cap = cost_cap({.wait_for_reserved = 2s, .budgets = {budget}});
    const ScriptedProvider a{dollar_target("a"), {costing(1).after(1s)}};
    const ScriptedProvider b{dollar_target("b", 0.25), {costing(1).after(1s)}};
    const ScriptedProvider q{dollar_target("q"), {costing(1).after(10s)}};
    const FallbackClient inner = lab.client(a | single_flight(), b);
    const FallbackClient client = lab.client(inner | cap);
    const auto holds = lab.runtime.start(q | cap, request_for(45));
    const auto first = lab.runtime.start(client, request_for(40));
    lab.runtime.run_for(1s);
    const auto second = lab.runtime.start(client, request_for(40));
    lab.runtime.run_all();
    CHECK(lab.runtime.since(first->ended_at()) == 2s);
    CHECK(lab.runtime.since(second->ended_at()) <= 3s);
  }
  SECTION("a hedge beside it") {
    const Policy cap = cost_cap({.wait_for_reserved = 1s, .budgets = {budget}});
    const ConcurrencyLimit permits{BulkheadOptions{.max_in_flight = 1, .max_queued = 5}};
    const ScriptedProvider a{dollar_target("a"), {costing(1).after(1s)}};
    const ScriptedProvider b{dollar_target("b"), {costing(1).after(9s)}};
    const ScriptedProvider q{dollar_target("q"), {costing(1).after(1s)}};
    const Provider limited = a | bulkhead(permits);
    FallbackOptions options{.recovery = {.max_wait = 0s}, .runtime = lab.runtime.share()};
    options.hedge = HedgeOptions{.min_delay = 100ms, .delay_without_samples = 500ms, .budget = {.share = 1.0}};
    const FallbackClient client{{limited, b}, options};
    const auto first = lab.runtime.start(limited | cap, request_for(20));
    const auto hedged = lab.runtime.start(client | cap, request_for(40));
    lab.runtime.run_for(250ms);
    const auto other = lab.runtime.start(q | cap, request_for(40));
    lab.runtime.run_all();
    CHECK(first->result());
    CHECK(hedged->done());
    CHECK(other->done());
  }
}

TEST_CASE("a hedge does not wait for money that its own call holds, in front of others") {
  Lab lab;
  const Budget budget{{.per_period = Money::usd(50)}};
  const ScriptedProvider a{dollar_target("a"), {costing(1).after(40s)}};
  const ScriptedProvider b{dollar_target("b"), {costing(1)}};
  const ScriptedProvider q{dollar_target("q"), {costing(1).after(10s), costing(1)}};
  FallbackOptions options{.recovery = {.max_wait = 0s}, .runtime = lab.runtime.share()};
  options.hedge = HedgeOptions{.delay_without_samples = 5s};
  const FallbackClient client{{a, b}, options};
  const auto hedged = lab.runtime.start(client | cost_cap(budget), request_for(30), {.deadline = 100s});
  const auto holds = lab.runtime.start(q | cost_cap(budget), request_for(15));
  lab.runtime.run_for(1s);
  const auto other = lab.runtime.start(q | cost_cap(budget), request_for(15));
  lab.runtime.run_all();
  REQUIRE(other->result());
  CHECK(lab.runtime.since(other->ended_at()) == 10s);
}

TEST_CASE("the wait for two budgets, one after the other, has the bounds of one") {
  Lab lab;
  const Budget one{{.per_period = Money::usd(100)}};
  const Budget other{{.per_period = Money::usd(100)}};
  const ScriptedProvider model{dollar_target(), {costing(0).after(20s), costing(0).after(45s)}};
  const auto first = lab.runtime.start(model | cost_cap(one), request_for(100));
  const auto second = lab.runtime.start(model | cost_cap(other), request_for(100));
  const auto waits = lab.runtime.start(model | cost_cap({.budgets = {one, other}}), request_for(50));
  lab.runtime.run_all();
  REQUIRE_FALSE(waits->result());
  CHECK(waits->result().error().kind == ErrorKind::budget_exceeded);
  CHECK(waits->ended_at() - waits->started_at() == 30s);
}

TEST_CASE("what a send may cost is reckoned for each request, wherever it stands in memory") {
  Lab lab;
  const auto padded = [](std::size_t size) {
    InterceptOptions options;
    options.before = [size](RequestEdit& request) -> Result<void> {
      request.edit().messages[0] = Message::user(std::string(size, 'x'));
      return {};
    };
    return intercept(std::move(options));
  };
  ModelFacts facts;
  facts.price = Price{.input = Money::usd_per_million(1), .output = Money::usd_per_million(1)};
  const ScriptedProvider one{Target{"a", "m", facts}, {error(ErrorKind::overloaded)}};
  const ScriptedProvider two{Target{"b", "m", facts}, {answer("ok")}};
  const FallbackClient client{{one | padded(40), two | padded(40'000)}, {.runtime = lab.runtime.share()}};
  ChatRequest request{"hello"};
  request.max_output_tokens = 10;
  const auto reply = lab.runtime.call(client | cost_cap({.per_request = Money::usd(0.0006)}), request);
  CHECK_FALSE(reply);
  CHECK(one.send_count() == 1);
  CHECK(two.send_count() == 0);
}

TEST_CASE("where a budget stands below several targets a call waits for it at one of them") {
  Lab lab;
  const Budget budget{{.per_period = Money::usd(100)}};
  const ScriptedProvider one{dollar_target("one"), {costing(10).after(5s)}};
  const ScriptedProvider two{dollar_target("two"), {costing(10).after(5s)}};
  const FallbackClient client{{one | cost_cap(budget), two | cost_cap(budget)}, {.runtime = lab.runtime.share()}};
  std::vector<std::shared_ptr<VirtualCall>> calls;
  for (int i = 0; i < 4; ++i) calls.push_back(lab.runtime.start(client, request_for(50)));
  lab.runtime.run_all();
  for (const auto& call : calls) CHECK(call->result());
  CHECK(lab.runtime.since(calls.back()->ended_at()) == 15s);
  CHECK(lab.snapshot(budget).spent.cost == Money::usd(40));
}

TEST_CASE("a call that is cancelled while it waits for what is reserved leaves its turn to the next") {
  Lab lab;
  const Budget budget{{.per_period = Money::usd(100)}};
  const ScriptedProvider model{dollar_target(), {costing(0).after(2s)}};
  const Provider capped = model | cost_cap(budget);
  const auto first = lab.runtime.start(capped, request_for(100));
  const auto second = lab.runtime.start(capped, request_for(100));
  const auto third = lab.runtime.start(capped, request_for(100));
  lab.runtime.at(1s, [&] { second->cancel(); });
  lab.runtime.run_all();
  CHECK(second->result().error().kind == ErrorKind::cancelled);
  CHECK(lab.runtime.since(second->ended_at()) == 1s);
  REQUIRE(third->result());
  CHECK(lab.runtime.since(third->ended_at()) == 4s);
  CHECK(lab.snapshot(budget) == BudgetSnapshot{});
}

TEST_CASE("those behind calls that were cancelled while they waited for what is reserved have their turn in time") {
  Lab lab;
  const Budget budget{{.per_period = Money::usd(100)}};
  const ScriptedProvider model{dollar_target(), {costing(0).after(1s)}};
  const Provider capped = model | cost_cap(budget);
  std::vector<std::shared_ptr<VirtualCall>> calls;
  for (int i = 0; i < 6; ++i) calls.push_back(lab.runtime.start(capped, request_for(100)));
  for (const std::size_t i : {2U, 3U, 4U}) {
    lab.runtime.at(i * 100ms, [&, i] { calls[i]->cancel(); });
  }
  lab.runtime.run_all();
  CHECK(lab.runtime.since(calls[1]->ended_at()) == 2s);
  CHECK(lab.runtime.since(calls[5]->ended_at()) == 3s);
}

TEST_CASE("a call that waits for money holds no permit of what stands below the cap") {
  Lab lab;
  const Budget budget{{.per_period = Money::usd(100)}};
  const ScriptedProvider slow{dollar_target("one"), {costing(0).after(5s)}};
  const ScriptedProvider model{dollar_target("two"), {costing(0)}};
  const ConcurrencyLimit permits{BulkheadOptions{.max_in_flight = 1, .max_queued = 0}};
  const Provider guarded = model | bulkhead(permits);
  const auto first = lab.runtime.start(slow | cost_cap(budget), request_for(90));
  const auto waits = lab.runtime.start(guarded | cost_cap(budget), request_for(50));
  lab.runtime.run_for(1s);
  CHECK_FALSE(waits->done());
  CHECK(permits.snapshot().in_flight == 0);
  CHECK(lab.call(guarded | cost_cap(budget), request_for(1)));
  lab.runtime.run_all();
  CHECK(waits->result());
}

TEST_CASE("a budget that is used up is the reason, not one that others have reserved") {
  Lab lab;
  const Budget reserved{{.per_period = Money::usd(100)}};
  const Budget spent{{.per_period = Money::usd(100)}};
  const ScriptedProvider model{dollar_target("one"), {costing(100), costing(0).after(40s)}};
  REQUIRE(lab.call(model | cost_cap(spent), request_for(100)));
  const auto first = lab.runtime.start(model | cost_cap(reserved), request_for(100));
  const FallbackClient client = lab.client(ScriptedProvider{dollar_target("two"), {costing(0)}});
  const Provider capped = client | cost_cap({.budgets = {reserved, spent}});
  const Duration before = lab.runtime.elapsed();
  const auto reply = lab.call(capped, request_for(50));
  REQUIRE_FALSE(reply);
  CHECK(lab.runtime.elapsed() == before);
  CHECK_THAT(reply.error().message, ContainsSubstring("$100.00 are spent"));
  lab.runtime.run_all();
}

TEST_CASE("a limit of the output that had room for no more is no limit once there is room") {
  Lab lab;
  const Budget inner{{.per_period = Money::usd(1'000)}};
  const Budget outer{{.per_period = Money::usd(1'000)}};
  const ScriptedProvider slow{dollar_target("one"), {costing(0).after(1s)}};
  const ScriptedProvider model{writing("two", 1'000, 1'000'000), {costing(0)}};
  const auto takes_inner = lab.runtime.start(slow | cost_cap(inner), request_for(700));
  const auto takes_outer = lab.runtime.start(slow | cost_cap(outer), request_for(900));
  const auto call = lab.runtime.start(model | cost_cap(inner) | retry() | cost_cap(outer), "hello");
  lab.runtime.run_all();
  REQUIRE(call->result());
  CHECK(limit_sent_to(model).value_or(1'000) == 1'000);
}

TEST_CASE("a target that has the cap's assumed price may follow one that a budget refused") {
  Lab lab;
  ModelFacts facts;
  const ScriptedProvider own{Target{"own", "m", facts}, {costing(10)}};
  const ScriptedProvider dear{dollar_target("dear", 100), {costing(10)}};
  const Price assumed{.input = Money::usd(0.001), .output = Money::usd(0.001)};
  const CostCapOptions cap{.per_request = Money::usd(5), .assume_price = assumed};
  const FallbackClient client{{dear | cost_cap(cap), own | cost_cap(cap)}, {.recovery = {.max_wait = 0s}, .runtime = lab.runtime.share()}};
  const auto reply = lab.call(client, request_for(10));
  REQUIRE(reply);
  CHECK(reply->served_by.provider() == "own");
}

TEST_CASE("explain says no more of what a call may cost than its caps allow") {
  Lab lab;
  const ScriptedProvider dear{writing("dear", 1'000, 1'000'000)};
  const ScriptedProvider cheap{writing("cheap", 1'000, 1'000)};
  const CostCapOptions cap{.per_request = Money::usd(400)};
  const Plan plan = lab.client(dear | cost_cap(cap), cheap | cost_cap(cap)).explain("hello");
  REQUIRE(plan.steps.size() == 2);
  CHECK(plan.steps[0].worst_cost == Money::usd(400));
  CHECK(plan.steps[1].worst_cost == Money::usd(1));
  CHECK(plan.worst_cost == Money::usd(400));
  CHECK(lab.client(dear | cost_cap(cap), cheap).explain("hello").worst_cost == Money::usd(2'000));
  const ScriptedProvider cheaper{writing("cheaper", 1'000, 500)};
  CHECK(lab.client(cheap, cheaper | cost_cap(cap)).explain("hello").worst_cost == Money::usd(5));
  // Nobody can be asked.
  const CostCapOptions nothing{.per_request = Money::usd_per_million(1)};
  CHECK(lab.client(dear | cost_cap(nothing), cheap | cost_cap(nothing)).explain("hello").worst_cost == Money{});
  CHECK_FALSE(lab.client(ScriptedProvider{Target{"own", "m", ModelFacts{}}}).explain("hello").worst_cost);
}

TEST_CASE("a model on this machine costs nothing unless it has a price") {
  Lab lab;
  ModelFacts facts;
  facts.local = true;
  const ScriptedProvider free{Target{"local", "llama", facts}};
  const auto reply = lab.call(free | cost_cap({.per_request = Money::usd(0.01)}), "hello");
  REQUIRE(reply);
  CHECK(reply->cost == Money{});
  CHECK(reply->cost_known);
  facts.price = Price{.input = Money{}, .output = Money::usd(1)};
  const ScriptedProvider priced{Target{"local", "llama", facts}};
  CHECK_FALSE(lab.call(priced | cost_cap({.per_request = Money::usd(0.01)}), "hello"));
}

TEST_CASE("what comes by address is reserved for at what may stand there") {
  Lab lab;
  const Budget budget{{.per_period = Money::usd(200)}};
  const ScriptedProvider model{even_target("openai", 0.001), {answer("hi").usage(1, 1).after(1s)}};
  const auto reserved_for = [&](Part part) {
    ChatRequest request = request_for(10);
    const std::int64_t before = needs_of(request).input_tokens;
    request.messages.front().parts.push_back(std::move(part));
    const auto call = lab.runtime.start(model | cost_cap(budget), request);
    lab.runtime.run_for(500ms);
    const Money reserved = lab.snapshot(budget).reserved.cost;
    lab.runtime.run(*call);
    return reserved - Money::usd(0.001) * (before + 10);
  };
  CHECK(reserved_for(Document{.url = "https://example.org/a.pdf"}) == Money::usd(100));
  CHECK(reserved_for(Image{.url = "https://example.org/a.png"}) == Money::usd(1.6));
}

// Around sends that several calls share, and around the application's own code.

TEST_CASE("when the call that pays for a shared send leaves, the next one pays") {
  Lab lab;
  const Budget first_budget{{.per_period = Money::usd(100)}};
  const Budget second_budget{{.per_period = Money::usd(100)}};
  const ScriptedProvider model{dollar_target(), {costing(20).after(2s)}};
  const Provider shared = model | single_flight();
  const auto first = lab.runtime.start(shared | cost_cap(first_budget), request_for(60));
  const auto second = lab.runtime.start(shared | cost_cap(second_budget), request_for(60));
  lab.runtime.at(1s, [&] { first->cancel(); });
  lab.runtime.run_for(500ms);
  CHECK(lab.snapshot(first_budget).reserved.cost == Money::usd(60));
  CHECK(lab.snapshot(second_budget).reserved.cost == Money{});
  lab.runtime.run_for(1s);
  CHECK(lab.snapshot(first_budget) == BudgetSnapshot{});
  CHECK(lab.snapshot(second_budget).reserved.cost == Money::usd(60));
  lab.runtime.run_all();
  REQUIRE(second->result());
  CHECK(second->result()->cost == Money::usd(20));
  CHECK(lab.snapshot(first_budget) == BudgetSnapshot{});
  CHECK(lab.snapshot(second_budget) == BudgetSnapshot{{Money::usd(20), Money{}}, {}});
  CHECK(model.send_count() == 1);
}

TEST_CASE("of calls that share a send one that may not pay is refused, and the other has the answer") {
  Lab lab;
  const ScriptedProvider model{dollar_target(), {costing(20).after(1s)}};
  const Provider shared = model | retry() | single_flight();
  const FallbackClient client = lab.client(shared, ScriptedProvider{dollar_target("other", 0.001)});
  const auto poor = lab.runtime.start(client | cost_cap({.per_request = Money::usd(50)}), request_for(60));
  const auto rich = lab.runtime.start(shared | cost_cap({.per_request = Money::usd(100)}), request_for(60));
  lab.runtime.run_all();
  REQUIRE(rich->result());
  CHECK(rich->result()->cost == Money::usd(20));
  REQUIRE(poor->result());  // by the other target
  CHECK(poor->result()->served_by.provider() == "other");
  REQUIRE_FALSE(poor->result()->attempts.empty());
  CHECK(poor->result()->attempts.front().outcome == ErrorKind::budget_exceeded);
  CHECK(model.send_count() == 1);
}

TEST_CASE("a cap counts every call that the application's own code makes inside it") {
  Lab lab;
  const ScriptedProvider model{dollar_target(), {costing(30)}};
  const InterceptOptions five{.around = call_five_times};
  const auto reply =
      lab.call(model | intercept(five) | cost_cap({.per_request = Money::usd(100)}), request_for(30));
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::budget_exceeded);
  CHECK(reply.error().cost == Money::usd(90));
  CHECK(model.send_count() == 3);
  CHECK(lab.call(model | intercept(five) | cost_cap({.per_request = Money::usd(150)}), request_for(30)));
  CHECK(model.send_count() == 8);
}

TEST_CASE("a provider of the application's own is not judged by the price of its name") {
  /// Asks the one that costs nothing, under the name of the dear one.
  struct Chooses final : ChatProvider {
    Chooses(Provider dear_one, Provider free_one) : dear{std::move(dear_one)}, free{std::move(free_one)} {}
    [[nodiscard]] const Target& target() const noexcept override { return dear.target(); }
    Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
      return free.call(request, context);
    }
    [[nodiscard]] std::string describe() const override { return "chooses"; }
    Provider dear;
    Provider free;
  };
  Lab lab;
  const ScriptedProvider dear{dollar_target("openai", 100)};
  const ScriptedProvider free{dollar_target("local", 0)};
  const Provider own = Chooses{dear, free};
  CHECK(lab.call(own | cost_cap({.per_request = Money::usd(1)}), request_for(60)));
  CHECK(free.send_count() == 1);
}

TEST_CASE("who waits for what a shared send holds goes on when its payer leaves") {
  Lab lab;
  const ScriptedProvider model{dollar_target("openai"), {costing(60).after(20s)}};
  const ScriptedProvider other{dollar_target("anthropic"), {costing(1)}};
  const Budget first{{.per_period = Money::usd(100)}};
  const Budget second{{.per_period = Money::usd(100)}};
  const Provider shared = model | single_flight();
  const auto pays = lab.runtime.start(shared | cost_cap(first), request_for(60));
  lab.runtime.run_for(1s);
  const auto follows = lab.runtime.start(shared | cost_cap(second), request_for(60));
  const auto waits = lab.runtime.start(other | cost_cap(first), request_for(60));
  lab.runtime.run_for(1s);
  CHECK_FALSE(waits->done());
  pays->cancel();
  lab.runtime.run_for(1ms);
  CHECK(waits->done());
  lab.runtime.run_all();
  CHECK(follows->result().has_value());
}

TEST_CASE("explain says what caps refuse, and who is passed over because of that") {
  Lab lab;
  const Budget budget{{.per_period = Money::usd(100)}};
  const ScriptedProvider capped{dollar_target("openai"), {costing(80)}};
  const ScriptedProvider dearer{dollar_target("anthropic", 2)};
  const ScriptedProvider cheaper{dollar_target("local", 0.5)};
  const FallbackClient client = lab.client(capped | cost_cap(budget), dearer, cheaper);
  const auto passed_over = [&](const ChatRequest& request) {
    std::string text;
    for (const Plan::Step& step : client.explain(request).steps) text += step.skipped ? 'x' : 'o';
    return text;
  };
  CHECK(passed_over(request_for(80)) == "ooo");
  REQUIRE(client.chat(request_for(80)));
  CHECK(passed_over(request_for(20)) == "ooo");
  CHECK(passed_over(request_for(21)) == "xxo");
  const auto reply = client.chat(request_for(21));
  REQUIRE(reply);
  CHECK(reply->served_by == cheaper.target());
  CHECK(dearer.send_count() == 0);
}

TEST_CASE("an answer from a cache inside passes a cap that has no room for a send") {
  Lab lab;
  const ScriptedProvider model{dollar_target(), {costing(60)}};
  const Provider capped = model | cache({.any_temperature = true}) | cost_cap({.per_period = Money::usd(100)});
  CHECK(lab.call(capped, request_for(60)));
  CHECK(lab.call(capped, request_for(60)));
  CHECK_FALSE(lab.call(capped, request_for(61)));
  CHECK(model.send_count() == 1);
}

TEST_CASE("explain gives the reason of whichever of two policies a call meets first") {
  Lab lab;
  const RateLimit empty{{.requests_per_minute = 6, .max_wait = 0s}};
  const ScriptedProvider model{dollar_target(), {costing(1)}};
  REQUIRE(lab.call(model | rate_limit(empty), request_for(1)));
  const Policy cap = cost_cap({.per_request = Money::usd(10)});
  for (const Provider& target : {model | rate_limit(empty) | cap, model | cap | rate_limit(empty)}) {
    const FallbackClient client = lab.client(target);
    const Plan plan = client.explain(request_for(20));
    REQUIRE(plan.steps[0].skipped);
    const auto reply = client.chat(request_for(20));
    REQUIRE_FALSE(reply);
    CHECK(plan.steps[0].skipped->kind == reply.error().attempts[0].outcome);
  }
}

TEST_CASE("a capped target without a price is no target that is ready") {
  Lab lab;
  const ScriptedProvider first{"a/m", {error(ErrorKind::connect_failed), answer("after all")}};
  const ScriptedProvider unpriced{"b/m"};
  const FallbackClient client = lab.client(first | retry(), unpriced | cost_cap({.per_request = Money::usd(1)}));
  const Plan plan = client.explain("hello");
  REQUIRE(plan.steps[1].skipped);
  CHECK(plan.steps[1].skipped->kind == ErrorKind::budget_exceeded);
  const auto reply = client.chat("hello");
  REQUIRE(reply);
  CHECK(reply->text() == "after all");
  CHECK(unpriced.send_count() == 0);
}

TEST_CASE("a call says once of a capped target that its price is not known, whatever repeats around it") {
  Lab lab;
  const ScriptedProvider unpriced{"b/m"};
  const Policy cap = cost_cap({.per_request = Money::usd(1)});
  const ScriptedProvider priced{dollar_target("openai", 1e-6), {answer("hi"), answer("hi")}};
  for (const FallbackClient& client : {lab.client(unpriced | cap | retry({.max_attempts = 3}), priced | cap),
                                       lab.client(unpriced | retry({.max_attempts = 3}) | cap, priced | cap)}) {
    const Plan plan = client.explain("hello");
    CHECK(std::count_if(plan.steps.begin(), plan.steps.end(), [](const Plan::Step& step) {
            return step.skipped && step.skipped->message.find("price is not known") != std::string::npos;
          }) == 1);
    const auto reply = client.chat("hello");
    REQUIRE(reply);
    REQUIRE(reply->attempts.size() == 2);
    CHECK(reply->attempts[0].outcome == ErrorKind::budget_exceeded);
    CHECK_THAT(reply->attempts[0].reason, ContainsSubstring("price is not known; give the target its price"));
  }
}

TEST_CASE("a cost cap describes itself, and refuses options that make no sense") {
  CHECK(cost_cap({.per_request = Money::usd(0.5), .per_period = Money::usd(20)}).describe() ==
        "cost_cap(per_request = $0.50, per_period = $20.00)");
  CHECK(cost_cap(Budget{{.per_period = Money::usd(20), .period = 1h}}).describe() ==
        "cost_cap(budget = shared(per_period = $20.00, period = 1h))");
  const auto problem = [](const CostCapOptions& options) {
    CHECK_THROWS_AS(cost_cap(options), std::invalid_argument);
    return problem_with(options);
  };
  CHECK_THAT(problem({}), ContainsSubstring("no limit is set"));
  CHECK_THAT(problem({.per_request = Money::usd(-1)}), ContainsSubstring("per_request must not be below $0"));
  CHECK_THAT(problem({.per_period = Money::usd(-1)}), ContainsSubstring("per_period must not be below $0"));
  CHECK_THAT(problem({.per_period = Money::usd(1), .period = 0s}), ContainsSubstring("period must be longer than 0"));
}

}  // namespace cost_cap_test
