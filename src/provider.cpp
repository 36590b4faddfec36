#include "backstop/provider.hpp"

#include <algorithm>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "backstop/handover/needs.hpp"
#include "backstop/observe/observer.hpp"
#include "chat/interrupted.hpp"
#include "chat/token_estimate.hpp"
#include "handover/cost_estimate.hpp"
#include "handover/misfit.hpp"
#include "handover/own_parameters.hpp"
#include "runtime/attempt_watchdog.hpp"
#include "runtime/exception_error.hpp"
#include "runtime/given_up.hpp"
#include "state/ask_in_turn.hpp"
#include "state/budget_turn.hpp"
#include "state/target_state.hpp"

namespace backstop::inline v0 {
namespace {

/// An answer of at most so many tokens is short: nothing is gained by asking for a stream.
constexpr std::int64_t short_answer = 256;

[[nodiscard]] bool stopped_by_caller(const Error& error) noexcept {
  return error.kind == ErrorKind::cancelled || error.kind == ErrorKind::deadline_exceeded;
}

/// What the observers have let begin; ends for them in any case.
class SendScope {
 public:
  SendScope(Send& send, const CallContext& context) noexcept : send_{&send}, context_{&context} {}
  ~SendScope() {
    if (open_) context_->end_send(*send_, nullptr);
  }
  SendScope(const SendScope&) = delete;
  SendScope& operator=(const SendScope&) = delete;

  void begun() noexcept { open_ = true; }
  /// Its row has told them.
  void ended() noexcept { open_ = false; }

 private:
  Send* send_;
  const CallContext* context_;
  bool open_ = false;
};

/// Does what takes memory and can be left out.
template <class Action>
void if_memory(const Action& action) noexcept {
  try {
    action();
  } catch (const std::bad_alloc&) {
  }
}

/// One send: counts it, opens its row in the ledger, and closes the row with what came of it. The row takes memory only
/// when it is opened; later the words in it may be missing.
class AttemptRecord {
 public:
  AttemptRecord(Send& send, SendScope& scope, CallContext& context, TargetState& target, bool streamed,
                std::string reason)
      : send_{&send},
        scope_{&scope},
        context_{&context},
        target_{context.state().active_probe ? nullptr : &target},
        statistics_{target_ != nullptr ? target.statistics() : nullptr},
        row_{context.state().ledger.size()} {
    CallState& state = context.state();
    if (send.output_limit) {
      reason += fmt::format("{}output limited to {} tokens by what may be spent", reason.empty() ? "" : "; ",
                            *send.output_limit);
    }
    Attempt& attempt = state.add_row(*send.target);
    attempt.reason = std::move(reason);
    --state.attempts_left;
    attempt.sent = true;
    attempt.judge = context.hint().judges;
    attempt.summary = context.hint().summarizes;
    attempt.waited = std::exchange(context.branch().waited, Duration::zero());
    context.set_progress(&progress_);
    progress_.started = context.now();
    progress_.streamed = streamed;
    if (target_ != nullptr) target_->cooldown.note_begin(progress_.started);
    if (const Pick* pick = context.hint().pick) {
      if (pick->session != nullptr) attempt.session = *pick->session;
      attempt.chosen_by = pick->strategy;
      attempt.score = pick->score;
    }
    if (context.streaming()) context.sink()->on_attempt(*send.target);
    if (statistics_ != nullptr) statistics_->begin();
    ProgressEvent event;
    context.note_progress(event, row_);
  }
  ~AttemptRecord() {
    if (statistics_ != nullptr) statistics_->abandon();
  }
  AttemptRecord(const AttemptRecord&) = delete;
  AttemptRecord& operator=(const AttemptRecord&) = delete;

