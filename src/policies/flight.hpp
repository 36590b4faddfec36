#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "backstop/provider.hpp"
#include "backstop/runtime/call_context.hpp"
#include "state/budget_turn.hpp"

namespace backstop::inline v0::detail {

class Flight;
class Follower;

/// The flights of one policy that may still be joined, by key.
///
/// Thread safety: the map, under its lock, from any thread; a flight only on the driving thread of its runtime, which is
/// part of the key.
struct Flights {
  [[nodiscard]] std::shared_ptr<Flight> find(const std::string& key);

  std::mutex mutex;
  std::unordered_map<std::string, std::shared_ptr<Flight>> open;
};

/// One send that several calls wait for, with a state, a stop source and a context of its own. Whoever joins keeps it
/// alive; the last to leave stops it and awaits its end.
///
/// Each send of a flight is accounted to one of its followers, the one who has waited longest and whose caps let it: the
/// attempt observers of that call are asked and told, it is one of that call's sends, and its row goes into that call's
/// ledger. A send under way whose follower leaves is taken over by another.
class Flight final : public std::enable_shared_from_this<Flight>,
                     private TaskCompletion,
                     private StreamSink,
                     private AttemptObserver {
 public:
  /// `first` is the call that begins it.
  Flight(std::shared_ptr<Flights> flights, std::string key, Provider next, const ChatRequest& request,
         const CallContext& first, std::size_t max_replay_bytes);

  /// Lets others join, and runs until the send first waits. Join before.
  void start();
  void join(Follower& follower);
  void leave(Follower& follower) noexcept;
  /// Before a call leaves: others account for the sends that it accounts for. False where none of them may; it then
  /// stops the send and awaits its end, so that what it has cost is booked.
  [[nodiscard]] bool hand_over(Follower& follower) noexcept;
  /// No one else can join.
  void close() noexcept;
  void stop(StopReason reason) noexcept { stop_.request_stop(reason); }
  [[nodiscard]] bool followed_only_by(const Follower& follower) const noexcept {
    return followers_.size() == 1 && followers_.front() == &follower;
  }
  /// Stops it where nobody can wait for the end.
  void abandon(StopReason reason) noexcept;

  [[nodiscard]] bool started() const noexcept { return started_; }
  [[nodiscard]] bool ended() const noexcept { return result_.has_value(); }
  [[nodiscard]] const Result<ChatResponse>& result() const noexcept { return *result_; }
  /// Moves the rows of what was sent on the follower's account into its ledger, and, when it has ended, those that are
  /// on nobody's to the one who has waited longest. Whether there were any.
  [[nodiscard]] bool hand_rows_to(const Follower& follower, Ledger& ledger, Ledger& room);
  /// That of a client inside; null: there is none.
  [[nodiscard]] const Target* first_choice() const noexcept {
    return state_.first_choice != &first_choice_ ? state_.first_choice : nullptr;
  }
  /// A step of it is on the stack, so that waiting for its end would never end.
  [[nodiscard]] bool is_running() const noexcept { return state_.runtime->is_inside(&state_); }
  [[nodiscard]] const Requirement& requirement() const noexcept { return state_.requirement; }
  [[nodiscard]] const Target& target() const noexcept { return next_.target(); }

  // The replay of a stream, by numbers that count from its beginning.

  struct Event {
    Event(const StreamEvent& event, std::size_t written_by);
    [[nodiscard]] StreamEvent view() const noexcept;
    [[nodiscard]] std::size_t bytes() const noexcept;

    StreamEvent::Type type;
    std::string delta;
    std::unique_ptr<ToolCall> tool_call;
    std::unique_ptr<Degradation> degradation;
    Target target;
    std::size_t attempt;  // which of the attempts wrote it, counted from 1
  };

  [[nodiscard]] std::size_t first_event() const noexcept { return dropped_; }
  [[nodiscard]] std::size_t end_of_events() const noexcept { return dropped_ + events_.size(); }
  /// Kept by whoever hands it on: its consumer may make the flight go on, and drop it.
  [[nodiscard]] std::shared_ptr<const Event> event(std::size_t number) const noexcept { return events_[number - dropped_]; }
  [[nodiscard]] bool broken() const noexcept { return broken_; }
  /// Of an attempt, counted from 1.
  [[nodiscard]] const Target& target_of(std::size_t attempt) const noexcept { return attempts_[attempt - 1]; }
  /// How long the consumers have held the send up.
  [[nodiscard]] Duration held_up_for() const noexcept { return held_for_; }
  /// A follower can take more: the send goes on if it was held up.
  void go_on();

 private:
  /// A send under way, and who accounts for it; null once that one has left.
  struct UnderWay {
    Send* send;
    Follower* payer;
    bool aside;  ///< to those who share it
  };

  void on_task_done() noexcept override;
  void complete(Result<ChatResponse> result) noexcept;
  void on_event(const StreamEvent& event) noexcept override;
  [[nodiscard]] bool ready() const noexcept override;
  void when_ready(Parked* waiting) noexcept override { held_up_ = waiting; }
  [[nodiscard]] Duration consumer_time() const noexcept override;
  [[nodiscard]] std::optional<Error> on_begin(Send& send) override;
  void on_end(Send& send, const Attempt* row) noexcept override;
  /// Finds who accounts for the send, a new one (1) or one that is under way (0); the error of the last who may not
  /// when nobody does.
  [[nodiscard]] std::optional<Error> find_payer(Send& send, int is_new, const Follower* leaving = nullptr);
  /// Takes the send from that call; whether another accounts for it now.
  bool give_to_another(UnderWay& one, Follower& from) noexcept;
  /// Those who may pay have changed: a send that waits for money asks again.
  void ask_again() noexcept {
    for (const std::weak_ptr<BudgetTurn>& one : turns_) {
      if (const std::shared_ptr<BudgetTurn> turn = one.lock()) turn->ask_again();
    }
  }
  /// That one of those who share it may still make.
  [[nodiscard]] int most_sends_left() const noexcept;
  void on_attempt(const Target& target) noexcept override;
  void drop_what_is_too_much() noexcept;

  std::shared_ptr<Flights> flights_;
  std::string key_;
  Provider next_;
  ChatRequest request_;
  std::vector<std::shared_ptr<Observer>> observers_;
  Target first_choice_;
  Pick pick_;
  std::optional<SessionMove> session_;
  std::string text_so_far_;
  std::optional<ChatRequest> whole_;
  AttemptLimits limits_;
  CallState state_;
  Branch branch_;
  StopSource stop_;
  CallContext context_;
  std::deque<HeldHandle> held_;
  std::vector<Follower*> followers_;  // those who have waited longest first
  Task<Result<ChatResponse>> task_;
  bool started_ = false;
  std::optional<Result<ChatResponse>> result_;
  const Follower* payer_ = nullptr;  // who gets the rows that are on nobody's account
  /// On whose account a row is; null: on nobody's.
  struct Account {
    const Follower* payer = nullptr;
    bool handed_over = false;  ///< stands in that one's ledger, or it is gone
  };
  std::vector<Account> accounts_;  // of the rows, as far as it reaches
  std::vector<UnderWay> sends_;
  std::vector<std::weak_ptr<BudgetTurn>> turns_;  // of sends that none of those who share them may pay for yet
  std::shared_ptr<Flight> kept_;  // when abandoned
  /// Nothing to do: a turn in which it is kept.
  struct LastTurn final : Runtime::Posted {
    void run() noexcept override {}
  };
  LastTurn last_turn_;

  std::size_t max_replay_bytes_;
  std::deque<std::shared_ptr<const Event>> events_;
  std::vector<Target> attempts_;
  std::size_t dropped_ = 0;
  std::size_t bytes_ = 0;
  bool broken_ = false;  // an event was lost for want of memory
  Parked* held_up_ = nullptr;
  mutable Duration held_for_{0};
};

/// A call that shares a flight; lives in its coroutine.
class Follower final {
 public:
  Follower(Flight& flight, const CallContext& context);
  ~Follower();

