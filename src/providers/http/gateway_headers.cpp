#include "gateway_headers.hpp"

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

#include "text/ascii.hpp"

namespace backstop::inline v0::detail {
namespace {

template <class Number>
[[nodiscard]] std::optional<Number> header_number(std::string_view text) noexcept {
  text = trim(text);
  Number number{};
  const auto [stop, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || problem != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
  return number;
}

[[nodiscard]] std::optional<int> header_count(const HttpResponseHead& head, std::string_view name) {
  constexpr int most = 1000;
  const std::optional<int> count = header_number<int>(head.header(name));
  return count && *count >= 0 && *count <= most ? count : std::nullopt;
}

[[nodiscard]] std::string_view first_header(const HttpResponseHead& head, std::string_view name, std::string_view other) {
  const std::string_view value = head.header(name);
  return value.empty() ? head.header(other) : value;
}

void read_litellm(const HttpResponseHead& head, GatewayReport& report) {
  report.served_by = first_header(head, "x-litellm-model-api-base", "x-litellm-model-id");
  // It says zero of models whose price it does not know.
  const std::optional<double> cost = header_number<double>(head.header("x-litellm-response-cost"));
  if (cost && *cost > 0) report.cost = reported_cost(*cost);
  const std::optional<int> retries = header_count(head, "x-litellm-attempted-retries");
  const std::optional<int> fallbacks = header_count(head, "x-litellm-attempted-fallbacks");
  if (retries || fallbacks) report.attempts = 1 + retries.value_or(0) + fallbacks.value_or(0);
}

void read_portkey(const HttpResponseHead& head, GatewayReport& report) {
  report.served_by = first_header(head, "x-portkey-provider", "x-portkey-last-used-option-index");
  const std::optional<int> retries = header_count(head, "x-portkey-retry-attempt-count");
  if (retries) report.attempts = 1 + *retries;
}

void read_claude_code_router(const HttpResponseHead& head, GatewayReport& report) {
  report.model = head.header("x-ccr-fallback-model");
  if (const std::optional<int> more = header_count(head, "x-ccr-fallback-attempts")) report.attempts = *more;
}

}  // namespace

std::optional<Money> reported_cost(double dollars) noexcept {
  constexpr double most = 1e6;
  if (!(dollars >= 0 && dollars <= most)) return std::nullopt;
  return Money::usd(dollars);
}

GatewayReport gateway_report(const HttpResponseHead& head) {
  GatewayReport report;
  for (const Header& header : head.headers) {
    const std::string_view name = header.first;
    if (name.size() < 6 || (name.front() | 0x20) != 'x' || name[1] != '-') continue;
    const auto begins = [name](std::string_view prefix) {
      return equal_ignoring_case(name.substr(0, prefix.size()), prefix);
    };
    if (begins("x-litellm-")) return read_litellm(head, report), report;
    if (begins("x-portkey-")) return read_portkey(head, report), report;
    if (begins("x-ccr-")) return read_claude_code_router(head, report), report;
  }
  return report;
}

}  // namespace backstop::inline v0::detail