  /// Closes the row where there is no memory to say what came of it.
  void abandon() noexcept {
    Attempt& attempt = context_->state().ledger[row_];
    attempt.outcome = ErrorKind::local_limit;
    attempt.replay = may_have_arrived() ? ReplaySafety::maybe_processed : ReplaySafety::not_sent;
    attempt.sent = may_have_arrived();
    if (!attempt.sent) ++context_->state().attempts_left;
    if (target_ != nullptr) target_->cooldown.note_nothing();
    tell_end(attempt);
    if (attempt.sent) publish(attempt);
  }

  [[nodiscard]] const AttemptProgress& progress() const noexcept { return progress_; }
  /// From now on the provider works on it.
  void begin() noexcept { begun_ = true; }
  [[nodiscard]] bool may_have_arrived() const noexcept {
    return progress_.network ? AttemptProgress::reached(progress_.connected) : begun_;
  }

  void close(Result<ChatResponse>& result) noexcept {
    const TimePoint end = context_->runtime().refresh_now();
    if (result && !AttemptProgress::reached(progress_.first_content)) context_->note_first_content(end);
    Attempt& attempt = context_->state().ledger[row_];
    attempt.elapsed = end - progress_.started;
    if (AttemptProgress::reached(progress_.first_content)) attempt.ttft = progress_.first_content - progress_.started;
    if (result) {
      close_answer(*result, attempt);
    } else {
      close_error(result.error(), attempt);
    }
    // Refused before anything went out, as for a missing key: no send of the call was used.
    if (!result && result.error().replay == ReplaySafety::not_sent && !progress_.counts &&
        (!progress_.network || result.error().kind == ErrorKind::local_limit)) {
      attempt.sent = false;
    }
    note_network(attempt, end);
    if (attempt.sent) {
      note(result, attempt, end);
    } else {
      ++context_->state().attempts_left;
      if (target_ != nullptr) target_->cooldown.note_nothing();
    }
    tell_end(attempt);
    if (!result && context_->streaming()) context_->sink()->on_attempt_failed();
    if (attempt.sent) publish(attempt);
    // Not for observers, so after them.
    if (!result) if_memory([&] { attempt.provider_message = result.error().provider_message; });
  }

 private:
  void tell_end(const Attempt& attempt) noexcept {
    send_->mended = progress_.mended;
    context_->end_send(*send_, &attempt);
    scope_->ended();
    send_->unstake();
  }
  /// Whether the machine's network is at fault stands in the row.
  void note_network(Attempt& attempt, TimePoint now) const noexcept {
    if (target_ == nullptr || !progress_.network || attempt.target.facts().local) return;
    NetworkWatch& network = context_->runtime().network();
    if (attempt.outcome == ErrorKind::connect_failed) {
      network.note_failure(attempt.target, now);
      if (!network.at_fault()) return;
      if_memory([&] { attempt.reason += "; other providers cannot be reached either: local_network"; });
    } else if (!attempt.outcome || attempt.http_status != 0) {
      network.note_success();
    }
  }

  void note(const Result<ChatResponse>& result, const Attempt& attempt, TimePoint now) noexcept {
    if (target_ == nullptr) return;
    if (attempt.rate_limit) target_->note_limits(*attempt.rate_limit, now);
    if (result) {
      target_->cooldown.note_success();
    } else if (progress_.mended) {
      target_->cooldown.note_nothing();
    } else {
      target_->cooldown.note(result.error(), now, context_->hint().cooldown_max);
    }
    if (detail::TargetStatistics* statistics = std::exchange(statistics_, nullptr)) {
      const Error* error = result ? nullptr : &result.error();
      if (attempt.outcome == ErrorKind::connect_failed && context_->runtime().network().at_fault()) {
        return statistics->abandon();
      }
      statistics->end({now, attempt.elapsed, attempt.ttft, error, attempt.usage});
    }
  }

