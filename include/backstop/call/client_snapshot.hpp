#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backstop/chat/error_kind.hpp"
#include "backstop/chat/target.hpp"
#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

/// What is known of a client's candidates at one moment. What strategies go by is remembered for targets of clients
/// that have another strategy than `ordered`, and for others from their first snapshot on.
struct ClientSnapshot {
  /// What is known from answers, and how old the newest is.
  struct Estimate {
    double value = 0;
    Duration age{0};
  };
  struct Candidate {
    Target target{};  ///< of a client the first of its targets
    bool ready = true;
    /// Unless ready, what a call would get: `circuit_open` where its breaker is open, `local_limit` while it cools
    /// down.
    std::optional<ErrorKind> refuses_with{};
    std::optional<ErrorKind> cooling_after{};  ///< the failure that set its cooldown
    std::optional<Duration> out_for{};         ///< unless ready: how long; empty when that is not known
    bool finds_out = false;                    ///< the next call probes whether it has recovered

    int in_flight = 0;                          ///< sends under way; of a client the calls to it
    std::optional<Estimate> ttft{};             ///< seconds to the first token, see `Choice::time_to_first_token`
    std::optional<Estimate> tokens_per_second{};
    std::optional<double> output_tokens{};      ///< that an answer usually has
    std::optional<double> success_share{};      ///< of the sends of the last 60 s that tell of the target
    std::optional<double> rejection_share{};    ///< of these, how many answers a quality floor refused
    std::optional<double> success_share_ever{};
    bool ejected = false;  ///< stands last in the client's order, because it fails too often; at most half do
    /// Of the calls that are meant for it, how many it gets: none while it is ejected, and none but one at a time from
    /// then to its first success; then a share that rises.
    double share = 1;
    std::uint64_t picks = 0;  ///< how often it was the first of the order; 0 where the strategy is `ordered`
    double pick_share = 0;    ///< of all picks of the client
    std::vector<Candidate> members{};  ///< of a client
  };

  std::string strategy;
  std::vector<Candidate> candidates;  ///< as listed
};

}  // namespace backstop::inline v0
