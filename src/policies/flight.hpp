#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backstop/provider.hpp"
#include "backstop/runtime/call_context.hpp"
#include "runtime/row_listener.hpp"
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
  /// Whether there is one whose key begins so.
  [[nodiscard]] bool any_of(const std::string& beginning);

  std::mutex mutex;
  std::map<std::string, std::shared_ptr<Flight>> open;
};

/// One send that several calls wait for, with a state, a stop source and a context of its own. Whoever joins keeps it
/// alive; the last to leave stops it and awaits its end.
///
/// One of its followers pays for each send of a flight, the one who has waited longest and whose caps let it: the
/// attempt observers of that call are asked and told, it is one of that call's sends, and its row goes into that call's
/// ledger. A send under way whose payer leaves is taken over by another.
class Flight final : public std::enable_shared_from_this<Flight>,
                     private TaskCompletion,
                     private StreamSink,
                     private AttemptObserver,
                     private RowListener {
 public:
  /// `first` is the call that begins it.
  Flight(std::shared_ptr<Flights> flights, std::string key, Provider next, const ChatRequest& request,
         const CallContext& first, std::size_t max_replay_bytes);

  /// Lets others join, and runs until the send first waits. Join before.
  void start();
  void join(Follower& follower);
  void leave(Follower& follower) noexcept;
  /// Before a call leaves: others pay for its sends under way. False where none of them may: the call goes on paying, and
  /// has to stop the flight and await its end, so that what the send has cost is booked.
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
  /// Moves the rows of what the follower has paid for into its call's ledger, and, when the flight has ended, those that
  /// nobody has paid for into that of the one who has waited longest. Whether there were any.
  [[nodiscard]] bool hand_rows_to(const Follower& follower, CallState& call, Ledger& room);
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
  /// A send under way, and who pays for it; null once that one has left.
  struct UnderWay {
    Send* send;
    Follower* payer;
    bool aside;  ///< to those who share it
    BudgetReservation* further_in;  ///< of the caps between the flight and the target, which stay whoever pays
  };

  void on_task_done() noexcept override;
  void complete(Result<ChatResponse> result) noexcept;
  void on_event(const StreamEvent& event) noexcept override;
  [[nodiscard]] bool ready() const noexcept override;
  void when_ready(Parked* waiting) noexcept override;
  [[nodiscard]] Duration consumer_time() const noexcept override;
  [[nodiscard]] std::optional<Error> on_begin(Send& send) override;
  void on_end(Send& send, const Attempt* row) noexcept override;
  /// Finds who pays for the send, a new one or one that has begun; the error of the last who may not when nobody does.
  [[nodiscard]] std::optional<Error> find_payer(Send& send, const Follower* leaving = nullptr);
  /// Whether another pays for the send of that call now; else it goes on doing so.
  bool give_to_another(Send& send, Follower& from) noexcept;
  /// That call pays for it no longer.
  void give_back(Send& send, Follower& from) noexcept;
  [[nodiscard]] UnderWay* find(const Send& send) noexcept;
  [[nodiscard]] bool has(const Follower* follower) const noexcept;
  /// Those who may pay have changed: a send that waits for money asks again.
  void ask_again() noexcept {
    for (const std::weak_ptr<BudgetTurn>& one : turns_) {
      if (const std::shared_ptr<BudgetTurn> turn = one.lock()) turn->ask_again();
    }
  }
  /// That one of those who share it may still make.
  [[nodiscard]] int most_sends_left() const noexcept;
  void on_attempt(const Target& target) noexcept override;
  void on_row_added(std::size_t row, std::uint64_t send) noexcept override;
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
  const Follower* rest_goes_to_ = nullptr;  // the rows that nobody has paid for
  /// A send that has ended, and who has paid for it.
  struct Account {
    std::uint64_t send;
    const Follower* payer;
    std::optional<std::size_t> row{};  ///< that it has here; a send of a flight inside gets it when its part in that ends
    std::optional<Attempt> early{};    ///< what that row will be, until then
    bool handed_over = false;          ///< stands in the ledger of that one, or it is gone
  };
  /// Null: nobody has paid for it.
  [[nodiscard]] const Account* account_of(std::size_t row) const noexcept;
  std::vector<Account> accounts_;
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

}  // namespace backstop::inline v0::detail
