#include "handover/rules.hpp"

#include <algorithm>
#include <array>

namespace backstop::inline v0 {
namespace {

struct Row {
  std::string_view provider;
  HandoverRules rules;
};

// Ids of more than 40 characters are refused by OpenAI's chat wire; the servers that copy it take any. The last row is
// for everyone else.
constexpr std::array<Row, 14> table{{
    // clang-format off
    // provider             punctuation   any    least most   reasoning                              blank  names files
    {"anthropic",         {{"_-",         false, 1,    1024}, ReasoningRule::same_model_and_signed, true,  128, true}},
    {"bedrock_anthropic", {{"_-",         false, 1,    64},   ReasoningRule::same_model_and_signed, true,  64,  true}},
    {"vertex_anthropic",  {{"_-",         false, 1,    64},   ReasoningRule::same_model_and_signed, true,  128, true}},
    {"bedrock",           {{"_.:-",       false, 1,    64},   ReasoningRule::same_model_and_signed, true,  64}},
    {"bedrock_mistral",   {{"",           false, 9,    9},    ReasoningRule::same_model_and_signed, true,  64}},
    {"openai_responses",  {{"_-",         false, 1,    64},   ReasoningRule::same_model_and_signed, false, 64,  true}},
    {"gemini_2",          {{"",           true,  1,    1024}, ReasoningRule::same_provider,         true,  64}},
    {"gemini",            {{"",           true,  1,    1024}, ReasoningRule::same_provider,         true,  64,  true}},
    {"mistral",           {{"",           false, 9,    9},    ReasoningRule::same_provider,         false, 64}},
    {"groq",              {{"",           true,  1,    1024}, ReasoningRule::same_provider,         false, 64}},
    {"cerebras",          {{"",           true,  1,    1024}, ReasoningRule::same_provider,         false, 64}},
    {"cohere",            {{"",           true,  1,    1024}, ReasoningRule::same_model,            false, 64}},
    {"ollama",            {{"",           true,  1,    1024}, ReasoningRule::same_model,            false, 64}},
    {"",                  {{"",           true,  1,    40},   ReasoningRule::same_model,            false, 64}},
    // clang-format on
}};

}  // namespace

bool ToolIdRule::accepts(std::string_view id) const noexcept {
  if (id.size() < least_size || id.size() > most_size) return false;
  if (any_character) return true;
  return std::all_of(id.begin(), id.end(), [this](char letter) {
    const bool alphanumeric =
        (letter >= '0' && letter <= '9') || (letter >= 'A' && letter <= 'Z') || (letter >= 'a' && letter <= 'z');
    return alphanumeric || punctuation.find(letter) != std::string_view::npos;
  });
}

const HandoverRules& handover_rules(std::string_view provider) noexcept {
  const auto row = std::find_if(table.begin(), table.end() - 1,
                                [provider](const Row& candidate) { return candidate.provider == provider; });
  return row->rules;
}

}  // namespace backstop::inline v0
