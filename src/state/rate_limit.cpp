#include "backstop/state/rate_limit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <deque>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "state/rate_reservation.hpp"
#include "state/recent_outputs.hpp"
#include "state/token_bucket.hpp"

namespace backstop::inline v0 {
namespace {

using detail::TokenBucket;

using Amounts = std::array<std::int64_t, limit_dimension_count>;
using Buckets = std::array<TokenBucket, limit_dimension_count>;

constexpr std::int64_t largest_rate = 1'000'000'000'000;
constexpr std::int64_t largest_burst = 1'000'000'000;
constexpr std::int64_t largest_amount = std::numeric_limits<std::int64_t>::max() / 4;

constexpr std::size_t at(LimitDimension dimension) noexcept { return static_cast<std::size_t>(dimension); }

/// A limit of the options and its name there.
struct NamedLimit {
  std::string_view name;
  std::optional<std::int64_t> RateLimitOptions::*limit;
};
constexpr std::array<NamedLimit, limit_dimension_count> named_limits{
    {{"requests_per_minute", &RateLimitOptions::requests_per_minute},
     {"tokens_per_minute", &RateLimitOptions::tokens_per_minute},
     {"input_tokens_per_minute", &RateLimitOptions::input_tokens_per_minute},
     {"output_tokens_per_minute", &RateLimitOptions::output_tokens_per_minute}}};

[[nodiscard]] Buckets buckets_for(const RateLimitOptions& options) noexcept {
  constexpr double rounding = 1e-6;  // a factor that has no exact value in binary must not cost a whole unit
  Buckets buckets;
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    const auto& limit = options.*named_limits[i].limit;
    if (!limit) continue;
    const double used = std::floor(static_cast<double>(*limit) * options.safety_factor + rounding);
    const auto rate = options.safety_factor == 1 ? *limit : std::max<std::int64_t>(1, static_cast<std::int64_t>(used));
    const bool of_requests = i == at(LimitDimension::requests);
    buckets[i] = TokenBucket{rate, of_requests ? options.burst.value_or(std::max<std::int64_t>(1, rate / 6)) : rate};
  }
  return buckets;
}

[[nodiscard]] std::int64_t bounded(std::int64_t amount) noexcept {
  return std::clamp<std::int64_t>(amount, 0, largest_amount);
}
[[nodiscard]] Amounts amounts_of(std::int64_t requests, std::int64_t input, std::int64_t output) noexcept {
  return {bounded(requests), bounded(input) + bounded(output), bounded(input), bounded(output)};
}
constexpr Amounts one_request{1, 0, 0, 0};

[[nodiscard]] bool counts_tokens(const RateLimitOptions& options) noexcept {
  return options.tokens_per_minute || options.input_tokens_per_minute || options.output_tokens_per_minute;
}

/// From when on all of the buckets have what is needed, and which of them has it last.
struct Turn {
  TimePoint at;
  LimitDimension dimension = LimitDimension::requests;
};
[[nodiscard]] Turn ready_at(const Buckets& buckets, const Amounts& needed, TimePoint now) noexcept {
  Turn turn{now};
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    if (!buckets[i].limited()) continue;
    const TimePoint ready = buckets[i].ready_at(needed[i]);
    if (ready > turn.at) turn = {ready, static_cast<LimitDimension>(i)};
  }
  return turn;
}

/// Takes what is needed, of each at most a burst; says how much that was.
Amounts take(Buckets& buckets, const Amounts& needed, TimePoint now) noexcept {
  Amounts taken{};
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    if (!buckets[i].limited()) continue;
    taken[i] = std::min(needed[i], buckets[i].burst());
    buckets[i].take(taken[i], now);
  }
  return taken;
}

/// What the provider says is left of each; input and output are no more than both together, and the other way round.
[[nodiscard]] std::array<std::optional<std::int64_t>, limit_dimension_count> left_of(const RateLimitStatus& status) {
  const auto& together = status.tokens.remaining;
  const auto& input = status.input_tokens.remaining;
  const auto& output = status.output_tokens.remaining;
  const auto smaller = [](std::optional<std::int64_t> one, std::optional<std::int64_t> other) {
    return one && other ? std::min(*one, *other) : (one ? one : other);
  };
  std::optional<std::int64_t> sum;
  if (input && output) sum = bounded(*input) + bounded(*output);
  return {status.requests.remaining, smaller(together, sum), smaller(input, together), smaller(output, together)};
}

}  // namespace

