#include "schema_subset.hpp"

#include <cstddef>
#include <string>

#include <nlohmann/json.hpp>

namespace backstop::inline v0::detail {
namespace {

using Json = nlohmann::ordered_json;

class SubsetWriter {
 public:
  explicit SubsetWriter(const SchemaSubset& subset) noexcept : subset_{&subset} {}

  [[nodiscard]] Json reduced(const Json& schema, std::size_t depth) const {
    constexpr std::size_t deepest_schema = 200;
    if (!schema.is_object() || depth > deepest_schema) return schema;
    Json out = Json::object();
    const bool is_reference = schema.contains("$ref");  // takes no siblings but definitions
    std::string moved;
    for (const auto& [key, value] : schema.items()) {
      const bool defines = key == "$defs" || key == "definitions";
      if (is_reference && key != "$ref" && !defines) continue;
      if (key == "const" && subset_->const_as_enum) {
        out["enum"] = Json::array({value});
      } else if (subset_->refuses(key, value)) {
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
    if (is_object_schema && subset_->closes_objects) out["additionalProperties"] = false;
    if (!moved.empty()) describe(out, moved);
    return out;
  }

 private:
  /// The values of a keyword that holds schemas by name, such as `properties`.
  [[nodiscard]] Json reduced_members(const Json& members, std::size_t depth) const {
    Json out = Json::object();
    for (const auto& [name, schema] : members.items()) out[name] = reduced(schema, depth);
    return out;
  }
  [[nodiscard]] Json reduced_list(const Json& list, std::size_t depth) const {
    Json out = Json::array();
    for (const Json& schema : list) out.push_back(reduced(schema, depth));
    return out;
  }
  static void describe(Json& schema, const std::string& moved) {
    const auto description = schema.find("description");
    const bool has_text = description != schema.end() && description->is_string();
    schema["description"] = has_text ? description->get<std::string>() + " (" + moved + ")" : moved;
  }

  const SchemaSubset* subset_;
};

}  // namespace

Json within_subset(const Json& schema, const SchemaSubset& subset) { return SubsetWriter{subset}.reduced(schema, 0); }

}  // namespace backstop::inline v0::detail
