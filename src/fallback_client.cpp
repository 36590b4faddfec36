#include "backstop/fallback_client.hpp"

#include <fmt/format.h>

#include <atomic>
#include <stdexcept>

#include "backstop/routing/candidate.hpp"
#include "pending_state.hpp"
#include "stream_state.hpp"

namespace backstop::inline v0 {

struct FallbackClient::State {
  std::vector<std::unique_ptr<const Candidate>> candidates;
  FallbackOptions options;
  std::shared_ptr<const std::vector<std::shared_ptr<Observer>>> observers;
  mutable std::atomic<bool> probing{false};  // a forced probe is under way
};

namespace {

using Candidates = std::vector<std::unique_ptr<const Candidate>>;

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

[[nodiscard]] constexpr bool passes_with_time(ErrorKind kind) noexcept {
  return kind == ErrorKind::circuit_open || kind == ErrorKind::local_limit;
}

/// Of the reasons for passing targets over, the one the caller should know: one that ends soonest, else the first.
class Refusals {
 public:
  void add(const Candidate& candidate, const Error& error) {
    const bool waits = passes_with_time(error.kind) && error.retry_after.has_value();
    if (waits && (!soonest_ || *error.retry_after < *error_->retry_after)) {
      soonest_ = &candidate;
      error_ = error;
    } else if (!error_) {
      error_ = error;
    }
  }
  [[nodiscard]] const Candidate* soonest() const noexcept { return soonest_; }
  [[nodiscard]] std::optional<Error>& error() noexcept { return error_; }

 private:
  const Candidate* soonest_ = nullptr;
  std::optional<Error> error_;
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

/// The walk of one call along the candidates.
struct Walk {
  Walk(const Candidates& call_candidates, const ChatRequest& call_request, CallContext& call_context)
      : candidates{&call_candidates}, request{&call_request}, context{&call_context}, needs{needs_of(call_request)} {}

  [[nodiscard]] std::optional<Error> obstacle_of(std::size_t index) const {
    return obstacle(*(*candidates)[index], *request, needs, requirement, context->now());
  }
  [[nodiscard]] std::size_t ready_from(std::size_t index) const {
    std::size_t ready = 0;
    for (; index < candidates->size(); ++index) ready += obstacle_of(index) ? 0 : 1;
    return ready;
  }

  const Candidates* candidates;
  const ChatRequest* request;
  CallContext* context;
  Needs needs;
  Requirement requirement;
  Refusals refusals;
  std::optional<Error> failure;  // of the last target that was really tried
};

}  // namespace

FallbackClient::FallbackClient(std::vector<Provider> providers, FallbackOptions options) {
  if (providers.empty()) throw std::invalid_argument{"a FallbackClient needs at least one provider"};
  static_cast<void>(checked(options.limits));
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
  Availability soonest{false, ErrorKind::local_limit, TimePoint::max()};
  for (const auto& candidate : state_->candidates) {
    Availability one = candidate->provider.availability(now);
    if (const auto cooling = candidate->cooldown.active(now)) {
      one = {false, ErrorKind::local_limit, one.ready ? cooling->until : std::max(cooling->until, one.ready_at)};
    }
    if (one.ready) return one;
    if (one.ready_at < soonest.ready_at) soonest = one;
  }
  return soonest;
}

Task<Result<ChatResponse>> FallbackClient::call(const ChatRequest& request, CallContext& context) const {
  const Candidates& candidates = state_->candidates;
  Walk walk{candidates, request, context};
  CallState& call_state = context.state();
  if (call_state.first_choice == nullptr) call_state.first_choice = &candidates.front()->provider.target();
  bool restarting = false;
  bool delivered = false;

  for (std::size_t index = 0; index < candidates.size(); ++index) {
    if (context.stopping()) co_return context.stop_error();
    const Candidate& candidate = *candidates[index];
    if (auto out = walk.obstacle_of(index)) {
      context.note_skipped(candidate.provider.target(), *out);
      walk.refusals.add(candidate, *out);
      continue;
    }
    const std::size_t to_come = walk.ready_from(index + 1);
    if (restarting) {
      StreamEvent event;
      event.type = StreamEvent::Type::restarted;
      event.target = candidate.provider.target();
      context.emit(event);
      call_state.committed = false;
      restarting = false;
    }
    CallContext inner = context;
    inner.set_alternatives(Alternatives{to_come > 0, static_cast<int>(to_come)});
    const DeadlineShare share{inner, to_come};
    auto result = co_await candidate.provider.call(request, inner);
    if (result) {
      candidate.cooldown.note_success();
      result->fallback = result->fallback || index > 0;
      co_return result;
    }
    Error& error = result.error();
    candidate.cooldown.note(error, context.now());
    delivered = delivered || error.committed;
    error.committed = delivered;
    if (passes_with_time(error.kind)) {
      walk.refusals.add(candidate, error);
      continue;
    }
    if (context.stopping() || !walk.requirement.add(error, state_->options.fall_back_on_content_filter)) co_return result;
    if (context.committed()) {
      const bool may_restart = state_->options.mid_stream == MidStream::restart && !call_state.tool_call_delivered;
      if (!may_restart) co_return result;
      restarting = true;
    }
    walk.failure = std::move(error);
    if (call_state.attempts_left <= 0) break;
  }
  if (walk.failure) co_return std::move(*walk.failure);

  const Candidate* soonest = walk.refusals.soonest();
  if (soonest == nullptr) co_return std::move(*walk.refusals.error());
  // Every target is out. One call at a time finds out whether the first to recover is back already.
  const ProbeTurn turn{state_->probing};
  if (!turn.held()) co_return all_out(*walk.refusals.error());
  CallContext inner = context;
  inner.set_forced_probe(true);
  auto result = co_await soonest->provider.call(request, inner);
  if (result) {
    soonest->cooldown.clear();
    result->fallback = result->fallback || soonest != candidates.front().get();
  } else {
    soonest->cooldown.note(result.error(), context.now());
  }
  co_return result;
}

Result<ChatResponse> FallbackClient::chat(const ChatRequest& request) const {
  return chat(request, state_->options.limits);
}

Result<ChatResponse> FallbackClient::chat(const ChatRequest& request, CallLimits limits) const {
  struct Blocking {
    const FallbackClient* client;
    const ChatRequest* request;
    Runtime* runtime;
    detail::RootCall root;
    Runtime::Gate gate;

    void start() {
      root.start(*client, *request, nullptr, [this] { runtime->open(gate); });
    }
  };
  Runtime& runtime = *state_->options.runtime;
  Blocking call{this, &request, &runtime, {runtime, checked(limits), state_->observers.get()}, {}};
  runtime.block_until(call.gate, [&call] { call.start(); });
  return std::move(call.root.result());
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
  Plan plan;
  plan.estimated_input_tokens = needs.input_tokens;
  plan.max_attempts = state_->options.limits.max_attempts;
  plan.worst_time = state_->options.limits.deadline;
  Money dearest;
  bool all_priced = true;
  for (const auto& candidate : state_->candidates) {
    Plan::Step& step = plan.steps.emplace_back();
    step.target = candidate->provider.target();
    step.stack = candidate->provider.describe();
    step.skipped = obstacle(*candidate, request, needs, Requirement{}, now);
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
