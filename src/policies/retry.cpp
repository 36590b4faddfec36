#include "backstop/policies/retry.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "backstop/handover/needs.hpp"
#include "policies/backoff.hpp"
#include "policies/options_text.hpp"
#include "runtime/exception_error.hpp"
#include "text/duration.hpp"

namespace backstop::inline v0 {
namespace {

using detail::duration_text;
using detail::rounded_text;

/// What a failure is to retry: a stream that broke before content is what broke it.
ErrorKind kind_for_retry(const Error& error) noexcept {
  return error.kind == ErrorKind::stream_interrupted ? error.cause.value_or(error.kind) : error.kind;
}

/// Refused here, without anything being sent.
bool is_local_refusal(ErrorKind kind) noexcept {
  return is_refusal(kind) || kind == ErrorKind::budget_exceeded;
}

/// Whether a list of statuses names this failure. A failure under a status of success stands for its HTTP cousin.
bool lists(const std::vector<int>& statuses, const Error& error) {
  const auto listed = [&](int status) { return std::find(statuses.begin(), statuses.end(), status) != statuses.end(); };
  const ErrorKind kind = kind_for_retry(error);
  const bool no_answer = error.http_status == 0 && error.kind == ErrorKind::stream_interrupted;
  if (kind == ErrorKind::connect_failed || no_answer) return true;
  if (error.http_status >= 300) return listed(error.http_status);
  constexpr std::array<std::pair<ErrorKind, int>, 4> cousins{{{ErrorKind::rate_limited, 429},
                                                             {ErrorKind::overloaded, 503},
                                                             {ErrorKind::overloaded, 529},
                                                             {ErrorKind::server_error, 500}}};
  return std::any_of(cousins.begin(), cousins.end(),
                     [&](const auto& cousin) { return cousin.first == kind && listed(cousin.second); });
}

class Retry final : public Decorator {
 public:
  Retry(Provider next, const std::shared_ptr<const RetryOptions>& options, std::string description)
      : Decorator{std::move(next), std::move(description)}, options_{options} {
    if (options_->budget) budget_.emplace(*options_->budget);
  }

  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override;
  [[nodiscard]] Layer layer() const override {
    Layer layer = Decorator::layer();
    layer.sends = options_->max_attempts;
    return layer;
  }

 private:
  class Repeats;

  std::shared_ptr<const RetryOptions> options_;
  mutable std::optional<RetryBudget> budget_;
};

/// The attempts below one call: how many there were, and the row of the last.
class Attempts final : public AttemptObserver {
 public:
  explicit Attempts(const CallContext& context) noexcept : ledger_{&context.state().ledger} {}

  void on_end(Send& send, const Attempt* row) noexcept override {
    if (send.aside || row == nullptr || !row->sent) return;
    ++sent_;
    const bool own = &send.context->state().ledger == ledger_;
    last_row_ = own ? std::optional{static_cast<std::size_t>(row - ledger_->data())} : std::nullopt;
  }
  [[nodiscard]] int sent() const noexcept { return sent_; }
  /// Adds to the reason in the last row, if it is in the call's ledger.
  void remark(std::string_view why) const {
    if (last_row_) (*ledger_)[*last_row_].reason.append("; not retried: ").append(why);
  }

 private:
  Ledger* ledger_;
  int sent_ = 0;
  std::optional<std::size_t> last_row_;
};

/// The retries of one call: whether a failure may be repeated, and when.
class Retry::Repeats {
 public:
  Repeats(const Retry& retry, const ChatRequest& request, CallContext& context) noexcept
      : retry_{&retry},
        options_{retry.options_.get()},
        request_{&request},
        context_{&context},
        attempts_{context},
        backoff_{{options_->initial, options_->max}, {options_->throttle_initial, options_->throttle_max}} {
    context.add_observer(attempts_);
  }

  void begin_attempt() noexcept { ++rounds_; }
  [[nodiscard]] int limit() const noexcept {
    return context_->hint().other_ready ? std::min(options_->max_attempts, options_->max_attempts_with_fallback)
                                        : options_->max_attempts;
  }

