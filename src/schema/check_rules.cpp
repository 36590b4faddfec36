#include <algorithm>
#include <cmath>
#include <string_view>

#include <fmt/format.h>

#include "schema/effort.hpp"
#include "schema/rules.hpp"
#include "schema/utf8.hpp"

namespace backstop::inline v0::detail {
namespace {

using nlohmann::json;

constexpr int deepest_check = 1'500;

[[nodiscard]] std::uint8_t type_of(const json& value) noexcept {
  switch (value.type()) {
    case json::value_t::null: return type_null;
    case json::value_t::boolean: return type_boolean;
    case json::value_t::number_integer:
    case json::value_t::number_unsigned: return type_integer;
    case json::value_t::number_float: {
      const double number = value.get<double>();
      return std::isfinite(number) && number == std::trunc(number) ? type_integer : type_number;
    }
    case json::value_t::string: return type_string;
    case json::value_t::array: return type_array;
    default: return type_object;
  }
}

[[nodiscard]] std::string names_of(std::uint8_t types) {
  std::string text;
  const auto add = [&](std::uint8_t bit, std::string_view name) {
    if ((types & bit) != 0) text.append(text.empty() ? "" : " or ").append(name);
  };
  add(type_null, "null");
  add(type_boolean, "a boolean");
  add((types & type_number) != 0 ? type_number : type_integer, (types & type_number) != 0 ? "a number" : "an integer");
  add(type_string, "a string");
  add(type_array, "an array");
  add(type_object, "an object");
  return text;
}

[[nodiscard]] bool is_multiple(long double value, long double of) noexcept {
  const long double times = value / of;
  if (!std::isfinite(times)) return false;
  return std::abs(times - std::round(times)) <= 1e-9L * std::max(1.0L, std::abs(times) * 1e-6L);
}

[[nodiscard]] bool has_equal_items(const json& array) {
  std::vector<const json*> items;
  for (const json& item : array) items.push_back(&item);
  std::sort(items.begin(), items.end(), [](const json* a, const json* b) { return *a < *b; });
  return std::adjacent_find(items.begin(), items.end(), [](const json* a, const json* b) { return *a == *b; }) !=
         items.end();
}

/// One check of a value.
class SchemaCheck {
 public:
  explicit SchemaCheck(const std::vector<SchemaNode>& nodes) : nodes_{&nodes} {}

  [[nodiscard]] std::optional<std::string> run(const json& value) {
    if (fits(0, value)) return std::nullopt;
    if (effort_.is_used_up()) return "it takes too long to be checked against the schema";
    return problem_;
  }

 private:
  using Index = SchemaNode::Index;

  /// Where the value stands, for as long as it is looked at. A name that the schema does not have is `*`.
  class At {
   public:
    At(SchemaCheck& check, std::string_view name) : check_{&check} { check.place_.emplace_back(name); }
    ~At() { check_->place_.pop_back(); }
    At(const At&) = delete;
    At& operator=(const At&) = delete;

   private:
    SchemaCheck* check_;
  };

  /// Meanwhile nothing is said of what does not match.
  class Quietly {
   public:
    explicit Quietly(SchemaCheck& check) : check_{&check} { ++check.quiet_; }
    ~Quietly() { --check_->quiet_; }
    Quietly(const Quietly&) = delete;
    Quietly& operator=(const Quietly&) = delete;

   private:
    SchemaCheck* check_;
  };

  template <class... Parts>
  [[nodiscard]] bool wrong(fmt::format_string<Parts...> what, Parts&&... parts) {
    if (quiet_ > 0 || !problem_.empty()) return false;
    for (const std::string_view name : place_) problem_.append("/").append(name);
    if (problem_.empty()) problem_ = "the value";
    problem_.append(" ").append(fmt::format(what, std::forward<Parts>(parts)...));
    return false;
  }

  [[nodiscard]] bool fits(Index index, const json& value) {
    if (!effort_.spend(1)) return false;
    if (depth_ >= deepest_check) {
      effort_.left = -1;
      return false;
    }
    ++depth_;
    const bool fits = fits_node((*nodes_)[index], value);
    --depth_;
    return fits && !effort_.is_used_up();
  }
  [[nodiscard]] bool fits_quietly(Index index, const json& value) {
    const Quietly quietly{*this};
    return fits(index, value);
  }

  [[nodiscard]] bool fits_node(const SchemaNode& node, const json& value) {
    if (node.never) return wrong("is not allowed");
    const std::uint8_t type = type_of(value);
    if (node.types != 0 && (node.types & type) == 0) {
      return wrong("must be {} and is {}", names_of(node.types), names_of(type));
    }
    if (node.constant && value != *node.constant) return wrong("is not the one accepted value");
    if (node.any_of_values) {
      const auto& values = *node.any_of_values;
      const bool known = std::find(values.begin(), values.end(), value) != values.end();
      if (!known) return wrong("is none of the {} accepted values", values.size());
    }
    if (value.is_number() && !fits_number(node, value.get<long double>())) return false;
    if (value.is_string() && !fits_string(node, value.get_ref<const std::string&>())) return false;
    if (value.is_array() && !fits_array(node, value)) return false;
    if (value.is_object() && !fits_object(node, value)) return false;
    return fits_combination(node, value);
  }

