#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "backstop/chat/target.hpp"
#include "backstop/provider.hpp"
#include "routing/hedge_delays.hpp"
#include "state/target_statistics.hpp"

namespace backstop::inline v0::detail {

/// What a client can choose, and what it remembers of it between calls.
struct Candidate {
  explicit Candidate(Provider candidate) : provider{std::move(candidate)} {}

  Provider provider;
  std::vector<Target> targets{};  ///< that it may send to
  bool is_pool = false;  ///< a client, with other targets than the one that failed
  std::shared_ptr<const HedgeDelays> hedge{};  ///< where hedging is on
  /// Null where nobody chooses by them.
  TargetStatistics* statistics = nullptr;
  /// Of what is more than one target: fed by the calls to it.
  std::unique_ptr<TargetStatistics> own_statistics{};
};

using Candidates = std::vector<std::unique_ptr<const Candidate>>;

}  // namespace backstop::inline v0::detail
