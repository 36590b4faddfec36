#include <cstdint>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "backstop/providers/ollama_native.hpp"
#include "recordings.hpp"

namespace ollama_recordings_test {

using namespace backstop;
using namespace backstop::testing_support;

namespace {

Usage usage_of(const Recording& recording) { return recording.raw_usage(); }

std::string finish_of(const Recording& recording) {
  const auto reason = recording.expect.find("finish_reason");
  if (reason == recording.expect.end() || reason->is_null()) return {};
  return *reason == "stop" || *reason == "length" ? reason->get<std::string>() : "other";
}

const RecordingRules rules{usage_of, finish_of, nullptr};

Provider provider_for(const Recording& recording) {
  ModelOptions options;
  options.model = recording.model();
  options.base_url = "http://replayed.test";
  return ollama_native(options);
}

}  // namespace

TEST_CASE("every recorded answer of Ollama's own API decodes to its expectation, however it is cut into pieces") {
  const std::vector<Recording> cases = recordings("api-chat");
  if (cases.empty()) SKIP("there are no recordings in " BACKSTOP_FIXTURES_DIR);
  for (const Recording& recording : cases) check_recording(recording, provider_for(recording), rules);
}

}  // namespace ollama_recordings_test
