#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "backstop/providers/cohere.hpp"
#include "recordings.hpp"

namespace cohere_recordings_test {

using namespace backstop;
using namespace backstop::testing_support;

namespace {

Usage usage_of(const Recording& recording) {
  Usage usage;
  const auto found = recording.expect.find("usage");
  if (found == recording.expect.end() || !found->is_object()) return usage;
  const auto raw = [&](const char* key) -> std::optional<std::int64_t> {
    if (!found->contains(key)) return std::nullopt;
    return found->at(key).get<std::int64_t>();
  };
  usage.input_tokens = raw("input_tokens");
  usage.output_tokens = raw("output_tokens");
  usage.cached_input_tokens = raw("cached_input_tokens");
  usage.reasoning_tokens = raw("reasoning_tokens");
  return usage;
}

std::string finish_of(const Recording& recording) {
  const auto reason = recording.expect.find("finish_reason");
  if (reason == recording.expect.end() || reason->is_null()) return {};
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> table{{
      {"COMPLETE", "stop"},
      {"STOP_SEQUENCE", "stop"},
      {"MAX_TOKENS", "length"},
      {"TOOL_CALL", "tool_calls"},
  }};
  for (const auto& [word, ours] : table) {
    if (*reason == word) return std::string{ours};
  }
  return "other";
}

const RecordingRules rules{usage_of, finish_of, [](const std::string& reason) {
                             return reason == "ERROR" || reason == "TIMEOUT";
                           }};

Provider provider_for(const Recording& recording) {
  ModelOptions options;
  options.model = recording.model();
  options.api_key = "test-key";
  options.base_url = "http://replayed.test";
  return cohere(options);
}

}  // namespace

TEST_CASE("every recorded answer of Cohere's decodes to its expectation, however it is cut into pieces") {
  const std::vector<Recording> cases = recordings("v2-chat");
  if (cases.empty()) SKIP("there are no recordings in " BACKSTOP_FIXTURES_DIR);
  for (const Recording& recording : cases) check_recording(recording, provider_for(recording), rules);
}

}  // namespace cohere_recordings_test
