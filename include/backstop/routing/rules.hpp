#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backstop/chat/request.hpp"
#include "backstop/export.hpp"
#include "backstop/handover/needs.hpp"
#include "backstop/routing/strategy.hpp"

namespace backstop::inline v0 {

/// Something that holds of a request or does not, for `rules`: `wants_reasoning() && !input_above(60'000)`.
///
/// A value handle. Thread safety: const access from many threads. Errors: what throws does not hold.
class BACKSTOP_EXPORT Condition {
 public:
  /// `needs` has what the request asks of a target, and its estimated input tokens.
  using Test = std::function<bool(const ChatRequest& request, const Needs& needs)>;

  /// `description` is what `describe()` of the client shows. Throws std::invalid_argument where `test` is empty.
  Condition(std::string description, Test test);

  [[nodiscard]] bool holds(const ChatRequest& request, const Needs& needs) const noexcept;
  [[nodiscard]] const std::string& describe() const noexcept { return data_->description; }

  friend BACKSTOP_EXPORT Condition operator&&(const Condition& a, const Condition& b);
  friend BACKSTOP_EXPORT Condition operator||(const Condition& a, const Condition& b);
  friend BACKSTOP_EXPORT Condition operator!(const Condition& a);

 private:
  struct Data {
    std::string description;
    Test test;
  };
  std::shared_ptr<const Data> data_;
};

/// The estimated input is longer than that (`Needs::input_tokens`).
[[nodiscard]] BACKSTOP_EXPORT Condition input_above(std::int64_t tokens);
/// Tools are offered, or the conversation has tool calls or results.
[[nodiscard]] BACKSTOP_EXPORT Condition uses_tools();
/// A tool of that name is offered; with a `*` at the end: one whose name begins so.
[[nodiscard]] BACKSTOP_EXPORT Condition offers_tool(std::string name);
[[nodiscard]] BACKSTOP_EXPORT Condition has_images();
[[nodiscard]] BACKSTOP_EXPORT Condition has_documents();
/// Reasoning of effort `low` or more is asked for.
[[nodiscard]] BACKSTOP_EXPORT Condition wants_reasoning();
/// Of exactly that effort.
[[nodiscard]] BACKSTOP_EXPORT Condition reasoning_effort(std::string effort);
/// The metadata has a tag of that name, with that value where one is given.
[[nodiscard]] BACKSTOP_EXPORT Condition has_tag(std::string name, std::optional<std::string> value = {});
[[nodiscard]] BACKSTOP_EXPORT Condition user_is(std::string user_id);
/// The application's request has a header of that name (ASCII case does not matter), with that value where one is
/// given.
[[nodiscard]] BACKSTOP_EXPORT Condition has_header(std::string name, std::optional<std::string> value = {});
/// What an agent does on the side, such as naming a conversation: the tag `scenario` is `background`. A request does
/// not name a model, by which some routers tell.
[[nodiscard]] BACKSTOP_EXPORT Condition is_background();
/// The application's own.
[[nodiscard]] BACKSTOP_EXPORT Condition when(std::string description, std::function<bool(const ChatRequest&)> test);

/// Sends a request to a candidate.
struct Rule {
  Condition when;
  std::size_t branch;  ///< place of the candidate in the client's list
};

/// By what the request is: the branch of the first rule that holds is asked first, then those of further rules that
/// hold, then the candidates that no rule names, then the rest.
///
/// Throws std::invalid_argument for no rules; the client does where a branch is none of its candidates.
///
/// Example: `FallbackClient agent{{background, thinker, usual}, {.strategy = rules({{is_background(), 0},
///           {wants_reasoning(), 1}})}};`
[[nodiscard]] BACKSTOP_EXPORT Strategy rules(std::vector<Rule> rules);

/// Where what coding agents send goes; each is a place in the client's list. What is not set is not looked for.
struct AgentScenarios {
  std::size_t usual = 0;
  std::optional<std::size_t> long_context{};  ///< the estimated input is above `long_context_above`
  std::optional<std::size_t> background{};    ///< `is_background()`
  std::optional<std::size_t> web_search{};    ///< a tool is offered whose name begins with `web_search`
  std::optional<std::size_t> think{};         ///< `wants_reasoning()`
  std::optional<std::size_t> image{};         ///< the last message that is not the model's has an image
  std::int64_t long_context_above = 60'000;   ///< tokens
};

/// Rules for coding agents. Of several scenarios that hold the first counts, in this order: long context, background,
/// web search, think, image; those behind it are asked next, then `usual`. The tag `scenario` with the name of one of
/// them that is set (`long_context`, `background`, `web_search`, `think`, `image`) counts before all.
///
/// Throws std::invalid_argument for a threshold that is not above 0, and when nothing but `usual` is set; the client
/// does where a place is none of its candidates.
///
/// Example: `{.strategy = agent_scenarios({.usual = 0, .background = 1, .think = 2})}`
[[nodiscard]] BACKSTOP_EXPORT Strategy agent_scenarios(AgentScenarios scenarios);

}  // namespace backstop::inline v0
