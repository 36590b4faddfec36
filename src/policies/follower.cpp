#include "policies/follower.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "chat/interrupted.hpp"
#include "runtime/exception_error.hpp"

namespace backstop::inline v0::detail {

Follower::Follower(Flight& flight, const CallContext& context)
    : flight_{flight.shared_from_this()},
      context_{context},
      joined_at_{context.now()},
      time_before_{0},
      parked_{context.runtime(), &context.state()} {
  if (context_.progress() == nullptr) context_.set_progress(&own_progress_);
  if (!AttemptProgress::reached(context_.progress()->started)) context_.progress()->started = joined_at_;
  if (context_.streaming()) time_before_ = flight_->held_up_for() - context_.sink()->consumer_time();
  flight_->join(*this);
}

Follower::~Follower() {
  const bool last = flight_->started() && !flight_->ended() && flight_->followed_only_by(*this);
  flight_->leave(*this);
  if (last) flight_->abandon(stop_reason());
}

StopReason Follower::stop_reason() const noexcept {
  return context_.stopping() ? context_.stop().reason() : StopReason::cancelled;
}

Duration Follower::consumer_time() const noexcept {
  return context_.streaming() ? time_before_ + context_.sink()->consumer_time() : Duration::zero();
}

void Follower::catch_up() noexcept {
  if (!context_.streaming()) return;
  while ((!context_.stopping() || has_answer_in_time()) && !left_behind() && !has_everything() && can_take_more()) {
    const std::shared_ptr<const Flight::Event> event = flight_->event(position_);
    if (event->attempt != attempt_) {
      attempt_ = event->attempt;
      const Target target = flight_->target_of(attempt_);
      context_.sink()->on_attempt(target);
    }
    context_.deliver(event->view());
    if (event->type == StreamEvent::Type::restarted) context_.branch().take_back();
    ++position_;
  }
}

std::optional<Error> Follower::pay_for(Send& send) {
  // What is under way when it takes over has been decided.
  if (!send.begun && context_.spare_sends() <= 0) {
    Error error{ErrorKind::local_limit, "the call has used up its number of attempts"};
    error.target = *send.target;
    return error;
  }
  std::optional<Error> refusal = context_.begin_send(send);
  if (!refusal) --context_.state().attempts_left;
  return refusal;
}

void Follower::settle() {
  CallState& state = context_.state();
  state.at_stake -= std::exchange(unsettled_, Money{});
  if (flight_->ended()) context_.requirement().add(flight_->requirement());
  if (const Target* chosen = flight_->first_choice(); chosen != nullptr && context_.hint().first_choice) {
    state.first_choice = chosen;
  }
  const std::size_t rows_before = state.ledger.size();
  const bool has_rows = flight_->hand_rows_to(*this, state, room_);
  const Duration waited = std::exchange(context_.branch().waited, Duration::zero());
  if (has_rows) state.ledger[rows_before].waited += waited;
  const auto answers = [](const Attempt& row) { return !row.outcome; };
  const auto own = state.ledger.begin() + static_cast<std::ptrdiff_t>(rows_before);
  // What it was answered by may be on another's account.
  const bool tells_all = !flight_->ended() || !flight_->result() || std::any_of(own, state.ledger.end(), answers);
  if (has_rows && flight_->ended() && tells_all) return;
  Attempt& row = state.ledger.emplace_back();
  if (!has_rows) row.waited = waited;
  row.elapsed = context_.now() - joined_at_;
  if (refused()) {
    row.target = refusal_->target;
    row.outcome = refusal_->kind;
    row.reason = refusal_->message;
    return;
  }
  if (!flight_->ended() || (context_.stopping() && !has_answer_in_time())) {
    row.target = flight_->target();
    row.outcome = context_.stopping() ? context_.stop_error().kind : ErrorKind::local_limit;
    row.reason = "left the send of an identical call";
    return;
  }
  const Result<ChatResponse>& result = flight_->result();
  row.target = result ? result->served_by : result.error().target;
  if (!result) row.outcome = result.error().kind;
  row.reason = "shared the send of an identical call";
}

Result<ChatResponse> Follower::outcome() {
  if (context_.stopping() && !(has_answer_in_time() && has_everything())) {
    Error error = context_.stop_error();
    error.target = context_.state().ledger.back().target;  // its part in the send has a row
    return error;
  }
  if (refused()) {
    if (context_.committed()) {  // it has a part of the answer
      interrupt_stream(*refusal_);
      refusal_->committed = true;
    }
    return *refusal_;
  }
  if (left_behind() || flight_->broken()) {
    Error error = out_of_memory();
    if (!flight_->broken()) error.message = "the stream is shared, and its consumer is too far behind the others";
    if (context_.committed()) {
      if (flight_->broken()) error.cause = error.kind;
      error.kind = ErrorKind::stream_interrupted;
    }
    error.target = flight_->target();
    error.replay = ReplaySafety::maybe_processed;
    error.committed = context_.committed();
    return error;
  }
  Result<ChatResponse> result = flight_->result();
  if (!result) {
    // What its own caps say, not another's.
    if (own_refusal_ && result.error().kind == own_refusal_->kind) result = *own_refusal_;
    result.error().committed = context_.committed();
  } else if (!AttemptProgress::reached(context_.progress()->first_content)) {
    context_.note_first_content();
  }
  return result;
}

}  // namespace backstop::inline v0::detail
