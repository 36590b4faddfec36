// The checks that go by a JSON Schema.

#include <algorithm>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "backstop/policies/checks.hpp"
#include "policies/check_node.hpp"
#include "schema/schema.hpp"

namespace backstop::inline v0 {
namespace {

using detail::CheckNode;
using detail::Schema;
using detail::Verdict;

/// The validator of a check: the application's, or ours, which keeps the last schemas that it has compiled.
///
/// Thread safety: any number of threads.
class Validator {
 public:
  explicit Validator(SchemaValidator own) : own_{std::move(own)} {}

  /// What is wrong with the schema; empty when nothing, and where the application validates.
  [[nodiscard]] Objection problem_with(std::string_view schema) const {
    if (own_) return std::nullopt;
    const Result<Schema> compiled = schema_of(schema);
    return compiled ? std::nullopt : Objection{compiled.error().message};
  }
  [[nodiscard]] Objection check(std::string_view schema, std::string_view json) const {
    if (own_) return own_(schema, json);
    const Result<Schema> compiled = schema_of(schema);
    return compiled ? compiled->check(json) : Objection{compiled.error().message};
  }

 private:
  [[nodiscard]] Result<Schema> schema_of(std::string_view text) const {
    {
      const std::lock_guard lock{mutex_};
      for (const auto& [known, schema] : kept_) {
        if (known == text) return schema;
      }
    }
    Result<Schema> compiled = Schema::compile(text);
    if (!compiled) return compiled;
    const std::lock_guard lock{mutex_};
    if (kept_.size() >= most_kept) kept_.pop_front();
    kept_.emplace_back(text, *compiled);
    return compiled;
  }

  static constexpr std::size_t most_kept = 64;  // a request may have many tools

  SchemaValidator own_;
  mutable std::mutex mutex_;
  mutable std::deque<std::pair<std::string, Schema>> kept_;
};

constexpr std::string_view any_object = R"({"type": "object"})";

class MatchesSchema final : public CheckNode {
 public:
  explicit MatchesSchema(SchemaOptions options) : schema_{std::move(options.schema)}, validator_{std::move(options.validator)} {
    if (schema_.empty()) return;
    if (const Objection problem = validator_.problem_with(schema_)) {
      throw std::invalid_argument{"matches_schema: the schema cannot be used: " + *problem};
    }
  }

  [[nodiscard]] std::string describe() const override {
    return schema_.empty() ? "matches_schema" : "matches_schema(given)";
  }
  [[nodiscard]] Objection problem_with(const ChatRequest& request) const override {
    if (!schema_.empty()) return std::nullopt;
    const std::string_view schema = schema_for(request);
    if (schema.empty()) return std::nullopt;
    Objection problem = validator_.problem_with(schema);
    if (problem) problem->insert(0, "matches_schema: the schema of `response_format` cannot be used: ");
    return problem;
  }
  [[nodiscard]] Verdict look(const Answer& answer) const override {
    const std::string_view schema = schema_for(answer.request);
    if (schema.empty() || detail::calls_tools(answer.response)) return {};
    Objection problem = validator_.check(schema, answer.response.text());
    if (problem) problem->insert(0, "it does not match the schema: ");
    return {std::move(problem), {}};
  }

 private:
  /// Empty: everything is accepted.
  [[nodiscard]] std::string_view schema_for(const ChatRequest& request) const noexcept {
    if (!schema_.empty()) return schema_;
    if (!request.response_format || request.response_format->type == ResponseFormat::Type::text) return {};
    const bool has_schema = request.response_format->type == ResponseFormat::Type::json_schema;
    return has_schema && !request.response_format->schema.empty() ? std::string_view{request.response_format->schema}
                                                                  : any_object;
  }

  std::string schema_;
  Validator validator_;
};

class ValidToolArguments final : public CheckNode {
 public:
  explicit ValidToolArguments(SchemaValidator validator) : validator_{std::move(validator)} {}

  [[nodiscard]] std::string describe() const override { return "valid_tool_arguments"; }
  [[nodiscard]] Objection problem_with(const ChatRequest& request) const override {
    for (const Tool& tool : request.tools) {
      if (tool.parameters.empty()) continue;
      if (const Objection problem = validator_.problem_with(tool.parameters)) {
        return fmt::format("valid_tool_arguments: the schema of the tool {} cannot be used: {}", tool.name, *problem);
      }
    }
    return std::nullopt;
  }
  [[nodiscard]] Verdict look(const Answer& answer) const override {
    for (const Part& part : answer.response.parts) {
      const auto* call = std::get_if<ToolCall>(&part);
      if (call == nullptr) continue;
      if (Objection problem = problem_of(*call, answer.request.tools)) return {std::move(problem), {}};
    }
    return {};
  }

 private:
  [[nodiscard]] Objection problem_of(const ToolCall& call, const std::vector<Tool>& tools) const {
    const auto tool = std::find_if(tools.begin(), tools.end(), [&](const Tool& one) { return one.name == call.name; });
    if (tool == tools.end()) return "it calls a tool that the request does not have";
    const std::string_view schema = tool->parameters.empty() ? any_object : std::string_view{tool->parameters};
    // No arguments may come as no text.
    const std::string_view arguments = call.arguments.empty() ? std::string_view{"{}"} : std::string_view{call.arguments};
    const Objection problem = validator_.check(schema, arguments);
    if (!problem) return std::nullopt;
    return fmt::format("the arguments of its call of {} do not match the schema: {}", tool->name, *problem);
  }

  Validator validator_;
};

}  // namespace

Check matches_schema(SchemaOptions options) {
  return Check{std::make_shared<const MatchesSchema>(std::move(options))};
}

Check valid_tool_arguments(SchemaValidator validator) {
  return Check{std::make_shared<const ValidToolArguments>(std::move(validator))};
}

}  // namespace backstop::inline v0
