#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "backstop/chat/rejected_answer.hpp"
#include "fallback_client/state.hpp"
#include "handover/feedback.hpp"
#include "routing/hedge_race.hpp"
#include "routing/history_summary.hpp"
#include "routing/inner_limits.hpp"
#include "routing/ladder_answer.hpp"
#include "routing/reduced_call.hpp"
#include "routing/stream_rescue.hpp"
#include "routing/visit_note.hpp"
#include "routing/walk.hpp"
#include "runtime/deadline_share.hpp"
#include "runtime/exception_error.hpp"

namespace backstop::inline v0 {
namespace {

using detail::DeadlineShare;
using detail::HedgeRace;
using detail::InnerLimits;
using detail::Recovery;
using detail::RecoveryQueue;
using detail::StreamRescue;
using detail::VisitNote;
using detail::Walk;

[[nodiscard]] Error all_out(const Error& soonest) {
  Error error{soonest.kind, fmt::format("every target is out; {} recovers first: {}", soonest.target.name(),
                                        soonest.message)};
  error.target = soonest.target;
  error.retry_after = soonest.retry_after;
  return error;
}

/// What the call fails with when nobody is left to ask: what really failed last, else what stands in the way.
[[nodiscard]] Error nobody_left(Walk& walk, std::optional<TimePoint> back_at, TimePoint now) {
  if (Error* const failure = walk.failure()) return std::move(*failure);
  if (walk.refusal() == nullptr) return Error{ErrorKind::local_limit, "no target of the client may be asked in this call"};
  Error& refusal = *walk.refusal();
  if (!refusal.retry_after) {
    if (std::string all = walk.why_all_are_unfit(now); !all.empty()) refusal.message = std::move(all);
    return std::move(refusal);
  }
  Error error = all_out(refusal);
  if (back_at && *back_at > now) error.retry_after = std::max(*error.retry_after, saturating_difference(*back_at, now));
  return error;
}

/// Told of the first content of any send: others that wait for a target to come back may go on. What was answered
/// without one, from a cache, says nothing of a target.
class SuccessNote final : public AttemptObserver {
 public:
  explicit SuccessNote(detail::RecoveryQueue& queue) noexcept : queue_{&queue} {}
  [[nodiscard]] std::optional<Error> on_begin(Send& send) override {
    if (!send.aside) ++under_way_;
    return std::nullopt;
  }
  void on_first_content(TimePoint) noexcept override {
    if (under_way_ > 0) queue_->note_success();
  }
  void on_end(Send& send, const Attempt*) noexcept override {
    if (!send.aside) --under_way_;
  }

 private:
  detail::RecoveryQueue* queue_;
  int under_way_ = 0;
};

}  // namespace

/// One call to a client: its way along the candidates, and what is to be done about what they answer.
class FallbackClient::OneCall {
 public:
  OneCall(const FallbackClient& client, const ChatRequest& request, const CallContext& outer)
      : state_{client.state_.get()},
        request_{&request},
        context_{outer},
        // Of the client that the application calls the limits are the call's already.
        limits_{context_, context_.state().root == &client ? nullptr : &state_->options.limits},
        success_{*state_->recovery},
        // An active probe takes no turn of a strategy.
        walk_{state_->pool, request, context_, context_.now(),
              context_.state().active_probe ? detail::Choosing::Mode::dry_run : detail::Choosing::Mode::call},
        rescue_{state_->options.mid_stream, state_->options.hold, request, context_},
        recovery_{*state_->recovery, context_} {
    RoutingHint hint = context_.hint();
    in_client_ = hint.in_client;
    if (!in_client_) hint.cooldown_max = state_->options.recovery.cooldown_max;
    hint.wants_draft = hint.wants_draft || state_->options.escalation == Escalation::with_draft;
    hint.restarts = state_->options.mid_stream == MidStream::restart;
    context_.set_hint(hint);
    context_.add_observer(success_);
    if (state_->options.hedge) state_->hedges->pay_in();
    if (context_.state().first_choice == nullptr || (context_.hint().in_client && context_.hint().first_choice)) {
      context_.state().first_choice = &state_->pool.candidates[walk_.order().at(0)]->provider.target();
    }
    if (context_.hint().forced_probe) forced_ = walk_.recovery(context_.now(), Duration::zero()).probe;
  }

