#include "http_engine.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backstop/runtime/call_context.hpp"
#include "handover/projection.hpp"
#include "keyed_provider.hpp"
#include "providers/failure/error_classifier.hpp"
#include "providers/failure/rate_limit_headers.hpp"
#include "providers/failure/read_failure.hpp"
#include "providers/wire/server_sent_events.hpp"
#include "request_headers.hpp"
#include "resolve_endpoint.hpp"
#include "runtime/http_exchange.hpp"
#include "text/ascii.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr std::size_t largest_error_body = std::size_t{1} << 20;
constexpr std::size_t longest_request_id = 200;
constexpr std::size_t longest_quote = 500;

/// How long the end of a body is waited for once the stream has said that it is complete: a connection that is read to
/// the end can be used again.
constexpr Duration drain_time = std::chrono::milliseconds{100};

/// How long the wire's terminal marker is waited for once the model has said why it finished: some servers send none,
/// and leave the connection open.
constexpr Duration tail_time = std::chrono::seconds{5};

/// Stops a scope of its own when time is up.
class DrainLimit final : private Timer {
 public:
  explicit DrainLimit(StopSource& parent) noexcept : stop_{parent} {}
  [[nodiscard]] StopSource& stop() noexcept { return stop_; }
  void start(const CallContext& context, Duration span) {
    context.runtime().timers().arm(*this, saturating_add(context.runtime().refresh_now(), span));
  }
  void rest() noexcept { disarm(); }

 private:
  void on_timer() noexcept override { stop_.request_stop(StopReason::cancelled); }

  StopSource stop_;
};

bool is_json_type(std::string_view type) noexcept {
  type = trim(type.substr(0, type.find(';')));
  return equal_ignoring_case(type, "application/json") || equal_ignoring_case(type, "application/problem+json");
}

/// What the parts of an attempt share.
struct Attempting {
  const Endpoint& endpoint;
  const WireFormat& wire;
  const CallContext& context;
  const HttpRequest& request;
  const Secrets& target_secrets;
  HttpExchange& exchange;
  DrainLimit& drain;
  AnswerBuilder& answer;

  /// The target's, and what the application's own headers may have brought along. For failures only: it copies.
  [[nodiscard]] Secrets secrets() const {
    Secrets all = target_secrets;
    for (const Header& header : request.headers) {
      for (const std::string& name : endpoint.forward_headers) {
        if (equal_ignoring_case(name, header.first)) all.add_header(header.first, header.second);
      }
    }
    return all;
  }
  [[nodiscard]] FailureSource source(const Secrets& secrets) const {
    return {endpoint, exchange.response(), context.runtime().wall_now(), secrets, request.body};
  }
};

/// Reads the rest of the body into `body`; false when it is larger than `limit`.
Task<Result<bool>> read_body(HttpExchange& exchange, std::size_t limit, std::string& body) {
  for (;;) {
    const Result<std::string_view> piece = co_await exchange.read();
    if (!piece) co_return piece.error();
    if (piece->empty()) co_return true;
    if (body.size() + piece->size() > limit) co_return false;
    body.append(*piece);
  }
}

// An error that comes in the middle of an answer. What the consumer has seen stands beside it.
Error in_the_middle(Error error, const AnswerBuilder& answer) {
  if (!answer.delivered()) return error;
  error.committed = true;
  error.partial_text = answer.partial_text();
  const bool stopped_by_caller = error.kind == ErrorKind::cancelled || error.kind == ErrorKind::deadline_exceeded;
  if (!stopped_by_caller && error.kind != ErrorKind::stream_interrupted) {
    error.cause = error.kind;
    error.kind = ErrorKind::stream_interrupted;
  }
  return error;
}

// A fault of the answer that the provider did not report itself.
Error faulty(const Attempting& attempt, ErrorKind kind, std::string message) {
  Error error{kind, std::move(message)};
  add_source(error, attempt.exchange.response(), attempt.secrets());
  error.replay = ReplaySafety::maybe_processed;
  return error;
}

