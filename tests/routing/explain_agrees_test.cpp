#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "backstop/policies/cache.hpp"
#include "backstop/policies/circuit_breaker.hpp"
#include "backstop/policies/cost_cap.hpp"
#include "backstop/policies/rate_limit.hpp"
#include "backstop/routing/rules.hpp"
#include "routing/pool.hpp"

namespace explain_agrees_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

/// BACKSTOP_EXPLAIN_SEEDS: of each kind, in place of 400.
unsigned seeds() {
  const char* given = std::getenv("BACKSTOP_EXPLAIN_SEEDS");
  return given == nullptr ? 400 : static_cast<unsigned>(std::strtoul(given, nullptr, 10));
}
/// What so many of 400 seeds show, of the number in use.
int of_400(int count) { return static_cast<int>(static_cast<unsigned>(count) * seeds() / 400); }

/// Random clients, targets and requests, and whatever state comes of them.
class World {
 public:
  struct Has {
    bool ladders = false;  ///< requests may have to give something up
    bool caps = false;     ///< what calls may cost is capped, here and there
    bool limits = false;   ///< rate limits and caches, here and there
  };
  explicit World(unsigned seed) : World{seed, Has{}} {}
  World(unsigned seed, Has has) : random_{seed}, runtime_{seed + 1}, ladders_{has.ladders}, caps_{has.caps},
                                     limits_{has.limits} {}

  VirtualRuntime& runtime() noexcept { return runtime_; }

  FallbackClient client(int depth = 0) {
    std::vector<Provider> candidates;
    for (int i = 0, size = below(4) + 1; i < size; ++i) {
      if (depth < 2 && below(3) == 0) {
        candidates.push_back(limited(capped(client(depth + 1), 2), false));
      } else {
        candidates.push_back(target());
      }
    }
    // A refused call may ask a client twice before anything is sent: those with turns and sessions then choose anew.
    Strategy chosen = caps_ ? choose(candidates.size(), 7) : strategy(candidates.size(), true);
    if (!ladders_ || below(3) == 0) return pool_of(runtime_, std::move(chosen), std::move(candidates));
    FallbackOptions options{.strategy = std::move(chosen), .recovery = {.max_wait = Duration::zero()}};
    options.degrade = {degrade::tools(), degrade::images(), degrade::history({.keep_turns = 1}), degrade::json_schema()};
    if (caps_) options.degrade.push_back(degrade::output());
    if (caps_ && below(2) == 0) options.degrade[2] = degrade::history({.keep_turns = 1, .summarized_by = target()});
    std::shuffle(options.degrade.begin(), options.degrade.end(), random_);
    options.degrade.resize(static_cast<std::size_t>(below(5)));
    options.degrade_early = below(3) == 0;
    if (caps_ && below(4) == 0) options.degrade.push_back(degrade::cached(AnswerCache{}));
    if (below(4) == 0) options.degrade.push_back(degrade::canned(depth == 0 ? "sorry" : "sorry, from inside"));
    options.runtime = runtime_.share();
    return FallbackClient{std::move(candidates), std::move(options)};
  }

  ChatRequest request() {
    ChatRequest request{std::string(static_cast<std::size_t>(below(3) == 0 ? 9000 : 10), 'x')};
    if (below(2) == 0) request.metadata.session_id = std::to_string(below(4));
    if (below(4) == 0) request.tools.push_back(Tool{.name = "search"});
    if (below(3) == 0) request.max_output_tokens = below(500) + 1;
    if (!ladders_) return request;
    if (below(3) == 0) request.messages[0].parts.emplace_back(Image{.url = "https://x.test/a.png"});
    if (below(3) == 0) {
      request.response_format = ResponseFormat{.type = ResponseFormat::Type::json_schema, .schema = "{}"};
    }
    for (int turns = below(3); turns > 0; --turns) request.messages.push_back(Message::user(std::string(3000, 'y')));
    return request;
  }
  int below(int most) { return std::uniform_int_distribution<int>{0, most - 1}(random_); }