  void close_answer(ChatResponse& response, Attempt& attempt) const noexcept {
    if (response.served_by.empty()) response.served_by = attempt.target;
    if (response.model.empty()) if_memory([&] { response.model = attempt.target.model(); });
    attempt.usage = response.usage;
    attempt.replay = ReplaySafety::processed;
    if (take_reported_cost(attempt)) return;
    const std::optional<Price> price = price_of(attempt.target);
    attempt.cost_known = price.has_value();
    if (!price) return;
    Usage usage = response.usage;
    attempt.cost_estimated = !usage.input_tokens || !usage.output_tokens;
    if (!usage.input_tokens) usage.input_tokens = estimate_input_tokens(*send_->request);
    if (!usage.output_tokens) usage.output_tokens = written_tokens(response);
    attempt.cost = cost_of(usage, *price);
  }

  void close_error(Error& error, Attempt& attempt) const noexcept {
    error.target = attempt.target;
    error.committed = context_->committed();
    if (error.committed && !stopped_by_caller(error) && error.kind != ErrorKind::stream_interrupted) {
      detail::interrupt_stream(error);
    }
    attempt.outcome = error.kind;
    attempt.http_status = error.http_status;
    attempt.replay = error.replay;
    if_memory([&] {
      attempt.request_id = error.request_id;
      // What was noted at the send, such as which key it used, stays behind what came of it.
      const std::string noted = std::exchange(attempt.reason, error.message);
      if (!noted.empty()) attempt.reason.append(attempt.reason.empty() ? "" : "; ").append(noted);
    });
    if (error.replay == ReplaySafety::not_sent || take_reported_cost(attempt)) return;
    const std::optional<Price> price = price_of(attempt.target);
    attempt.cost_known = price.has_value();
    if (!price) return;
    attempt.cost_estimated = true;
    Usage usage;
    usage.input_tokens = estimate_input_tokens(*send_->request);
    usage.output_tokens = estimate_tokens(error.partial_text.size());
    attempt.cost = cost_of(usage, *price);
  }

  /// A gateway knows what it charges better than any list of prices.
  static bool take_reported_cost(Attempt& attempt) noexcept {
    if (!attempt.gateway || !attempt.gateway->cost) return false;
    attempt.cost = *attempt.gateway->cost;
    attempt.cost_known = true;
    return true;
  }

  static std::int64_t written_tokens(const ChatResponse& response) {
    std::size_t bytes = 0;
    for (const Part& part : response.parts) {
      if (const auto* text = std::get_if<Text>(&part)) bytes += text->text.size();
      if (const auto* reasoning = std::get_if<Reasoning>(&part)) bytes += reasoning->text.size();
      if (const auto* call = std::get_if<ToolCall>(&part)) bytes += call->arguments.size();
    }
    return estimate_tokens(bytes);
  }

  void publish(const Attempt& attempt) const noexcept {
    const auto* observers = context_->state().observers;
    if (observers == nullptr) return;
    const AttemptEvent event{attempt, context_->committed()};
    for (const auto& observer : *observers) observer->on_attempt(event);
    if (!attempt.outcome) return;
    ProgressEvent failed;
    failed.type = ProgressEvent::Type::attempt_failed;
    context_->note_progress(failed, row_);
  }

