#include "policies/hedge_race.hpp"

#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "policies/duration_text.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr std::string_view lost = "another attempt won";

/// Ended by a fault of its own, not by whoever stopped it.
[[nodiscard]] bool failed_by_itself(const Result<ChatResponse>& result) noexcept {
  return !result && result.error().kind != ErrorKind::cancelled && result.error().kind != ErrorKind::deadline_exceeded;
}

/// Another target must not answer what this failure says of the request.
[[nodiscard]] bool settles_the_request(const Error& error) noexcept {
  const FallbackRule rule = traits_of(error.cause.value_or(error.kind)).fallback;
  return rule == FallbackRule::never || rule == FallbackRule::opt_in;
}

/// An answer that was complete in the very moment in which the other one won was paid for, but is not the call's.
void mark_as_lost(Ledger& ledger, std::size_t begin, std::size_t end) {
  for (std::size_t row = begin; row < end; ++row) {
    if (!ledger[row].sent || ledger[row].outcome) continue;
    ledger[row].outcome = ErrorKind::cancelled;
    ledger[row].reason = lost;
  }
}

}  // namespace

/// The call to the substitute.
class HedgeRace::Second final : public ChildTask<Result<ChatResponse>> {
 public:
  explicit Second(HedgeRace& race)
      : ChildTask{race.outer_->runtime()},
        state{race.outer_->state()},
        first_row{state.ledger.size()},
        stop{race.outer_->stop()},
        context{*race.outer_},
        lane{race, Side::second},
        race_{&race} {
    state.attempts_left = 1;
    state.waited = Duration::zero();
    state.beside = race.target_;
    context.set_state(state);
    context.set_stop(stop);
    context.set_progress(nullptr);
    context.set_forced_probe(false);
    // The first is being waited for anyhow: no retries here, and no hedge of the hedge.
    context.set_alternatives(Alternatives{.ready = true});
    lane.enter(context);
  }

  CallState state;        // until both have ended; `committed` and the rows then go to the call's
  std::size_t first_row;  // of its own, and their place among the call's
  StopSource stop;
  CallContext context;
  Lane lane;
  std::optional<Result<ChatResponse>> result;
  std::exception_ptr threw;  // in place of a result

 private:
  void on_end() noexcept override { race_->second_ended(); }

  HedgeRace* race_;
};

HedgeRace::HedgeRace(const HedgeRules& rules, const Target& target, const ChatRequest& request, CallContext& context)
    : rules_{&rules},
      target_{&target},
      request_{&request},
      outer_{&context},
      started_{context.now()},
      first_row_{context.state().ledger.size()},
      first_stop_{context.stop()},
      first_context_{context},
      first_lane_{*this, Side::first} {
  first_context_.set_stop(first_stop_);
  Alternatives alternatives = context.alternatives();
  alternatives.substitute = nullptr;  // is asked here
  first_context_.set_alternatives(alternatives);
  first_lane_.enter(first_context_);
}

HedgeRace::~HedgeRace() = default;

void HedgeRace::arm(Duration delay) {
  delay_ = delay;
  const TimePoint due = saturating_add(started_, delay);
  if (due < outer_->deadline()) outer_->runtime().timers().arm(*this, due);
}

void HedgeRace::on_timer() noexcept {
  try {
    launch();
  } catch (...) {  // no memory for a second call: the first goes on alone
  }
}

void HedgeRace::launch() {
  CallState& state = outer_->state();
  if (winner_ != Side::none || outer_->stopping() || state.committed || state.attempts_left < 1) return;
  Substitute& substitute = *outer_->alternatives().substitute;
  const Target* target = substitute.choose();
  if (target == nullptr) return;
  auto second = std::make_unique<Second>(*this);
  auto task = substitute.call(*request_, second->context);
  if (!rules_->allow(*request_)) return;
  second_ = std::move(second);  // nothing is thrown from here on
  --state.attempts_left;
  ++state.hedges_sent;
  state.beside = target;
  second_->start(std::move(task));
}

ChildTask<Result<ChatResponse>>* HedgeRace::second() noexcept { return second_.get(); }