 private:
  Provider target() {
    ModelFacts facts;
    if (below(3) > 0) {
      facts.price = Price{.input = Money::usd_per_million(below(5)), .output = Money::usd_per_million(below(20))};
    }
    facts.capabilities.tools = below(4) > 0;
    if (ladders_) {
      facts.capabilities.vision = below(3) > 0;
      facts.capabilities.json_schema = below(3) > 0;
      if (below(4) == 0) facts.context_window = 800;
    }
    if (caps_ && below(3) == 0) facts.max_output_tokens = below(4000) + 1;
    std::vector<Step> steps;
    for (int i = 0, size = below(6) + 1; i < size; ++i) steps.push_back(step());
    const Target name{"p", std::to_string(++targets_), facts};
    const ScriptedProvider scripted{name, std::move(steps)};
    const Provider alone =
        below(2) == 0 ? Provider{scripted} : scripted | circuit_breaker({.consecutive_failures = 2, .open_for = 5s});
    return limited(capped(alone, 4), true);
  }
  /// `shares`: of targets, so that no limit stands twice on the way to one.
  Provider limited(Provider provider, bool shares) {
    if (!limits_) return provider;
    if (below(3) == 0) {
      RateLimitOptions options{.max_wait = std::chrono::seconds{below(3) * 10},
                               .failover_wait = std::chrono::seconds{below(3)}};
      if (below(3) > 0) options.requests_per_minute = 1 << below(8);
      if (below(3) == 0 || !options.requests_per_minute) options.tokens_per_minute = 500 << below(8);
      if (!rate_) rate_.emplace(options);
      const bool shared = shares && below(4) == 0;
      provider = provider | (shared ? rate_limit(*rate_) : rate_limit(options));
    }
    return below(6) == 0 ? provider | cache({.any_temperature = true}) : provider;
  }
  /// One in so many.
  Provider capped(Provider provider, int one_in) {
    if (!caps_ || below(one_in) > 0) return provider;
    CostCapOptions options;
    // A request has from 10 to 7,000 tokens, and a million of them cost up to $20.
    const auto money = [this] { return Money::usd_per_million(1) * std::int64_t{1} * (std::int64_t{1} << below(17)); };
    const int kinds = below(7) + 1;
    if ((kinds & 1) != 0) options.per_request = money();
    if ((kinds & 2) != 0) options.per_period = money() * 10;
    if ((kinds & 4) != 0) options.fallback_premium_per_period = money();
    if (below(3) == 0) options.assume_price = Price{.input = Money::usd_per_million(2), .output = Money::usd_per_million(10)};
    options.period = 20s;
    options.wait_for_reserved = Duration::zero();
    if (below(3) == 0) {  // the same one, here and there
      if (!shared_) shared_ = Budget{{.per_period = money() * 10, .fallback_premium_per_period = money(), .period = 20s}};
      options.budgets.push_back(*shared_);
    }
    return provider | cost_cap(options);
  }
  Step step() {
    const auto time = std::chrono::milliseconds{below(3000)};
    switch (below(6)) {
      case 3:
        if (ladders_ && below(2) == 0) return error(ErrorKind::unsupported_capability);
        return answer("ok").usage(10, 10).after(time);
      case 0: return error(ErrorKind::server_error).after(time);
      case 1: return error(ErrorKind::rate_limited, {.retry_after = std::chrono::seconds{below(20)}});
      case 2: return error(ErrorKind::connect_failed);
      default: return answer("ok").usage(10, below(300) + 1).after(time);
    }
  }
  Strategy strategy(std::size_t size, bool may_stick) { return choose(size, may_stick ? 10 : 8); }
  Strategy choose(std::size_t size, int of_the_first) {
    switch (below(of_the_first)) {
      case 0: return ordered();
      case 1: return first_ready();
      case 2: return lowest_latency({.exploration = 0.3});
      case 3: return highest_throughput({.exploration = 0.3});
      case 4: return lowest_cost();
      case 5: return least_in_flight();
      case 6: return rules({{uses_tools(), size - 1}, {input_above(1000), 0}});
      case 7: {
        std::vector<std::int64_t> weights(size);
        for (std::int64_t& weight : weights) weight = below(5);
        weights.front() += 1;
        return weighted(std::move(weights));
      }
      default: return sticky(strategy(size, false));
    }
  }

