#include "backstop/policies/circuit_breaker.hpp"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "backstop/handover/needs.hpp"
#include "policies/options_text.hpp"

namespace backstop::inline v0 {
namespace {

/// Tells the permit of the first content, and remembers how long it took.
class FirstContent final : public AttemptObserver {
 public:
  FirstContent(BreakerPermit& permit, TimePoint started) noexcept : permit_{&permit}, started_{started} {}

  void on_first_content(TimePoint at) noexcept override {
    if (!ttft_) ttft_ = at - started_;
    permit_->first_content(at);
  }
  [[nodiscard]] std::optional<Duration> ttft() const noexcept { return ttft_; }

 private:
  BreakerPermit* permit_;
  TimePoint started_;
  std::optional<Duration> ttft_;
};

class Breaking final : public Decorator {
 public:
  Breaking(Provider next, std::shared_ptr<CircuitBreaker> breaker, std::string description)
      : Decorator{std::move(next), std::move(description)}, breaker_{std::move(breaker)} {}

  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
    // One that holds this breaker's permit is counted where it has it.
    if (context.state().active_probe || context.holds(breaker_.get())) {
      auto passed = co_await next().call(request, context);
      co_return passed;
    }
    if (left_to_others(context)) co_return refuse_for_ramp(context);
    const BreakerAudience audience{&target(), context.state().observers};
    BreakerPermit permit = breaker_->try_acquire(context.now(), context.hint().forced_probe, audience);
    if (!permit) co_return refuse(context);

    FirstContent first_content{permit, context.now()};
    CallContext inner = context;
    inner.add_observer(first_content);
    const HeldHandle held{breaker_.get(), context.held()};
    inner.set_held(held);
    auto result = co_await next().call(request, inner);

    BreakerOutcome outcome;
    outcome.at = context.now();
    outcome.ttft = first_content.ttft();
    if (!result) {
      outcome.jitter = context.runtime().random_unit();
      outcome.verdict = verdict_of(result.error());
      outcome.retry_after = result.error().retry_after;
      const ErrorKind kind = result.error().cause.value_or(result.error().kind);
      outcome.local_network = kind == ErrorKind::connect_failed && context.runtime().network().at_fault();
    }
    permit.record(outcome);
    co_return result;
  }

  [[nodiscard]] Layer layer() const override {
    Layer layer = Decorator::layer();
    layer.handle = breaker_.get();
    return layer;
  }

  [[nodiscard]] Standing standing(const ChatRequest& request, const Needs& needs, TimePoint now) const noexcept override {
    Standing standing = next().standing(request, needs, now);
    if (breaker_->lets_all_through() || !standing.fit() || is_held(needs.held, breaker_.get())) return standing;
    const std::optional<TimePoint> until = breaker_->refuses_until(now);
    if (!until) {
      standing.finds_out = true;
      return standing;
    }
    const bool isolated = breaker_->state() == BreakerState::isolated;
    const bool only_breaker = standing.ready() || standing.probe == Standing::Probe::breaker;
    standing.put_off(*until, ErrorKind::circuit_open, isolated ? "isolated by hand" : "circuit_open");
    if (!isolated && only_breaker) {
      standing.probe = Standing::Probe::breaker;
      standing.success_share = std::min(standing.success_share, breaker_->success_share(now));
    }
    return standing;
  }

 private:
  /// A target that has just recovered takes its full share step by step, as long as another can take the rest.
  [[nodiscard]] bool left_to_others(const CallContext& context) const noexcept {
    if (!context.hint().other_ready || context.hint().forced_probe) return false;
    const double share = breaker_->ramp_share(context.now());
    return share < 1 && context.runtime().random_unit() >= share;
  }
  [[nodiscard]] Error refuse_for_ramp(const CallContext& context) const {
    Error error{ErrorKind::circuit_open, "recovering: for now a part of the calls is left to other targets"};
    error.target = target();
    error.retry_after = Duration::zero();
    context.note_skipped(target(), error);
    return error;
  }

  // Refusals are many when a provider is down: fixed words, no formatting.
  [[nodiscard]] std::string_view reason() const noexcept {
    if (breaker_->state() == BreakerState::isolated) return "isolated by hand";
    return breaker_->probe_out() ? "a probe is under way" : "failed too often lately";
  }
  [[nodiscard]] Error refuse(const CallContext& context) const {
    Error error{ErrorKind::circuit_open, std::string{reason()}};
    error.target = target();
    const std::optional<TimePoint> until = breaker_->refuses_until(context.now());
    if (until && *until != TimePoint::max()) error.retry_after = *until - context.now();
    context.note_skipped(target(), error);
    return error;
  }

  std::shared_ptr<CircuitBreaker> breaker_;
};

[[nodiscard]] std::string describe_circuit_breaker(const CircuitBreakerOptions& options) {
  const CircuitBreakerOptions usual;
  detail::OptionsText text{"circuit_breaker"};
  text.add("consecutive_failures", options.consecutive_failures, usual.consecutive_failures)
      .add("failure_rate", options.failure_rate, usual.failure_rate)
      .add("min_calls", options.min_calls, usual.min_calls)
      .add("window", options.window, usual.window)
      .add("open_for", options.open_for, usual.open_for)
      .add("open_for_max", options.open_for_max, usual.open_for_max)
      .add("jitter", options.jitter, usual.jitter)
      .add("forgive_after", options.forgive_after, usual.forgive_after)
      .add("successes_to_close", options.successes_to_close, usual.successes_to_close)
      .add("probe_lease", options.probe_lease, usual.probe_lease)
      .add("slow_after", options.slow_after, usual.slow_after)
      .add("slow_rate", options.slow_rate)
      .add("ramp", options.ramp, usual.ramp);
  return text.text();
}

}  // namespace

Policy circuit_breaker(CircuitBreakerOptions options) {
  if (const std::string problem = problem_with(options); !problem.empty()) throw std::invalid_argument{problem};
  std::string description = describe_circuit_breaker(options);
  return Policy{description, [options = std::move(options), description](Provider next) {
                  auto breaker = CircuitBreaker::create(options, next.target());
                  return Provider{std::make_shared<const Breaking>(std::move(next), std::move(breaker), description)};
                }};
}

Policy circuit_breaker(std::shared_ptr<CircuitBreaker> breaker) {
  if (!breaker) {
    throw std::invalid_argument{"circuit_breaker: the breaker is null; make one with CircuitBreaker::create"};
  }
  std::string description = describe_circuit_breaker(breaker->options());
  return make_policy<Breaking>(std::move(description), std::move(breaker));
}

BreakerVerdict verdict_of(const Error& error) noexcept {
  if (error.timeout_limit == TimeoutLimit::deadline_share || error.timeout_limit == TimeoutLimit::client_deadline) {
    return BreakerVerdict::ignored;
  }
  return traits_of(error.cause.value_or(error.kind)).breaker;
}

}  // namespace backstop::inline v0
