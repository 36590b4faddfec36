#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "providers/anthropic/format.hpp"
#include "providers/anthropic/models.hpp"

namespace anthropic_models_test {

using namespace backstop;
using namespace backstop::detail;
using Json = nlohmann::json;
using enum ClaudeThinking;

namespace {

/// What a model takes, by the names that it has on the platforms.
struct Example {
  std::string_view model;
  ClaudeThinking thinking;
  bool xhigh;
  bool sampling;
  bool schema;
  bool forced;
};

const std::vector<Example> examples{
    // clang-format off
    // model                                            thinking  xhigh  sampling schema forced
    {"claude-fable-5",                                  always,   true,  false,   true,  false},
    {"claude-mythos-preview",                           always,   true,  false,   true,  false},
    {"claude-opus-5",                                   adaptive, true,  false,   true,  true},
    {"claude-sonnet-5",                                 adaptive, true,  false,   true,  true},
    {"claude-opus-4-8",                                 adaptive, true,  false,   true,  true},
    {"global.anthropic.claude-opus-4-8",                adaptive, true,  false,   true,  true},
    {"claude-opus-4-7",                                 adaptive, true,  false,   true,  true},
    {"claude-opus-4-6",                                 adaptive, false, true,    true,  true},
    {"claude-sonnet-4-6",                               adaptive, false, true,    true,  true},
    {"claude-opus-4-5-20251101",                        budget,   false, true,    true,  true},
    {"claude-sonnet-4-5",                               budget,   false, true,    true,  true},
    {"us.anthropic.claude-sonnet-4-5-20250929-v1:0",    budget,   false, true,    true,  true},
    {"claude-haiku-4-5",                                budget,   false, true,    true,  true},
    {"claude-opus-4-1",                                 budget,   false, true,    true,  true},
    {"claude-opus-4-20250514",                          budget,   false, true,    false, true},
    {"claude-sonnet-4@20250514",                        budget,   false, true,    false, true},
    {"claude-3-7-sonnet-latest",                        budget,   false, true,    false, true},
    {"claude-3-5-haiku-latest",                         none,     false, true,    false, true},
    {"kimi-k2.6",                                       budget,   false, true,    false, true},
    // clang-format on
};

Target target_of(const Example& example) {
  ModelFacts facts;
  facts.max_output_tokens = 64'000;
  return Target{"anthropic", example.model, facts};
}

Json body_of(const ChatRequest& request, const Target& target) {
  const FittedRequest fitted{request, AnthropicFormat{}.limits(request, target)};
  const Result<std::string> body = encode_anthropic_body(fitted.request(), target, false);
  REQUIRE(body);
  return Json::parse(*body);
}

ChatRequest with_effort(std::string_view effort) {
  ChatRequest request{"Why?"};
  request.reasoning_effort = effort;
  return request;
}

}  // namespace

TEST_CASE("each Claude model is asked to think in the way that it knows") {
  for (const Example& example : examples) {
    CAPTURE(example.model);
    const Json body = body_of(with_effort("xhigh"), target_of(example));
    const std::string type = body.contains("thinking") ? body["thinking"]["type"].get<std::string>() : "";
    CHECK(type == (example.thinking == none ? "" : example.thinking == budget ? "enabled" : "adaptive"));
    const bool by_effort = example.thinking == adaptive || example.thinking == always;
    CHECK(body.contains("output_config") == by_effort);
    if (by_effort) CHECK(body["output_config"]["effort"] == (example.xhigh ? "xhigh" : "high"));
    CHECK(body_of(with_effort("none"), target_of(example)).contains("thinking") == (example.thinking == adaptive));
  }
}

TEST_CASE("each Claude model gets the settings of sampling, schemas and forced calls that it takes") {
  for (const Example& example : examples) {
    CAPTURE(example.model);
    ChatRequest request{"Why?"};
    request.temperature = 0.5;
    request.response_format =
        ResponseFormat{.type = ResponseFormat::Type::json_schema, .schema = R"({"type": "object"})"};
    const Json body = body_of(request, target_of(example));
    CHECK(body.contains("temperature") == example.sampling);
    CHECK(body.contains("output_config") == example.schema);
    CHECK(body.contains("system") == !example.schema);  // an instruction takes its place

    ChatRequest forcing{"Why?"};
    forcing.tools.push_back(Tool{.name = "now"});
    forcing.tool_choice = ToolChoice{ToolChoice::Mode::required, {}};
    const Result<std::string> forced = encode_anthropic_body(forcing, target_of(example), false);
    CHECK(forced.has_value() == example.forced);
    if (!forced) CHECK(forced.error().kind == ErrorKind::unsupported_capability);
  }
}

TEST_CASE("each effort has its budget, and its name where models take one") {
  struct Effort {
    std::string_view name;
    std::int64_t budget;
    std::string_view adaptive;
  };
  const Target older{"anthropic", "claude-sonnet-4-5", target_of(examples.front()).facts()};
  const Target newer{"anthropic", "claude-opus-4-8"};
  for (const Effort& effort : {Effort{"minimal", 1024, "low"}, Effort{"low", 2048, "low"},
                               Effort{"medium", 8192, "medium"}, Effort{"high", 16384, "high"},
                               Effort{"xhigh", 24576, "xhigh"}, Effort{"max", 32768, "max"}}) {
    CAPTURE(effort.name);
    CHECK(body_of(with_effort(effort.name), older)["thinking"]["budget_tokens"] == effort.budget);
    CHECK(body_of(with_effort(effort.name), newer)["output_config"]["effort"] == effort.adaptive);
  }
}

}  // namespace anthropic_models_test
