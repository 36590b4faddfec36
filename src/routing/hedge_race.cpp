#include "routing/hedge_race.hpp"

#include <algorithm>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "runtime/deadline_share.hpp"
#include "routing/reduced_call.hpp"
#include "routing/visit_note.hpp"
#include "runtime/exception_error.hpp"
#include "text/duration.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr std::string_view lost = "another attempt won";

/// Adds words to the row's; without memory for them they are missing.
template <class Words>
void remark(Attempt& row, const Words& words) noexcept {
  try {
    std::string more = words();
    if (!row.reason.empty()) more.insert(0, "; ");
    row.reason += more;
  } catch (const std::bad_alloc&) {
  }
}

/// Another target must not answer what this failure says of the request.
[[nodiscard]] bool settles_the_request(const Error& error, bool filters_fall_back) noexcept {
  const FallbackRule rule = traits_of(error.cause.value_or(error.kind)).fallback;
  return rule == FallbackRule::never || (rule == FallbackRule::opt_in && !filters_fall_back);
}

}  // namespace

/// The call to the second candidate.
class HedgeRace::Second final : public ChildTask<Result<ChatResponse>> {
 public:
  Second(HedgeRace& race, std::size_t candidate)
      : ChildTask{*race.outer_},
        index{candidate},
        stop{race.outer_->stop()},
        context{*race.outer_},
        lane{race, Side::second},
        share{entered(race), (*race.candidates_)[candidate]->is_pool},
        note{*(*race.candidates_)[candidate], context},
        race_{&race} {}

  std::size_t index;
  int sends = 0;
  StopSource stop;
  CallContext context;
  Lane lane;
  Pick pick;
  DeadlineShare share;  // of its own: time is kept for the targets behind both
  VisitNote note;
  std::optional<Result<ChatResponse>> result;

 private:
  CallContext& entered(const HedgeRace& race) {
    context.set_stop(stop);
    RoutingHint hint = race.walk_->hint_beside(index);
    // The first is being waited for anyhow: no retries here.
    hint.other_ready = true;
    hint.hedges = true;
    hint.forced_probe = false;
    const int kept_for_others = hint.kept_sends;
    hint.kept_sends = race.outer_->state().attempts_left - 1;
    hint.kept_from_repeats = std::max(0, hint.kept_sends - kept_for_others);
    hint.kept_outside = hint.kept_sends;  // those that its own client's limit bars are among them
    hint.around = nullptr;
    race.walk_->note_pick(index, hint, pick);
    context.set_hint(hint);
    lane.enter(context);
    return context;
  }
  void on_end() noexcept override { race_->second_ended(); }

  HedgeRace* race_;
};

HedgeRace::HedgeRace(const Entry& entry)
    : CallWork{entry.outer.runtime(), &entry.outer.state()},
      options_{&entry.options},
      budget_{&entry.budget},
      candidates_{&entry.candidates},
      walk_{&entry.walk},
      asked_{entry.asked},
      filters_fall_back_{entry.filters_fall_back},
      outer_{&entry.outer},
      started_{entry.outer.now()},
      delay_{(*candidates_)[asked_]->hedge->delay(entry.outer.streaming())},
      first_stop_{entry.first.stop()},
      first_context_{entry.first},
      first_lane_{*this, Side::first} {
  first_context_.set_stop(first_stop_);
  first_lane_.enter(first_context_);
  const TimePoint due = saturating_add(started_, delay_);
  if (due < outer_->deadline()) outer_->runtime().timers().arm(*this, due);
}

HedgeRace::~HedgeRace() = default;

void HedgeRace::run() noexcept {
  try {
    launch();
  } catch (...) {  // no memory for a second call: the first goes on alone
  }
}

bool HedgeRace::may_launch() const noexcept {
  const int kept_for_first = first_lane_.has_sent() ? 0 : 1;  // it waits to send
  if (winner_ != Side::none || outer_->spare_sends() < 1 + kept_for_first) return false;
  try {
    if (options_->may_repeat && !options_->may_repeat(*walk_->offer(asked_).request)) return false;
  } catch (...) {  // documented: says no
    return false;
  }
  return !outer_->stopping();  // the application may have cancelled it there
}

void HedgeRace::launch() {
  if (!may_launch()) return;
  const std::optional<std::size_t> index = walk_->beside(asked_, first_lane_.asks());
  if (!index) return;
  auto second = std::make_unique<Second>(*this, *index);
  auto task = call_with(walk_->offer(*index), (*candidates_)[*index]->provider, second->context);
  if (!budget_->take()) return;
  second_ = std::move(second);  // nothing is thrown from here on
  second_->start(std::move(task));
}

ChildTask<Result<ChatResponse>>* HedgeRace::second() noexcept { return second_.get(); }

std::size_t HedgeRace::second_index() const noexcept { return second_->index; }

void HedgeRace::first_content(Side side, TimePoint at) noexcept {
  if (side != Side::first) return;
  give_up();
  if (winner_ == Side::none) note_first(at);
}

void HedgeRace::note_first(TimePoint at) noexcept {
  if (std::exchange(first_noted_, true)) return;
  (*candidates_)[asked_]->hedge->took(at - started_, outer_->streaming());
}