  [[nodiscard]] const CallContext& context() const noexcept { return context_; }
  [[nodiscard]] std::size_t position() const noexcept { return position_; }
  [[nodiscard]] bool has_everything() const noexcept { return position_ == flight_->end_of_events(); }
  [[nodiscard]] bool can_take_more() const noexcept { return !context_.streaming() || context_.sink()->ready(); }
  /// Too slow: what it was to get next is gone.
  [[nodiscard]] bool left_behind() const noexcept { return position_ < flight_->first_event(); }
  /// How long its consumer has kept it waiting, counted as the flight counts.
  [[nodiscard]] Duration consumer_time() const noexcept;
  /// Why the send is stopped when this is the last to leave it.
  [[nodiscard]] StopReason stop_reason() const noexcept;
  /// Hands on what has come, as far as the consumer takes it. In a step of its own call, which the consumer may wait in.
  void catch_up() noexcept;
  /// Its time is over, and the send has ended with an answer all the same: one that was there, or that was given for
  /// want of another.
  [[nodiscard]] bool has_answer_in_time() const noexcept {
    return is_time_limit(context_.stop().reason()) && flight_->ended() && flight_->result().has_value();
  }
  /// Resumes the coroutine if it waits for news.
  void wake() noexcept { parked_.wake(); }
  /// Why its own caps do not let it account for a send of the flight: it gets that error.
  void refuse(Error refusal) noexcept {
    refusal_ = std::move(refusal);
    wake();
  }
  [[nodiscard]] bool refused() const noexcept { return refusal_.has_value(); }
  /// Takes a send of the flight upon itself, a new one (1) or one that is under way (0); why it may not.
  [[nodiscard]] std::optional<Error> begin(Send& send, int is_new);
  /// A send that it took upon itself was not made after all, or is another's now.
  void give_back_send() noexcept { ++context_.state().attempts_left; }
  /// For so many rows of the flight. Its call may be in the midst of a step, with its ledger in use, so that this is kept
  /// apart. Errors: std::bad_alloc.
  void keep_room_for(std::size_t rows) { room_.reserve(context_.state().ledger.size() + rows); }
  /// Why its own caps do not let it account for a send that nobody accounts for; empty: somebody does.
  void note_own_refusal(std::optional<Error> refusal) noexcept { own_refusal_ = std::move(refusal); }
  /// A send that it accounts for has ended, and is not in its ledger yet.
  void add_cost(Money cost) noexcept {
    unsettled_ += cost;
    context_.state().at_stake += cost;
  }
  /// Enters the send, or its part in it, in the call's ledger.
  void settle();
  [[nodiscard]] Result<ChatResponse> outcome();

