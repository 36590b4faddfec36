#include "backstop/fallback_client.hpp"

#include <algorithm>
#include <functional>
#include <stdexcept>

#include <fmt/format.h>

#include "call/client_snapshot.hpp"
#include "call/pending_state.hpp"
#include "call/plan.hpp"
#include "call/stream_state.hpp"
#include "fallback_client/state.hpp"
#include "handover/feedback.hpp"

namespace backstop::inline v0 {

namespace {

using detail::Candidates;

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
  if (problem.empty() && options.escalation_wording.find(detail::reasons_mark) == std::string::npos) {
    problem = "FallbackOptions::escalation_wording has no {reasons}, where the reasons are to stand";
  }
  if (problem.empty()) problem = problem_with(options.degrade);
  if (!problem.empty()) throw std::invalid_argument{problem};
}

/// The targets that a provider may send to, in their order.
void list_targets(const ChatProvider& provider, std::vector<Target>& targets) {
  const Layer layer = provider.layer();
  if (layer.around.empty()) targets.push_back(provider.target());
  for (const ChatProvider* next : layer.around) list_targets(*next, targets);
}

/// Takes note of the ladders of clients further in. Answers of one behind a quality floor would not be checked by it:
/// these are left out.
void note_ladders(const ChatProvider& provider, detail::Pool& pool, bool behind_floor = false) {
  const Layer layer = provider.layer();
  behind_floor = behind_floor || layer.judges;
  if (layer.pool != nullptr) {
    pool.members_degrade = pool.members_degrade || layer.pool->degrades();
    if (behind_floor) return;
    pool.answers.insert(pool.answers.end(), layer.pool->answers.begin(), layer.pool->answers.end());
    return;
  }
  for (const ChatProvider* next : layer.around) note_ladders(*next, pool, behind_floor);
}

void refuse_repeated(const Candidates& candidates) {
  std::vector<Target> targets;
  for (const auto& candidate : candidates) {
    targets.insert(targets.end(), candidate->targets.begin(), candidate->targets.end());
  }
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (std::find(targets.begin() + static_cast<std::ptrdiff_t>(i) + 1, targets.end(), targets[i]) == targets.end()) continue;
    throw std::invalid_argument{fmt::format("the target {} is listed twice; give one of them another provider name",
                                            targets[i].name())};
  }
}

void remember(detail::Candidate& candidate) {
  candidate.statistics = candidate.provider.get().keep_statistics();
  if (candidate.statistics != nullptr) return;
  candidate.own_statistics = std::make_unique<detail::TargetStatistics>();
  candidate.statistics = candidate.own_statistics.get();
}

/// A call that is over before it has begun.
class Refusal final : public ChatProvider {
 public:
  Refusal(Target target, Error error) : target_{std::move(target)}, error_{std::move(error)} {}

  [[nodiscard]] const Target& target() const noexcept override { return target_; }
  Task<Result<ChatResponse>> call(const ChatRequest&, CallContext&) const override { co_return error_; }
  [[nodiscard]] std::string describe() const override { return "refused"; }

 private:
  Target target_;
  Error error_;
};

}  // namespace

FallbackClient::FallbackClient(std::vector<Provider> providers, FallbackOptions options)
    : state_{make_state(std::move(providers), std::move(options), nullptr)} {}

FallbackClient::FallbackClient(std::shared_ptr<const State> state) noexcept : state_{std::move(state)} {}

std::shared_ptr<FallbackClient::State> FallbackClient::make_state(std::vector<Provider> providers,
                                                                  FallbackOptions options, const State* shared) {
  if (providers.empty()) throw std::invalid_argument{"a FallbackClient needs at least one provider"};
  check(options);
  if (!options.runtime) options.runtime = Runtime::shared();
  auto state = std::make_shared<State>(std::move(options), shared);
  state->pool.ladder = detail::Ladder{state->options.degrade, state->options.degrade_early};
  if (state->pool.ladder.has_answers()) state->pool.answers.push_back(&state->pool.ladder);
  const bool chooses = providers.size() > 1 && !state->options.strategy.is_ordered();
  for (Provider& provider : providers) {
    auto candidate = std::make_unique<detail::Candidate>(std::move(provider));
    list_targets(candidate->provider.get(), candidate->targets);
    note_ladders(candidate->provider.get(), state->pool);
    candidate->is_pool = candidate->targets.size() > 1;
    if (state->options.hedge) {
      candidate->hedge = state->hedge_memory->of(candidate->provider.get(), *state->options.hedge);
    }
    if (chooses) remember(*candidate);
    state->pool.candidates.push_back(std::move(candidate));
  }
  refuse_repeated(state->pool.candidates);
  if (chooses) {
    state->pool.choosing.emplace(state->options.strategy, state->pool.candidates, state->options.runtime->new_seed());
  } else {
    static_cast<void>(state->options.strategy.make(1));  // whether it fits
  }
  state->observers = std::make_shared<const std::vector<std::shared_ptr<Observer>>>(state->options.observers);
  return state;
}

FallbackClient::FallbackClient(Provider only) : FallbackClient{list(std::move(only))} {}

const FallbackOptions& FallbackClient::options() const noexcept { return state_->options; }

const Target& FallbackClient::target() const noexcept { return state_->pool.candidates.front()->provider.target(); }

