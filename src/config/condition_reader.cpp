#include "config/condition_reader.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "schema/pattern.hpp"
#include "text/ascii.hpp"

namespace backstop::inline v0::detail {
namespace {

/// What a field of a request has; nothing where the request lacks it.
using Value = std::variant<std::monostate, bool, double, std::string, std::vector<std::string>>;
using ReadValue = std::function<Value(const ChatRequest&, const Needs&)>;

[[nodiscard]] Value text_or_nothing(const std::string& text) { return text.empty() ? Value{} : Value{text}; }

[[nodiscard]] Value tag_of(const ChatRequest& request, const std::string& name) {
  const auto& tags = request.metadata.tags;
  const auto tag = std::find_if(tags.begin(), tags.end(), [&](const auto& one) { return one.first == name; });
  return tag == tags.end() ? Value{} : Value{tag->second};
}

[[nodiscard]] Value header_of(const ChatRequest& request, const std::string& name) {
  const auto& headers = request.headers;
  const auto header = std::find_if(headers.begin(), headers.end(),
                                   [&](const Header& one) { return equal_ignoring_case(one.first, name); });
  return header == headers.end() ? Value{} : Value{header->second};
}

[[nodiscard]] Value metadata_of(const ChatRequest& request, const std::string& name) {
  if (name == "session_id") return text_or_nothing(request.metadata.session_id);
  if (name == "user_id") return text_or_nothing(request.metadata.user_id);
  return tag_of(request, name);
}

[[nodiscard]] Value tags_of(const ChatRequest& request) {
  std::vector<std::string> names;
  for (const auto& tag : request.metadata.tags) names.push_back(tag.first);
  return names;
}

/// What a field can have, and what it is compared with.
enum class Kind : std::uint8_t { truth, number, text, list, effort };

struct NamedField {
  std::string_view name;
  Value (*read)(const ChatRequest&, const Needs&);
  Kind kind;
};
constexpr std::array request_fields{
    NamedField{"input_tokens", [](const ChatRequest&, const Needs& needs) -> Value {
                 return static_cast<double>(needs.input_tokens);
               }, Kind::number},
    NamedField{"images", [](const ChatRequest&, const Needs& needs) -> Value { return needs.vision; }, Kind::truth},
    NamedField{"documents", [](const ChatRequest&, const Needs& needs) -> Value { return needs.documents; }, Kind::truth},
    NamedField{"tools", [](const ChatRequest&, const Needs& needs) -> Value { return needs.tools; }, Kind::truth},
    NamedField{"reasoning", [](const ChatRequest&, const Needs& needs) -> Value { return needs.reasoning; }, Kind::effort},
    NamedField{"json_schema", [](const ChatRequest&, const Needs& needs) -> Value { return needs.json_schema; }, Kind::truth},
    NamedField{"tags", [](const ChatRequest& request, const Needs&) { return tags_of(request); }, Kind::list},
    NamedField{"session_id",
               [](const ChatRequest& request, const Needs&) { return text_or_nothing(request.metadata.session_id); }, Kind::text},
    NamedField{"user_id",
               [](const ChatRequest& request, const Needs&) { return text_or_nothing(request.metadata.user_id); }, Kind::text},
};

struct RequestField {
  ReadValue read;  // null: not known
  Kind kind = Kind::text;
};

[[nodiscard]] RequestField field_of(const std::string& name) {
  const auto plain = std::find_if(request_fields.begin(), request_fields.end(), [&](const auto& one) { return one.name == name; });
  if (plain != request_fields.end()) return {plain->read, plain->kind};
  const auto after = [&](std::string_view prefix) {
    return name.starts_with(prefix) && name.size() > prefix.size() ? name.substr(prefix.size()) : std::string{};
  };
  if (std::string key = after("metadata."); !key.empty()) {
    return {[key = std::move(key)](const ChatRequest& request, const Needs&) { return metadata_of(request, key); }};
  }
  if (std::string key = after("header."); !key.empty()) {
    return {[key = std::move(key)](const ChatRequest& request, const Needs&) { return header_of(request, key); }};
  }
  if (name == "params.reasoning_effort") {
    return {[](const ChatRequest& request, const Needs&) { return text_or_nothing(request.reasoning_effort); }};
  }
  if (name == "params.temperature") {
    return {[](const ChatRequest& request, const Needs&) { return request.temperature ? Value{*request.temperature} : Value{}; },
            Kind::number};
  }
  if (name == "params.max_output_tokens") {
    return {[](const ChatRequest& request, const Needs&) {
              return request.max_output_tokens ? Value{static_cast<double>(*request.max_output_tokens)} : Value{};
            },
            Kind::number};
  }
  return {};
}

constexpr std::string_view accepted_fields =
    "all, any, not, metadata.NAME, header.NAME, input_tokens, images, documents, tools, reasoning, json_schema, tags, "
    "session_id, user_id, params.temperature, params.max_output_tokens, params.reasoning_effort";

constexpr std::string_view accepted_comparisons = "==, !=, >, >=, <, <=, in, not_in, matches, has";

/// A boolean, number or string of the file.
[[nodiscard]] Value literal(const Setting& at) {
  if (const auto* json = at.json()) {
    if (json->is_boolean()) return json->get<bool>();
    if (json->is_number()) return json->get<double>();
    if (json->is_string()) return json->get<std::string>();
  }
  return {};
}

[[nodiscard]] bool is_nothing(const Value& value) noexcept { return value.index() == 0; }

/// Of a text what it is as a number, where it is one.
[[nodiscard]] std::optional<double> number_of(const Value& value) {
  if (const auto* number = std::get_if<double>(&value)) return *number;
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr) return std::nullopt;
  const nlohmann::json number = nlohmann::json::parse(*text, nullptr, false);
  return number.is_number() ? std::optional{number.get<double>()} : std::nullopt;
}

template <class Compare>
[[nodiscard]] bool ordered_as(const Value& left, const Value& right, const Compare& compare) {
  const std::optional<double> a = number_of(left);
  const std::optional<double> b = number_of(right);
  return a && b && compare(*a, *b);
}

[[nodiscard]] bool equal(const Value& left, const Value& right) {
  if (std::holds_alternative<double>(right)) return ordered_as(left, right, std::equal_to<>{});
  const auto* truth = std::get_if<bool>(&right);
  const auto* text = std::get_if<std::string>(&left);  // of a tag
  if (truth != nullptr && text != nullptr) return *text == (*truth ? "true" : "false");
  return left == right;
}

constexpr std::size_t longest_pattern = 200;
constexpr std::size_t longest_matched = 1000;

/// Empty with a complaint.
[[nodiscard]] std::optional<Pattern> pattern_of(const std::string& text, const Setting& at) {
  if (text.empty() || text.size() > longest_pattern) {
    at.refuse(fmt::format("a regular expression (ECMAScript) of at most {} characters", longest_pattern));
    return std::nullopt;
  }
  Result<Pattern> pattern = Pattern::compile(text);
  if (pattern) return *std::move(pattern);
  at.refuse("a regular expression (ECMAScript), and " + pattern.error().message);
  return std::nullopt;
}

[[nodiscard]] bool has(const Value& value, const Value& wanted) {
  const auto* element = std::get_if<std::string>(&wanted);
  if (element == nullptr) return false;
  if (const auto* list = std::get_if<std::vector<std::string>>(&value)) {
    return std::find(list->begin(), list->end(), *element) != list->end();
  }
  const auto* text = std::get_if<std::string>(&value);
  return text != nullptr && text->find(*element) != std::string::npos;
}

using Test = std::function<bool(const Value&)>;

constexpr std::string_view efforts[] = {"none", "minimal", "low", "medium", "high", "xhigh", "max"};

/// Whether such a field can have that value; complains if not.
[[nodiscard]] bool accepts(Kind kind, const Value& value, const Setting& at) {
  const auto* text = std::get_if<std::string>(&value);
  const bool is_truth = std::holds_alternative<bool>(value);
  const bool is_effort = text != nullptr && std::find(std::begin(efforts), std::end(efforts), *text) != std::end(efforts);
  std::string_view accepted;
  if (is_nothing(value)) {
    accepted = "a string, a number, true or false";
  } else if (kind == Kind::truth && !is_truth) {
    accepted = "true or false";
  } else if (kind == Kind::number && !std::holds_alternative<double>(value)) {
    accepted = "a number";
  } else if (kind == Kind::effort && !is_truth && !is_effort) {
    accepted = R"(true, false, or an effort: "low", "medium", "high", ...)";
  }
  if (!accepted.empty()) at.refuse(accepted);
  return accepted.empty();
}

/// Empty with a complaint.
[[nodiscard]] Test comparison(const std::string& name, const Setting& at, Kind kind) {
  if (kind == Kind::list && name != "has") {
    at.complain("does not compare such a field; accepted here is has");
    return nullptr;
  }
  if (name == "in" || name == "not_in") {
    std::vector<Value> values;
    for (const Setting& element : at.elements("values")) {
      values.push_back(literal(element));
      static_cast<void>(accepts(kind, values.back(), element));
    }
    return [values = std::move(values), wanted = name == "in"](const Value& value) {
      const auto is_it = [&](const Value& one) { return equal(value, one); };
      const bool found = !is_nothing(value) && std::any_of(values.begin(), values.end(), is_it);
      return found == wanted;
    };
  }
  const bool orders = name == ">" || name == ">=" || name == "<" || name == "<=";
  const bool searches = name == "matches" || name == "has";
  if (!orders && !searches && name != "==" && name != "!=") {
    at.complain(fmt::format("is not known; accepted here are {}", accepted_comparisons));
    return nullptr;
  }
  if ((orders && (kind == Kind::truth || kind == Kind::effort)) ||
      (searches && kind != Kind::text && kind != Kind::list)) {
    at.complain(fmt::format("does not compare such a field; accepted here are ==, !=, in, not_in{}",
                            kind == Kind::number ? ", >, >=, <, <=" : ""));
    return nullptr;
  }
  Value right = literal(at);
  if (!accepts(kind, right, at)) return nullptr;
  if (orders && !std::holds_alternative<double>(right)) {
    at.refuse("a number");
    return nullptr;
  }
  if (searches && !std::holds_alternative<std::string>(right)) {
    at.refuse("a string");
    return nullptr;
  }
  if (name == "==") return [right](const Value& left) { return equal(left, right); };
  if (name == "!=") return [right](const Value& left) { return !equal(left, right); };
  if (name == ">") return [right](const Value& left) { return ordered_as(left, right, std::greater<>{}); };
  if (name == ">=") return [right](const Value& left) { return ordered_as(left, right, std::greater_equal<>{}); };
  if (name == "<") return [right](const Value& left) { return ordered_as(left, right, std::less<>{}); };
  if (name == "<=") return [right](const Value& left) { return ordered_as(left, right, std::less_equal<>{}); };
  if (name == "has") return [right](const Value& left) { return has(left, right); };
  std::optional<Pattern> pattern = pattern_of(std::get<std::string>(right), at);
  if (!pattern) return nullptr;
  return [pattern = *std::move(pattern)](const Value& left) {
    const auto* text = std::get_if<std::string>(&left);
    Effort effort;
    return text != nullptr && text->size() <= longest_matched && pattern.matches(*text, effort);
  };
}

[[nodiscard]] std::optional<Condition> joined(std::optional<Condition> all, std::optional<Condition> one, bool any) {
  if (!all) return one;
  if (!one) return all;
  return any ? *all || *one : *all && *one;
}

[[nodiscard]] std::optional<Condition> read_list(const Setting& at, bool any) {
  std::optional<Condition> all;
  const std::vector<Setting> elements = at.elements("conditions");
  if (at.is_array() && elements.empty()) at.complain("is empty; at least one condition is needed");
  for (const Setting& element : elements) all = joined(std::move(all), read_condition(element), any);
  return all;
}

/// `tools` with the name of one, `reasoning` with an effort: what those fields are compared with is not what they have.
[[nodiscard]] RequestField other_side(RequestField field, const std::string& name, const std::string& comparison_name,
                                      const Setting& value) {
  if (name == "tools" && comparison_name == "has") {
    return {[](const ChatRequest& request, const Needs&) {
              std::vector<std::string> names;
              for (const Tool& tool : request.tools) names.push_back(tool.name);
              return Value{std::move(names)};
            },
            Kind::list};
  }
  const auto* json = value.json();
  const bool with_effort = json->is_string() || (json->is_array() && !json->empty() && json->front().is_string());
  if (field.kind == Kind::effort && with_effort) {
    field.read = [](const ChatRequest& request, const Needs&) { return text_or_nothing(request.reasoning_effort); };
  }
  return field;
}

[[nodiscard]] std::optional<Condition> read_field(const std::string& name, const Setting& at) {
  const RequestField field = field_of(name);
  if (!field.read) {
    at.complain(fmt::format("is not known; accepted here are {}", accepted_fields));
    return std::nullopt;
  }
  const auto condition = [&](const std::string& comparison_name, const Setting& value) -> std::optional<Condition> {
    const RequestField compared = other_side(field, name, comparison_name, value);
    Test test = comparison(comparison_name, value, compared.kind);
    if (!test) return std::nullopt;
    return Condition{fmt::format("{} {} {}", name, comparison_name, value.shown()),
                     [read = compared.read, test = std::move(test)](const ChatRequest& request, const Needs& needs) {
                       return test(read(request, needs));
                     }};
  };
  if (!at.is_object()) return condition("==", at);
  std::optional<Condition> all;
  for (const std::string& key : at.keys()) all = joined(std::move(all), condition(key, at[key]), false);
  if (at.keys().empty()) at.complain("is empty; at least one comparison is needed");
  return all;
}

}  // namespace

std::optional<Condition> read_condition(const Setting& at) {
  if (!at.present()) return std::nullopt;
  if (at.is_object() && at.keys().empty()) {
    at.complain(R"(is empty; give a field and a value, such as {"input_tokens": {">": 60000}})");
    return std::nullopt;
  }
  if (!at.is_object()) {
    at.refuse(R"(an object of fields and values, such as {"input_tokens": {">": 60000}})");
    return std::nullopt;
  }
  std::optional<Condition> all;
  for (const std::string& key : at.keys()) {
    const Setting value = at[key];
    std::optional<Condition> one;
    if (key == "all" || key == "any") {
      one = read_list(value, key == "any");
    } else if (key == "not") {
      one = read_condition(value);
      if (one) one = !*one;
    } else {
      one = read_field(key, value);
    }
    all = joined(std::move(all), std::move(one), false);
  }
  return all;
}

}  // namespace backstop::inline v0::detail
