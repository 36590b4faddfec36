#include "backstop/provider.hpp"

#include <fmt/format.h>

#include <utility>

#include "backstop/chat/token_estimate.hpp"
#include "backstop/observe/observer.hpp"

namespace backstop::inline v0 {
namespace {

/// One send: counts it, opens its row in the ledger, and closes the row with what came of it.
class AttemptRecord {
 public:
  AttemptRecord(CallContext& context, const Target& target) : context_{&context}, row_{context.state().ledger.size()} {
    CallState& state = context.state();
    --state.attempts_left;
    Attempt& attempt = state.add_row(target);
    attempt.sent = true;
    attempt.waited = std::exchange(state.waited, Duration::zero());
    if (context.progress() == nullptr) context.set_progress(&own_progress_);
    *context.progress() = AttemptProgress{};
    context.progress()->started = context.now();
    if (context.streaming()) context.sink()->on_attempt();
  }

  void close(const ChatRequest& request, Result<ChatResponse>& result) {
    AttemptProgress& progress = *context_->progress();
    progress.ended = true;
    const TimePoint end = context_->runtime().refresh_now();
    Attempt& attempt = context_->state().ledger[row_];
    if (result) {
      if (!AttemptProgress::reached(progress.first_content)) context_->note_first_content(end);
      close_answer(request, *result, attempt);
    } else {
      close_error(request, result.error(), attempt);
    }
    attempt.elapsed = end - progress.started;
    if (AttemptProgress::reached(progress.first_content)) attempt.ttft = progress.first_content - progress.started;
    context_->note_send_ended(attempt);
    if (!result && result.error().replay == ReplaySafety::not_sent && !progress.network) {
      // Refused before anything went out, as for a missing key: no send of the call was used.
      attempt.sent = false;
      ++context_->state().attempts_left;
      return;
    }
    publish(attempt);
  }

 private:
  static void close_answer(const ChatRequest& request, ChatResponse& response, Attempt& attempt) {
    if (response.served_by.empty()) response.served_by = attempt.target;
    if (response.model.empty()) response.model = attempt.target.model();
    attempt.usage = response.usage;
    attempt.replay = ReplaySafety::processed;
    const std::optional<Price>& price = attempt.target.facts().price;
    if (!price) return;
    Usage usage = response.usage;
    attempt.cost_estimated = !usage.input_tokens || !usage.output_tokens;
    if (!usage.input_tokens) usage.input_tokens = estimate_input_tokens(request);
    if (!usage.output_tokens) usage.output_tokens = written_tokens(response);
    attempt.cost = cost_of(usage, *price);
  }

  void close_error(const ChatRequest& request, Error& error, Attempt& attempt) const {
    error.target = attempt.target;
    const bool stopped_by_caller = error.kind == ErrorKind::cancelled || error.kind == ErrorKind::deadline_exceeded;
    if (context_->committed()) {
      error.committed = true;
      if (!stopped_by_caller && error.kind != ErrorKind::stream_interrupted) {
        error.cause = error.kind;
        error.kind = ErrorKind::stream_interrupted;
      }
    }
    attempt.outcome = error.kind;
    attempt.http_status = error.http_status;
    attempt.replay = error.replay;
    attempt.request_id = error.request_id;
    // What the adapter noted at the send, such as which key it used, stays behind what came of it.
    const std::string noted = std::exchange(attempt.reason, error.message);
    if (!noted.empty()) attempt.reason.append(attempt.reason.empty() ? "" : "; ").append(noted);
    const std::optional<Price>& price = attempt.target.facts().price;
    if (!price || error.replay == ReplaySafety::not_sent) return;
    attempt.cost_estimated = true;
    Usage usage;
    usage.input_tokens = estimate_input_tokens(request);
    usage.output_tokens = estimate_tokens(error.partial_text.size());
    attempt.cost = cost_of(usage, *price);
  }

  static std::int64_t written_tokens(const ChatResponse& response) {
    std::size_t bytes = 0;
    for (const Part& part : response.parts) {
      if (const auto* text = std::get_if<Text>(&part)) bytes += text->text.size();
      if (const auto* reasoning = std::get_if<Reasoning>(&part)) bytes += reasoning->text.size();
      if (const auto* call = std::get_if<ToolCall>(&part)) bytes += call->arguments.size();
    }
    return estimate_tokens(bytes);
  }

  void publish(const Attempt& attempt) const {
    const auto* observers = context_->state().observers;
    if (observers == nullptr) return;
    const AttemptEvent event{attempt, context_->committed()};
    for (const auto& observer : *observers) observer->on_attempt(event);
  }

  CallContext* context_;
  std::size_t row_;
  AttemptProgress own_progress_;
};

}  // namespace

Task<Result<ChatResponse>> ModelProvider::call(const ChatRequest& request, CallContext& context) const {
  if (context.stopping()) co_return context.stop_error();
  if (context.state().attempts_left <= 0) {
    Error error{ErrorKind::local_limit, "the call has used up its number of attempts"};
    error.target = target_;
    context.note_skipped(target_, error);
    co_return error;
  }
  if (std::optional<Error> refusal = context.refusal_of_send(target_, request)) co_return std::move(*refusal);
  CallContext inner = context;
  AttemptRecord record{inner, target_};
  auto result = co_await send(request, inner);
  record.close(request, result);
  co_return result;
}

}  // namespace backstop::inline v0