// The transport's error, or the stop's.
Error broken(const Attempting& attempt, const Error& cause) {
  const Secrets secrets = attempt.secrets();
  Error error = attempt.context.stopping() ? attempt.context.stop_error() : cause;
  error.message = secrets.quote(error.message, longest_quote);  // the transport may name addresses
  add_source(error, attempt.exchange.response(), secrets);
  if (error.http_status != 0) error.replay = ReplaySafety::maybe_processed;
  return in_the_middle(std::move(error), attempt.answer);
}

Result<ChatResponse> conclude(const Attempting& attempt) {
  AnswerBuilder& answer = attempt.answer;
  const auto classified = [&](const ProviderFailure& failure) {
    const Secrets secrets = attempt.secrets();
    return in_the_middle(classify(failure, attempt.source(secrets)), answer);
  };
  if (answer.failure()) return classified(*answer.failure());
  const bool delivered = answer.delivered();
  Result<ChatResponse> response = answer.take();
  if (response) return response;
  Error error = std::move(response).error();
  add_source(error, attempt.exchange.response(), attempt.secrets());
  error.replay = ReplaySafety::processed;
  return delivered ? in_the_middle(std::move(error), answer) : std::move(error);
}

bool looks_like_answer(std::string_view body) noexcept {
  if (body.starts_with("\xEF\xBB\xBF")) body.remove_prefix(3);
  body = trim(body);
  for (const std::string_view beginning : {"{", "[", "\"", "data:", "event:", "id:", ":"}) {
    if (body.starts_with(beginning)) return true;
  }
  return false;
}

Result<ChatResponse> decode_body(const Attempting& attempt, std::string_view body) {
  const JsonDocument document{body};
  if (!document.valid()) {
    Error error = faulty(attempt, ErrorKind::malformed_response,
                         body.empty() ? "the answer has no body" : "the answer is no JSON");
    // A page of HTML says why; what begins like an answer is part of one, and is not quoted.
    if (!looks_like_answer(body)) error.provider_message = attempt.secrets().quote(body, longest_quote);
    return error;
  }
  attempt.wire.decode(document.root(), attempt.answer);
  return conclude(attempt);
}

/// Reads one stream's events into the answer.
class StreamReader {
 public:
  explicit StreamReader(const Attempting& attempt)
      : attempt_{&attempt}, decoder_{attempt.wire.stream_decoder()} {}

  /// True at the true end, also when the answer has failed.
  [[nodiscard]] bool take(const ServerSentEvents::Event& event) {
    any_event_ = true;
    AnswerBuilder& answer = attempt_->answer;
    if (event.data.starts_with("[DONE]")) return decoder_->on_done(answer) == StreamDecoder::Next::end;
    document_.parse(event.data, event.readable_behind);
    const JsonDocument& document = document_;
    if (!document.valid()) {
      fail("an event of the stream is no JSON");
    } else if (equal_ignoring_case(event.name, "error")) {
      answer.fail(read_failure(document.root()));
    } else if (event.bare) {
      attempt_->wire.decode(document.root(), answer);  // a whole answer where a stream was asked for
      answer.complete();
    } else {
      return decoder_->on_event(event.name, document.root(), answer) == StreamDecoder::Next::end || has_failed();
    }
    return true;
  }

  void fail(std::string finding) {
    ProviderFailure failure;
    failure.kind = ErrorKind::malformed_response;
    failure.finding = std::move(finding);
    attempt_->answer.fail(std::move(failure));
  }
  [[nodiscard]] bool any_event() const noexcept { return any_event_; }

 private:
  [[nodiscard]] bool has_failed() const noexcept { return attempt_->answer.failure().has_value(); }

  const Attempting* attempt_;
  std::unique_ptr<StreamDecoder> decoder_;
  JsonDocument document_;  // the event being read; one parser for all
  bool any_event_ = false;
};

