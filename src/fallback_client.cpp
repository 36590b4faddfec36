#include "backstop/fallback_client.hpp"

#include <algorithm>
#include <functional>
#include <stdexcept>

#include <fmt/format.h>

#include "call/pending_state.hpp"
#include "call/stream_state.hpp"
#include "routing/deadline_share.hpp"
#include "routing/hedge_race.hpp"
#include "routing/inner_limits.hpp"
#include "routing/recovery.hpp"
#include "routing/stream_rescue.hpp"
#include "routing/walk.hpp"
#include "runtime/exception_error.hpp"

namespace backstop::inline v0 {

struct FallbackClient::State {
  explicit State(FallbackOptions client_options) : options{std::move(client_options)}, recovery{options.recovery} {
    if (options.hedge) {
      hedges.emplace(options.hedge->shared_budget ? *options.hedge->shared_budget : HedgeBudget{options.hedge->budget});
    }
  }

  const FallbackOptions options;
  detail::Candidates candidates;
  std::shared_ptr<const std::vector<std::shared_ptr<Observer>>> observers;
  std::optional<const HedgeBudget> hedges;
  mutable detail::RecoveryQueue recovery;
};

namespace {

using detail::Candidates;
using detail::DeadlineShare;
using detail::HedgeRace;
using detail::InnerLimits;
using detail::Recovery;
using detail::StreamRescue;
using detail::Walk;

void check(const CallLimits& limits) {
  if (limits.max_attempts < 1) {
    throw std::invalid_argument{
        fmt::format("CallLimits::max_attempts is {}; it counts sends and must be at least 1", limits.max_attempts)};
  }
  if (limits.recovery_wait && *limits.recovery_wait < Duration::zero()) {
    throw std::invalid_argument{"CallLimits::recovery_wait must not be negative"};
  }
}

void check(const FallbackOptions& options) {
  check(options.limits);
  std::string problem = problem_with(options.recovery);
  if (problem.empty() && options.hold) problem = problem_with(*options.hold);
  if (problem.empty() && options.hedge) problem = problem_with(*options.hedge);
  if (!problem.empty()) throw std::invalid_argument{problem};
}

/// The targets that a provider may send to, in their order.
void list_targets(const ChatProvider& provider, std::vector<Target>& targets) {
  const Layer layer = provider.layer();
  if (layer.around.empty()) targets.push_back(provider.target());
  for (const ChatProvider* next : layer.around) list_targets(*next, targets);
}

void refuse_repeated(const Candidates& candidates) {
  std::vector<Target> targets;
  for (const auto& candidate : candidates) list_targets(candidate->provider.get(), targets);
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (std::find(targets.begin() + static_cast<std::ptrdiff_t>(i) + 1, targets.end(), targets[i]) == targets.end()) continue;
    throw std::invalid_argument{fmt::format("the target {} is listed twice; give one of them another provider name",
                                            targets[i].name())};
  }
}

[[nodiscard]] Error all_out(const Error& soonest) {
  Error error{soonest.kind, fmt::format("every target is out; {} recovers first: {}", soonest.target.name(),
                                        soonest.message)};
  error.target = soonest.target;
  error.retry_after = soonest.retry_after;
  return error;
}

/// What the call fails with when nobody is left to ask: what really failed last, else what stands in the way.
[[nodiscard]] Error nobody_left(Walk& walk, std::optional<TimePoint> back_at, TimePoint now) {
  if (walk.failure()) return std::move(*walk.failure());
  Error& refusal = *walk.refusal();
  if (!refusal.retry_after) return std::move(refusal);
  Error error = all_out(refusal);
  if (back_at && *back_at > now) error.retry_after = std::max(*error.retry_after, saturating_difference(*back_at, now));
  return error;
}

/// The exception in flight as the target's failure, with a row: nothing else is known of what was sent.
[[nodiscard]] Error thrown_by(const Provider& provider, const CallContext& context) noexcept {
  Error error = detail::error_from_exception("the provider");
  error.target = provider.target();
  error.committed = context.committed();
  try {
    context.note_skipped(error.target, error);
  } catch (...) {  // no memory for a row
  }
  return error;
}

/// The steps that a candidate stands for: itself, or the targets of the client that it is.
void explain_into(Plan& plan, const ChatProvider& provider, const std::optional<Error>& refused,
                  const ChatRequest& request, const Needs& needs, TimePoint now) {
  const ChatProvider* inside = &provider;
  Layer layer = inside->layer();
  while (layer.around.size() == 1 && layer.name != "fallback") {
    inside = layer.around.front();
    layer = inside->layer();
  }
  const Standing standing = provider.standing(request, needs, now);
  if (layer.around.empty()) {
    Plan::Step& step = plan.steps.emplace_back();
    step.target = provider.target();
    step.stack = provider.describe();
    step.skipped = refused;
    step.worst_cost = standing.worst_cost;
    return;
  }
  for (const ChatProvider* member : layer.around) {
    std::optional<Error> out = refused;
    const Standing own = member->standing(request, needs, now);
    if (!own.ready()) out = refusal_of(own, request, needs, now);
    explain_into(plan, *member, out, request, needs, now);
  }
}

/// Told of the first content of any send: others that wait for a target to come back may go on. What was answered
/// without one, from a cache, says nothing of a target.
class SuccessNote final : public AttemptObserver {
 public:
  explicit SuccessNote(detail::RecoveryQueue& queue) noexcept : queue_{&queue} {}
  [[nodiscard]] std::optional<Error> on_begin(Send&) override {
    ++under_way_;
    return std::nullopt;
  }
  void on_first_content(TimePoint) noexcept override {
    if (under_way_ > 0) queue_->note_success();
  }
  void on_end(Send&, const Attempt*) noexcept override { --under_way_; }

