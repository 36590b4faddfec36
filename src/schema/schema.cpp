#include "schema/schema.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "schema/rules.hpp"
#include "text/bounded.hpp"

namespace backstop::inline v0::detail {
namespace {

using Array = ExactJson::Array;
using Object = ExactJson::Object;

struct TypeName {
  std::string_view name;
  std::uint8_t bits;
};

constexpr std::array type_names{TypeName{"null", type_null},       TypeName{"boolean", type_boolean},
                                TypeName{"integer", type_integer}, TypeName{"number", type_number | type_integer},
                                TypeName{"string", type_string},   TypeName{"array", type_array},
                                TypeName{"object", type_object}};

/// The place of a member behind a JSON pointer.
[[nodiscard]] std::string place_in(const std::string& where, std::string_view key) {
  std::string place = where + '/';
  for (const char letter : key) {
    if (letter == '~') {
      place += "~0";
    } else if (letter == '/') {
      place += "~1";
    } else {
      place += letter;
    }
  }
  return place;
}

/// Without the %-escapes of an address.
[[nodiscard]] std::string unescaped(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string digits{text[i] == '%' ? text.substr(i + 1, 2) : ""};
    const bool is_escape =
        digits.size() == 2 && digits.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
    plain += is_escape ? static_cast<char>(std::stoi(digits, nullptr, 16)) : text[i];
    i += is_escape ? 2 : 0;
  }
  return plain;
}

/// A step of a JSON pointer without its escapes.
[[nodiscard]] std::string step_of(std::string_view text) {
  std::string step;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_escape = text[i] == '~' && i + 1 < text.size() && (text[i + 1] == '0' || text[i + 1] == '1');
    step += !is_escape ? text[i] : text[i + 1] == '0' ? '~' : '/';
    i += is_escape ? 1 : 0;
  }
  return step;
}

/// Null where there is nothing. RFC 6901.
[[nodiscard]] const ExactJson* find_place(const ExactJson& document, std::string_view pointer) {
  const ExactJson* at = &document;
  while (at != nullptr && !pointer.empty()) {
    if (pointer.front() != '/') return nullptr;
    pointer.remove_prefix(1);
    const std::string step = step_of(pointer.substr(0, pointer.find('/')));
    pointer.remove_prefix(std::min(pointer.find('/'), pointer.size()));
    if (const auto* object = at->as<Object>()) {
      at = find_member(*object, step);
    } else if (const auto* array = at->as<Array>()) {
      const bool is_number =
          !step.empty() && step.size() < 10 && step.find_first_not_of("0123456789") == std::string::npos;
      const bool is_plain = is_number && (step.size() == 1 || step.front() != '0');
      const std::size_t index = is_plain ? std::stoul(step) : array->size();
      at = index < array->size() ? &(*array)[index] : nullptr;
    } else {
      at = nullptr;
    }
  }
  return at;
}

[[nodiscard]] std::uint8_t types_of(const ExactJson& value, const std::string& place) {
  std::uint8_t bits = 0;
  const auto add = [&](const ExactJson& name) {
    const auto* text = name.as<std::string>();
    const auto row = std::find_if(type_names.begin(), type_names.end(),
                                  [&](const TypeName& known) { return text != nullptr && *text == known.name; });
    if (row == type_names.end()) throw SchemaProblem{place, "must be a type of JSON, or several"};
    bits = static_cast<std::uint8_t>(bits | row->bits);
  };
  const auto* several = value.as<Array>();
  if (several == nullptr || several->empty()) {
    add(value);
  } else {
    for (const ExactJson& name : *several) add(name);
  }
  return bits;
}

[[nodiscard]] Decimal number_in(const ExactJson& value, const std::string& place) {
  const auto* number = value.as<Decimal>();
  if (number == nullptr) throw SchemaProblem{place, "must be a number"};
  return *number;
}

