#include "backstop/testing/faults.hpp"

#include <utility>

namespace backstop::inline v0::testing {
namespace {

Step refused(ErrorKind kind, int status, std::string code, std::string message) {
  Failure failure;
  failure.http_status = status;
  failure.code = std::move(code);
  failure.message = std::move(message);
  return error(kind, std::move(failure));
}

Step hinted(ErrorKind kind, std::string message, std::optional<Duration> retry_after) {
  Failure failure;
  failure.message = std::move(message);
  failure.retry_after = retry_after;
  return error(kind, std::move(failure));
}

// What a fault is called after an answer has begun: under the answer's own status.
Failure in_answer(std::string message) {
  Failure failure;
  failure.http_status = 200;
  failure.message = std::move(message);
  return failure;
}

}  // namespace

Step rate_limited(std::optional<Duration> retry_after) {
  return hinted(ErrorKind::rate_limited, "rate limit reached for requests", retry_after);
}

Step overloaded(std::optional<Duration> retry_after) {
  return hinted(ErrorKind::overloaded, "the engine is currently overloaded", retry_after);
}

Step server_error(int http_status) {
  return refused(ErrorKind::server_error, http_status, "", "the server had an error while processing the request");
}

Step quota_exhausted() {
  return refused(ErrorKind::quota_exhausted, 429, "insufficient_quota", "you exceeded your current quota");
}

Step bad_key() { return refused(ErrorKind::authentication, 401, "invalid_api_key", "incorrect API key provided"); }

Step no_permission() {
  return refused(ErrorKind::permission, 403, "permission_error", "this key may not use this model");
}

Step no_such_model() { return refused(ErrorKind::model_not_found, 404, "model_not_found", "the model does not exist"); }

Step context_too_long() {
  return refused(ErrorKind::context_window_exceeded, 400, "context_length_exceeded",
                 "the conversation does not fit this model's context window");
}

Step filtered(std::string reason) {
  return refused(ErrorKind::content_filtered, 400, "content_policy_violation", std::move(reason));
}

Step bad_request() {
  return refused(ErrorKind::invalid_request, 400, "invalid_request_error", "messages must not be empty");
}

Step connection_reset() {
  Failure failure;
  failure.message = "the connection was reset";
  failure.replay = ReplaySafety::maybe_processed;
  return error(ErrorKind::connect_failed, std::move(failure));
}

Step connection_refused() {
  Failure failure;
  failure.message = "the connection was refused";
  return error(ErrorKind::connect_failed, std::move(failure));
}

Step late_first_token(Duration delay, std::string text) {
  Step step;
  step.ping().wait(delay).text(std::move(text)).finish();
  return step;
}

Step pings_only(Duration every) {
  Step step;
  step.ping().endless_pings(every);
  return step;
}

Step cut_after(std::initializer_list<std::string_view> pieces, Duration gap) {
  Step step = deltas(pieces, gap);
  step.cut();
  return step;
}

Step stalled_after(std::initializer_list<std::string_view> pieces, Duration silence) {
  Step step = deltas(pieces);
  step.wait(silence).cut();
  return step;
}

Step garbled_after(std::initializer_list<std::string_view> pieces) {
  Step step = deltas(pieces);
  step.fail(ErrorKind::malformed_response, in_answer("an event of the stream is no JSON"));
  return step;
}

Step error_event_after(std::initializer_list<std::string_view> pieces, ErrorKind kind) {
  Step step = deltas(pieces);
  step.fail(kind, in_answer("reported in the middle of the answer"));
  return step;
}

Step cut_tool_call(std::string arguments) {
  Step step;
  step.tool_arguments(std::move(arguments)).cut();
  return step;
}

Step empty_answer() {
  Step step;
  step.fail(ErrorKind::malformed_response, in_answer("the answer is empty"));
  return step;
}

Step length_limited(std::string text) {
  Step step;
  step.text(std::move(text)).finish(FinishReason::length);
  return step;
}

Step refusal(std::string text) {
  Step step;
  step.text(std::move(text)).finish(FinishReason::content_filter);
  return step;
}

Step broken_arguments(std::string name) {
  return tool_call(std::move(name), R"({"rawInvalidInput":"{\"query\": \"we"})");
}

std::vector<NamedFault> every_fault() {
  using namespace std::chrono_literals;
  return {
      {"rate_limited", rate_limited(), ErrorKind::rate_limited},
      {"rate_limited, come back in 2 s", rate_limited(2s), ErrorKind::rate_limited},
      {"overloaded", overloaded(), ErrorKind::overloaded},
      {"server_error", server_error(), ErrorKind::server_error},
      {"bad gateway", server_error(502), ErrorKind::server_error},
      {"quota_exhausted", quota_exhausted(), ErrorKind::quota_exhausted},
      {"bad_key", bad_key(), ErrorKind::authentication},
      {"no_permission", no_permission(), ErrorKind::permission},
      {"no_such_model", no_such_model(), ErrorKind::model_not_found},
      {"context_too_long", context_too_long(), ErrorKind::context_window_exceeded},
      {"filtered", filtered(), ErrorKind::content_filtered},
      {"bad_request", bad_request(), ErrorKind::invalid_request},
      {"connection_reset", connection_reset(), ErrorKind::connect_failed},
      {"connection_refused", connection_refused(), ErrorKind::connect_failed},
      {"no_connection", no_connection(), ErrorKind::connect_failed},
      {"silence", silence(), ErrorKind::timeout},
      {"late_first_token", late_first_token(20s), std::nullopt},
      {"pings_only", pings_only(), ErrorKind::timeout},
      {"cut_after nothing", cut_after({}), ErrorKind::stream_interrupted},
      {"cut_after content", cut_after({"Once ", "upon "}, 10ms), ErrorKind::stream_interrupted},
      {"stalled_after", stalled_after({"Once ", "upon "}, 30s), ErrorKind::stream_interrupted},
      {"garbled_after", garbled_after({"Once "}), ErrorKind::stream_interrupted},
      {"error_event_after nothing", error_event_after({}), ErrorKind::overloaded},
      {"error_event_after content", error_event_after({"Once "}), ErrorKind::stream_interrupted},
      {"cut_tool_call", cut_tool_call(), ErrorKind::stream_interrupted},
      {"empty_answer", empty_answer(), ErrorKind::malformed_response},
      {"length_limited", length_limited(), std::nullopt},
      {"refusal", refusal(), std::nullopt},
      {"broken_arguments", broken_arguments(), std::nullopt},
  };
}

}  // namespace backstop::inline v0::testing
