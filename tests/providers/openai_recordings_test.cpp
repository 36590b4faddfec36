#include <array>
#include <regex>
#include <string>
#include <string_view>

#include <catch2/catch_test_macros.hpp>

#include "backstop/providers/openai.hpp"
#include "recordings.hpp"

namespace openai_recordings_test {

using namespace backstop;
using namespace backstop::testing_support;

namespace {

std::optional<std::int64_t> raw(const Recording& recording, const char* key) {
  const auto usage = recording.expect.find("usage");
  if (usage == recording.expect.end() || !usage->is_object() || !usage->contains(key)) return std::nullopt;
  return usage->at(key).get<std::int64_t>();
}

// The last value in the body of a field that the expectations do not look at.
std::optional<std::int64_t> last_in_body(const Recording& recording, const char* field) {
  const std::regex pattern{std::string{"\""} + field + "\"\\s*:\\s*(\\d+)"};
  std::optional<std::int64_t> last;
  const std::string& body = recording.answer.body;
  for (std::sregex_iterator match{body.begin(), body.end(), pattern}; match != std::sregex_iterator{}; ++match) {
    last = std::stoll((*match)[1]);
  }
  return last;
}

Usage usage_of(const Recording& recording) {
  Usage usage;
  usage.input_tokens = raw(recording, "input_tokens");
  usage.output_tokens = raw(recording, "output_tokens");
  usage.cached_input_tokens = raw(recording, "cached_input_tokens");
  usage.cache_write_tokens = raw(recording, "cache_write_tokens");
  usage.reasoning_tokens = raw(recording, "reasoning_tokens");
  for (const char* field : {"num_cached_tokens", "cached_tokens", "prompt_cache_hit_tokens"}) {
    if (usage.input_tokens && !usage.cached_input_tokens) usage.cached_input_tokens = last_in_body(recording, field);
  }
  const std::int64_t input = usage.input_tokens.value_or(0);
  const std::int64_t output = usage.output_tokens.value_or(0);
  const std::int64_t reasoning = usage.reasoning_tokens.value_or(0);
  const bool beside = raw(recording, "total_tokens") == input + output + reasoning || reasoning > output;
  if (reasoning > 0 && beside) usage.output_tokens = output + reasoning;
  if (usage.cached_input_tokens.value_or(0) > input) usage.input_tokens = input + *usage.cached_input_tokens;
  return usage;
}

std::string finish_of(const Recording& recording) {
  const auto reason = recording.expect.find("finish_reason");
  if (reason == recording.expect.end() || !reason->is_string() || *reason == "") return {};
  const std::string wire = *reason;
  for (const std::string_view ours : {"stop", "length", "tool_calls", "content_filter"}) {
    if (wire == ours) return wire;
  }
  if (wire == "function_call") return "tool_calls";
  if (wire == "model_length") return "length";
  if (wire == "eos") return "stop";
  return "other";
}

bool means_failure(const std::string& reason) { return reason == "error" || reason == "insufficient_system_resource"; }

Provider provider_for(const Recording& recording) {
  ModelOptions options;
  options.model = recording.model();
  options.api_key = "test-key";
  options.name = recording.provider;
  options.base_url = "http://replayed.test/v1";
  return openai_compatible(options);
}

}  // namespace

TEST_CASE("every recorded chat completion decodes to its expectation, however it is cut into pieces") {
  const std::vector<Recording> cases = recordings("chat");
  if (cases.empty()) SKIP("there are no recordings in " BACKSTOP_FIXTURES_DIR);
  const RecordingRules rules{usage_of, finish_of, means_failure};
  for (const Recording& recording : cases) check_recording(recording, provider_for(recording), rules);
}

}  // namespace openai_recordings_test
