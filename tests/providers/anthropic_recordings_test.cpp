#include <array>
#include <string>
#include <string_view>
#include <utility>

#include <catch2/catch_test_macros.hpp>

#include "backstop/providers/anthropic.hpp"
#include "backstop/providers/vertex.hpp"
#include "recordings.hpp"

namespace anthropic_recordings_test {

using namespace backstop;
using namespace backstop::testing_support;

namespace {

std::string finish_of(const Recording& recording) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 7> table{{
      {"end_turn", "stop"},
      {"stop_sequence", "stop"},
      {"max_tokens", "length"},
      {"tool_use", "tool_calls"},
      {"refusal", "content_filter"},
      {"model_context_window_exceeded", "context_full"},
      {"pause_turn", "paused"},
  }};
  return recording.finish_by(table);
}

const RecordingRules rules{&Recording::usage_with_cache, finish_of, nullptr};

Provider provider_for(const Recording& recording) {
  if (recording.provider == "vertex") return vertex_anthropic(recording.options(), {.project = "p"});
  return anthropic(recording.options());
}

}  // namespace

TEST_CASE("every recorded message of Anthropic's decodes to its expectation, however it is cut into pieces") {
  const std::vector<Recording> cases = recordings("messages");
  if (cases.empty()) SKIP("there are no recordings in " BACKSTOP_FIXTURES_DIR);
  for (const Recording& recording : cases) check_recording(recording, provider_for(recording), rules);
}

TEST_CASE("the same wire on other platforms decodes as well") {
  std::size_t checked = 0;
  for (const std::string_view api : {"anthropic-messages", "invoke-anthropic"}) {
    for (const Recording& recording : recordings(api)) {
      if (api == "invoke-anthropic" && recording.stream) continue;  // streams are framed otherwise there
      check_recording(recording, provider_for(recording), rules);
      ++checked;
    }
  }
  if (checked == 0) SKIP("there are no recordings in " BACKSTOP_FIXTURES_DIR);
}

TEST_CASE("recorded failures of Anthropic's are of the right kind") {
  const std::array<std::pair<std::string_view, ErrorKind>, 8> table{{
      {"issue--credit-balance-400", ErrorKind::quota_exhausted},
      {"issue--overloaded", ErrorKind::overloaded},
      {"issue--rate-limit-account", ErrorKind::rate_limited},
      {"derived--rate-limit-with-headers-17", ErrorKind::rate_limited},
      {"kong--internal_server_error", ErrorKind::server_error},
      {"pydantic-ai--test_model_name_suggestion-anthropic", ErrorKind::model_not_found},
      {"ruby_llm--chat_real_error_scenarios_anthropic_claude-haiku-4-5_handles_context_length_exceeded_errors",
       ErrorKind::context_window_exceeded},
      {"rig--strict_schema_limits-twenty_one_strict_tools_are_rejected", ErrorKind::invalid_request},
  }};
  const std::vector<Recording> cases = recordings("messages", "anthropic");
  if (cases.empty()) SKIP("there are no recordings in " BACKSTOP_FIXTURES_DIR);
  for (const auto& [name, kind] : table) {
    for (const Recording& recording : cases) {
      if (!recording.name.ends_with(name)) continue;
      const ReplayedCall call = call_with(provider_for(recording), "Hello", recording.answer, recording.stream);
      CAPTURE(recording.name);
      REQUIRE_FALSE(call.result);
      CHECK(call.result.error().kind == kind);
    }
  }
}

}  // namespace anthropic_recordings_test
