#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "backstop/chat/response.hpp"
#include "text/ascii.hpp"

namespace backstop::inline v0::detail {

/// What a provider's word for why the model stopped means.
struct FinishWord {
  enum class Means : std::uint8_t {
    reason,   ///< `reason`
    failure,  ///< the answer did not come about
    nothing,  ///< a placeholder: the model has not stopped
  };

  std::string_view word;
  Means means = Means::reason;
  FinishReason reason = FinishReason::other;
};

/// The words of all wires in one table, because gateways pass on those of the provider behind them. Compared in any
/// case.
///
/// Source: the providers' API specifications and their SDKs' enumerations, and answers of servers that imitate them.
inline constexpr auto finish_words = [] {
  using enum FinishReason;
  constexpr auto reason = FinishWord::Means::reason;
  constexpr auto failure = FinishWord::Means::failure;
  constexpr auto nothing = FinishWord::Means::nothing;
  return std::to_array<FinishWord>({
      {"stop", reason, stop},
      {"end_turn", reason, stop},       // Anthropic, xAI
      {"stop_sequence", reason, stop},  // Anthropic, Cohere
      {"eos", reason, stop},            // Together
      {"eos_token", reason, stop},      // Hugging Face
      {"complete", reason, stop},       // Cohere
      {"length", reason, length},
      {"max_tokens", reason, length},         // Anthropic, Gemini
      {"max_output_tokens", reason, length},  // OpenAI Responses
      {"model_length", reason, length},       // Mistral
      {"tool_calls", reason, tool_calls},
      {"function_call", reason, tool_calls},
      {"tool_use", reason, tool_calls},   // Anthropic
      {"tool_call", reason, tool_calls},  // Cohere
      {"content_filter", reason, content_filter},
      {"content_filtered", reason, content_filter},      // Bedrock
      {"guardrail_intervened", reason, content_filter},  // Bedrock
      {"refusal", reason, content_filter},               // Anthropic
      {"sensitive", reason, content_filter},             // Z.AI
      {"safety", reason, content_filter},                // Gemini, as the four below
      {"recitation", reason, content_filter},
      {"blocklist", reason, content_filter},
      {"prohibited_content", reason, content_filter},
      {"spii", reason, content_filter},
      {"model_context_window_exceeded", reason, context_full},  // Anthropic, Z.AI
      {"pause_turn", reason, paused},                           // Anthropic
      {"error", failure},                                       // OpenRouter, Mistral
      {"network_error", failure},                               // Z.AI
      {"insufficient_system_resource", failure},                // DeepSeek
      {"abort", failure},                                       // vLLM, SGLang
      {"timeout", failure},                                     // Cohere
      {"malformed_function_call", failure},                     // Gemini, as the two below
      {"unexpected_tool_call", failure},
      {"too_many_tool_calls", failure},
      {"malformed_model_output", failure},  // Bedrock, as the one below
      {"malformed_tool_use", failure},
      {"", nothing},
      {"null", nothing},
      {"none", nothing},
      {"nan", nothing},
      {"undefined", nothing},
      {"finish_reason_unspecified", nothing},  // Gemini
  });
}();

/// Null for a word that is not known.
[[nodiscard]] constexpr const FinishWord* find_finish_word(std::string_view word) noexcept {
  for (const FinishWord& row : finish_words) {
    if (equal_ignoring_case(row.word, word)) return &row;
  }
  return nullptr;
}

}  // namespace backstop::inline v0::detail