[[nodiscard]] Decimal divisor_in(const ExactJson& value, const std::string& place) {
  Decimal divisor = number_in(value, place);
  if (!divisor.is_positive()) throw SchemaProblem{place, "must be above zero"};
  if (divisor.length() > Decimal::longest_divisor) {
    throw SchemaProblem{place, fmt::format("must have at most {} digits", Decimal::longest_divisor)};
  }
  return divisor;
}

[[nodiscard]] std::size_t count_in(const ExactJson& value, const std::string& place) {
  const auto* number = value.as<Decimal>();
  const std::optional<std::size_t> count = number == nullptr ? std::nullopt : number->size();
  if (!count) throw SchemaProblem{place, "must be a whole number, not below zero"};
  return *count;
}

[[nodiscard]] bool truth_in(const ExactJson& value, const std::string& place) {
  const auto* truth = value.as<bool>();
  if (truth == nullptr) throw SchemaProblem{place, "must be true or false"};
  return *truth;
}

[[nodiscard]] Pattern pattern_in(const std::string& text, const std::string& place) {
  Result<Pattern> pattern = Pattern::compile(text);
  if (!pattern) throw SchemaProblem{place, "is a regular expression that is not accepted: " + pattern.error().message};
  return *std::move(pattern);
}

[[nodiscard]] std::vector<std::string> names_in(const ExactJson& value, const std::string& place) {
  const auto* list = value.as<Array>();
  std::vector<std::string> names;
  for (const ExactJson& name : list == nullptr ? Array{} : *list) {
    if (const auto* text = name.as<std::string>()) names.push_back(*text);
  }
  if (list == nullptr || names.size() != list->size()) throw SchemaProblem{place, "must be an array of names"};
  return names;
}

[[nodiscard]] const Object& object_in(const ExactJson& value, const std::string& place, const char* what) {
  const auto* object = value.as<Object>();
  if (object == nullptr) throw SchemaProblem{place, what};
  return *object;
}

}  // namespace

/// Compiles a schema. Each part is compiled once, whoever refers to it.
class Schema::Reader {
 public:
  explicit Reader(ExactDocument document) { rules_.document = std::move(document); }

  [[nodiscard]] Rules read() {
    static_cast<void>(part(rules_.document.value, ""));
    for (Index index = 0; index < parts_.size(); ++index) rules_.nodes[index] = node_of(index);
    if (const auto problem = problem_of_references(rules_.nodes, places_)) throw *problem;
    return std::move(rules_);
  }

 private:
  using Index = SchemaNode::Index;

  /// A keyword of the schema that is being read.
  struct Given {
    Reader& reader;
    const Object& schema;
    const ExactJson& value;
    std::string place;
  };
  /// All that is known of a keyword.
  struct Keyword {
    std::string_view name;
    void (*read)(SchemaNode& node, const Given& given);  // null: it asks nothing of a value
  };
  static const Keyword* find_keyword(std::string_view name) noexcept;

  /// Its index; it is read when those before it have been.
  Index part(const ExactJson& at, const std::string& where) {
    const auto [known, is_new] = known_.try_emplace(&at, parts_.size());
    if (!is_new) return known->second;
    parts_.push_back(&at);
    places_.push_back(where);
    rules_.nodes.emplace_back();
    return known->second;
  }

  [[nodiscard]] SchemaNode node_of(Index index) {
    const ExactJson& at = *parts_[index];
    const std::string where = places_[index];  // a copy, as reading adds to the places
    SchemaNode node;
    if (const auto* truth = at.as<bool>()) {
      node.never = !*truth;
      return node;
    }
    const Object& schema = object_in(at, where, "must be a schema: an object, true or false");
    for (const ExactJsonMember& member : schema) {
      const std::string place = place_in(where, member.name);
      const Keyword* keyword = find_keyword(member.name);
      if (keyword == nullptr) throw SchemaProblem{place, "is not a keyword that is known here"};
      if (keyword->read != nullptr) keyword->read(node, {*this, schema, member.value, place});
    }
    refuse_contradictions(node, where);
    return node;
  }

