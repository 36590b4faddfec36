#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>

#include <nlohmann/json.hpp>

#include "backstop/json.hpp"
#include "json/parse.hpp"
#include "text/bare_words.hpp"

namespace backstop::inline v0 {
namespace {

using Json = nlohmann::ordered_json;

/// Milliseconds, whole where they are, else with three decimals.
Json milliseconds(std::chrono::nanoseconds time) {
  const auto microseconds = std::chrono::round<std::chrono::microseconds>(time).count();
  if (microseconds % 1000 == 0) return microseconds / 1000;
  return static_cast<double>(microseconds) / 1000;
}

Json milliseconds(const std::optional<std::chrono::nanoseconds>& time) { return time ? milliseconds(*time) : Json{}; }

Json dollars(Money amount) {
  if (amount == Money{}) return 0;
  return amount.usd();
}

Json text_or_null(std::string_view text) { return text.empty() ? Json{} : Json(text); }
Json name_or_null(const Target& target) { return text_or_null(target.name()); }
Json status_or_null(int status) { return status == 0 ? Json{} : Json(status); }

template <class T>
Json value_or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json{};
}

Json window_json(const RateLimitWindow& window) {
  if (!window.known()) return nullptr;
  return {{"limit", value_or_null(window.limit)},
          {"remaining", value_or_null(window.remaining)},
          {"reset_after_ms", milliseconds(window.reset_after)}};
}

Json rate_limit_json(const RateLimitStatus* status) {
  if (status == nullptr) return nullptr;
  return {{"requests", window_json(status->requests)},
          {"tokens", window_json(status->tokens)},
          {"input_tokens", window_json(status->input_tokens)},
          {"output_tokens", window_json(status->output_tokens)}};
}

Json gateway_json(const GatewayReport* report) {
  if (report == nullptr) return nullptr;
  return {{"served_by", text_or_null(report->served_by)},
          {"model", text_or_null(report->model)},
          {"cost_usd", report->cost ? dollars(*report->cost) : Json{}},
          {"attempts", value_or_null(report->attempts)}};
}

/// Null where the price is not known.
Json cost_json(Money cost, bool known) { return known ? dollars(cost) : Json{}; }

Json attempts_json(const Ledger& attempts) {
  Json list = Json::array();
  for (const Attempt& attempt : attempts) list.push_back(to_json(attempt));
  return list;
}

/// The object of a failed call, and with it every key that there is.
Json failure_json(const Error& error) {
  Money cost;
  std::chrono::nanoseconds in_attempts{0};
  for (const Attempt& attempt : error.attempts) {
    cost += attempt.cost;
    in_attempts += attempt.waited + attempt.elapsed;
  }
  return {{"ok", false},
          {"text", nullptr},
          {"reasoning", nullptr},
          {"tool_calls", Json::array()},
          {"finish_reason", nullptr},
          {"usage", nullptr},
          {"model", nullptr},
          {"served_by", nullptr},
          {"fallback", false},
          {"degradation", nullptr},
          {"cost_usd", cost_json(cost, error.cost_known)},
          {"elapsed_ms", milliseconds(error.elapsed.count() > 0 ? error.elapsed : in_attempts)},
          {"attempts", attempts_json(error.attempts)},
          {"error", to_json(error)}};
}

}  // namespace

nlohmann::ordered_json to_json(const ToolCall& call) {
  return {{"id", call.id}, {"name", call.name}, {"arguments", arguments_to_json(call.arguments)}};
}

nlohmann::ordered_json to_json(const Usage& usage) {
  return {{"input_tokens", value_or_null(usage.input_tokens)},
          {"output_tokens", value_or_null(usage.output_tokens)},
          {"cached_input_tokens", value_or_null(usage.cached_input_tokens)},
          {"reasoning_tokens", value_or_null(usage.reasoning_tokens)}};
}

nlohmann::ordered_json to_json(const Degradation& degradation) {
  return {{"features", degradation.features}, {"reason", degradation.reason}, {"notice", degradation.notice}};
}

