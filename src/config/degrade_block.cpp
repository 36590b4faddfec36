#include "config/degrade_block.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "config/fields.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr std::string_view rung_forms =
    R"(one of "images", "documents", "reasoning", "json_schema", "tools", "output", "history", "cached", )"
    R"({"history": {"keep_turns": 6}}, {"tools": {"keep_history": false}}, {"cached": {"max_age": "24h"}} )"
    R"(and {"canned": "a text"})";

constexpr std::array history_fields{
    Field<Rung>{"keep_turns", [](const Setting& at, Rung& out) { set(out.keep_turns, at.whole(1, 1'000'000)); }},
};
constexpr std::array tools_fields{
    Field<Rung>{"keep_history", [](const Setting& at, Rung& out) { set(out.keep_tool_history, at.boolean()); }},
};
constexpr std::array cached_fields{
    Field<Rung>{"max_age", [](const Setting& at, Rung& out) { set(out.max_age, at.duration()); }},
};

struct NamedRung {
  std::string_view name;
  Rung (*make)();
  void (*read)(const Setting& at, Rung& out);  ///< null: there is nothing to say about it
  bool by_name = true;                         ///< alone will do
};

constexpr std::array named_rungs{
    NamedRung{"images", degrade::images, nullptr},
    NamedRung{"documents", degrade::documents, nullptr},
    NamedRung{"reasoning", degrade::reasoning, nullptr},
    NamedRung{"json_schema", degrade::json_schema, nullptr},
    NamedRung{"output", degrade::output, nullptr},
    NamedRung{"tools", [] { return degrade::tools(); },
              [](const Setting& at, Rung& out) { read_fields(at, tools_fields, out); }},
    NamedRung{"history", [] { return degrade::history(); },
              [](const Setting& at, Rung& out) { read_fields(at, history_fields, out); }},
    NamedRung{"cached", [] { return degrade::cached(AnswerCache{}); },
              [](const Setting& at, Rung& out) { read_fields(at, cached_fields, out); }},
    NamedRung{"canned", [] { return degrade::canned("-"); },
              [](const Setting& at, Rung& out) { set(out.text, at.text()); }, false},
};

[[nodiscard]] const NamedRung* find_rung(std::string_view name) noexcept {
  const auto row = std::find_if(named_rungs.begin(), named_rungs.end(),
                                [name](const NamedRung& known) { return known.name == name; });
  return row == named_rungs.end() ? nullptr : &*row;
}

void read_rung(const Setting& at, std::vector<Rung>& out) {
  if (at.is_string()) {
    const NamedRung* named = find_rung(at.text().value_or(""));
    if (named == nullptr || !named->by_name) return at.refuse(rung_forms);
    return out.push_back(named->make());
  }
  const std::vector<std::string> keys = at.keys();
  if (keys.size() != 1) return at.refuse(rung_forms);
  const NamedRung* named = find_rung(keys.front());
  if (named == nullptr || named->read == nullptr) {
    return at[keys.front()].complain(fmt::format("is not known here; a rung is {}", rung_forms));
  }
  named->read(at[keys.front()], out.emplace_back(named->make()));
}

using MakeRung = Rung (*)();
using AllowedFeature = std::pair<std::string_view, MakeRung>;
constexpr std::array allowed_features{
    AllowedFeature{"vision", degrade::images},
    AllowedFeature{"documents", degrade::documents},
    AllowedFeature{"reasoning", degrade::reasoning},
    AllowedFeature{"json_schema", degrade::json_schema},
    AllowedFeature{"tools", [] { return degrade::tools(); }},
};

}  // namespace

void read_ladder(const Setting& at, std::vector<Rung>& out) {
  const bool had_problems = !at.problems().empty();
  for (const Setting& rung : at.elements("rungs")) read_rung(rung, out);
  if (had_problems || !at.problems().empty()) return;
  if (const std::string problem = problem_with(out); !problem.empty()) {
    at.complain("is no ladder: " + problem);
  } else if (out.empty()) {
    at.complain("is empty; list rungs, or leave it out to give up nothing");
  }
}

void read_allowed_degradation(const Setting& at, std::vector<Rung>& out) {
  for (const Setting& element : at.elements("features")) {
    const std::optional<MakeRung> make =
        read_name(element, allowed_features, R"("vision", "documents", "reasoning", "json_schema" or "tools")");
    if (!make) continue;
    Rung rung = (*make)();
    const bool twice =
        std::any_of(out.begin(), out.end(), [&rung](const Rung& one) { return one.kind == rung.kind; });
    if (twice) {
      element.complain(fmt::format("is {} for the second time; once is accepted", element.shown()));
    } else {
      out.push_back(std::move(rung));
    }
  }
}

}  // namespace backstop::inline v0::detail
