#include "schema/schema.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "json/parse.hpp"
#include "schema/rules.hpp"

namespace backstop::inline v0::detail {
namespace {

using nlohmann::json;

struct SchemaProblem {
  std::string where;
  std::string what;
};

struct TypeName {
  std::string_view name;
  std::uint8_t bits;
};

constexpr std::array type_names{TypeName{"null", type_null},       TypeName{"boolean", type_boolean},
                                TypeName{"integer", type_integer}, TypeName{"number", type_number | type_integer},
                                TypeName{"string", type_string},   TypeName{"array", type_array},
                                TypeName{"object", type_object}};

/// Keywords that ask nothing of a value. `propertyOrdering` is Gemini's.
constexpr std::array<std::string_view, 17> annotations{
    "title",     "description", "default", "examples",         "example",          "$schema",
    "$comment",  "format",      "deprecated", "readOnly",      "writeOnly",        "contentEncoding",
    "contentMediaType", "propertyOrdering", "$defs", "definitions", "$id"};

/// The place of a member behind a JSON pointer.
[[nodiscard]] std::string member(const std::string& where, std::string_view key) {
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

}  // namespace

/// Compiles a schema. Each part is compiled once, whoever refers to it.
class Schema::Reader {
 public:
  explicit Reader(const json& document) : document_{&document} {}

  [[nodiscard]] Rules read() {
    static_cast<void>(part(*document_, ""));
    return std::move(rules_);
  }

 private:
  using Index = SchemaNode::Index;

  Index part(const json& at, const std::string& where) {
    if (const auto known = known_.find(&at); known != known_.end()) return known->second;
    const Index index = rules_.nodes.size();
    known_.emplace(&at, index);
    rules_.nodes.emplace_back();
    if (!at.is_object() && !at.is_boolean()) throw SchemaProblem{where, "must be a schema: an object, true or false"};
    SchemaNode node;
    if (at.is_boolean()) {
      node.never = !at.get<bool>();
    } else {
      for (const auto& [key, value] : at.items()) read_keyword(node, at, key, value, where);
    }
    rules_.nodes[index] = std::move(node);
    return index;
  }

  void read_keyword(SchemaNode& node, const json& schema, const std::string& key, const json& value,
                    const std::string& where) {
    const std::string place = member(where, key);
    if (key == "$id" && !where.empty()) throw SchemaProblem{place, "is accepted at the top of the schema only"};
    if (key == "$defs" || key == "definitions") static_cast<void>(named(value, place));  // what is wrong there is told
    if (std::find(annotations.begin(), annotations.end(), key) != annotations.end()) return;
    if (read_value_keyword(node, key, value, place) || read_array_keyword(node, schema, key, value, place) ||
        read_object_keyword(node, key, value, place) || read_combination(node, key, value, place)) {
      return;
    }
    throw SchemaProblem{place, "is not a keyword that is known here"};
  }

  [[nodiscard]] bool read_value_keyword(SchemaNode& node, const std::string& key, const json& value,
                                        const std::string& place) {
    if (key == "type") {
      node.types = types(value, place);
    } else if (key == "const") {
      node.constant = value;
    } else if (key == "enum") {
      if (!value.is_array()) throw SchemaProblem{place, "must be an array"};
      node.any_of_values = value.get<std::vector<json>>();
    } else if (key == "minimum") {
      node.minimum = number(value, place);
    } else if (key == "maximum") {
      node.maximum = number(value, place);
    } else if (key == "exclusiveMinimum") {
      node.above = number(value, place);
    } else if (key == "exclusiveMaximum") {
      node.below = number(value, place);
    } else if (key == "multipleOf") {
      node.multiple_of = number(value, place);
      if (*node.multiple_of <= 0) throw SchemaProblem{place, "must be above zero"};
    } else if (key == "minLength") {
      node.min_length = count(value, place);
    } else if (key == "maxLength") {
      node.max_length = count(value, place);
    } else if (key == "pattern") {
      node.pattern = pattern(value, place);
    } else {
      return false;
    }
    return true;
  }

