#include "error_classifier.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "provider_quirks.hpp"
#include "providers/wire/json_document.hpp"
#include "providers/wire/server_sent_events.hpp"
#include "read_failure.hpp"
#include "retry_hints.hpp"
#include "text/ascii.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr std::size_t longest_message = 500;
constexpr std::size_t longest_code = 200;
constexpr std::size_t searched_of_body = 500;

bool is_success(int status) noexcept { return status >= 200 && status < 300; }

bool fits(const ProviderQuirk& quirk, const ProviderFailure& failure, std::string_view lower_message) noexcept {
  if (quirk.where == ProviderQuirk::Where::status) return true;
  if (quirk.where == ProviderQuirk::Where::message) return lower_message.find(quirk.pattern) != std::string_view::npos;
  if (quirk.where == ProviderQuirk::Where::param) return failure.param == quirk.pattern;
  for (const std::string_view code : {std::string_view{failure.code}, std::string_view{failure.type},
                                      std::string_view{failure.status}, std::string_view{failure.reason}}) {
    const std::string_view name = code.substr(code.rfind('#') + 1);  // AWS may write its namespace in front
    const bool prefix = quirk.where == ProviderQuirk::Where::prefix;
    if (equal_ignoring_case(prefix ? name.substr(0, quirk.pattern.size()) : name, quirk.pattern)) return true;
  }
  return false;
}

// Without a status of a failure the generic types are all there is.
ErrorKind kind_of_generic_type(const ProviderFailure& failure) noexcept {
  for (const std::string_view code : {std::string_view{failure.code}, std::string_view{failure.type}}) {
    if (code.starts_with("invalid_request")) return ErrorKind::invalid_request;
  }
  return ErrorKind::server_error;
}

// A refusal costs nothing and may be repeated; after a failure inside the server nobody knows.
ReplaySafety replay_after(int status) noexcept {
  const bool refused = (status >= 400 && status < 500 && status != 408) || status == 503 || status == 529;
  return refused ? ReplaySafety::not_sent : ReplaySafety::maybe_processed;
}

bool never_fits_the_limit(const ProviderFailure& failure, ErrorKind kind) {
  if (kind != ErrorKind::rate_limited) return false;
  const std::string message = lower_case(failure.message);
  return std::all_of(larger_than_limit_words.begin(), larger_than_limit_words.end(),
                     [&message](std::string_view words) { return message.find(words) != std::string::npos; });
}

// Refused, and nothing is said that could be read: by whatever stands before the model as likely as by the model.
bool says_nothing(const ProviderFailure& failure) noexcept {
  const bool coded = !failure.code.empty() || !failure.type.empty() || !failure.status.empty();
  return (failure.message.empty() || failure.quotes_body) && !coded;
}

// By a server that does not know the path, rather than a provider that does not know the model.
bool is_no_such_path(const ProviderFailure& failure, int status) noexcept {
  if (status != 404 && status != 405) return false;
  return says_nothing(failure) || equal_ignoring_case(failure.message, status == 404 ? "not found" : "method not allowed");
}

bool may_carry_hint(ErrorKind kind, bool in_answer) noexcept {
  if (!in_answer) return true;
  return kind == ErrorKind::rate_limited || kind == ErrorKind::overloaded;
}

}  // namespace

ErrorKind kind_of_status(int status) noexcept {
  switch (status) {
    case 401: return ErrorKind::authentication;
    case 402: return ErrorKind::quota_exhausted;
    case 403: return ErrorKind::permission;
    case 404:
    case 410: return ErrorKind::model_not_found;
    case 408: return ErrorKind::timeout;
    case 413: return ErrorKind::context_window_exceeded;
    case 424: return ErrorKind::server_error;  // botocore, bedrock-runtime's service-2.json: ModelErrorException
    case 425:                                  // RFC 8470
    case 429: return ErrorKind::rate_limited;
    case 498:  // Groq docs, API error codes: flex capacity is used up
    case 499:  // googleapis, google/rpc/code.proto: CANCELLED, by whom we do not know
    case 503:
    case 529: return ErrorKind::overloaded;  // Anthropic docs, errors
    default: break;
  }
  if (status >= 500) return ErrorKind::server_error;
  return status >= 400 ? ErrorKind::invalid_request : ErrorKind::malformed_response;
}

