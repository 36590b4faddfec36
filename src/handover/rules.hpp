#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>


namespace backstop::inline v0 {

/// Which tool-call ids a target accepts.
struct ToolIdRule {
  std::string_view punctuation;  ///< allowed besides ASCII letters and digits
  bool any_character = false;    ///< everything is allowed, and `punctuation` does not count
  std::size_t least_size = 1;
  std::size_t most_size = 1024;

  [[nodiscard]] bool accepts(std::string_view id) const noexcept;
};

/// Whose reasoning a target takes back.
enum class ReasoningRule : std::uint8_t {
  same_model,             ///< written by this very target
  same_model_and_signed,  ///< likewise, and with its signature or in encrypted form
  same_provider,          ///< written by any model of this provider
};

/// What a target requires of a conversation to which other models have contributed.
struct HandoverRules {
  ToolIdRule tool_ids;
  ReasoningRule reasoning = ReasoningRule::same_model;
  /// Text of nothing but white space is refused; it is left out, and with it turns that have nothing else.
  bool refuses_blank_text = false;
  /// Tool names: ASCII letters, digits, `_` and `-`, as everywhere; at most this many.
  std::size_t most_tool_name_size = 64;
  /// Takes images and documents in results of tools.
  bool files_in_results = false;
};

/// The rules of the provider or wire format of that name. For one not known: those of OpenAI's chat wire, which most
/// servers speak.
[[nodiscard]] const HandoverRules& handover_rules(std::string_view provider) noexcept;

}  // namespace backstop::inline v0
