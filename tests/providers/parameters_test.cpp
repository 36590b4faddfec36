#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>

#include "support/replayed_call.hpp"
#include "support/sent_body.hpp"

namespace parameters_test {

using namespace backstop;
using namespace backstop::testing_support;
using Catch::Matchers::ContainsSubstring;

namespace {

using Json = nlohmann::json;

ChatRequest with_all() {
  ChatRequest request{"Hi"};
  request.top_k = 40;
  request.frequency_penalty = 0.25;
  request.presence_penalty = 0.5;
  request.seed = 7;
  return request;
}

/// Where a wire has the four, as pointers into its body; empty: it has no field for it, and the row says so.
struct Fields {
  std::string_view wire;
  std::string_view model;
  std::string_view top_k;
  std::string_view frequency_penalty;
  std::string_view presence_penalty;
  std::string_view seed;
};
const std::vector<Fields> every_field{
    {"openai", "gpt-4o", "", "/frequency_penalty", "/presence_penalty", "/seed"},
    {"openai", "gpt-5.4", "", "", "", "/seed"},
    {"azure", "gpt-4o", "", "/frequency_penalty", "/presence_penalty", "/seed"},
    {"mistral", "mistral-large", "", "/frequency_penalty", "/presence_penalty", "/random_seed"},
    {"xai", "grok-4", "", "", "", "/seed"},
    {"groq", "llama-3.3", "", "/frequency_penalty", "/presence_penalty", "/seed"},
    {"openrouter", "qwen/qwen3", "/top_k", "/frequency_penalty", "/presence_penalty", "/seed"},
    {"vllm", "qwen3", "/top_k", "/frequency_penalty", "/presence_penalty", "/seed"},
    {"unknown", "m", "/top_k", "/frequency_penalty", "/presence_penalty", "/seed"},
    {"responses", "gpt-4o", "", "", "", ""},
    {"messages", "claude-sonnet-4-5", "/top_k", "", "", ""},
    {"messages", "claude-opus-4-8", "", "", "", ""},
    {"invoke", "anthropic.claude-sonnet-4-5-v1:0", "/top_k", "", "", ""},
    {"converse", "us.anthropic.claude-sonnet-4-5-v1:0", "/additionalModelRequestFields/top_k", "", "", ""},
    {"converse", "amazon.nova-pro-v1:0", "/additionalModelRequestFields/inferenceConfig/topK", "", "", ""},
    {"converse", "us.amazon.nova-2-lite-v1:0", "/additionalModelRequestFields/inferenceConfig/topK", "", "", ""},
    {"converse", "meta.llama3-1-70b-instruct-v1:0", "", "", "", ""},
    {"gemini", "gemini-2.0-flash", "/generationConfig/topK", "/generationConfig/frequencyPenalty",
     "/generationConfig/presencePenalty", "/generationConfig/seed"},
    {"gemini", "gemini-2.5-flash", "/generationConfig/topK", "", "", "/generationConfig/seed"},
    {"gemini", "gemini-3-pro-preview", "/generationConfig/topK", "", "", "/generationConfig/seed"},
    {"cohere", "command-a-03-2025", "/k", "/frequency_penalty", "/presence_penalty", "/seed"},
    {"ollama_native", "llama3.2", "/options/top_k", "/options/frequency_penalty", "/options/presence_penalty",
     "/options/seed"},
};

}  // namespace

TEST_CASE("a parameter goes out under the wire's own name, or its row says that it was left out") {
  for (const Fields& row : every_field) {
    const Sent sent = sent_to(row.wire, std::string{row.model}, with_all());
    CAPTURE(row.wire, row.model, sent.body.dump(), sent.note);
    const auto check = [&](std::string_view name, std::string_view place, const Json& value) {
      CAPTURE(name);
      const std::string left_out = std::string{name} + " left out: the target takes none";
      if (place.empty()) {
        CHECK_THAT(sent.note, ContainsSubstring(left_out));
        CHECK(sent.body.dump().find("\"" + std::string{name} + "\"") == std::string::npos);
      } else {
        CHECK_THAT(sent.note, !ContainsSubstring(left_out));
        REQUIRE(sent.body.contains(Json::json_pointer{std::string{place}}));
        CHECK(sent.body.at(Json::json_pointer{std::string{place}}) == value);
      }
    };
    check("top_k", row.top_k, 40);
    check("frequency_penalty", row.frequency_penalty, 0.25);
    check("presence_penalty", row.presence_penalty, 0.5);
    check("seed", row.seed, 7);
  }
}

TEST_CASE("a parameter beyond a target's range is moved into it or left out, with a note") {
  ChatRequest request{"Hi"};
  request.top_k = 1000;
  request.frequency_penalty = 1.5;
  request.presence_penalty = -1;
  request.seed = -3;
  const Sent command = sent_to("cohere", "command-a-03-2025", request);
  CHECK(command.body["k"] == 500);
  CHECK(command.body["frequency_penalty"] == 1.0);
  CHECK(command.body["presence_penalty"] == 0.0);
  CHECK_FALSE(command.body.contains("seed"));
  CHECK_THAT(command.note, ContainsSubstring("top_k lowered from 1000 to 500, the most that the target takes"));
  CHECK_THAT(command.note, ContainsSubstring("frequency_penalty 1.5 moved to 1, the end of the target's range"));
  CHECK_THAT(command.note, ContainsSubstring("presence_penalty -1 moved to 0, the end of the target's range"));
  CHECK_THAT(command.note, ContainsSubstring("seed left out: the target takes one from 0 to"));

  ChatRequest seeded{"Hi"};
  seeded.seed = std::int64_t{1} << 40;
  const Sent flash = sent_to("gemini", "gemini-2.5-flash", seeded);
  CHECK_FALSE(flash.body.contains("generationConfig"));
  CHECK_THAT(flash.note, ContainsSubstring("seed left out: the target takes one from -2147483648 to 2147483647"));
  CHECK(sent_to("openai", "gpt-4o", seeded).body["seed"] == std::int64_t{1} << 40);
}

TEST_CASE("a tier of service goes out as the provider calls it, and is left out where there is none of that name") {
  struct Row {
    std::string_view wire;
    std::string_view model;
    std::string_view tier;
    std::string_view place;  ///< empty: nothing is sent
    std::string_view word;
    bool noted = false;
  };
  const std::vector<Row> rows{
      {"openai", "gpt-4o", "flex", "/service_tier", "flex"},
      {"openai", "gpt-4o", "default", "/service_tier", "default"},
      {"azure", "gpt-4o", "flex", "", "", true},
      {"azure", "gpt-4o", "priority", "/service_tier", "priority"},
      {"groq", "llama-3.3", "default", "/service_tier", "on_demand"},
      {"groq", "llama-3.3", "priority", "/service_tier", "performance"},
      {"fireworks", "m", "priority", "/service_tier", "priority"},
      {"mistral", "mistral-large", "flex", "", "", true},
      {"mistral", "mistral-large", "default", "", "", false},
      {"unknown", "m", "their-own", "/service_tier", "their-own"},
      {"responses", "gpt-5.4", "priority", "/service_tier", "priority"},
      {"responses", "gpt-5.4", "their-own", "", "", true},
      {"messages", "claude-sonnet-4-5", "default", "/service_tier", "standard_only"},
      {"messages", "claude-sonnet-4-5", "priority", "/service_tier", "auto"},
      {"messages", "claude-sonnet-4-5", "flex", "", "", true},
      {"invoke", "anthropic.claude-sonnet-4-5-v1:0", "priority", "", "", true},
      {"converse", "amazon.nova-pro-v1:0", "flex", "/serviceTier/type", "flex"},
      {"converse", "amazon.nova-pro-v1:0", "scale", "", "", true},
      {"gemini", "gemini-3-pro-preview", "default", "/serviceTier", "standard"},
      {"gemini", "gemini-3-pro-preview", "flex", "/serviceTier", "flex"},
      {"cohere", "command-a-03-2025", "flex", "", "", true},
      {"cohere", "command-a-03-2025", "default", "", "", false},
      {"ollama_native", "llama3.2", "priority", "", "", true},
  };
  for (const Row& row : rows) {
    ChatRequest request{"Hi"};
    request.service_tier = row.tier;
    const Sent sent = sent_to(row.wire, std::string{row.model}, request);
    CAPTURE(row.wire, row.tier, sent.body.dump(), sent.note);
    CHECK((sent.note.find("service_tier") != std::string::npos) == row.noted);
    if (row.place.empty()) {
      CHECK(sent.body.dump().find("ier\"") == std::string::npos);
      continue;
    }
    REQUIRE(sent.body.contains(Json::json_pointer{std::string{row.place}}));
    CHECK(sent.body.at(Json::json_pointer{std::string{row.place}}) == row.word);
  }
}

TEST_CASE("a model of Claude that thinks is sent no top_k beside its thinking") {
  ChatRequest request{"Hi"};
  request.top_k = 40;
  request.reasoning_effort = "low";
  CHECK_FALSE(sent_to("messages", "claude-sonnet-4-5", request).body.contains("top_k"));
  const Json converse = sent_to("converse", "us.anthropic.claude-sonnet-4-5-v1:0", request).body;
  CHECK_FALSE(converse["additionalModelRequestFields"].contains("top_k"));
}

TEST_CASE("a provider's own fields go to it alone, laid over the body of its requests") {
  ChatRequest request{"Hi"};
  request.temperature = 0.5;
  request.extra = {{"mistral", R"({"safe_prompt": true, "n": 123456789012345678901234567890})"},
                   {"wire:gemini", R"({"generationConfig": {"candidateCount": 1}, "labels": {"team": "search"}})"},
                   {"wire:openai", R"({"metadata": {"of": "the wire"}})"},
                   {"anthropic", R"({"inference_geo": "us"})"}};
  const Json mistral = sent_to("mistral", "mistral-large", request).body;
  CHECK(mistral["safe_prompt"] == true);
  CHECK(mistral["metadata"]["of"] == "the wire");
  CHECK(mistral["temperature"] == 0.5);
  CHECK_FALSE(mistral.contains("inference_geo"));
  const Json gemini = sent_to("gemini", "gemini-3-pro-preview", request).body;
  CHECK(gemini["generationConfig"] == Json{{"temperature", 0.5}, {"candidateCount", 1}});
  CHECK(gemini["labels"]["team"] == "search");
  const Json claude = sent_to("messages", "claude-3-haiku", request).body;
  CHECK(claude["inference_geo"] == "us");
  CHECK(claude.dump().find("the wire") == std::string::npos);
  // Another server that speaks Anthropic's wire is another provider.
  const Json gateway = sent_to(target_of("messages", {.model = "claude-3-haiku", .name = "gateway"}), request).body;
  CHECK_FALSE(gateway.contains("inference_geo"));
  // A deployment has the provider's and its own.
  request.extra = {{"anthropic", R"({"a": 1})"}, {"claude-eu", R"({"b": 2})"}, {"claude-us", R"({"c": 3})"}};
  const Json deployment =
      sent_to(target_of("messages", {.model = "claude-3-haiku", .id = "claude-eu"}), request).body;
  CHECK(deployment["a"] == 1);
  CHECK(deployment["b"] == 2);
  CHECK_FALSE(deployment.contains("c"));
}

TEST_CASE("a number of a provider's own that no type holds goes out as it was written") {
  ChatRequest request{"Hi"};
  request.extra = {{"openai", R"({"n": 123456789012345678901234567890, "x": 1.10})"}};
  ReplayedAnswer answer;
  answer.body = "{}";
  const ReplayedCall call = call_with(target_of("openai", {.model = "gpt-4o"}), request, answer, false);
  CHECK_THAT(call.requests.at(0).body, ContainsSubstring("123456789012345678901234567890"));
}

TEST_CASE("a field that the body has already is an error that names it and where it comes from") {
  const auto refused = [](const ModelOptions& options, const ChatRequest& request) {
    const ReplayedCall call = call_with(target_of("openai", options), request, ReplayedAnswer{}, false);
    CHECK(call.requests.empty());
    REQUIRE_FALSE(call.result);
    CHECK(call.result.error().kind == ErrorKind::invalid_request);
    CHECK_FALSE(call.result.error().attempts.at(0).sent);
    return call.result.error().message;
  };
  ChatRequest request{"Hi"};
  request.temperature = 0.5;
  CHECK(refused({.model = "gpt-4o", .parameters = R"({"temperature": 1})"}, request) ==
        "`parameters` of the target: the field `temperature` is in the request already; leave it out here, or there");
  request.extra = {{"openai", R"({"model": "other"})"}};
  CHECK_THAT(refused({.model = "gpt-4o"}, request), ContainsSubstring("`extra` for openai: the field `model`"));
  request.extra = {{"openai", R"({"metadata": {"a": 1, "b": 2}})"}};
  CHECK_THAT(refused({.model = "gpt-4o", .parameters = R"({"metadata": {"b": 2}})"}, request),
             ContainsSubstring("`extra` for openai: the field `metadata.b`"));
  request.extra = {{"openai", "{"}};
  CHECK_THAT(refused({.model = "gpt-4o"}, request), ContainsSubstring("`extra` for openai: broken JSON at line 1"));
  request.extra = {{"openai", "[]"}};
  CHECK_THAT(refused({.model = "gpt-4o"}, request), ContainsSubstring("`extra` for openai: it must be a JSON object"));
  request.extra = {{"openai", R"({"a": ")" + std::string(70'000, 'x') + R"("})"}};
  CHECK_THAT(refused({.model = "gpt-4o"}, request), ContainsSubstring("at most 64 KiB are accepted"));
  request.extra = {{"openai", R"({"a": )" + std::string(600, '[') + std::string(600, ']') + "}"}};
  CHECK_THAT(refused({.model = "gpt-4o"}, request), ContainsSubstring("nested too deeply"));
  // What is for others is not looked at.
  request.extra = {{"anthropic", "{"}};
  CHECK(sent_to("openai", "gpt-4o", request).body["temperature"] == 0.5);
}

TEST_CASE("parameters that cannot be right are refused when the target is made") {
  const auto problem = [](const ModelOptions& options) -> std::string {
    try {
      static_cast<void>(target_of("openai", options));
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  CHECK(problem({.model = "gpt-4o", .parameters = "[1]"}) == "openai/gpt-4o: `parameters`: it must be a JSON object");
  CHECK_THAT(problem({.model = "gpt-4o", .parameters = "{"}), ContainsSubstring("`parameters`: broken JSON at line 1"));
  CHECK(problem({.model = "gpt-4o", .defaults = {.temperature = 3}}) ==
        "openai/gpt-4o: `defaults`: temperature is 3; it must be from 0 to 2");
  CHECK(problem({.model = "gpt-4o", .overrides = {.top_k = 0}}) ==
        "openai/gpt-4o: `overrides`: top_k is 0; it must be above 0");
  CHECK(problem({.model = "gpt-4o", .overrides = {.max_output_tokens = -1}}) ==
        "openai/gpt-4o: `overrides`: max_output_tokens is -1; it must be above 0");
  CHECK(problem({.model = "gpt-4o", .overrides = {.presence_penalty = -3}}) ==
        "openai/gpt-4o: `overrides`: presence_penalty is -3; it must be from -2 to 2");
  CHECK_THAT(problem({.model = "gpt-4o", .overrides = {.stop = {""}}}), ContainsSubstring("empty sequence"));
  CHECK_THAT(problem({.model = "gpt-4o", .overrides = {.reasoning_effort = "much"}}),
             ContainsSubstring("it must be one of none, minimal"));
  CHECK_THAT(problem({.model = "m", .capabilities = Capabilities{.reasoning = false},
                      .overrides = {.reasoning_effort = "high"}}),
             ContainsSubstring("the model does not reason"));
  CHECK(problem({.model = "m", .capabilities = Capabilities{.reasoning = false},
                 .overrides = {.reasoning_effort = "none"}}).empty());
}

TEST_CASE("what a target has of its own reaches the wire, within its limits") {
  const Sent sent = sent_to(target_of("openai", {.model = "gpt-4o",
                                                 .defaults = {.top_k = 4, .seed = 3},
                                                 .overrides = {.temperature = 0.25},
                                                 .parameters = R"({"store": false})"}),
                            with_all());
  CHECK(sent.body["temperature"] == 0.25);
  CHECK(sent.body["seed"] == 7);
  CHECK(sent.body["store"] == false);
  CHECK_THAT(sent.note, ContainsSubstring("top_k left out"));
}

}  // namespace parameters_test
