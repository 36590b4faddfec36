#include <algorithm>
#include <stdexcept>
#include <variant>

#include <fmt/format.h>

#include "backstop/routing/rules.hpp"
#include "text/ascii.hpp"

namespace backstop::inline v0 {
namespace {

[[nodiscard]] std::string with_value(std::string_view kind, std::string_view name,
                                     const std::optional<std::string>& value) {
  return value ? fmt::format("{} {} = {}", kind, name, *value) : fmt::format("{} {}", kind, name);
}

}  // namespace

Condition::Condition(std::string description, Test test) {
  if (!test) throw std::invalid_argument{"Condition: the function that tests it is empty"};
  data_ = std::make_shared<const Data>(Data{std::move(description), std::move(test)});
}

bool Condition::holds(const ChatRequest& request, const Needs& needs) const noexcept {
  try {
    return data_->test(request, needs);
  } catch (...) {  // documented
    return false;
  }
}

Condition operator&&(const Condition& a, const Condition& b) {
  return Condition{fmt::format("({} and {})", a.describe(), b.describe()),
                   [a, b](const ChatRequest& request, const Needs& needs) {
                     return a.holds(request, needs) && b.holds(request, needs);
                   }};
}

Condition operator||(const Condition& a, const Condition& b) {
  return Condition{fmt::format("({} or {})", a.describe(), b.describe()),
                   [a, b](const ChatRequest& request, const Needs& needs) {
                     return a.holds(request, needs) || b.holds(request, needs);
                   }};
}

Condition operator!(const Condition& a) {
  return Condition{fmt::format("not {}", a.describe()),
                   [a](const ChatRequest& request, const Needs& needs) { return !a.holds(request, needs); }};
}

Condition input_above(std::int64_t tokens) {
  return Condition{fmt::format("input above {} tokens", tokens),
                   [tokens](const ChatRequest&, const Needs& needs) { return needs.input_tokens > tokens; }};
}

Condition uses_tools() {
  return Condition{"tools", [](const ChatRequest&, const Needs& needs) { return needs.tools; }};
}

Condition offers_tool(std::string name) {
  std::string description = fmt::format("tool {}", name);
  const bool is_prefix = !name.empty() && name.back() == '*';
  if (is_prefix) name.pop_back();
  return Condition{std::move(description), [name = std::move(name), is_prefix](const ChatRequest& request, const Needs&) {
                     return std::any_of(request.tools.begin(), request.tools.end(), [&](const Tool& tool) {
                       return is_prefix ? tool.name.starts_with(name) : tool.name == name;
                     });
                   }};
}

Condition has_images() {
  return Condition{"images", [](const ChatRequest&, const Needs& needs) { return needs.vision; }};
}

Condition has_documents() {
  return Condition{"documents", [](const ChatRequest&, const Needs& needs) { return needs.documents; }};
}

Condition wants_reasoning() {
  return Condition{"reasoning", [](const ChatRequest&, const Needs& needs) { return needs.reasoning; }};
}

Condition reasoning_effort(std::string effort) {
  std::string description = fmt::format("reasoning effort {}", effort);
  return Condition{std::move(description), [effort = std::move(effort)](const ChatRequest& request, const Needs&) {
                     return request.reasoning_effort == effort;
                   }};
}

Condition has_tag(std::string name, std::optional<std::string> value) {
  std::string description = with_value("tag", name, value);
  return Condition{std::move(description),
                   [name = std::move(name), value = std::move(value)](const ChatRequest& request, const Needs&) {
                     const auto& tags = request.metadata.tags;
                     return std::any_of(tags.begin(), tags.end(), [&](const auto& tag) {
                       return tag.first == name && (!value || tag.second == *value);
                     });
                   }};
}

Condition user_is(std::string user_id) {
  std::string description = fmt::format("user {}", user_id);
  return Condition{std::move(description), [user_id = std::move(user_id)](const ChatRequest& request, const Needs&) {
                     return request.metadata.user_id == user_id;
                   }};
}

Condition has_header(std::string name, std::optional<std::string> value) {
  std::string description = with_value("header", name, value);
  return Condition{std::move(description),
                   [name = std::move(name), value = std::move(value)](const ChatRequest& request, const Needs&) {
                     return std::any_of(request.headers.begin(), request.headers.end(), [&](const Header& header) {
                       return detail::equal_ignoring_case(header.first, name) && (!value || header.second == *value);
                     });
                   }};
}

Condition is_background() {
  return Condition{"background", [scenario = has_tag("scenario", "background")](const ChatRequest& request,
                                                                               const Needs& needs) {
                     return scenario.holds(request, needs);
                   }};
}

Condition when(std::string description, std::function<bool(const ChatRequest&)> test) {
  if (!test) throw std::invalid_argument{"when: the function is empty"};
  return Condition{std::move(description),
                   [test = std::move(test)](const ChatRequest& request, const Needs&) { return test(request); }};
}

}  // namespace backstop::inline v0
