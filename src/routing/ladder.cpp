#include "routing/ladder.hpp"

#include <algorithm>
#include <array>

namespace backstop::inline v0::detail {
namespace {

/// Of the kinds of rungs that reduce a request.
constexpr std::array features{Feature::vision,  Feature::documents, Feature::reasoning, Feature::json_schema,
                              Feature::history, Feature::tools,     Feature::output};
static_assert(features.size() == static_cast<std::size_t>(Rung::Kind::cached), "one for each kind before `cached`");

}  // namespace

Ladder::Ladder(const std::vector<Rung>& rungs, bool early) : early_{early} {
  for (const Rung& rung : rungs) {
    if (rung.kind == Rung::Kind::cached) {
      cached_ = rung;
      has_cached_ = true;
    } else if (rung.kind == Rung::Kind::canned) {
      canned_ = rung;
      has_canned_ = true;
    } else {
      Reduction& reduction = reductions_.emplace_back();
      reduction.feature = features[static_cast<std::size_t>(rung.kind)];
      reduction.options.keep_turns = rung.keep_turns;
      reduction.options.keep_tool_history = rung.keep_tool_history;
      reduction.summarized_by = rung.summarized_by;
      if (rung.summarized_by) reduction.options.summary_tokens = rung.summary_tokens;
    }
  }
}

Rungs Ladder::about(std::initializer_list<Feature> wanted) const noexcept {
  Rungs rungs = 0;
  for (std::size_t index = 0; index < reductions_.size(); ++index) {
    if (std::find(wanted.begin(), wanted.end(), reductions_[index].feature) != wanted.end()) rungs |= Rungs{1} << index;
  }
  return rungs;
}

Rungs Ladder::about(const Needs& needs) const noexcept {
  Rungs rungs = 0;
  if (needs.vision) rungs |= about({Feature::vision});
  if (needs.documents) rungs |= about({Feature::documents});
  if (needs.reasoning) rungs |= about({Feature::reasoning});
  if (needs.json_schema) rungs |= about({Feature::json_schema});
  if (needs.tools) rungs |= about({Feature::tools});
  return rungs;
}

Needs Ladder::needs_after(Needs needs, Rungs taken) const noexcept {
  needs.may_degrade = true;
  needs.reduced = needs.reduced || taken != 0;
  for (std::size_t index = 0; index < reductions_.size(); ++index) {
    if ((taken >> index & 1U) == 0) continue;
    switch (reductions_[index].feature) {
      case Feature::vision: needs.vision = false; break;
      case Feature::documents: needs.documents = false; break;
      case Feature::reasoning: needs.reasoning = false; break;
      case Feature::json_schema: needs.json_schema = false; break;
      case Feature::tools: needs.tools = false; break;
      case Feature::history:
        needs.input_tokens = 0;
        needs.shortened = true;
        break;
      case Feature::output: needs.shortened = true; break;
    }
  }
  return needs;
}

Degradation merged(const Degradation& first, const Degradation& second) {
  Degradation both = first;
  for (const std::string& feature : second.features) {
    if (std::find(both.features.begin(), both.features.end(), feature) == both.features.end()) {
      both.features.push_back(feature);
    }
  }
  append_once(both.reason, second.reason, "; ");
  append_once(both.notice, second.notice, " ");
  return both;
}

void append_once(std::string& text, std::string_view more, std::string_view between) {
  if (more.empty() || text.find(more) != std::string::npos) return;
  text.append(text.empty() ? "" : between).append(more);
}

}  // namespace backstop::inline v0::detail