  /// Awaitable: until the flight has news for this follower, or the call is stopped.
  class [[nodiscard]] News {
   public:
    explicit News(Follower& follower) noexcept : follower_{&follower} {}
    [[nodiscard]] bool await_ready() const noexcept { return follower_->has_news(); }
    void await_suspend(std::coroutine_handle<> waiting) noexcept {
      follower_->parked_.park(waiting);
      follower_->parked_.wake_on(follower_->context_.stop());
    }
    void await_resume() const noexcept {}

   private:
    Follower* follower_;
  };
  /// Awaitable: until the flight has ended, whatever else happens.
  class [[nodiscard]] Completion {
   public:
    explicit Completion(Follower& follower) noexcept : follower_{&follower} {}
    [[nodiscard]] bool await_ready() const noexcept { return follower_->flight_->ended(); }
    void await_suspend(std::coroutine_handle<> waiting) noexcept { follower_->parked_.park(waiting); }
    void await_resume() const noexcept {}

   private:
    Follower* follower_;
  };

 private:
  [[nodiscard]] bool has_news() const noexcept {
    return flight_->ended() || context_.stopping() || left_behind() || flight_->broken() || !has_everything() ||
           !can_take_more() || refused();
  }

  std::shared_ptr<Flight> flight_;
  CallContext context_;
  AttemptProgress own_progress_;
  TimePoint joined_at_;
  Duration time_before_;
  std::size_t position_ = 0;
  std::size_t attempt_ = 0;  // that the consumer has been told of
  std::optional<Error> refusal_;
  std::optional<Error> own_refusal_;  // of the send that the flight could not make last
  Money unsettled_{};
  Ledger room_;
  Parked parked_;
};

}  // namespace backstop::inline v0::detail