void HedgeRace::first_content(Side side, TimePoint at) noexcept {
  if (side == Side::first) disarm();
  if (winner_ != Side::none) return;
  if (side == Side::first) rules_->took(at - started_, outer_->streaming());
  if (!outer_->streaming()) return;  // a plain answer counts when it is complete
  side == Side::first ? first_wins() : second_wins();
}

void HedgeRace::first_wins() noexcept {
  winner_ = Side::first;
  if (second_) second_->stop.request_stop(StopReason::superseded);
  first_lane_.let_go();
}

void HedgeRace::second_wins() noexcept {
  winner_ = Side::second;
  if (!first_result_) rules_->took(outer_->now() - started_, outer_->streaming());  // at least that long
  first_stop_.request_stop(StopReason::superseded);
  second_->lane.let_go();
}

void HedgeRace::first_ended(Result<ChatResponse> result) {
  disarm();
  const bool settled = result || settles_the_request(result.error());
  first_result_.emplace(std::move(result));
  if (settled && winner_ == Side::none) first_wins();
}

void HedgeRace::first_threw(std::exception_ptr thrown) noexcept {
  disarm();
  first_threw_ = std::move(thrown);
  if (winner_ == Side::none) winner_ = Side::first;
  if (second_) second_->stop.request_stop(StopReason::superseded);
}

void HedgeRace::second_ended() noexcept {
  Second& second = *second_;
  CallState& state = outer_->state();
  try {
    second.result.emplace(second.take_result());
  } catch (...) {  // the first call goes on, unless it has lost already
    second.threw = std::current_exception();
  }
  if (second.state.attempts_left > 0) {
    ++state.attempts_left;
    --state.hedges_sent;
    state.beside = nullptr;
    rules_->not_sent();
  }
  if (second.result && *second.result && winner_ == Side::none) second_wins();
}

Result<ChatResponse> HedgeRace::conclude() {
  if (second_) merge_ledger();
  if (first_threw_) std::rethrow_exception(first_threw_);
  if (winner_ != Side::second) return std::move(*first_result_);
  if (second_->threw) std::rethrow_exception(second_->threw);
  CallState& state = outer_->state();
  state.committed = state.committed || second_->state.committed;
  state.tool_call_delivered = state.tool_call_delivered || second_->state.tool_call_delivered;
  outer_->alternatives().substitute->took_over(failed_by_itself(*first_result_) ? &first_result_->error() : nullptr);
  if (*second_->result) (*second_->result)->fallback = true;
  return std::move(*second_->result);
}

void HedgeRace::merge_ledger() {
  Ledger& ledger = outer_->state().ledger;
  Ledger& other = second_->state.ledger;
  const std::size_t place = second_->first_row;
  outer_->state().beside = nullptr;
  if (winner_ == Side::second) mark_as_lost(ledger, first_row_, ledger.size());
  if (winner_ == Side::first) mark_as_lost(other, place, other.size());
  for (std::size_t row = place; row < other.size(); ++row) {
    std::string& reason = other[row].reason;
    fmt::format_to(std::back_inserter(reason), "{}a hedge, after {} of silence from {}", reason.empty() ? "" : "; ",
                   duration_text(delay_), target_->name());
  }
  const auto from = other.begin() + static_cast<std::ptrdiff_t>(place);
  ledger.insert(ledger.begin() + static_cast<std::ptrdiff_t>(place), std::make_move_iterator(from),
                std::make_move_iterator(other.end()));
}

void HedgeRace::Lane::enter(CallContext& context) noexcept {
  context.add_listener(*this);
  if (context.streaming()) context.set_sink(this);
}

void HedgeRace::Lane::on_event(const StreamEvent& event) noexcept {
  // A provider of the application's own may not have said so.
  if (race_->winner_ == Side::none && event.is_content()) race_->first_content(side_, race_->outer_->now());
  if (wins()) {
    sink().on_event(event);
  } else if (race_->winner_ == Side::none && event.degradation != nullptr) {
    degradation_ = *event.degradation;
  }
}

void HedgeRace::Lane::on_attempt() noexcept {
  degradation_.reset();
  if (wins()) sink().on_attempt();
}

void HedgeRace::Lane::let_go() noexcept {
  if (!degradation_) return;
  StreamEvent event;
  event.type = StreamEvent::Type::degraded;
  event.degradation = &*degradation_;
  sink().on_event(event);
}

}  // namespace backstop::inline v0::detail
