#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backstop/chat/error_kind.hpp"
#include "backstop/chat/gateway_report.hpp"
#include "backstop/chat/money.hpp"
#include "backstop/chat/rate_limit_status.hpp"
#include "backstop/chat/target.hpp"
#include "backstop/chat/usage.hpp"
#include "backstop/export.hpp"

namespace backstop::inline v0 {

/// How safe it is to send the same request again after a failure.
enum class ReplaySafety : std::uint8_t {
  not_sent,         ///< the provider cannot have seen it
  maybe_processed,  ///< it may have been answered, and billed
  processed,        ///< it was answered
};

/// What the next turns of a session are expected to cost at the target that is asked, and at the other one that was
/// weighed against it.
struct SessionMove {
  bool moves = false;  ///< away from the other; else the session stays
  Money here{};
  Money there{};
  Target other;
  bool too_soon = false;  ///< it stays although moving costs no more: it is not with its target for `min_dwell` yet
};

/// One row of a call's ledger: a request that was sent, or a candidate that was skipped.
struct Attempt {
  Target target{};
  std::optional<ErrorKind> outcome{};  ///< empty: this attempt answered
  bool sent = false;                 ///< false for candidates that were skipped
  bool judge = false;  ///< was asked to judge an answer of another (`judged_by`), not to give one
  bool summary = false;  ///< was asked for a summary of older turns (`degrade::history`), not for an answer
  int http_status = 0;               ///< 0 when no status line arrived
  std::chrono::nanoseconds waited{0};   ///< backoff and queueing before it
  std::chrono::nanoseconds elapsed{0};  ///< from the send to its end
  std::optional<std::chrono::nanoseconds> ttft{};  ///< time to first token: content, reasoning or tool call
  Usage usage{};
  Money cost{};
  bool cost_known = true;       ///< false where the price is not: `cost` is then $0 and says nothing
  bool cost_estimated = false;  ///< the provider did not report usage; the cost is estimated by what went out and came in
  ReplaySafety replay = ReplaySafety::not_sent;
  std::string request_id{};  ///< the provider's
  /// What the answer's headers said of the provider's limits; null when nothing.
  std::shared_ptr<const RateLimitStatus> rate_limit{};
  /// What a gateway said of how it served the request; null when nothing. A cost that it names is the attempt's.
  std::shared_ptr<const GatewayReport> gateway{};
  std::string reason{};      ///< why it failed or was skipped, and what was decided, for people; no foreign words
  std::string provider_message{};  ///< see `Error::provider_message`; observers get rows without it
  /// The strategy that gave the target its place in the order, such as `lowest_latency`; null where they stood as
  /// listed.
  std::shared_ptr<const std::string> chosen_by{};
  double score = 0;  ///< that it had there, the lowest first; what it counts is the strategy's
  std::optional<SessionMove> session{};  ///< where it was weighed whether a session moves
  std::optional<std::chrono::nanoseconds> out_for{};  ///< of a candidate that was skipped: until it can be asked again
};

/// The reason for people, with how long a candidate stays out, "circuit_open (for another 12.3 s)", and why a session
/// stays or moves.
[[nodiscard]] BACKSTOP_EXPORT std::string reason_of(const Attempt& attempt);

/// The same with the provider's words: "the provider is overloaded (it said: Overloaded)". For whoever may see
/// prompts: a provider may repeat parts of one.
[[nodiscard]] BACKSTOP_EXPORT std::string quoted_reason_of(const Attempt& attempt);

/// What happened in a call, in order.
using Ledger = std::vector<Attempt>;

}  // namespace backstop::inline v0
