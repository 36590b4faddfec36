#include "backstop/routing/candidate.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "backstop/chat/usage.hpp"
#include "backstop/handover/worst_usage.hpp"

namespace backstop::inline v0 {
namespace {

[[nodiscard]] Error refuse(ErrorKind kind, const Target& target, std::string message) {
  Error error{kind, std::move(message)};
  error.target = target;
  return error;
}

}  // namespace

void Candidate::note_limits(const RateLimitStatus& status, TimePoint now) const noexcept {
  constexpr std::chrono::minutes longest{2};
  for (const RateLimitWindow* window :
       {&status.requests, &status.tokens, &status.input_tokens, &status.output_tokens}) {
    if (!window->remaining || *window->remaining > 0 || !window->reset_after) continue;
    const TimePoint until = saturating_add(now, std::min<Duration>(*window->reset_after, longest));
    TimePoint before = spared_until.load(std::memory_order_relaxed);
    while (before < until && !spared_until.compare_exchange_weak(before, until, std::memory_order_relaxed)) {
    }
  }
}

bool Requirement::add(const Error& error, bool fall_back_on_content_filter) noexcept {
  const ModelFacts& facts = error.target.facts();
  switch (traits_of(error.cause.value_or(error.kind)).fallback) {
    case FallbackRule::never: return false;
    case FallbackRule::yes:
    case FallbackRule::preferred:
    case FallbackRule::with_capability: return true;
    case FallbackRule::opt_in: return fall_back_on_content_filter;
    case FallbackRule::larger_window:
      if (facts.context_window && facts.context_window > window_above) window_above = facts.context_window;
      return true;
    case FallbackRule::cheaper:
      priced = true;
      if (facts.price) cheaper_than = facts.price;
      return true;
  }
  return false;
}

std::optional<Money> worst_cost(const Target& target, const ChatRequest& request, const Needs& needs) noexcept {
  const std::optional<Price>& price = target.facts().price;
  if (!price) return std::nullopt;
  return cost_of(worst_usage(target, request, needs.input_tokens), *price);
}

std::optional<Error> obstacle(const Candidate& candidate, const ChatRequest& request, const Needs& needs,
                              const Requirement& requirement, TimePoint now) {
  const Target& target = candidate.provider.target();
  if (const auto cooling = candidate.cooldown.active(now)) {
    Error error = refuse(ErrorKind::local_limit, target, "cooling down after " + std::string{to_string(cooling->why)});
    error.retry_after = cooling->until - now;
    return error;
  }
  if (std::optional<Error> misfit = unfit(target, request, needs)) return misfit;
  const ModelFacts& facts = target.facts();
  if (requirement.window_above && facts.context_window && *facts.context_window <= *requirement.window_above) {
    return refuse(ErrorKind::context_window_exceeded, target,
                  fmt::format("its context window of {} tokens is no larger than the {} that were too few",
                              *facts.context_window, *requirement.window_above));
  }
  if (requirement.priced && !facts.price) {
    return refuse(ErrorKind::budget_exceeded, target, "its price is not known, and a budget has run short");
  }
  if (requirement.cheaper_than) {
    const Usage worst = worst_usage(target, request, needs.input_tokens);
    if (cost_of(worst, *facts.price) >= cost_of(worst, *requirement.cheaper_than)) {
      return refuse(ErrorKind::budget_exceeded, target, "it is not cheaper than the target that a budget refused");
    }
  }
  if (const Availability availability = candidate.provider.availability(now); !availability.ready) {
    if (availability.ready_at == TimePoint::max()) {
      return refuse(availability.why, target, fmt::format("{} until further notice", to_string(availability.why)));
    }
    Error error = refuse(availability.why, target, std::string{to_string(availability.why)});
    // What may change at any moment, as a bulkhead, does not say when.
    if (availability.ready_at > now) error.retry_after = saturating_difference(availability.ready_at, now);
    return error;
  }
  return std::nullopt;
}

}  // namespace backstop::inline v0
