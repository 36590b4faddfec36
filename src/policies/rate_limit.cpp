#include "backstop/policies/rate_limit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "backstop/handover/needs.hpp"
#include "chat/token_estimate.hpp"
#include "policies/one_target.hpp"
#include "policies/options_text.hpp"
#include "runtime/given_up.hpp"
#include "runtime/wait_for_turn.hpp"
#include "state/rate_reservation.hpp"

namespace backstop::inline v0 {
namespace {

// Refusals are many when a limit is used up: fixed words, no formatting. By LimitDimension.
constexpr std::array<std::string_view, limit_dimension_count> too_long{
    "the requests per minute are used up, and the wait would be too long",
    "the tokens per minute are used up, and the wait would be too long",
    "the input tokens per minute are used up, and the wait would be too long",
    "the output tokens per minute are used up, and the wait would be too long"};

/// Whether the provider turned the request away, so that no token was used.
[[nodiscard]] bool turned_away(const Attempt& row) noexcept {
  return row.outcome && (*row.outcome == ErrorKind::rate_limited || row.http_status / 100 == 4);
}

/// What the sends below have used. Usually that is one send.
class Tally final : public AttemptObserver {
 public:
  explicit Tally(const RateReservation& reservation) noexcept : reservation_{&reservation} {}

  void on_end(Send& send, const Attempt* row) noexcept override {
    if (row == nullptr || !row->sent || row->replay == ReplaySafety::not_sent) return;
    outcome_.requests = sent() ? outcome_.requests + 1 : 1;
    sent_ = true;
    const bool away = turned_away(*row);
    if (!send.aside) {  // what a judge's provider says is about other limits
      if (row->rate_limit) reported_ = row->rate_limit;
      away_ = away;
      throttled_ = row->outcome == ErrorKind::rate_limited;
    }
    last_output_known_ = row->usage.output_tokens.has_value();
    last_input_known_ = row->usage.input_tokens.has_value();
    const Usage& usage = row->usage;
    if (row->outcome) {
      const std::int64_t read = std::max(reservation_->expected_input(), usage.input_tokens.value_or(0));
      add_to(outcome_.input_tokens, away ? 0 : read);
    } else if (usage.input_tokens) {
      add_to(outcome_.input_tokens, *usage.input_tokens);
    }
    if (away || usage.output_tokens) add_to(outcome_.output_tokens, away ? 0 : *usage.output_tokens);
  }

  [[nodiscard]] bool sent() const noexcept { return sent_; }
  /// Of an answer that broke off, what came of it is all there is.
  [[nodiscard]] RateOutcome outcome(const Result<ChatResponse>& result) const {
    RateOutcome outcome = outcome_;
    outcome.reported = reported_.get();
    if (result) {
      // What the only send does not report keeps its reservation.
      const bool only = outcome.requests == 1;
      if (!only && !last_input_known_) add_to(outcome.input_tokens, reservation_->expected_input());
      if (!only && !last_output_known_) add_to(outcome.output_tokens, reservation_->expected_output());
      return outcome;
    }
    if (!away_ && !last_output_known_) {
      add_to(outcome.output_tokens, estimate_tokens(result.error().partial_text.size()));
    }
    outcome.throttled = throttled_;
    if (outcome.throttled) outcome.retry_after = result.error().retry_after;
    return outcome;
  }

 private:
  static void add_to(std::optional<std::int64_t>& sum, std::int64_t amount) noexcept { sum = sum.value_or(0) + amount; }

  const RateReservation* reservation_;
  RateOutcome outcome_;
  std::shared_ptr<const RateLimitStatus> reported_;
  bool sent_ = false;
  bool away_ = false;              // of the last send
  bool throttled_ = false;         // likewise
  bool last_input_known_ = false;
  bool last_output_known_ = false;
};

class RateLimiting final : public Decorator {
 public:
  RateLimiting(Provider next, RateLimit limit, std::string description)
      : Decorator{std::move(next), std::move(description)},
        limit_{std::move(limit)},
        one_target_{detail::sends_to_one_target(Decorator::next().get())} {}

  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
    if (context.holds(limit_.id())) {  // what is sent is charged to the reservation that the call has
      auto passed = co_await next().call(request, context);
      co_return passed;
    }
    const RateDemand demand = demand_of(request, context);
    RateReservation reservation{limit_, demand, context.now()};
    if (reservation.stage() == RateReservation::Stage::waiting) {
      if (auto out = out_by_then(reservation.turn(), request, context)) co_return skipped(std::move(*out), context);
      Task<Result<void>> turn = detail::wait_for_turn(reservation, context, target(), "rate_limit");
      auto waited = co_await turn;
      if (!waited) {
        waited.error().target = target();
        co_return std::move(waited).error();
      }
    }
    if (reservation.stage() == RateReservation::Stage::refused) {
      co_return skipped(refuse(reservation.refusal(), context), context);
    }

