#include "schema.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "providers/wire/schema_subset.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr std::array<std::string_view, 14> refused_constraints{
    "minimum", "maximum",  "exclusiveMinimum", "exclusiveMaximum", "multipleOf",    "minLength",     "maxLength",
    "pattern", "minItems", "maxItems",         "uniqueItems",      "minProperties", "maxProperties", "not"};
constexpr std::array<std::string_view, 10> accepted_formats{"date-time", "date", "time", "duration", "email",
                                                            "hostname",  "uri",  "ipv4", "ipv6",     "uuid"};

template <class Names>
[[nodiscard]] bool is_in(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

[[nodiscard]] bool refused_by_anthropic(std::string_view keyword, const nlohmann::ordered_json& value) {
  const bool unknown_format =
      keyword == "format" && value.is_string() && !is_in(accepted_formats, value.get_ref<const std::string&>());
  return unknown_format || is_in(refused_constraints, keyword);
}

}  // namespace

nlohmann::ordered_json anthropic_schema(const nlohmann::ordered_json& schema) {
  return within_subset(schema, {.refuses = refused_by_anthropic, .closes_objects = true});
}

}  // namespace backstop::inline v0::detail