  void succeeded() const noexcept {
    if (!retry_->budget_) return;
    retry_->budget_->put_back(rounds_ > 1 ? last_cost_ : retry_->budget_->options().success_reward);
  }
  void abandoned() const noexcept {
    if (retry_->budget_) retry_->budget_->put_back(last_cost_);
  }

  /// How long to wait before the next attempt; nothing when there is to be none, and the ledger says why.
  [[nodiscard]] std::optional<Duration> before_next(Error& error) {
    const ErrorKind kind = kind_for_retry(error);
    if (kind == ErrorKind::cancelled || kind == ErrorKind::deadline_exceeded || is_local_refusal(kind)) return {};
    if (const std::optional<Objection> objection = objection_to(error, kind)) return refuse(*objection);
    const bool throttled = traits_of(kind).retry == RetryRule::throttled;
    Duration wait{0};
    if (const std::optional<Objection> objection = time_for(error, throttled, wait)) return refuse(*objection);
    if (retry_->budget_) {
      const RetryBudgetOptions& costs = retry_->budget_->options();
      last_cost_ = throttled ? costs.throttle_cost : costs.transient_cost;
      if (!retry_->budget_->acquire(last_cost_, context_->now())) return refuse("the target's retry budget is empty");
    }
    if (traits_of(kind).retry == RetryRule::once) repeated_once_ = true;
    ++retried_[static_cast<std::size_t>(kind)];
    return wait;
  }

 private:
  /// Why there is no retry; empty where that needs no explanation.
  using Objection = std::string;

  // May it be repeated?

  [[nodiscard]] std::optional<Objection> objection_to(Error& error, ErrorKind kind) {
    if (context_->committed()) return "content had been delivered";
    if (context_->hint().forced_probe) return "every target is out, and this was the one probe";
    if (const auto objection = objection_of_kind(error, traits_of(kind).retry)) return Objection{*objection};
    if (attempts() >= limit()) return fmt::format("attempt {} of {}", attempts(), limit());
    if (const auto most = most_of_kind(kind); most && retried_[static_cast<std::size_t>(kind)] >= *most) {
      return fmt::format("retried {} time(s) after {}", *most, to_string(kind));
    }
    if (context_->sends_left() <= 0) return "the call has used up its attempts";
    if (context_->spare_sends() <= 0) return "the call's last attempts are kept for other targets";
    return std::nullopt;
  }

  /// Why a failure like this is not sent again whatever the limits say: nothing when it is, an empty text when that
  /// needs no explanation. The application's own judgement, when it throws, becomes the error.
  [[nodiscard]] std::optional<std::string_view> objection_of_kind(Error& error, RetryRule rule) {
    own_wait_.reset();
    if (options_->should_retry) {
      if (attempts() >= limit()) return std::nullopt;
      const std::optional<RetryVerdict> own = own_verdict(error);
      if (!own) return "should_retry threw";
      if (own->is_stop()) return "the application's should_retry says no";
      own_wait_ = own->wait();
      if (!own->is_usual()) return std::nullopt;
    }
    if (!options_->on_status.empty() && !lists(options_->on_status, error)) {
      return rule == RetryRule::never ? "" : "its status is not among those to retry";
    }
    if (error.should_retry == false) {
      return error.http_status != 0 ? "the answer says that a repeat would fail (x-should-retry, or its words)" : "a repeat cannot mend it";
    }
    const ErrorTraits& traits = traits_of(kind_for_retry(error));
    const bool server_may_ask = traits.cooldown != CooldownRule::quota && traits.breaker != BreakerVerdict::success;
    if (error.should_retry == true && server_may_ask) return std::nullopt;
    if (rule == RetryRule::never) return "";
    if (rule == RetryRule::once && repeated_once_) return "it has been repeated once";
    if (rule == RetryRule::if_no_other_target && context_->hint().other_ready) return "another target is ready";
    const bool asked_for = rule == RetryRule::throttled && (error.kind == ErrorKind::rate_limited || error.retry_after);
    if (!options_->repeatable && !asked_for && error.replay != ReplaySafety::not_sent) {
      return "it may have been processed, and is not repeatable";
    }
    return std::nullopt;
  }

