#pragma once

#include <cstdint>
#include <string_view>

namespace backstop::inline v0::detail {

/// How a Claude model is asked to think.
enum class ClaudeThinking : std::uint8_t {
  none,      ///< it cannot
  budget,    ///< `enabled` with a number of tokens
  adaptive,  ///< `adaptive`, steered by `output_config.effort`
  always,    ///< likewise, and it cannot be turned off
};

/// What a family of models accepts on the Messages wire, where models differ.
struct ClaudeFamily {
  std::string_view prefix;  ///< of the model's name, behind `claude-`
  ClaudeThinking thinking;
  bool knows_xhigh_effort;
  bool takes_sampling;         ///< temperature and top_p
  bool enforces_schema;        ///< `output_config.format` and strict tools
  bool can_be_forced_to_call;  ///< tool_choice `any` and `tool`
};

/// The family of a model, by its name on any platform (`claude-sonnet-4-5-20250929`, `us.anthropic.claude-opus-4-8`).
/// Newer models than the table knows are taken for like the newest; models that are no Claude, for plain ones.
[[nodiscard]] const ClaudeFamily& claude_family(std::string_view model) noexcept;

}  // namespace backstop::inline v0::detail
