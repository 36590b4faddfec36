#include "policies/flight.hpp"

#include <algorithm>
#include <iterator>
#include <new>
#include <utility>

#include "backstop/observe/observer.hpp"
#include "chat/interrupted.hpp"
#include "runtime/exception_error.hpp"

namespace backstop::inline v0::detail {

std::shared_ptr<Flight> Flights::find(const std::string& key) {
  const std::lock_guard lock{mutex};
  const auto place = open.find(key);
  return place != open.end() ? place->second : nullptr;
}

// The flight.

Flight::Flight(std::shared_ptr<Flights> flights, std::string key, Provider next, const ChatRequest& request,
               const CallContext& first, std::size_t max_replay_bytes)
    : flights_{std::move(flights)},
      key_{std::move(key)},
      next_{std::move(next)},
      request_{request},
      state_{first.runtime()},
      context_{state_, branch_, stop_, first.deadline()},
      max_replay_bytes_{max_replay_bytes} {
  const CallState& from = first.state();
  state_.started = from.started;
  state_.attempts_left = first.spare_sends();
  // Copies: the first call may be gone, with all that it points to, before the send has ended.
  if (from.observers != nullptr && !from.observers->empty()) {
    observers_ = *from.observers;
    state_.observers = &observers_;
  }
  if (from.first_choice != nullptr) {
    first_choice_ = *from.first_choice;
    state_.first_choice = &first_choice_;
  }
  // A cap on the call that stands below counts what the call has spent before.
  state_.at_stake = from.at_stake;
  for (const Attempt& row : from.ledger) state_.at_stake += row.cost;
  state_.quote_providers = from.quote_providers;
  state_.active_probe = from.active_probe;
  state_.recovery_wait = from.recovery_wait;
  state_.recovery_waited = from.recovery_waited;
  if (first.limits() != nullptr) {
    limits_ = *first.limits();
    context_.set_limits(limits_);
  }
  RoutingHint hint = first.hint();
  hint.kept_sends = hint.barred_sends = 0;  // what is kept is not among those that it was given
  hint.around = nullptr;
  if (hint.pick != nullptr) {
    pick_ = *hint.pick;
    if (pick_.session != nullptr) pick_.session = &session_.emplace(*pick_.session);
    hint.pick = &pick_;
  }
  if (hint.text_so_far != nullptr) hint.text_so_far = &(text_so_far_ = *hint.text_so_far);
  if (hint.whole != nullptr) hint.whole = &whole_.emplace(*hint.whole);
  // Whoever joins may want otherwise.
  hint.restarts = false;
  hint.wants_draft = true;
  state_.requirement = first.requirement();
  context_.set_hint(hint);
  // What the call that begins it has a permit of, its send has.
  std::vector<const HeldHandle*> held;
  for (const HeldHandle* one = first.held(); one != nullptr; one = one->outer) held.push_back(one);
  for (auto one = held.rbegin(); one != held.rend(); ++one) {
    held_.push_back({(*one)->handle, held_.empty() ? nullptr : &held_.back(), (*one)->in_use});
    context_.set_held(held_.back());
  }
  context_.add_observer(*this);
  if (first.streaming()) context_.set_sink(this);
}

void Flight::start() {
  {
    // Between the search for the key and this moment nobody else on this runtime had a turn.
    const std::lock_guard lock{flights_->mutex};
    flights_->open.emplace(key_, shared_from_this());
  }
  started_ = true;
  const Runtime::Step step{context_.runtime(), &state_};
  try {
    task_ = next_.call(request_, context_);
  } catch (...) {
    return complete(error_thrown_by(next_.target(), context_));
  }
  task_.start(*this);
}

void Flight::join(Follower& follower) {
  followers_.push_back(&follower);
  state_.attempts_left = std::max(state_.attempts_left, follower.context().spare_sends());
  ask_again();
  context_.set_deadline(std::max(context_.deadline(), follower.context().deadline()));
}

void Flight::leave(Follower& follower) noexcept {
  std::erase(followers_, &follower);
  ask_again();
  for (UnderWay& one : sends_) {
    if (one.payer == &follower && !give_to_another(one, follower) && !followers_.empty()) stop(StopReason::cancelled);
  }
  for (Account& one : accounts_) one.handed_over = one.handed_over || one.payer == &follower;
  if (!started_ || ended()) return;
  state_.attempts_left = std::min(state_.attempts_left, most_sends_left());
  go_on();  // it may have been waiting for a slower one that is gone
}

bool Flight::give_to_another(UnderWay& one, Follower& from) noexcept {
  one.send->aside = one.aside;
  from.context().end_send(*one.send, nullptr);
  from.give_back_send();
  one.send->unstake();
  one.payer = nullptr;
  bool given = false;
  try {
    given = !ended() && !find_payer(*one.send, 0, &from);
  } catch (...) {
    given = false;
  }
  one.send->aside = false;
  return given;
}

bool Flight::hand_over(Follower& follower) noexcept {
  bool all = true;
  for (UnderWay& one : sends_) {
    if (one.payer != &follower || give_to_another(one, follower)) continue;
    all = false;
    try {
      one.send->aside = one.aside;
      if (!follower.begin(*one.send, 0)) one.payer = &follower;
    } catch (...) {  // nobody accounts for it
    }
    one.send->turn.reset();
    one.send->aside = false;
  }
  return all;
}

void Flight::close() noexcept {
  std::shared_ptr<Flight> entry;  // released without the lock
  const std::lock_guard lock{flights_->mutex};
  const auto place = flights_->open.find(key_);
  if (place == flights_->open.end() || place->second.get() != this) return;
  entry = std::move(place->second);
  flights_->open.erase(place);
}

void Flight::abandon(StopReason reason) noexcept {
  close();
  kept_ = shared_from_this();
  stop(reason);
}

void Flight::on_task_done() noexcept {
  try {
    complete(task_.take_result());
  } catch (...) {
    complete(error_thrown_by(next_.target(), context_));
  }
}

std::optional<Error> Flight::on_begin(Send& send) {
  sends_.push_back({&send, nullptr, send.aside});
  std::optional<Error> refusal;
  try {
    refusal = find_payer(send, 1);
  } catch (...) {
    refusal = error_from_exception("a caller");
  }
  if (refusal) sends_.pop_back();
  return refusal;
}

std::optional<Error> Flight::find_payer(Send& send, int is_new, const Follower* leaving) {
  std::vector<std::pair<Follower*, Error>> refused;
  std::shared_ptr<BudgetTurn> turn;  // of the first who may pay once others have settled
  const bool all_stopping = std::all_of(followers_.begin(), followers_.end(), [&](const Follower* one) {
    return one == leaving || one->context().stopping();
  });
  for (Follower* follower : followers_) {
    if (follower == leaving || follower->refused() || (follower->context().stopping() && !all_stopping)) continue;
    // What was sent must not be lost for want of memory.
    follower->keep_room_for(state_.ledger.size() + 1);
    accounts_.reserve(state_.ledger.size() + sends_.size() + 1);
    std::optional<Error> own = follower->begin(send, is_new);
    if (!own) {
      const auto place = std::find_if(sends_.begin(), sends_.end(), [&](const UnderWay& one) { return one.send == &send; });
      if (place != sends_.end()) place->payer = follower;
      for (Follower* other : followers_) other->note_own_refusal({});
      return std::nullopt;
    }
    refused.emplace_back(follower, *std::move(own));
    if (!turn && is_new > 0) turn = std::exchange(send.turn, nullptr);
  }
  if (refused.empty()) return Error{ErrorKind::cancelled, "nobody waits for the send any more"};
  Error refusal = refused.back().second;
  for (const auto& [follower, why] : refused) follower->note_own_refusal(why);
  send.turn = std::move(turn);
  if (send.turn) {
    std::erase_if(turns_, [](const auto& one) { return one.expired(); });
    turns_.push_back(send.turn);
  }
  // Of a new send only that is refused: another target may be cheaper.
  if (is_new == 0) {
    for (auto& [follower, why] : refused) follower->refuse(std::move(why));
  }
  return refusal;
}

int Flight::most_sends_left() const noexcept {
  int most = 0;
  for (const Follower* follower : followers_) {
    if (!follower->refused()) most = std::max(most, follower->context().spare_sends());
  }
  return most;
}

void Flight::on_end(Send& send, const Attempt* row) noexcept {
  const auto place = std::find_if(sends_.begin(), sends_.end(), [&](const UnderWay& one) { return one.send == &send; });
  if (place == sends_.end()) return;
  Follower* payer = place->payer;
  sends_.erase(place);
  if (payer == nullptr) return;
  payer->context().end_send(send, row);
  if (row == nullptr || !row->sent) payer->give_back_send();
  if (row == nullptr) return;
  payer->add_cost(std::max(row->cost, send.booked));
  if (&send.context->state() != &state_) return;  // of a flight inside, whose rows come later
  const auto index = static_cast<std::size_t>(row - state_.ledger.data());
  if (index >= accounts_.capacity()) return;  // no memory was to be had: it goes with those that are on nobody's
  if (index >= accounts_.size()) accounts_.resize(index + 1);
  accounts_[index].payer = payer;
}

bool Flight::hand_rows_to(const Follower& follower, Ledger& ledger, Ledger& room) {
  const bool gets_the_rest = ended() && payer_ == &follower;
  const auto is_its = [&](std::size_t row) {
    if (row >= accounts_.size() || (accounts_[row].payer == nullptr && !accounts_[row].handed_over)) return gets_the_rest;
    return !accounts_[row].handed_over && accounts_[row].payer == &follower;
  };
  std::size_t count = 0;
  for (std::size_t row = 0; row < state_.ledger.size(); ++row) count += is_its(row) ? 1 : 0;
  if (ledger.capacity() < ledger.size() + count && room.capacity() > ledger.capacity()) {
    room.assign(std::make_move_iterator(ledger.begin()), std::make_move_iterator(ledger.end()));
    ledger.swap(room);
  }
  for (std::size_t row = 0; row < state_.ledger.size(); ++row) {
    if (!is_its(row)) continue;
    // A copy while it goes on: those who race write into it until the end.
    if (ended()) {
      ledger.push_back(std::move(state_.ledger[row]));
    } else {
      ledger.push_back(state_.ledger[row]);
    }
    if (row < accounts_.size()) accounts_[row].handed_over = true;
  }
  return count > 0;
}

void Flight::complete(Result<ChatResponse> result) noexcept {
  broken_ = broken_ || state_.lost_event;
  result_.emplace(std::move(result));
  close();
  const auto payer = std::find_if(followers_.begin(), followers_.end(), [](const Follower* one) { return !one->refused(); });
  if (payer != followers_.end()) {
    payer_ = *payer;
  } else if (!followers_.empty()) {
    payer_ = followers_.front();
  }
  for (Follower* follower : followers_) follower->wake();
  if (kept_) context_.runtime().post(last_turn_, std::move(kept_));
}

// The stream.

Flight::Event::Event(const StreamEvent& event, std::size_t written_by)
    : type{event.type}, delta{event.delta}, target{event.target}, attempt{written_by} {
  if (event.tool_call != nullptr) {
    tool_call = std::make_unique<ToolCall>();
    tool_call->id = event.tool_call->id;
    tool_call->name = event.tool_call->name;
    if (type == StreamEvent::Type::tool_call) tool_call->arguments = event.tool_call->arguments;
  }
  if (event.degradation != nullptr) degradation = std::make_unique<Degradation>(*event.degradation);
}

StreamEvent Flight::Event::view() const noexcept {
  StreamEvent event;
  event.type = type;
  event.delta = delta;
  event.tool_call = tool_call.get();
  event.degradation = degradation.get();
  event.target = target;
  return event;
}

std::size_t Flight::Event::bytes() const noexcept {
  return sizeof(Event) + delta.size() + (tool_call ? sizeof(ToolCall) + tool_call->arguments.size() : 0);
}

void Flight::on_event(const StreamEvent& event) noexcept {
  if (broken_ || state_.lost_event) return;
  try {
    events_.push_back(std::make_shared<const Event>(event, attempts_.size()));
    bytes_ += events_.back()->bytes();
  } catch (const std::bad_alloc&) {
    broken_ = true;
    stop(StopReason::no_memory);
  }
  // Each hands it on in a step of its own: a consumer may wait there for another call that shares the send.
  for (Follower* follower : followers_) follower->wake();
  drop_what_is_too_much();
}

void Flight::on_attempt(const Target& target) noexcept {
  try {
    attempts_.push_back(target);
  } catch (const std::bad_alloc&) {
    broken_ = true;
    stop(StopReason::no_memory);
  }
}

void Flight::drop_what_is_too_much() noexcept {
  if (bytes_ <= max_replay_bytes_) return;
  close();  // who came now would miss the beginning
  std::size_t fastest = 0;
  for (const Follower* follower : followers_) fastest = std::max(fastest, follower->position());
  while (bytes_ > max_replay_bytes_ && dropped_ < fastest) {
    bytes_ -= events_.front()->bytes();
    events_.pop_front();
    ++dropped_;
  }
}

bool Flight::ready() const noexcept {
  return std::any_of(followers_.begin(), followers_.end(), [](const Follower* follower) {
    return follower->has_everything() && follower->can_take_more();
  });
}

void Flight::go_on() {
  if (held_up_ != nullptr && ready()) std::exchange(held_up_, nullptr)->wake();
}

Duration Flight::consumer_time() const noexcept {
  Duration least = Duration::max();
  for (const Follower* follower : followers_) least = std::min(least, follower->consumer_time());
  if (least != Duration::max()) held_for_ = std::max(held_for_, least);
  return held_for_;
}

// Those who share it.

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

std::optional<Error> Follower::begin(Send& send, int is_new) {
  // What is under way when it takes over has been decided.
  if (context_.spare_sends() < is_new) {
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
  const bool has_rows = flight_->hand_rows_to(*this, state.ledger, room_);
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