  /// Empty when the judgement throws: the error is then that.
  [[nodiscard]] std::optional<RetryVerdict> own_verdict(Error& error) const {
    try {
      return options_->should_retry(question(error));
    } catch (...) {
      Error own = detail::error_from_exception("should_retry of the retry policy");
      own.kind = ErrorKind::invalid_request;
      own.target = error.target;
      error = std::move(own);
      return std::nullopt;
    }
  }

  [[nodiscard]] RetryQuestion question(const Error& error) const noexcept {
    const auto& budget = retry_->budget_;
    return {error,
            attempts(),
            context_->remaining(),
            std::min(limit() - attempts(), context_->spare_sends()),
            budget ? std::optional{budget->available(context_->now())} : std::nullopt,
            context_->hint().other_ready};
  }

  [[nodiscard]] std::optional<int> most_of_kind(ErrorKind kind) const noexcept {
    for (const RetriesOfKind& limit : options_->max_retries_of_kind) {
      if (limit.kind == kind) return limit.retries;
    }
    return std::nullopt;
  }

  // When?

  /// How long to wait, in `wait`, or why that is too long.
  [[nodiscard]] std::optional<Objection> time_for(const Error& error, bool throttled, Duration& wait) {
    std::optional<Duration> hint = error.retry_after;
    if (hint && *hint <= Duration::zero()) hint.reset();
    if (hint && *hint > options_->max_server_wait) {
      const char* const whose = error.http_status != 0 ? "the server asks for" : "the wait would be";
      return fmt::format("{} {}, more than {}", whose, rounded_text(*hint), duration_text(options_->max_server_wait));
    }
    const bool other_ready = context_->hint().other_ready;
    if (!hint && other_ready && traits_of(kind_for_retry(error)).fallback == FallbackRule::preferred) {
      return "another target is ready";
    }
    wait = own_wait_ ? std::max(*own_wait_, hint.value_or(Duration::zero()))
                     : backoff_.next(throttled, hint, context_->runtime().random_unit());
    if (other_ready && (own_wait_ ? wait : hint.value_or(wait)) > options_->failover_wait) {
      return fmt::format("another target is ready, and the wait would be {}", rounded_text(wait));
    }
    if (wait > context_->remaining() - options_->min_attempt_time) {
      return fmt::format("a wait of {} leaves too little of the deadline", rounded_text(wait));
    }
    const TimePoint next_at = saturating_add(context_->now(), wait);
    Needs needs = needs_of(*request_);
    needs.held = context_->held();
    const Standing then = retry_->next().standing(*request_, needs, next_at);
    if (then.verdict == Standing::Verdict::later && then.ready_at > next_at) {
      return fmt::format("{} by then", to_string(then.why));
    }
    return std::nullopt;
  }

  [[nodiscard]] std::optional<Duration> refuse(std::string_view why) const {
    if (!why.empty()) attempts_.remark(why);
    return std::nullopt;
  }

