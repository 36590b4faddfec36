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
  explicit State(FallbackOptions client_options) : options{std::move(client_options)}, recovery{options.recovery} {
    if (options.hedge) {
      hedges.emplace(options.hedge->shared_budget ? *options.hedge->shared_budget : HedgeBudget{options.hedge->budget});
    }
  }

  const FallbackOptions options;
  detail::Pool pool;
  std::shared_ptr<const std::vector<std::shared_ptr<Observer>>> observers;
  std::optional<const HedgeBudget> hedges;
  mutable detail::RecoveryQueue recovery;
};

}  // namespace backstop::inline v0
