#include "backstop/policies/hedge.hpp"

#include <exception>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "backstop/state/latency_window.hpp"
#include "policies/hedge_race.hpp"
#include "policies/options_text.hpp"

namespace backstop::inline v0 {
namespace {

class Hedge final : public Decorator, private detail::HedgeRules {
 public:
  Hedge(Provider next, HedgeOptions options, std::string description)
      : Decorator{std::move(next), std::move(description)},
        options_{std::move(options)},
        budget_{options_.shared_budget ? *options_.shared_budget : HedgeBudget{options_.budget}},
        streamed_{options_.percentile, options_.min_samples},
        plain_{options_.percentile, options_.min_samples} {}

  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
    if (context.alternatives().substitute == nullptr || context.committed()) {
      auto result = co_await next().call(request, context);
      co_return result;
    }
    budget_.pay_in();
    detail::HedgeRace race{*this, target(), request, context};
    race.arm(delay(context.streaming()));
    try {
      auto result = co_await next().call(request, race.context());
      race.first_ended(std::move(result));
    } catch (...) {  // the hedge has to end first
      race.first_threw(std::current_exception());
    }
    if (auto* second = race.second()) {
      auto end = second->end();
      co_await end;
    }
    co_return race.conclude();
  }

  [[nodiscard]] Layer layer() const override {
    Layer layer = Decorator::layer();
    layer.sends = 2;
    return layer;
  }

 private:
  [[nodiscard]] Duration delay(bool streamed) const noexcept {
    const std::optional<Duration> usual = (streamed ? streamed_ : plain_).percentile();
    return usual ? std::max(*usual, options_.min_delay) : options_.delay_without_samples;
  }

  [[nodiscard]] bool allow(const ChatRequest& request) const noexcept override {
    try {
      if (options_.may_repeat && !options_.may_repeat(request)) return false;
    } catch (...) {  // documented: says no
      return false;
    }
    return budget_.take();
  }
  void not_sent() const noexcept override { budget_.put_back(); }
  void took(Duration latency, bool streamed) const noexcept override {
    (streamed ? streamed_ : plain_).record(latency);
  }

  HedgeOptions options_;
  HedgeBudget budget_;
  mutable LatencyWindow streamed_;
  mutable LatencyWindow plain_;
};

[[nodiscard]] std::string describe(const HedgeOptions& options) {
  const HedgeOptions usual;
  detail::OptionsText text{"hedge"};
  text.add("percentile", options.percentile, usual.percentile)
      .add("min_samples", options.min_samples, usual.min_samples)
      .add("min_delay", options.min_delay, usual.min_delay)
      .add("delay_without_samples", options.delay_without_samples, usual.delay_without_samples);
  if (options.shared_budget) return text.append("budget", "shared").text();
  return text.add("share", options.budget.share, usual.budget.share).text();
}

}  // namespace

Policy hedge(HedgeOptions options) {
  if (const std::string problem = problem_with(options); !problem.empty()) throw std::invalid_argument{problem};
  std::string description = describe(options);
  return make_policy<Hedge>(std::move(description), std::move(options));
}

std::string problem_with(const HedgeOptions& options) {
  if (!(options.percentile > 0 && options.percentile < 1)) {
    return fmt::format("hedge: percentile is {}; it must be above 0 and below 1", options.percentile);
  }
  if (options.min_samples < 1 || options.min_samples > LatencyWindow::most_samples) {
    return fmt::format("hedge: min_samples is {}; it must be between 1 and {}", options.min_samples,
                       LatencyWindow::most_samples);
  }
  if (options.min_delay < Duration::zero() || options.delay_without_samples < Duration::zero()) {
    return "hedge: min_delay and delay_without_samples must not be negative";
  }
  return problem_with(options.budget);
}

}  // namespace backstop::inline v0
