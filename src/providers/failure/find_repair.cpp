#include "find_repair.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

#include "text/ascii.hpp"

namespace backstop::inline v0::detail {
namespace {

struct RefusedField {
  std::string_view name;  ///< in lower case
  RepairSet repairs;
};

constexpr RepairSet set_of(Repair one) noexcept { return static_cast<RepairSet>(one); }
constexpr RepairSet penalties = set_of(Repair::frequency_penalty) | set_of(Repair::presence_penalty);

// The fields under the names of all wires. Sources: the repairs of Vercel's and pydantic's adapters, and refusals that
// users report: "Unsupported parameter: 'max_tokens' is not supported with this model" and "Unsupported value:
// 'temperature' does not support 0.5" (OpenAI; param messages[0].role: "does not support 'developer'"), "Unrecognized request argument supplied: top_k" (OpenAI, before 2025),
// "property 'top_k' is unsupported" (Groq), "temperature: Extra inputs are not permitted" (Anthropic), loc ["body",
// "top_k"] with "Extra inputs are not permitted" (Mistral), "Unknown name \"topK\": Cannot find field" and "Penalty is
// not enabled for this model" (Google), "Argument not supported on this model: stop" (xAI).
constexpr std::array<RefusedField, 25> refused_fields{{
    {"temperature", set_of(Repair::temperature)},
    {"top_p", set_of(Repair::top_p)},
    {"topp", set_of(Repair::top_p)},
    {"top_k", set_of(Repair::top_k)},
    {"topk", set_of(Repair::top_k)},
    {"frequency_penalty", set_of(Repair::frequency_penalty)},
    {"frequencypenalty", set_of(Repair::frequency_penalty)},
    {"presence_penalty", set_of(Repair::presence_penalty)},
    {"presencepenalty", set_of(Repair::presence_penalty)},
    {"penalty", penalties},
    {"seed", set_of(Repair::seed)},
    {"random_seed", set_of(Repair::seed)},
    {"stop", set_of(Repair::stop)},
    {"stop_sequences", set_of(Repair::stop)},
    {"stopsequences", set_of(Repair::stop)},
    {"service_tier", set_of(Repair::service_tier)},
    {"servicetier", set_of(Repair::service_tier)},
    {"reasoning_effort", set_of(Repair::reasoning_effort)},
    {"reasoning.effort", set_of(Repair::reasoning_effort)},
    {"parallel_tool_calls", set_of(Repair::parallel_tool_calls)},
    {"strict", set_of(Repair::strict)},
    {"stream_options", set_of(Repair::stream_options)},
    {"max_tokens", set_of(Repair::output_limit_name)},
    {"max_completion_tokens", set_of(Repair::output_limit_name)},
    {"messages[0].role", set_of(Repair::developer_role)},
}};

// That a field is not taken, rather than that its value is wrong.
constexpr std::array<std::string_view, 4> refusing_codes{"unsupported_parameter", "unsupported_value",
                                                         "unknown_parameter", "extra_forbidden"};
constexpr std::array<std::string_view, 14> refusing_words{"unsupported parameter", "unsupported value",
                                                          "unrecognized request argument", "unknown parameter",
                                                          "unknown name", "unknown field", "unknown role",
                                                          "extra inputs are not permitted", "not supported",
                                                          "is unsupported", "does not support", "not enabled",
                                                          "is deprecated", "not permitted"};

constexpr std::size_t searched_of_message = 500;

[[nodiscard]] bool is_of_word(char letter) noexcept {
  return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') || letter == '_';
}

/// As a word of its own.
[[nodiscard]] bool names(std::string_view text, std::string_view field) noexcept {
  for (std::size_t at = text.find(field); at != std::string_view::npos; at = text.find(field, at + 1)) {
    const std::size_t end = at + field.size();
    if ((at == 0 || !is_of_word(text[at - 1])) && (end == text.size() || !is_of_word(text[end]))) return true;
  }
  return false;
}

[[nodiscard]] bool refuses_a_field(const ProviderFailure& failure, std::string_view message) noexcept {
  const bool coded = std::any_of(refusing_codes.begin(), refusing_codes.end(), [&](std::string_view code) {
    return equal_ignoring_case(failure.code, code) || equal_ignoring_case(failure.type, code);
  });
  return coded || std::any_of(refusing_words.begin(), refusing_words.end(), [&](std::string_view words) {
           return message.find(words) != std::string_view::npos;
         });
}

}  // namespace

RepairSet find_repair(const ProviderFailure& failure) {
  const std::string message = lower_case(std::string_view{failure.message}.substr(0, searched_of_message));
  if (!refuses_a_field(failure, message)) return 0;
  const std::string param = lower_case(failure.param);
  const std::string_view last = std::string_view{param}.substr(param.rfind('.') + 1);
  for (const RefusedField& field : refused_fields) {
    if (param == field.name || last == field.name) return field.repairs;
  }
  if (!param.empty()) return 0;  // it is about something else, whatever else the words name
  RepairSet found = 0;
  for (const RefusedField& field : refused_fields) {
    if (names(message, field.name)) found |= field.repairs;
  }
  return found;
}

std::string to_string_of(RepairSet repairs) {
  constexpr std::array<std::pair<Repair, std::string_view>, 14> words{{
      {Repair::temperature, "temperature left out"},
      {Repair::top_p, "top_p left out"},
      {Repair::top_k, "top_k left out"},
      {Repair::frequency_penalty, "frequency_penalty left out"},
      {Repair::presence_penalty, "presence_penalty left out"},
      {Repair::seed, "seed left out"},
      {Repair::stop, "stop sequences left out"},
      {Repair::service_tier, "service_tier left out"},
      {Repair::reasoning_effort, "reasoning_effort left out"},
      {Repair::parallel_tool_calls, "parallel_tool_calls left out"},
      {Repair::strict, "strict left out"},
      {Repair::stream_options, "stream_options left out"},
      {Repair::output_limit_name, "the output limit under its other name"},
      {Repair::developer_role, "system text under the role system"},
  }};
  std::string text;
  for (const auto& [repair, what] : words) {
    if (has_repair(repairs, repair)) text.append(text.empty() ? "" : ", ").append(what);
  }
  return text;
}

}  // namespace backstop::inline v0::detail
