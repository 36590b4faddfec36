#include "state/target_statistics.hpp"

#include <algorithm>

namespace backstop::inline v0::detail {
namespace {

constexpr int least_ends = 5;
constexpr Duration first_ejection = std::chrono::seconds{30};
constexpr Duration longest_ejection = std::chrono::seconds{300};
constexpr Duration longest_hint = std::chrono::seconds{300};
/// An answer of fewer tokens says nothing of how fast they come.
constexpr std::int64_t least_tokens = 8;

[[nodiscard]] double seconds(Duration span) noexcept { return std::chrono::duration<double>{span}.count(); }

/// Ended by the caller, by another attempt that won, or by a limit that is the caller's.
[[nodiscard]] bool cut_from_outside(const Error& error) noexcept {
  return error.kind == ErrorKind::cancelled || error.kind == ErrorKind::deadline_exceeded ||
         error.timeout_limit == TimeoutLimit::deadline_share || error.timeout_limit == TimeoutLimit::client_deadline;
}

/// The target's own failure, or its refusal for load. Bad credentials and used-up quota have cooldowns of their own.
[[nodiscard]] bool is_of_the_target(ErrorKind kind) noexcept {
  const ErrorTraits& traits = traits_of(kind);
  return traits.breaker == BreakerVerdict::failure || traits.cooldown == CooldownRule::hint;
}

}  // namespace

void TargetStatistics::end(const SendEnd& end) noexcept {
  in_flight_.fetch_sub(1, std::memory_order_relaxed);
  if (end.error == nullptr) return note_answer(end);
  const Error& error = *end.error;
  const ErrorKind kind = error.cause.value_or(error.kind);
  if (cut_from_outside(error)) {
    const double passed = seconds(end.ttft.value_or(end.elapsed));
    ttft_.add_peak(end.ttft ? passed : std::max(ttft_.estimate(end.at), passed), end.at);
  } else if (kind == ErrorKind::rejected_response) {
    if (end.ttft) ttft_.add_peak(seconds(*end.ttft), end.at);
    count(end.at, false, true);
  } else if (is_of_the_target(kind)) {
    const double hint = seconds(std::min(error.retry_after.value_or(Duration::zero()), longest_hint));
    ttft_.add_peak(std::max({ttft_.estimate(end.at), failure_ttft, hint}), end.at);
    token_time_.add_peak(std::max(token_time_.estimate(end.at), failure_token_time), end.at);
    count(end.at, true, false);
  }
}

void TargetStatistics::note_answer(const SendEnd& end) noexcept {
  const Duration ttft = end.ttft.value_or(end.elapsed);
  ttft_.add_peak(seconds(ttft), end.at);
  const std::int64_t output = end.usage.output_tokens.value_or(0);
  if (output > 0) output_tokens_.add(static_cast<double>(output));
  if (output >= least_tokens) {
    // What came in one piece was written before it came.
    const Duration writing = end.elapsed - ttft > end.elapsed / 20 ? end.elapsed - ttft : end.elapsed;
    token_time_.add(seconds(writing) / static_cast<double>(output), end.at);
  }
  if (end.usage.input_tokens && *end.usage.input_tokens > 0) {
    const auto input = static_cast<double>(*end.usage.input_tokens);
    cached_share_.add(std::clamp(static_cast<double>(end.usage.cached_input_tokens.value_or(0)) / input, 0.0, 1.0));
  }
  count(end.at, false, false);
}

TargetStatistics::Health TargetStatistics::health(TimePoint now) const noexcept {
  const TimePoint out_until = out_until_.load(std::memory_order_relaxed);
  if (out_until != TimePoint::min()) {
    if (now < out_until) return {true, 0, false};
    return {false, in_flight() == 0 ? 1.0 : 0.0, true};
  }
  const TimePoint ramp_from = ramp_from_.load(std::memory_order_relaxed);
  if (ramp_from == TimePoint::min()) return {};
  const double way = seconds(saturating_difference(now, ramp_from)) / seconds(slow_start);
  return {false, std::min(1.0, slow_start_from + (1 - slow_start_from) * std::max(way, 0.0)), false};
}

TargetStatistics::Shares TargetStatistics::counts(TimePoint now) const noexcept {
  const std::lock_guard lock{mutex_};
  return {window_.total(now), ever_};
}

void TargetStatistics::note_verdict(TimePoint at, bool rejected) noexcept {
  rejected_share_.add(rejected ? 1 : 0);
  if (!rejected) return;
  const std::lock_guard lock{mutex_};
  const Counts one{0, 0, 1};
  ever_ += one;
  window_.add(at, one);
}

void TargetStatistics::count(TimePoint at, bool failed, bool rejected) noexcept {
  const std::lock_guard lock{mutex_};
  const Counts one{1, failed ? 1 : 0, rejected ? 1 : 0};
  ever_ += one;
  window_.add(at, one);
  failed ? note_failure(at) : note_success(at);
}

void TargetStatistics::note_success(TimePoint at) noexcept {
  const TimePoint out_until = out_until_.load(std::memory_order_relaxed);
  // Before its time is over an answer, such as to a call that nobody else took, does not bring it back.
  if (out_until == TimePoint::min()) {
    const TimePoint ramp_from = ramp_from_.load(std::memory_order_relaxed);
    if (ejections_ > 0 && saturating_difference(at, ramp_from) >= 2 * slow_start) ejections_ = 0;
    return;
  }
  if (at < out_until) return;
  window_.clear();
  ramp_from_.store(at, std::memory_order_relaxed);
  out_until_.store(TimePoint::min(), std::memory_order_relaxed);
}

void TargetStatistics::note_failure(TimePoint at) noexcept {
  const TimePoint out_until = out_until_.load(std::memory_order_relaxed);
  if (out_until != TimePoint::min()) {
    if (at >= out_until) eject(at);
    return;
  }
  const Counts lately = window_.total(at);
  if (lately.ends >= least_ends && 2 * lately.failures >= lately.ends) eject(at);
}

void TargetStatistics::eject(TimePoint at) noexcept {
  const Counts lately = window_.total(at);
  const double ends = static_cast<double>(std::max<std::int64_t>(lately.ends, 1));
  share_then_.store(1 - static_cast<double>(lately.failures) / ends, std::memory_order_relaxed);
  const Duration span = std::min(longest_ejection, first_ejection * (1 << std::min(ejections_, 4)));
  ++ejections_;
  out_until_.store(saturating_add(at, span), std::memory_order_relaxed);
}

}  // namespace backstop::inline v0::detail