void HedgeRace::first_wins() noexcept {
  winner_ = Side::first;
  first_lane_.branch.join(outer_->branch());
  if (second_) second_->stop.request_stop(StopReason::superseded);
  first_lane_.hand_over();
}

void HedgeRace::second_wins() noexcept {
  winner_ = Side::second;
  second_->lane.branch.join(outer_->branch());
  // The first took at least that long.
  if (!first_result_) note_first(outer_->now());
  first_stop_.request_stop(StopReason::superseded);
  second_->lane.hand_over();
}

void HedgeRace::first_ended(Result<ChatResponse> result) {
  give_up();
  const bool settled = result || settles_the_request(result.error(), filters_fall_back_);
  first_result_.emplace(std::move(result));
  if (settled && winner_ == Side::none) first_wins();
}

void HedgeRace::second_ended() noexcept {
  Second& second = *second_;
  try {
    second.result.emplace(second.take_result());
  } catch (...) {
    second.result.emplace(error_thrown_by((*candidates_)[second.index]->provider.target(), second.context));
  }
  second.note.end(*second.result, outer_->now());
  if (second.sends == 0) budget_->put_back();
  if (*second.result && winner_ == Side::none) second_wins();
}

Result<ChatResponse> HedgeRace::conclude() {
  mark_rows();
  const bool second_won = winner_ == Side::second;
  const Branch& branch = second_won ? second_->lane.branch : first_lane_.branch;
  outer_->branch().waited += branch.waited;
  return second_won ? std::move(*second_->result) : std::move(*first_result_);
}

std::optional<HedgeRace::Loser> HedgeRace::loser() const noexcept {
  if (!second_) return std::nullopt;
  const Result<ChatResponse>& other = winner_ == Side::second ? *first_result_ : *second_->result;
  if (other) return std::nullopt;
  const ErrorKind kind = other.error().kind;
  const bool says_nothing = kind == ErrorKind::cancelled || kind == ErrorKind::deadline_exceeded ||
                            kind == ErrorKind::budget_exceeded || is_refusal(kind);
  if (says_nothing) return std::nullopt;
  return Loser{winner_ == Side::second ? asked_ : second_->index, &other.error()};
}

void HedgeRace::mark_rows() noexcept {
  if (!second_) return;
  Ledger& ledger = outer_->state().ledger;
  for (const std::size_t row : second_->lane.rows) {
    remark(ledger[row], [this] {
      return fmt::format("a hedge, after {} of silence from {}", rounded_text(delay_),
                         (*candidates_)[asked_]->provider.target().name());
    });
  }
  if (winner_ == Side::none) return;
  // An answer that was complete in the very moment in which the other one won was paid for, but is not the call's.
  for (const std::size_t row : (winner_ == Side::first ? second_->lane : first_lane_).rows) {
    if (!ledger[row].sent || ledger[row].outcome) continue;
    ledger[row].outcome = ErrorKind::cancelled;
    remark(ledger[row], [] { return std::string{lost}; });
  }
}

void HedgeRace::Lane::on_end(Send& send, const Attempt* row) noexcept {
  if (send.aside) return;
  latest_ = nullptr;
  if (row == nullptr) return;
  ended_one_ = true;
  if (race_->second_ && side_ == Side::second) race_->second_->sends += row->sent ? 1 : 0;
  const Ledger& ledger = race_->outer_->state().ledger;
  if (&send.context->state() != &race_->outer_->state() || !row->sent) return;  // a shared send's rows come later
  try {
    if (side_ == Side::second || race_->second_) rows.push_back(static_cast<std::size_t>(row - ledger.data()));
  } catch (...) {  // no memory for a remark in the row
  }
}

void HedgeRace::Lane::enter(CallContext& context) noexcept {
  context.set_branch(branch);
  if (side_ == Side::first) branch.waited = std::exchange(race_->outer_->branch().waited, Duration::zero());
  context.add_observer(*this);
  if (context.streaming()) context.set_sink(this);
}

void HedgeRace::Lane::on_event(const StreamEvent& event) noexcept {
  // A provider of the application's own may not have said so.
  if (race_->winner_ == Side::none && event.is_content()) {
    race_->first_content(side_, race_->outer_->now());
    side_ == Side::first ? race_->first_wins() : race_->second_wins();
    // Until now this lane was holding, so that nobody has said so.
    if (!holding()) branch.commit(event.type == StreamEvent::Type::tool_call);
  }
  if (wins()) {
    sink().on_event(event);
  } else if (race_->winner_ == Side::none && event.degradation != nullptr) {
    try {
      degradation_ = *event.degradation;
    } catch (const std::bad_alloc&) {
      race_->outer_->lose_event();
    }
  }
}

void HedgeRace::Lane::on_attempt(const Target& target) noexcept {
  degradation_.reset();
  target_ = target;
  if (wins()) sink().on_attempt(target);
}

void HedgeRace::Lane::hand_over() noexcept {
  if (!race_->outer_->streaming()) return;
  if (!target_.empty()) sink().on_attempt(target_);
  if (!degradation_) return;
  StreamEvent event;
  event.type = StreamEvent::Type::degraded;
  event.degradation = &*degradation_;
  sink().on_event(event);
}

}  // namespace backstop::inline v0::detail
