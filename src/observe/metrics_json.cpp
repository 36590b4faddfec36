#include "backstop/observe/metrics_json.hpp"

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

namespace backstop::inline v0 {
namespace {

using Json = nlohmann::ordered_json;

[[nodiscard]] double milliseconds(std::chrono::nanoseconds span) {
  return std::chrono::duration<double, std::milli>{span}.count();
}

[[nodiscard]] Json histogram(const LatencyHistogram& histogram) {
  Json bounds = Json::array();
  for (const std::chrono::milliseconds bound : LatencyHistogram::bounds) bounds.push_back(bound.count());
  return {{"count", histogram.count()},
          {"sum_ms", milliseconds(histogram.sum())},
          {"bounds_ms", std::move(bounds)},
          {"counts", histogram.counts()}};
}

[[nodiscard]] Json by_kind(const KindCounts& counts) {
  Json kinds = Json::object();
  for (std::size_t i = 0; i < error_kind_count; ++i) {
    const auto kind = static_cast<ErrorKind>(i);
    if (counts[kind] > 0) kinds[std::string{to_string(kind)}] = counts[kind];
  }
  return kinds;
}

[[nodiscard]] Json of_target(const TargetMetrics& metrics) {
  return {{"target", metrics.target},
          {"attempts", metrics.attempts},
          {"succeeded", metrics.succeeded},
          {"success_rate", metrics.success_rate()},
          {"rejected", metrics.rejected},
          {"broken_after_content", metrics.broken_after_content},
          {"failures", by_kind(metrics.failures)},
          {"skips", by_kind(metrics.skips)},
          {"elapsed_ms", milliseconds(metrics.elapsed)},
          {"latency", histogram(metrics.latency)},
          {"ttft", histogram(metrics.ttft)},
          {"spend_usd", metrics.spend.usd()},
          {"estimated_spend_usd", metrics.estimated_spend.usd()},
          {"breaker", metrics.breaker.empty() ? Json{} : Json(metrics.breaker)},
          {"breaker_changes", metrics.breaker_changes}};
}

}  // namespace

nlohmann::ordered_json to_json(const MetricsSnapshot& metrics) {
  Json targets = Json::array();
  for (const TargetMetrics& target : metrics.targets) targets.push_back(of_target(target));
  return {{"calls", metrics.calls},
          {"in_flight", metrics.in_flight},
          {"succeeded", metrics.succeeded},
          {"success_rate", metrics.success_rate()},
          {"fallbacks", metrics.fallbacks},
          {"fallback_rate", metrics.fallback_rate()},
          {"troubled", metrics.troubled},
          {"rescued", metrics.rescued},
          {"rescued_share", metrics.rescued_share()},
          {"failures", by_kind(metrics.failures)},
          {"latency", histogram(metrics.latency)},
          {"spend_usd", metrics.spend.usd()},
          {"cost_differential_usd", metrics.cost_differential().usd()},
          {"targets", std::move(targets)}};
}

}  // namespace backstop::inline v0
