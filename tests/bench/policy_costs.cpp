#include "policy_costs.hpp"

#include <backstop/backstop.hpp>

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "measure.hpp"

using namespace backstop;
using namespace std::chrono_literals;

namespace bench {
namespace {

constexpr int rounds = 21;

/// Answers at once, and as real providers do with the number of its tokens.
class Instant final : public ModelProvider {
 public:
  explicit Instant(std::string_view name) : ModelProvider{Target{name, "m", priced()}} {}

 protected:
  Task<Result<ChatResponse>> send(const ChatRequest&, CallContext&) const override {
    ChatResponse response;
    response.parts.emplace_back(Text{"ok"});
    response.finish_reason = FinishReason::stop;
    response.usage.input_tokens = 2;
    response.usage.output_tokens = 1;
    co_return response;
  }

 private:
  static ModelFacts priced() {
    ModelFacts facts;
    facts.price = Price{.input = Money::usd_per_million(1), .output = Money::usd_per_million(2)};
    return facts;
  }
};

/// A client, and what a call of it costs.
struct Measured {
  std::string name;
  FallbackClient client;
  double nanoseconds = 0;
  double allocations = 0;
  std::string session{};  ///< of its request
};

void call(const FallbackClient& client, int calls, const std::string& session) {
  ChatRequest request{"hello"};
  request.metadata.session_id = session;
  request.max_output_tokens = 100;
  for (int i = 0; i < calls; ++i) {
    if (!client.chat(request)) throw std::runtime_error{"a call failed; nothing was measured"};
  }
}

void measure(std::vector<Measured>& all) {
  constexpr int calls = 5000;
  std::vector<Contender> contenders;
  for (const Measured& one : all) {
    contenders.push_back({one.name, [&client = one.client, &session = one.session] {
                            const double start = thread_cpu();
                            call(client, calls, session);
                            return (thread_cpu() - start) / calls;
                          }});
  }
  const std::vector<double> times = medians(contenders, rounds);
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].nanoseconds = times[i];
    const std::uint64_t before = allocations();
    call(all[i].client, calls, all[i].session);
    all[i].allocations = static_cast<double>(allocations() - before) / calls;
  }
}

}  // namespace

void strategies_among_sixteen(const std::shared_ptr<Runtime>& runtime) {
  const auto client = [&](Strategy strategy) {
    std::vector<Provider> providers;
    for (int i = 0; i < 16; ++i) providers.push_back(Instant{"p" + std::to_string(i)});
    return FallbackClient{std::move(providers), {.strategy = std::move(strategy), .runtime = runtime}};
  };
  std::vector<std::int64_t> weights;
  for (int i = 0; i < 16; ++i) weights.push_back(i + 1);
  std::vector<Measured> all;
  all.push_back({"ordered", client(ordered())});
  all.push_back({"first_ready", client(first_ready())});
  all.push_back({"weighted", client(weighted(weights))});
  all.push_back({"lowest_latency", client(lowest_latency())});
  all.push_back({"highest_throughput", client(highest_throughput())});
  all.push_back({"lowest_cost", client(lowest_cost())});
  all.push_back({"least_in_flight", client(least_in_flight())});
  all.push_back({"sticky", client(sticky(lowest_latency()))});
  all.push_back({"ordered", client(ordered(FailbackOptions{}))});
  all.push_back({"rules", client(rules({{is_background(), 0}, {wants_reasoning(), 1}, {input_above(60'000), 2}}))});
  for (Measured& one : all) one.session = "session";
  measure(all);
  for (std::size_t i = 1; i < all.size(); ++i) {
    report("choose." + all[i].name + ".time", "ns", all[i].nanoseconds - all.front().nanoseconds);
    report("choose." + all[i].name + ".allocations", "1", all[i].allocations - all.front().allocations);
  }
}

void policies_on_an_instant_provider(const std::shared_ptr<Runtime>& runtime) {
  FallbackOptions options;
  options.runtime = runtime;
  const auto client = [&](const std::optional<Policy>& policy, const std::optional<HedgeOptions>& hedge = {}) {
    const auto one = [&](const char* name) {
      return policy ? Provider{Instant{name}} | *policy : Provider{Instant{name}};
    };
    FallbackOptions own = options;
    own.hedge = hedge;
    return FallbackClient{{one("first"), one("second")}, own};
  };
  const CostCapOptions spending{.per_request = Money::usd(1), .per_period = Money::usd(1e6)};
  // A target whose breaker has opened, in front of one that answers.
  const Policy open_breaker = circuit_breaker(CircuitBreakerOptions{.consecutive_failures = 1, .open_for = 300s});
  const Provider broken = make_provider("broken/m", [](const ChatRequest&) -> Result<ChatResponse> {
    return Error{ErrorKind::server_error, "down"};
  }) | open_breaker;

  std::vector<Measured> all;
  all.push_back({"bare", client(std::nullopt)});
  all.push_back({"standard", client(standard())});
  const BulkheadOptions width{.max_in_flight = 100};
  const RateLimitOptions rate{.requests_per_minute = 1'000'000'000'000, .tokens_per_minute = 1'000'000'000'000};
  all.push_back({"stack", client(standard({.bulkhead = width, .rate_limit = rate, .cost_cap = spending}), HedgeOptions{})});
  all.push_back({"reject", FallbackClient{{broken, Instant{"second"}}, options}});
  all.push_back({"layer.timeout", client(timeout(TimeoutOptions{}))});
  all.push_back({"layer.circuit_breaker", client(circuit_breaker())});
  all.push_back({"layer.bulkhead", client(bulkhead(width))});
  all.push_back({"layer.adaptive_concurrency", client(adaptive_concurrency())});
  all.push_back({"layer.rate_limit", client(rate_limit(rate))});
  all.push_back({"layer.cost_cap", client(cost_cap(spending))});
  all.push_back({"layer.retry", client(retry())});
  all.push_back({"layer.intercept", client(intercept({.after = [](const ChatRequest&, Result<ChatResponse>&) {}}))});
  all.push_back({"layer.accept_if", client(accept_if(finished() && not_empty()))});
  all.push_back({"layer.cache", client(cache())});
  all.push_back({"layer.single_flight", client(single_flight())});
  all.push_back({"layer.probe", client(probe())});
  all.push_back({"layer.hedge", client(std::nullopt, HedgeOptions{})});
  FallbackOptions with_ladder = options;
  with_ladder.degrade = {degrade::images(), degrade::tools(), degrade::history(), degrade::canned("sorry")};
  all.push_back({"layer.degrade", FallbackClient{{Instant{"first"}, Instant{"second"}}, with_ladder}});
  measure(all);

  for (const Measured& one : all) {
    const bool is_addition = one.name == "reject" || one.name.starts_with("layer.");
    report(one.name + ".time", "ns", one.nanoseconds - (is_addition ? all.front().nanoseconds : 0));
    report(one.name + ".allocations", "1", one.allocations - (is_addition ? all.front().allocations : 0));
  }
}

}  // namespace bench