std::string_view sentence_of(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::rate_limited: return "the provider limits the rate of requests";
    case ErrorKind::quota_exhausted: return "the account's quota or credit at the provider is used up";
    case ErrorKind::overloaded: return "the provider is overloaded";
    case ErrorKind::server_error: return "the provider failed";
    case ErrorKind::timeout: return "the provider gave up waiting";
    case ErrorKind::authentication: return "the provider does not accept the key";
    case ErrorKind::permission: return "the key does not permit this";
    case ErrorKind::invalid_request: return "the provider refused the request as invalid";
    case ErrorKind::context_window_exceeded: return "the request is too large for the model";
    case ErrorKind::model_not_found: return "the provider does not know the model";
    case ErrorKind::unsupported_capability: return "the model does not support what the request asks for";
    case ErrorKind::content_filtered: return "the provider's filter blocked the request or the answer";
    case ErrorKind::malformed_response: return "the answer cannot be read";
    default: return "the provider reported an error";
  }
}

ErrorKind kind_of(const ProviderFailure& failure, std::string_view provider, int status) {
  if (failure.kind) return *failure.kind;
  const int telling = is_success(status) ? failure.http_status : status;
  const std::string_view said = failure.message;
  const std::string message = lower_case(failure.quotes_body ? said.substr(0, searched_of_body) : said);
  for (const ProviderQuirk& quirk : provider_quirks) {
    if (!quirk.provider.empty() && quirk.provider != provider) continue;
    if (quirk.status != 0 && quirk.status != telling) continue;
    if (fits(quirk, failure, message)) return quirk.kind;
  }
  // A gateway that wraps a refusal of the model behind it.
  if (status >= 500 && failure.http_status == 429) return ErrorKind::rate_limited;
  // It might be the same elsewhere, which is found out by asking.
  if (status == 400 && says_nothing(failure)) return ErrorKind::unsupported_capability;
  return telling != 0 ? kind_of_status(telling) : kind_of_generic_type(failure);
}

Error classify(const ProviderFailure& failure, const FailureSource& source) {
  const int status = source.head.status;
  const bool in_answer = is_success(status);
  const ErrorKind kind = kind_of(failure, source.endpoint.provider, status);

  Error error{kind, failure.finding.empty() ? std::string{sentence_of(kind)} : failure.finding};
  if (kind == ErrorKind::unsupported_capability && says_nothing(failure) && failure.finding.empty()) {
    error.message = "the provider refused the request and did not say why";
  }
  if (is_no_such_path(failure, status) && !source.url.empty()) {
    error.message = "the server has nothing at " + source.secrets.quote(source.url, longest_code) +
                    ", and says nothing of a model: is the base URL right?";
  }
  if (kind == ErrorKind::authentication && source.endpoint.api_key.empty() && source.endpoint.headers.empty()) {
    error.message += "; no key was sent: " + source.endpoint.key_hint;
  }
  error.provider_message = source.secrets.quote(failure.message, longest_message);
  const std::string& type = failure.type.empty() ? failure.status : failure.type;
  const std::string& code = failure.code.empty() ? type : failure.code;
  error.code = source.secrets.quote(code, longest_code);
  add_source(error, source.head, source.secrets);
  if (error.request_id.empty()) error.request_id = source.secrets.quote(failure.request_id, longest_code);
  if (may_carry_hint(kind, in_answer)) {
    error.retry_after = retry_hint(source.head, failure, source.now, source.request_body);
  }
  if (!in_answer) error.should_retry = should_retry_hint(source.head);
  if (!error.should_retry && never_fits_the_limit(failure, kind)) error.should_retry = false;
  error.replay = in_answer ? ReplaySafety::maybe_processed : replay_after(status);
  return error;
}

ProviderFailure failure_in(std::string_view body, const HttpResponseHead& head) {
  ProviderFailure failure;
  JsonDocument document{body};
  ServerSentEvents events;
  if (!document.valid()) {
    // Who asked for a stream may be refused in an event.
    events.feed(body);
    ServerSentEvents::Event event;
    if (events.next(event) || events.finish(event)) document.parse(event.data, event.readable_behind);
  }
  if (document.valid()) failure = read_failure(document.root());
  if (failure.code.empty() && failure.type.empty()) {
    // AWS: "ThrottlingException:http://internal.amazon.com/..."
    const std::string_view type = head.header("x-amzn-errortype");
    failure.type = type.substr(0, type.find(':'));
  }
  if (head.status >= 300 && head.status < 400) {
    failure.finding = "the server answered with a redirect, and redirects are not followed";
    const std::string_view location = head.header("location");
    if (failure.message.empty() && !location.empty()) failure.message.append("a redirect to ").append(location);
  }
  if (failure.message.empty()) {
    failure.message = body;
    failure.quotes_body = true;
  }
  return failure;
}

void add_source(Error& error, const HttpResponseHead& head, const Secrets& secrets) {
  error.http_status = head.status;
  error.request_id = secrets.quote(request_id_of(head), longest_code);
}

std::string_view request_id_of(const HttpResponseHead& head) noexcept {
  for (const std::string_view name : request_id_headers) {
    if (const std::string_view id = head.header(name); !id.empty()) return id;
  }
  return {};
}

}  // namespace backstop::inline v0::detail