struct RateLimit::State {
  explicit State(const RateLimitOptions& limit_options)
      : options{limit_options}, buckets{buckets_for(limit_options)}, counts_tokens{v0::counts_tokens(limit_options)} {}

  /// Holds the lock while something changes, and notes on its way out when the next send would have its turn: that stays
  /// true until the next change, so that asking needs no lock and no walk along the queue.
  class Change {
   public:
    explicit Change(State& state) : state_{&state}, lock_{state.mutex} {}
    Change(const Change&) = delete;
    Change& operator=(const Change&) = delete;
    ~Change() {
      const TimePoint turn = state_->turn_after(state_->queue.size(), one_request).at;
      const TimePoint from = saturating_add(turn, -state_->options.max_wait);
      state_->refuses_until.store(from, std::memory_order_relaxed);
    }

   private:
    State* state_;
    std::lock_guard<std::mutex> lock_;
  };

  // All under the lock.

  /// Time does not go back, though the callers' loops may lag behind each other.
  void advance(TimePoint to) noexcept { now = std::max(now, to); }

  /// When a send that needs this has its turn, with the first so many of the queue before it.
  [[nodiscard]] Turn turn_after(std::size_t ahead, const Amounts& needed) const {
    return turn_after(ahead, needed, now);
  }
  [[nodiscard]] Turn turn_after(std::size_t ahead, const Amounts& needed, TimePoint time) const {
    if (ahead == 0) return ready_at(buckets, needed, time);
    Buckets then = buckets;
    for (std::size_t i = 0; i < ahead; ++i) {
      time = ready_at(then, queue[i]->needed_, time).at;
      take(then, queue[i]->needed_, time);
    }
    return ready_at(then, needed, time);
  }

  /// What comes of a send that asks at that moment.
  [[nodiscard]] RateReservation::Decision decide(const RateDemand& demand, TimePoint time) const;

  [[nodiscard]] std::size_t place_of(const RateReservation& waiting) const noexcept {
    return static_cast<std::size_t>(std::find(queue.begin(), queue.end(), &waiting) - queue.begin());
  }
  void leave(const RateReservation& waiting) {
    const auto place = std::find(queue.begin(), queue.end(), &waiting);
    if (place != queue.end()) queue.erase(place);
  }

  void admit(RateReservation& reservation) noexcept {
    reservation.taken_ = take(buckets, reservation.needed_, now);
    reservation.admitted_ = true;
    for (std::size_t i = 0; i < reserved.size(); ++i) reserved[i] += reservation.taken_[i];
  }

  /// Lets through from the front of the queue whoever has its turn, and wakes the next when it is to come sooner than
  /// that one has set its alarm for. `asking` looks for itself and need not be woken.
  void move_queue(const RateReservation* asking = nullptr) {
    while (!queue.empty()) {
      RateReservation& first = *queue.front();
      const TimePoint turn = ready_at(buckets, first.needed_, now).at;
      const bool has_turn = turn <= now;
      if (has_turn) {
        admit(first);
        queue.pop_front();
      }
      if (&first != asking && (has_turn || turn < first.turn_)) first.waker_.wake();
      if (!has_turn) return;
    }
  }

  void settle(const Amounts& taken, const Amounts& actual) noexcept {
    for (std::size_t i = 0; i < buckets.size(); ++i) {
      reserved[i] -= taken[i];
      if (!buckets[i].limited()) continue;
      buckets[i].correct(taken[i], actual[i], now);
      charged[i] += actual[i];
    }
  }

  /// What the provider says is left only lowers what is there. Where it refused, what it names as used up is closed
  /// until its hint, and has then just enough for such a send; where it names nothing, that is the requests.
  void heed(const RateOutcome& outcome, const Amounts& needed) noexcept {
    bool named = false;
    const auto left = outcome.reported != nullptr ? left_of(*outcome.reported) : decltype(left_of({})){};
    for (std::size_t i = 0; i < buckets.size(); ++i) {
      if (!left[i] || !buckets[i].limited()) continue;
      const bool used_up = outcome.throttled && *left[i] < std::max<std::int64_t>(1, needed[i]);
      named = named || used_up;
      if (used_up) {
        close(buckets[i], needed[i], outcome.retry_after);
      } else {
        buckets[i].lower_to(*left[i], now);
      }
    }
    if (!outcome.throttled || named) return;
    const bool by_requests = buckets[at(LimitDimension::requests)].limited();
    for (std::size_t i = 0; i < buckets.size(); ++i) {
      if ((i == at(LimitDimension::requests)) == by_requests) close(buckets[i], needed[i], outcome.retry_after);
    }
  }
  void close(TokenBucket& bucket, std::int64_t needed, std::optional<Duration> hint) const noexcept {
    const Duration span = std::max(Duration::zero(), hint.value_or(Duration::zero()));
    const TimePoint open = saturating_add(now, span);
    bucket.close_until(open);
    bucket.lower_to(span > Duration::zero() ? needed : 0, open);
  }

