#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "schema/effort.hpp"
#include "schema/rules.hpp"
#include "schema/utf8.hpp"

namespace backstop::inline v0::detail {
namespace {

using Array = ExactJson::Array;
using Object = ExactJson::Object;

constexpr int deepest_check = 1'500;

[[nodiscard]] std::uint8_t type_of(const ExactJson& value) noexcept {
  if (value.as<bool>() != nullptr) return type_boolean;
  if (const auto* number = value.as<Decimal>()) return number->is_integer() ? type_integer : type_number;
  if (value.as<std::string>() != nullptr) return type_string;
  if (value.as<Array>() != nullptr) return type_array;
  return value.as<Object>() != nullptr ? type_object : type_null;
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

// What they cost beside what they do inside.
constexpr std::size_t steps_of_a_schema = 4;
constexpr std::size_t steps_of_a_search = 4;

/// One check of a value.
class SchemaCheck {
 public:
  explicit SchemaCheck(const std::vector<SchemaNode>& nodes) : nodes_{&nodes} {}

  [[nodiscard]] std::optional<std::string> run(const ExactDocument& document) {
    if (!document.repeated.empty()) return repeated(document.repeated);
    if (fits(0, document.value)) return std::nullopt;
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

  /// Programs that read the JSON do not agree on which of the two counts.
  [[nodiscard]] std::string repeated(const std::vector<std::string>& way) const {
    std::string told;
    for (const std::string& name : way) {
      const bool known = std::any_of(nodes_->begin(), nodes_->end(),
                                     [&](const SchemaNode& node) { return node.find_property(name) != nullptr; });
      told.append("/").append(known ? name : "*");
    }
    return shown_place(told) + " stands twice in its object";
  }

  template <class... Parts>
  [[nodiscard]] bool wrong(fmt::format_string<Parts...> what, Parts&&... parts) {
    if (quiet_ > 0 || !problem_.empty()) return false;
    for (const std::string_view name : place_) problem_.append("/").append(name);
    problem_ = problem_.empty() ? "the value" : shown_place(problem_);
    problem_.append(" ").append(fmt::format(what, std::forward<Parts>(parts)...));
    return false;
  }

  [[nodiscard]] bool fits(Index index, const ExactJson& value) {
    if (!effort_.spend(steps_of_a_schema)) return false;
    if (depth_ >= deepest_check) {
      effort_.left = -1;
      return false;
    }
    ++depth_;
    const bool fits = fits_node((*nodes_)[index], value);
    --depth_;
    return fits && !effort_.is_used_up();
  }
  [[nodiscard]] bool fits_quietly(Index index, const ExactJson& value) {
    const Quietly quietly{*this};
    return fits(index, value);
  }

  [[nodiscard]] bool fits_node(const SchemaNode& node, const ExactJson& value) {
    if (node.never) return wrong("is not allowed");
    const std::uint8_t type = type_of(value);
    if (node.types != 0 && (node.types & type) == 0) {
      return wrong("must be {} and is {}", names_of(node.types), names_of(type));
    }
    if (node.constant != nullptr && !same_value(*node.constant, value, effort_)) {
      return wrong("is not the one accepted value");
    }
    if (node.any_of_values && !node.any_of_values->contains(value, effort_)) {
      return wrong("is none of the {} accepted values", node.values);
    }
    if (const auto* number = value.as<Decimal>(); number != nullptr && !fits_number(node, *number)) return false;
    if (const auto* text = value.as<std::string>(); text != nullptr && !fits_string(node, *text)) return false;
    if (const auto* array = value.as<Array>(); array != nullptr && !fits_array(node, *array)) return false;
    if (const auto* object = value.as<Object>(); object != nullptr && !fits_object(node, *object, value)) return false;
    return fits_combination(node, value);
  }

  [[nodiscard]] bool fits_number(const SchemaNode& node, const Decimal& number) {
    if (!effort_.spend(number.length())) return false;
    if (node.minimum && number < *node.minimum) return wrong("is below the minimum");
    if (node.maximum && number > *node.maximum) return wrong("is above the maximum");
    if (node.above && number <= *node.above) return wrong("is not above its limit");
    if (node.below && number >= *node.below) return wrong("is not below its limit");
    if (node.multiple_of && !number.is_multiple_of(*node.multiple_of)) return wrong("is not a multiple as required");
    return true;
  }

  [[nodiscard]] bool fits_string(const SchemaNode& node, const std::string& text) {
    if (node.min_length || node.max_length) {
      if (!effort_.spend(text.size() / 8)) return false;
      const std::size_t length = count_code_points(text);
      if (node.min_length && length < *node.min_length) return wrong("is shorter than {} characters", *node.min_length);
      if (node.max_length && length > *node.max_length) return wrong("is longer than {} characters", *node.max_length);
    }
    if (node.pattern && !node.pattern->matches(text, effort_)) return wrong("does not match its pattern");
    return true;
  }

  [[nodiscard]] bool fits_array(const SchemaNode& node, const Array& array) {
    if (node.min_items && array.size() < *node.min_items) return wrong("has fewer than {} items", *node.min_items);
    if (node.max_items && array.size() > *node.max_items) return wrong("has more than {} items", *node.max_items);
    for (std::size_t i = 0; i < array.size(); ++i) {
      const bool is_first = i < node.first_items.size();
      if (!is_first && !node.items) break;
      const std::string number = is_first ? fmt::format("{}", i) : "*";
      const At at{*this, number};
      if (!fits(is_first ? node.first_items[i] : *node.items, array[i])) return false;
    }
    if (node.unique_items && ExactJsonSet{array, effort_}.has_equal_values(effort_)) return wrong("has equal items");
    return !node.contains || fits_contains(node, array);
  }

  [[nodiscard]] bool fits_contains(const SchemaNode& node, const Array& array) {
    std::size_t found = 0;
    for (const ExactJson& item : array) {
      found += fits_quietly(*node.contains, item) ? 1U : 0U;
      if (effort_.is_used_up()) return false;
    }
    if (found < node.min_contains) {
      return wrong("has {} items of the kind of which it must have {}", found, node.min_contains);
    }
    if (node.max_contains && found > *node.max_contains) {
      return wrong("has {} items of the kind of which it may have {}", found, *node.max_contains);
    }
    return true;
  }

  [[nodiscard]] bool has(const Object& object, const std::string& name) {
    return effort_.spend(steps_of_a_search) && find_member(object, name) != nullptr;
  }

  /// `value`: the object.
  [[nodiscard]] bool fits_object(const SchemaNode& node, const Object& object, const ExactJson& value) {
    if (node.min_properties && object.size() < *node.min_properties) {
      return wrong("has fewer than {} properties", *node.min_properties);
    }
    if (node.max_properties && object.size() > *node.max_properties) {
      return wrong("has more than {} properties", *node.max_properties);
    }
    for (const std::string& name : node.required) {
      if (!has(object, name)) return wrong("lacks the required property \"{}\"", name);
    }
    for (const auto& [name, others] : node.dependent_required) {
      if (!has(object, name)) continue;
      for (const std::string& other : others) {
        if (!has(object, other)) return wrong("lacks the property \"{}\", which \"{}\" needs", other, name);
      }
    }
    for (const auto& [name, index] : node.dependent_schemas) {
      if (has(object, name) && !fits(index, value)) return false;
    }
    return std::all_of(object.begin(), object.end(),
                       [&](const ExactJsonMember& member) { return fits_property(node, member.name, member.value); });
  }

  [[nodiscard]] bool fits_property(const SchemaNode& node, const std::string& name, const ExactJson& value) {
    if (!effort_.spend(steps_of_a_search)) return false;
    const Index* property = node.find_property(name);
    bool known = property != nullptr;
    if (property != nullptr) {
      const At at{*this, name};
      if (!fits(*property, value)) return false;
    }
    for (const auto& [pattern, index] : node.pattern_properties) {
      if (!pattern.matches(name, effort_)) continue;
      known = true;
      const At at{*this, "*"};
      if (!fits(index, value)) return false;
    }
    if (node.property_names && !fits_quietly(*node.property_names, ExactJson{name})) {
      return wrong("has a property whose name is not allowed");
    }
    if (known || !node.additional_properties) return true;
    if ((*nodes_)[*node.additional_properties].never) return wrong("has a property that the schema does not have");
    const At at{*this, "*"};
    return fits(*node.additional_properties, value);
  }

  [[nodiscard]] bool fits_combination(const SchemaNode& node, const ExactJson& value) {
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

std::optional<std::string> check_rules(const std::vector<SchemaNode>& nodes, const ExactDocument& document) {
  return SchemaCheck{nodes}.run(document);
}

}  // namespace backstop::inline v0::detail
