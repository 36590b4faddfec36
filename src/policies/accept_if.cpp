#include "backstop/policies/accept_if.hpp"

#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "backstop/chat/rejected_answer.hpp"
#include "chat/interrupted.hpp"
#include "handover/continuation.hpp"
#include "handover/feedback.hpp"
#include "policies/check_node.hpp"
#include "runtime/deadline_share.hpp"
#include "runtime/emit_answer.hpp"
#include "runtime/exception_error.hpp"
#include "state/target_statistics.hpp"
#include "text/bounded.hpp"

namespace backstop::inline v0 {
namespace {

using detail::Verdict;

/// Holds a stream back until its answer has been judged. The answer has all that was streamed, so nothing is kept here.
class Withheld final : public ForwardingSink {
 public:
  explicit Withheld(StreamSink& consumer) noexcept : ForwardingSink{consumer} {}

  void on_event(const StreamEvent&) noexcept override {}
  [[nodiscard]] bool ready() const noexcept override { return true; }
  void when_ready(Parked*) noexcept override {}
  [[nodiscard]] bool holding() const noexcept override { return true; }
};

void hand_over(const ChatResponse& answer, const CallContext& context) {
  StreamSink& consumer = *context.sink();
  if (answer.degradation) {
    StreamEvent event;
    event.type = StreamEvent::Type::degraded;
    event.degradation = &*answer.degradation;
    consumer.on_event(event);
  }
  detail::for_each_event(answer, [&](const StreamEvent& event) {
    if (!consumer.holding()) context.note_delivered(event);
    consumer.on_event(event);
  });
}

class AcceptIf final : public Decorator {
 public:
  AcceptIf(Provider next, const Check& check, AcceptOptions options, std::string description)
      : Decorator{std::move(next), std::move(description)},
        check_{check},
        options_{std::move(options)},
        statistics_{Decorator::next().get().keep_statistics()} {}

  [[nodiscard]] Layer layer() const override {
    Layer layer = Decorator::layer();
    layer.sends = 1 + options_.repair;
    layer.judges = true;
    return layer;
  }

  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
    if (const Objection problem = check_.node().problem_with(request)) co_return refuse(*problem, context);
    CallContext inner = context;
    std::optional<Withheld> withheld;
    if (holds(request, context)) inner.set_sink(&withheld.emplace(*context.sink()));
    std::optional<ChatRequest> repair;
    detail::Boxed<Error> refusal;  // an empty optional of that size would be cleared with every call
    for (int repairs = 0;; ++repairs) {
      const std::size_t rows_before = context.state().ledger.size();
      Task<Result<ChatResponse>> task =
          repair ? ask_again(*repair, request, refusal->target, inner) : next().call(request, inner);
      auto result = co_await task;
      if (!result && refusal.has_value() && !context.stopping()) co_return std::move(*refusal);
      if (!result) co_return result;
      const Row row = row_of(*result, rows_before, context);
      const std::optional<ChatResponse> whole = whole_answer(*result, context);
      const Answer answer{request, whole ? *whole : *result};
      Task<Result<Verdict>> judging = judge(answer, row, context);
      auto verdict = co_await judging;
      if (!verdict) co_return std::move(verdict).error();
      if (statistics_ != nullptr && row && context.state().ledger[*row].sent && !context.state().active_probe) {
        statistics_->note_verdict(context.now(), verdict->objection.has_value());
      }
      if (!verdict->objection) {
        if (withheld) hand_over(*result, context);
        co_return result;
      }
      const RejectedAnswer rejected{result->message(), reasons_of(*verdict)};
      refusal = detail::Boxed<Error>{reject(*result, *verdict, row, context)};
      if (context.hint().wants_draft && !whole) refusal->rejected = std::make_shared<const RejectedAnswer>(rejected);
      if (repairs >= options_.repair || !may_repair(context)) co_return std::move(*refusal);
      repair = detail::with_feedback(request, rejected, options_.repair_wording);
    }
  }

 private:
  /// The answer's in the ledger; empty where no send of this call made it.
  using Row = std::optional<std::size_t>;

  [[nodiscard]] bool holds(const ChatRequest& request, const CallContext& context) const noexcept {
    if (!context.streaming()) return false;
    return options_.always_hold || !context.hint().restarts || !request.tools.empty();
  }

  [[nodiscard]] Error refuse(const std::string& problem, const CallContext& context) const {
    Error error{ErrorKind::invalid_request, detail::bounded(problem)};
    error.target = target();
    context.note_skipped(target(), error);
    return error;
  }

  /// The target that gave the refused answer, though there may be a client behind this.
  [[nodiscard]] Task<Result<ChatResponse>> ask_again(const ChatRequest& request, const ChatRequest& whole,
                                                     const Target& target, CallContext& outer) const {
    CallContext context = outer;
    RoutingHint hint = context.hint();
    if (hint.whole == nullptr) hint.whole = &whole;
    hint.appended += request.messages.size() - whole.messages.size();
    context.set_hint(hint);
    const detail::DeadlineShare share{context};
    Requirement requirement = outer.requirement();
    if (statistics_ == nullptr) requirement.only = target;
    context.set_requirement(requirement);
    Task<Result<ChatResponse>> task = next().call(request, context);
    auto result = co_await task;
    outer.requirement().add(requirement);
    co_return result;
  }

