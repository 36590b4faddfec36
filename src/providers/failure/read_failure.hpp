#pragma once

#include <string_view>

#include "providers/wire/json_document.hpp"
#include "providers/wire/provider_failure.hpp"

namespace backstop::inline v0::detail {

/// Reads an error out of a JSON document of any provider's shape: `{"error": {...}}`, `{"error": "..."}`, flat
/// `{"message", "type", "code"}`, `[{"error": ...}]`, `{"errors": [...]}`, `{"detail": ...}`, `{"code", "msg"}`,
/// MiniMax's `{"base_resp": ...}`, AWS's `Message`, a mere string.
/// Use on documents known to be errors; see `holds_failure` for those that may be answers.
[[nodiscard]] ProviderFailure read_failure(const JsonElement& document);

/// An `error` that says something: not null, false, 0, "", {} or [].
[[nodiscard]] bool is_failure_value(const JsonElement& error) noexcept;

/// A `code` of a failure, and not one that says that all is well: 0, 200, "ok".
[[nodiscard]] bool is_failure_code(const JsonElement& code) noexcept;

/// MiniMax's `base_resp` when its `status_code` is not 0.
[[nodiscard]] bool is_failed_base(const JsonElement& base) noexcept;

/// What a `type` beside a message says: on some wires every event has one.
enum class HasType : unsigned char { of_failure, always };

/// Whether a document that came with a status of 200 is an error in disguise: a non-empty `error` at the top,
/// `"object": "error"` or `"type": "error"`, a failed `base_resp`; or no answer, and `"success": false` or an error's
/// fields. For decoders that look at every field anyway; the others ask `holds_failure`.
class FailureSigns {
 public:
  explicit FailureSigns(HasType has_type = HasType::of_failure) noexcept : has_type_{has_type} {}

  void note(std::string_view key, const JsonElement& value) noexcept {
    // By length first: every event of every stream goes through here.
    switch (key.size()) {
      case 3:
        if (is_key(key, "msg")) note_message(value);
        break;
      case 4:
        if (is_key(key, "type")) {
          error_ = error_ || as_text(value) == "error";
          code_ = code_ || has_type_ == HasType::of_failure;
        } else if (is_key(key, "code")) {
          code_ = code_ || is_failure_code(value);
        }
        break;
      case 5:
        if (is_key(key, "error")) error_ = error_ || is_failure_value(value);
        break;
      case 6:
        if (is_key(key, "object")) {
          error_ = error_ || as_text(value) == "error";
        } else if (is_key(key, "detail")) {
          note_message(value);
        } else if (is_key(key, "errors")) {
          refused_ = refused_ || is_failure_value(value);
        } else if (is_key(key, "output")) {
          note_answer(value);
        }
        break;
      case 7:
        if (is_key(key, "choices") || is_key(key, "content")) {
          note_answer(value);
        } else if (is_key(key, "message")) {
          note_message(value);
          answer_ = answer_ || member(value, "content");  // Cohere's and Ollama's
        } else if (is_key(key, "success")) {
          bool success = true;
          refused_ = refused_ || (value.get(success) == simdjson::SUCCESS && !success);
        }
        break;
      case 9:
        if (is_key(key, "base_resp")) {
          error_ = error_ || is_failed_base(value);
        } else if (is_key(key, "error_msg")) {
          note_message(value);
        }
        break;
      case 10:
        if (is_key(key, "candidates")) {
          note_answer(value);
        } else if (is_key(key, "error_code")) {
          code_ = code_ || is_failure_code(value);
        }
        break;
      default: break;
    }
  }
  [[nodiscard]] bool failure() const noexcept { return error_ || (!answer_ && (refused_ || (message_ && code_))); }

 private:
  void note_message(const JsonElement& value) noexcept { message_ = message_ || !as_text(value).empty(); }
  void note_answer(const JsonElement& value) noexcept {
    JsonArray list;
    const bool empty = value.is_null() || (value.get(list) == simdjson::SUCCESS && list.begin() == list.end());
    answer_ = answer_ || !empty;
  }

  HasType has_type_;
  bool error_ = false;
  bool refused_ = false;
  bool message_ = false;
  bool code_ = false;
  bool answer_ = false;
};

/// The same for a whole document, a list of documents included.
[[nodiscard]] bool holds_failure(const JsonElement& document, HasType has_type = HasType::of_failure) noexcept;

}  // namespace backstop::inline v0::detail
