#include "error_classifier.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "foreign_text.hpp"
#include "provider_quirks.hpp"
#include "retry_hints.hpp"
#include "runtime/ascii.hpp"
#include "secret_headers.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr std::size_t longest_message = 2000;
constexpr std::size_t longest_code = 200;
constexpr std::size_t longest_raw_body = 500;

std::string lower_case(std::string_view text) {
  std::string lower{text};
  std::transform(lower.begin(), lower.end(), lower.begin(), to_lower);
  return lower;
}

bool is_success(int status) noexcept { return status >= 200 && status < 300; }

bool fits(const ProviderQuirk& quirk, const ProviderFailure& failure, std::string_view lower_message) noexcept {
  if (quirk.where == ProviderQuirk::Where::message) return lower_message.find(quirk.pattern) != std::string_view::npos;
  for (const std::string_view code : {std::string_view{failure.code}, std::string_view{failure.type},
                                      std::string_view{failure.status}, std::string_view{failure.reason}}) {
    const bool prefix = quirk.where == ProviderQuirk::Where::prefix;
    if (equal_ignoring_case(prefix ? code.substr(0, quirk.pattern.size()) : code, quirk.pattern)) return true;
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
  return message.find("request too large") != std::string::npos && message.find("requested") != std::string::npos;
}

bool may_carry_hint(ErrorKind kind, bool in_answer) noexcept {
  if (!in_answer) return true;
  return kind == ErrorKind::rate_limited || kind == ErrorKind::overloaded;
}

void redact_secrets(std::string& text, const Endpoint& endpoint) {
  redact(text, endpoint.api_key);
  for (const Header& header : endpoint.headers) {
    if (!carries_secret(header.first)) continue;
    std::string_view secret = header.second;
    if (const std::size_t blank = secret.find(' '); blank != std::string_view::npos) secret.remove_prefix(blank + 1);
    redact(text, secret);
  }
}

std::string words(std::string text, std::size_t limit, const Endpoint& endpoint) {
  redact_secrets(text, endpoint);
  return presentable(text, limit);
}

}  // namespace

ErrorKind kind_of_status(int status, std::string_view provider) noexcept {
  switch (status) {
    case 401: return ErrorKind::authentication;
    case 402: return ErrorKind::quota_exhausted;
    case 403: return ErrorKind::permission;
    case 404:
    case 410: return ErrorKind::model_not_found;
    case 408: return ErrorKind::timeout;
    case 409: {
      const bool lock = provider == "openai" || provider == "azure" || provider == "anthropic";
      return lock ? ErrorKind::server_error : ErrorKind::invalid_request;
    }
    case 413: return ErrorKind::context_window_exceeded;
    case 424: return ErrorKind::server_error;
    case 425:
    case 429: return ErrorKind::rate_limited;
    case 498: return provider == "cohere" ? ErrorKind::authentication : ErrorKind::overloaded;
    case 499: return ErrorKind::overloaded;
    case 503:
    case 529: return ErrorKind::overloaded;
    default: break;
  }
  if (status >= 500) return ErrorKind::server_error;
  return status >= 400 ? ErrorKind::invalid_request : ErrorKind::malformed_response;
}

ErrorKind kind_of(const ProviderFailure& failure, std::string_view provider, int status) {
  if (failure.kind) return *failure.kind;
  const int telling = is_success(status) ? failure.http_status : status;
  const std::string message = lower_case(failure.message);
  for (const ProviderQuirk& quirk : provider_quirks) {
    if (!quirk.provider.empty() && quirk.provider != provider) continue;
    if (quirk.status != 0 && quirk.status != telling) continue;
    if (fits(quirk, failure, message)) return quirk.kind;
  }
  // A gateway that wraps a refusal of the model behind it.
  if (status >= 500 && failure.http_status == 429) return ErrorKind::rate_limited;
  return telling != 0 ? kind_of_status(telling, provider) : kind_of_generic_type(failure);
}

Error classify(const ProviderFailure& failure, const FailureSource& source) {
  const int status = source.head.status;
  const bool in_answer = is_success(status);
  const ErrorKind kind = kind_of(failure, source.endpoint.provider, status);

  std::string message = words(failure.message, longest_message, source.endpoint);
  if (message.empty()) message = "the provider gave no reason";
  Error error{kind, std::move(message)};
  const std::string& code = !failure.code.empty() ? failure.code : !failure.type.empty() ? failure.type : failure.status;
  error.code = words(code, longest_code, source.endpoint);
  add_source(error, source.head);
  if (error.request_id.empty()) error.request_id = words(failure.request_id, longest_code, source.endpoint);
  if (may_carry_hint(kind, in_answer)) error.retry_after = retry_hint(source.head, failure, source.now);
  if (!in_answer) error.should_retry = should_retry_hint(source.head);
  if (!error.should_retry && never_fits_the_limit(failure, kind)) error.should_retry = false;
  error.replay = in_answer ? ReplaySafety::maybe_processed : replay_after(status);
  return error;
}

Error classify_body(std::string_view body, const FailureSource& source) {
  ProviderFailure failure;
  const JsonDocument document{body};
  if (document.valid()) failure = read_failure(document.root());
  if (failure.code.empty() && failure.type.empty()) {
    // AWS: "ThrottlingException:http://internal.amazon.com/..."
    const std::string_view type = source.head.header("x-amzn-errortype");
    failure.type = type.substr(0, type.find(':'));
  }
  if (failure.message.empty()) {
    const std::string raw = presentable(body, longest_raw_body);
    const std::string line = "HTTP " + std::to_string(source.head.status);
    if (const std::string_view location = source.head.header("location"); !location.empty()) {
      failure.message = line + ": a redirect to " + std::string{location} + "; redirects are not followed";
    } else {
      failure.message = raw.empty() ? line + " without a body" : line + ": " + raw;
    }
  }
  return classify(failure, source);
}

void add_source(Error& error, const HttpResponseHead& head) {
  error.http_status = head.status;
  error.request_id = presentable(request_id_of(head), longest_code);
}

std::string_view request_id_of(const HttpResponseHead& head) noexcept {
  for (const std::string_view name : {"x-request-id", "request-id", "apim-request-id", "x-amzn-requestid",
                                      "mistral-correlation-id", "inference-id"}) {
    if (const std::string_view id = head.header(name); !id.empty()) return id;
  }
  return {};
}

}  // namespace backstop::inline v0::detail
