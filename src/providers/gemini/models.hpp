#pragma once

#include <cstdint>
#include <string_view>

namespace backstop::inline v0::detail {

/// How a Gemini model is asked to think.
enum class GeminiThinking : std::uint8_t {
  none,    ///< it cannot
  budget,  ///< `thinkingBudget`, a number of tokens; 0 turns it off
  level,   ///< `thinkingLevel`
};

/// What a family of models accepts on this wire, where models differ.
struct GeminiFamily {
  std::string_view prefix;  ///< of the model's name
  GeminiThinking thinking;
  std::int64_t least_budget;     ///< 0: thinking can be turned off
  std::int64_t most_budget;
  std::string_view least_level;  ///< where it cannot be turned off
  bool takes_instruction;        ///< `systemInstruction`
  bool schema_beside_tools;      ///< takes tools and a schema of the answer in one request
  bool needs_signature;          ///< of the first call in each of the model's turns
  bool files_in_results;         ///< takes images and documents in results of functions
  bool takes_penalties;          ///< `frequencyPenalty` and `presencePenalty`
};

/// The family of a model, by its name on any platform (`gemini-2.5-flash`, `models/gemini-3-pro-preview`).
/// Newer models than the table knows are taken for like the newest.
[[nodiscard]] const GeminiFamily& gemini_family(std::string_view model) noexcept;

}  // namespace backstop::inline v0::detail
