#include "backstop/routing/degrade.hpp"

#include <array>
#include <cstddef>
#include <utility>

#include <fmt/format.h>

#include "text/name_in.hpp"

namespace backstop::inline v0 {
namespace {

constexpr std::array<std::string_view, 9> kind_names{"images", "documents", "reasoning", "json_schema", "history",
                                                     "tools",  "output",    "cached",    "canned"};
static_assert(kind_names.size() == static_cast<std::size_t>(Rung::Kind::canned) + 1);

[[nodiscard]] bool is_answer(Rung::Kind kind) noexcept { return kind >= Rung::Kind::cached; }

[[nodiscard]] std::string rung_problem(const Rung& rung) {
  if (static_cast<std::size_t>(rung.kind) >= kind_names.size()) {
    return fmt::format("FallbackOptions::degrade has a rung of the unknown kind {}; the functions of `degrade` make rungs",
                       static_cast<int>(rung.kind));
  }
  if (rung.kind == Rung::Kind::history && rung.keep_turns < 1) {
    return fmt::format("degrade::history: keep_turns is {}; it must be at least 1", rung.keep_turns);
  }
  if (rung.kind == Rung::Kind::history && rung.summary_tokens < 1) {
    return fmt::format("degrade::history: summary_tokens is {}; it must be at least 1", rung.summary_tokens);
  }
  if (rung.kind == Rung::Kind::canned && rung.text.empty()) return "degrade::canned: the text must not be empty";
  if (rung.kind != Rung::Kind::cached) return {};
  if (!rung.answers) return "degrade::cached: needs an AnswerCache";
  if (rung.max_age <= Duration::zero()) return "degrade::cached: max_age must be longer than 0";
  return {};
}

[[nodiscard]] Rung of_kind(Rung::Kind kind) {
  Rung rung;
  rung.kind = kind;
  return rung;
}

}  // namespace

std::string_view to_string(Rung::Kind kind) noexcept {
  return detail::name_in(kind_names, kind);
}

std::string problem_with(const std::vector<Rung>& ladder) {
  for (std::size_t index = 0; index < ladder.size(); ++index) {
    const Rung& rung = ladder[index];
    if (std::string problem = rung_problem(rung); !problem.empty()) return problem;
    for (std::size_t before = 0; before < index; ++before) {
      if (ladder[before].kind == rung.kind) {
        return fmt::format("FallbackOptions::degrade has {} twice; once is accepted", to_string(rung.kind));
      }
      if (ladder[before].kind > rung.kind && is_answer(ladder[before].kind)) {
        return fmt::format("FallbackOptions::degrade has {} behind {}; answers stand last, `canned` behind `cached`",
                           to_string(rung.kind), to_string(ladder[before].kind));
      }
    }
  }
  return {};
}

namespace degrade {

Rung images() { return of_kind(Rung::Kind::images); }
Rung documents() { return of_kind(Rung::Kind::documents); }
Rung reasoning() { return of_kind(Rung::Kind::reasoning); }
Rung json_schema() { return of_kind(Rung::Kind::json_schema); }
Rung output() { return of_kind(Rung::Kind::output); }

Rung history(HistoryRungOptions options) {
  Rung rung = of_kind(Rung::Kind::history);
  rung.keep_turns = options.keep_turns;
  rung.summarized_by = std::move(options.summarized_by);
  rung.summary_tokens = options.summary_tokens;
  return rung;
}

Rung tools(ToolsRungOptions options) {
  Rung rung = of_kind(Rung::Kind::tools);
  rung.keep_tool_history = options.keep_history;
  return rung;
}

Rung cached(AnswerCache answers, CachedRungOptions options) {
  Rung rung = of_kind(Rung::Kind::cached);
  rung.answers = std::move(answers);
  rung.max_age = options.max_age;
  rung.shared_as = std::move(options.shared_as);
  return rung;
}

Rung canned(std::string text) {
  Rung rung = of_kind(Rung::Kind::canned);
  rung.text = std::move(text);
  return rung;
}

}  // namespace degrade

}  // namespace backstop::inline v0
