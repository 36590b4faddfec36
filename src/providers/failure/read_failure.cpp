#include "read_failure.hpp"

#include <charconv>
#include <string_view>

#include "text/duration.hpp"
#include "text/ascii.hpp"

namespace backstop::inline v0::detail {
namespace {

// Strings as they are, numbers in digits, objects and arrays as JSON.
std::string to_words(const JsonElement& element) {
  if (element.is_string()) return std::string{as_text(element)};
  if (element.is_null() || element.is_bool()) return {};
  return json_of(element);
}

std::string words_of(const JsonElement& element, std::string_view key) {
  const std::optional<JsonElement> value = member(element, key);
  return value ? to_words(*value) : std::string{};
}

// "401" or 401, where it can be a status of HTTP.
int status_in(std::string_view text) noexcept {
  int status = 0;
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, status);
  return problem == std::errc{} && stop == end && status >= 400 && status <= 599 ? status : 0;
}

std::string first_of(const JsonElement& element, std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys) {
    if (std::string words = words_of(element, key); !words.empty()) return words;
  }
  return {};
}

// FastAPI: `[{"loc": ["body", "tools"], "msg": "Field required", "type": "missing"}]`, or a string.
std::string detail_words(const JsonElement& detail) {
  JsonArray list;
  if (detail.get(list) != simdjson::SUCCESS) return to_words(detail);
  std::string words;
  for (const JsonElement entry : list) {
    const std::string_view said = text_of(entry, "msg");
    if (said.empty()) return to_words(detail);
    if (!words.empty()) words += "; ";
    if (const auto place = member(entry, "loc")) words.append(to_words(*place)).append(": ");
    words += said;
  }
  return words;
}

// `[{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]`: one for a day is used up, others come back
// soon.
bool is_daily_quota(const JsonElement& violations) {
  JsonArray list;
  if (violations.get(list) != simdjson::SUCCESS) return false;
  for (const JsonElement violation : list) {
    const std::string_view quota = text_of(violation, "quotaId");
    if (quota.find("PerDay") != std::string_view::npos || quota.find("Daily") != std::string_view::npos) return true;
  }
  return false;
}

// `{"details": [{"@type": ".../google.rpc.RetryInfo", "retryDelay": "34s"}, {"reason": "API_KEY_INVALID"}]}`; keys
// have been seen with blanks around them.
void read_google_details(const JsonElement& details, ProviderFailure& failure) {
  JsonArray list;
  if (details.get(list) != simdjson::SUCCESS) return;
  bool daily = false;
  for (const JsonElement entry : list) {
    JsonObject object;
    if (entry.get(object) != simdjson::SUCCESS) continue;
    for (const auto field : object) {
      const std::string_view key = trim(field.key);
      if (key == "retryDelay") failure.retry_after = parse_duration(as_text(field.value));
      if (is_key(key, "reason")) failure.reason = as_text(field.value);
      daily = daily || (is_key(key, "violations") && is_daily_quota(field.value));
    }
  }
  if (daily) failure.reason = "quota_exhausted";  // whatever else it is called
}

// OpenRouter's own message is often just "Provider returned error"; what the provider said stands in `metadata`.
void read_metadata(const JsonElement& metadata, ProviderFailure& failure) {
  failure.reason = words_of(metadata, "error_type");
  if (failure.message.empty() || failure.message == "Provider returned error") {
    if (const std::string raw = words_of(metadata, "raw"); !raw.empty()) failure.message.append(": ").append(raw);
  }
  if (const auto reasons = member(metadata, "reasons")) failure.message.append(" ").append(to_words(*reasons));
}

