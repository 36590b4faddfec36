#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "backstop/chat/attempt.hpp"
#include "backstop/chat/error.hpp"
#include "backstop/chat/money.hpp"
#include "backstop/chat/request.hpp"
#include "backstop/chat/target.hpp"
#include "backstop/export.hpp"
#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

class BudgetReservation;
class BudgetTurn;
class CallContext;
struct CallState;

/// One send, from before it begins to its end. Its address tells it from others under way at the same time.
struct Send {
  Send(const Target& to, const ChatRequest& what, const CallContext& where) noexcept
      : target{&to}, request{&what}, context{&where} {}
  Send(const Send&) = delete;
  Send& operator=(const Send&) = delete;
  ~Send() { unstake(); }

  const Target* target;
  const ChatRequest* request;
  const CallContext* context;  ///< of the provider that sends
  /// What the answer may have at most, where the request says nothing and an observer has to limit it. Observers only
  /// lower it.
  std::optional<std::int64_t> output_limit{};
  /// Set with a refusal that may end soon: what is waited for before the observers are asked again.
  std::shared_ptr<BudgetTurn> turn{};
  std::optional<TimePoint> waits_since{};  ///< when the first of them was given
  /// At its end: what the caps have booked for it, where the ledger does not know what it cost.
  Money booked{};
  std::uint64_t number = 0;  ///< unique in the process; 0: no calls share the send
  bool begun = false;  ///< all observers have let it begin; who is asked then takes it over from another call
  bool mended = false;  ///< at its end: as `AttemptProgress` has it
  /// For the observer that is called: a question of its own (to a judge, for a summary) beside what it observes.
  bool aside = false;
  BudgetReservation* reservations = nullptr;  ///< of the caps that have admitted it, the last one first
  /// While another call is to take it over: those of the call that pays for it now. The money is there.
  const BudgetReservation* reserved_so_far = nullptr;

  /// Counts what the send may cost among what is at stake in that call; once only, and taken back with the send's end.
  /// False when it counts in another call.
  BACKSTOP_EXPORT bool stake(CallState& call, Money worst) noexcept;
  /// What of the call's stake is this send's.
  [[nodiscard]] Money staked_in(const CallState& call) const noexcept { return staked_in_ == &call ? staked_ : Money{}; }
  BACKSTOP_EXPORT void unstake() noexcept;

 private:
  CallState* staked_in_ = nullptr;
  Money staked_{};
};

/// Is called for every attempt below the context that it was added to, whatever stands between. So caps, limits,
/// retries and hedges hold for each send, wherever the policy stands.
///
/// None of these functions may wait or drive the runtime: the call is in the midst of a step.
/// Thread safety: none; it belongs to the thread that drives the runtime, and must outlive the call below.
class BACKSTOP_EXPORT AttemptObserver {
 public:
  /// Before the send. Why it must not be made; empty when it may. After a refusal the observers further out are not
  /// called.
  [[nodiscard]] virtual std::optional<Error> on_begin(Send& send);
  /// The first content has come, of a stream or not. Also called for answers that no send below made (a cache's); not
  /// for answers to what is asked aside.
  virtual void on_first_content(TimePoint at) noexcept { static_cast<void>(at); }
  /// The end of what `on_begin` let through. `row` says what came of it; null when it was not made after all, or, once
  /// it had `begun`, goes on for another call.
  virtual void on_end(Send& send, const Attempt* row) noexcept {
    static_cast<void>(send);
    static_cast<void>(row);
  }

 protected:
  AttemptObserver() noexcept = default;
  virtual ~AttemptObserver() = default;

 private:
  friend class CallContext;
  AttemptObserver* outer_ = nullptr;
};

}  // namespace backstop::inline v0