  std::mt19937 random_;
  VirtualRuntime runtime_;
  bool ladders_;
  bool caps_;
  bool limits_;
  std::optional<Budget> shared_;
  std::optional<RateLimit> rate_;
  int targets_ = 0;
};

}  // namespace

TEST_CASE("explain tells where the next call goes first, whatever the client, the request and the state") {
  int compared = 0;
  for (unsigned seed = 1; seed <= seeds(); ++seed) {
    World world{seed};
    const FallbackClient client = world.client();
    for (int call = 0; call < 25; ++call) {
      const ChatRequest request = world.request();
      const Plan plan = client.explain(request);
      static_cast<void>(client.explain(request));  // asking twice changes nothing
      const auto reply = client.chat(request);
      const Ledger& rows = reply ? reply->attempts : reply.error().attempts;
      const auto sent = std::find_if(rows.begin(), rows.end(), [](const Attempt& row) { return row.sent; });
      const auto planned = std::find_if(plan.steps.begin(), plan.steps.end(),
                                        [](const Plan::Step& step) { return !step.skipped; });
      if (planned != plan.steps.end() && sent != rows.end()) {
        ++compared;
        if (sent->target != planned->target) {
          FAIL_CHECK("seed " << seed << ", call " << call << " of " << client.describe() << ": planned "
                             << planned->target.name() << ", asked " << sent->target.name());
        }
      }
      world.runtime().run_for(std::chrono::milliseconds{world.below(4000)});
    }
  }
  CHECK(compared > of_400(5000));
}

namespace {

struct Compared {
  int calls = 0;
  int degraded = 0;
  int canned = 0;
  int summaries = 0;
  int none = 0;  ///< nobody was asked, and nothing was answered
};

std::string told(const Plan& plan, const Ledger& rows) {
  std::string text;
  for (const Plan::Step& step : plan.steps) {
    text += "\nstep " + step.target.name() + ": " + (step.skipped ? step.skipped->message : "asked") +
            (step.degradation ? " / " + step.degradation->notice : "");
  }
  for (const Attempt& row : rows) text += "\nrow " + row.target.name() + (row.sent ? " asked " : " ") + row.reason;
  return text;
}

/// The plan's step is no target that is asked.
bool answers_of_ladders(const Plan::Step& step) {
  return step.degradation && (step.degradation->features == std::vector<std::string>{"answer"} ||
                              step.degradation->features == std::vector<std::string>{"freshness"});
}

/// What is wrong with what the plan says of the call's first send, or of its end without one; empty: nothing.
std::string disagreement(const Plan& plan, const Result<ChatResponse>& reply, Compared& compared) {
  const Ledger& rows = reply ? reply->attempts : reply.error().attempts;
  const auto sent = std::find_if(rows.begin(), rows.end(), [](const Attempt& row) { return row.sent; });
  const auto planned = std::find_if(plan.steps.begin(), plan.steps.end(), [](const Plan::Step& step) {
    return !step.skipped && !(step.summary && step.cached);
  });
  const bool answers_itself = planned != plan.steps.end() && answers_of_ladders(*planned);
  if (sent == rows.end()) {
    // Nobody could be asked: an answer of the ladder's, or none.
    const bool promised = planned != plan.steps.end();
    (promised ? compared.canned : compared.none) += 1;
    if (promised == reply.has_value() && (!promised || planned->target == reply->served_by)) return {};
    return "planned " + (promised ? planned->target.name() : "nobody") + ", got " +
           (reply ? reply->served_by.name() : reply.error().message);
  }
  // In a queue, and targets may have recovered meanwhile.
  const bool waited = std::any_of(rows.begin(), rows.end(), [](const Attempt& row) { return row.waited > Duration::zero(); });
  if (waited) return {};
  if (planned == plan.steps.end() || answers_itself) {
    // It was out and has let the call in after all, or was probed.
    const bool was_out = std::any_of(plan.steps.begin(), plan.steps.end(), [&](const Plan::Step& step) {
      return step.target == sent->target && step.skipped && is_refusal(step.skipped->kind);
    });
    if (!was_out) return "planned nobody, asked " + sent->target.name();
    return plan.waits ? "" : "planned no wait, asked " + sent->target.name();
  }
  if (planned->cached) return "planned an answer from the cache, asked " + sent->target.name();
  if (sent->summary && planned->summary) ++compared.summaries;
  if (sent->target != planned->target || sent->summary != planned->summary) return "planned " + planned->target.name() + ", asked " + sent->target.name();
  if (sent->outcome || sent->summary || !reply) return {};
  ++compared.calls;
  compared.degraded += reply->degradation ? 1 : 0;
  // Why it lacks something may be told by what has happened meanwhile.
  const auto features = [](const std::optional<Degradation>& told) {
    return told ? std::pair{told->features, told->notice} : std::pair{std::vector<std::string>{}, std::string{}};
  };
  if (features(reply->degradation) == features(planned->degradation)) return {};
  return "planned to give up \"" + (planned->degradation ? planned->degradation->notice : "") + "\", gave up \"" +
         (reply->degradation ? reply->degradation->notice : "") + '"';
}

/// `part`: of the seeds, so that several kinds together take the time of one.
Compared compare(World::Has has, unsigned part = 1) {
  Compared compared;
  for (unsigned seed = 1; seed <= seeds() / part; ++seed) {
    World world{seed, has};
    const FallbackClient client = world.client();
    for (int call = 0; call < 25; ++call) {
      const ChatRequest request = world.request();
      const Plan plan = client.explain(request);
      static_cast<void>(client.explain(request));
      const auto reply = client.chat(request);
      if (const std::string wrong = disagreement(plan, reply, compared); !wrong.empty()) {
        FAIL_CHECK("seed " << seed << ", call " << call << " of " << client.describe() << ": " << wrong
                           << told(plan, reply ? reply->attempts : reply.error().attempts));
      }
      world.runtime().run_for(std::chrono::milliseconds{world.below(4000)});
    }
  }
  return compared;
}

}  // namespace

