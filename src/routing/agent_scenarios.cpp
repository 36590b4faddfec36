#include <algorithm>
#include <array>
#include <stdexcept>
#include <string_view>
#include <variant>

#include <fmt/format.h>

#include "backstop/routing/rules.hpp"
#include "routing/branches.hpp"

namespace backstop::inline v0 {
namespace {

/// Images further back have been looked at.
[[nodiscard]] bool shows_an_image(const ChatRequest& request) {
  const auto last = std::find_if(request.messages.rbegin(), request.messages.rend(),
                                 [](const Message& message) { return message.role != Role::assistant; });
  return last != request.messages.rend() &&
         std::any_of(last->parts.begin(), last->parts.end(),
                     [](const Part& part) { return std::holds_alternative<Image>(part); });
}

struct Scenario {
  std::string_view name;
  std::optional<std::size_t> branch;
  Condition holds;
};

}  // namespace

Strategy agent_scenarios(AgentScenarios scenarios) {
  if (scenarios.long_context_above <= 0) {
    throw std::invalid_argument{fmt::format("agent_scenarios: long_context_above is {}; it must be above 0",
                                            scenarios.long_context_above)};
  }
  const std::array<Scenario, 5> all{{{"long_context", scenarios.long_context, input_above(scenarios.long_context_above)},
                                     {"background", scenarios.background, is_background()},
                                     {"web_search", scenarios.web_search, offers_tool("web_search*")},
                                     {"think", scenarios.think, wants_reasoning()},
                                     {"image", scenarios.image, when("image", shows_an_image)}}};
  std::string description = fmt::format("agent_scenarios(usual: {}", scenarios.usual);
  std::vector<Rule> rules;
  for (const Scenario& scenario : all) {
    if (!scenario.branch) continue;
    description += fmt::format(", {}: {}", scenario.name, *scenario.branch);
    rules.push_back({has_tag("scenario", std::string{scenario.name}), *scenario.branch});
  }
  if (rules.empty()) throw std::invalid_argument{"agent_scenarios: nothing but `usual` is set"};
  for (const Scenario& scenario : all) {
    if (scenario.branch) rules.push_back({scenario.holds, *scenario.branch});
  }
  return detail::branches(description + ")", std::move(rules), scenarios.usual);
}

}  // namespace backstop::inline v0
