#include "schema/exact_json.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "json/parse.hpp"

namespace backstop::inline v0::detail {
namespace {

/// What comparing or hashing a text costs.
[[nodiscard]] std::size_t steps_for(const std::string& text) noexcept { return 1 + text.size() / 16; }

/// The same for equal values. Anything, when the effort is used up.
[[nodiscard]] std::size_t value_hash(const ExactJson& value, Effort& effort) {
  std::size_t hash = value.content.index();
  const auto mix = [&](std::size_t more) { hash = (hash ^ more) * 0x9E3779B97F4A7C15U + (hash >> 29U); };
  const auto mix_text = [&](const std::string& text) {
    if (effort.spend(steps_for(text))) mix(std::hash<std::string>{}(text));
  };
  if (!effort.spend(1)) return hash;
  if (const auto* truth = value.as<bool>()) mix(*truth ? 1 : 0);
  if (const auto* number = value.as<Decimal>()) mix_text(number->digits());
  if (const auto* text = value.as<std::string>()) mix_text(*text);
  if (const auto* array = value.as<ExactJson::Array>()) {
    for (const ExactJson& item : *array) mix(value_hash(item, effort));
  }
  if (const auto* object = value.as<ExactJson::Object>()) {
    for (const ExactJsonMember& member : *object) {
      mix_text(member.name);
      mix(value_hash(member.value, effort));
    }
  }
  return hash;
}

/// Builds a document of what nlohmann's parser reads: numbers by their text, and each key as often as it stands there.
class ExactDocumentBuilder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit ExactDocumentBuilder(ExactDocument& out) : out_{&out} {}

  [[nodiscard]] bool out_of_range() const noexcept { return out_of_range_; }

  bool null() override { return add({}); }
  bool boolean(bool value) override { return add({value}); }
  bool number_integer(std::int64_t value) override { return number(fmt::format("{}", value)); }
  bool number_unsigned(std::uint64_t value) override { return number(fmt::format("{}", value)); }
  bool number_float(double, const std::string& text) override { return number(text); }
  bool string(std::string& value) override { return add({std::move(value)}); }
  bool binary(nlohmann::json::binary_t&) override { return false; }  // there is none in text
  bool start_object(std::size_t) override { return open(ExactJson::Object{}); }
  bool start_array(std::size_t) override { return open(ExactJson::Array{}); }
  bool key(std::string& name) override {
    std::get<ExactJson::Object>(open_.back().content).push_back({std::move(name), {}});
    return true;
  }
  bool end_object() override {
    auto& object = std::get<ExactJson::Object>(open_.back().content);
    const auto by_name = [](const ExactJsonMember& a, const ExactJsonMember& b) { return a.name < b.name; };
    std::stable_sort(object.begin(), object.end(), by_name);
    const auto again =
        std::adjacent_find(object.begin(), object.end(),
                           [](const ExactJsonMember& a, const ExactJsonMember& b) { return a.name == b.name; });
    if (again != object.end() && out_->repeated.empty()) note_repeated(again->name);
    return close();
  }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override { return false; }

 private:
  bool number(const std::string& text) {
    std::optional<Decimal> number = Decimal::read(text);
    out_of_range_ = !number;
    return number && add({*std::move(number)});
  }
  bool add(ExactJson value) {
    if (open_.empty()) {
      out_->value = std::move(value);
    } else if (auto* array = std::get_if<ExactJson::Array>(&open_.back().content)) {
      array->push_back(std::move(value));
    } else {
      std::get<ExactJson::Object>(open_.back().content).back().value = std::move(value);
    }
    return true;
  }
  bool open(ExactJson::Content content) {
    open_.push_back({std::move(content)});
    return true;
  }
  bool close() {
    ExactJson done = std::move(open_.back());
    open_.pop_back();
    return add(std::move(done));
  }
  void note_repeated(const std::string& name) {
    for (std::size_t i = 0; i + 1 < open_.size(); ++i) {
      const auto* object = open_[i].as<ExactJson::Object>();
      out_->repeated.push_back(object != nullptr ? object->back().name : "*");
    }
    out_->repeated.push_back(name);
  }

  ExactDocument* out_;
  std::vector<ExactJson> open_;  // the innermost last
  bool out_of_range_ = false;
};

}  // namespace

const ExactJson* find_member(const ExactJson::Object& object, std::string_view name) noexcept {
  const auto at =
      std::lower_bound(object.begin(), object.end(), name,
                       [](const ExactJsonMember& member, std::string_view other) { return member.name < other; });
  return at == object.end() || at->name != name ? nullptr : &at->value;
}

bool same_value(const ExactJson& a, const ExactJson& b, Effort& effort) {
  if (!effort.spend(1) || a.content.index() != b.content.index()) return false;
  const auto same = [&](const ExactJson& one, const ExactJson& other) { return same_value(one, other, effort); };
  if (const auto* text = a.as<std::string>()) return effort.spend(steps_for(*text)) && *text == *b.as<std::string>();
  if (const auto* number = a.as<Decimal>()) {
    return effort.spend(steps_for(number->digits())) && *number == *b.as<Decimal>();
  }
  if (const auto* truth = a.as<bool>()) return *truth == *b.as<bool>();
  if (const auto* array = a.as<ExactJson::Array>()) {
    const auto& other = *b.as<ExactJson::Array>();
    return std::equal(array->begin(), array->end(), other.begin(), other.end(), same);
  }
  if (const auto* object = a.as<ExactJson::Object>()) {
    const auto& other = *b.as<ExactJson::Object>();
    return std::equal(object->begin(), object->end(), other.begin(), other.end(),
                      [&](const ExactJsonMember& one, const ExactJsonMember& two) {
                        return effort.spend(steps_for(one.name)) && one.name == two.name && same(one.value, two.value);
                      });
  }
  return true;  // both are null
}

ExactJsonSet::ExactJsonSet(const ExactJson::Array& values, Effort& effort) {
  for (const ExactJson& value : values) {
    if (effort.is_used_up()) return;
    entries_.push_back({value_hash(value, effort), &value});
  }
  // Sorting takes some comparisons for each.
  if (!effort.spend(values.size() * 8)) return;
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return a.hash < b.hash; });
}

bool ExactJsonSet::contains(const ExactJson& value, Effort& effort) const {
  const std::size_t hash = value_hash(value, effort);
  const auto first = std::lower_bound(entries_.begin(), entries_.end(), hash,
                                      [](const Entry& entry, std::size_t wanted) { return entry.hash < wanted; });
  for (auto at = first; at != entries_.end() && at->hash == hash; ++at) {
    if (same_value(*at->value, value, effort)) return true;
  }
  return false;
}

bool ExactJsonSet::has_equal_values(Effort& effort) const {
  for (auto first = entries_.begin(); first != entries_.end(); ++first) {
    for (auto other = first + 1; other != entries_.end() && other->hash == first->hash; ++other) {
      if (same_value(*first->value, *other->value, effort)) return true;
      if (effort.is_used_up()) return false;
    }
  }
  return false;
}

std::optional<std::string> read_document(std::string_view text, ExactDocument& out) {
  if (nesting_of(text) <= deepest_json) {
    ExactDocumentBuilder builder{out};
    if (nlohmann::json::sax_parse(text, &builder)) return std::nullopt;
    if (builder.out_of_range()) return "the JSON holds a number that is out of range";
  }
  const Result<nlohmann::ordered_json> again = parse_json(text);
  return again ? "the JSON is broken" : again.error().message;
}

}  // namespace backstop::inline v0::detail
