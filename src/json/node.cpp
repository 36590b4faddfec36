#include "json/node.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "backstop/json.hpp"
#include "process/never_destroyed.hpp"

namespace backstop::inline v0::detail {
namespace {

const nlohmann::ordered_json& absent() {
  static NeverDestroyed<nlohmann::ordered_json> null;
  return *null;
}

std::string_view kind_of(const nlohmann::ordered_json& json) noexcept {
  switch (json.type()) {
    case nlohmann::ordered_json::value_t::null: return "absent";
    case nlohmann::ordered_json::value_t::object: return "an object";
    case nlohmann::ordered_json::value_t::array: return "an array";
    case nlohmann::ordered_json::value_t::string: return json == "" ? "empty" : "a string";
    case nlohmann::ordered_json::value_t::boolean: return "a boolean";
    case nlohmann::ordered_json::value_t::number_integer:
    case nlohmann::ordered_json::value_t::number_unsigned:
    case nlohmann::ordered_json::value_t::number_float: return "a number";
    default: return "of another type";
  }
}

}  // namespace

Node Node::operator[](std::string_view key) const {
  std::string place = place_.empty() ? std::string{key} : fmt::format("{}.{}", place_, key);
  if (json_->is_object()) {
    const auto member = json_->find(key);
    if (member != json_->end()) return Node{&*member, std::move(place), problem_};
  }
  return Node{&absent(), std::move(place), problem_};
}

Node Node::operator[](std::size_t index) const {
  return Node{&(*json_)[index], fmt::format("{}[{}]", place_, index), problem_};
}

bool Node::object(std::initializer_list<std::string_view> keys) const {
  if (!json_->is_object()) {
    refuse(fmt::format("an object with the keys {}", listed(keys)));
    return false;
  }
  for (const auto& [key, value] : json_->items()) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      complain(fmt::format("has an unknown key `{}`; accepted are {}", key, listed(keys)));
      return false;
    }
  }
  return true;
}

std::size_t Node::array(std::string_view of_what) const {
  if (!present()) return 0;
  if (json_->is_array()) return json_->size();
  refuse(fmt::format("an array of {}", of_what));
  return 0;
}

std::string Node::string() const {
  if (json_->is_string()) return json_->get<std::string>();
  if (present()) refuse("a string");
  return {};
}

std::string Node::non_empty_string() const {
  std::string text = string();
  if (text.empty()) refuse("a string that is not empty");
  return text;
}

std::optional<bool> Node::boolean() const {
  if (json_->is_boolean()) return json_->get<bool>();
  if (present()) refuse("true or false");
  return std::nullopt;
}

std::optional<double> Node::number(double least, double most) const {
  if (!present()) return std::nullopt;
  if (json_->is_number()) {
    const double value = json_->get<double>();
    if (value >= least && value <= most) return value;
    complain(fmt::format("must be from {} to {}, not {}", least, most, value));
  } else {
    refuse("a number");
  }
  return std::nullopt;
}

std::optional<std::int64_t> Node::positive_integer() const {
  if (!present()) return std::nullopt;
  constexpr double most = 9e15;
  if (json_->is_number()) {
    const double value = json_->get<double>();
    if (value >= 1 && value <= most && value == std::floor(value)) return static_cast<std::int64_t>(value);
    complain(fmt::format("must be a whole number above zero, not {}", value));
  } else {
    refuse("a whole number above zero");
  }
  return std::nullopt;
}

std::optional<std::int64_t> whole_number(const nlohmann::ordered_json& json) {
  const bool fits = json.is_number_integer() &&
                    (!json.is_number_unsigned() || json.get<std::uint64_t>() <= std::uint64_t{INT64_MAX});
  return fits ? std::optional{json.get<std::int64_t>()} : std::nullopt;
}

std::optional<std::int64_t> Node::integer() const {
  if (!present()) return std::nullopt;
  const std::optional<std::int64_t> number = whole_number(*json_);
  if (!number) refuse("a whole number of 64 bits");
  return number;
}

std::string Node::object_text() const {
  if (json_->is_object()) return json_text(*json_);
  if (present()) refuse("an object");
  return {};
}

void Node::complain(std::string_view rest) const {
  if (!problem_->empty()) return;
  *problem_ = place_.empty() ? fmt::format("the document {}", rest) : fmt::format("`{}` {}", place_, rest);
}

void Node::refuse(std::string_view accepted) const {
  if (!present()) return complain(fmt::format("is missing; it must be {}", accepted));
  complain(fmt::format("must be {}, not {}", accepted, kind_of(*json_)));
}

std::string listed(std::initializer_list<std::string_view> names) {
  std::string text;
  for (const std::string_view name : names) {
    if (!text.empty()) text += ", ";
    text += name;
  }
  return text;
}

}  // namespace backstop::inline v0::detail