  mutable std::mutex mutex;
  RateLimitOptions options;
  Buckets buckets;
  detail::RecentOutputs outputs;
  std::deque<RateReservation*> queue;
  TimePoint now = TimePoint::min();
  Amounts reserved{};
  Amounts charged{};
  std::atomic<bool> counts_tokens;
  std::atomic<TimePoint> refuses_until{TimePoint::min()};
};

RateLimit::RateLimit(RateLimitOptions options) {
  if (const std::string problem = problem_with(options); !problem.empty()) throw std::invalid_argument{problem};
  state_ = std::make_shared<State>(options);
}

RateLimitOptions RateLimit::options() const {
  const std::lock_guard lock{state_->mutex};
  return state_->options;
}

void RateLimit::change(RateLimitOptions options, TimePoint now) const {
  if (const std::string problem = problem_with(options); !problem.empty()) throw std::invalid_argument{problem};
  const State::Change change{*state_};
  state_->advance(now);
  Buckets buckets = buckets_for(options);
  for (std::size_t i = 0; i < buckets.size(); ++i) buckets[i].take_over(state_->buckets[i], state_->now);
  state_->buckets = buckets;
  state_->options = options;
  state_->counts_tokens = v0::counts_tokens(options);
  state_->move_queue();
}

RateLimitSnapshot RateLimit::snapshot(TimePoint now) const noexcept {
  const std::lock_guard lock{state_->mutex};
  const auto dimension = [&](LimitDimension which) -> std::optional<RateLimitSnapshot::Dimension> {
    const TokenBucket& bucket = state_->buckets[at(which)];
    if (!bucket.limited()) return std::nullopt;
    return RateLimitSnapshot::Dimension{bucket.per_minute(), bucket.burst(),
                                        bucket.available(std::max(now, state_->now)), state_->reserved[at(which)],
                                        state_->charged[at(which)]};
  };
  return {dimension(LimitDimension::requests), dimension(LimitDimension::tokens),
          dimension(LimitDimension::input_tokens), dimension(LimitDimension::output_tokens), state_->queue.size()};
}

bool RateLimit::counts_tokens() const noexcept { return state_->counts_tokens.load(std::memory_order_relaxed); }

std::optional<TimePoint> RateLimit::refuses_until(TimePoint now) const noexcept {
  const TimePoint from = state_->refuses_until.load(std::memory_order_relaxed);
  if (from <= now) return std::nullopt;
  return from;
}

struct RateReservation::Decision {
  Stage stage = Stage::refused;
  std::int64_t output = 0;
  Amounts needed{};
  TimePoint turn{};
  TimePoint latest{};
  RateRefusal refusal{};
};

RateReservation::Decision RateLimit::State::decide(const RateDemand& demand, TimePoint time) const {
  RateReservation::Decision made;
  made.output = demand.max_output_tokens.value_or(outputs.expected());
  made.needed = amounts_of(1, demand.input_tokens, made.output);
  if (demand.max_output_tokens) {
    for (const LimitDimension dimension : {LimitDimension::tokens, LimitDimension::output_tokens}) {
      const TokenBucket& bucket = buckets[at(dimension)];
      if (!bucket.limited() || *demand.max_output_tokens <= bucket.burst()) continue;
      made.refusal = {dimension, std::nullopt, *demand.max_output_tokens, bucket.burst()};
      return made;
    }
  }
  const Turn turn = turn_after(queue.size(), made.needed, time);
  if (turn.at <= time && queue.empty()) {
    made.stage = RateReservation::Stage::held;
    return made;
  }
  const Duration patience =
      demand.other_target_ready ? std::min(options.max_wait, options.failover_wait) : options.max_wait;
  made.latest = std::min(demand.deadline, saturating_add(time, patience));
  made.turn = turn.at;
  const std::size_t which = at(turn.dimension);
  made.refusal = {turn.dimension, turn.at, made.needed[which], buckets[which].burst()};
  if (turn.at <= made.latest) made.stage = RateReservation::Stage::waiting;
  return made;
}

