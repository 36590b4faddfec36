#include <array>
#include <cstdint>
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

Usage usage_of(const Recording& recording) { return recording.raw_usage(); }

std::string finish_of(const Recording& recording) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> table{{
      {"COMPLETE", "stop"},
      {"STOP_SEQUENCE", "stop"},
      {"MAX_TOKENS", "length"},
      {"TOOL_CALL", "tool_calls"},
  }};
  return recording.finish_by(table);
}

const RecordingRules rules{usage_of, finish_of, [](const std::string& reason) {
                             return reason == "ERROR" || reason == "TIMEOUT";
                           }};

Provider provider_for(const Recording& recording) {
  return cohere(recording.options());
}

}  // namespace

TEST_CASE("every recorded answer of Cohere's decodes to its expectation, however it is cut into pieces") {
  const std::vector<Recording> cases = recordings("v2-chat");
  if (cases.empty()) SKIP("there are no recordings in " BACKSTOP_FIXTURES_DIR);
  for (const Recording& recording : cases) check_recording(recording, provider_for(recording), rules);
}

}  // namespace cohere_recordings_test