  [[nodiscard]] bool read_array_keyword(SchemaNode& node, const json& schema, const std::string& key, const json& value,
                                        const std::string& place) {
    if (key == "prefixItems" || (key == "items" && value.is_array())) {
      node.first_items = list(value, place, key == "items");
    } else if (key == "items") {
      node.items = part(value, place);
    } else if (key == "additionalItems") {
      const Index index = part(value, place);
      const auto items = schema.find("items");
      if (items != schema.end() && items->is_array()) node.items = index;
    } else if (key == "minItems") {
      node.min_items = count(value, place);
    } else if (key == "maxItems") {
      node.max_items = count(value, place);
    } else if (key == "uniqueItems") {
      if (!value.is_boolean()) throw SchemaProblem{place, "must be true or false"};
      node.unique_items = value.get<bool>();
    } else if (key == "contains") {
      node.contains = part(value, place);
    } else if (key == "minContains") {
      node.min_contains = count(value, place);
    } else if (key == "maxContains") {
      node.max_contains = count(value, place);
    } else {
      return false;
    }
    return true;
  }

  [[nodiscard]] bool read_object_keyword(SchemaNode& node, const std::string& key, const json& value,
                                         const std::string& place) {
    if (key == "properties") {
      node.properties = named(value, place);
    } else if (key == "patternProperties") {
      if (!value.is_object()) throw SchemaProblem{place, "must be an object"};
      for (const auto& [name, schema] : value.items()) {
        node.pattern_properties.emplace_back(pattern(name, member(place, name)), part(schema, member(place, name)));
      }
    } else if (key == "additionalProperties") {
      node.additional_properties = part(value, place);
    } else if (key == "propertyNames") {
      node.property_names = part(value, place);
    } else if (key == "required") {
      node.required = names(value, place);
    } else if (key == "dependentRequired" || key == "dependentSchemas" || key == "dependencies") {
      read_dependencies(node, key, value, place);
    } else if (key == "minProperties") {
      node.min_properties = count(value, place);
    } else if (key == "maxProperties") {
      node.max_properties = count(value, place);
    } else {
      return false;
    }
    return true;
  }

  void read_dependencies(SchemaNode& node, const std::string& key, const json& value, const std::string& place) {
    if (!value.is_object()) throw SchemaProblem{place, "must be an object"};
    for (const auto& [name, of] : value.items()) {
      const bool is_list = key == "dependentRequired" || (key == "dependencies" && of.is_array());
      if (is_list) {
        node.dependent_required.emplace_back(name, names(of, member(place, name)));
      } else {
        node.dependent_schemas.emplace_back(name, part(of, member(place, name)));
      }
    }
  }

  [[nodiscard]] bool read_combination(SchemaNode& node, const std::string& key, const json& value,
                                      const std::string& place) {
    if (key == "$ref") {
      node.reference = reference(value, place);
    } else if (key == "allOf") {
      node.all_of = list(value, place, false);
    } else if (key == "anyOf") {
      node.any_of = list(value, place, false);
    } else if (key == "oneOf") {
      node.one_of = list(value, place, false);
    } else if (key == "not") {
      node.negated = part(value, place);
    } else if (key == "if") {
      node.condition = part(value, place);
    } else if (key == "then") {
      node.when_true = part(value, place);
    } else if (key == "else") {
      node.when_false = part(value, place);
    } else {
      return false;
    }
    return true;
  }

  [[nodiscard]] Index reference(const json& value, const std::string& place) {
    const std::string to = value.is_string() ? value.get<std::string>() : "";
    if (to.empty() || to.front() != '#' || (to.size() > 1 && to[1] != '/')) {
      throw SchemaProblem{place, "must lead within the schema, as \"#/$defs/name\" does; nothing is fetched"};
    }
    try {
      const std::string pointer = unescaped(to.substr(1));
      return part(document_->at(json::json_pointer{pointer}), pointer);
    } catch (const json::exception&) {
      throw SchemaProblem{place, "leads to nothing in the schema"};
    }
  }
  /// Without the %-escapes of an address.
  [[nodiscard]] static std::string unescaped(const std::string& text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const std::string digits = text[i] == '%' ? text.substr(i + 1, 2) : "";
      const bool is_escape = digits.size() == 2 && digits.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
      plain += is_escape ? static_cast<char>(std::stoi(digits, nullptr, 16)) : text[i];
      i += is_escape ? 2 : 0;
    }
    return plain;
  }

