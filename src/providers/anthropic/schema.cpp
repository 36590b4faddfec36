#include "schema.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace backstop::inline v0::detail {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 14> refused_constraints{
    "minimum", "maximum",  "exclusiveMinimum", "exclusiveMaximum", "multipleOf",    "minLength",     "maxLength",
    "pattern", "minItems", "maxItems",         "uniqueItems",      "minProperties", "maxProperties", "not"};
constexpr std::array<std::string_view, 10> accepted_formats{"date-time", "date", "time", "duration", "email",
                                                            "hostname",  "uri",  "ipv4", "ipv6",     "uuid"};
constexpr std::size_t deepest = 200;

template <class Names>
[[nodiscard]] bool is_in(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

[[nodiscard]] Json reduced(const Json& schema, std::size_t depth);

/// The values of a keyword that holds schemas by name, such as `properties`.
[[nodiscard]] Json reduced_members(const Json& members, std::size_t depth) {
  Json out = Json::object();
  for (const auto& [name, schema] : members.items()) out[name] = reduced(schema, depth);
  return out;
}

[[nodiscard]] Json reduced_list(const Json& list, std::size_t depth) {
  Json out = Json::array();
  for (const Json& schema : list) out.push_back(reduced(schema, depth));
  return out;
}

[[nodiscard]] Json reduced(const Json& schema, std::size_t depth) {
  if (!schema.is_object() || depth > deepest) return schema;

  Json out = Json::object();
  const bool is_reference = schema.contains("$ref");  // takes no siblings but definitions
  std::string moved;
  for (const auto& [key, value] : schema.items()) {
    const bool refused = is_in(refused_constraints, key) ||
                         (key == "format" && value.is_string() && !is_in(accepted_formats, value.get<std::string>()));
    const bool defines = key == "$defs" || key == "definitions";
    if (is_reference && key != "$ref" && !defines) continue;
    if (refused) {
      moved += (moved.empty() ? "" : ", ") + key + ": " + value.dump(-1, ' ', false, Json::error_handler_t::replace);
    } else if (value.is_object() && (key == "properties" || defines)) {
      out[key] = reduced_members(value, depth + 1);
    } else if (value.is_array() && (key == "anyOf" || key == "allOf" || key == "oneOf" || key == "prefixItems")) {
      out[key == "oneOf" ? "anyOf" : key] = reduced_list(value, depth + 1);
    } else if (key == "items") {
      out[key] = reduced(value, depth + 1);
    } else {
      out[key] = value;
    }
  }
  const bool is_object_schema = out.contains("properties") || (out.contains("type") && out["type"] == "object");
  if (is_object_schema) out["additionalProperties"] = false;
  if (!moved.empty()) {
    const auto description = out.find("description");
    const bool has_text = description != out.end() && description->is_string();
    out["description"] = has_text ? description->get<std::string>() + " (" + moved + ")" : moved;
  }
  return out;
}

}  // namespace

Json anthropic_schema(const Json& schema) { return reduced(schema, 0); }

}  // namespace backstop::inline v0::detail