void read_fields(const JsonElement& object, ProviderFailure& failure) {
  failure.message = first_of(object, {"message", "Message", "msg", "error_msg", "status_msg"});
  if (failure.message.empty()) {
    if (const auto detail = member(object, "detail")) failure.message = detail_words(*detail);
  }
  failure.code = first_of(object, {"code", "error_code"});
  failure.param = words_of(object, "param");
  failure.type = first_of(object, {"type", "__type"});
  failure.request_id = words_of(object, "request_id");
  for (const std::string_view key : {"code", "status_code", "status", "raw_status_code"}) {
    if (failure.http_status == 0) failure.http_status = status_in(words_of(object, key));
  }
  if (const auto status = member(object, "status"); status && status->is_string()) failure.status = as_text(*status);
  if (const auto details = member(object, "details")) read_google_details(*details, failure);
  if (const auto inner = member(object, "innererror")) failure.reason = words_of(*inner, "code");
  if (const auto metadata = member(object, "metadata")) read_metadata(*metadata, failure);
}

// A number, or one in a string.
bool number_in(const JsonElement& code, double& number) noexcept {
  if (code.get(number) == simdjson::SUCCESS) return true;
  const std::string_view text = as_text(code);
  const auto [stop, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  return problem == std::errc{} && stop == text.data() + text.size();
}

std::optional<JsonElement> first_element(const JsonElement& list) noexcept {
  JsonElement first;
  if (!list.is_array() || list.at(0).get(first) != simdjson::SUCCESS) return std::nullopt;
  return first;
}

}  // namespace

ProviderFailure read_failure(const JsonElement& document) {
  ProviderFailure failure;
  if (const auto first = first_element(document)) return read_failure(*first);
  if (document.is_string()) {
    failure.message = as_text(document);
    return failure;
  }
  const auto error = member(document, "error");
  if (error && error->is_object()) {
    read_fields(*error, failure);
    if (failure.request_id.empty()) failure.request_id = words_of(document, "request_id");
    return failure;
  }
  if (const auto errors = member(document, "errors")) {
    if (const auto first = first_element(*errors)) {
      read_fields(*first, failure);
      if (failure.message.empty()) failure.message = to_words(*first);
      return failure;
    }
  }
  if (const auto base = member(document, "base_resp"); base && is_failed_base(*base)) {
    read_fields(*base, failure);
    failure.code = words_of(*base, "status_code");
    failure.reason = "base_resp/" + failure.code;
    return failure;
  }
  read_fields(document, failure);
  // Flat documents have a `type` that only says that they are errors.
  if (failure.type == "error") failure.type.clear();
  if (error && error->is_string()) failure.message = as_text(*error);
  return failure;
}

bool is_failure_value(const JsonElement& error) noexcept {
  JsonObject object;
  if (error.get(object) == simdjson::SUCCESS) return object.begin() != object.end();
  JsonArray list;
  if (error.get(list) == simdjson::SUCCESS) return list.begin() != list.end();
  if (error.is_string()) return !as_text(error).empty() && !is_bare_word(error);
  if (bool yes = false; error.get(yes) == simdjson::SUCCESS) return yes;
  double number = 0;
  return error.get(number) == simdjson::SUCCESS && number != 0;
}

bool is_failure_code(const JsonElement& code) noexcept {
  double number = -1;
  if (number_in(code, number)) return number != 0 && (number < 200 || number > 299);
  const std::string_view word = as_text(code);
  if (code.is_null() || code.is_bool() || (code.is_string() && word.empty())) return false;
  return !equal_ignoring_case(word, "ok") && !equal_ignoring_case(word, "success");
}

bool is_failed_base(const JsonElement& base) noexcept {
  const std::optional<JsonElement> status = member(base, "status_code");
  return status && is_failure_code(*status);
}

bool holds_failure(const JsonElement& document, HasType has_type) noexcept {
  if (const auto first = first_element(document)) {
    const auto error = member(*first, "error");
    return error && is_failure_value(*error);
  }
  JsonObject object;
  if (document.get(object) != simdjson::SUCCESS) return false;
  FailureSigns signs{has_type};
  for (const auto field : object) signs.note(field.key, field.value);
  return signs.failure();
}

}  // namespace backstop::inline v0::detail
