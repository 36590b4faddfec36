#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "backstop/chat/stream_event.hpp"
#include "backstop/observe/observer.hpp"
#include "backstop/policy.hpp"
#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

class StreamSink;

/// Limits of one call in place of its client's (`CallLimits`). What is unset is the client's.
struct LimitOverrides {
  std::optional<Duration> deadline{};       ///< from the call's entry; endless: `Duration::max()`
  std::optional<int> max_attempts{};        ///< sends, at least 1
  std::optional<Duration> recovery_wait{};  ///< for a target to recover when all are out
};

/// What holds for one call of a client, whichever way it is made. By default what the client was made with.
///
/// Example: `client.chat("Why?", {.limits = {.deadline = 5s}, .stop = source.get_token()});`
struct CallOptions {
  LimitOverrides limits{};
  /// Cancels the call, from whatever thread the stop is requested: its waits and its connection end, and the result
  /// is an error of kind `cancelled`. Not from a signal handler, where no lock may be taken: a thread of the
  /// application's own waits for the signal (`sigwait`) and requests the stop.
  std::stop_token stop{};
  /// Gets the answer as it comes, and events of type `progress` about who is asked, who failed and what is waited for.
  /// The call streams, also one of `chat` and `chat_async`, whose result is the same whole answer. Runs on the thread
  /// that drives the runtime and must not block; an exception out of it is dropped. It is not called within itself, and
  /// not after the end.
  std::function<void(const StreamEvent&)> on_event{};
  /// The same for a consumer that can make the network wait. Must outlive the call. Not for `stream`, whose range gets
  /// the events: there it is std::invalid_argument.
  StreamSink* sink = nullptr;
  /// Is told of this call, besides the client's own observers. Of a send that `single_flight` shares, the observers and
  /// the `on_event` of the call that began it are told, and what a follower gets is its answer. Progress of it while
  /// `on_event` itself makes another call is not told.
  std::shared_ptr<Observer> observer{};
  /// The targets that may be asked, in this order, in place of the client's candidates and its strategy. As
  /// `FallbackClient::only` has it.
  std::vector<std::string> targets{};
  /// A policy around the client for this call: its limits, strategy and waits are as without it. It is made anew for
  /// each call, so that a breaker, a cache, a rate or a budget that it makes itself sees that call only. What is to
  /// hold over several calls is a handle that the application keeps: `cost_cap(budget)`, `rate_limit(limit)`,
  /// `circuit_breaker(breaker)`, `bulkhead(limit)`.
  /// Example: `{.around = cost_cap({.per_request = Money::usd(0.10)})}`
  std::optional<Policy> around{};
};

}  // namespace backstop::inline v0
