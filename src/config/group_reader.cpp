#include "config/group_reader.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>

#include <fmt/format.h>

#include "config/condition_reader.hpp"
#include "config/fields.hpp"
#include "config/strategy_reader.hpp"
#include "config/target_reader.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr std::size_t deepest = 8;

constexpr auto with_members = [](const Setting&, GroupConfig&) {};

constexpr std::array group_fields{
    Field<GroupConfig>{"targets", with_members},
    Field<GroupConfig>{"strategy", with_members},
    Field<GroupConfig>{"weight", with_members},
    Field<GroupConfig>{"when", with_members},
    Field<GroupConfig>{"deadline", [](const Setting& at, GroupConfig& out) { out.deadline = at.duration(); }},
    Field<GroupConfig>{"attempts", [](const Setting& at, GroupConfig& out) { out.attempts = at.whole(1, 1000); }},
    Field<GroupConfig>{"retry_on", with_members},
    Field<GroupConfig>{"max_retries", with_members},
    Field<GroupConfig>{"timeout", with_members},
    Field<GroupConfig>{"retry", with_members},
    Field<GroupConfig>{"circuit_breaker", with_members},
    Field<GroupConfig>{"rate_limit", with_members},
    Field<GroupConfig>{"probe", with_members},
    Field<GroupConfig>{"http", with_members},
};

class Reader {
 public:
  explicit Reader(std::vector<TargetConfig>& targets) : targets_{&targets} {}

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
    if (!weights.empty() && strategy.present()) out.strategy = read_strategy(strategy, weights);
  }

 private:
  [[nodiscard]] GroupConfig::Member member(const Setting& at, const Above& above) {
    GroupConfig::Member member;
    member.place = at.place();
    member.when = read_condition(at["when"]);
    if (!at["targets"].present()) {
      member.target = targets_->size();
      targets_->push_back(read_target(at, above));
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

  std::vector<TargetConfig>* targets_;
  std::unordered_map<std::string, std::string> places_;  // of each target, by its name
};

}  // namespace

void read_group(const Above& above, std::vector<TargetConfig>& targets, GroupConfig& out) {
  Reader{targets}.read(above, out);
}

}  // namespace backstop::inline v0::detail
