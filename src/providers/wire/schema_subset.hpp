#pragma once

#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace backstop::inline v0::detail {

/// What a provider takes of JSON Schema.
struct SchemaSubset {
  /// Whether it refuses the keyword with that value. What is refused moves into the description, for the model to read.
  bool (*refuses)(std::string_view keyword, const nlohmann::ordered_json& value);
  /// Objects must say that they have no other properties.
  bool closes_objects = false;
  /// `const` is written as an `enum` of one.
  bool const_as_enum = false;
};

/// The schema with what the subset has; `oneOf` becomes `anyOf`, and a `$ref` keeps definitions as its only siblings.
[[nodiscard]] nlohmann::ordered_json within_subset(const nlohmann::ordered_json& schema, const SchemaSubset& subset);

}  // namespace backstop::inline v0::detail
