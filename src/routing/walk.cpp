#include "routing/walk.hpp"

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "policies/duration_text.hpp"

namespace backstop::inline v0::detail {
namespace {

[[nodiscard]] Error refuse(ErrorKind kind, const Target& target, std::string message) {
  Error error{kind, std::move(message)};
  error.target = target;
  return error;
}

/// A failure that the targets of one failure domain have in common: of their account, their gateway, their region.
[[nodiscard]] bool is_of_the_pool(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::connect_failed:
    case ErrorKind::rate_limited:
    case ErrorKind::quota_exhausted:
    case ErrorKind::overloaded:
    case ErrorKind::authentication:
    case ErrorKind::permission: return true;
    default: return false;
  }
}

/// Says something on the target, and not only that it was not asked or not let finish.
[[nodiscard]] bool is_failure_of_target(const Error& error) noexcept {
  switch (error.kind) {
    case ErrorKind::circuit_open:
    case ErrorKind::local_limit:
    case ErrorKind::budget_exceeded:
    case ErrorKind::cancelled:
    case ErrorKind::deadline_exceeded: return false;
    default: return true;
  }
}

}  // namespace

void Refusals::add(const Candidate& candidate, const Error& error) {
  const bool waits = passes_with_time(error.kind) && error.retry_after.has_value();
  if (waits && (soonest_ == nullptr || *error.retry_after < *error_->retry_after)) {
    soonest_ = &candidate;
    error_ = error;
  } else if (!error_) {
    error_ = error;
  }
}

Walk::Walk(const Candidates& candidates, const ChatRequest& request, CallContext& context)
    : candidates_{&candidates}, request_{&request}, context_{&context}, needs_{needs_of(request)} {}

std::optional<Walk::Step> Walk::next() noexcept {
  while (position_ < candidates_->size()) {
    const std::size_t index = position_++;
    if (!has_failed(index)) return Step{index};
  }
  if (returned_ < left_to_others_.size()) return Step{left_to_others_[returned_++], true};
  return std::nullopt;
}

std::optional<Error> Walk::obstacle_of(std::size_t index, TimePoint now) const {
  if (auto out = lasting_obstacle(index, now)) return out;
  if (!candidate(index).is_spared(now) || !other_goes_first(index, now)) return std::nullopt;
  const Duration rest = candidate(index).spared_until.load(std::memory_order_relaxed) - now;
  Error error = refuse(ErrorKind::local_limit, candidate(index).provider.target(),
                       fmt::format("its limits are used up for another {}, as its last answer said",
                                   duration_text(rest)));
  error.retry_after = rest;
  return error;
}

std::optional<Error> Walk::lasting_obstacle(std::size_t index, TimePoint now) const {
  const Target& target = candidate(index).provider.target();
  for (const FailedPool& pool : failed_pools_) {
    const std::string& domain = target.facts().failure_domain;
    if (pool.target->facts().failure_domain != domain) continue;
    return refuse(ErrorKind::local_limit, target,
                  fmt::format("it shares the failure domain \"{}\" with {}, which failed with {}", domain,
                              pool.target->name(), to_string(pool.why)));
  }
  if (continues_text_ && !target.facts().capabilities.prefill) {
    return refuse(ErrorKind::unsupported_capability, target,
                  "a part of the answer has been delivered, and it does not continue what others have begun");
  }
  return obstacle(candidate(index), *request_, needs_, requirement_, now);
}

bool Walk::other_goes_first(std::size_t index, TimePoint now) const {
  for (std::size_t other = index + 1; other < candidates_->size(); ++other) {
    if (!has_failed(other) && !candidate(other).is_spared(now) && !lasting_obstacle(other, now)) return true;
  }
  return false;
}

std::size_t Walk::ready_from(std::size_t index, TimePoint now) const {
  std::size_t ready = 0;
  for (; index < candidates_->size(); ++index) ready += has_failed(index) || obstacle_of(index, now) ? 0 : 1;
  return ready;
}

void Walk::pass_over(std::size_t index, const Error& obstacle, TimePoint now) {
  refusals.add(candidate(index), obstacle);
  if (const auto cooling = candidate(index).cooldown.active(now)) note_pool(index, cooling->why);
}

bool Walk::has_failed(std::size_t index) const noexcept {
  return std::find(failed_substitutes_.begin(), failed_substitutes_.end(), index) != failed_substitutes_.end();
}

void Walk::ask(std::size_t index) noexcept {
  asked_ = index;
  asked_row_ = context_->state().ledger.size();
  taken_over_ = false;
}

void Walk::note(Result<ChatResponse>& result) {
  if (result) result->fallback = result->fallback || asked_ > 0 || taken_over_;
  note_limits(asked_, *context_, asked_row_);
  if (taken_over_) return;  // noted where the substitute was called
  if (result) {
    candidate(asked_).cooldown.note_success();
  } else {
    note_failure(asked_, result.error(), context_->now());
  }
}

void Walk::note_failure(std::size_t index, const Error& error, TimePoint now) {
  candidate(index).cooldown.note(error, now);
  note_pool(index, error.cause.value_or(error.kind));
}

void Walk::note_pool(std::size_t index, ErrorKind why) {
  const Target& target = candidate(index).provider.target();
  if (!target.facts().failure_domain.empty() && is_of_the_pool(why)) failed_pools_.push_back({&target, why});
}

void Walk::note_limits(std::size_t index, const CallContext& context, std::size_t first_row) const {
  const Ledger& ledger = context.state().ledger;
  const Target& target = candidate(index).provider.target();
  for (std::size_t row = ledger.size(); row-- > first_row;) {
    if (ledger[row].target != target) continue;
    if (ledger[row].rate_limit) candidate(index).note_limits(*ledger[row].rate_limit, context.now());
    return;
  }
}

const Target* Walk::choose() {
  const TimePoint now = context_->now();
  const std::string& domain = candidate(asked_).provider.target().facts().failure_domain;
  for (std::size_t index = asked_ + 1; index < candidates_->size(); ++index) {
    const Provider& provider = candidate(index).provider;
    const bool same_pool = !domain.empty() && provider.target().facts().failure_domain == domain;
    if (same_pool || has_failed(index) || candidate(index).is_spared(now) || lasting_obstacle(index, now)) continue;
    if (provider.availability(now).probe) continue;
    substitute_ = index;
    return &provider.target();
  }
  return nullptr;
}

Task<Result<ChatResponse>> Walk::call(const ChatRequest& request, CallContext& context) {
  const std::size_t index = substitute_;
  const std::size_t first_row = context.state().ledger.size();
  auto result = co_await candidate(index).provider.call(request, context);
  note_limits(index, context, first_row);
  if (result) {
    candidate(index).cooldown.note_success();
    co_return result;
  }
  const Error& error = result.error();
  note_failure(index, error, context.now());
  if (is_failure_of_target(error)) {
    failed_substitutes_.push_back(index);
    static_cast<void>(requirement_.add(error, false));
  }
  co_return result;
}

void Walk::took_over(const Error* other) noexcept {
  taken_over_ = true;
  if (other != nullptr) candidate(asked_).cooldown.note(*other, context_->now());
}

}  // namespace backstop::inline v0::detail
