#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>

#include "backstop/chat/request.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/runtime/alternatives.hpp"
#include "backstop/runtime/call_context.hpp"
#include "backstop/runtime/child_task.hpp"
#include "backstop/runtime/stop.hpp"
#include "backstop/runtime/timer.hpp"

namespace backstop::inline v0::detail {

/// Decides, when a hedge is due, whether one may be sent, and learns what became of it.
class HedgeRules {
 public:
  [[nodiscard]] virtual bool allow(const ChatRequest& request) const noexcept = 0;
  virtual void not_sent() const noexcept = 0;
  /// How long the target took to its first content, or had taken when the other one won.
  virtual void took(Duration latency, bool streamed) const noexcept = 0;

 protected:
  ~HedgeRules() = default;
};

/// One call to a target, and a second one to its substitute when the first stays silent.
///
/// The first is awaited by its owner as ever, so that a call without a hedge costs a timer only; the second is started
/// by that timer, and has a call state of its own until both have ended.
class HedgeRace final : private Timer {
 public:
  /// `context` is the one given to the policy; what it refers to outlives the race.
  HedgeRace(const HedgeRules& rules, const Target& target, const ChatRequest& request, CallContext& context);
  ~HedgeRace();

  /// For the first call.
  [[nodiscard]] CallContext& context() noexcept { return first_context_; }
  void arm(Duration delay);
  void first_ended(Result<ChatResponse> result);
  void first_threw(std::exception_ptr thrown) noexcept;
  /// Null when there was none; to be awaited before `conclude`.
  [[nodiscard]] ChildTask<Result<ChatResponse>>* second() noexcept;
  /// The call's result; throws what the first call threw.
  [[nodiscard]] Result<ChatResponse> conclude();

 private:
  enum class Side : std::uint8_t { none, first, second };
  class Lane;
  class Second;

  void on_timer() noexcept override;
  void launch();
  void first_content(Side side, TimePoint at) noexcept;
  void second_ended() noexcept;
  void first_wins() noexcept;
  void second_wins() noexcept;
  void merge_ledger();

  const HedgeRules* rules_;
  const Target* target_;
  const ChatRequest* request_;
  CallContext* outer_;
  TimePoint started_;
  std::size_t first_row_;
  Duration delay_{0};
  Side winner_ = Side::none;
  StopSource first_stop_;
  CallContext first_context_;

  /// Between one side and the consumer: lets through what the winner writes.
  class Lane final : public StreamSink, public ContentListener {
   public:
    Lane(HedgeRace& race, Side side) noexcept : race_{&race}, side_{side} {}

    void enter(CallContext& context) noexcept;
    void on_first_content(TimePoint at) noexcept override { race_->first_content(side_, at); }
    void on_event(const StreamEvent& event) noexcept override;
    [[nodiscard]] bool ready() const noexcept override { return !wins() || sink().ready(); }
    void when_ready(std::coroutine_handle<> waiting) noexcept override { sink().when_ready(waiting); }
    [[nodiscard]] Duration consumer_time() const noexcept override { return sink().consumer_time(); }
    [[nodiscard]] bool holding() const noexcept override { return sink().holding(); }
    void on_attempt() noexcept override;
    /// What was kept back until this side won.
    void let_go() noexcept;

   private:
    [[nodiscard]] bool wins() const noexcept { return race_->winner_ == side_; }
    [[nodiscard]] StreamSink& sink() const noexcept { return *race_->outer_->sink(); }

    HedgeRace* race_;
    Side side_;
    std::optional<Degradation> degradation_;  // comes before the first content
  };

  Lane first_lane_;
  std::optional<Result<ChatResponse>> first_result_;
  std::exception_ptr first_threw_;
  std::unique_ptr<Second> second_;
};

}  // namespace backstop::inline v0::detail
