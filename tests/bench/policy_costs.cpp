#include "policy_costs.hpp"

#include <backstop/backstop.hpp>

#include <optional>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "measure.hpp"

using namespace backstop;
using namespace std::chrono_literals;

namespace bench {
namespace {

constexpr int rounds = 21;

class Instant final : public ModelProvider {
 public:
  explicit Instant(std::string_view name) : ModelProvider{Target{name, "m", priced()}} {}

 protected:
  Task<Result<ChatResponse>> send(const ChatRequest&, CallContext&) const override {
    ChatResponse response;
    response.parts.emplace_back(Text{"ok"});
    response.finish_reason = FinishReason::stop;
    co_return response;
  }

 private:
  static ModelFacts priced() {
    ModelFacts facts;
    facts.price = Price{.input = Money::usd_per_million(1), .output = Money::usd_per_million(2)};
    return facts;
  }
};

struct Cost {
  double nanoseconds;
  double allocations;
};

Cost cost_of_calls(const FallbackClient& client) {
  constexpr int calls = 20'000;
  ChatRequest request{"hello"};
  request.max_output_tokens = 100;
  const auto call = [&] {
    if (!client.chat(request)) throw std::runtime_error{"a call failed; nothing was measured"};
  };
  const double time = medians({{"", [&] {
                                  const double start = thread_cpu();
                                  for (int i = 0; i < calls; ++i) call();
                                  return (thread_cpu() - start) / calls;
                                }}},
                              rounds)[0];
  const std::uint64_t before = allocations();
  for (int i = 0; i < calls; ++i) call();
  return {time, static_cast<double>(allocations() - before) / calls};
}

void report_cost(std::string_view name, const Cost& cost) {
  report(fmt::format("{}.time", name), "ns", cost.nanoseconds);
  report(fmt::format("{}.allocations", name), "1", cost.allocations);
}

}  // namespace

void policies_on_an_instant_provider(const std::shared_ptr<Runtime>& runtime) {
  FallbackOptions options;
  options.runtime = runtime;
  const auto client = [&](const std::optional<Policy>& policy) {
    const auto one = [&](const char* name) {
      return policy ? Provider{Instant{name}} | *policy : Provider{Instant{name}};
    };
    return FallbackClient{{one("first"), one("second")}, options};
  };
  const Cost bare = cost_of_calls(client(std::nullopt));
  report_cost("bare", bare);

  const CostCapOptions spending{.per_request = Money::usd(1), .per_period = Money::usd(1e6)};
  const std::vector<std::pair<std::string_view, Policy>> layers{
      {"timeout", timeout(TimeoutOptions{})},
      {"circuit_breaker", circuit_breaker()},
      {"cost_cap", cost_cap(spending)},
      {"retry", retry()},
      {"intercept", intercept({.after = [](const ChatRequest&, Result<ChatResponse>&) {}})},
      {"cache", cache()},
      {"hedge", hedge()},
  };
  for (const auto& [name, policy] : layers) {
    const Cost with = cost_of_calls(client(policy));
    report_cost(fmt::format("layer.{}", name), {with.nanoseconds - bare.nanoseconds, with.allocations - bare.allocations});
  }
  report_cost("standard", cost_of_calls(client(standard())));
  report_cost("stack", cost_of_calls(client(standard({.cost_cap = spending}))));

  // The same client, with a target in front whose breaker has opened.
  const auto breaker = CircuitBreaker::create({.consecutive_failures = 1, .open_for = 300s});
  const Provider broken = make_provider("broken/m", [](const ChatRequest&) -> Result<ChatResponse> {
    return Error{ErrorKind::server_error, "down"};
  }) | circuit_breaker(breaker);
  const FallbackClient with_open{{broken, Instant{"second"}}, options};
  const Cost passing_over = cost_of_calls(with_open);
  const Cost alone = cost_of_calls(FallbackClient{{Instant{"first"}, Instant{"second"}}, options});
  report_cost("reject", {passing_over.nanoseconds - alone.nanoseconds, passing_over.allocations - alone.allocations});
}

}  // namespace bench
