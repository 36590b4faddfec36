#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "routing/choosing.hpp"
#include "routing/hedge_delays.hpp"
#include "routing/recovery.hpp"

namespace backstop::inline v0 {

struct FallbackClient::State {
  /// `shared`: of a client with the same options, whose budgets, queues and measurements this one shares; null: none.
  State(FallbackOptions client_options, const State* shared)
      : options{std::move(client_options)},
        recovery{shared != nullptr ? shared->recovery : std::make_shared<detail::RecoveryQueue>(options.recovery)},
        hedge_memory{shared != nullptr ? shared->hedge_memory : std::make_shared<detail::HedgeMemory>()} {
    if (shared != nullptr) {
      if (shared->hedges) hedges.emplace(*shared->hedges);
    } else if (options.hedge) {
      hedges.emplace(options.hedge->shared_budget ? *options.hedge->shared_budget : HedgeBudget{options.hedge->budget});
    }
  }

  const FallbackOptions options;
  detail::Pool pool;
  std::shared_ptr<const std::vector<std::shared_ptr<Observer>>> observers;
  std::optional<const HedgeBudget> hedges;
  const std::shared_ptr<detail::RecoveryQueue> recovery;
  const std::shared_ptr<detail::HedgeMemory> hedge_memory;
};

}  // namespace backstop::inline v0