  [[nodiscard]] bool stopping() const noexcept { return context_.stopping(); }
  [[nodiscard]] Error stopped() { return rescue_.ended(context_.stop_error()); }
  /// Who is asked now; empty when nobody is left.
  [[nodiscard]] std::optional<std::size_t> choose() {
    if (forced_) return forced_;
    if (probed_ && context_.hint().forced_probe) return std::nullopt;
    const std::optional<std::size_t> index = walk_.next();
    if (index || !with_draft_ || without_draft_ || rescue_.resuming()) return index;
    if (!walk_.someone_would_take(*request_)) return index;
    without_draft_ = true;
    walk_.ask_anew(*request_);
    return walk_.next();
  }
  /// Waits for a target to come back.
  [[nodiscard]] Task<Recovery::Next> recover() {
    if (!context_.hint().in_client) {
      for (Requirement::Tried& tried : context_.requirement().tried) tried.may_be_asked = true;
    }
    return recovery_.next(walk_);
  }
  /// False when there is nothing to go on with.
  [[nodiscard]] bool go_on(const Recovery::Next& next) {
    if (!next.go_on) return false;
    forced_ = next.probe;
    if (std::exchange(without_draft_, false)) walk_.ask_from_now_on(*with_draft_);
    if (!forced_) walk_.begin_again(state_->options.recovery.repeat_failed);
    return true;
  }
  [[nodiscard]] Error nobody_left(std::optional<TimePoint> back_at) {
    return rescue_.ended(backstop::nobody_left(walk_, back_at, context_.now()));
  }

  /// A probe does without: nobody knows whether it is of any use.
  [[nodiscard]] bool wants_summary(std::size_t index) const noexcept {
    return !forced_ && walk_.summary_wanted(index).has_value();
  }
  /// Asks for what is to stand for the turns that the candidate is to do without. An error: the call was stopped.
  [[nodiscard]] Task<Result<void>> summarize(std::size_t index);

  class Visit;

  /// The call's result, or what the ladder has in place of a failure.
  [[nodiscard]] Result<ChatResponse> end(Result<ChatResponse> result);

  /// What came of asking it: the call's result; nothing where another is to be asked.
  [[nodiscard]] std::optional<Result<ChatResponse>> settle(std::size_t index, Result<ChatResponse> result,
                                                          bool others_ready, bool left_some, std::size_t rows_before);

 private:
  /// Whether another answered than the call's first choice; of clients inside the outermost knows.
  [[nodiscard]] bool fell_back(std::size_t index, const ChatResponse& answer) const noexcept {
    const Target* first = context_.state().first_choice;
    if (in_client_ || first == nullptr || answer.served_by.empty()) {
      return answer.fallback || walk_.order().place_of(index) > 0;
    }
    return !(answer.served_by == *first);
  }
  /// Whether a row of the ledger behind the first so many was sent.
  [[nodiscard]] bool has_sent_since(std::size_t rows) const noexcept {
    const Ledger& ledger = context_.state().ledger;
    return std::any_of(ledger.begin() + static_cast<std::ptrdiff_t>(std::min(rows, ledger.size())), ledger.end(),
                       [](const Attempt& row) { return row.sent && !row.judge && !row.summary; });
  }
  /// The request with what a quality floor has refused, where the next target is to be given that.
  [[nodiscard]] std::unique_ptr<const ChatRequest> draft_of(const Error& error) const {
    if (state_->options.escalation != Escalation::with_draft || !error.rejected) return nullptr;
    return std::make_unique<const ChatRequest>(
        detail::with_feedback(*request_, *error.rejected, state_->options.escalation_wording));
  }
  /// What a forced probe has found out.
  [[nodiscard]] RecoveryQueue::ProbeEnd probe_end(const Result<ChatResponse>& result) const noexcept {
    using enum RecoveryQueue::ProbeEnd;
    if (result) return answered;
    const FallbackRule rule = traits_of(result.error().cause.value_or(result.error().kind)).fallback;
    const bool of_the_call = rule == FallbackRule::never || rule == FallbackRule::opt_in || rule == FallbackRule::cheaper;
    return of_the_call || context_.stopping() ? says_nothing : failed;
  }

