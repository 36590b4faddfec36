// Only in builds with BACKSTOP_WITH_JSON_SCHEMA_VALIDATOR.

#include "backstop/policies/json_schema_validator.hpp"

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json-schema.hpp>

namespace backstop::inline v0 {
namespace {

/// Keeps the place of the first fault.
class FirstFault final : public nlohmann::json_schema::error_handler {
 public:
  void error(const nlohmann::json::json_pointer& place, const nlohmann::json&, const std::string&) override {
    if (!place_) place_ = place;
  }
  [[nodiscard]] const std::optional<nlohmann::json::json_pointer>& place() const noexcept { return place_; }

 private:
  std::optional<nlohmann::json::json_pointer> place_;
};

[[nodiscard]] bool is_index(std::string_view token) noexcept {
  return !token.empty() && token.find_first_not_of("0123456789") == std::string_view::npos;
}

/// With a star for what is only the answer's: names that the schema does not have.
[[nodiscard]] std::string path_of(nlohmann::json::json_pointer place, std::string_view schema) {
  std::string path;
  for (; !place.empty(); place.pop_back()) {
    const std::string& token = place.back();
    const bool is_known = is_index(token) || schema.find(fmt::format("\"{}\"", token)) != std::string_view::npos;
    path.insert(0, "/" + (is_known ? token : std::string{"*"}));
  }
  return path.empty() ? "its top" : path;
}

[[nodiscard]] Objection objection_by_package(std::string_view schema, std::string_view json) {
  const nlohmann::json answer = nlohmann::json::parse(json, nullptr, false);
  if (answer.is_discarded()) return "it is not JSON";
  nlohmann::json_schema::json_validator validator;
  try {
    validator.set_root_schema(nlohmann::json::parse(schema));
  } catch (const std::exception& error) {
    throw std::invalid_argument{fmt::format("the schema cannot be used: {}", error.what())};
  }
  FirstFault fault;
  validator.validate(answer, fault);
  if (!fault.place()) return std::nullopt;
  return fmt::format("it does not match the schema at {}", path_of(*fault.place(), schema));
}

}  // namespace

SchemaValidator json_schema_validator() { return objection_by_package; }

}  // namespace backstop::inline v0
