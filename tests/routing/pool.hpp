#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace backstop::testing {

[[nodiscard]] inline FallbackClient pool_of(VirtualRuntime& world, Strategy strategy, std::vector<Provider> providers) {
  return FallbackClient{std::move(providers), FallbackOptions{.strategy = std::move(strategy),
                                                              .recovery = {.max_wait = Duration::zero()},
                                                              .runtime = world.share()}};
}

/// The model that answered, or what the call failed with.
[[nodiscard]] inline std::string answered_by(const FallbackClient& client, const ChatRequest& request = "hello") {
  const auto reply = client.chat(request);
  return reply ? std::string{reply->served_by.model()} : std::string{to_string(reply.error().kind)};
}

/// Who answered so many calls, one after the other.
[[nodiscard]] inline std::string answers(const FallbackClient& client, int calls) {
  std::string all;
  for (int i = 0; i < calls; ++i) all += (all.empty() ? "" : " ") + answered_by(client);
  return all;
}

/// The models in the order in which the next call would ask them.
[[nodiscard]] inline std::string plan_of(const FallbackClient& client, const ChatRequest& request = "hello") {
  std::string order;
  for (const Plan::Step& step : client.explain(request).steps) {
    order.append(order.empty() ? "" : " ").append(step.target.model());
  }
  return order;
}

[[nodiscard]] inline double share_of(std::size_t part, std::size_t whole) {
  return static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace backstop::testing