// The body ended, and the wire's terminal marker did not come.
Error unfinished(const Attempting& attempt, const StreamReader& reader) {
  if (!reader.any_event()) {
    return faulty(attempt, ErrorKind::malformed_response, "the stream ended without a single event");
  }
  return in_the_middle(faulty(attempt, ErrorKind::stream_interrupted, "the stream ended before the answer was complete"),
                       attempt.answer);
}

// By the caller, or because another attempt has won; not by a limit on this attempt.
bool stopped_from_above(const CallContext& context) noexcept {
  const StopReason reason = context.stop().reason();
  return reason == StopReason::cancelled || reason == StopReason::deadline || reason == StopReason::superseded;
}

// Reads what is left of a body whose content is known to be over.
Task<Result<bool>> drain(const Attempting& attempt) {
  attempt.drain.start(attempt.context, drain_time);
  for (;;) {
    const Result<std::string_view> piece = co_await attempt.exchange.read();
    if (!piece || piece->empty()) co_return true;
  }
}

Task<Result<ChatResponse>> read_stream(const Attempting& attempt) {
  StreamReader reader{attempt};
  ServerSentEvents events;
  ServerSentEvents::Event event;
  const std::size_t limit = attempt.endpoint.answer_limits.stream_bytes;
  std::size_t received = 0;
  bool at_end = false;
  while (!at_end) {
    if (attempt.answer.is_complete()) attempt.drain.start(attempt.context, tail_time);
    const Result<std::string_view> piece = co_await attempt.exchange.read();
    attempt.drain.rest();
    if (!piece) {
      if (attempt.answer.is_complete() && !stopped_from_above(attempt.context)) break;
      co_return broken(attempt, piece.error());
    }
    if (piece->empty()) {
      if (events.finish(event)) at_end = reader.take(event);
      break;
    }
    received += piece->size();
    if (received > limit) {
      reader.fail(too_large("the stream", limit, "stream_bytes").message);
      break;
    }
    events.feed(*piece);
    while (!at_end && events.next(event)) {
      at_end = reader.take(event);
      ConsumerReady ready{attempt.context};
      if (!ready.await_ready()) co_await ready;
      if (attempt.context.stopping()) co_return broken(attempt, attempt.context.stop_error());
    }
    if (events.too_large()) {
      reader.fail("an event of the stream is larger than 16 MiB");
      at_end = true;
    }
  }
  if (!attempt.answer.failure()) {
    if (!attempt.answer.is_complete()) co_return unfinished(attempt, reader);
    if (at_end) {
      const Result<bool> drained = co_await drain(attempt);
      static_cast<void>(drained);
    }
  }
  co_return conclude(attempt);
}

Task<Result<ChatResponse>> read_whole(const Attempting& attempt) {
  std::string body;
  const std::size_t limit = attempt.endpoint.answer_limits.bytes;
  const Result<bool> read = co_await read_body(attempt.exchange, limit, body);
  if (!read) co_return broken(attempt, read.error());
  if (!*read) {
    Error error = too_large("the answer", limit, "bytes");
    co_return faulty(attempt, error.kind, std::move(error.message));
  }
  co_return decode_body(attempt, body);
}

Task<Result<ChatResponse>> read_refusal(const Attempting& attempt) {
  std::string body;
  // A body that breaks off or is too long is still one to classify by its status.
  const Result<bool> read = co_await read_body(attempt.exchange, largest_error_body, body);
  if (!read && attempt.context.stopping()) co_return broken(attempt, read.error());
  const Secrets secrets = attempt.secrets();
  const FailureSource source = attempt.source(secrets);
  co_return classify_body(body, source);
}

// Which key is used, and what the conversation lost on its way to this target, stand in the attempt's row.
void note_circumstances(const Endpoint& endpoint, const Projection& projection, Attempt& row) {
  row.reason = endpoint.key_note;
  const HandoverLosses losses = projection.losses();
  if (!losses.any()) return;
  if (!row.reason.empty()) row.reason += "; ";
  row.reason += "conversation adapted: " + to_string(losses);
}

