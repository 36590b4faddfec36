#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "backstop/chat/money.hpp"
#include "backstop/chat/target.hpp"
#include "backstop/export.hpp"
#include "backstop/policy.hpp"
#include "backstop/runtime/clock.hpp"
#include "backstop/state/budget.hpp"

namespace backstop::inline v0 {

/// What may be spent. At least one limit, or a budget with one, is needed. With a limit of $0 only targets are asked
/// that cost nothing.
struct CostCapOptions {
  /// On one call, over all its retries, fallbacks and hedges. Never exceeded by more than what a send costs above its
  /// worst case.
  std::optional<Money> per_request{};
  std::optional<Money> per_period{};                   ///< by the calls of each provider that this policy is put around
  std::optional<Money> fallback_premium_per_period{};  ///< likewise, on what falling over costs above the first choice
  Duration period = std::chrono::hours{24};            ///< a rolling one
  /// What a target whose price is not known is taken to cost; unset: nothing is sent to it.
  std::optional<Price> assume_price{};
  /// How long a send that would fit but for what other calls have reserved waits for these to settle, while no other
  /// target is ready outside the cap, which is asked first (the refusal is `local_limit` then); 0: it does not wait.
  /// The targets of a client inside have that time together, until one has been sent to. A call waits before policies
  /// inside the cap give it permits, in the order of coming; another send of it, to the next target of a client inside
  /// or for a repair, and one behind `single_flight`, where it is made. A hedge does not wait.
  Duration wait_for_reserved = std::chrono::seconds{30};
  /// Shared ones; a send needs room in all of them. It counts once in each, however many caps around it have it.
  std::vector<Budget> budgets{};
};

/// What is wrong with the options, and what would be accepted; empty when nothing is.
[[nodiscard]] BACKSTOP_EXPORT std::string problem_with(const CostCapOptions& options);

/// Sends nothing that might cost more than is left. Before each send its worst case (the estimated input and the output
/// limit, at the target's price) is reserved; after it what it cost is booked, known or estimated, and the rest given
/// back. An answer under way is not stopped: what it costs above its worst case is booked.
///
/// Where the request has no output limit, and what is left is less than what the model writes at most, the limit that
/// is sent is what is left for; below 256 tokens the target is skipped. The attempt's row says so. A model on this
/// machine costs nothing unless it has a price.
///
/// It holds wherever it stands: around a target, around retries, or around a whole client, whose every send, to
/// whichever target, is then checked at that target's price: `client | cost_cap({.per_request = Money::usd(0.10)})`.
/// A send that several calls share (`single_flight`) is checked by the caps of the one that accounts for it.
/// After a refusal the call goes on to targets that cost less, and to no other: those outside the cap, too. The error of
/// the call is then that of the last one asked: where a free model on this machine is down, the refusals of those that
/// cost something are in `Error::attempts`, with `budget_exceeded` as `outcome`.
/// Inside `retry` and outside `rate_limit`, as in `standard()`, a send that must not be made takes no place in a queue.
///
/// Errors: `budget_exceeded`, not sent, where a limit leaves no room or the price is not known; std::invalid_argument
/// from the factory with `problem_with(options)`.
/// Thread safety: as every policy. Example: `cost_cap({.per_request = Money::usd(0.50)})`
[[nodiscard]] BACKSTOP_EXPORT Policy cost_cap(CostCapOptions options);
/// With one budget that the application holds, too.
[[nodiscard]] BACKSTOP_EXPORT Policy cost_cap(Budget budget);

}  // namespace backstop::inline v0
