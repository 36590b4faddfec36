#include "policies/flight.hpp"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <new>
#include <utility>

#include "backstop/observe/observer.hpp"
#include "policies/follower.hpp"
#include "runtime/exception_error.hpp"

namespace backstop::inline v0::detail {
namespace {

[[nodiscard]] std::uint64_t next_send_number() noexcept {
  static std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

std::shared_ptr<Flight> Flights::find(const std::string& key) {
  const std::lock_guard lock{mutex};
  const auto place = open.find(key);
  return place != open.end() ? place->second : nullptr;
}

bool Flights::any_of(const std::string& beginning) {
  const std::lock_guard lock{mutex};
  const auto place = open.lower_bound(beginning);
  return place != open.end() && place->first.starts_with(beginning);
}

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
  state_.row_listener = this;
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
  for (std::size_t i = 0; i < sends_.size(); ++i) {
    Send& send = *sends_[i].send;
    if (sends_[i].payer != &follower || give_to_another(send, follower)) continue;
    give_back(send, follower);
    if (!followers_.empty()) stop(StopReason::cancelled);
  }
  for (Account& one : accounts_) one.handed_over = one.handed_over || one.payer == &follower;
  if (!started_ || ended()) return;
  state_.attempts_left = std::min(state_.attempts_left, most_sends_left());
  go_on();  // it may have been waiting for a slower one that is gone
}

bool Flight::give_to_another(Send& send, Follower& from) noexcept {
  if (ended()) return false;
  // What is reserved for it stays so until another has reserved: nobody else gets the money in between, and where both
  // pay out of one budget nothing changes.
  const UnderWay& one = *find(send);
  const bool aside = std::exchange(send.aside, one.aside);
  BudgetReservation* const reserved = std::exchange(send.reservations, one.further_in);
  send.reserved_so_far = reserved;
  const Money staked = send.staked_in(from.context().state());
  send.unstake();
  bool given = false;
  try {
    given = !find_payer(send, &from);
  } catch (...) {
    given = false;
  }
  send.reserved_so_far = nullptr;
  send.turn.reset();
  if (given) {
    give_back(send, from);
  } else {
    send.reservations = reserved;
    if (staked != Money{}) static_cast<void>(send.stake(from.context().state(), staked));
  }
  send.aside = aside;
  return given;
}

void Flight::give_back(Send& send, Follower& from) noexcept {
  from.context().end_send(send, nullptr);
  from.give_back_send();
  if (UnderWay* const one = find(send); one != nullptr && one->payer == &from) one->payer = nullptr;
}

bool Flight::hand_over(Follower& follower) noexcept {
  bool all = true;
  for (std::size_t i = 0; i < sends_.size(); ++i) {
    if (sends_[i].payer == &follower) all = give_to_another(*sends_[i].send, follower) && all;
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
  if (send.number == 0) send.number = next_send_number();
  sends_.push_back({&send, nullptr, send.aside, send.reservations});
  std::optional<Error> refusal;
  try {
    refusal = find_payer(send);
  } catch (...) {
    refusal = error_from_exception("a caller");
  }
  if (refusal) std::erase_if(sends_, [&](const UnderWay& one) { return one.send == &send && one.payer == nullptr; });
  return refusal;
}

std::optional<Error> Flight::find_payer(Send& send, const Follower* leaving) {
  std::vector<std::pair<Follower*, Error>> refused;
  std::shared_ptr<BudgetTurn> turn;  // of the first who may pay once others have settled
  const bool all_stopping = std::all_of(followers_.begin(), followers_.end(), [&](const Follower* one) {
    return one == leaving || one->context().stopping();
  });
  for (Follower* const follower : std::vector<Follower*>{followers_}) {
    if (!has(follower) || follower == leaving || follower->refused()) continue;
    if (follower->context().stopping() && !all_stopping) continue;
    // What was sent must not be lost for want of memory.
    accounts_.reserve(accounts_.size() + sends_.size() + 1);
    follower->keep_room_for(state_.ledger.size() + accounts_.size() + 1);
    std::optional<Error> own = follower->pay_for(send);
    if (!own) {
      if (UnderWay* const one = find(send)) one->payer = follower;
      for (Follower* other : followers_) other->note_own_refusal({});
      return std::nullopt;
    }
    refused.emplace_back(follower, *std::move(own));
    if (!turn && !send.begun) turn = std::exchange(send.turn, nullptr);
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
  if (send.begun) {
    for (auto& [follower, why] : refused) follower->refuse(std::move(why));
  }
  return refusal;
}

Flight::UnderWay* Flight::find(const Send& send) noexcept {
  const auto place = std::find_if(sends_.begin(), sends_.end(), [&](const UnderWay& one) { return one.send == &send; });
  return place != sends_.end() ? &*place : nullptr;
}

bool Flight::has(const Follower* follower) const noexcept {
  return std::find(followers_.begin(), followers_.end(), follower) != followers_.end();
}

int Flight::most_sends_left() const noexcept {
  int most = 0;
  for (const Follower* follower : followers_) {
    if (!follower->refused()) most = std::max(most, follower->context().spare_sends());
  }
  return most;
}

void Flight::on_end(Send& send, const Attempt* row) noexcept {
  const UnderWay* const ended = find(send);
  if (ended == nullptr) return;
  Follower* const payer = ended->payer;
  sends_.erase(sends_.begin() + (ended - sends_.data()));
  if (payer == nullptr) return;
  payer->context().end_send(send, row);
  if (row == nullptr || !row->sent) payer->give_back_send();
  if (row == nullptr) return;
  payer->add_cost(std::max(row->cost, send.booked));
  if (accounts_.size() == accounts_.capacity()) return;  // no memory was to be had: the row goes where the rest goes
  Account& account = accounts_.emplace_back(Account{send.number, payer});
  if (&send.context->state() == &state_) {
    account.row = static_cast<std::size_t>(row - state_.ledger.data());
    return;
  }
  try {
    account.early = *row;
  } catch (const std::bad_alloc&) {  // it gets the row if it is still there when this comes
  }
}

void Flight::on_row_added(std::size_t row, std::uint64_t send) noexcept {
  for (Account& account : accounts_) {
    if (account.send != send) continue;
    account.row = row;
    account.early.reset();
  }
}

const Flight::Account* Flight::account_of(std::size_t row) const noexcept {
  const auto place = std::find_if(accounts_.begin(), accounts_.end(), [&](const Account& one) { return one.row == row; });
  return place != accounts_.end() ? &*place : nullptr;
}

bool Flight::hand_rows_to(const Follower& follower, CallState& call, Ledger& room) {
  const bool gets_the_rest = ended() && rest_goes_to_ == &follower;
  const auto is_its = [&](std::size_t row) {
    const Account* account = account_of(row);
    return account != nullptr ? !account->handed_over && account->payer == &follower : gets_the_rest;
  };
  const auto is_early = [&](const Account& account) {
    return account.early && !account.handed_over && account.payer == &follower;
  };
  auto count = static_cast<std::size_t>(std::count_if(accounts_.begin(), accounts_.end(), is_early));
  for (std::size_t row = 0; row < state_.ledger.size(); ++row) count += is_its(row) ? 1 : 0;
  Ledger& ledger = call.ledger;
  if (ledger.capacity() < ledger.size() + count && room.capacity() > ledger.capacity()) {
    room.assign(std::make_move_iterator(ledger.begin()), std::make_move_iterator(ledger.end()));
    ledger.swap(room);
  }
  const auto add = [&](Attempt row, std::uint64_t send) {
    ledger.push_back(std::move(row));
    if (call.row_listener != nullptr && send != 0) call.row_listener->on_row_added(ledger.size() - 1, send);
  };
  for (std::size_t row = 0; row < state_.ledger.size(); ++row) {
    if (!is_its(row)) continue;
    const Account* account = account_of(row);
    const std::uint64_t send = account != nullptr ? account->send : 0;
    // A copy while it goes on: those who race write into it until the end.
    if (ended()) {
      add(std::move(state_.ledger[row]), send);
    } else {
      add(state_.ledger[row], send);
    }
  }
  for (const Account& account : accounts_) {
    if (is_early(account)) add(*account.early, account.send);
  }
  for (Account& account : accounts_) account.handed_over = account.handed_over || account.payer == &follower;
  return count > 0;
}

void Flight::complete(Result<ChatResponse> result) noexcept {
  broken_ = broken_ || state_.lost_event;
  result_.emplace(std::move(result));
  close();
  const auto payer = std::find_if(followers_.begin(), followers_.end(), [](const Follower* one) { return !one->refused(); });
  if (payer != followers_.end()) {
    rest_goes_to_ = *payer;
  } else if (!followers_.empty()) {
    rest_goes_to_ = followers_.front();
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

void Flight::when_ready(Parked* waiting) noexcept {
  held_up_ = waiting;
  if (waiting == nullptr) return;
  // A consumer may have become busy without an event of this flight, as a hold or another flight does: who waits for
  // events looks again, waits for its consumer, and then lets the send go on.
  for (Follower* follower : followers_) follower->wake();
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

}  // namespace backstop::inline v0::detail