 private:
  detail::RecoveryQueue* queue_;
  int under_way_ = 0;
};

}  // namespace

FallbackClient::FallbackClient(std::vector<Provider> providers, FallbackOptions options) {
  if (providers.empty()) throw std::invalid_argument{"a FallbackClient needs at least one provider"};
  check(options);
  if (!options.runtime) options.runtime = Runtime::shared();
  auto state = std::make_shared<State>(std::move(options));
  for (Provider& provider : providers) {
    auto candidate = std::make_unique<detail::Candidate>(std::move(provider));
    std::vector<Target> targets;
    list_targets(candidate->provider.get(), targets);
    candidate->is_pool = targets.size() > 1;
    if (state->options.hedge) candidate->hedge = std::make_unique<const detail::HedgeDelays>(*state->options.hedge);
    state->candidates.push_back(std::move(candidate));
  }
  refuse_repeated(state->candidates);
  state->observers = std::make_shared<const std::vector<std::shared_ptr<Observer>>>(state->options.observers);
  state_ = std::move(state);
}

const FallbackOptions& FallbackClient::options() const noexcept { return state_->options; }

const Target& FallbackClient::target() const noexcept { return state_->candidates.front()->provider.target(); }

std::string FallbackClient::describe() const {
  std::string text = "fallback(";
  for (const auto& candidate : state_->candidates) {
    if (text.back() != '(') text += ", ";
    text += candidate->provider.describe();
  }
  return text + ")";
}

Layer FallbackClient::layer() const {
  Layer layer;
  layer.name = "fallback";
  for (const auto& candidate : state_->candidates) layer.around.push_back(&candidate->provider.get());
  layer.sends = state_->options.limits.max_attempts;
  layer.limits = {{"deadline", state_->options.limits.deadline}};
  return layer;
}

Standing FallbackClient::standing(const ChatRequest& request, const Needs& needs, TimePoint now) const noexcept {
  const Candidates& candidates = state_->candidates;
  Standing all = candidates.front()->provider.standing(request, needs, now);
  for (std::size_t index = 1; index < candidates.size(); ++index) {
    all = Standing::of_either(all, candidates[index]->provider.standing(request, needs, now));
  }
  return all;
}

