#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/testing/event_log.hpp"
#include "backstop/testing/virtual_runtime.hpp"
#include "stacks/case.hpp"
#include "stacks/own_code.hpp"
#include "stacks/stack.hpp"

namespace stacks {

/// What one consumer saw of its call.
struct Seen {
  std::optional<Result<ChatResponse>> result;  ///< empty when it left before the end, or looked away
  bool streaming = false;
  bool whole = false;     ///< of a stream: every event to the end was taken
  int endings = 0;        ///< events `finished` and `failed`
  int events_after_end = 0;
  std::string text;       ///< all deltas since the last restart
  bool degraded = false;  ///< an event said that something was given up, since the last restart
  bool asked_on_done = false;
  int on_done = 0;        ///< how often that was called
  backstop::Duration deadline{0};
  std::shared_ptr<CallLog> log;  ///< of this call alone; null: not asked for
};

/// A case while it is played, on virtual time; afterwards what the checks look at.
class Play {
 public:
  explicit Play(const Case& played);
  void run();

  [[nodiscard]] const Case& played() const noexcept { return *case_; }
  [[nodiscard]] const Stack& stack() const noexcept { return stack_; }
  [[nodiscard]] backstop::testing::VirtualRuntime& runtime() noexcept { return runtime_; }
  [[nodiscard]] const std::deque<Seen>& seen() const noexcept { return seen_; }
  [[nodiscard]] int calls_made() const noexcept { return calls_made_; }
  [[nodiscard]] const backstop::Plan& plan() const noexcept { return *plan_; }
  /// What came out of the library as an exception; a call that waits for ever shows up here.
  [[nodiscard]] const std::string& thrown() const noexcept { return thrown_; }
  /// Something waited for a call inside a callback, so that other calls stood still meanwhile.
  [[nodiscard]] bool blocked_inside() const noexcept { return blocked_inside_; }

 private:
  struct Slot {
    std::unique_ptr<backstop::testing::EventLog> sink;
    std::stop_source stop;
    std::optional<backstop::PendingCall> call;
    std::optional<Coroutine> coroutine;
    std::optional<Result<ChatResponse>> answer;  ///< of the coroutine
    bool acted = false;
    bool acting = false;  ///< in an event, which has not returned
    int progress_seen = 0;
  };

  void begin(std::size_t index);
  void chat(std::size_t index);
  void stream(std::size_t index);
  void start(std::size_t index);
  void chat_async(std::size_t index);
  void leave_from_main();
  void end_all();
  void call_inside(const ConsumerSpec& consumer, bool waits) noexcept;
  void on_done(std::size_t index, const Result<ChatResponse>& result);
  void on_event(std::size_t index, const backstop::testing::RecordedEvent& event) noexcept;
  void on_progress(std::size_t index, const backstop::ProgressEvent& event) noexcept;
  void check_nesting(std::size_t index) noexcept;
  void act(std::size_t index) noexcept;
  void act_once(std::size_t index) noexcept;
  [[nodiscard]] backstop::CallOptions options_of(std::size_t index);
  [[nodiscard]] const ChatRequest& request_of(const ConsumerSpec& consumer) const;
  void run_until(Millis moment);
  template <class Action>
  void guarded(Action action) noexcept;

  const Case* case_;
  backstop::testing::VirtualRuntime runtime_;
  Stack stack_;
  std::vector<ChatRequest> requests_;
  std::deque<Seen> seen_;
  std::deque<Slot> slots_;
  std::deque<backstop::PendingCall> inner_calls_;  // begun inside callbacks
  std::optional<backstop::Plan> plan_;
  int calls_made_ = 0;
  std::string thrown_;
  bool blocked_inside_ = false;
};

/// The text of what an event adds to a screen, the ends and restarts it has seen.
void note(Seen& seen, backstop::StreamEvent::Type type, std::string_view delta);

}  // namespace stacks
