#include "backstop/fallback_client.hpp"

#include <fmt/format.h>

#include <atomic>
#include <functional>
#include <stdexcept>

#include "pending_state.hpp"
#include "routing/stream_rescue.hpp"
#include "routing/walk.hpp"
#include "stream_state.hpp"

namespace backstop::inline v0 {

struct FallbackClient::State {
  detail::Candidates candidates;
  FallbackOptions options;
  std::shared_ptr<const std::vector<std::shared_ptr<Observer>>> observers;
  mutable std::atomic<bool> probing{false};  // a forced probe is under way
};

namespace {

using detail::Candidates;
using detail::passes_with_time;
using detail::StreamRescue;
using detail::Walk;

/// Keeps a part of the call's time for the targets still to come: ten seconds for each, at most half of what is left.
class DeadlineShare final : private Timer {
 public:
  DeadlineShare(CallContext& inner, std::size_t targets_to_come) : source_{inner.stop()} {
    inner.set_stop(source_);
    if (targets_to_come == 0 || inner.deadline() == TimePoint::max()) return;
    const Duration reserve = std::min<Duration>(inner.remaining() / 2, per_target * targets_to_come);
    inner.set_deadline(inner.deadline() - reserve);
    inner.runtime().timers().arm(*this, inner.deadline());
  }

 private:
  static constexpr std::chrono::seconds per_target{10};

  void on_timer() noexcept override { source_.request_stop(StopReason::deadline_share); }

  StopSource source_;
};

/// The right to make the one forced probe.
class ProbeTurn {
 public:
  explicit ProbeTurn(std::atomic<bool>& probing) noexcept : probing_{&probing}, held_{!probing.exchange(true)} {}
  ~ProbeTurn() {
    if (held_) probing_->store(false);
  }
  ProbeTurn(const ProbeTurn&) = delete;
  ProbeTurn& operator=(const ProbeTurn&) = delete;
  [[nodiscard]] bool held() const noexcept { return held_; }

