#include "backstop/app/typed.hpp"

#include <array>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "backstop/fallback_client.hpp"
#include "backstop/json.hpp"
#include "backstop/policies/accept_if.hpp"
#include "json/unfenced.hpp"
#include "schema/schema.hpp"

namespace backstop::inline v0::detail {
namespace {

using Json = nlohmann::ordered_json;
using Place = Json::json_pointer;

constexpr int most_tries = 400;  // of one place whose type is looked for

/// Finds out what may stand at a place of a sample, by what the type's conversion accepts there.
class Prober {
 public:
  Prober(Json sample, const Converts& converts) : sample_(std::move(sample)), converts_{&converts} {}

  /// The sample with something at that place, as the type writes it; empty when nothing was found.
  [[nodiscard]] std::optional<Json> fill(const Place& place) {
    if (keeps(place, "text") && keeps(place, 1.5)) return std::nullopt;  // it takes anything
    RoundTrip so_far;
    if (!put(place, "", so_far)) return std::nullopt;
    std::vector<Place> open;  // objects that keys may be missing in, the innermost last
    if (sample_[place].is_object()) open.push_back(place);
    while (!so_far.value) {
      if (!put_missing(open, so_far)) return std::nullopt;
    }
    return std::move(so_far.value);
  }

 private:
  [[nodiscard]] bool keeps(const Place& place, const Json& value) {
    Json with = sample_;
    with[place] = value;
    const std::optional<Json> converted = (*converts_)(with).value;
    return converted && converted->contains(place) && converted->at(place) == value;
  }
  /// Puts a value there that the conversion has no objection to, as far as it comes. `missing` was missing before.
  [[nodiscard]] bool put(const Place& place, const std::string& missing, RoundTrip& so_far) {
    // A number with a fraction converts to an integer, too, and the type then writes one.
    static const std::array<Json, 6> values{Json("text"), Json(1.5), Json(true), Json::array(), Json::object(), Json()};
    const Json before = sample_;
    for (const Json& value : values) {
      sample_[place] = value;
      RoundTrip now = tried();
      if (now.value || (!now.missing_key.empty() && now.missing_key != missing)) {
        so_far = std::move(now);
        return true;
      }
      sample_ = before;
    }
    return false;
  }
  [[nodiscard]] bool put_missing(std::vector<Place>& open, RoundTrip& so_far) {
    const std::string key = so_far.missing_key;
    while (!open.empty()) {
      const Place place = open.back() / key;
      if (!sample_.contains(place) && put(place, key, so_far)) {
        if (sample_[place].is_object()) open.push_back(place);
        return true;
      }
      open.pop_back();  // it has all that it needs; the key is missing further out
    }
    return false;
  }
  [[nodiscard]] RoundTrip tried() { return ++tries_ <= most_tries ? (*converts_)(sample_) : RoundTrip{}; }

  Json sample_;
  const Converts* converts_;
  int tries_ = 0;
};

class SampleSchema {
 public:
  SampleSchema(Json sample, const Converts& converts) : sample_(std::move(sample)), converts_{&converts} {}

  [[nodiscard]] Json at(const Place& place) {
    const Json value = sample_[place];
    switch (value.type()) {
      case Json::value_t::object: return object(place, value);
      case Json::value_t::array: return {{"type", "array"}, {"items", items(place, value)}};
      case Json::value_t::string: return {{"type", "string"}};
      case Json::value_t::boolean: return {{"type", "boolean"}};
      case Json::value_t::number_integer:
      case Json::value_t::number_unsigned: return {{"type", "integer"}};
      case Json::value_t::number_float: return {{"type", "number"}};
      default: return or_null(place);
    }
  }

 private:
  [[nodiscard]] Json object(const Place& place, const Json& value) {
    Json schema{{"type", "object"}, {"properties", Json::object()}, {"required", Json::array()}};
    for (const auto& [key, unused] : value.items()) {
      static_cast<void>(unused);
      schema["properties"][key] = at(place / key);
      schema["required"].push_back(key);
    }
    schema["additionalProperties"] = false;
    if (value.empty()) schema["additionalProperties"] = found(place / "key");  // of a map
    return schema;
  }
  [[nodiscard]] Json items(const Place& place, const Json& value) {
    if (value.empty()) return found(place / std::size_t{0});
    const Json first = at(place / std::size_t{0});
    for (std::size_t index = 1; index < value.size(); ++index) {
      if (at(place / index) != first) return Json::object();  // a pair, a tuple: each place is of its own type
    }
    return first;
  }
  /// What may be missing is null by default.
  [[nodiscard]] Json or_null(const Place& place) {
    Json schema = found(place);
    if (!schema.contains("type")) return schema;
    return {{"anyOf", {std::move(schema), Json{{"type", "null"}}}}};
  }
  /// The schema of what the conversion accepts there; anything where that is not found out.
  [[nodiscard]] Json found(const Place& place) {
    if (found_ == most_found) return Json::object();  // a type that has itself among its members
    const std::optional<Json> filled = Prober{sample_, *converts_}.fill(place);
    if (!filled || !filled->contains(place) || (*filled)[place].is_null()) return Json::object();
    Json before = std::exchange(sample_, *filled);
    ++found_;
    Json schema = at(place);
    --found_;
    sample_ = std::move(before);
    return schema;
  }

  static constexpr int most_found = 6;