  [[nodiscard]] int attempts() const noexcept { return std::max(rounds_, attempts_.sent()); }
  const Retry* retry_;
  const RetryOptions* options_;
  const ChatRequest* request_;
  CallContext* context_;
  Attempts attempts_;
  int rounds_ = 0;
  bool repeated_once_ = false;
  std::int64_t last_cost_ = 0;
  std::array<int, error_kind_count> retried_{};  // after each kind
  std::optional<Duration> own_wait_;             // that should_retry asks for
  Backoff backoff_;
};

Task<Result<ChatResponse>> Retry::call(const ChatRequest& request, CallContext& outer) const {
  CallContext context = outer;
  Repeats repeats{*this, request, context};
  if (const bool once = repeats.limit() <= 1; once != context.hint().once) {
    RoutingHint hint = context.hint();
    hint.once = once;
    context.set_hint(hint);
  }
  detail::Boxed<Error> last_failure;  // an empty optional of that size would be cleared whole, with every call
  for (;;) {
    repeats.begin_attempt();
    auto result = co_await next().call(request, context);
    context.set_deadline(outer.deadline());  // a shared send has that of its most patient call, who may have come since
    if (result) {
      repeats.succeeded();
      co_return result;
    }
    // A retry that was refused here says nothing on the target; what the target itself said last does.
    if (last_failure.has_value() && is_local_refusal(result.error().kind)) {
      repeats.abandoned();
      co_return std::move(*last_failure);
    }
    const std::optional<Duration> wait = repeats.before_next(result.error());
    if (!wait) co_return result;
    last_failure = detail::Boxed<Error>{std::move(result).error()};
    const TimePoint slept_from = context.now();
    context.note_wait(target(), saturating_add(slept_from, *wait), "retry");
    Sleep sleep = context.sleep(*wait);
    auto slept = co_await sleep;
    if (!slept) {
      repeats.abandoned();
      slept.error().target = target();
      co_return std::move(slept).error();
    }
    context.branch().waited += context.now() - slept_from;
  }
}

void check_attempts(std::string_view name, int value) {
  if (value >= 1) return;
  throw std::invalid_argument{
      fmt::format("RetryOptions::{} is {}; it counts sends, the first included, and must be at least 1", name, value)};
}

void check_duration(std::string_view name, Duration value) {
  if (value >= Duration::zero()) return;
  throw std::invalid_argument{
      fmt::format("RetryOptions::{} is {}; it must not be negative", name, duration_text(value))};
}

void check_retry(const RetryOptions& options) {
  check_attempts("max_attempts", options.max_attempts);
  check_attempts("max_attempts_with_fallback", options.max_attempts_with_fallback);
  check_duration("initial", options.initial);
  check_duration("max", options.max);
  check_duration("throttle_initial", options.throttle_initial);
  check_duration("throttle_max", options.throttle_max);
  check_duration("max_server_wait", options.max_server_wait);
  check_duration("failover_wait", options.failover_wait);
  check_duration("min_attempt_time", options.min_attempt_time);
  for (const RetriesOfKind& limit : options.max_retries_of_kind) {
    if (limit.retries >= 0) continue;
    throw std::invalid_argument{fmt::format("RetryOptions::max_retries_of_kind is {} for {}; it must not be negative",
                                            limit.retries, to_string(limit.kind))};
  }
  for (const int status : options.on_status) {
    if (status >= 300 && status <= 599) continue;
    throw std::invalid_argument{
        fmt::format("RetryOptions::on_status holds {}; HTTP statuses of failures are 300 to 599", status)};
  }
  if (options.budget) static_cast<void>(RetryBudget{*options.budget});
}

[[nodiscard]] std::string describe_retry(const RetryOptions& options) {
  const RetryOptions usual;
  detail::OptionsText text{"retry"};
  text.append("max_attempts", std::to_string(options.max_attempts));
  text.add("max_attempts_with_fallback", options.max_attempts_with_fallback, usual.max_attempts_with_fallback);
  for (const RetriesOfKind& limit : options.max_retries_of_kind) {
    text.append(to_string(limit.kind), std::to_string(limit.retries));
  }
  text.add("initial", options.initial, usual.initial)
      .add("max", options.max, usual.max)
      .add("throttle_initial", options.throttle_initial, usual.throttle_initial)
      .add("throttle_max", options.throttle_max, usual.throttle_max)
      .add("max_server_wait", options.max_server_wait, usual.max_server_wait)
      .add("failover_wait", options.failover_wait, usual.failover_wait)
      .add("min_attempt_time", options.min_attempt_time, usual.min_attempt_time);
  if (!options.on_status.empty()) text.append("on", fmt::format("{}", options.on_status));
  if (!options.repeatable) text.append("repeatable", "false");
  if (!options.budget) text.append("budget", "none");
  if (options.should_retry) text.append("should_retry", "own");
  return text.text();
}

}  // namespace

Policy retry(RetryOptions options) {
  check_retry(options);
  std::string description = describe_retry(options);
  return make_policy<Retry>(std::move(description), std::make_shared<const RetryOptions>(std::move(options)));
}

}  // namespace backstop::inline v0
