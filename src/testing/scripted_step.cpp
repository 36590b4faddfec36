#include "backstop/testing/scripted_step.hpp"

#include <iterator>
#include <utility>

namespace backstop::inline v0::testing {
namespace {

/// The status that a failure of this kind usually comes with; 0 where there is no answer.
int usual_status(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::rate_limited:
    case ErrorKind::quota_exhausted: return 429;
    case ErrorKind::overloaded: return 503;
    case ErrorKind::server_error: return 500;
    case ErrorKind::authentication: return 401;
    case ErrorKind::permission: return 403;
    case ErrorKind::model_not_found: return 404;
    case ErrorKind::invalid_request:
    case ErrorKind::context_window_exceeded:
    case ErrorKind::unsupported_capability:
    case ErrorKind::content_filtered: return 400;
    case ErrorKind::malformed_response: return 200;
    default: return 0;
  }
}

Error make_error(ErrorKind kind, Failure failure) {
  Error error{kind, failure.message.empty() ? "scripted " + std::string{to_string(kind)} : std::move(failure.message)};
  error.http_status = failure.http_status.value_or(usual_status(kind));
  error.retry_after = failure.retry_after;
  error.code = std::move(failure.code);
  error.should_retry = failure.should_retry;
  error.replay = failure.replay.value_or(kind == ErrorKind::connect_failed ? ReplaySafety::not_sent
                                                                           : ReplaySafety::maybe_processed);
  error.cause = failure.cause;
  return error;
}

}  // namespace

Step::Moment& Step::append(What what) {
  Moment& moment = moments_.emplace_back();
  moment.what = what;
  return moment;
}

Step& Step::connects_after(Duration span) {
  std::vector<Moment> connecting(2);
  connecting[0].span = span;
  connecting[1].what = What::connect;
  moments_.insert(moments_.begin(), std::make_move_iterator(connecting.begin()),
                  std::make_move_iterator(connecting.end()));
  return *this;
}

Step& Step::after(Duration span) {
  auto begin = moments_.begin();
  for (auto it = begin; it != moments_.end(); ++it) {
    if (it->what == What::connect) begin = std::next(it);
  }
  Moment moment;
  moment.span = span;
  moments_.insert(begin, std::move(moment));
  return *this;
}

Step& Step::wait(Duration span) {
  append(What::wait).span = span;
  return *this;
}

Step& Step::ping() {
  append(What::bytes);
  return *this;
}

Step& Step::pings(int count, Duration every) {
  for (int i = 0; i < count; ++i) wait(every).ping();
  return *this;
}

Step& Step::endless_pings(Duration every) {
  append(What::endless_bytes).span = every;
  return *this;
}

Step& Step::text(std::string delta) {
  append(What::text).text = std::move(delta);
  return *this;
}

Step& Step::reasoning(std::string delta) {
  append(What::reasoning).text = std::move(delta);
  return *this;
}

Step& Step::tool_arguments(std::string delta) {
  append(What::tool_arguments).text = std::move(delta);
  return *this;
}

Step& Step::tool_call(std::string name, std::string arguments) {
  append(What::tool_call).tool_call = ToolCall{"", std::move(name), std::move(arguments)};
  return *this;
}

Step& Step::usage(std::int64_t input_tokens, std::int64_t output_tokens) {
  usage_.input_tokens = input_tokens;
  usage_.output_tokens = output_tokens;
  return *this;
}

Step& Step::finish(std::optional<FinishReason> reason) {
  append(What::finish);
  finish_reason_ = reason;
  return *this;
}

Step& Step::model(std::string name) {
  model_ = std::move(name);
  return *this;
}

Step& Step::rate_limit(const RateLimitStatus& status) {
  rate_limit_ = std::make_shared<const RateLimitStatus>(status);
  return *this;
}

Step& Step::without_prefill() {
  refuses_prefill_ = true;
  return *this;
}

Step& Step::cut() {
  Failure failure;
  failure.message = "the connection broke";
  return fail(ErrorKind::stream_interrupted, std::move(failure));
}

Step& Step::fail(ErrorKind kind, Failure failure) {
  append(What::fail).error = make_error(kind, std::move(failure));
  return *this;
}

Step& Step::silence() { return wait(Duration::max()); }

Step answer(std::string text) {
  Step step;
  step.text(std::move(text)).finish();
  return step;
}

Step stream(std::initializer_list<std::string_view> pieces, Duration gap) {
  Step step = deltas(pieces, gap);
  step.finish();
  return step;
}

Step deltas(std::initializer_list<std::string_view> pieces, Duration gap) {
  Step step;
  bool first = true;
  for (const std::string_view piece : pieces) {
    if (!std::exchange(first, false) && gap > Duration::zero()) step.wait(gap);
    step.text(std::string{piece});
  }
  return step;
}

Step tool_call(std::string name, std::string arguments) {
  Step step;
  step.tool_call(std::move(name), std::move(arguments)).finish();
  return step;
}

Step error(ErrorKind kind, Failure failure) {
  Step step;
  step.fail(kind, std::move(failure));
  return step;
}

Step silence() {
  Step step;
  step.silence();
  return step;
}

Step no_connection() {
  Step step;
  step.connects_after(Duration::max());
  return step;
}

}  // namespace backstop::inline v0::testing