Task<Result<ChatResponse>> FallbackClient::call(const ChatRequest& request, CallContext& outer) const {
  const Candidates& candidates = state_->candidates;
  const FallbackOptions& options = state_->options;
  CallState& call = outer.state();
  CallContext context = outer;
  // Around another client's call its own limits are the call's already.
  const InnerLimits limits{context, call.root == this ? nullptr : &options.limits};
  SuccessNote success{state_->recovery};
  context.add_observer(success);
  Walk walk{candidates, request, context};
  StreamRescue rescue{options.mid_stream, options.hold, request, context};
  Recovery recovery{state_->recovery, context};
  if (call.first_choice == nullptr) call.first_choice = &target();

  std::optional<std::size_t> forced;  // to be asked though every target is out
  if (context.hint().forced_probe) forced = walk.recovery(context.now(), Duration::zero()).probe;
  for (;;) {
    if (context.stopping()) co_return rescue.stamped(context.stop_error());
    const std::optional<std::size_t> chosen = forced ? forced : walk.next();
    if (!chosen) {
      Task<Recovery::Next> waiting = recovery.next(walk);
      const Recovery::Next next = co_await waiting;
      if (context.stopping()) co_return rescue.stamped(context.stop_error());
      if (!next.go_on) co_return rescue.stamped(nobody_left(walk, next.back_at, context.now()));
      forced = next.probe;
      if (!forced) walk.begin_again(options.recovery.repeat_failed);
      continue;
    }
    const std::size_t index = *chosen;
    const Provider& provider = candidates[index]->provider;
    const bool probes = std::exchange(forced, std::nullopt).has_value();
    const int to_come = probes ? 0 : walk.ready_behind();

    CallContext outside = context;  // of the target, with what stands between it and the consumer
    RoutingHint hint = context.hint();
    hint.in_client = true;
    hint.other_ready = hint.other_ready || to_come > 0;
    hint.kept_sends = std::min(hint.kept_sends + to_come, call.attempts_left - 1);
    hint.forced_probe = hint.forced_probe || probes;
    hint.continues_text = walk.continues_text();
    hint.targets_to_come += to_come;
    hint.whole_deadline = std::min(hint.whole_deadline, call.root == this ? context.deadline() : TimePoint::max());
    hint.cooldown_max = options.recovery.cooldown_max;
    rescue.enter(outside);
    CallContext inner = outside;
    inner.set_hint(hint);
    const DeadlineShare share{inner, candidates[index]->is_pool};
    std::optional<HedgeRace> race;
    if (options.hedge && to_come > 0 && !context.committed()) {
      race.emplace(HedgeRace::Entry{*options.hedge, *state_->hedges, candidates, walk, index, rescue.request(), outside,
                                    inner});
    }
    CallContext& asked = race ? race->context() : inner;
    std::optional<Result<ChatResponse>> outcome;
    try {
      Task<Result<ChatResponse>> task = provider.call(rescue.request(), asked);
      auto answered = co_await task;
      outcome.emplace(std::move(answered));
    } catch (...) {
      outcome.emplace(thrown_by(provider, asked));
    }
    std::size_t judged = index;  // whose result it is
    if (race) {
      race->first_ended(*std::move(outcome));
      if (auto* second = race->second()) {
        auto end = second->end();
        co_await end;
      }
      outcome.emplace(race->conclude());
      if (race->second_answered()) {
        judged = race->second_index();
        walk.leave_to_others(index);  // it was only slow
      }
      if (const auto loser = race->loser()) static_cast<void>(walk.note_failure(loser->index, *loser->error, true));
    }
    Result<ChatResponse>& result = *outcome;
    if (result) {
      recovery.end_probe(true);
      result->fallback = result->fallback || judged > 0;
      rescue.finish(*result);
      co_return std::move(result);
    }
    recovery.end_probe(false);
    Error& error = result.error();
    const bool wrote = error.committed || context.committed();  // to the consumer, since it was asked
    rescue.stamp(error);
    if (detail::is_refusal(error.kind)) {
      walk.note_refusal(judged, error, to_come > 0);
      continue;
    }
    if (context.stopping()) co_return std::move(result);
    const bool went_on = rescue.resuming();
    const bool other_may_do = walk.note_failure(judged, error, options.fall_back_on_content_filter);
    if (went_on && !wrote) {
      // It would not go on where another had broken off: that break is what the call failed with.
      if (context.sends_left() <= 0) co_return rescue.stamped(nobody_left(walk, {}, context.now()));
      continue;
    }
    if (!other_may_do || (error.committed && !rescue.can_go_on())) co_return std::move(result);
    if (rescue.resuming()) walk.must_continue_text();
    if (!went_on) walk.set_failure(std::move(error));
    if (context.sends_left() <= 0) co_return rescue.stamped(nobody_left(walk, {}, context.now()));
  }
}

