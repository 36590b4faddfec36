#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "backstop/chat/error_kind.hpp"

namespace backstop::inline v0::detail {

/// What a provider says went wrong, in its own words, before it is classified. Any field may be missing.
struct ProviderFailure {
  std::optional<ErrorKind> kind;  ///< set where the wire itself decides; else the classifier does
  std::string message;            ///< the provider's; may repeat the key or the prompt
  std::string finding;            ///< ours, where more can be said than the kind says: never holds foreign words
  bool quotes_body = false;       ///< `message` is the body itself: it is no JSON, or none that is known
  std::string code;               ///< numbers as text
  std::string type;
  std::string param;              ///< the field of the request that is at fault, as the provider calls it
  std::string status;             ///< Google's `status`, such as RESOURCE_EXHAUSTED
  std::string reason;             ///< a finer code: Azure's `innererror.code`, Google's and OpenRouter's details
  std::string request_id;
  int http_status = 0;            ///< a status inside the body (`"code": 502`, `"status_code": 400`); 0 when none
  std::optional<std::chrono::nanoseconds> retry_after;  ///< a hint inside the body
};

}  // namespace backstop::inline v0::detail
