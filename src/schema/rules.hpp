#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "schema/exact_json.hpp"
#include "schema/pattern.hpp"
#include "schema/schema.hpp"
#include "text/bounded.hpp"

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

/// A place as it is told: so much of it that what is wrong there is still told, too.
[[nodiscard]] inline std::string shown_place(const std::string& place) {
  constexpr std::size_t most = 300;
  return place.size() <= most ? place : bounded(place, most) + "...";
}

/// What is wrong with a schema, and where.
struct SchemaProblem {
  std::string where;
  std::string what;
};

/// What one schema, of the whole or of a part, asks of a value. Schemas inside it go by their place in the list.
struct SchemaNode {
  using Index = std::size_t;
  using Named = std::vector<std::pair<std::string, Index>>;

  bool never = false;      ///< the schema `false`
  std::uint8_t types = 0;  ///< JsonType bits; 0: any
  const ExactJson* constant = nullptr;
  std::optional<ExactJsonSet> any_of_values{};
  std::size_t values = 0;  ///< how many those are

  std::optional<Decimal> minimum{};
  std::optional<Decimal> maximum{};
  std::optional<Decimal> above{};
  std::optional<Decimal> below{};
  std::optional<Decimal> multiple_of{};

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

  Named properties{};  ///< by name
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

  /// Null where `properties` does not have it.
  [[nodiscard]] const Index* find_property(std::string_view name) const noexcept {
    const auto at =
        std::lower_bound(properties.begin(), properties.end(), name,
                         [](const auto& property, std::string_view other) { return property.first < other; });
    return at == properties.end() || at->first != name ? nullptr : &at->second;
  }
};

struct Schema::Rules {
  ExactDocument document;         // whose values the nodes refer to
  std::vector<SchemaNode> nodes;  // the first is the whole
};

/// What is wrong with the value, see `Schema::check`.
[[nodiscard]] std::optional<std::string> check_rules(const std::vector<SchemaNode>& nodes,
                                                     const ExactDocument& document);

/// What no value could be checked against, or none could match: schemas that apply themselves to the same value in a
/// circle, or too many to one value. The place of each node stands beside it.
[[nodiscard]] std::optional<SchemaProblem> problem_of_references(const std::vector<SchemaNode>& nodes,
                                                                 const std::vector<std::string>& places);

}  // namespace backstop::inline v0::detail