Result<ChatResponse> FallbackClient::chat(const ChatRequest& request) const {
  return chat(request, state_->options.limits);
}

Result<ChatResponse> FallbackClient::chat(const ChatRequest& request, CallLimits limits) const {
  check(limits);
  Runtime& runtime = *state_->options.runtime;
  detail::RootCall root{runtime, limits, state_->observers.get(), state_->options.quote_providers};
  Runtime::Gate gate;
  const auto end = [&] { runtime.open(gate); };
  const auto start = [&] { root.start(*this, request, nullptr, std::ref(end)); };
  runtime.block_until(gate, std::ref(start));
  return std::move(root.result());
}

detail::CallSetup FallbackClient::setup(const CallLimits& limits) const {
  check(limits);
  return {state_->options.runtime, Provider{*this}, limits, state_->observers, state_->options.quote_providers};
}

ChatStream FallbackClient::stream(ChatRequest request) const {
  return stream(std::move(request), state_->options.limits);
}

ChatStream FallbackClient::stream(ChatRequest request, CallLimits limits) const {
  return ChatStream{detail::StreamState::launch(setup(limits), std::move(request))};
}

PendingCall FallbackClient::start(ChatRequest request) const { return start(std::move(request), state_->options.limits); }

PendingCall FallbackClient::start(ChatRequest request, CallLimits limits) const {
  return PendingCall{detail::PendingState::launch(setup(limits), std::move(request), nullptr)};
}

PendingCall FallbackClient::start(ChatRequest request, CallLimits limits, StreamSink& sink) const {
  return PendingCall{detail::PendingState::launch(setup(limits), std::move(request), &sink)};
}

AsyncCall FallbackClient::chat_async(ChatRequest request) const { return AsyncCall{start(std::move(request))}; }

Plan FallbackClient::explain(const ChatRequest& request) const {
  const FallbackOptions& options = state_->options;
  const TimePoint now = options.runtime->clock().now();
  CallState call{*options.runtime};
  Branch branch;
  StopSource stop;
  CallContext context{call, branch, stop, TimePoint::max()};
  Walk walk{state_->candidates, request, context};
  walk.needs().costs = true;
  Plan plan;
  plan.estimated_input_tokens = walk.needs().input_tokens;
  plan.max_attempts = options.limits.max_attempts;
  plan.worst_time = options.limits.deadline;
  for (std::size_t index = 0; index < state_->candidates.size(); ++index) {
    const Provider& provider = state_->candidates[index]->provider;
    explain_into(plan, provider.get(), walk.obstacle(index, now), request, walk.needs(), now);
  }
  Money dearest;
  bool any_ready = false;
  bool all_priced = true;
  for (const Plan::Step& step : plan.steps) {
    any_ready = any_ready || !step.skipped;
    all_priced = all_priced && step.worst_cost;
    dearest = std::max(dearest, step.worst_cost.value_or(Money{}));
  }
  if (all_priced) plan.worst_cost = dearest * plan.max_attempts;
  if (!any_ready) {
    const Walk::Recovery back = walk.recovery(now, options.recovery.probe_interval);
    const TimePoint probe_at =
        back.probe ? std::max(back.probe_from, state_->recovery.next_probe(now)) : TimePoint::max();
    const TimePoint at = std::min(back.at, probe_at);
    const Duration wait = saturating_difference(at, now);
    if (at != TimePoint::max() && wait <= options.recovery.max_wait) plan.waits = wait;
  }
  return plan;
}

}  // namespace backstop::inline v0