  Json sample_;
  int found_ = 0;  // how many places further out were filled for this one
  const Converts* converts_;
};

[[nodiscard]] Json as_json(std::string_view text) { return Json::parse(text, nullptr, false); }

/// What is asked for, and how it stands in the answer.
struct Wanted {
  Schema schema;  ///< of the answer
  bool wrapped;   ///< the value is the member `value`

  /// The value in the text.
  [[nodiscard]] Json value_in(std::string_view text) const {
    Json json = as_json(unfenced(text));
    if (!wrapped) return json;
    return std::move(json["value"]);
  }
};

/// Asks for the schema in the request. Errors: a schema that answers cannot be checked by.
[[nodiscard]] Result<Wanted> want(ChatRequest& request, const TypedOptions& options, std::string (*derive)()) {
  std::string schema = options.schema;
  const bool has_own = request.response_format && request.response_format->type == ResponseFormat::Type::json_schema;
  if (schema.empty() && has_own) schema = request.response_format->schema;
  const bool derived = schema.empty();
  if (derived) schema = derive();
  const bool wrapped = !asks_for_object(schema);
  if (wrapped) {
    Json value = as_json(schema);
    Json whole{{"type", "object"}, {"required", {"value"}}, {"additionalProperties", false}};
    for (const char* const definitions : {"$defs", "definitions"}) {  // references begin at the root
      if (value.is_object() && value.contains(definitions)) {
        whole[definitions] = std::move(value[definitions]);
        value.erase(definitions);
      }
    }
    whole["properties"] = {{"value", std::move(value)}};
    schema = json_text(whole);
  }
  Result<Schema> compiled = Schema::compile(schema);
  if (!compiled) return std::move(compiled).error();
  if (!has_own) {
    request.response_format.emplace();
    request.response_format->name = options.name;
  }
  request.response_format->type = ResponseFormat::Type::json_schema;
  request.response_format->schema = std::move(schema);
  return Wanted{*std::move(compiled), wrapped};
}

}  // namespace

std::string schema_of_sample(const Json& sample, const Converts& converts) {
  return json_text(SampleSchema{sample, converts}.at(Place{}));
}

// "[json.exception.out_of_range.403] key 'city' not found"
std::string missing_key_in(std::string_view words) {
  constexpr std::string_view before = "key '";
  constexpr std::string_view after = "' not found";
  const std::size_t begin = words.find(before);
  const std::size_t end = words.rfind(after);
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin + before.size()) return {};
  return std::string{words.substr(begin + before.size(), end - begin - before.size())};
}

std::string text_of_json(const Json& json) { return json_text(json); }

bool asks_for_object(std::string_view schema) {
  const Json json = as_json(schema);
  return json.is_object() && json.contains("type") && json["type"] == "object";
}

namespace {

/// Whether the type holds another number than was given: an integer that it has no room for, or a fraction that it cuts
/// off. A fraction may be rounded.
[[nodiscard]] bool is_other_number(const Json& given, const Json& converted) {
  if (!given.is_number() || !converted.is_number()) return false;
  if (!given.is_number_float()) {
    const auto is_negative = [](const Json& one) { return !one.is_number_unsigned() && one < 0; };
    return given != converted || is_negative(given) != is_negative(converted);  // they compare as if both had a sign
  }
  if (!converted.is_number_float()) return given.get<double>() != converted.get<double>();
  const double rounding = 1e-6 * std::abs(given.get<double>());
  return std::abs(given.get<double>() - converted.get<double>()) > rounding;
}

[[nodiscard]] Objection changed_at(const Place& place, const Json& given, const Json& converted) {
  const auto complain = [&](std::string_view what) { return (place.empty() ? "it" : place.to_string()).append(what); };
  if (given.is_string() && converted.is_string() && given != converted) {
    return complain(" is no word of those that are accepted");
  }
  if (is_other_number(given, converted)) return complain(" is no number that fits there");
  if (!given.is_structured() || given.type() != converted.type()) return std::nullopt;
  for (const auto& entry : given.items()) {
    const Place inside = Place{} / entry.key();
    if (!converted.contains(inside)) continue;
    if (auto objection = changed_at(place / entry.key(), entry.value(), converted[inside])) return objection;
  }
  return std::nullopt;
}

}  // namespace

Objection changed_value(const Json& given, const Json& converted) { return changed_at(Place{}, given, converted); }

Result<CheckedReply> chat_checked(const FallbackClient& client, ChatRequest request, const TypedOptions& options,
                                  std::string (*derive)(), std::function<Objection(const Json&)> objection) {
  const Result<Wanted> wanted = want(request, options, derive);
  if (!wanted) return wanted.error();
  const auto check = [wanted = *wanted, objection = std::move(objection)](const Answer& answer) -> Objection {
    const std::string text = answer.response.text();
    if (auto wrong = wanted.schema.check(unfenced(text))) return wrong;
    return objection(wanted.value_in(text));
  };
  CallOptions call = options.call;
  const Policy floor = accept_if(satisfies("fits the type", check) && finished(), {.repair = options.repair});
  call.around = call.around ? *call.around | floor : floor;
  Result<ChatResponse> reply = client.chat(request, call);
  if (!reply) return std::move(reply).error();
  Json value = wanted->value_in(reply->text());
  return CheckedReply{std::move(value), *std::move(reply)};
}

}  // namespace backstop::inline v0::detail
