#include "providers/failure/find_repair.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "providers/failure/provider_quirks.hpp"
#include "text/ascii.hpp"

namespace find_repair_test {

using namespace backstop::detail;

namespace {

/// A field that a server refuses, as one calls it, and what is left out or written otherwise.
struct Field {
  std::string_view name;
  RepairSet repairs;
};

const std::vector<Field> fields{
    {"temperature", set_of(Repair::temperature)},
    {"top_p", set_of(Repair::top_p)},
    {"topP", set_of(Repair::top_p)},
    {"top_k", set_of(Repair::top_k)},
    {"topK", set_of(Repair::top_k)},
    {"frequency_penalty", set_of(Repair::frequency_penalty)},
    {"frequencyPenalty", set_of(Repair::frequency_penalty)},
    {"presence_penalty", set_of(Repair::presence_penalty)},
    {"presencePenalty", set_of(Repair::presence_penalty)},
    {"Penalty", set_of(Repair::frequency_penalty) | set_of(Repair::presence_penalty)},
    {"seed", set_of(Repair::seed)},
    {"random_seed", set_of(Repair::seed)},
    {"stop", set_of(Repair::stop)},
    {"stop_sequences", set_of(Repair::stop)},
    {"stopSequences", set_of(Repair::stop)},
    {"service_tier", set_of(Repair::service_tier)},
    {"serviceTier", set_of(Repair::service_tier)},
    {"reasoning_effort", set_of(Repair::reasoning_effort)},
    {"reasoning.effort", set_of(Repair::reasoning_effort)},
    {"parallel_tool_calls", set_of(Repair::parallel_tool_calls)},
    {"strict", set_of(Repair::strict)},
    {"stream_options", set_of(Repair::stream_options)},
    {"max_tokens", set_of(Repair::output_limit_name)},
    {"max_completion_tokens", set_of(Repair::output_limit_name)},
    {"messages[0].role", set_of(Repair::developer_role)},
    {"image_url.detail", set_of(Repair::image_detail)},
};

/// Refusals of `temperature`, each in one wording of its server.
const std::vector<std::string_view> refusals{
    "Unsupported parameter: 'temperature'",
    "Unsupported value: 'temperature'",
    "Unrecognized request argument supplied: temperature",
    "Unknown parameter: 'temperature'.",
    "Invalid JSON payload received. Unknown name \"temperature\": Cannot find field.",
    "json: unknown field \"temperature\"",
    "temperature: Extra inputs are not permitted",
    "Argument not supported on this model: temperature",
    "property 'temperature' is unsupported",
    "this model does not support temperature",
    "temperature is not enabled for this model",
    "`temperature` is deprecated for this model.",
    "temperature is not permitted with this model",
};
constexpr std::string_view refused_role = "messages[0].role: unknown role developer";

ProviderFailure failure_of(std::string_view message, std::string_view param = {}, std::string_view code = {}) {
  ProviderFailure failure;
  failure.message = message;
  failure.param = param;
  failure.code = code;
  return failure;
}

bool says(std::string_view message, std::string_view words) {
  return lower_case(message).find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("every field that servers refuse is known by its name, in words and as the field at fault") {
  for (const Field& field : fields) {
    CAPTURE(field.name);
    const std::string name{field.name};
    CHECK(find_repair(failure_of("Not supported: " + name)) == field.repairs);
    CHECK(find_repair(failure_of("Not supported.", name)) == field.repairs);
    CHECK(find_repair(failure_of("Not supported.", "request." + name)) == field.repairs);
    CHECK(find_repair(failure_of("Not supported: _" + name)) == 0);
    CHECK(find_repair(failure_of("Not in range: " + name)) == 0);
  }
  for (const RefusedField& row : refused_fields) {
    CAPTURE(row.name);
    CHECK(std::any_of(fields.begin(), fields.end(), [&](const Field& field) {
      return lower_case(field.name) == row.name && field.repairs == row.repairs;
    }));
  }
}

TEST_CASE("every wording and every code of a refusal is known") {
  for (const std::string_view refusal : refusals) {
    CAPTURE(refusal);
    CHECK(find_repair(failure_of(refusal)) == set_of(Repair::temperature));
  }
  CHECK(find_repair(failure_of(refused_role)) == set_of(Repair::developer_role));
  CHECK(find_repair(failure_of("temperature: no", "temperature")) == 0);
  for (const std::string_view code :
       {"unsupported_parameter", "unsupported_value", "unknown_parameter", "extra_forbidden"}) {
    CAPTURE(code);
    ProviderFailure failure = failure_of("temperature: no", "temperature", code);
    CHECK(find_repair(failure) == set_of(Repair::temperature));
    std::swap(failure.code, failure.type);
    CHECK(find_repair(failure) == set_of(Repair::temperature));
  }
  // Each has an example that no other would do for, but for those within it.
  for (const std::string_view words : refusing_words) {
    CAPTURE(words);
    const auto is_all = [&](std::string_view refusal) {
      const auto is_more = [&](std::string_view other) { return says(refusal, other) && !says(words, other); };
      return says(refusal, words) && std::none_of(refusing_words.begin(), refusing_words.end(), is_more);
    };
    const bool alone = std::any_of(refusals.begin(), refusals.end(), is_all);
    CHECK((alone || is_all(refused_role)));
  }
}

TEST_CASE("words that may be about a value say nothing about fields whose other values may be taken") {
  for (const std::string_view name : {"reasoning_effort", "service_tier"}) {
    CAPTURE(name);
    const std::string field{name};
    CHECK(find_repair(failure_of("Unsupported value: '" + field + "'", field)) == 0);
    CHECK(find_repair(failure_of(field + " does not support 'minimal'", field)) == 0);
    CHECK(find_repair(failure_of("no", field, "unsupported_value")) == 0);
    CHECK(find_repair(failure_of("Unsupported parameter: '" + field + "'", field)) != 0);
  }
}

TEST_CASE("every wording for an address of an image that is to be a string is known") {
  const std::vector<std::string_view> wordings{"Input should be a valid string", "image_url must be a string",
                                               "image_url should be a string",
                                               "invalid type: map, expected a string"};
  for (const std::string_view wording : wordings) {
    CAPTURE(wording);
    CHECK(find_repair(failure_of(wording, "messages.0.content.1.image_url")) == set_of(Repair::image_as_text));
    CHECK(find_repair(failure_of("image_url: " + std::string{wording})) == set_of(Repair::image_as_text));
    CHECK(find_repair(failure_of("content is to be a text", "messages.0.content.1.image_url")) == 0);
  }
  for (const std::string_view words : plain_image_words) {
    CAPTURE(words);
    const auto has_them = [&](std::string_view wording) { return says(wording, words); };
    CHECK(std::count_if(wordings.begin(), wordings.end(), has_them) == 1);
  }
}

}  // namespace find_repair_test