  [[nodiscard]] bool is_false(Index index) const noexcept {
    const auto* truth = parts_[index]->as<bool>();
    return truth != nullptr && !*truth;
  }
  /// What no value could match.
  void refuse_contradictions(const SchemaNode& node, const std::string& where) const {
    const auto in_order = [&](const auto& least, const auto& most, std::string_view name, std::string_view other) {
      if (!least || !most || *least <= *most) return;
      throw SchemaProblem{place_in(where, name), fmt::format("must not be above `{}`", other)};
    };
    in_order(node.minimum, node.maximum, "minimum", "maximum");
    in_order(node.min_length, node.max_length, "minLength", "maxLength");
    in_order(node.min_items, node.max_items, "minItems", "maxItems");
    in_order(node.min_properties, node.max_properties, "minProperties", "maxProperties");
    if (node.contains) in_order(std::optional{node.min_contains}, node.max_contains, "minContains", "maxContains");
    const auto leaves_none = [&](const auto& least, const auto& most, std::string_view name, std::string_view other) {
      if (!least || !most || *least < *most) return;
      throw SchemaProblem{place_in(where, name), fmt::format("must be below `{}`", other)};
    };
    leaves_none(node.above, node.below, "exclusiveMinimum", "exclusiveMaximum");
    leaves_none(node.above, node.maximum, "exclusiveMinimum", "maximum");
    leaves_none(node.minimum, node.below, "minimum", "exclusiveMaximum");
    const bool lists_all = node.additional_properties && is_false(*node.additional_properties);
    for (const std::string& name : node.required) {
      if (!lists_all || !node.pattern_properties.empty() || node.find_property(name) != nullptr) continue;
      throw SchemaProblem{
          place_in(where, "required"),
          fmt::format("names \"{}\", which must stand in `properties`, as `additionalProperties` is false", name)};
    }
  }

  [[nodiscard]] Index reference(const ExactJson& value, const std::string& place) {
    const auto* to = value.as<std::string>();
    if (to == nullptr || to->empty() || to->front() != '#' || (to->size() > 1 && (*to)[1] != '/')) {
      throw SchemaProblem{place, "must lead within the schema, as \"#/$defs/name\" does; nothing is fetched"};
    }
    const std::string pointer = unescaped(std::string_view{*to}.substr(1));
    const ExactJson* at = find_place(rules_.document.value, pointer);
    if (at == nullptr) throw SchemaProblem{place, "leads to nothing in the schema"};
    return part(*at, pointer);
  }

  [[nodiscard]] std::vector<Index> list(const Given& given, bool may_be_empty = false) {
    const auto* value = given.value.as<Array>();
    if (value == nullptr || (value->empty() && !may_be_empty)) {
      throw SchemaProblem{given.place, "must be an array of schemas"};
    }
    std::vector<Index> parts;
    for (const ExactJson& schema : *value) {
      parts.push_back(part(schema, fmt::format("{}/{}", given.place, parts.size())));
    }
    return parts;
  }

  [[nodiscard]] SchemaNode::Named named(const Given& given) {
    SchemaNode::Named parts;
    for (const auto& [name, schema] : object_in(given.value, given.place, "must be an object of schemas")) {
      parts.emplace_back(name, part(schema, place_in(given.place, name)));
    }
    return parts;
  }

  void dependencies(SchemaNode& node, const Given& given, bool lists, bool schemas) {
    for (const auto& [name, of] : object_in(given.value, given.place, "must be an object")) {
      const std::string place = place_in(given.place, name);
      if (lists && (!schemas || of.as<Array>() != nullptr)) {
        node.dependent_required.emplace_back(name, names_in(of, place));
      } else {
        node.dependent_schemas.emplace_back(name, part(of, place));
      }
    }
  }

  Rules rules_;
  std::vector<const ExactJson*> parts_;  // in the order of the nodes
  std::vector<std::string> places_;
  std::map<const ExactJson*, Index> known_;
};

