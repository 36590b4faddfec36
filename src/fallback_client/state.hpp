#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "routing/choosing.hpp"
#include "routing/recovery.hpp"

namespace backstop::inline v0 {

struct FallbackClient::State {
  /// `shared`: of a client with the same options, whose budgets and queues this one shares; null: none.
  State(FallbackOptions client_options, const State* shared)
      : options{std::move(client_options)},
        recovery{shared != nullptr ? shared->recovery : std::make_shared<detail::RecoveryQueue>(options.recovery)} {
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
};

}  // namespace backstop::inline v0
