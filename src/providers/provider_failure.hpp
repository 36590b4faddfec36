#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "backstop/chat/error_kind.hpp"
#include "json_document.hpp"

namespace backstop::inline v0::detail {

/// What a provider says went wrong, in its own words, before it is classified. Any field may be missing.
struct ProviderFailure {
  std::optional<ErrorKind> kind;  ///< set where the wire itself decides; else the classifier does
  std::string message;
  std::string code;               ///< numbers as text
  std::string type;
  std::string status;             ///< Google's `status`, such as RESOURCE_EXHAUSTED
  std::string reason;             ///< a finer code: Azure's `innererror.code`, Google's and OpenRouter's details
  std::string request_id;
  int http_status = 0;            ///< a status inside the body (`"code": 502`, `"status_code": 400`); 0 when none
  std::optional<std::chrono::nanoseconds> retry_after;  ///< a hint inside the body
};

/// Reads an error out of a JSON document of any provider's shape: `{"error": {...}}`, `{"error": "..."}`, flat
/// `{"message", "type", "code"}`, `[{"error": ...}]`, `{"errors": [...]}`, `{"detail": ...}`, AWS's `Message`.
/// Use on documents known to be errors; see `holds_failure` for those that may be answers.
[[nodiscard]] ProviderFailure read_failure(const JsonElement& document);

/// Whether a document that came with a status of 200 is an error in disguise: a non-empty `error` at the top,
/// `"object": "error"` or `"type": "error"`, or an error's fields and none of an answer's.
[[nodiscard]] bool holds_failure(const JsonElement& document) noexcept;

}  // namespace backstop::inline v0::detail