TEST_CASE("explain tells what the next call gives up first, and whether it gets an answer of the ladder's own") {
  const Compared compared = compare({.ladders = true});
  CHECK(compared.calls > of_400(2500));
  CHECK(compared.degraded > of_400(300));
  CHECK(compared.canned > of_400(50));
}

TEST_CASE("explain tells the same of clients with caps, with and without ladders, and of targets without a price") {
  const Compared plain = compare({.caps = true});
  CHECK(plain.calls > of_400(2000));
  CHECK(plain.none > of_400(50));
  const Compared compared = compare({.ladders = true, .caps = true});
  CHECK(compared.calls > of_400(2000));
  CHECK(compared.degraded > of_400(100));
  CHECK(compared.canned > of_400(50));
  CHECK(compared.summaries > of_400(20));
}

TEST_CASE("explain tells the same of clients with rate limits and caches, with and without ladders and caps") {
  for (const bool ladders : {false, true}) {
    for (const bool caps : {false, true}) {
      CAPTURE(ladders, caps);
      const Compared compared = compare({.ladders = ladders, .caps = caps, .limits = true}, 4);
      CHECK(compared.calls > of_400(300));
      CHECK(compared.none > of_400(10));
    }
  }
}

TEST_CASE("explain changes nothing of what the calls after it do") {
  for (unsigned seed = 1; seed <= 100; ++seed) {
    std::vector<std::string> traces;
    for (const bool explains : {false, true}) {
      World world{seed, {.ladders = seed % 2 == 0, .caps = seed % 3 == 0, .limits = seed % 5 < 2}};
      const FallbackClient client = world.client();
      std::string& trace = traces.emplace_back();
      for (int call = 0; call < 20; ++call) {
        const ChatRequest request = world.request();
        if (explains) static_cast<void>(client.explain(request));
        trace += answered_by(client, request) + " ";
        world.runtime().run_for(100ms);
      }
    }
    CHECK(traces[0] == traces[1]);
  }
}

}  // namespace explain_agrees_test