  Send* send_;
  SendScope* scope_;
  CallContext* context_;
  TargetState* target_;  // null where nothing is to be remembered
  detail::TargetStatistics* statistics_;  // until they have been told; null where nobody keeps any
  std::size_t row_;
  AttemptProgress progress_;
  bool begun_ = false;
};

[[nodiscard]] Error out_of_sends(const CallContext& context, const Target& target) {
  Error error{ErrorKind::local_limit, context.sends_left() <= 0
                                          ? "the call has used up its number of attempts"
                                          : "the call's last attempts are kept for other targets"};
  error.target = target;
  context.note_skipped(target, error);
  return error;
}

// A stream that waits holds the frame of ModelProvider::call with all its variables: what is needed for a moment, errors
// above all, stands in the functions that follow.

/// Why the observers do not let the send begin.
[[nodiscard]] detail::Boxed<Error> refusal_to_begin(Send& sending, const CallContext& context) {
  std::optional<Error> refusal = context.begin_send(sending);
  if (refusal) return detail::Boxed<Error>{*std::move(refusal)};
  sending.turn.reset();
  return {};
}

/// Asks the observers again, who have refused it for now, each time when the turn has come that they gave. An error: the
/// call was stopped.
Task<Result<void>> ask_again_in_turn(detail::Boxed<Error>& refusal, Send& sending, CallContext& context,
                                     const Target& target) {
  std::shared_ptr<BudgetTurn> turn = std::exchange(sending.turn, nullptr);
  std::optional<Error> latest{std::move(*refusal)};
  const auto ask = [&](std::shared_ptr<BudgetTurn>& next) {
    std::optional<Error> why = context.begin_send(sending);
    next = std::exchange(sending.turn, nullptr);
    return why;
  };
  Task<Result<void>> waiting = detail::ask_in_turn(ask, latest, turn, context, target);
  Result<void> waited = co_await waiting;
  refusal = latest ? detail::Boxed<Error>{*std::move(latest)} : detail::Boxed<Error>{};
  if (!waited) waited.error().target = target;
  co_return waited;
}

/// Where a refusal has been seen to and the send may not be repeated: what the provider said counts for more than why.
[[nodiscard]] Error in_place_of(Error why, detail::Boxed<Error>& mended) {
  return mended.has_value() ? std::move(*mended) : std::move(why);
}

/// What the exception that is being handled says of the attempt.
[[nodiscard]] Result<ChatResponse> thrown_in(AttemptRecord& record) {
  Error error = detail::error_from_exception("the provider");
  if (error.kind == ErrorKind::local_limit && !record.may_have_arrived()) error.replay = ReplaySafety::not_sent;
  try {
    return error;
  } catch (...) {
    record.abandon();
    throw;
  }
}

}  // namespace

Standing ChatProvider::standing(const ChatRequest& request, const Needs& needs, TimePoint) const noexcept {
  const Target& to = target();
  Standing standing;
  standing.target = &to;
  if (needs.costs) {
    if (const std::optional<Price> price = price_of(to, needs)) {
      const std::optional<std::int64_t> limit = detail::output_limit_of(to, request, detail::GivenUp{needs});
      standing.worst_cost = cost_of(worst_usage(to, limit, input_of(needs)), *price);
      standing.least_cost = cost_of(least_usage(to, limit, input_of(needs)), *price);
    }
  }
  if (const std::optional<Misfit> misfit = misfit_of(to, request, needs)) {
    standing.verdict = Standing::Verdict::unfit;
    standing.why = misfit->kind;
    standing.what = misfit->what;
  }
  return standing;
}

Layer ChatProvider::layer() const {
  Layer layer;
  layer.name = describe();
  return layer;
}

std::string ModelProvider::describe() const { return target_.name(); }

Layer ModelProvider::layer() const {
  Layer layer;
  layer.name = "model";
  layer.model = true;
  return layer;
}

ModelProvider::ModelProvider(Target target) : target_{std::move(target)}, state_{std::make_shared<TargetState>()} {}

ModelProvider::ModelProvider(Target target, const ModelProvider& same)
    : target_{std::move(target)}, state_{same.state_} {}

Standing ModelProvider::standing(const ChatRequest& request, const Needs& needs, TimePoint now) const noexcept {
  Standing standing = ChatProvider::standing(request, needs, now);
  if (!standing.fit()) return standing;
  standing.soft_limited_until = state_->soft_limited_until.load(std::memory_order_relaxed);
  if (needs.requirement != nullptr) {
    if (const Requirement::Tried* tried = needs.requirement->find_tried(target_)) standing.failed_at = tried->at;
  }
  if (const std::optional<Cooldown::Active> cooling = state_->cooldown.active(now)) {
    standing.verdict = Standing::Verdict::later;
    standing.why = ErrorKind::local_limit;
    standing.what = "cooling down";
    standing.cooling_after = cooling->why;
    standing.ready_at = cooling->until;
    const bool of_the_model = traits_of(cooling->why).cooldown == CooldownRule::model;
    standing.probe = of_the_model ? Standing::Probe::after_breakers : Standing::Probe::never;
    return standing;
  }
  standing.finds_out = state_->cooldown.finds_out();
  return standing;
}

detail::TargetStatistics* ModelProvider::keep_statistics() const { return &state_->keep_statistics(); }

bool ModelProvider::streams(const ChatRequest& request, const CallContext& context) const noexcept {
  if (context.streaming()) return true;
  const PlainCallsStream rule =
      context.limits() != nullptr ? context.limits()->plain_calls_stream : PlainCallsStream::automatic;
  if (rule != PlainCallsStream::automatic) return rule == PlainCallsStream::always;
  const bool is_short = request.max_output_tokens && *request.max_output_tokens <= short_answer;
  return context.hint().other_ready && !is_short && can_stream_plain_calls();
}

Task<Result<ChatResponse>> ModelProvider::call(const ChatRequest& request, CallContext& context) const {
  detail::Boxed<Error> mended;  // a refusal that has been seen to: it is sent once more
  for (;;) {
    if (context.stopping()) co_return context.stop_error();
    if (context.spare_sends() <= 0) co_return out_of_sends(context, target_);
    const detail::OwnRequest own{request, target_, detail::given_up_by(context.hint())};
    Send sending{target_, own.request(), context};
    SendScope scope{sending, context};
    detail::Boxed<Error> refusal = refusal_to_begin(sending, context);
    if (sending.turn) {
      Task<Result<void>> asking = ask_again_in_turn(refusal, sending, context, target_);
      Result<void> asked = co_await asking;
      if (!refusal.has_value()) scope.begun();
      if (!asked) co_return std::move(asked).error();
      if (!refusal.has_value() && context.spare_sends() <= 0) {
        co_return in_place_of(out_of_sends(context, target_), mended);
      }
    } else if (!refusal.has_value()) {
      scope.begun();
    }
    if (refusal.has_value()) {
      context.note_skipped(target_, *refusal);
      co_return in_place_of(std::move(*refusal), mended);
    }
    std::unique_ptr<ChatRequest> limited;  // apart: most have none, and a stream that waits holds this
    if (sending.output_limit) {
      limited = std::make_unique<ChatRequest>(own.request());
      limited->max_output_tokens = sending.output_limit;
    }
    const ChatRequest& sent = limited ? *limited : own.request();

    const bool streamed = streams(sent, context);
    StopSource stop{context.stop()};
    CallContext inner = context;
    inner.set_stop(stop);
    AttemptRecord record{sending, scope, inner, *state_, streamed, own.note()};
    static constexpr AttemptLimits usual;
    const detail::ArmedLimits limits = detail::armed(context.limits() != nullptr ? *context.limits() : usual, target_,
                                                     streamed, context.hint().other_ready);
    detail::AttemptWatchdog watchdog{limits, inner, stop, record.progress()};
    std::optional<Result<ChatResponse>> outcome;
    try {
      watchdog.watch();
      Task<Result<ChatResponse>> task = send(sent, inner);
      record.begin();
      auto sent_result = co_await task;
      outcome.emplace(std::move(sent_result));
    } catch (...) {
      outcome.emplace(thrown_in(record));
    }
    Result<ChatResponse>& result = *outcome;
    watchdog.stop_watching();
    if (!result && watchdog.fired() != StopReason::none && result.error().timeout_limit != TimeoutLimit::none) {
      if_memory([&] { result.error().message = detail::broken_limit(watchdog.fired(), limits, record.progress()); });
    }
    record.close(result);
    const bool stopped = context.stopping() || context.committed() || context.spare_sends() <= 0;
    if (mended.has_value() || stopped || !record.progress().mended) co_return std::move(result);
    mended = detail::Boxed<Error>{std::move(result).error()};
  }
}

}  // namespace backstop::inline v0
