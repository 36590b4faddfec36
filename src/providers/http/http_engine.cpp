#include "http_engine.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backstop/runtime/call_context.hpp"
#include "answer_reader.hpp"
#include "gateway_headers.hpp"
#include "handover/projection.hpp"
#include "keyed_provider.hpp"
#include "own_fields.hpp"
#include "providers/failure/error_classifier.hpp"
#include "providers/failure/find_repair.hpp"
#include "providers/failure/rate_limit_headers.hpp"
#include "providers/failure/retry_hints.hpp"
#include "providers/wire/content_coding.hpp"
#include "request_headers.hpp"
#include "resolve_endpoint.hpp"
#include "runtime/http_exchange.hpp"
#include "text/ascii.hpp"
#include "wire_trace.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr std::size_t largest_error_body = std::size_t{1} << 20;
/// How much of a body is read before others have their turn.
constexpr std::size_t longest_turn = std::size_t{256} * 1024;
constexpr std::size_t longest_request_id = 200;
constexpr std::size_t longest_quote = 500;

/// How long the end of a body is waited for once all that it can say has come: a connection that is read to the end can
/// be used again.
constexpr Duration drain_time = std::chrono::milliseconds{100};

/// How long the wire's terminal marker is waited for once the model has said why it finished: some servers send none,
/// and leave the connection open.
constexpr Duration tail_time = std::chrono::seconds{5};

/// How long the body of a refusal is read after its head: some servers never end it.
constexpr Duration refusal_time = std::chrono::seconds{3};

/// How far the clocks of the machine and of the server are apart where nothing has to be done about it, and at most.
constexpr std::chrono::seconds usual_clock_error = std::chrono::minutes{1};
constexpr std::chrono::seconds longest_clock_error = std::chrono::years{10};

/// Stops a scope of its own when time is up.
class DrainLimit final : private Timer {
 public:
  explicit DrainLimit(StopSource& parent) noexcept : stop_{parent} {}
  [[nodiscard]] StopSource& stop() noexcept { return stop_; }
  void start(const CallContext& context, TimePoint until) { context.runtime().timers().arm(*this, until); }
  void rest() noexcept { disarm(); }

 private:
  void on_timer() noexcept override { stop_.request_stop(StopReason::cancelled); }

  StopSource stop_;
};

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
  WireTrace* trace;  ///< null: nobody is told
  RepairSet may_repair;  ///< in this request
  RepairSet repaired;    ///< that it was sent with
  bool stream;  ///< was asked for
  bool keep_raw;

  [[nodiscard]] TimePoint after(Duration span) const {
    return saturating_add(context.runtime().refresh_now(), span);
  }
  /// For bytes, at most.
  void wait_until(TimePoint until) const {
    drain.rest();
    drain.start(context, until);
  }

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
    return {endpoint, exchange.response(), context.runtime().wall_now(), secrets, request.body, request.url};
  }
};

FittedRequest fitted_to(const WireFormat& wire, const ChatRequest& request, const Target& target, RepairSet refused) {
  RequestLimits limits = wire.limits(request, target);
  limits.refused = refused;
  return FittedRequest{request, limits};
}

void add_note(Attempt& row, std::string_view note) {
  if (note.empty()) return;
  row.reason.append(row.reason.empty() ? "" : "; ").append(note);
}

