#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "backstop/chat/request.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/memory_pool.hpp"
#include "backstop/routing/hedge.hpp"
#include "backstop/runtime/call_context.hpp"
#include "backstop/runtime/call_work.hpp"
#include "backstop/runtime/stop.hpp"
#include "backstop/runtime/timer.hpp"
#include "routing/candidate.hpp"
#include "routing/walk.hpp"
#include "runtime/child_task.hpp"

namespace backstop::inline v0::detail {

/// One candidate being asked, and a second one beside it when the first stays silent.
///
/// The first is awaited by its owner as ever, so that a call without a hedge costs a timer only; the second is started
/// by that timer, and is awaited before `conclude`. Both write into the call's ledger; each has a branch of its own
/// until one has won.
class HedgeRace final : private Timer, private CallWork {
 public:
  /// What a race is about; all of it outlives the race.
  struct Entry {
    const HedgeOptions& options;
    const HedgeBudget& budget;
    const Candidates& candidates;
    const Walk& walk;
    std::size_t asked;              ///< the first
    bool filters_fall_back;         ///< another target may answer what one has filtered
    CallContext& outer;             ///< the client's
    CallContext& first;             ///< what the first would be called with, its share of the deadline included
  };
  explicit HedgeRace(const Entry& entry);
  ~HedgeRace();
  // Apart from the call's frame: most calls have no race.
  static void* operator new(std::size_t size) { return allocate_pooled(size); }
  static void operator delete(void* race, std::size_t size) noexcept { deallocate_pooled(race, size); }

  /// For the first call.
  [[nodiscard]] CallContext& context() noexcept { return first_context_; }
  void first_ended(Result<ChatResponse> result);
  /// Null when there was none; to be awaited before `conclude`.
  [[nodiscard]] ChildTask<Result<ChatResponse>>* second() noexcept;
  /// The call's result.
  [[nodiscard]] Result<ChatResponse> conclude();
  /// After `conclude`: the candidate that failed beside the first, or in its stead, and with what.
  struct Loser {
    std::size_t index;
    const Error* error;
  };
  [[nodiscard]] std::optional<Loser> loser() const noexcept;
  [[nodiscard]] bool second_won() const noexcept { return winner_ == Side::second; }
  [[nodiscard]] std::size_t second_index() const noexcept;

 private:
  enum class Side : std::uint8_t { none, first, second };
  class Second;

  void on_timer() noexcept override { queue(); }  // a callback of the call may be waiting
  void run() noexcept override;
  void launch();
  /// There will be no second.
  void give_up() noexcept {
    disarm();
    withdraw();
  }
  [[nodiscard]] bool may_launch() const noexcept;
  void first_content(Side side, TimePoint at) noexcept;
  void second_ended() noexcept;
  void first_wins() noexcept;
  void second_wins() noexcept;
  void mark_rows() noexcept;
  /// Takes note of how long the first took; once only.
  void note_first(TimePoint at) noexcept;

  /// Between one side and the consumer: lets through what the winner writes, and drops what the loser does.
  class Lane final : public StreamSink, public AttemptObserver {
   public:
    Lane(HedgeRace& race, Side side) noexcept : race_{&race}, side_{side} {}

    void enter(CallContext& context) noexcept;
    /// What was kept back until this side won.
    void hand_over() noexcept;

    void on_first_content(TimePoint at) noexcept override { race_->first_content(side_, at); }
    /// Of the send under way; null: there is none.
    [[nodiscard]] const Target* asks() const noexcept { return latest_ != nullptr ? latest_->target : nullptr; }
    /// All have let one begin.
    [[nodiscard]] bool has_sent() const noexcept { return ended_one_ || (latest_ != nullptr && latest_->begun); }
    [[nodiscard]] std::optional<Error> on_begin(Send& send) override {
      if (!send.aside) latest_ = &send;
      return std::nullopt;
    }
    void on_end(Send& send, const Attempt* row) noexcept override;
    void on_event(const StreamEvent& event) noexcept override;
    [[nodiscard]] bool ready() const noexcept override { return !wins() || sink().ready(); }
    void when_ready(Parked* waiting) noexcept override { sink().when_ready(waiting); }
    [[nodiscard]] Duration consumer_time() const noexcept override { return sink().consumer_time(); }
    /// The loser's content reaches nobody, and so commits nothing.
    [[nodiscard]] bool holding() const noexcept override { return !wins() || sink().holding(); }
    void on_attempt(const Target& target) noexcept override;
    void on_attempt_failed() noexcept override {
      if (wins()) sink().on_attempt_failed();
    }

    Branch branch;
    std::vector<std::size_t> rows;  // of the ledger, sent while there were two

   private:
    [[nodiscard]] bool wins() const noexcept { return race_->winner_ == side_; }
    [[nodiscard]] StreamSink& sink() const noexcept { return *race_->outer_->sink(); }

    HedgeRace* race_;
    Side side_;
    const Send* latest_ = nullptr;  // until its end
    bool ended_one_ = false;
    Target target_;
    std::optional<Degradation> degradation_;  // comes before the first content
  };

  const HedgeOptions* options_;
  const HedgeBudget* budget_;
  const Candidates* candidates_;
  const Walk* walk_;
  std::size_t asked_;
  bool filters_fall_back_;
  CallContext* outer_;
  TimePoint started_;
  Duration delay_;
  Side winner_ = Side::none;
  bool first_noted_ = false;
  StopSource first_stop_;
  CallContext first_context_;
  Lane first_lane_;
  std::optional<Result<ChatResponse>> first_result_;
  std::unique_ptr<Second> second_;
};

}  // namespace backstop::inline v0::detail
