#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>

#include "backstop/fallback_client.hpp"
#include "backstop/handover/needs.hpp"
#include "backstop/config/config.hpp"
#include "backstop/json.hpp"
#include "backstop/providers/azure.hpp"
#include "backstop/providers/vertex.hpp"
#include "chat/token_estimate.hpp"
#include "support/sent_body.hpp"

namespace audio_test {

using namespace backstop;
using namespace backstop::testing_support;
using Catch::Matchers::ContainsSubstring;

namespace {

using Json = nlohmann::json;

ChatRequest spoken(std::string media_type = "audio/wav") {
  ChatRequest request{"What is said?"};
  request.messages[0].parts.emplace_back(Audio{.data = "UklGRg==", .media_type = std::move(media_type)});
  return request;
}

}  // namespace

TEST_CASE("a recording goes out in the form of the wires that take one") {
  const Json chat = sent_to("openai", "gpt-audio", spoken()).body["messages"][0]["content"][1];
  CHECK(chat == Json{{"type", "input_audio"}, {"input_audio", {{"data", "UklGRg=="}, {"format", "wav"}}}});
  const Json local = sent_to("vllm", "qwen3-omni", spoken("audio/mpeg")).body["messages"][0]["content"][1];
  CHECK(local["input_audio"]["format"] == "mp3");
  const Json mistral = sent_to("mistral", "voxtral-small-latest", spoken("audio/flac")).body["messages"][0]["content"][1];
  CHECK(mistral == Json{{"type", "input_audio"}, {"input_audio", "UklGRg=="}});
  const Json gemini = sent_to("gemini", "gemini-3-pro-preview", spoken("audio/ogg")).body["contents"][0]["parts"][1];
  CHECK(gemini["inlineData"] == Json{{"mimeType", "audio/ogg"}, {"data", "UklGRg=="}});
}

TEST_CASE("who says what a model can does not say that its wire takes recordings, nor the other way round") {
  const Capabilities blind{.vision = false};
  CHECK_FALSE(target_of("messages", {.model = "m", .capabilities = blind}).target().facts().capabilities.audio);
  CHECK(target_of("gemini", {.model = "m", .capabilities = blind}).target().facts().capabilities.audio);
  CHECK(target_of("openai", {.model = "my-own", .capabilities = blind}).target().facts().capabilities.audio);
  const Capabilities deaf{.audio = false};
  CHECK_FALSE(target_of("gemini", {.model = "m", .capabilities = deaf}).target().facts().capabilities.audio);
  const auto config = parse_config(R"({"fallback_policy": {"targets": [
    {"target": "openai/gpt-4o", "capabilities": {"vision": false}}]}})");
  REQUIRE(config);
  CHECK_FALSE(config->targets[0].model.capabilities->audio);
  const Provider google = vertex({.model = "gemini-3.5-flash", .api_key = "k"}, {.project = "p"});
  CHECK(google.target().facts().capabilities.audio);
  CHECK_FALSE(vertex_anthropic({.model = "claude-opus-4-8", .api_key = "k"}, {.project = "p"})
                  .target().facts().capabilities.audio);
  const std::string azure_url = "https://r.openai.azure.com";
  CHECK(azure({.model = "gpt-audio", .api_key = "k", .base_url = azure_url}).target().facts().capabilities.audio);
  CHECK_FALSE(azure({.model = "gpt-4o", .api_key = "k", .base_url = azure_url}).target().facts().capabilities.audio);
}

TEST_CASE("who cannot hear is passed over, or says so before anything is sent") {
  const auto refusal = [](const Provider& provider, const ChatRequest& request) {
    const ReplayedCall call = call_with(provider, request, ReplayedAnswer{}, false);
    CHECK(call.requests.empty());
    REQUIRE_FALSE(call.result);
    CHECK(call.result.error().kind == ErrorKind::unsupported_capability);
    return call.result.error().message;
  };
  for (const std::string_view wire : {"responses", "messages", "cohere", "ollama_native", "converse", "invoke"}) {
    CAPTURE(wire);
    const Provider target = target_of(wire, {.model = "m"});
    CHECK_FALSE(target.target().facts().capabilities.audio);
    CHECK_THAT(refusal(target, spoken()), ContainsSubstring("recording"));
  }
  CHECK_THAT(refusal(target_of("openai", {.model = "gpt-audio"}), spoken("audio/ogg")),
             ContainsSubstring("audio/wav and audio/mpeg are what this API takes"));
  CHECK_FALSE(target_of("openai", {.model = "gpt-4o"}).target().facts().capabilities.audio);
  CHECK(target_of("openai", {.model = "gpt-4o-audio-preview"}).target().facts().capabilities.audio);
  CHECK_FALSE(target_of("mistral", {.model = "mistral-large-2512"}).target().facts().capabilities.audio);
  CHECK(target_of("mistral", {.model = "voxtral-mini-latest"}).target().facts().capabilities.audio);
  CHECK(target_of("unknown", {.model = "m"}).target().facts().capabilities.audio);
  const Standing deaf =
      target_of("openai", {.model = "gpt-4o"}).standing(spoken(), needs_of(spoken()), TimePoint{});
  CHECK_FALSE(deaf.fit());
  CHECK(deaf.why == ErrorKind::unsupported_capability);
}

TEST_CASE("a recording counts as what it is") {
  CHECK(needs_of(spoken()).audio);
  CHECK_FALSE(needs_of(ChatRequest{"Hi"}).audio);
  ChatRequest minute{""};
  minute.messages[0].parts = {Audio{.data = std::string(240'000 / 3 * 4, 'A'), .media_type = "audio/mpeg"}};
  CHECK(estimate_input_tokens(minute) == 1920);  // at 32 kbit/s and 32 tokens a second
}

TEST_CASE("a recording is read and written in the form of Chat Completions") {
  ChatRequest request = spoken("audio/mpeg");
  std::get<Audio>(request.messages[0].parts[1]).cache = true;
  const auto json = to_json(request);
  CHECK(json["messages"][0]["content"][1]["input_audio"]["format"] == "mp3");
  const auto read = request_from_json(json);
  REQUIRE(read);
  CHECK(*read == request);
  const auto problem = request_from_text(
      R"({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AA"}}]}]})");
  REQUIRE_FALSE(problem);
  CHECK(problem.error().message ==
        "`messages[0].content[0].input_audio.format` is missing; it must be a string that is not empty");
}

}  // namespace audio_test
