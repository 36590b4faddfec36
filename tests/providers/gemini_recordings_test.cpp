#include <array>
#include <regex>
#include <string>
#include <string_view>
#include <utility>

#include <catch2/catch_test_macros.hpp>

#include "backstop/providers/gemini.hpp"
#include "backstop/providers/vertex.hpp"
#include "recordings.hpp"

namespace gemini_recordings_test {

using namespace backstop;
using namespace backstop::testing_support;

namespace {

/// The last count in the body of a field that the expectations do not have.
std::int64_t last_count(const Recording& recording, const char* field) {
  const std::regex pattern{std::string{"\""} + field + "\"\\s*:\\s*(\\d+)"};
  std::int64_t last = 0;
  const std::string& body = recording.answer.body;
  for (std::sregex_iterator match{body.begin(), body.end(), pattern}; match != std::sregex_iterator{}; ++match) {
    last = std::stoll((*match)[1]);
  }
  return last;
}

Usage usage_of(const Recording& recording) {
  Usage usage = recording.raw_usage();
  if (usage.input_tokens) *usage.input_tokens += last_count(recording, "toolUsePromptTokenCount");
  if (usage.reasoning_tokens) usage.output_tokens = usage.output_tokens.value_or(0) + *usage.reasoning_tokens;
  return usage;
}

std::string finish_of(const Recording& recording) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 7> table{{
      {"STOP", "stop"},
      {"1", "stop"},
      {"MAX_TOKENS", "length"},
      {"2", "length"},
      {"SAFETY", "content_filter"},
      {"RECITATION", "content_filter"},
      {"MODEL_ARMOR", "content_filter"},
  }};
  const auto calls = recording.expect.find("tool_calls");
  const bool calls_tools = calls != recording.expect.end() && !calls->empty();
  const std::string ours = recording.finish_by(table);
  return ours == "stop" && calls_tools ? "tool_calls" : ours;
}

const RecordingRules rules{usage_of, finish_of, [](const std::string& reason) {
                             return reason == "UNEXPECTED_TOOL_CALL" || reason == "MALFORMED_FUNCTION_CALL";
                           }};

Provider provider_for(const Recording& recording) {
  if (recording.provider == "vertex") return vertex(recording.options(), {.project = "p"});
  return gemini(recording.options());
}

}  // namespace

TEST_CASE("every recorded answer of Gemini's decodes to its expectation, however it is cut into pieces") {
  const std::vector<Recording> cases = recordings("generateContent");
  if (cases.empty()) SKIP("there are no recordings in " BACKSTOP_FIXTURES_DIR);
  for (const Recording& recording : cases) check_recording(recording, provider_for(recording), rules);
}

}  // namespace gemini_recordings_test
