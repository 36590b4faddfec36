#include "backstop/app/tools.hpp"

#include <algorithm>
#include <exception>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "backstop/json.hpp"
#include "json/parse.hpp"
#include "schema/schema.hpp"

namespace backstop::inline v0 {

struct Tools::State {
  std::vector<Tool> list;
  std::vector<ToolFunction> functions;                  // of the tool in the same place
  std::vector<std::optional<detail::Schema>> schemas;  // likewise; empty: no parameters
};

namespace {

/// A stand-in for arguments that are no object: made by the decoders, and by `arguments_to_json`.
[[nodiscard]] bool stands_for_other_text(const nlohmann::ordered_json& arguments) {
  return arguments.size() == 1 && arguments.contains(detail::raw_arguments_key);
}

/// What a function gives, or why it failed.
[[nodiscard]] Result<std::string> outcome_of(const ToolFunction& function, const ToolCall& call,
                                             const std::stop_token& stop) {
  try {
    return function(call, stop);
  } catch (const std::exception& exception) {
    return Error{ErrorKind::server_error, exception.what()};
  } catch (...) {
    return Error{ErrorKind::server_error, "the tool failed"};
  }
}

}  // namespace

Tools::Tools() : state_{std::make_shared<State>()} {}

Tools::Tools(std::initializer_list<CallableTool> tools) : Tools{} {
  for (const CallableTool& tool : tools) add(tool);
}

Tools& Tools::add(CallableTool tool) {
  const std::string& name = tool.tool.name;
  if (name.empty()) throw std::invalid_argument{"a tool needs a name"};
  if (!tool.function) throw std::invalid_argument{fmt::format("the tool {} has no function", name)};
  for (const Tool& other : list()) {
    if (other.name == name) throw std::invalid_argument{fmt::format("there are two tools of the name {}", name)};
  }
  std::optional<detail::Schema> schema;
  if (!tool.tool.parameters.empty()) {
    auto compiled = detail::Schema::compile(tool.tool.parameters);
    if (!compiled) {
      throw std::invalid_argument{fmt::format("the parameters of the tool {}: {}", name, compiled.error().message)};
    }
    schema.emplace(*std::move(compiled));
  }
  if (state_.use_count() > 1) state_ = std::make_shared<State>(*state_);  // a copy keeps what it has
  state_->list.push_back(std::move(tool.tool));
  state_->functions.push_back(std::move(tool.function));
  state_->schemas.push_back(std::move(schema));
  return *this;
}

const std::vector<Tool>& Tools::list() const noexcept { return state_->list; }

ToolResult Tools::call(const ToolCall& call, const std::stop_token& stop) const {
  const auto tool = std::find_if(list().begin(), list().end(), [&](const Tool& one) { return one.name == call.name; });
  if (tool == list().end()) return {call.id, fmt::format("there is no tool of the name {}", call.name), true};
  const auto index = static_cast<std::size_t>(tool - list().begin());
  const nlohmann::ordered_json arguments = arguments_to_json(call.arguments);
  if (stands_for_other_text(arguments) && tool->parameters.find(detail::raw_arguments_key) == std::string::npos) {
    return {call.id, "the arguments are no JSON object", true};
  }
  ToolCall made = call;
  made.arguments = json_text(arguments);
  if (const auto& schema = state_->schemas[index]) {
    // As they came, unless they say nothing: a key that stands twice shows there only.
    const bool as_they_came = call.arguments.find('{') != std::string::npos;
    if (auto objection = schema->check(as_they_came ? call.arguments : made.arguments)) {
      return {call.id, "the arguments: " + *objection, true};
    }
  }
  Result<std::string> outcome = outcome_of(state_->functions[index], made, stop);
  if (outcome) return {call.id, *std::move(outcome), false};
  return {call.id, std::move(outcome.error().message), true};
}

}  // namespace backstop::inline v0
