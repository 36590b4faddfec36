#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "backstop/chat/error.hpp"
#include "backstop/export.hpp"
#include "backstop/policy.hpp"
#include "backstop/runtime/clock.hpp"
#include "backstop/state/retry_budget.hpp"

namespace backstop::inline v0 {

/// What `RetryOptions::should_retry` is given.
struct RetryQuestion {
  const Error& error;
  int attempts;        ///< sends made so far
  Duration remaining;  ///< until the call's deadline
  int attempts_left;   ///< that the policy and the call still allow
  std::optional<std::int64_t> budget;  ///< what is left in the target's retry budget; empty without one
  bool other_target_ready;             ///< another could be sent to right now
};

/// What `RetryOptions::should_retry` returns. A `bool` will do: true for `again()`, false for `stop()`.
class RetryVerdict {
 public:
  /// As without `should_retry`. `wait`, if given, is waited instead of the backoff's.
  [[nodiscard]] static RetryVerdict as_usual(std::optional<Duration> wait = {}) noexcept { return {What::usual, wait}; }
  /// Send again, whatever the classification says.
  [[nodiscard]] static RetryVerdict again(std::optional<Duration> wait = {}) noexcept { return {What::again, wait}; }
  [[nodiscard]] static RetryVerdict stop() noexcept { return {What::stop, {}}; }
  template <std::same_as<bool> Bool>
  RetryVerdict(Bool send_again) noexcept : what_{send_again ? What::again : What::stop} {}

  [[nodiscard]] bool is_usual() const noexcept { return what_ == What::usual; }
  [[nodiscard]] bool is_stop() const noexcept { return what_ == What::stop; }
  [[nodiscard]] std::optional<Duration> wait() const noexcept { return wait_; }

 private:
  enum class What : std::uint8_t { usual, again, stop };
  RetryVerdict(What what, std::optional<Duration> wait) noexcept : what_{what}, wait_{wait} {}

  What what_;
  std::optional<Duration> wait_;
};

/// How often failures of one kind may be retried within a call to a target.
struct RetriesOfKind {
  ErrorKind kind;
  int retries;  ///< 0: not at all
};

/// Defaults are right for most applications.
struct RetryOptions {
  int max_attempts = 3;                ///< sends to one target, the first included
  int max_attempts_with_fallback = 2;  ///< the same while another target is ready; the smaller of the two counts then
  /// For kinds that are to be retried less often than the others: `{{ErrorKind::rate_limited, 1}}`.
  std::vector<RetriesOfKind> max_retries_of_kind{};
  Duration initial = std::chrono::milliseconds{500};  ///< the first wait is at most this; doubles ...
  Duration max = std::chrono::seconds{8};             ///< ... up to this
  Duration throttle_initial = std::chrono::seconds{1};  ///< the same after 429, 503 and 529, where half is the least
  Duration throttle_max = std::chrono::seconds{20};
  std::vector<int> on_status{};  ///< not empty: only these statuses, and connection failures, are retried
  Duration max_server_wait = std::chrono::seconds{120};  ///< the longest `Retry-After` that is waited for
  Duration failover_wait = std::chrono::seconds{2};  ///< the longest wait while another target is ready
  Duration min_attempt_time = std::chrono::seconds{1};  ///< no retry when the deadline would leave it less than this
  /// False for requests that have effects: then only what the provider cannot have processed is sent again, or what
  /// it asks for (429, a `Retry-After`, `x-should-retry: true`). A client around it asks its other targets all the same,
  /// and comes back to this one unless `RecoveryOptions::repeat_failed` is false.
  bool repeatable = true;
  std::optional<RetryBudgetOptions> budget = RetryBudgetOptions{};  ///< of the target; unset: none
  /// Decides in place of the classification, `on_status` and `x-should-retry`; the limits on attempts, kinds, time,
  /// budget and delivered content hold all the same, and a server's hint is the least wait. When it throws, the call
  /// fails with `invalid_request` and its words.
  std::function<RetryVerdict(const RetryQuestion&)> should_retry{};
};

/// Sends again what failed in a way that may pass, after a wait that doubles and is jittered.
///
/// Whether a kind of failure is retried stands in `error_table`. The server's hint is the least wait, its
/// `x-should-retry` is obeyed. What cannot be reached, or is too busy without saying for how long, is not waited for
/// while another target is ready. Nothing is sent again once content has reached the consumer, nor after a forced
/// probe, which a call makes when every target is out. It does not wait but fails when another target is ready and the
/// wait would be above `failover_wait`, when the deadline leaves no time, or when the target's budget is empty; the
/// reason is added to the ledger's last row. Attempts made by a retry further in count too, so that nested retries do
/// not multiply.
///
/// Errors: the last attempt's own. Throws std::invalid_argument for attempts below 1, negative times or retries and
/// impossible statuses.
/// Thread safety: as every policy; `should_retry` may be called for several calls at the same time, on the threads that
/// drive them. Each wrapped provider has a budget of its own.
///
/// Example: `auto guarded = openai({.model = "gpt-5.6-sol"}) | retry({.max_attempts = 2});`
[[nodiscard]] BACKSTOP_EXPORT Policy retry(RetryOptions options = {});

}  // namespace backstop::inline v0
