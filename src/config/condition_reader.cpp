#include "config/condition_reader.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

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

struct NamedField {
  std::string_view name;
  Value (*read)(const ChatRequest&, const Needs&);
};
constexpr std::array request_fields{
    NamedField{"input_tokens", [](const ChatRequest&, const Needs& needs) -> Value {
                 return static_cast<double>(needs.input_tokens);
               }},
    NamedField{"images", [](const ChatRequest&, const Needs& needs) -> Value { return needs.vision; }},
    NamedField{"documents", [](const ChatRequest&, const Needs& needs) -> Value { return needs.documents; }},
    NamedField{"tools", [](const ChatRequest&, const Needs& needs) -> Value { return needs.tools; }},
    NamedField{"reasoning", [](const ChatRequest&, const Needs& needs) -> Value { return needs.reasoning; }},
    NamedField{"json_schema", [](const ChatRequest&, const Needs& needs) -> Value { return needs.json_schema; }},
    NamedField{"tags", [](const ChatRequest& request, const Needs&) { return tags_of(request); }},
    NamedField{"session_id",
               [](const ChatRequest& request, const Needs&) { return text_or_nothing(request.metadata.session_id); }},
    NamedField{"user_id",
               [](const ChatRequest& request, const Needs&) { return text_or_nothing(request.metadata.user_id); }},
};

[[nodiscard]] ReadValue field_of(const std::string& name) {
  const auto plain = std::find_if(request_fields.begin(), request_fields.end(), [&](const auto& one) { return one.name == name; });
  if (plain != request_fields.end()) return plain->read;
  const auto after = [&](std::string_view prefix) {
    return name.starts_with(prefix) && name.size() > prefix.size() ? name.substr(prefix.size()) : std::string{};
  };
  if (std::string key = after("metadata."); !key.empty()) {
    return [key = std::move(key)](const ChatRequest& request, const Needs&) { return metadata_of(request, key); };
  }
  if (std::string key = after("header."); !key.empty()) {
    return [key = std::move(key)](const ChatRequest& request, const Needs&) { return header_of(request, key); };
  }
  if (name == "params.reasoning_effort") {
    return [](const ChatRequest& request, const Needs&) { return text_or_nothing(request.reasoning_effort); };
  }
  if (name == "params.temperature") {
    return [](const ChatRequest& request, const Needs&) { return request.temperature ? Value{*request.temperature} : Value{}; };
  }
  if (name == "params.max_output_tokens") {
    return [](const ChatRequest& request, const Needs&) {
      return request.max_output_tokens ? Value{static_cast<double>(*request.max_output_tokens)} : Value{};
    };
  }
  return nullptr;
}

constexpr std::string_view accepted_fields =
    "all, any, not, metadata.NAME, header.NAME, input_tokens, images, documents, tools, reasoning, json_schema, tags, "
    "session_id, user_id, params.temperature, params.max_output_tokens, params.reasoning_effort";

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

template <class Compare>
[[nodiscard]] bool ordered_as(const Value& left, const Value& right, const Compare& compare) {
  const auto* a = std::get_if<double>(&left);
  const auto* b = std::get_if<double>(&right);
  return a != nullptr && b != nullptr && compare(*a, *b);
}

/// `*` stands for any characters.
[[nodiscard]] bool matches(std::string_view text, std::string_view pattern) noexcept {
  std::size_t at = 0;
  std::size_t in = 0;
  std::size_t star = std::string_view::npos;
  std::size_t resume = 0;
  while (at < text.size()) {
    if (in < pattern.size() && pattern[in] == '*') {
      star = in++;
      resume = at;
    } else if (in < pattern.size() && pattern[in] == text[at]) {
      ++in;
      ++at;
    } else if (star != std::string_view::npos) {
      in = star + 1;
      at = ++resume;
    } else {
      return false;
    }
  }
  while (in < pattern.size() && pattern[in] == '*') ++in;
  return in == pattern.size();
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

/// Empty with a complaint.
[[nodiscard]] Test comparison(const std::string& name, const Setting& at) {
  if (name == "in" || name == "not_in") {
    std::vector<Value> values;
    for (const Setting& element : at.elements("values")) {
      values.push_back(literal(element));
      if (is_nothing(values.back())) element.refuse("a string, a number, true or false");
    }
    return [values = std::move(values), wanted = name == "in"](const Value& value) {
      const bool found = !is_nothing(value) && std::find(values.begin(), values.end(), value) != values.end();
      return found == wanted;
    };
  }
  Value right = literal(at);
  if (is_nothing(right)) {
    at.refuse("a string, a number, true or false");
    return nullptr;
  }
  const bool needs_number = name == ">" || name == ">=" || name == "<" || name == "<=";
  if (needs_number && !std::holds_alternative<double>(right)) {
    at.refuse("a number");
    return nullptr;
  }
  const bool needs_text = name == "matches" || name == "has";
  if (needs_text && !std::holds_alternative<std::string>(right)) {
    at.refuse("a string");
    return nullptr;
  }
  if (name == "==") return [right](const Value& left) { return left == right; };
  if (name == "!=") return [right](const Value& left) { return left != right; };
  if (name == ">") return [right](const Value& left) { return ordered_as(left, right, std::greater<>{}); };
  if (name == ">=") return [right](const Value& left) { return ordered_as(left, right, std::greater_equal<>{}); };
  if (name == "<") return [right](const Value& left) { return ordered_as(left, right, std::less<>{}); };
  if (name == "<=") return [right](const Value& left) { return ordered_as(left, right, std::less_equal<>{}); };
  if (name == "has") return [right](const Value& left) { return has(left, right); };
  if (name == "matches") {
    return [right](const Value& left) {
      const auto* text = std::get_if<std::string>(&left);
      return text != nullptr && matches(*text, std::get<std::string>(right));
    };
  }
  at.complain("is not known; accepted here are ==, !=, >, >=, <, <=, in, not_in, matches, has");
  return nullptr;
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

[[nodiscard]] std::optional<Condition> read_field(const std::string& name, const Setting& at) {
  ReadValue read = field_of(name);
  if (!read) {
    at.complain(fmt::format("is not known; accepted here are {}", accepted_fields));
    return std::nullopt;
  }
  const auto condition = [&](const std::string& comparison_name, const Setting& value) -> std::optional<Condition> {
    Test test = comparison(comparison_name, value);
    if (!test) return std::nullopt;
    return Condition{fmt::format("{} {} {}", name, comparison_name, value.shown()),
                     [read, test = std::move(test)](const ChatRequest& request, const Needs& needs) {
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
  if (!at.is_object() || at.keys().empty()) {
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
