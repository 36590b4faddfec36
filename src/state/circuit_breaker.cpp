#include "backstop/state/circuit_breaker.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <stdexcept>

#include "backstop/observe/observer.hpp"
#include "text/name_in.hpp"

namespace backstop::inline v0 {
namespace {

/// How long a caller is told to wait while a probe is under way, whose verdict may fall at any moment.
constexpr Duration probe_patience = std::chrono::seconds{1};

/// The share of calls with which a ramp begins.
constexpr double ramp_from = 0.1;

constexpr std::string_view by_hand = "by hand";

Duration scaled(Duration span, double factor) noexcept {
  const double ns = static_cast<double>(span.count()) * factor;
  return ns < 9.2e18 ? Duration{static_cast<std::int64_t>(ns)} : Duration::max();
}

/// `first`, doubled so many times, at most `longest`.
Duration doubled(Duration first, int times, Duration longest) noexcept {
  Duration span = std::min(first, longest);
  for (int i = 0; i < times && span < longest; ++i) span = span > longest / 2 ? longest : span * 2;
  return span;
}

bool reaches(std::int64_t part, std::int64_t whole, double rate) noexcept {
  return static_cast<double>(part) / static_cast<double>(whole) >= rate;
}

}  // namespace

std::string_view to_string(BreakerState state) noexcept {
  constexpr std::array<std::string_view, 6> names{"closed",   "open",     "half_open",
                                                  "isolated", "disabled", "metrics_only"};
  return detail::name_in(names, state);
}

// What calls do.

void BreakerPermit::first_content(TimePoint at) noexcept {
  if (breaker_ == nullptr || role_ != Role::probe) return;
  std::unique_lock lock{breaker_->mutex_};
  if (generation_ != breaker_->word().generation()) {
    breaker_ = nullptr;
    return;
  }
  CircuitBreaker& breaker = *breaker_;
  breaker.judge_probe({.verdict = BreakerVerdict::success, .at = at}, audience_);
  role_ = Role::judged_probe;
  generation_ = breaker.word().generation();
  breaker.tell(lock);
}

void BreakerPermit::record(const BreakerOutcome& outcome) noexcept {
  if (outcome.verdict == BreakerVerdict::ignored) return give_back();
  if (breaker_ == nullptr) return;
  CircuitBreaker& breaker = *std::exchange(breaker_, nullptr);
  std::unique_lock lock{breaker.mutex_};
  breaker.judge(*this, outcome);
  breaker.tell(lock);
}

void BreakerPermit::give_back() noexcept {
  CircuitBreaker* breaker = std::exchange(breaker_, nullptr);
  if (breaker == nullptr || role_ != Role::probe) return;
  const std::lock_guard lock{breaker->mutex_};
  const CircuitBreaker::Word word = breaker->word();
  if (generation_ == word.generation()) breaker->set_word(CircuitBreaker::Word::of(word.state(), false, generation_));
}

BreakerPermit CircuitBreaker::try_acquire(TimePoint now, bool forced, BreakerAudience audience) noexcept {
  const Word current = word();
  if (current.lets_all_through()) {
    return BreakerPermit{*this, current.generation(), BreakerPermit::Role::counted, audience};
  }
  if (!admits_probe(current, now, forced)) return {};
  return acquire_probe(now, forced, audience);
}

std::optional<TimePoint> CircuitBreaker::refuses_until(TimePoint now) const noexcept {
  const Word current = word();
  const BreakerState state = current.state();
  if (current.lets_all_through()) return std::nullopt;
  if (state == BreakerState::isolated) return TimePoint::max();
  if (admits_probe(current, now, false)) return std::nullopt;
  const TimePoint open_until = open_until_.load(std::memory_order_relaxed);
  if (state == BreakerState::open && now < open_until) return open_until;
  return std::min(lease_until_.load(std::memory_order_relaxed), saturating_add(now, probe_patience));
}

double CircuitBreaker::ramp_share(TimePoint now) const noexcept {
  const TimePoint until = ramp_until_.load(std::memory_order_relaxed);
  if (now >= until || state() != BreakerState::closed) return 1;
  const double to_go = static_cast<double>((until - now).count()) / static_cast<double>(options_.ramp.count());
  return 1 - (1 - ramp_from) * std::min(to_go, 1.0);
}

bool CircuitBreaker::admits_probe(Word word, TimePoint now, bool forced) const noexcept {
  if (word.state() == BreakerState::isolated) return false;
  if (word.probe_out() && now < lease_until_.load(std::memory_order_relaxed)) return false;
  return forced || word.state() == BreakerState::half_open || now >= open_until_.load(std::memory_order_relaxed);
}

BreakerPermit CircuitBreaker::acquire_probe(TimePoint now, bool forced, BreakerAudience audience) noexcept {
  std::unique_lock lock{mutex_};
  Word current = word();
  if (current.state() != BreakerState::open && current.state() != BreakerState::half_open) {
    lock.unlock();  // changed since it was looked at
    return current.state() == BreakerState::isolated ? BreakerPermit{} : try_acquire(now, forced, audience);
  }
  if (!admits_probe(current, now, forced)) return {};

  if (current.state() == BreakerState::open && now >= open_until_.load(std::memory_order_relaxed)) {
    change(BreakerState::half_open, "the open time is over", audience);
    successes_ = 0;
    current = word();
  }
  // The probe whose lease has run out is void: the next generation does not know it.
  const std::uint64_t generation = current.generation() + (current.probe_out() ? 1 : 0);
  lease_until_.store(saturating_add(now, options_.probe_lease), std::memory_order_relaxed);
  set_word(Word::of(current.state(), true, generation));
  tell(lock);
  return BreakerPermit{*this, generation, BreakerPermit::Role::probe, audience};
}

// What outcomes do; the lock is held.

void CircuitBreaker::judge(BreakerPermit& permit, const BreakerOutcome& outcome) noexcept {
  const Word current = word();
  const bool failed = outcome.verdict == BreakerVerdict::failure;
  const bool judged = permit.role_ == BreakerPermit::Role::judged_probe;
  // A judged probe has had its success counted. That it broke later is news for the recovery it was part of.
  if (judged ? !failed || permit.generation_ < recovery_ : permit.generation_ != current.generation()) return;

  switch (current.state()) {
    case BreakerState::closed: {
      count(outcome);
      const std::string_view reason = reason_to_open(outcome.at);
      if (!reason.empty()) open(outcome, reason, permit.audience_);
      return;
    }
    case BreakerState::metrics_only:
      return count(outcome);
    case BreakerState::open:
      if (!judged) judge_probe(outcome, permit.audience_);
      return;
    case BreakerState::half_open:
      return judge_probe(outcome, permit.audience_);
    case BreakerState::isolated:
    case BreakerState::disabled:
      return;
  }
}

void CircuitBreaker::judge_probe(const BreakerOutcome& outcome, BreakerAudience audience) noexcept {
  const Word current = word();
  const bool was_open = current.state() == BreakerState::open;  // then the probe was a forced one
  if (outcome.verdict == BreakerVerdict::failure) {
    share_before_ /= 2;
    if (was_open) return set_word(Word::of(BreakerState::open, false, current.generation()));
    return open(outcome, "a probe failed", audience);
  }
  successes_ = was_open ? 1 : successes_ + 1;
  if (successes_ >= options_.successes_to_close) {
    change(BreakerState::closed, "the probes succeeded", audience);
    clear_counts();
    share_before_ = 1;
    closed_since_ = outcome.at;
    if (options_.ramp > Duration::zero()) {
      ramp_until_.store(saturating_add(outcome.at, options_.ramp), std::memory_order_relaxed);
    }
  } else if (was_open) {
    change(BreakerState::half_open, "a forced probe succeeded", audience);
  } else {
    set_word(Word::of(BreakerState::half_open, false, current.generation()));
  }
}

void CircuitBreaker::count(const BreakerOutcome& outcome) noexcept {
  const bool failed = outcome.verdict == BreakerVerdict::failure;
  const bool slow = outcome.ttft && *outcome.ttft > options_.slow_after;
  window_.add(outcome.at, Counts{1, failed ? 1 : 0, slow ? 1 : 0});
  consecutive_ = failed ? std::min(consecutive_, options_.consecutive_failures - 1) + 1 : 0;
  if (!closed_since_) closed_since_ = outcome.at;
}

std::string_view CircuitBreaker::reason_to_open(TimePoint now) const noexcept {
  if (consecutive_ >= options_.consecutive_failures) return "consecutive failures";
  const Counts counts = window_.total(now);
  if (counts.calls < options_.min_calls) return {};
  if (reaches(counts.failures, counts.calls, options_.failure_rate)) return "failure rate";
  if (options_.slow_rate && reaches(counts.slow, counts.calls, *options_.slow_rate)) return "slow calls";
  return {};
}

void CircuitBreaker::open(const BreakerOutcome& outcome, std::string_view reason, BreakerAudience audience) noexcept {
  open_until_.store(saturating_add(outcome.at, next_open_time(outcome)), std::memory_order_relaxed);
  ++times_opened_;
  if (const Counts counts = window_.total(outcome.at); counts.calls > 0) share_before_ = counts.expected_share();
  change(BreakerState::open, reason, audience);
  clear_counts();
}

int CircuitBreaker::doublings_at(TimePoint now) const noexcept {
  if (word().state() != BreakerState::closed || !closed_since_) return doublings_;
  const std::int64_t forgiven = saturating_difference(now, *closed_since_) / options_.forgive_after;
  return doublings_ - static_cast<int>(std::clamp<std::int64_t>(forgiven, 0, doublings_));
}

Duration CircuitBreaker::next_open_time(const BreakerOutcome& outcome) noexcept {
  doublings_ = doublings_at(outcome.at);
  const Duration longest = options_.open_for_max;
  const Duration span = doubled(options_.open_for, doublings_, longest);
  if (span < longest && !outcome.local_network) ++doublings_;
  const Duration hint = std::min(outcome.retry_after.value_or(Duration::zero()), longest);
  return std::max(scaled(span, 1 + options_.jitter * outcome.jitter), hint);
}

void CircuitBreaker::change(BreakerState to, std::string_view reason, BreakerAudience audience) noexcept {
  const Word current = word();
  const BreakerState from = current.state();
  const std::uint64_t generation = current.generation() + 1;
  // A recovery begins with being half-open, and goes on in the closed state that the probes lead to.
  if (from != BreakerState::half_open || to != BreakerState::closed || reason == by_hand) recovery_ = generation;
  set_word(Word::of(to, false, generation));

  if (from == to || (options_.observers.empty() && (audience.observers == nullptr || audience.observers->empty()))) {
    return;
  }
  try {
    Change news{from, to, reason, audience.target != nullptr ? *audience.target : target_, options_.observers};
    if (audience.observers != nullptr) {
      for (const auto& observer : *audience.observers) {
        if (std::find(news.observers.begin(), news.observers.end(), observer) == news.observers.end()) {
          news.observers.push_back(observer);
        }
      }
    }
    untold_.push_back(std::move(news));
  } catch (...) {
    // Out of memory: the change stands, the news of it is lost.
  }
}

void CircuitBreaker::clear_counts() noexcept {
  window_.clear();
  consecutive_ = 0;
  successes_ = 0;
}

void CircuitBreaker::tell(std::unique_lock<std::mutex>& lock) noexcept {
  if (telling_) return;  // whoever tells goes on with what is new
  telling_ = true;
  while (!untold_.empty()) {
    const std::vector<Change> news = std::exchange(untold_, {});
    lock.unlock();
    for (const Change& change : news) {
      const BreakerEvent event{change.target, to_string(change.from), to_string(change.to), change.reason};
      for (const auto& observer : change.observers) observer->on_breaker(event);
    }
    lock.lock();
  }
  telling_ = false;
}

// What people do.

std::shared_ptr<CircuitBreaker> CircuitBreaker::create(CircuitBreakerOptions options, Target target) {
  return std::make_shared<CircuitBreaker>(std::move(options), std::move(target));
}

CircuitBreaker::CircuitBreaker(CircuitBreakerOptions options, Target target)
    : options_{std::move(options)}, target_{std::move(target)}, window_{options_.window} {
  if (const std::string problem = problem_with(options_); !problem.empty()) throw std::invalid_argument{problem};
}

void CircuitBreaker::isolate() noexcept { set_by_hand(BreakerState::isolated, false); }
void CircuitBreaker::force_close() noexcept { set_by_hand(BreakerState::closed, false); }
void CircuitBreaker::disable() noexcept { set_by_hand(BreakerState::disabled, false); }
void CircuitBreaker::metrics_only() noexcept { set_by_hand(BreakerState::metrics_only, false); }
void CircuitBreaker::reset() noexcept { set_by_hand(BreakerState::closed, true); }

void CircuitBreaker::set_by_hand(BreakerState state, bool as_new) noexcept {
  std::unique_lock lock{mutex_};
  clear_counts();
  share_before_ = 1;
  closed_since_.reset();
  ramp_until_.store(TimePoint::min(), std::memory_order_relaxed);
  if (as_new) {
    doublings_ = 0;
    times_opened_ = 0;
  }
  change(state, by_hand, {});
  tell(lock);
}

double CircuitBreaker::success_share(TimePoint now) const noexcept {
  const std::lock_guard lock{mutex_};
  const Counts counts = window_.total(now);
  return counts.calls > 0 ? counts.success_share() : share_before_;
}

BreakerSnapshot CircuitBreaker::snapshot(TimePoint now) const noexcept {
  const std::lock_guard lock{mutex_};
  const Word current = word();
  const Counts counts = window_.total(now);
  BreakerSnapshot snapshot;
  snapshot.state = current.state();
  snapshot.generation = current.generation();
  snapshot.probe_out = current.probe_out();
  snapshot.calls = counts.calls;
  snapshot.failures = counts.failures;
  snapshot.slow = counts.slow;
  snapshot.consecutive_failures = consecutive_;
  snapshot.probe_successes = successes_;
  snapshot.doublings = doublings_at(now);
  snapshot.times_opened = times_opened_;
  snapshot.open_until = open_until_.load(std::memory_order_relaxed);
  return snapshot;
}

std::string problem_with(const CircuitBreakerOptions& options) {
  constexpr std::string_view where = "circuit_breaker: ";
  const auto problem = [where](std::string_view field, std::string_view accepted) {
    return std::string{where}.append(field).append(" must be ").append(accepted);
  };
  const auto is_rate = [](double rate) { return rate > 0 && rate <= 1; };
  if (options.consecutive_failures < 1) return problem("consecutive_failures", "at least 1");
  if (!is_rate(options.failure_rate)) return problem("failure_rate", "above 0 and at most 1");
  if (options.min_calls < 1) return problem("min_calls", "at least 1");
  if (options.successes_to_close < 1) return problem("successes_to_close", "at least 1");
  if (!(options.jitter >= 0 && options.jitter <= 1)) return problem("jitter", "between 0 and 1");
  if (options.slow_rate && !is_rate(*options.slow_rate)) return problem("slow_rate", "above 0 and at most 1, or unset");

  const std::array<std::pair<std::string_view, Duration>, 6> spans{{{"window", options.window},
                                                                    {"open_for", options.open_for},
                                                                    {"open_for_max", options.open_for_max},
                                                                    {"forgive_after", options.forgive_after},
                                                                    {"probe_lease", options.probe_lease},
                                                                    {"slow_after", options.slow_after}}};
  for (const auto& [field, span] : spans) {
    if (span <= Duration::zero()) return problem(field, "longer than 0");
  }
  if (options.ramp < Duration::zero()) return problem("ramp", "0 for none, or longer");
  if (options.open_for > options.open_for_max) return problem("open_for", "at most open_for_max");
  return {};
}

}  // namespace backstop::inline v0