  [[nodiscard]] static std::uint8_t types(const json& value, const std::string& place) {
    std::uint8_t bits = 0;
    const auto add = [&](const json& name) {
      const auto row = std::find_if(type_names.begin(), type_names.end(), [&](const TypeName& known) {
        return name.is_string() && name.get_ref<const std::string&>() == known.name;
      });
      if (row == type_names.end()) throw SchemaProblem{place, "must be a type of JSON, or several"};
      bits = static_cast<std::uint8_t>(bits | row->bits);
    };
    if (value.is_array() && !value.empty()) {
      for (const json& name : value) add(name);
    } else {
      add(value);
    }
    return bits;
  }
  [[nodiscard]] static long double number(const json& value, const std::string& place) {
    if (!value.is_number()) throw SchemaProblem{place, "must be a number"};
    return value.get<long double>();
  }
  [[nodiscard]] static std::size_t count(const json& value, const std::string& place) {
    const long double number = value.is_number() ? value.get<long double>() : -1;
    if (number < 0 || number > 1e15L || number != static_cast<long double>(static_cast<std::size_t>(number))) {
      throw SchemaProblem{place, "must be a whole number, not below zero"};
    }
    return static_cast<std::size_t>(number);
  }
  [[nodiscard]] static Pattern pattern(const json& value, const std::string& place) {
    if (!value.is_string()) throw SchemaProblem{place, "must be a regular expression"};
    Result<Pattern> pattern = Pattern::compile(value.get_ref<const std::string&>());
    if (!pattern) throw SchemaProblem{place, "is a regular expression that is not accepted: " + pattern.error().message};
    return *std::move(pattern);
  }
  [[nodiscard]] static std::vector<std::string> names(const json& value, const std::string& place) {
    if (!value.is_array()) throw SchemaProblem{place, "must be an array of names"};
    std::vector<std::string> names;
    for (const json& name : value) {
      if (!name.is_string()) throw SchemaProblem{place, "must be an array of names"};
      names.push_back(name.get<std::string>());
    }
    return names;
  }
  [[nodiscard]] std::vector<Index> list(const json& value, const std::string& place, bool may_be_empty) {
    if (!value.is_array() || (value.empty() && !may_be_empty)) {
      throw SchemaProblem{place, "must be an array of schemas"};
    }
    std::vector<Index> parts;
    for (std::size_t i = 0; i < value.size(); ++i) parts.push_back(part(value[i], place + fmt::format("/{}", i)));
    return parts;
  }
  [[nodiscard]] SchemaNode::Named named(const json& value, const std::string& place) {
    if (!value.is_object()) throw SchemaProblem{place, "must be an object of schemas"};
    SchemaNode::Named parts;
    for (const auto& [name, schema] : value.items()) parts.emplace_back(name, part(schema, member(place, name)));
    return parts;
  }

  const json* document_;
  Rules rules_;
  std::map<const json*, Index> known_;
};

namespace {

/// Fills in `parsed`, or says what is wrong with the text.
[[nodiscard]] std::optional<std::string> problem_of_json(std::string_view text, json& parsed) {
  if (nesting_of(text) <= deepest_json) {
    parsed = json::parse(text, nullptr, false);
    if (!parsed.is_discarded()) return std::nullopt;
  }
  const Result<nlohmann::ordered_json> again = parse_json(text);
  return again ? "the JSON is broken" : again.error().message;
}

}  // namespace

Result<Schema> Schema::compile(std::string_view text) {
  json document;
  if (const auto problem = problem_of_json(text, document)) return Error{ErrorKind::invalid_request, *problem};
  try {
    Reader reader{document};
    return Schema{std::make_shared<const Rules>(reader.read())};
  } catch (const SchemaProblem& problem) {
    return Error{ErrorKind::invalid_request, fmt::format("`{}` {}", problem.where.empty() ? "/" : problem.where, problem.what)};
  }
}

std::optional<std::string> Schema::check(std::string_view text) const {
  json value;
  if (auto problem = problem_of_json(text, value)) return problem;
  return check_rules(rules_->nodes, value);
}

}  // namespace backstop::inline v0::detail