 private:
  std::atomic<bool>* probing_;
  bool held_;
};

[[nodiscard]] CallLimits checked(const CallLimits& limits) {
  if (limits.max_attempts < 1) {
    throw std::invalid_argument{
        fmt::format("CallLimits::max_attempts is {}; it counts sends and must be at least 1", limits.max_attempts)};
  }
  return limits;
}

[[nodiscard]] Error all_out(const Error& soonest) {
  Error error{soonest.kind, fmt::format("every target is out; {} recovers first: {}", soonest.target.name(),
                                        soonest.message)};
  error.target = soonest.target;
  error.retry_after = soonest.retry_after;
  return error;
}

}  // namespace

FallbackClient::FallbackClient(std::vector<Provider> providers, FallbackOptions options) {
  if (providers.empty()) throw std::invalid_argument{"a FallbackClient needs at least one provider"};
  static_cast<void>(checked(options.limits));
  if (options.hold) {
    if (const std::string problem = problem_with(*options.hold); !problem.empty()) throw std::invalid_argument{problem};
  }
  auto state = std::make_shared<State>();
  for (Provider& provider : providers) {
    for (const auto& other : state->candidates) {
      if (other->provider.target() == provider.target()) {
        throw std::invalid_argument{fmt::format(
            "the target {} is listed twice; give one of them another provider name", provider.target().name())};
      }
    }
    state->candidates.push_back(std::make_unique<const Candidate>(std::move(provider)));
  }
  if (!options.runtime) options.runtime = Runtime::shared();
  state->observers = std::make_shared<const std::vector<std::shared_ptr<Observer>>>(options.observers);
  state->options = std::move(options);
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

Availability FallbackClient::availability(TimePoint now) const noexcept {
  Availability soonest{.ready = false, .why = ErrorKind::local_limit, .ready_at = TimePoint::max()};
  for (const auto& candidate : state_->candidates) {
    Availability one = candidate->provider.availability(now);
    if (const auto cooling = candidate->cooldown.active(now)) {
      const TimePoint until = one.ready ? cooling->until : std::max(cooling->until, one.ready_at);
      one = {.ready = false, .why = ErrorKind::local_limit, .ready_at = until};
    }
    if (one.ready) return one;
    if (one.ready_at < soonest.ready_at) soonest = one;
  }
  return soonest;
}

Task<Result<ChatResponse>> FallbackClient::call(const ChatRequest& request, CallContext& context) const {
  const Candidates& candidates = state_->candidates;
  const FallbackOptions& options = state_->options;
  Walk walk{candidates, request, context};
  StreamRescue rescue{options.mid_stream, options.hold, request, context};
  CallState& call_state = context.state();
  if (call_state.first_choice == nullptr) call_state.first_choice = &candidates.front()->provider.target();

  while (const std::optional<Walk::Step> step = walk.next()) {
    if (context.stopping() || (step->again && call_state.attempts_left <= 0)) break;
    const std::size_t index = step->index;
    const Provider& provider = candidates[index]->provider;
    if (auto out = walk.obstacle_of(index, context.now())) {
      if (step->again) continue;
      context.note_skipped(provider.target(), *out);
      walk.pass_over(index, *out, context.now());
      continue;
    }
    const std::size_t to_come = step->again ? 0 : walk.ready_from(index + 1, context.now());
    CallContext inner = context;
    inner.set_alternatives(Alternatives{to_come > 0, static_cast<int>(to_come), step->again ? nullptr : &walk});
    rescue.enter(provider.target(), inner);
    const DeadlineShare share{inner, to_come};
    walk.ask(index);
    auto result = co_await provider.call(rescue.request(), inner);
    walk.note(result);
    if (result) {
      rescue.finish(*result);
      co_return result;
    }
    Error& error = result.error();
    rescue.stamp(error);
    if (passes_with_time(error.kind)) {
      walk.refusals.add(*candidates[index], error);
      if (to_come > 0) walk.come_back_to(index);
      continue;
    }
    if (context.stopping()) co_return result;
    const bool went_on = rescue.resuming();
    const bool other_may_do = walk.goes_on(error, options.fall_back_on_content_filter);
    if (went_on && !context.committed()) {
      // It would not go on where another had broken off: that break is what the call failed with.
      if (call_state.attempts_left <= 0) break;
      continue;
    }
    if (!other_may_do || (context.committed() && !rescue.can_go_on())) co_return result;
    if (rescue.resuming()) walk.must_continue_text();
    if (!went_on) walk.failure = std::move(error);
    if (call_state.attempts_left <= 0) break;
  }
  if (context.stopping()) co_return rescue.stamped(context.stop_error());
  if (walk.failure) co_return rescue.stamped(std::move(*walk.failure));

  const Candidate* soonest = walk.refusals.soonest();
  if (soonest == nullptr) co_return std::move(*walk.refusals.error());
  // Every target is out. One call at a time finds out whether the first to recover is back already.
  const ProbeTurn turn{state_->probing};
  if (!turn.held()) co_return all_out(*walk.refusals.error());
  CallContext inner = context;
  inner.set_forced_probe(true);
  rescue.enter(soonest->provider.target(), inner);
  auto result = co_await soonest->provider.call(request, inner);
  if (result) {
    soonest->cooldown.clear();
    result->fallback = result->fallback || soonest != candidates.front().get();
    rescue.finish(*result);
  } else {
    soonest->cooldown.note(result.error(), context.now());
    rescue.stamp(result.error());
  }
  co_return result;
}

Result<ChatResponse> FallbackClient::chat(const ChatRequest& request) const {
  return chat(request, state_->options.limits);
}

Result<ChatResponse> FallbackClient::chat(const ChatRequest& request, CallLimits limits) const {
  Runtime& runtime = *state_->options.runtime;
  detail::RootCall root{runtime, checked(limits), state_->observers.get()};
  Runtime::Gate gate;
  const auto end = [&] { runtime.open(gate); };
  const auto start = [&] { root.start(*this, request, nullptr, std::ref(end)); };
  runtime.block_until(gate, std::ref(start));
  return std::move(root.result());
}

ChatStream FallbackClient::stream(ChatRequest request) const {
  return stream(std::move(request), state_->options.limits);
}

ChatStream FallbackClient::stream(ChatRequest request, CallLimits limits) const {
  auto state = std::make_shared<detail::StreamState>(state_->options.runtime, Provider{*this}, std::move(request),
                                                     checked(limits), state_->observers);
  detail::StreamState::launch(state);
  return ChatStream{std::move(state)};
}

std::shared_ptr<detail::PendingState> FallbackClient::launch(ChatRequest request, CallLimits limits,
                                                             StreamSink* sink) const {
  auto state = std::make_shared<detail::PendingState>(state_->options.runtime, Provider{*this}, std::move(request),
                                                      checked(limits), state_->observers, sink);
  detail::PendingState::launch(state);
  return state;
}

PendingCall FallbackClient::start(ChatRequest request) const { return start(std::move(request), state_->options.limits); }

PendingCall FallbackClient::start(ChatRequest request, CallLimits limits) const {
  return PendingCall{launch(std::move(request), limits, nullptr)};
}

PendingCall FallbackClient::start(ChatRequest request, CallLimits limits, StreamSink& sink) const {
  return PendingCall{launch(std::move(request), limits, &sink)};
}

AsyncCall FallbackClient::chat_async(ChatRequest request) const { return AsyncCall{start(std::move(request))}; }

Plan FallbackClient::explain(const ChatRequest& request) const {
  const TimePoint now = state_->options.runtime->clock().now();
  const Needs needs = needs_of(request);
  CallState call_state{*state_->options.runtime};
  StopSource stop;
  CallContext context{call_state, stop, TimePoint::max()};
  Walk walk{state_->candidates, request, context};
  Plan plan;
  plan.estimated_input_tokens = needs.input_tokens;
  plan.max_attempts = state_->options.limits.max_attempts;
  plan.worst_time = state_->options.limits.deadline;
  Money dearest;
  bool all_priced = true;
  for (std::size_t index = 0; index < state_->candidates.size(); ++index) {
    const Provider& provider = state_->candidates[index]->provider;
    Plan::Step& step = plan.steps.emplace_back();
    step.target = provider.target();
    step.stack = provider.describe();
    step.skipped = walk.obstacle_of(index, now);
    if (step.skipped) walk.pass_over(index, *step.skipped, now);
    step.worst_cost = worst_cost(step.target, request, needs);
    if (step.worst_cost) {
      dearest = std::max(dearest, *step.worst_cost);
    } else {
      all_priced = false;
    }
  }
  if (all_priced) plan.worst_cost = dearest * plan.max_attempts;
  return plan;
}

}  // namespace backstop::inline v0
