#include "config/setting.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "backstop/text/duration.hpp"
#include "backstop/json.hpp"
#include "json/node.hpp"

namespace backstop::inline v0::detail {

void Problems::add(std::string problem) {
  if (known_.insert(problem).second) problems_.push_back(std::move(problem));
}

std::string Problems::text() const {
  if (problems_.size() == 1) return problems_.front();
  std::string text = fmt::format("{} problems", problems_.size());
  for (const std::string& problem : problems_) text += "\n  " + problem;
  return text;
}

std::string Setting::shown() const {
  if (json_->is_object()) return "an object";
  if (json_->is_array()) return "an array";
  constexpr std::size_t most = 80;
  std::string text = json_text(*json_);
  return text.size() <= most ? text : text.substr(0, most) + "...";
}

Setting Setting::operator[](std::string_view key) const {
  std::string place = place_.empty() ? std::string{key} : fmt::format("{}.{}", place_, key);
  const nlohmann::ordered_json* value = nullptr;
  if (is_object()) {
    const auto member = json_->find(key);
    if (member != json_->end()) value = &*member;
  }
  return Setting{value, std::move(place), problems_};
}

std::vector<std::string> Setting::keys() const {
  std::vector<std::string> keys;
  if (!is_object()) return keys;
  for (const auto& member : json_->items()) keys.push_back(member.key());
  return keys;
}

std::vector<Setting> Setting::elements(std::string_view of_what) const {
  std::vector<Setting> elements;
  if (!present()) return elements;
  if (!is_array()) {
    refuse(fmt::format("an array of {}", of_what));
    return elements;
  }
  for (const auto& element : *json_) {
    elements.push_back(Setting{&element, fmt::format("{}[{}]", place_, elements.size()), problems_});
  }
  return elements;
}

std::optional<std::string> Setting::text() const {
  if (!present()) return std::nullopt;
  if (is_string() && *json_ != "") return json_->get<std::string>();
  refuse("a string that is not empty");
  return std::nullopt;
}

std::string Setting::word() const { return is_string() ? json_->get<std::string>() : std::string{}; }

std::optional<bool> Setting::boolean() const {
  if (!present()) return std::nullopt;
  if (json_->is_boolean()) return json_->get<bool>();
  refuse("true or false");
  return std::nullopt;
}

std::optional<double> Setting::number(double least, double most) const {
  if (!present()) return std::nullopt;
  if (json_->is_number() && json_->get<double>() >= least && json_->get<double>() <= most) return json_->get<double>();
  refuse(fmt::format("a number from {} to {}", least, most));
  return std::nullopt;
}

std::optional<int> Setting::whole(int least, int most) const {
  if (!present()) return std::nullopt;
  if (json_->is_number()) {
    const double value = json_->get<double>();
    if (value >= least && value <= most && value == std::floor(value)) return static_cast<int>(value);
  }
  refuse(fmt::format("a whole number from {} to {}", least, most));
  return std::nullopt;
}

std::optional<std::int64_t> Setting::tokens() const {
  constexpr int most = 1'000'000'000;
  const std::optional<int> count = whole(1, most);
  return count ? std::optional<std::int64_t>{*count} : std::nullopt;
}

std::optional<std::int64_t> Setting::integer() const {
  if (!present()) return std::nullopt;
  const std::optional<std::int64_t> number = whole_number(*json_);
  if (!number) refuse("a whole number of 64 bits");
  return number;
}

std::optional<Duration> Setting::duration() const {
  if (!present()) return std::nullopt;
  const auto duration = is_string() ? duration_from(json_->get_ref<const std::string&>()) : std::nullopt;
  if (!duration) refuse(duration_forms);
  return duration;
}

std::optional<Duration> Setting::span() const {
  constexpr std::string_view zeros[] = {"0ms", "0s", "0m", "0h"};
  const std::string_view value = is_string() ? std::string_view{json_->get_ref<const std::string&>()} : std::string_view{};
  if (std::find(std::begin(zeros), std::end(zeros), value) != std::end(zeros)) return Duration::zero();
  return duration();
}

std::optional<Money> Setting::dollars() const {
  constexpr double most = 1e6;
  const std::optional<double> amount = number(0, most);
  return amount ? std::optional{Money::usd(*amount)} : std::nullopt;
}

void Setting::refuse(std::string_view accepted) const {
  if (!present()) return complain(fmt::format("is missing; it must be {}", accepted));
  complain(fmt::format("is {}; it must be {}", shown(), accepted));
}

void Setting::complain(std::string_view rest) const {
  problems_->add(place_.empty() ? fmt::format("the document {}", rest) : fmt::format("`{}` {}", place_, rest));
}

}  // namespace backstop::inline v0::detail