  [[nodiscard]] bool fits_number(const SchemaNode& node, long double number) {
    if (node.minimum && number < *node.minimum) return wrong("is below the minimum");
    if (node.maximum && number > *node.maximum) return wrong("is above the maximum");
    if (node.above && number <= *node.above) return wrong("is not above its limit");
    if (node.below && number >= *node.below) return wrong("is not below its limit");
    if (node.multiple_of && !is_multiple(number, *node.multiple_of)) return wrong("is not a multiple as required");
    return true;
  }

  [[nodiscard]] bool fits_string(const SchemaNode& node, const std::string& text) {
    if (node.min_length || node.max_length) {
      const std::size_t length = count_code_points(text);
      if (node.min_length && length < *node.min_length) return wrong("is shorter than {} characters", *node.min_length);
      if (node.max_length && length > *node.max_length) return wrong("is longer than {} characters", *node.max_length);
    }
    if (node.pattern && !node.pattern->matches(text, effort_)) return wrong("does not match its pattern");
    return true;
  }

  [[nodiscard]] bool fits_array(const SchemaNode& node, const json& array) {
    if (node.min_items && array.size() < *node.min_items) return wrong("has fewer than {} items", *node.min_items);
    if (node.max_items && array.size() > *node.max_items) return wrong("has more than {} items", *node.max_items);
    for (std::size_t i = 0; i < array.size(); ++i) {
      const bool is_first = i < node.first_items.size();
      if (!is_first && !node.items) break;
      const std::string number = is_first ? fmt::format("{}", i) : "*";
      const At at{*this, number};
      if (!fits(is_first ? node.first_items[i] : *node.items, array[i])) return false;
    }
    if (node.unique_items) {
      if (!effort_.spend(static_cast<std::int64_t>(array.size()) * 8)) return false;
      if (has_equal_items(array)) return wrong("has equal items");
    }
    return !node.contains || fits_contains(node, array);
  }

  [[nodiscard]] bool fits_contains(const SchemaNode& node, const json& array) {
    std::size_t found = 0;
    for (const json& item : array) found += fits_quietly(*node.contains, item) ? 1U : 0U;
    if (found < node.min_contains) return wrong("has {} items of the kind of which it must have {}", found, node.min_contains);
    if (node.max_contains && found > *node.max_contains) {
      return wrong("has {} items of the kind of which it may have {}", found, *node.max_contains);
    }
    return true;
  }

  [[nodiscard]] bool fits_object(const SchemaNode& node, const json& object) {
    if (node.min_properties && object.size() < *node.min_properties) {
      return wrong("has fewer than {} properties", *node.min_properties);
    }
    if (node.max_properties && object.size() > *node.max_properties) {
      return wrong("has more than {} properties", *node.max_properties);
    }
    for (const std::string& name : node.required) {
      if (!object.contains(name)) return wrong("lacks the required property \"{}\"", name);
    }
    for (const auto& [name, others] : node.dependent_required) {
      if (!object.contains(name)) continue;
      for (const std::string& other : others) {
        if (!object.contains(other)) return wrong("lacks the property \"{}\", which \"{}\" needs", other, name);
      }
    }
    for (const auto& [name, index] : node.dependent_schemas) {
      if (object.contains(name) && !fits(index, object)) return false;
    }
    for (const auto& [name, value] : object.items()) {
      if (!fits_property(node, name, value)) return false;
    }
    return true;
  }

  [[nodiscard]] bool fits_property(const SchemaNode& node, const std::string& name, const json& value) {
    bool known = false;
    for (const auto& [property, index] : node.properties) {
      if (property != name) continue;
      known = true;
      const At at{*this, property};
      if (!fits(index, value)) return false;
    }
    for (const auto& [pattern, index] : node.pattern_properties) {
      if (!pattern.matches(name, effort_)) continue;
      known = true;
      const At at{*this, "*"};
      if (!fits(index, value)) return false;
    }
    if (node.property_names && !fits_quietly(*node.property_names, json(name))) {
      return wrong("has a property whose name is not allowed");
    }
    if (known || !node.additional_properties) return true;
    if ((*nodes_)[*node.additional_properties].never) return wrong("has a property that the schema does not have");
    const At at{*this, "*"};
    return fits(*node.additional_properties, value);
  }

  [[nodiscard]] bool fits_combination(const SchemaNode& node, const json& value) {
    if (node.reference && !fits(*node.reference, value)) return false;
    for (const Index index : node.all_of) {
      if (!fits(index, value)) return false;
    }
    const auto one_fits = [&](Index index) { return fits_quietly(index, value); };
    if (!node.any_of.empty() && std::none_of(node.any_of.begin(), node.any_of.end(), one_fits)) {
      return wrong("matches none of {} alternatives", node.any_of.size());
    }
    if (!node.one_of.empty()) {
      const auto fitting = std::count_if(node.one_of.begin(), node.one_of.end(), one_fits);
      if (fitting != 1) return wrong("matches {} of {} alternatives and must match one", fitting, node.one_of.size());
    }
    if (node.negated && fits_quietly(*node.negated, value)) return wrong("matches what it must not");
    if (!node.condition) return true;
    const std::optional<Index> then = fits_quietly(*node.condition, value) ? node.when_true : node.when_false;
    return !then || fits(*then, value);
  }

  const std::vector<SchemaNode>* nodes_;
  Effort effort_;
  int depth_ = 0;
  int quiet_ = 0;
  std::vector<std::string_view> place_;
  std::string problem_;
};

}  // namespace

std::optional<std::string> check_rules(const std::vector<SchemaNode>& nodes, const json& value) {
  return SchemaCheck{nodes}.run(value);
}

}  // namespace backstop::inline v0::detail
