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
#include <vector>

#include "backstop/provider.hpp"

namespace backstop::inline v0::detail {

class Flight;
class Passenger;

/// The flights of one policy that may still be boarded, by key.
///
/// Thread safety: the map, under its lock, from any thread; a flight only on the driving thread of its runtime, which is
/// part of the key.
struct Flights {
  [[nodiscard]] std::shared_ptr<Flight> find(const std::string& key);

  std::mutex mutex;
  std::unordered_map<std::string, std::shared_ptr<Flight>> boarding;
};

/// One send that several calls wait for, with a state, a stop source and a context of its own. Whoever boards keeps it
/// alive; the last to leave stops it and awaits its end.
class Flight final : public std::enable_shared_from_this<Flight>, private TaskCompletion, private StreamSink {
 public:
  /// `first` is the call that begins it.
  Flight(std::shared_ptr<Flights> flights, std::string key, Provider next, const ChatRequest& request,
         const CallContext& first, std::size_t max_replay_bytes);

  /// Lets others board, and runs until the send first waits. Board before.
  void start();
  void board(Passenger& passenger);
  void leave(Passenger& passenger) noexcept;
  /// No one else can board.
  void close() noexcept;
  void stop() noexcept { stop_.request_stop(StopReason::cancelled); }
  [[nodiscard]] bool boarded_only_by(const Passenger& passenger) const noexcept {
    return passengers_.size() == 1 && passengers_.front() == &passenger;
  }
  /// Stops it where nobody can wait for the end.
  void abandon() noexcept;

  [[nodiscard]] bool started() const noexcept { return started_; }
  [[nodiscard]] bool ended() const noexcept { return result_.has_value(); }
  [[nodiscard]] const Result<ChatResponse>& result() const noexcept { return *result_; }
  /// To whom the send is accounted, when it has ended.
  [[nodiscard]] const Passenger* payer() const noexcept { return payer_; }
  [[nodiscard]] Ledger& ledger() noexcept { return state_.ledger; }
  [[nodiscard]] const Target& target() const noexcept { return next_.target(); }
  [[nodiscard]] int sends() const noexcept { return sends_allowed_ - state_.attempts_left; }

  // The replay of a stream, by numbers that count from its beginning.

  [[nodiscard]] std::size_t first_event() const noexcept { return dropped_; }
  [[nodiscard]] std::size_t end_of_events() const noexcept { return dropped_ + events_.size(); }
  [[nodiscard]] StreamEvent event(std::size_t number) const noexcept { return events_[number - dropped_].view(); }
  [[nodiscard]] bool broken() const noexcept { return broken_; }
  /// How long the consumers have held the send up.
  [[nodiscard]] Duration held_up_for() const noexcept { return held_for_; }
  /// A passenger can take more: the send goes on if it was held up.
  void go_on();

 private:
  struct Event {
    explicit Event(const StreamEvent& event);
    [[nodiscard]] StreamEvent view() const noexcept;
    [[nodiscard]] std::size_t bytes() const noexcept;

    StreamEvent::Type type;
    std::string delta;
    std::unique_ptr<ToolCall> tool_call;
    std::unique_ptr<Degradation> degradation;
    Target target;
  };

  void on_task_done() noexcept override;
  /// The exception in flight as an error.
  [[nodiscard]] Error thrown();
  void land(Result<ChatResponse> result) noexcept;
  void on_event(const StreamEvent& event) noexcept override;
  [[nodiscard]] bool ready() const noexcept override;
  void when_ready(std::coroutine_handle<> waiting) noexcept override { held_up_ = waiting; }
  [[nodiscard]] Duration consumer_time() const noexcept override;
  void drop_what_is_too_much() noexcept;

  std::shared_ptr<Flights> flights_;
  std::string key_;
  Provider next_;
  ChatRequest request_;
  std::vector<std::shared_ptr<Observer>> observers_;
  Target first_choice_;
  CallState state_;
  StopSource stop_;
  CallContext context_;
  int sends_allowed_;
  std::vector<Passenger*> passengers_;  // those who have waited longest first
  Task<Result<ChatResponse>> task_;
  bool started_ = false;
  std::optional<Result<ChatResponse>> result_;
  const Passenger* payer_ = nullptr;
  std::shared_ptr<Flight> kept_;  // when abandoned

  std::size_t max_replay_bytes_;
  std::deque<Event> events_;
  std::size_t dropped_ = 0;
  std::size_t bytes_ = 0;
  bool broken_ = false;  // an event was lost for want of memory
  std::coroutine_handle<> held_up_;
  mutable Duration held_for_{0};
};

/// A call aboard a flight; lives in its coroutine.
class Passenger final : private StopCallback {
 public:
  Passenger(Flight& flight, const CallContext& context);
  ~Passenger();

  [[nodiscard]] const CallContext& context() const noexcept { return context_; }
  [[nodiscard]] std::size_t position() const noexcept { return position_; }
  [[nodiscard]] bool has_everything() const noexcept { return position_ == flight_->end_of_events(); }
  [[nodiscard]] bool can_take_more() const noexcept { return !context_.streaming() || context_.sink()->ready(); }
  /// Too slow: what it was to get next is gone.
  [[nodiscard]] bool left_behind() const noexcept { return position_ < flight_->first_event(); }
  /// How long its consumer has kept it waiting, counted as the flight counts.
  [[nodiscard]] Duration consumer_time() const noexcept;
  /// Hands on what has come, as far as the consumer takes it.
  void catch_up() noexcept;
  /// Resumes the coroutine if it waits for news.
  void wake() noexcept;
  /// Enters the send, or its part in it, in the call's ledger.
  void settle();
  [[nodiscard]] Result<ChatResponse> outcome();

  /// Awaitable: until the flight has news for this passenger, or the call is stopped.
  class [[nodiscard]] News {
   public:
    explicit News(Passenger& passenger) noexcept : passenger_{&passenger} {}
    [[nodiscard]] bool await_ready() const noexcept { return passenger_->has_news(); }
    void await_suspend(std::coroutine_handle<> waiting) noexcept {
      passenger_->waiting_ = waiting;
      passenger_->context_.stop().subscribe(*passenger_);
    }
    void await_resume() const noexcept {}

   private:
    Passenger* passenger_;
  };
  /// Awaitable: until the flight has ended, whatever else happens.
  class [[nodiscard]] Landing {
   public:
    explicit Landing(Passenger& passenger) noexcept : passenger_{&passenger} {}
    [[nodiscard]] bool await_ready() const noexcept { return passenger_->flight_->ended(); }
    void await_suspend(std::coroutine_handle<> waiting) noexcept { passenger_->waiting_ = waiting; }
    void await_resume() const noexcept {}

   private:
    Passenger* passenger_;
  };

 private:
  [[nodiscard]] bool has_news() const noexcept {
    return flight_->ended() || context_.stopping() || left_behind() || flight_->broken() || !has_everything() ||
           !can_take_more();
  }
  void on_stop() noexcept override { wake(); }

  std::shared_ptr<Flight> flight_;
  CallContext context_;
  AttemptProgress own_progress_;
  TimePoint boarded_;
  Duration time_before_;
  std::size_t position_ = 0;
  bool handing_on_ = false;
  std::coroutine_handle<> waiting_;
};

}  // namespace backstop::inline v0::detail
