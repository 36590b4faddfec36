#pragma once

#include <coroutine>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "policies/flight.hpp"

namespace backstop::inline v0::detail {

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
  /// Why its own caps do not let it pay for a send of the flight: it gets that error.
  void refuse(Error refusal) noexcept {
    refusal_ = std::move(refusal);
    wake();
  }
  [[nodiscard]] bool refused() const noexcept { return refusal_.has_value(); }
  /// Pays for a send of the flight, a new one or one that has begun; why it may not.
  [[nodiscard]] std::optional<Error> pay_for(Send& send);
  /// What it paid for was not sent after all, or is another's now.
  void give_back_send() noexcept { ++context_.state().attempts_left; }
  /// For so many rows of the flight. Its call may be in the midst of a step, with its ledger in use, so that this is kept
  /// apart. Errors: std::bad_alloc.
  void keep_room_for(std::size_t rows) { room_.reserve(context_.state().ledger.size() + rows); }
  /// Why its own caps do not let it pay for a send that nobody pays for; empty: somebody does.
  void note_own_refusal(std::optional<Error> refusal) noexcept { own_refusal_ = std::move(refusal); }
  /// A send that it pays for has ended, and is not in its ledger yet.
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
