#include "config/group_reader.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "config/condition_reader.hpp"
#include "config/fields.hpp"
#include "config/strategy_reader.hpp"
#include "config/target_reader.hpp"

namespace backstop::inline v0::detail {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t deepest = 8;

constexpr std::array group_fields{
    Field<GroupConfig>{"targets"},
    Field<GroupConfig>{"strategy"},
    Field<GroupConfig>{"escalation"},
    Field<GroupConfig>{"weight"},
    Field<GroupConfig>{"when"},
    Field<GroupConfig>{"deadline", [](const Setting& at, GroupConfig& out) { out.deadline = at.duration(); }},
    Field<GroupConfig>{"attempts", [](const Setting& at, GroupConfig& out) { out.attempts = at.whole(1, 1000); }},
    Field<GroupConfig>{"retry_on"},
    Field<GroupConfig>{"max_retries"},
    Field<GroupConfig>{"timeout"},
    Field<GroupConfig>{"retry"},
    Field<GroupConfig>{"circuit_breaker"},
    Field<GroupConfig>{"rate_limit"},
    Field<GroupConfig>{"probe"},
    Field<GroupConfig>{"http"},
};

/// What the strategy `cascade` says.
struct Cascade {
  FloorConfig floor{.matches_schema = true, .finished = true};
  std::optional<Escalation> escalation{};
};

[[nodiscard]] std::optional<Escalation> read_escalation(const Setting& at) {
  constexpr std::array names{std::pair{"none"sv, Escalation::none}, std::pair{"with_draft"sv, Escalation::with_draft}};
  return read_name(at, names, R"("none" or "with_draft")");
}

constexpr std::array cascade_fields{
    Field<Cascade>{"name"},
    Field<Cascade>{"accept_if",
                   [](const Setting& at, Cascade& out) {
                     out.floor = {};
                     read_floor(at, out.floor);
                   }},
    Field<Cascade>{"escalation", [](const Setting& at, Cascade& out) { out.escalation = read_escalation(at); }},
    Field<Cascade>{"repair"},
};

/// Empty where the strategy is another one. What it does not say is the usual: JSON by the request's schema, and not cut.
[[nodiscard]] std::optional<Cascade> read_cascade(const Setting& at) {
  const Setting named = at.is_object() ? at["name"] : at;
  if (!named.is_string() || named.text() != "cascade") return std::nullopt;
  Cascade cascade;
  if (!at.is_object()) return cascade;
  read_fields(at, cascade_fields, cascade);
  const Setting repair = at["repair"];
  const Setting inside = at["accept_if"]["repair"];
  if (repair.present() && inside.present()) {
    repair.complain(fmt::format("is given again as `{}`; give one of them", inside.place()));
  }
  if (repair.present()) set(cascade.floor.repair, repair.whole(0, most_repairs));
  return cascade;
}

[[nodiscard]] std::optional<Escalation> escalation_of(const Setting& group, const std::optional<Cascade>& cascade) {
  const Setting outer = group["escalation"];
  const std::optional<Escalation> given = read_escalation(outer);
  if (!cascade || !cascade->escalation) return given;
  if (given && *given != *cascade->escalation) {
    const Setting inner = group["strategy"]["escalation"];
    inner.complain(fmt::format("is {}, and `{}` is {}: these contradict each other; give one of them", inner.shown(),
                               outer.place(), outer.shown()));
  }
  return cascade->escalation;
}

class Reader {
 public:
  Reader(bool enabled, const Catalog& catalog, std::vector<TargetConfig>& targets)
      : enabled_{enabled}, catalog_{&catalog}, targets_{&targets} {}

  void read(const Above& above, GroupConfig& out) {
    const Setting group = above.back();
    const Setting list = group["targets"];
    if (!list.present()) list.refuse("an array of targets, such as [\"openai/gpt-5.6-sol\"]");
    const std::vector<Setting> elements = list.elements("targets");
    if (list.is_array() && elements.empty()) list.complain("is empty; at least one target is needed");
    std::vector<double> weights;
    for (const Setting& element : elements) {
      weights.push_back(element["weight"].number(0, 1e6).value_or(1));
      out.members.push_back(member(element, above));
    }
    const Setting strategy = group["strategy"];
    const std::optional<Cascade> cascade = read_cascade(strategy);
    out.escalation = escalation_of(group, cascade);
    if (cascade) {
      out.strategy = ordered();
      // A floor is for those with somebody behind them, which no target has in a policy that is not enabled.
      for (std::size_t i = 0; enabled_ && i + 1 < out.members.size(); ++i) put_on(cascade->floor, out.members[i]);
    } else if (!weights.empty() && strategy.present()) {
      out.strategy = read_strategy(strategy, weights);
    }
  }

 private:
  /// A target that has a floor of its own keeps it.
  void put_on(const FloorConfig& floor, GroupConfig::Member& member) {
    if (!member.group.empty()) {
      member.floor = floor;
    } else if (TargetConfig& target = (*targets_)[member.target]; !target.accept_if) {
      target.accept_if = floor;
    }
  }
  [[nodiscard]] GroupConfig::Member member(const Setting& at, const Above& above) {
    GroupConfig::Member member;
    member.place = at.place();
    member.when = read_condition(at["when"]);
    if (!at["targets"].present()) {
      member.target = targets_->size();
      targets_->push_back(read_target(at, above, *catalog_));
      refuse_repeated(at, targets_->back().model);
      return member;
    }
    GroupConfig& group = member.group.emplace_back();
    read_fields(at, group_fields, group);
    Above around = above;
    around.push_back(at);
    if (around.size() > deepest) {
      at.complain(fmt::format("is nested too deeply; {} levels are accepted", deepest));
    } else {
      read(around, group);
    }
    return member;
  }

  void refuse_repeated(const Setting& at, const ModelOptions& model) {
    if (model.name.empty()) return;
    const std::string name = fmt::format("{}/{}", model.id.empty() ? model.name : model.id, model.model);
    const auto [listed, is_new] = places_.try_emplace(name, at.place());
    if (is_new) return;
    at.complain(fmt::format("lists {} again, after `{}`; each target is accepted once, unless an `id` tells them apart",
                            name, listed->second));
  }

  bool enabled_;
  const Catalog* catalog_;
  std::vector<TargetConfig>* targets_;
  std::unordered_map<std::string, std::string> places_;  // of each target, by its name
};

}  // namespace

void read_group(const Above& above, bool enabled, const Catalog& catalog, std::vector<TargetConfig>& targets,
                GroupConfig& out) {
  Reader{enabled, catalog, targets}.read(above, out);
}

}  // namespace backstop::inline v0::detail