// What an answer's head says stands there too, of failures as well: a success may tell that the next call will be one
// too many, and a refusal how much is left of the other limits.
void note_head(const HttpResponseHead& head, const Secrets& secrets, const CallContext& context, Attempt& row) {
  row.http_status = head.status;
  row.request_id = secrets.quote(request_id_of(head), longest_request_id);
  if (const auto status = rate_limit_status(head, context.runtime().clock())) {
    row.rate_limit = std::make_shared<const RateLimitStatus>(*status);
  }
}

Error missing_key(const Endpoint& endpoint) {
  return {ErrorKind::authentication, "no key for " + endpoint.target.name() + ": " + endpoint.key_hint};
}

}  // namespace

HttpModelProvider::HttpModelProvider(Endpoint endpoint, std::shared_ptr<const WireFormat> wire,
                                     std::shared_ptr<const Secrets> secrets)
    : ModelProvider{endpoint.target},
      endpoint_{std::move(endpoint)},
      wire_{std::move(wire)},
      secrets_{std::move(secrets)} {}

Provider http_provider(Endpoint endpoint, std::shared_ptr<const WireFormat> wire) {
  auto secrets = std::make_shared<const Secrets>(secrets_of(endpoint));
  if (endpoint.credentials.empty()) {
    return Provider{
        std::make_shared<const HttpModelProvider>(std::move(endpoint), std::move(wire), std::move(secrets))};
  }
  const Credentials credentials = endpoint.credentials;
  const KeyRing& ring = KeyRing::of(credentials);
  std::vector<std::unique_ptr<const ChatProvider>> by_key;
  for (std::size_t index = 0; index < ring.size(); ++index) {
    Endpoint one = endpoint;
    one.credentials = {};
    one.api_key = ring.key(index);
    one.key_note = "key " + std::to_string(index + 1) + " of " + std::to_string(ring.size());
    by_key.push_back(std::make_unique<const HttpModelProvider>(std::move(one), wire, secrets));
  }
  return Provider{std::make_shared<const KeyedProvider>(credentials, std::move(by_key))};
}

Task<Result<ChatResponse>> HttpModelProvider::send(const ChatRequest& request, CallContext& context) const {
  if (endpoint_.needs_key && endpoint_.api_key.empty()) co_return missing_key(endpoint_);
  const bool stream = context.progress()->streamed;
  const Projection projection = project(request, endpoint_.target, wire_->handover_rules(endpoint_.target));
  const std::size_t row = context.state().ledger.size() - 1;  // other attempts of the call may add theirs meanwhile
  note_circumstances(endpoint_, projection, context.state().ledger[row]);
  Result<HttpRequest> encoded = wire_->encode(projection.request(), endpoint_, stream);
  if (!encoded) co_return std::move(encoded).error();
  renew_span(*encoded, context.runtime().random());

  DrainLimit drain{context.stop()};
  CallContext inner = context;
  inner.set_stop(drain.stop());
  HttpExchange exchange{*encoded, inner};
  AnswerBuilder answer{endpoint_.target, &context};
  answer.set_projection(projection);
  answer.set_limits(endpoint_.answer_limits);
  const Attempting attempt{endpoint_, *wire_, context, *encoded, *secrets_, exchange, drain, answer};

  const Result<void> head = co_await exchange.head();
  if (!head) co_return broken(attempt, head.error());
  note_head(exchange.response(), *secrets_, context, context.state().ledger[row]);
  const int status = exchange.response().status;
  if (status < 200 || status >= 300) {
    Result<ChatResponse> refused = co_await read_refusal(attempt);
    co_return refused;
  }
  const bool whole = !stream || is_json_type(exchange.response().header("content-type"));
  Task<Result<ChatResponse>> reading = whole ? read_whole(attempt) : read_stream(attempt);
  Result<ChatResponse> answered = co_await reading;
  co_return answered;
}

}  // namespace backstop::inline v0::detail
