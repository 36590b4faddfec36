#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "backstop/providers/bedrock.hpp"
#include "recordings.hpp"

namespace bedrock_recordings_test {

using namespace backstop;
using namespace backstop::testing_support;

namespace {

std::string finish_of(const Recording& recording) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 7> table{{
      {"end_turn", "stop"},
      {"stop_sequence", "stop"},
      {"max_tokens", "length"},
      {"tool_use", "tool_calls"},
      {"guardrail_intervened", "content_filter"},
      {"content_filtered", "content_filter"},
      {"model_context_window_exceeded", "context_full"},
  }};
  return recording.finish_by(table);
}

const RecordingRules rules{&Recording::usage_with_cache, finish_of, [](const std::string& reason) {
                             return reason == "malformed_model_output" || reason == "malformed_tool_use";
                           }};

using Factory = Provider (*)(ModelOptions, BedrockOptions);

Provider provider_for(const Recording& recording, Factory make) {
  return make(recording.options(), {});
}

/// The expectations leave out text that stands with its sources, which is text of the answer all the same.
void expect_cited_text(Recording& recording) {
  using Json = nlohmann::json;
  const Json body = Json::parse(recording.answer.body, nullptr, false);
  const auto blocks = Json::json_pointer{"/output/message/content"};
  if (!body.is_object() || !body.contains(blocks)) return;
  std::string text;
  bool cites = false;
  for (const Json& block : body[blocks]) {
    text += block.value("text", "");
    if (!block.contains("citationsContent")) continue;
    cites = true;
    for (const Json& piece : block["citationsContent"]["content"]) text += piece.value("text", "");
  }
  if (cites) recording.expect["text"] = text;
}

void check_all(std::string_view api, Factory make = bedrock) {
  std::vector<Recording> cases = recordings(api);
  if (cases.empty()) SKIP("there are no recordings in " BACKSTOP_FIXTURES_DIR);
  for (Recording& recording : cases) {
    expect_cited_text(recording);
    check_recording(recording, provider_for(recording, make), rules);
  }
}

}  // namespace

TEST_CASE("every recorded answer of Converse decodes to its expectation, however it is cut into pieces") {
  check_all("converse");
}

TEST_CASE("every recorded stream of ConverseStream decodes to its expectation, however it is cut into pieces") {
  check_all("converse-stream");
}

TEST_CASE("every recorded answer of Anthropic's in Bedrock decodes to its expectation, however it is cut into pieces") {
  check_all("invoke-anthropic", bedrock_anthropic);
}

}  // namespace bedrock_recordings_test
