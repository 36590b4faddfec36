#include "policies/flight.hpp"

#include <algorithm>
#include <exception>
#include <new>
#include <utility>

#include "backstop/observe/observer.hpp"

namespace backstop::inline v0::detail {

std::shared_ptr<Flight> Flights::find(const std::string& key) {
  const std::lock_guard lock{mutex};
  const auto place = boarding.find(key);
  return place != boarding.end() ? place->second : nullptr;
}

// The flight.

Flight::Flight(std::shared_ptr<Flights> flights, std::string key, Provider next, const ChatRequest& request,
               const CallContext& first, std::size_t max_replay_bytes)
    : flights_{std::move(flights)},
      key_{std::move(key)},
      next_{std::move(next)},
      request_{request},
      state_{first.runtime()},
      context_{state_, stop_, first.deadline()},
      sends_allowed_{first.state().attempts_left},
      max_replay_bytes_{max_replay_bytes} {
  const CallState& from = first.state();
  state_.started = from.started;
  state_.attempts_left = sends_allowed_;
  // Copies: the first call may be gone, with all that it points to, before the send has ended.
  if (from.observers != nullptr && !from.observers->empty()) {
    observers_ = *from.observers;
    state_.observers = &observers_;
  }
  if (from.first_choice != nullptr) {
    first_choice_ = *from.first_choice;
    state_.first_choice = &first_choice_;
  }
  Alternatives alternatives = first.alternatives();
  alternatives.substitute = nullptr;  // goes away with the first call, which this may outlive
  context_.set_alternatives(alternatives);
  if (first.streaming()) context_.set_sink(this);
}

void Flight::start() {
  {
    // Between the search for the key and this moment nobody else on this runtime had a turn.
    const std::lock_guard lock{flights_->mutex};
    flights_->boarding.emplace(key_, shared_from_this());
  }
  started_ = true;
  try {
    task_ = next_.call(request_, context_);
  } catch (...) {
    return land(thrown());
  }
  task_.start(*this);
}

void Flight::board(Passenger& passenger) {
  passengers_.push_back(&passenger);
  context_.set_deadline(std::max(context_.deadline(), passenger.context().deadline()));
}

void Flight::leave(Passenger& passenger) noexcept {
  std::erase(passengers_, &passenger);
  if (started_ && !ended()) go_on();  // it may have been waiting for a slower one that is gone
}

void Flight::close() noexcept {
  std::shared_ptr<Flight> entry;  // released without the lock
  const std::lock_guard lock{flights_->mutex};
  const auto place = flights_->boarding.find(key_);
  if (place == flights_->boarding.end() || place->second.get() != this) return;
  entry = std::move(place->second);
  flights_->boarding.erase(place);
}

void Flight::abandon() noexcept {
  close();
  kept_ = shared_from_this();
  stop();
}

void Flight::on_task_done() noexcept {
  try {
    land(task_.take_result());
  } catch (...) {
    land(thrown());
  }
}

Error Flight::thrown() {
  Error error{ErrorKind::invalid_request, "an exception ended the call"};
  try {
    throw;
  } catch (const std::exception& exception) {
    error.message.append(": ").append(exception.what());
  } catch (...) {
  }
  error.target = target();
  return error;
}

void Flight::land(Result<ChatResponse> result) noexcept {
  result_.emplace(std::move(result));
  close();
  if (!passengers_.empty()) payer_ = passengers_.front();
  for (Passenger* passenger : passengers_) passenger->wake();
  if (kept_) context_.runtime().post([kept = std::move(kept_)] { static_cast<void>(kept); });
}

// The stream.

Flight::Event::Event(const StreamEvent& event) : type{event.type}, delta{event.delta}, target{event.target} {
  if (event.tool_call != nullptr) tool_call = std::make_unique<ToolCall>(*event.tool_call);
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
  try {
    events_.emplace_back(event);
    bytes_ += events_.back().bytes();
  } catch (const std::bad_alloc&) {
    broken_ = true;
    stop();
  }
  // By number: a consumer may make calls leave or board.
  for (std::size_t i = 0; i < passengers_.size(); ++i) {
    Passenger& passenger = *passengers_[i];
    passenger.catch_up();
    if (broken_ || !passenger.has_everything() || !passenger.can_take_more()) passenger.wake();
  }
  drop_what_is_too_much();
}

void Flight::drop_what_is_too_much() noexcept {
  if (bytes_ <= max_replay_bytes_) return;
  close();  // who came now would miss the beginning
  std::size_t fastest = 0;
  for (const Passenger* passenger : passengers_) fastest = std::max(fastest, passenger->position());
  while (bytes_ > max_replay_bytes_ && dropped_ < fastest) {
    bytes_ -= events_.front().bytes();
    events_.pop_front();
    ++dropped_;
  }
}

bool Flight::ready() const noexcept {
  return std::any_of(passengers_.begin(), passengers_.end(), [](const Passenger* passenger) {
    return passenger->has_everything() && passenger->can_take_more();
  });
}

void Flight::go_on() {
  if (held_up_ && ready()) context_.runtime().schedule(std::exchange(held_up_, {}));
}

Duration Flight::consumer_time() const noexcept {
  Duration least = Duration::max();
  for (const Passenger* passenger : passengers_) least = std::min(least, passenger->consumer_time());
  if (least != Duration::max()) held_for_ = std::max(held_for_, least);
  return held_for_;
}

// Those aboard.

Passenger::Passenger(Flight& flight, const CallContext& context)
    : flight_{flight.shared_from_this()}, context_{context}, boarded_{context.now()}, time_before_{0} {
  if (context_.progress() == nullptr) context_.set_progress(&own_progress_);
  if (!AttemptProgress::reached(context_.progress()->started)) context_.progress()->started = boarded_;
  if (context_.streaming()) time_before_ = flight_->held_up_for() - context_.sink()->consumer_time();
  flight_->board(*this);
}

Passenger::~Passenger() {
  const bool last = flight_->started() && !flight_->ended() && flight_->boarded_only_by(*this);
  flight_->leave(*this);
  if (last) flight_->abandon();
}

Duration Passenger::consumer_time() const noexcept {
  return context_.streaming() ? time_before_ + context_.sink()->consumer_time() : Duration::zero();
}

void Passenger::catch_up() noexcept {
  if (!context_.streaming() || handing_on_) return;
  handing_on_ = true;
  while (!context_.stopping() && !left_behind() && !has_everything() && can_take_more()) {
    const StreamEvent event = flight_->event(position_);
    context_.emit(event);
    if (event.type == StreamEvent::Type::restarted) context_.state().committed = false;
    ++position_;
  }
  handing_on_ = false;
}

void Passenger::wake() noexcept {
  unsubscribe();
  if (waiting_) context_.runtime().schedule(std::exchange(waiting_, {}));
}

void Passenger::settle() {
  CallState& state = context_.state();
  if (flight_->payer() == this) {
    state.attempts_left -= flight_->sends();
    Ledger& rows = flight_->ledger();
    std::move(rows.begin(), rows.end(), std::back_inserter(state.ledger));
    return;
  }
  Attempt& row = state.ledger.emplace_back();
  row.elapsed = context_.now() - boarded_;
  if (!flight_->ended() || context_.stopping()) {
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

Result<ChatResponse> Passenger::outcome() {
  if (context_.stopping()) return context_.stop_error();
  if (left_behind() || flight_->broken()) {
    Error error{context_.committed() ? ErrorKind::stream_interrupted : ErrorKind::local_limit,
                "the stream is shared, and its consumer is too far behind the others"};
    error.target = flight_->target();
    error.replay = ReplaySafety::maybe_processed;
    error.committed = context_.committed();
    return error;
  }
  Result<ChatResponse> result = flight_->result();
  if (!result) {
    result.error().committed = context_.committed();
  } else if (!AttemptProgress::reached(context_.progress()->first_content)) {
    context_.note_first_content();
  }
  return result;
}

}  // namespace backstop::inline v0::detail
