#pragma once

#include <string_view>

#include "backstop/chat/error.hpp"
#include "backstop/runtime/clock.hpp"
#include "backstop/runtime/http_transport.hpp"
#include "providers/wire/endpoint.hpp"
#include "providers/wire/provider_failure.hpp"
#include "secrets.hpp"

namespace backstop::inline v0::detail {

/// Where a failure came from.
struct FailureSource {
  const Endpoint& endpoint;
  const HttpResponseHead& head;
  WallTime now;  ///< for hints that are dates
  const Secrets& secrets;
  std::string_view request_body{};  ///< whose words are no hints, should the provider repeat them
  std::string_view url{};           ///< that was asked
};

/// The kind of a failure, from the quirks' table and, where that has no row, from the status: the line's, or, of an
/// error that came under a status of 200, the one inside it.
[[nodiscard]] ErrorKind kind_of(const ProviderFailure& failure, std::string_view provider, int status);

/// The kind of a status alone, at a provider of which nothing else is known.
[[nodiscard]] ErrorKind kind_of_status(int status) noexcept;

/// A sentence on a failure of that kind, ours; nothing that a provider said.
[[nodiscard]] std::string_view sentence_of(ErrorKind kind) noexcept;

/// The whole error: kind, our sentence, the provider's words (keys masked, then bounded, valid UTF-8), code, request
/// id, hints, and how safe a replay is.
[[nodiscard]] Error classify(const ProviderFailure& failure, const FailureSource& source);

/// What stands in the body of a refusal, whatever it is; JSON is looked for whatever its content type.
[[nodiscard]] ProviderFailure failure_in(std::string_view body, const HttpResponseHead& head);
/// The same as an error, for a status that is no success.
[[nodiscard]] inline Error classify_body(std::string_view body, const FailureSource& source) {
  return classify(failure_in(body, source.head), source);
}

/// Fills in what an answer's head says of an error that is not the provider's own, such as an empty answer: status and
/// request id.
void add_source(Error& error, const HttpResponseHead& head, const Secrets& secrets);

/// The provider's id of a request, from the header that it uses.
[[nodiscard]] std::string_view request_id_of(const HttpResponseHead& head) noexcept;

}  // namespace backstop::inline v0::detail
