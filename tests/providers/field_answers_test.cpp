#include <filesystem>
#include <fstream>
#include <string>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "backstop/fallback_client.hpp"
#include "backstop/json.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/providers/anthropic.hpp"
#include "backstop/providers/function.hpp"
#include "backstop/providers/openai.hpp"
#include "support/replayed_call.hpp"

namespace field_answers_test {

using namespace backstop;
using namespace backstop::testing_support;

/// Answers in the shapes that users report, each with what is right: a file beside the recordings.
namespace {

using Json = nlohmann::json;

const std::filesystem::path file =
    std::filesystem::path{BACKSTOP_FIXTURES_DIR}.parent_path().parent_path() / "fixtures-field" / "answers.json";

Provider provider_of(const Json& each) {
  const ModelOptions options{.model = "m", .api_key = "test-key", .base_url = "http://replayed.test/v1"};
  return each.at("wire") == "anthropic" ? anthropic(options) : openai(options);
}

ReplayedAnswer answer_of(const Json& each) {
  ReplayedAnswer answer;
  answer.status = each.at("status");
  answer.headers = {{"content-type", each.at("type")}};
  answer.body = each.at("body");
  return answer;
}

void check_answer(const Json& right, const ReplayedCall& call) {
  REQUIRE(call.result);
  const ChatResponse& is = *call.result;
  if (right.contains("text")) CHECK(is.text() == right["text"].get<std::string>());
  if (right.contains("finish_reason")) {
    REQUIRE(is.finish_reason);
    CHECK(to_string(*is.finish_reason) == right["finish_reason"].get<std::string>());
  }
  if (right.contains("usage")) {
    const Json usage = to_json(is.usage);
    for (const auto& [key, value] : right["usage"].items()) CHECK(usage.at(key) == value);
  }
  if (!right.contains("tool_calls")) return;
  REQUIRE(is.tool_calls().size() == right["tool_calls"].size());
  for (std::size_t i = 0; i < is.tool_calls().size(); ++i) {
    CHECK(is.tool_calls()[i].name == right["tool_calls"][i].at("name").get<std::string>());
    CHECK(Json::parse(is.tool_calls()[i].arguments) == right["tool_calls"][i].at("arguments"));
  }
}

void check_failure(const Json& right, const ReplayedCall& call) {
  REQUIRE_FALSE(call.result);
  const Error& is = call.result.error();
  CHECK(to_string(is.kind) == right.at("kind").get<std::string>());
  if (right.contains("code")) CHECK(is.code == right["code"].get<std::string>());
  if (right.contains("partial_text")) CHECK(is.partial_text == right["partial_text"].get<std::string>());
  if (right.contains("message_has")) {
    CHECK(is.provider_message.find(right["message_has"].get<std::string>()) != std::string::npos);
  }
}

}  // namespace

TEST_CASE("answers from the field are read as what they are") {
  std::ifstream input{file};
  if (!input) SKIP("there is no " << file.string());
  const Json document = Json::parse(input);
  for (const Json& each : document.at("cases")) {
    CAPTURE(each.at("name").get<std::string>());
    const Json& right = each.at("right");
    const bool stream = each.at("asked") == "stream";
    const FallbackClient alone{provider_of(each) | retry({.max_attempts = 3})};
    const ReplayedCall call = call_with(Provider{alone}, "Hi", answer_of(each), stream);
    if (right.at("ok")) {
      check_answer(right, call);
    } else {
      check_failure(right, call);
    }
    if (right.contains("sends")) CHECK(call.requests.size() == right["sends"]);
    CHECK(call.left_nothing);
    if (!right.value("falls_back", false)) continue;
    const FallbackClient both{provider_of(each), make_provider("spare/m", [](const ChatRequest&) { return "Spare."; })};
    const ReplayedCall saved = call_with(Provider{both}, "Hi", answer_of(each), stream);
    CHECK((saved.result && saved.result->text() == "Spare."));
  }
}

}  // namespace field_answers_test