const Schema::Reader::Keyword* Schema::Reader::find_keyword(std::string_view name) noexcept {
  using Node = SchemaNode;
  static constexpr std::array keywords{
      // Of any value.
      Keyword{"type", [](Node& node, const Given& of) { node.types = types_of(of.value, of.place); }},
      Keyword{"const", [](Node& node, const Given& of) { node.constant = &of.value; }},
      Keyword{"enum",
              [](Node& node, const Given& of) {
                const auto* values = of.value.as<Array>();
                if (values == nullptr || values->empty()) throw SchemaProblem{of.place, "must be an array of values"};
                Effort effort;
                node.any_of_values.emplace(*values, effort);
                if (effort.is_used_up()) throw SchemaProblem{of.place, "has too many values, or too large ones"};
                node.values = values->size();
              }},
      // Of numbers.
      Keyword{"minimum", [](Node& node, const Given& of) { node.minimum = number_in(of.value, of.place); }},
      Keyword{"maximum", [](Node& node, const Given& of) { node.maximum = number_in(of.value, of.place); }},
      Keyword{"exclusiveMinimum", [](Node& node, const Given& of) { node.above = number_in(of.value, of.place); }},
      Keyword{"exclusiveMaximum", [](Node& node, const Given& of) { node.below = number_in(of.value, of.place); }},
      Keyword{"multipleOf", [](Node& node, const Given& of) { node.multiple_of = divisor_in(of.value, of.place); }},
      // Of strings.
      Keyword{"minLength", [](Node& node, const Given& of) { node.min_length = count_in(of.value, of.place); }},
      Keyword{"maxLength", [](Node& node, const Given& of) { node.max_length = count_in(of.value, of.place); }},
      Keyword{"pattern",
              [](Node& node, const Given& of) {
                const auto* text = of.value.as<std::string>();
                if (text == nullptr) throw SchemaProblem{of.place, "must be a regular expression"};
                node.pattern = pattern_in(*text, of.place);
              }},
      // Of arrays.
      Keyword{"prefixItems", [](Node& node, const Given& of) { node.first_items = of.reader.list(of); }},
      Keyword{"items",
              [](Node& node, const Given& of) {
                if (of.value.as<Array>() != nullptr) {
                  node.first_items = of.reader.list(of, true);
                } else {
                  node.items = of.reader.part(of.value, of.place);
                }
              }},
      Keyword{"additionalItems",
              [](Node& node, const Given& of) {
                const Index index = of.reader.part(of.value, of.place);
                const ExactJson* items = find_member(of.schema, "items");
                if (items != nullptr && items->as<Array>() != nullptr) node.items = index;
              }},
      Keyword{"minItems", [](Node& node, const Given& of) { node.min_items = count_in(of.value, of.place); }},
      Keyword{"maxItems", [](Node& node, const Given& of) { node.max_items = count_in(of.value, of.place); }},
      Keyword{"uniqueItems", [](Node& node, const Given& of) { node.unique_items = truth_in(of.value, of.place); }},
      Keyword{"contains", [](Node& node, const Given& of) { node.contains = of.reader.part(of.value, of.place); }},
      Keyword{"minContains", [](Node& node, const Given& of) { node.min_contains = count_in(of.value, of.place); }},
      Keyword{"maxContains", [](Node& node, const Given& of) { node.max_contains = count_in(of.value, of.place); }},
      // Of objects.
      Keyword{"properties", [](Node& node, const Given& of) { node.properties = of.reader.named(of); }},
      Keyword{"patternProperties",
              [](Node& node, const Given& of) {
                for (const auto& [text, index] : of.reader.named(of)) {
                  node.pattern_properties.emplace_back(pattern_in(text, place_in(of.place, text)), index);
                }
              }},
      Keyword{"additionalProperties",
              [](Node& node, const Given& of) { node.additional_properties = of.reader.part(of.value, of.place); }},
      Keyword{"propertyNames",
              [](Node& node, const Given& of) { node.property_names = of.reader.part(of.value, of.place); }},
      Keyword{"required", [](Node& node, const Given& of) { node.required = names_in(of.value, of.place); }},
      Keyword{"dependentRequired", [](Node& node, const Given& of) { of.reader.dependencies(node, of, true, false); }},
      Keyword{"dependentSchemas", [](Node& node, const Given& of) { of.reader.dependencies(node, of, false, true); }},
      Keyword{"dependencies", [](Node& node, const Given& of) { of.reader.dependencies(node, of, true, true); }},
      Keyword{"minProperties", [](Node& node, const Given& of) { node.min_properties = count_in(of.value, of.place); }},
      Keyword{"maxProperties", [](Node& node, const Given& of) { node.max_properties = count_in(of.value, of.place); }},
      // Of the same value, by other schemas.
      Keyword{"$ref", [](Node& node, const Given& of) { node.reference = of.reader.reference(of.value, of.place); }},
      Keyword{"allOf", [](Node& node, const Given& of) { node.all_of = of.reader.list(of); }},
      Keyword{"anyOf", [](Node& node, const Given& of) { node.any_of = of.reader.list(of); }},
      Keyword{"oneOf", [](Node& node, const Given& of) { node.one_of = of.reader.list(of); }},
      Keyword{"not", [](Node& node, const Given& of) { node.negated = of.reader.part(of.value, of.place); }},
      Keyword{"if", [](Node& node, const Given& of) { node.condition = of.reader.part(of.value, of.place); }},
      Keyword{"then", [](Node& node, const Given& of) { node.when_true = of.reader.part(of.value, of.place); }},
      Keyword{"else", [](Node& node, const Given& of) { node.when_false = of.reader.part(of.value, of.place); }},
      // What is wrong in these is told, whether or not a reference leads there.
      Keyword{"$defs", [](Node&, const Given& of) { static_cast<void>(of.reader.named(of)); }},
      Keyword{"definitions", [](Node&, const Given& of) { static_cast<void>(of.reader.named(of)); }},
      Keyword{"$id",
              [](Node&, const Given& of) {
                if (&of.schema == of.reader.rules_.document.value.as<Object>()) return;
                throw SchemaProblem{of.place, "is accepted at the top of the schema only"};
              }},
      Keyword{"title", nullptr}, Keyword{"description", nullptr}, Keyword{"default", nullptr},
      Keyword{"examples", nullptr}, Keyword{"example", nullptr}, Keyword{"$schema", nullptr},
      Keyword{"$comment", nullptr}, Keyword{"format", nullptr}, Keyword{"deprecated", nullptr},
      Keyword{"readOnly", nullptr}, Keyword{"writeOnly", nullptr}, Keyword{"contentEncoding", nullptr},
      Keyword{"contentMediaType", nullptr}, Keyword{"propertyOrdering", nullptr},  // Gemini's
  };
  const auto row =
      std::find_if(keywords.begin(), keywords.end(), [&](const Keyword& known) { return known.name == name; });
  return row == keywords.end() ? nullptr : &*row;
}

Result<Schema> Schema::compile(std::string_view text) {
  ExactDocument document;
  if (auto problem = read_document(text, document)) return Error{ErrorKind::invalid_request, *std::move(problem)};
  try {
    if (!document.repeated.empty()) {
      std::string place;
      for (const std::string& step : document.repeated) place = place_in(place, step);
      throw SchemaProblem{place, "stands twice in its object; a key is accepted once"};
    }
    return Schema{std::make_shared<const Rules>(Reader{std::move(document)}.read())};
  } catch (const SchemaProblem& problem) {
    const std::string where = problem.where.empty() ? "/" : shown_place(problem.where);
    return Error{ErrorKind::invalid_request, bounded(fmt::format("`{}` {}", where, problem.what))};
  }
}

std::optional<std::string> Schema::check(std::string_view text) const {
  ExactDocument document;
  if (auto problem = read_document(text, document)) return problem;
  std::optional<std::string> problem = check_rules(rules_->nodes, document);
  return problem ? std::optional{bounded(*std::move(problem))} : std::nullopt;
}

}  // namespace backstop::inline v0::detail