  const State* state_;
  const ChatRequest* request_;
  CallContext context_;
  InnerLimits limits_;
  SuccessNote success_;
  Walk walk_;
  StreamRescue rescue_;
  Recovery recovery_;
  std::unique_ptr<const ChatRequest> with_draft_;  // the same with what was refused
  bool without_draft_ = false;  // nobody was left who could take it, too
  std::optional<std::size_t> forced_;  // to be asked though every target is out
  bool probed_ = false;                // one was
  bool in_client_ = false;
};

/// One candidate being asked, and a second one beside it where hedging is on.
class FallbackClient::OneCall::Visit {
 public:
  Visit(OneCall& call, std::size_t index)
      : call_{&call},
        index_{index},
        offer_{call.walk_.offer(index)},
        outside_{call.context_},
        inner_{call.context_} {
    const bool probes = std::exchange(call.forced_, std::nullopt).has_value();
    call.probed_ = call.probed_ || probes;
    left_before_ = std::exchange(requirement().left_some, false);
    const int to_come = probes ? 0 : call.walk_.ready_behind();

    call.rescue_.enter(outside_);
    inner_ = outside_;
    RoutingHint hint = call.walk_.hint(index, to_come, probes);
    call.walk_.note_pick(index, hint, pick_);
    inner_.set_hint(hint);
    share_.emplace(inner_, is_pool());
    note_.emplace(candidate(), inner_);

    const FallbackOptions& options = call.state_->options;
    if (!options.hedge || to_come == 0 || call.context_.committed()) return;
    race_ = std::make_unique<HedgeRace>(HedgeRace::Entry{*options.hedge, *call.state_->hedges,
                                                         call.state_->pool.candidates, call.walk_, index,
                                                         options.fall_back_on_content_filter, outside_, inner_});
  }

  [[nodiscard]] const Provider& provider() const noexcept { return candidate().provider; }
  [[nodiscard]] Task<Result<ChatResponse>> ask() { return detail::call_with(offer_, provider(), context()); }
  [[nodiscard]] CallContext& context() noexcept { return race_ ? race_->context() : inner_; }
  /// At whatever level.
  [[nodiscard]] bool others_ready() const noexcept { return inner_.hint().other_ready; }
  /// Whose result it is, once `end` has said.
  [[nodiscard]] std::size_t settled() const noexcept { return index_; }
  /// Being a client, it had left targets of its own to others.
  [[nodiscard]] bool left_some() const noexcept { return left_some_; }

  /// The second, to be awaited before `end`; null when there is none.
  [[nodiscard]] ChildTask<Result<ChatResponse>>* first_ended(Result<ChatResponse>& result) {
    note_->end(result, call_->context_.now());
    if (!race_) return nullptr;
    race_->first_ended(std::move(result));
    return race_->second();
  }
  void end(Result<ChatResponse>& result) {
    left_some_ = std::exchange(requirement().left_some, left_before_);
    if (!race_) return;
    result = race_->conclude();
    Walk& walk = call_->walk_;
    if (race_->second_won()) {
      walk.leave_to_others(index_);  // it was only slow
      index_ = race_->second_index();
      left_some_ = false;
    }
    if (const auto loser = race_->loser()) static_cast<void>(walk.note_failure(loser->index, *loser->error, true));
  }

 private:
  [[nodiscard]] const detail::Candidate& candidate() const noexcept { return *call_->state_->pool.candidates[index_]; }
  [[nodiscard]] bool is_pool() const noexcept { return candidate().is_pool; }
  [[nodiscard]] Requirement& requirement() const noexcept { return call_->context_.requirement(); }