std::string FallbackClient::describe() const {
  std::string text = "fallback(";
  for (const auto& candidate : state_->pool.candidates) {
    if (text.back() != '(') text += ", ";
    text += candidate->provider.describe();
  }
  for (const Rung& rung : state_->options.degrade) {
    const bool first = &rung == &state_->options.degrade.front();
    text.append(!first ? " > " : state_->options.degrade_early ? ", degrade early = " : ", degrade = ");
    text.append(to_string(rung.kind));
    if (rung.summarized_by) text += fmt::format("({})", rung.summarized_by->describe());
  }
  if (!state_->options.strategy.is_ordered()) text += ", strategy = " + state_->options.strategy.describe();
  return text + ")";
}

Layer FallbackClient::layer() const {
  Layer layer;
  layer.name = "fallback";
  layer.pool = &state_->pool;
  for (const auto& candidate : state_->pool.candidates) layer.around.push_back(&candidate->provider.get());
  layer.sends = state_->options.limits.max_attempts;
  layer.limits = {{"deadline", state_->options.limits.deadline}};
  return layer;
}

Standing FallbackClient::standing(const ChatRequest& request, const Needs& needs, TimePoint now) const noexcept {
  const Candidates& candidates = state_->pool.candidates;
  Standing all = candidates.front()->provider.standing(request, needs, now);
  for (std::size_t index = 1; index < candidates.size(); ++index) {
    all = Standing::of_either(all, candidates[index]->provider.standing(request, needs, now));
  }
  const detail::Ladder& ladder = state_->pool.ladder;
  if (!needs.may_degrade || all.ready() || ladder.reductions().empty()) return all;
  // What it could do with its own rungs.
  const int targets = all.targets;
  const Needs least = ladder.needs_after(needs, ladder.all());
  for (const auto& candidate : candidates) {
    all = Standing::of_either(all, candidate->provider.standing(request, least, now));
  }
  all.targets = targets;
  return all;
}

CallLimits FallbackClient::limits_with(const LimitOverrides& overrides) const {
  CallLimits limits = state_->options.limits;
  limits.deadline = overrides.deadline.value_or(limits.deadline);
  limits.max_attempts = overrides.max_attempts.value_or(limits.max_attempts);
  if (overrides.recovery_wait) limits.recovery_wait = overrides.recovery_wait;
  check(limits);
  return limits;
}

detail::CallSetup FallbackClient::setup(const CallOptions& options) const {
  detail::CallSetup setup{state_->options.runtime, Provider{*this}, limits_with(options.limits), state_->observers,
                          state_->options.quote_providers, options.stop, options.on_event, nullptr, nullptr};
  if (options.observer || options.on_event) {
    auto observers = std::make_shared<std::vector<std::shared_ptr<Observer>>>(*state_->observers);
    if (options.observer) observers->push_back(options.observer);
    if (options.on_event) observers->push_back(setup.progress = std::make_shared<detail::ProgressForwarder>());
    setup.observers = std::move(observers);
  }
  if (!options.targets.empty()) {
    Result<FallbackClient> chosen = only(options.targets);
    setup.provider = chosen ? Provider{*std::move(chosen)} : Provider{Refusal{target(), std::move(chosen).error()}};
  }
  if (options.around) {
    setup.client = &setup.provider.get();
    setup.provider = std::move(setup.provider) | *options.around;
  }
  return setup;
}

Result<ChatResponse> FallbackClient::chat(const ChatRequest& request, const CallOptions& options) const {
  if (options.stop.stop_possible() || options.on_event || options.sink != nullptr || options.observer ||
      !options.targets.empty() || options.around) {
    return PendingCall{detail::PendingState::launch(setup(options), request, options.sink, false)}.wait();
  }
  // The same without a copy of the request, and without an object that outlives this call.
  Runtime& runtime = *state_->options.runtime;
  detail::RootCall root{runtime, limits_with(options.limits), state_->observers.get(), state_->options.quote_providers};
  Runtime::Gate gate;
  const auto end = [&] { runtime.open(gate); };
  const auto start = [&] { root.start(*this, request, nullptr, std::ref(end)); };
  runtime.block_until(gate, std::ref(start));
  return std::move(root.result());
}

ChatStream FallbackClient::stream(ChatRequest request, const CallOptions& options) const {
  if (options.sink != nullptr) {
    throw std::invalid_argument{
        "CallOptions::sink is for chat, start and chat_async; the range of stream gets the events"};
  }
  return ChatStream{detail::StreamState::launch(setup(options), std::move(request))};
}

PendingCall FallbackClient::start(ChatRequest request, const CallOptions& options) const {
  return PendingCall{detail::PendingState::launch(setup(options), std::move(request), options.sink, true)};
}

AsyncCall FallbackClient::chat_async(ChatRequest request, const CallOptions& options) const {
  return AsyncCall{start(std::move(request), options)};
}

Plan FallbackClient::explain(const ChatRequest& request) const {
  return detail::plan_of(state_->pool, *state_->recovery, *state_->options.runtime, state_->options.limits, request);
}

ClientSnapshot FallbackClient::snapshot() const {
  return detail::snapshot_of(state_->pool, state_->options.strategy, state_->options.runtime->clock().now());
}

}  // namespace backstop::inline v0