RateReservation::Forecast RateReservation::forecast(const RateLimit& limit, const RateDemand& demand, TimePoint now) {
  const std::lock_guard lock{limit.state_->mutex};
  const Decision made = limit.state_->decide(demand, std::max(now, limit.state_->now));
  return {made.stage, made.refusal, made.turn};
}

RateReservation::RateReservation(const RateLimit& limit, const RateDemand& demand, TimePoint now)
    : state_{limit.state_.get()}, input_{demand.input_tokens} {
  const RateLimit::State::Change change{*state_};
  state_->advance(now);
  const Decision made = state_->decide(demand, state_->now);
  stage_ = made.stage;
  output_ = made.output;
  needed_ = made.needed;
  turn_ = made.turn;
  latest_ = made.latest;
  refusal_ = made.refusal;
  if (stage_ == Stage::held) state_->admit(*this);
  if (stage_ == Stage::waiting) state_->queue.push_back(this);
}

RateReservation::~RateReservation() {
  if (stage_ == Stage::refused || stage_ == Stage::settled) return;
  const RateLimit::State::Change change{*state_};
  if (admitted_) {
    state_->settle(taken_, Amounts{});
  } else {
    state_->leave(*this);
  }
  state_->move_queue();
}

void RateReservation::wake_through(Wakeup::Waker waker) {
  const std::lock_guard lock{state_->mutex};
  waker_ = std::move(waker);
}

RateReservation::Stage RateReservation::look(TimePoint now) {
  if (stage_ != Stage::waiting) return stage_;
  const RateLimit::State::Change change{*state_};
  state_->advance(now);
  state_->move_queue(this);
  if (admitted_) return stage_ = Stage::held;
  const Turn turn = state_->turn_after(state_->place_of(*this), needed_);
  turn_ = turn.at;
  if (turn.at <= latest_) return stage_;
  const std::size_t which = at(turn.dimension);
  refusal_ = {turn.dimension, turn.at, needed_[which], state_->buckets[which].burst()};
  stage_ = Stage::refused;
  state_->leave(*this);
  state_->move_queue();
  return stage_;
}

void RateReservation::settle(const RateOutcome& outcome, TimePoint now) noexcept {
  if (stage_ != Stage::held) return;
  stage_ = Stage::settled;
  const RateLimit::State::Change change{*state_};
  state_->advance(now);
  const auto& input = outcome.input_tokens;
  const auto& output = outcome.output_tokens;
  Amounts actual = amounts_of(outcome.requests, input.value_or(input_), output.value_or(output_));
  if (!input) actual[at(LimitDimension::input_tokens)] = taken_[at(LimitDimension::input_tokens)];
  if (!output) actual[at(LimitDimension::output_tokens)] = taken_[at(LimitDimension::output_tokens)];
  if (!input && !output) actual[at(LimitDimension::tokens)] = taken_[at(LimitDimension::tokens)];
  if (state_->counts_tokens && output && *output > 0) state_->outputs.add(*output);
  state_->settle(taken_, actual);
  if (outcome.reported != nullptr || outcome.throttled) state_->heed(outcome, needed_);
  state_->move_queue();
}

std::string problem_with(const RateLimitOptions& options) {
  bool any = false;
  for (const NamedLimit& named : named_limits) {
    const auto& limit = options.*named.limit;
    any = any || limit;
    if (limit && (*limit < 1 || *limit > largest_rate)) {
      return fmt::format("rate_limit: {} is {}; it must be between 1 and {}", named.name, *limit, largest_rate);
    }
  }
  if (!any) {
    return "rate_limit: no limit is set; give it requests_per_minute, tokens_per_minute, input_tokens_per_minute or "
           "output_tokens_per_minute";
  }
  if (options.burst && !options.requests_per_minute) {
    return "rate_limit: burst is of requests_per_minute, which is not set";
  }
  if (options.burst && (*options.burst < 1 || *options.burst > largest_burst)) {
    return fmt::format("rate_limit: burst is {}; it must be between 1 and {}", *options.burst, largest_burst);
  }
  if (options.max_wait < Duration::zero()) return "rate_limit: max_wait must not be negative";
  if (options.failover_wait < Duration::zero()) return "rate_limit: failover_wait must not be negative";
  if (!(options.safety_factor > 0 && options.safety_factor <= 1)) {
    return "rate_limit: safety_factor must be above 0 and at most 1";
  }
  return {};
}

}  // namespace backstop::inline v0
