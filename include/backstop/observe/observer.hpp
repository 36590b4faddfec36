#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "backstop/chat/attempt.hpp"
#include "backstop/chat/error.hpp"
#include "backstop/chat/request.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/chat/target.hpp"
#include "backstop/export.hpp"

namespace backstop::inline v0 {

/// One request that was sent has come to its end.
struct AttemptEvent {
  const Attempt& attempt;
  bool committed = false;  ///< content had been handed to the consumer
};

/// What a call does before its end, so that a program can say so: "the first provider does not answer, asking the
/// second". What comes next after a failure is in the event that follows, or it is the end of the call.
struct ProgressEvent {
  enum class Type : std::uint8_t {
    attempt_began,   ///< `target` is asked; `attempt` is its row so far, `before` the failure that led to it
    attempt_failed,  ///< `attempt` says how and why
    skipped,         ///< `attempt` says which candidate was passed over without a send, and why
    waits,           ///< nothing is asked for `wait` at most, because of `reason`
  };

  Type type = Type::attempt_began;
  Target target{};                     ///< with `waits`: which is waited for; empty: the first that recovers
  const Attempt* attempt = nullptr;    ///< null with `waits`
  const Attempt* before = nullptr;     ///< the row in front of it, where that is a failure or was skipped; else null
  std::chrono::nanoseconds wait{0};
  std::string_view reason{};  ///< with `waits`: retry, recovery, rate_limit, bulkhead or cost_cap; static text
};

[[nodiscard]] BACKSTOP_EXPORT std::string_view to_string(ProgressEvent::Type type) noexcept;
/// For people: "openai/gpt-5 failed: overloaded", "asking anthropic/claude", "waiting 2s for retry". No foreign words.
[[nodiscard]] BACKSTOP_EXPORT std::string to_string(const ProgressEvent& event);

/// A call of the application has come to its end; exactly one of `response` and `error` is set.
struct CallEvent {
  const ChatResponse* response = nullptr;
  const Error* error = nullptr;
  const Ledger& attempts;
  std::chrono::nanoseconds elapsed{0};
  Money cost;            ///< of all attempts
  bool cost_known = true;  ///< false where the price of one is not known
  Target first_choice;   ///< where the call would have gone without failures
};

/// A circuit breaker has changed its state ("closed", "open", "half_open", "isolated", "disabled", ...).
struct BreakerEvent {
  Target target;
  std::string_view from;
  std::string_view to;
  std::string_view reason;
};

/// Is told what happens. Events refer to data that lives only during the call.
///
/// Thread safety: functions are called on the thread that drives the runtime, or on the one that controls a breaker by
/// hand, and may be called from several threads when an observer is shared between clients.
/// Cost: they are called in the course of the call, so a slow one delays that call and those on the same runtime; do on
/// another thread what may block. Nothing may be thrown out of them: they are `noexcept`.
class BACKSTOP_EXPORT Observer {
 public:
  virtual ~Observer() = default;
  /// A call of the application begins. Its end is an `on_call`.
  virtual void on_begin() noexcept {}
  virtual void on_attempt(const AttemptEvent& event) noexcept { static_cast<void>(event); }
  virtual void on_progress(const ProgressEvent& event) noexcept { static_cast<void>(event); }
  virtual void on_call(const CallEvent& event) noexcept { static_cast<void>(event); }
  virtual void on_breaker(const BreakerEvent& event) noexcept { static_cast<void>(event); }
};

}  // namespace backstop::inline v0
