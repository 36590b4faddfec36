#include "backstop/observe/metrics.hpp"

#include <algorithm>
#include <new>

namespace backstop::inline v0 {
namespace {

/// Something at that target went wrong; an attempt that was stopped because it was no longer wanted does not count.
bool is_trouble(const Attempt& attempt) noexcept { return attempt.outcome && *attempt.outcome != ErrorKind::cancelled; }

bool fell_back(const CallEvent& event) noexcept {
  if (event.response != nullptr) return event.response->fallback;
  return std::any_of(event.attempts.begin(), event.attempts.end(), [&](const Attempt& attempt) {
    return attempt.sent && !attempt.judge && !attempt.summary && !(attempt.target == event.first_choice);
  });
}

}  // namespace

void LatencyHistogram::add(std::chrono::nanoseconds span) noexcept {
  span = std::max(span, std::chrono::nanoseconds::zero());
  const auto bucket = std::lower_bound(bounds.begin(), bounds.end(), span) - bounds.begin();
  ++counts_[static_cast<std::size_t>(bucket)];
  ++count_;
  sum_ += std::min(span, std::chrono::nanoseconds::max() - sum_);
  longest_ = std::max(longest_, span);
}

std::chrono::nanoseconds LatencyHistogram::at_most(double share) const noexcept {
  const double wanted = share * static_cast<double>(count_);
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < bounds.size(); ++bucket) {
    seen += counts_[bucket];
    if (seen == 0 || static_cast<double>(seen) < wanted) continue;
    return std::min<std::chrono::nanoseconds>(bounds[bucket], longest_);
  }
  return longest_;
}

double TargetMetrics::success_rate() const noexcept {
  const std::uint64_t judged = attempts - failures[ErrorKind::cancelled] - failures[ErrorKind::deadline_exceeded] -
                               failures[ErrorKind::local_limit];
  return judged == 0 ? 1 : static_cast<double>(succeeded) / static_cast<double>(judged);
}

const TargetMetrics* MetricsSnapshot::find(std::string_view target) const noexcept {
  const auto row = std::find_if(targets.begin(), targets.end(),
                                [&](const TargetMetrics& metrics) { return metrics.target == target; });
  return row == targets.end() ? nullptr : &*row;
}

MetricsSnapshot Metrics::snapshot() const {
  const std::scoped_lock lock{mutex_};
  MetricsSnapshot copy = totals_;
  copy.targets.reserve(targets_.size());
  for (const auto& [name, row] : targets_) copy.targets.push_back(row);
  return copy;
}

void Metrics::on_begin() noexcept {
  const std::scoped_lock lock{mutex_};
  ++totals_.in_flight;
}

void Metrics::on_attempt(const AttemptEvent& event) noexcept {
  const std::scoped_lock lock{mutex_};
  try {
    count_attempt(event.attempt);
  } catch (const std::bad_alloc&) {
    // Counting must not end the program; see the class.
  }
}

void Metrics::on_call(const CallEvent& event) noexcept {
  const std::scoped_lock lock{mutex_};
  if (totals_.in_flight > 0) --totals_.in_flight;
  try {
    count_call(event);
  } catch (const std::bad_alloc&) {
    // As above.
  }
}

void Metrics::on_breaker(const BreakerEvent& event) noexcept {
  const std::scoped_lock lock{mutex_};
  try {
    TargetMetrics& metrics = row(event.target);
    metrics.breaker = event.to;
    ++metrics.breaker_changes;
  } catch (const std::bad_alloc&) {
    // As above.
  }
}

TargetMetrics& Metrics::row(const Target& target) {
  auto place = targets_.find(target.name());
  if (place == targets_.end()) {
    place = targets_.emplace(target.name(), TargetMetrics{}).first;
    place->second.target = target.name();
  }
  return place->second;
}

void Metrics::count_attempt(const Attempt& attempt) {
  if (!attempt.sent) return;
  TargetMetrics& metrics = row(attempt.target);
  ++metrics.attempts;
  metrics.elapsed += attempt.elapsed;
  metrics.spend += attempt.cost;
  if (attempt.cost_estimated) metrics.estimated_spend += attempt.cost;
  if (attempt.ttft) metrics.ttft.add(*attempt.ttft);
  if (!attempt.outcome) {
    metrics.latency.add(attempt.elapsed);
    ++metrics.succeeded;
    return;
  }
  metrics.failures.add(*attempt.outcome);
  if (attempt.ttft) ++metrics.broken_after_content;
}

void Metrics::count_call(const CallEvent& event) {
  // Sent attempts had an event of their own.
  for (const Attempt& attempt : event.attempts) {
    if (!attempt.sent && attempt.outcome) row(attempt.target).skips.add(*attempt.outcome);
    if (attempt.sent && attempt.outcome == ErrorKind::rejected_response) ++row(attempt.target).rejected;
  }
  const bool troubled = std::any_of(event.attempts.begin(), event.attempts.end(), is_trouble);
  ++totals_.calls;
  totals_.spend += event.cost;
  if (fell_back(event)) ++totals_.fallbacks;
  if (troubled) ++totals_.troubled;
  if (event.response == nullptr) {
    if (event.error != nullptr) totals_.failures.add(event.error->kind);
    return;
  }
  ++totals_.succeeded;
  totals_.latency.add(event.elapsed);
  if (troubled) ++totals_.rescued;
  if (const auto& price = event.first_choice.facts().price) {
    totals_.compared_spend += event.cost;
    totals_.first_choice_cost += cost_of(event.response->usage, *price);
  }
}

}  // namespace backstop::inline v0