    Tally tally{reservation};
    CallContext inner = context;
    inner.add_observer(tally);
    const HeldHandle held{limit_.id(), context.held()};
    inner.set_held(held);
    auto result = co_await next().call(request, inner);
    if (tally.sent()) reservation.settle(tally.outcome(result), context.now());
    co_return result;
  }

  [[nodiscard]] Standing standing(const ChatRequest& request, const Needs& needs, TimePoint now) const noexcept override {
    Standing standing = next().standing(request, needs, now);
    const bool asked = standing.fit() && !is_held(needs.held, limit_.id());
    const std::optional<TimePoint> until = asked ? limit_.refuses_until(now) : std::nullopt;
    if (until) standing.put_off(*until, ErrorKind::local_limit, "rate limit");
    return standing;
  }

  [[nodiscard]] Layer layer() const override {
    Layer layer = Decorator::layer();
    layer.handle = limit_.id();
    layer.ends_call = [this](const ChatRequest& request, const CallContext& context) {
      return refusal_now(request, context);
    };
    return layer;
  }

 private:
  [[nodiscard]] std::optional<Result<Target>> refusal_now(const ChatRequest& request, const CallContext& context) const {
    if (context.holds(limit_.id())) return std::nullopt;
    using Stage = RateReservation::Stage;
    const auto forecast = RateReservation::forecast(limit_, demand_of(request, context), context.now());
    std::optional<Error> out;
    if (forecast.stage == Stage::waiting) out = out_by_then(forecast.turn, request, context);
    if (forecast.stage == Stage::refused) out = refuse(forecast.refusal, context);
    if (!out) return std::nullopt;
    out->target = target();
    return *std::move(out);
  }
  [[nodiscard]] RateDemand demand_of(const ChatRequest& request, const CallContext& context) const {
    RateDemand demand;
    if (limit_.counts_tokens()) {
      demand.input_tokens = estimate_input_tokens(request);
      demand.max_output_tokens =
          one_target_ ? detail::output_limit_of(target(), request, detail::given_up_by(context.hint()))
                      : request.max_output_tokens;
    }
    demand.deadline = context.deadline();
    demand.other_target_ready = context.hint().other_ready;
    return demand;
  }

  /// What would refuse the call further in when its turn has come: waiting for that would be in vain.
  [[nodiscard]] std::optional<Error> out_by_then(TimePoint turn, const ChatRequest& request,
                                                 const CallContext& context) const {
    if (context.hint().forced_probe) return std::nullopt;
    const HeldHandle held{limit_.id(), context.held()};
    Needs needs = needs_of(request);
    needs.held = &held;
    const Standing then = next().standing(request, needs, turn);
    if (then.ready() || then.ready_at <= turn) return std::nullopt;
    Error error{then.why, "not available when the rate limit would let it through"};
    if (then.ready_at != TimePoint::max()) error.retry_after = saturating_difference(then.ready_at, context.now());
    return error;
  }

  [[nodiscard]] Error refuse(const RateRefusal& refusal, const CallContext& context) const {
    if (!refusal.turn) {
      return Error{ErrorKind::local_limit,
                   fmt::format("the request may need {} {}, and at most {} may be sent at once", refusal.needed,
                               refusal.dimension == LimitDimension::output_tokens ? "output tokens" : "tokens",
                               refusal.burst)};
    }
    Error error{ErrorKind::local_limit, std::string{too_long[static_cast<std::size_t>(refusal.dimension)]}};
    error.retry_after = std::max(Duration::zero(), saturating_difference(*refusal.turn, context.now()));
    return error;
  }
  [[nodiscard]] Error skipped(Error error, const CallContext& context) const {
    error.target = target();
    context.note_skipped(target(), error);
    return error;
  }

  RateLimit limit_;
  bool one_target_;
};

[[nodiscard]] std::string describe_rate_limit(const RateLimitOptions& options) {
  const RateLimitOptions usual;
  detail::OptionsText text{"rate_limit"};
  text.add("requests_per_minute", options.requests_per_minute)
      .add("tokens_per_minute", options.tokens_per_minute)
      .add("input_tokens_per_minute", options.input_tokens_per_minute)
      .add("output_tokens_per_minute", options.output_tokens_per_minute)
      .add("burst", options.burst)
      .add("max_wait", options.max_wait, usual.max_wait)
      .add("failover_wait", options.failover_wait, usual.failover_wait)
      .add("safety_factor", options.safety_factor, usual.safety_factor);
  return text.text();
}

}  // namespace

Policy rate_limit(RateLimitOptions options) {
  if (const std::string problem = problem_with(options); !problem.empty()) throw std::invalid_argument{problem};
  std::string description = describe_rate_limit(options);
  return Policy{description, [options, description](Provider next) {
                  RateLimit limit{options};
                  return Provider{std::make_shared<const RateLimiting>(std::move(next), std::move(limit), description)};
                }};
}

Policy rate_limit(RateLimit limit) {
  std::string description = describe_rate_limit(limit.options());
  return make_policy<RateLimiting>(std::move(description), std::move(limit));
}

}  // namespace backstop::inline v0
