// The checks that look at the finish reason and the text alone.

#include <algorithm>
#include <array>
#include <limits>
#include <stdexcept>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "backstop/policies/checks.hpp"
#include "policies/check_node.hpp"
#include "schema/utf8.hpp"
#include "text/ascii.hpp"

namespace backstop::inline v0 {
namespace {

using detail::CheckNode;
using detail::Verdict;

/// A check that is one function.
class Looking final : public CheckNode {
 public:
  Looking(std::string name, std::function<Objection(const Answer&)> look) : name_{std::move(name)}, look_{std::move(look)} {}

  [[nodiscard]] std::string describe() const override { return name_; }
  [[nodiscard]] Verdict look(const Answer& answer) const override { return {look_(answer), {}}; }

 private:
  std::string name_;
  std::function<Objection(const Answer&)> look_;
};

[[nodiscard]] Check looking(std::string name, std::function<Objection(const Answer&)> look) {
  return Check{std::make_shared<const Looking>(std::move(name), std::move(look))};
}

[[nodiscard]] Objection cut_by(const Answer& answer) {
  switch (answer.response.finish_reason.value_or(FinishReason::stop)) {
    case FinishReason::length: return "the output limit has cut it";
    case FinishReason::context_full: return "the context window has cut it";
    case FinishReason::content_filter: return "a filter or a refusal has ended it";
    case FinishReason::paused: return "the model has paused";
    default: return std::nullopt;
  }
}

// How models refuse, in lower case; what OpenAI's and Anthropic's models say most.
constexpr std::array<std::string_view, 12> refusals{
    "i'm sorry, but i can", "i am sorry, but i can", "sorry, but i can't", "i can't assist",  "i cannot assist",
    "i can't help with",    "i cannot help with",    "i'm unable to",      "i am unable to",  "i'm not able to",
    "i won't be able to",   "as an ai language model"};

/// The beginning of the text in lower case, typographic apostrophes made plain.
[[nodiscard]] std::string plain_beginning(std::string_view text) {
  constexpr std::string_view apostrophe = "\xE2\x80\x99";
  constexpr std::size_t enough = 100;
  text = detail::trim(text);
  std::string plain;
  while (!text.empty() && plain.size() < enough) {
    const bool is_apostrophe = text.starts_with(apostrophe);
    plain += is_apostrophe ? '\'' : text.front();
    text.remove_prefix(is_apostrophe ? apostrophe.size() : 1);
  }
  return detail::lower_case(plain);
}

[[nodiscard]] Objection refused(const Answer& answer) {
  if (answer.response.finish_reason == FinishReason::content_filter) return "a filter or a refusal has ended it";
  const std::string beginning = plain_beginning(answer.response.text());
  const bool refuses = std::any_of(refusals.begin(), refusals.end(),
                                   [&](std::string_view phrase) { return beginning.starts_with(phrase); });
  return refuses ? Objection{"it begins as a refusal does"} : std::nullopt;
}

[[nodiscard]] Objection empty(const Answer& answer) {
  if (detail::calls_tools(answer.response)) return std::nullopt;
  const std::string text = answer.response.text();
  return detail::trim(text).empty() ? Objection{"it is empty"} : std::nullopt;
}

}  // namespace

Check finished() { return looking("finished", cut_by); }

Check not_refused() { return looking("not_refused", refused); }

Check not_empty() { return looking("not_empty", empty); }

Check length_between(std::size_t min, std::size_t max) {
  if (max < min) throw std::invalid_argument{fmt::format("length_between: max is {}, below min, which is {}", max, min)};
  const bool bounded = max != std::numeric_limits<std::size_t>::max();
  std::string name = bounded ? fmt::format("length({} to {})", min, max) : fmt::format("length(at least {})", min);
  return looking(std::move(name), [min, max](const Answer& answer) -> Objection {
    if (detail::calls_tools(answer.response)) return std::nullopt;
    const std::size_t length = detail::count_code_points(answer.response.text());
    if (length < min) return fmt::format("it has {} characters and must have at least {}", length, min);
    if (length > max) return fmt::format("it has {} characters and must have at most {}", length, max);
    return std::nullopt;
  });
}

Check one_of_labels(std::vector<std::string> labels) {
  if (labels.empty()) throw std::invalid_argument{"one_of_labels: the list is empty; at least one label is needed"};
  std::string names;
  for (const std::string& label : labels) names += fmt::format("{}\"{}\"", names.empty() ? "" : ", ", label);
  std::string objection = "it is none of " + names;
  std::string description = "one_of(" + names + ")";
  return looking(std::move(description), [labels = std::move(labels), objection = std::move(objection)](
                                             const Answer& answer) -> Objection {
    if (detail::calls_tools(answer.response)) return std::nullopt;
    const std::string text = answer.response.text();
    const bool known = std::find(labels.begin(), labels.end(), detail::trim(text)) != labels.end();
    return known ? std::nullopt : Objection{objection};
  });
}

Check satisfies(std::string name, std::function<bool(const Answer&)> accepts) {
  if (!accepts) throw std::invalid_argument{"satisfies: the function is null"};
  return satisfies(name, std::function<Objection(const Answer&)>{[name, accepts = std::move(accepts)](const Answer& answer) {
                     return accepts(answer) ? std::nullopt : Objection{"it does not satisfy \"" + name + "\""};
                   }});
}

Check satisfies(std::string name, std::function<Objection(const Answer&)> objection) {
  if (name.empty()) throw std::invalid_argument{"satisfies: the name must not be empty"};
  if (!objection) throw std::invalid_argument{"satisfies: the function is null"};
  return looking(std::move(name), std::move(objection));
}

}  // namespace backstop::inline v0