// With what had been written of the answer, whether or not the consumer has it.
Error in_the_middle(Error error, const AnswerBuilder& answer) {
  error.partial_text = answer.partial_text();
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

Result<ChatResponse> conclude(const Attempting& attempt, AnswerReader& reader) {
  AnswerBuilder& answer = attempt.answer;
  const auto classified = [&](const ProviderFailure& failure) {
    const Secrets secrets = attempt.secrets();
    return in_the_middle(classify(failure, attempt.source(secrets)), answer);
  };
  if (answer.failure()) return classified(*answer.failure());
  Result<ChatResponse> response = answer.take();
  if (response) {
    if (attempt.keep_raw) response->raw = reader.take_raw();
    return response;
  }
  Error error = std::move(response).error();
  add_source(error, attempt.exchange.response(), attempt.secrets());
  error.provider_message = attempt.secrets().quote(reader.words(), longest_quote);
  error.replay = ReplaySafety::processed;
  return in_the_middle(std::move(error), answer);
}

// By the caller, because another attempt has won or for want of memory; not by a limit on this attempt.
bool stopped_from_above(const CallContext& context) noexcept {
  const StopReason reason = context.stop().reason();
  return reason == StopReason::cancelled || reason == StopReason::deadline || reason == StopReason::superseded ||
         reason == StopReason::no_memory;
}

// Reads what is left of a body whose content is known to be over.
Task<Result<bool>> drain(const Attempting& attempt) {
  attempt.wait_until(attempt.after(drain_time));
  for (;;) {
    const Result<std::string_view> piece = co_await attempt.exchange.read();
    if (!piece || piece->empty()) co_return true;
  }
}

// The body ended, and the answer is not complete.
Error unfinished(const Attempting& attempt, const AnswerReader& reader) {
  const std::string_view finding = reader.finding_of_nothing(attempt.stream);
  Error error = finding.empty()
                    ? faulty(attempt, ErrorKind::stream_interrupted, "the stream ended before the answer was complete")
                    : faulty(attempt, ErrorKind::malformed_response, std::string{finding});
  error.provider_message = attempt.secrets().quote(reader.words(), longest_quote);
  return in_the_middle(std::move(error), attempt.answer);
}

Task<Result<ChatResponse>> read_answer(const Attempting& attempt) {
  AnswerReader reader{attempt.wire, attempt.answer, attempt.endpoint.answer_limits};
  if (attempt.keep_raw) reader.keep_raw();
  ContentDecoder decoder{attempt.exchange.response().header("content-encoding")};
  bool ended = false;
  std::optional<TimePoint> patience;  // while the answer is complete as far as anybody knows; comments do not renew it
  while (!ended && !reader.at_end()) {
    HttpExchange::ReadAwaiter read = attempt.exchange.read();
    if (!read.await_ready()) {  // else nothing is waited for
      const bool whole = reader.has_whole_answer();
      if (!whole && !attempt.answer.is_complete()) {
        patience.reset();
      } else if (!patience) {
        patience = attempt.after(whole ? drain_time : tail_time);
      }
      if (patience) attempt.wait_until(*patience);
    }
    const Result<std::string_view> piece = co_await read;
    attempt.drain.rest();
    if (!piece) {
      const bool enough = attempt.answer.is_complete() || reader.has_whole_answer();
      if (enough && !stopped_from_above(attempt.context)) break;
      co_return broken(attempt, piece.error());
    }
    ended = piece->empty();
    decoder.feed(*piece);
    std::string_view plain;
    for (std::size_t decoded = 0; !reader.at_end() && decoder.next(plain); decoded += plain.size()) {
      if (decoded >= longest_turn) {  // a small piece may decode to very much
        Sleep turn = attempt.context.sleep(Duration{1});
        const auto went_on = co_await turn;
        if (!went_on) co_return broken(attempt, went_on.error());
        decoded = 0;
      }
      if (attempt.trace != nullptr) attempt.trace->add(plain);
      reader.feed(plain);
      while (reader.next()) {
        patience.reset();
        ConsumerReady ready{attempt.context};
        if (!ready.await_ready()) co_await ready;
        if (attempt.context.stopping()) co_return broken(attempt, attempt.context.stop_error());
      }
    }
    if (!decoder.fault().empty()) reader.fail(std::string{decoder.fault()});
  }
  reader.finish(ended);
  if (!attempt.answer.failure()) {
    if (!attempt.answer.is_complete()) co_return unfinished(attempt, reader);
    if (!ended && reader.at_end()) {
      const Result<bool> drained = co_await drain(attempt);
      static_cast<void>(drained);
    }
  }
  co_return conclude(attempt, reader);
}

// What the server says that it does not take is left out from now on, in a repeat of this very request as well unless
// one has been made or may not be.
void note_repair(const Attempting& attempt, RepairSet refused, std::size_t row) {
  Repairs* const repairs = attempt.endpoint.repairs.get();
  if (repairs == nullptr) return;
  const RepairSet on_trial = repairs->on_trial(attempt.repaired);
  const RepairSet found = refused & ~attempt.repaired;
  if (found == 0) return repairs->undo(on_trial);
  repairs->begin_trial(found);
  attempt.context.progress()->mended = on_trial == 0 && !attempt.context.hint().once;
  add_note(attempt.context.state().ledger[row], "from now on with " + to_string_of(found));
}

// A body that breaks off, does not end or is too long is still one to classify: by its status, and by what has come.
Task<Result<ChatResponse>> read_refusal(const Attempting& attempt, std::size_t row) {
  ContentDecoder decoder{attempt.exchange.response().header("content-encoding")};
  std::string body;
  ObjectScan scan;
  attempt.wait_until(attempt.after(refusal_time));
  for (bool ended = false; !ended && body.size() <= largest_error_body && decoder.fault().empty();) {
    const Result<std::string_view> piece = co_await attempt.exchange.read();
    if (!piece && stopped_from_above(attempt.context)) co_return broken(attempt, piece.error());
    if (!piece) break;
    ended = piece->empty();
    decoder.feed(*piece);
    std::string_view plain;
    while (body.size() <= largest_error_body && decoder.next(plain)) {
      if (attempt.trace != nullptr) attempt.trace->add(plain);
      body.append(plain);
      const bool was_closed = scan.closed();
      scan.feed(plain);
      if (scan.closed() && !was_closed) attempt.wait_until(attempt.after(drain_time));
    }
  }
  attempt.drain.rest();
  const Secrets secrets = attempt.secrets();
  const FailureSource source = attempt.source(secrets);
  const ProviderFailure failure = failure_in(body, attempt.exchange.response());
  Error error = classify(failure, source);
  const int status = attempt.exchange.response().status;
  if (status != 400 && status != 422) co_return error;
  const RepairSet refused = find_repair(failure) & attempt.may_repair;
  note_repair(attempt, refused, row);
  // Another target may take the field.
  if (refused != 0 && error.kind == ErrorKind::invalid_request) error.kind = ErrorKind::unsupported_capability;
  co_return error;
}

// Which key is used, and what became of the conversation and the settings on their way to this target, stand in the
// attempt's row.
void note_circumstances(const Endpoint& endpoint, const Projection& projection, const FittedRequest& fitted,
                        Attempt& row) {
  add_note(row, endpoint.key_note);
  const HandoverLosses losses = projection.losses();
  if (losses.any()) add_note(row, "conversation adapted: " + to_string(losses));
  add_note(row, fitted.notes());
}

// What an answer's head says stands there too, of failures as well: a success may tell that the next call will be one
// too many, and a refusal how much is left of the other limits.
void note_head(const HttpResponseHead& head, const Secrets& secrets, const CallContext& context, Attempt& row) {
  row.http_status = head.status;
  row.request_id = secrets.quote(request_id_of(head), longest_request_id);
  if (const auto status = rate_limit_status(head, context.runtime().clock())) {
    row.rate_limit = std::make_shared<const RateLimitStatus>(*status);
  }
  if (head.asked_again) add_note(row, "asked again on a fresh connection: the server had given up the kept one (408)");
}

// What the gateway said of itself: what the answer has of it counts before what its head has.
void note_gateway(const HttpResponseHead& head, GatewayReport& said, const Secrets& secrets, Attempt& row) {
  constexpr std::size_t longest_name = 200;
  GatewayReport report = gateway_report(head);
  if (!said.served_by.empty()) report.served_by = std::move(said.served_by);
  if (!said.model.empty()) report.model = std::move(said.model);
  if (said.cost) report.cost = said.cost;
  if (said.attempts) report.attempts = said.attempts;
  if (report == GatewayReport{}) return;
  report.served_by = secrets.quote(report.served_by, longest_name);
  report.model = secrets.quote(report.model, longest_name);
  row.gateway = std::make_shared<const GatewayReport>(std::move(report));
}

[[nodiscard]] bool is_refused_key(const Result<ChatResponse>& result) noexcept {
  return !result && result.error().kind == ErrorKind::authentication && result.error().http_status != 0;
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
  const Credentials credentials = endpoint.credentials;
  if (credentials.empty() || KeyRing::of(credentials).renewed() != nullptr) {
    return Provider{
        std::make_shared<const HttpModelProvider>(std::move(endpoint), std::move(wire), std::move(secrets))};
  }
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

// From refusals alone, by what is more than a sign of slowness: the server's own limit is minutes.
bool HttpModelProvider::note_server_clock(const HttpResponseHead& head, WallTime now) const noexcept {
  using std::chrono::floor, std::chrono::seconds;
  if (head.status != 401 && head.status != 403) return false;
  const std::optional<WallTime> date = parse_date(head.header("date"));
  if (!date) return false;
  const seconds ahead = floor<seconds>(*date) - floor<seconds>(now);
  const seconds believed = floor<seconds>(server_clock_ahead());
  if (std::chrono::abs(ahead) > longest_clock_error || std::chrono::abs(ahead - believed) <= usual_clock_error) {
    return false;
  }
  server_clock_ahead_.store(Duration{ahead}.count(), std::memory_order_relaxed);
  return true;
}

Layer HttpModelProvider::layer() const {
  Layer layer = ModelProvider::layer();
  layer.sends = 2;
  return layer;
}

Task<Result<ChatResponse>> HttpModelProvider::send(const ChatRequest& request, CallContext& context) const {
  if (!endpoint_.credentials.empty()) return send_with_fetched_key(request, context);
  return send_to(endpoint_, *secrets_, context.state().ledger.size() - 1, request, context);
}

Task<Result<ChatResponse>> HttpModelProvider::send_with_fetched_key(const ChatRequest& request,
                                                                    CallContext& context) const {
  const std::size_t row = context.state().ledger.size() - 1;
  RenewedKey* const renewed = KeyRing::of(endpoint_.credentials).renewed();
  Result<RenewedKey::Got> got = co_await renewed->get(context);
  if (!got) co_return std::move(got).error();
  const ExpiringKey& key = got->key->key;
  Endpoint endpoint = endpoint_;
  endpoint.api_key = key.key;
  endpoint.access_key_id = key.access_key_id;
  endpoint.session_token = key.session_token;
  Secrets secrets = *secrets_;
  secrets.add(key.key);
  secrets.add(key.session_token);
  Result<ChatResponse> result = co_await send_to(endpoint, secrets, row, request, context);
  if (is_refused_key(result) && !context.progress()->mended) {
    renewed->drop(got->key->number);
    context.progress()->mended = !got->fetched_for_this;  // else the next will not be better
  }
  co_return result;
}

Task<Result<ChatResponse>> HttpModelProvider::send_to(const Endpoint& endpoint, const Secrets& secrets, std::size_t row,
                                                      const ChatRequest& request, CallContext& context) const {
  if (endpoint.needs_key && endpoint.api_key.empty()) co_return missing_key(endpoint);
  const bool stream = context.progress()->streamed;
  context.progress()->network = true;  // until it is connected nothing has been sent, whatever happens
  const Projection projection = project(request, endpoint.target, wire_->handover_rules(endpoint.target));
  const RepairSet repairs = endpoint.repairs != nullptr ? endpoint.repairs->active() : 0;
  const FittedRequest fitted = fitted_to(*wire_, projection.request(), endpoint.target, repairs);
  const RepairSet own = wire_->own_repairs(fitted.request(), endpoint.target, stream);
  const RepairSet repaired = repairs & (repairs_of(projection.request()) | own);  // of what was asked for
  note_circumstances(endpoint, projection, fitted, context.state().ledger[row]);
  add_note(context.state().ledger[row], to_string_of(repairs & own));
  Result<HttpRequest> encoded = wire_->encode(fitted.request(), endpoint, stream);
  if (encoded) {
    if (Result<void> added = add_own_fields(encoded->body, request, endpoint, wire_->name()); !added) {
      encoded = std::move(added).error();
    }
  }
  if (!encoded) {
    context.progress()->network = false;
    co_return std::move(encoded).error();
  }
  renew_span(*encoded, context.runtime().random());
  const WallTime moment = context.runtime().wall_now() + server_clock_ahead();
  if (const Result<void> signed_now = wire_->sign(*encoded, endpoint, moment); !signed_now) {
    context.progress()->network = false;
    co_return signed_now.error();
  }
  if (endpoint.http) encoded->options = &*endpoint.http;

  DrainLimit drain{context.stop()};
  CallContext inner = context;
  inner.set_stop(drain.stop());
  HttpExchange exchange{*encoded, inner};
  AnswerBuilder answer{endpoint.target, &context};
  answer.set_projection(projection);
  answer.set_limits(endpoint.answer_limits);
  std::unique_ptr<WireTrace> trace;
  Attempting attempt{endpoint, *wire_, context, *encoded, secrets, exchange, drain, answer, nullptr,
                     repairs_of(fitted.request()) | own, repaired, stream, request.keep_raw};
  if (const WireLog* log = context.runtime().wire_log()) {
    trace = std::make_unique<WireTrace>(context.runtime(), *log, endpoint.target, *encoded, attempt.secrets());
    attempt.trace = trace.get();
  }

  const Result<void> head = co_await exchange.head();
  if (!head) co_return broken(attempt, head.error());
  note_head(exchange.response(), secrets, context, context.state().ledger[row]);
  if (attempt.trace != nullptr) attempt.trace->note_head(exchange.response());
  const int status = exchange.response().status;
  if (status < 200 || status >= 300) {
    const bool signs = !endpoint.access_key_id.empty();
    const bool clock = signs && note_server_clock(exchange.response(), context.runtime().wall_now());
    Result<ChatResponse> refused = co_await read_refusal(attempt, row);
    if (clock && is_refused_key(refused)) context.progress()->mended = true;
    note_gateway(exchange.response(), answer.gateway(), secrets, context.state().ledger[row]);
    co_return refused;
  }
  Result<ChatResponse> answered = co_await read_answer(attempt);
  if (answered && endpoint.repairs != nullptr) endpoint.repairs->confirm(repaired);
  note_gateway(exchange.response(), answer.gateway(), secrets, context.state().ledger[row]);
  co_return answered;
}

}  // namespace backstop::inline v0::detail
