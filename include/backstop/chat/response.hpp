#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "backstop/chat/attempt.hpp"
#include "backstop/chat/message.hpp"
#include "backstop/chat/usage.hpp"
#include "backstop/export.hpp"

namespace backstop::inline v0 {

template <class T>
class Result;

/// Why the model stopped, in one vocabulary for all providers.
enum class FinishReason : std::uint8_t {
  stop,
  length,          ///< the output limit
  tool_calls,      ///< it waits for the results of its tool calls
  content_filter,  ///< a filter or a refusal ended the answer
  context_full,    ///< the context window ran out
  paused,          ///< send the conversation again to go on (Anthropic `pause_turn`)
  other,
};

[[nodiscard]] BACKSTOP_EXPORT std::string_view to_string(FinishReason reason) noexcept;

/// What was given up so that a target could answer. Nothing is given up silently.
struct Degradation {
  std::vector<std::string> features{};  ///< vision, documents, reasoning, json_schema, history, tools, output, freshness, answer
  std::string reason{};                 ///< why
  std::string notice{};                 ///< a sentence for people

  friend bool operator==(const Degradation&, const Degradation&) = default;
};

/// A complete answer, and the attempts that led to it.
struct ChatResponse {
  std::vector<Part> parts;  ///< what the model wrote, in order: text, reasoning, tool calls
  std::optional<FinishReason> finish_reason;  ///< empty when the provider sent none
  Usage usage;              ///< of the attempt that answered
  std::string id;           ///< the provider's id of the response
  std::string model;        ///< as the provider reports it, else what was asked
  Target served_by;
  bool fallback = false;    ///< another than the first choice answered
  std::optional<Degradation> degradation;
  /// With `ChatRequest::keep_raw`: what the provider sent, as JSON text, for fields that have no place here. Of a whole
  /// answer all of it; of a stream a list of its last two events (one alone as it is), which have why the model stopped
  /// and the usage. Empty for what did not come over a wire. Nothing else reads it, and no conversation has it.
  std::string raw;
  Money cost;               ///< of the whole call: failed, rejected and abandoned attempts too
  bool cost_known = true;   ///< false where the price of an attempt is not known: `cost` is then the least that it can be
  std::chrono::nanoseconds elapsed{0};  ///< of the whole call
  Ledger attempts;          ///< filled in once, when the call ends

  [[nodiscard]] std::string text() const { return text_of(parts); }
  /// All visible reasoning, joined without a separator.
  [[nodiscard]] BACKSTOP_EXPORT std::string reasoning() const;
  [[nodiscard]] BACKSTOP_EXPORT std::vector<ToolCall> tool_calls() const;
  /// The text as JSON, also where it stands in a block of Markdown (```json ... ```). For whoever includes
  /// `nlohmann/json.hpp`. Errors: `malformed_response` with what was expected where; nothing of the text is quoted.
  [[nodiscard]] BACKSTOP_EXPORT Result<nlohmann::ordered_json> json() const;
  /// The answer as the next turn of the conversation, its reasoning tagged with its origin.
  [[nodiscard]] BACKSTOP_EXPORT Message message() const;
};

}  // namespace backstop::inline v0
