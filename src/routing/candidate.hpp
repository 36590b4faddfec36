#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "backstop/provider.hpp"
#include "routing/hedge_delays.hpp"

namespace backstop::inline v0::detail {

/// What a client can choose, and what it remembers of it between calls.
struct Candidate {
  explicit Candidate(Provider candidate) : provider{std::move(candidate)} {}

  Provider provider;
  bool is_pool = false;  ///< a client, with other targets than the one that failed
  std::unique_ptr<const HedgeDelays> hedge;  ///< where hedging is on
};

using Candidates = std::vector<std::unique_ptr<const Candidate>>;

}  // namespace backstop::inline v0::detail
