#include <array>
#include <string>
#include <string_view>
#include <utility>

#include <catch2/catch_test_macros.hpp>

#include "backstop/providers/openai_responses.hpp"
#include "recordings.hpp"

namespace openai_responses_recordings_test {

using namespace backstop;
using namespace backstop::testing_support;

namespace {

Usage usage_of(const Recording& recording) { return recording.raw_usage(); }

std::string text_in(const Recording& recording, const char* key) {
  const auto found = recording.expect.find(key);
  return found != recording.expect.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

std::string finish_of(const Recording& recording) {
  const std::string status = text_in(recording, "finish_reason");
  const std::string reason = text_in(recording, "incomplete_reason");
  if (reason == "max_output_tokens") return "length";
  if (reason == "content_filter") return "content_filter";
  if (status == "incomplete") return "other";
  return status.empty() ? "" : "stop";
}

Provider provider_for(const Recording& recording) {
  ModelOptions options;
  options.model = recording.model();
  options.api_key = "test-key";
  options.name = recording.provider;
  options.base_url = "http://replayed.test/v1";
  return openai_responses(options);
}

}  // namespace

TEST_CASE("every recorded response decodes to its expectation, however it is cut into pieces") {
  const std::vector<Recording> cases = recordings("responses");
  if (cases.empty()) SKIP("there are no recordings in " BACKSTOP_FIXTURES_DIR);
  const RecordingRules rules{usage_of, finish_of, nullptr};
  for (const Recording& recording : cases) check_recording(recording, provider_for(recording), rules);
}

TEST_CASE("recorded failures of the Responses API are of the right kind") {
  const std::array<std::pair<std::string_view, ErrorKind>, 9> table{{
      {"ai--openai-error.1-n2", ErrorKind::quota_exhausted},
      {"derived--rate-limit-with-headers", ErrorKind::rate_limited},
      {"prism--stream-rate-limited-1", ErrorKind::rate_limited},
      {"derived--connection-cut-60", ErrorKind::stream_interrupted},
      {"pydantic-ai--test_inferred_model_name_suggestion", ErrorKind::model_not_found},
      {"pydantic-ai--test_openai_responses_model_http_error", ErrorKind::unsupported_capability},
      {"pydantic-ai--test_openai_responses_thinking_with_modified_history-i1", ErrorKind::invalid_request},
      {"rig--error_identity_edge-nonexistent_previous_response_reference_carries_identity", ErrorKind::invalid_request},
      {"rig--error_identity_edge-extractor_failure_surfaces_provider_error_context", ErrorKind::model_not_found},
  }};
  const std::vector<Recording> cases = recordings("responses", "openai");
  if (cases.empty()) SKIP("there are no recordings in " BACKSTOP_FIXTURES_DIR);
  std::size_t found = 0;
  for (const auto& [name, kind] : table) {
    for (const Recording& recording : cases) {
      if (!recording.name.ends_with(name)) continue;
      ++found;
      const ReplayedCall call = call_with(provider_for(recording), "Hello", recording.answer, recording.stream);
      CAPTURE(recording.name);
      REQUIRE_FALSE(call.result);
      CHECK(call.result.error().kind == kind);
    }
  }
  CHECK(found == table.size());
}

}  // namespace openai_responses_recordings_test
