#pragma once

#include <string_view>

#include "providers/wire/json_document.hpp"
#include "providers/wire/provider_failure.hpp"

namespace backstop::inline v0::detail {

/// Reads an error out of a JSON document of any provider's shape: `{"error": {...}}`, `{"error": "..."}`, flat
/// `{"message", "type", "code"}`, `[{"error": ...}]`, `{"errors": [...]}`, `{"detail": ...}`, AWS's `Message`.
/// Use on documents known to be errors; see `holds_failure` for those that may be answers.
[[nodiscard]] ProviderFailure read_failure(const JsonElement& document);

/// An `error` that says something: not null, false, "" or {}.
[[nodiscard]] bool is_failure_value(const JsonElement& error) noexcept;

/// Whether a document that came with a status of 200 is an error in disguise: a non-empty `error` at the top,
/// `"object": "error"` or `"type": "error"`, or an error's fields and none of an answer's. For decoders that look at
/// every field anyway; the others ask `holds_failure`.
class FailureSigns {
 public:
  void note(std::string_view key, const JsonElement& value) noexcept {
    // By length first: every event of every stream goes through here.
    switch (key.size()) {
      case 4:
        if (is_key(key, "type")) {
          error_ = error_ || as_text(value) == "error";
          code_ = true;
        } else if (is_key(key, "code")) {
          code_ = true;
        }
        break;
      case 5:
        if (is_key(key, "error")) error_ = error_ || is_failure_value(value);
        break;
      case 6:
        if (is_key(key, "object")) {
          error_ = error_ || as_text(value) == "error";
        } else if (is_key(key, "detail")) {
          message_ = message_ || value.is_string();
        } else if (is_key(key, "output")) {
          answer_ = true;
        }
        break;
      case 7:
        if (is_key(key, "choices") || is_key(key, "content")) {
          answer_ = true;
        } else if (is_key(key, "message")) {
          message_ = message_ || value.is_string();
        }
        break;
      case 10:
        if (is_key(key, "candidates")) answer_ = true;
        break;
      default: break;
    }
  }
  [[nodiscard]] bool failure() const noexcept { return error_ || (message_ && code_ && !answer_); }

 private:
  bool error_ = false;
  bool message_ = false;
  bool code_ = false;
  bool answer_ = false;
};

/// The same for a whole document, a list of documents included.
[[nodiscard]] bool holds_failure(const JsonElement& document) noexcept;

}  // namespace backstop::inline v0::detail
