#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "schema/pattern.hpp"
#include "schema/schema.hpp"

namespace backstop::inline v0::detail {

/// The types of JSON, as bits.
enum JsonType : std::uint8_t {
  type_null = 1,
  type_boolean = 2,
  type_integer = 4,
  type_number = 8,
  type_string = 16,
  type_array = 32,
  type_object = 64,
};

/// What one schema, of the whole or of a part, asks of a value. Schemas inside it go by their place in the list.
struct SchemaNode {
  using Index = std::size_t;
  using Named = std::vector<std::pair<std::string, Index>>;

  bool never = false;  ///< the schema `false`
  std::uint8_t types = 0;  ///< JsonType bits; 0: any
  std::optional<nlohmann::json> constant{};
  std::optional<std::vector<nlohmann::json>> any_of_values{};

  std::optional<long double> minimum{};
  std::optional<long double> maximum{};
  std::optional<long double> above{};
  std::optional<long double> below{};
  std::optional<long double> multiple_of{};

  std::optional<std::size_t> min_length{};
  std::optional<std::size_t> max_length{};
  std::optional<Pattern> pattern{};

  std::vector<Index> first_items{};
  std::optional<Index> items{};  ///< behind the first ones
  std::optional<std::size_t> min_items{};
  std::optional<std::size_t> max_items{};
  bool unique_items = false;
  std::optional<Index> contains{};
  std::size_t min_contains = 1;
  std::optional<std::size_t> max_contains{};

  Named properties{};
  std::vector<std::pair<Pattern, Index>> pattern_properties{};
  std::optional<Index> additional_properties{};
  std::optional<Index> property_names{};
  std::vector<std::string> required{};
  std::vector<std::pair<std::string, std::vector<std::string>>> dependent_required{};
  Named dependent_schemas{};
  std::optional<std::size_t> min_properties{};
  std::optional<std::size_t> max_properties{};

  std::optional<Index> reference{};
  std::vector<Index> all_of{};
  std::vector<Index> any_of{};
  std::vector<Index> one_of{};
  std::optional<Index> negated{};
  std::optional<Index> condition{};
  std::optional<Index> when_true{};
  std::optional<Index> when_false{};
};

struct Schema::Rules {
  std::vector<SchemaNode> nodes;  // the first is the whole
};

/// What is wrong with the value, see `Schema::check`.
[[nodiscard]] std::optional<std::string> check_rules(const std::vector<SchemaNode>& nodes, const nlohmann::json& value);

}  // namespace backstop::inline v0::detail