nlohmann::ordered_json to_json(const Attempt& attempt) {
  return {{"target", name_or_null(attempt.target)},
          {"outcome", attempt.outcome ? to_string(*attempt.outcome) : "ok"},
          {"http_status", status_or_null(attempt.http_status)},
          {"waited_ms", milliseconds(attempt.waited)},
          {"ttft_ms", milliseconds(attempt.ttft)},
          {"elapsed_ms", milliseconds(attempt.elapsed)},
          {"cost_usd", cost_json(attempt.cost, attempt.cost_known)},
          {"cost_estimated", attempt.cost_estimated},
          {"rate_limit", rate_limit_json(attempt.rate_limit.get())},
          {"gateway", gateway_json(attempt.gateway.get())},
          {"chosen_by", attempt.chosen_by ? nlohmann::ordered_json(*attempt.chosen_by) : nullptr},
          {"score", attempt.chosen_by && std::isfinite(attempt.score) ? nlohmann::ordered_json(attempt.score) : nullptr},
          {"reason", text_or_null(quoted_reason_of(attempt))}};
}

nlohmann::ordered_json to_json(const Error& error) {
  return {{"kind", to_string(error.kind)},
          {"message", error.provider_message.empty() ? error.message : error.provider_message},
          {"target", name_or_null(error.target)},
          {"http_status", status_or_null(error.http_status)},
          {"code", text_or_null(error.code)},
          {"request_id", text_or_null(error.request_id)},
          {"retry_after_ms", milliseconds(error.retry_after)},
          {"committed", error.committed},
          {"partial_text", error.committed ? Json(error.partial_text) : Json{}}};
}

nlohmann::ordered_json to_json(const ChatResponse& response) {
  Json calls = Json::array();
  for (const ToolCall& call : response.tool_calls()) calls.push_back(to_json(call));
  Json json{{"ok", true},
          {"text", response.text()},
          {"reasoning", response.reasoning()},
          {"tool_calls", std::move(calls)},
          {"finish_reason", response.finish_reason ? Json(to_string(*response.finish_reason)) : Json{}},
          {"usage", to_json(response.usage)},
          {"model", text_or_null(response.model)},
          {"served_by", name_or_null(response.served_by)},
          {"fallback", response.fallback},
          {"degradation", response.degradation ? to_json(*response.degradation) : Json{}},
          {"cost_usd", cost_json(response.cost, response.cost_known)},
          {"elapsed_ms", milliseconds(response.elapsed)},
          {"attempts", attempts_json(response.attempts)},
          {"error", nullptr}};
  if (response.raw.empty()) return json;
  const bool deep = detail::nesting_of(response.raw) > detail::deepest_json;
  Json raw = deep ? Json{} : Json::parse(detail::mark_numbers(response.raw), nullptr, false);
  json["raw"] = deep || raw.is_discarded() ? Json(response.raw) : std::move(raw);
  return json;
}

nlohmann::ordered_json result_to_json(const Result<ChatResponse>& result) {
  return result ? to_json(*result) : failure_json(result.error());
}

nlohmann::ordered_json to_json(const StreamEvent& event) {
  Json json{{"event", to_string(event.type)}};
  switch (event.type) {
    case StreamEvent::Type::text:
    case StreamEvent::Type::reasoning:
      json["delta"] = event.delta;
      return json;
    case StreamEvent::Type::tool_call:
      if (event.tool_call != nullptr) json.update(to_json(*event.tool_call));
      return json;
    case StreamEvent::Type::restarted:
      json["target"] = name_or_null(event.target);
      return json;
    case StreamEvent::Type::degraded:
      if (event.degradation != nullptr) json.update(to_json(*event.degradation));
      return json;
    case StreamEvent::Type::tool_call_delta:
    case StreamEvent::Type::finished:
    case StreamEvent::Type::failed:
    case StreamEvent::Type::progress: break;
  }
  return nullptr;
}

}  // namespace backstop::inline v0