  OneCall* call_;
  std::size_t index_;
  detail::Offer offer_;
  bool left_before_ = false;
  bool left_some_ = false;
  CallContext outside_;  // the client's, with what stands between a target and the consumer
  CallContext inner_;    // the target's, with its share of the time
  Pick pick_;
  std::optional<DeadlineShare> share_;
  std::optional<VisitNote> note_;
  std::unique_ptr<HedgeRace> race_;
};

std::optional<Result<ChatResponse>> FallbackClient::OneCall::settle(std::size_t index, Result<ChatResponse> result,
                                                                   bool others_ready, bool left_some,
                                                                   std::size_t rows_before) {
  recovery_.end_probe(probe_end(result));
  if (result) {
    result->fallback = fell_back(index, *result);
    rescue_.finish(*result);
    if (context_.state().active_probe) return result;
    if (const detail::Choosing* choosing = state_->pool.chooser()) {
      choosing->note_answer({&rescue_.request(), &*result, index, context_.now(), walk_.fell_over_to(index)});
    }
    detail::keep_answer(state_->pool.ladder, *request_, *result, context_.now());
    return result;
  }
  Error& error = result.error();
  const bool wrote = context_.committed();  // to the consumer, since it was asked; whatever the error says
  rescue_.stamp(error);
  if (is_refusal(error.kind) && !wrote) {
    walk_.note_refusal(index, error, others_ready || left_some);
    return std::nullopt;
  }
  if (context_.stopping()) {
    Error stop = context_.stop_error();
    // What would have been left to another target is not what the call ended with.
    const FallbackRule rule = traits_of(error.kind).fallback;
    const bool was_over = rule == FallbackRule::never || rule == FallbackRule::opt_in;
    const bool cancelled = stop.kind == ErrorKind::cancelled && !was_over;
    return rescue_.ended(cancelled ? std::move(stop) : std::move(error));
  }
  std::unique_ptr<const ChatRequest> draft = draft_of(error);
  const bool went_on = rescue_.resuming();
  const bool other_may_do = walk_.note_failure(index, error, state_->options.fall_back_on_content_filter, left_some);
  const bool broke_off_only_here = !went_on || wrote;  // else another had, and that is what the call failed with
  if (broke_off_only_here) {
    if (!other_may_do || (error.committed && !rescue_.can_go_on(error))) return rescue_.ended(std::move(error));
    if (rescue_.resuming()) {
      walk_.must_continue_text(rescue_.request(), rescue_.text_so_far());
    } else if (draft) {
      walk_.ask_from_now_on(*draft);
      with_draft_ = std::move(draft);  // nobody looks at the last one any more
      without_draft_ = false;
    }
    if (!went_on) {
      walk_.set_failure(std::move(error), !state_->pool.candidates[index]->is_pool || has_sent_since(rows_before));
    }
  }
  if (context_.sends_left() <= 0) return nobody_left({});
  return std::nullopt;
}

Result<ChatResponse> FallbackClient::OneCall::end(Result<ChatResponse> result) {
  // A client inside leaves that to the one around, which has other targets. A probe wants to know of these.
  if (result || state_->pool.answers.empty() || in_client_ || context_.state().active_probe) return result;
  return detail::ladder_answer(state_->pool.answers, *request_, context_, std::move(result).error(),
                               state_->options.fall_back_on_content_filter);
}

Task<Result<void>> FallbackClient::OneCall::summarize(std::size_t index) {
  const Walk::SummaryWanted wanted = *walk_.summary_wanted(index);
  const int to_come = walk_.ready_behind() + 1;  // with the candidate itself
  Task<Result<detail::HistorySummary>> task = detail::ask_for_summary(wanted, *request_, context_, to_come);
  Result<detail::HistorySummary> summary = co_await task;
  if (!summary) co_return std::move(summary).error();
  walk_.note_summary(index, *std::move(summary), context_.now());
  co_return Result<void>{};
}

Task<Result<ChatResponse>> FallbackClient::call(const ChatRequest& request, CallContext& outer) const {
  OneCall call{*this, request, outer};
  for (;;) {
    if (call.stopping()) co_return call.end(call.stopped());
    const std::optional<std::size_t> index = call.choose();
    if (!index) {
      Task<Recovery::Next> waiting = call.recover();
      const Recovery::Next next = co_await waiting;
      if (call.stopping()) co_return call.end(call.stopped());
      if (!call.go_on(next)) co_return call.end(call.nobody_left(next.back_at));
      continue;
    }
    if (call.wants_summary(*index)) {
      Task<Result<void>> summarizing = call.summarize(*index);
      const Result<void> summarized = co_await summarizing;
      if (!summarized) co_return call.end(call.stopped());
    }
    const std::size_t rows_before = outer.state().ledger.size();
    OneCall::Visit visit{call, *index};
    std::optional<Result<ChatResponse>> outcome;
    try {
      Task<Result<ChatResponse>> task = visit.ask();
      auto answered = co_await task;
      outcome.emplace(std::move(answered));
    } catch (...) {
      outcome.emplace(detail::error_thrown_by(visit.provider().target(), visit.context()));
    }
    if (auto* second = visit.first_ended(*outcome)) {
      auto end = second->end();
      co_await end;
    }
    visit.end(*outcome);
    auto result = call.settle(visit.settled(), *std::move(outcome), visit.others_ready(), visit.left_some(),
                             rows_before);
    if (result) co_return call.end(*std::move(result));
  }
}

}  // namespace backstop::inline v0