  /// Where a part of the answer had been delivered before, from another target: with that part. Else empty.
  [[nodiscard]] static std::optional<ChatResponse> whole_answer(const ChatResponse& rest, const CallContext& context) {
    const std::string* before = context.hint().text_so_far;
    if (before == nullptr) return std::nullopt;
    std::optional<ChatResponse> whole{rest};
    detail::put_before(*whole, *before, *detail::repeated_of(*before, rest.text(), true));
    return whole;
  }

  /// A hedge's rows stand between those of this line of attempts.
  [[nodiscard]] static Row row_of(const ChatResponse& response, std::size_t rows_before, const CallContext& context) {
    const Ledger& ledger = context.state().ledger;
    for (std::size_t row = ledger.size(); row > rows_before; --row) {
      const Attempt& attempt = ledger[row - 1];
      const bool answers = !attempt.judge && !attempt.summary && !attempt.outcome;  // a cache's row, too
      if (answers && attempt.target == response.served_by) return row - 1;
    }
    return std::nullopt;
  }

  [[nodiscard]] Task<Result<Verdict>> judge(const Answer& answer, Row row, CallContext& context) const {
    const detail::CheckNode& node = check_.node();
    Result<Verdict> verdict{Verdict{}};
    try {
      if (node.asks()) {
        Task<Result<Verdict>> asked = node.ask(answer, context);
        verdict = co_await asked;
      } else {
        verdict = node.look(answer);
      }
    } catch (...) {
      Error error = detail::error_from_exception("a check of accept_if");
      if (error.kind == ErrorKind::server_error) error.kind = ErrorKind::invalid_request;
      error.target = answer.response.served_by;
      error.replay = ReplaySafety::processed;
      error.committed = context.committed();
      verdict = std::move(error);
    }
    if (verdict) {
      if (verdict->objection) verdict->objection = detail::bounded(*std::move(verdict->objection));
      verdict->quote = detail::bounded(std::move(verdict->quote));
      co_return verdict;
    }
    verdict.error().message = detail::bounded(std::move(verdict.error().message));
    if (row) say_in_row(context.state().ledger[*row], verdict.error());
    if (context.streaming()) context.sink()->on_attempt_failed();
    co_return verdict;
  }

  /// Why the answer, whose send went well, is not that of the call.
  static void say_in_row(Attempt& attempt, const Error& error) {
    attempt.outcome = error.kind;
    attempt.reason = attempt.reason.empty() ? error.message : error.message + "; " + attempt.reason;
    attempt.provider_message = error.provider_message;
  }

  [[nodiscard]] static std::string reasons_of(const Verdict& verdict) {
    return verdict.quote.empty() ? *verdict.objection : *verdict.objection + ": " + verdict.quote;
  }

  /// Makes the error, and has the row of the answer say so.
  [[nodiscard]] static Error reject(const ChatResponse& response, const Verdict& verdict, Row row, CallContext& context) {
    Error error{ErrorKind::rejected_response, "the answer was not accepted: " + *verdict.objection};
    error.target = response.served_by;
    error.provider_message = verdict.quote;
    error.replay = ReplaySafety::processed;
    if (row) {
      say_in_row(context.state().ledger[*row], error);
    } else {
      context.note_skipped(response.served_by, error);
    }
    if (context.streaming()) context.sink()->on_attempt_failed();
    error.committed = context.committed();
    if (error.committed) {
      error.partial_text = response.text();
      detail::interrupt_stream(error);
    }
    return error;
  }

  [[nodiscard]] static bool may_repair(const CallContext& context) noexcept {
    const RoutingHint& hint = context.hint();
    return !context.committed() && !context.stopping() && context.spare_sends() > 0 &&
           context.remaining() > Duration::zero() && !hint.forced_probe && hint.text_so_far == nullptr;
  }

  Check check_;
  AcceptOptions options_;
  detail::TargetStatistics* statistics_;  // of the one target behind it; null for what is more than one
};

}  // namespace

std::string problem_with(const AcceptOptions& options) {
  if (options.repair < 0) return fmt::format("accept_if: repair is {}; it must not be negative", options.repair);
  if (options.repair_wording.find(detail::reasons_mark) == std::string::npos) {
    return "accept_if: repair_wording has no {reasons}, where the reasons are to stand";
  }
  return {};
}

Policy accept_if(Check check, AcceptOptions options) {
  if (std::string problem = problem_with(options); !problem.empty()) throw std::invalid_argument{problem};
  std::string description = "accept_if(" + check.describe();
  if (options.repair > 0) description += fmt::format(", repair = {}", options.repair);
  if (options.always_hold) description += ", always_hold = true";
  description += ')';
  return make_policy<AcceptIf>(std::move(description), std::move(check), std::move(options));
}

}  // namespace backstop::inline v0
