#include "providers/wire/request_limits.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "backstop/providers/anthropic.hpp"
#include "backstop/providers/openai.hpp"
#include "support/replayed_call.hpp"

namespace request_limits_test {

using namespace backstop;
using namespace backstop::testing_support;
using backstop::detail::FittedRequest;
using backstop::detail::RequestLimits;

namespace {

using Json = nlohmann::json;

ChatRequest with_settings() {
  ChatRequest request{"Hi"};
  request.max_output_tokens = 64'000;
  request.temperature = 1.8;
  request.top_p = 0.9;
  request.stop = {"A", "", "\n", "B", "C", "D", "E", "F"};
  return request;
}

/// What a target of that name is sent, and what its row says of it.
struct Sent {
  Json body;
  std::string note;
};
Sent sent_to(std::string_view provider, std::string model, const ChatRequest& request = with_settings()) {
  ModelOptions options;
  options.model = std::move(model);
  options.api_key = "test-key";
  options.base_url = "http://replayed.test/v1";
  options.max_output_tokens = 16'384;
  const Provider target = provider == "anthropic" ? anthropic(options) : *known_provider(provider, options);
  ReplayedAnswer answer;
  answer.body = provider == "anthropic" ? R"({"content":"Fine."})" : R"({"choices":[{"message":{"content":"Fine."}}]})";
  const ReplayedCall call = call_with(target, request, answer, false);
  REQUIRE(call.result);
  REQUIRE(call.result->attempts.size() == 1);
  return {Json::parse(call.requests.at(0).body), call.result->attempts[0].reason};
}

}  // namespace

TEST_CASE("a request within the limits is sent as it is, and nothing is noted") {
  const ChatRequest request = with_settings();
  RequestLimits limits;
  limits.output_tokens = 64'000;
  const FittedRequest blanks{request, limits};
  CHECK(blanks.notes() == "1 blank stop sequence left out");
  ChatRequest plain{"Hi"};
  plain.temperature = 1.0;
  plain.stop = {"\n"};
  const FittedRequest fitted{plain, limits};
  CHECK(&fitted.request() == &plain);
  CHECK(fitted.notes().empty());
}

TEST_CASE("an output limit below the least that can be asked for is raised to it, with a note") {
  RequestLimits limits;
  limits.least_output_tokens = 16;
  for (const std::int64_t wanted : {1, 15, 16, 17}) {
    ChatRequest request{"Hi"};
    request.max_output_tokens = wanted;
    const FittedRequest fitted{request, limits};
    CHECK(fitted.request().max_output_tokens == std::max<std::int64_t>(wanted, 16));
    CHECK(fitted.notes().empty() == (wanted >= 16));
  }
  ChatRequest nonsense{"Hi"};
  nonsense.max_output_tokens = 0;  // the provider says what is wrong with it
  CHECK(FittedRequest{nonsense, limits}.request().max_output_tokens == 0);
}

TEST_CASE("what a target is known to refuse is not sent to it, and its row says so") {
  const Sent gpt = sent_to("openai", "gpt-4o");
  CHECK(gpt.body["max_completion_tokens"] == 16'384);
  CHECK(gpt.body["temperature"] == 1.8);
  CHECK(gpt.body["stop"] == Json{"A", "\n", "B", "C"});
  CHECK(gpt.note ==
        "output limit lowered from 64000 to the model's 16384 tokens; 1 blank stop sequence left out; "
        "3 of the stop sequences left out: the provider takes 4");

  const Sent reasoning = sent_to("openai", "o3");
  for (const char* key : {"temperature", "top_p", "stop"}) CHECK_FALSE(reasoning.body.contains(key));
  CHECK(reasoning.note.find("temperature left out: the model refuses it; top_p left out: the model refuses it") !=
        std::string::npos);
  CHECK(reasoning.note.find("stop sequences left out: the model refuses them") != std::string::npos);

  const Sent claude = sent_to("anthropic", "claude-sonnet-4-5");
  CHECK(claude.body["max_tokens"] == 16'384);
  CHECK(claude.body["temperature"] == 1.0);
  CHECK(claude.body["stop_sequences"] == Json{"A", "B", "C", "D", "E", "F"});
  CHECK(claude.note ==
        "output limit lowered from 64000 to the model's 16384 tokens; temperature 1.8 moved to 1, the end of "
        "the model's range; 2 blank stop sequences left out");

  CHECK(sent_to("zai", "glm-4.6").body["temperature"] == 1.0);
  CHECK(sent_to("zai", "glm-4.6").body["stop"] == Json::array({"A"}));
  CHECK(sent_to("moonshot", "kimi-k2").body["temperature"] == 1.0);
  CHECK(sent_to("mistral", "mistral-large").body["temperature"] == 1.5);
  CHECK_FALSE(sent_to("xai", "grok-4").body.contains("stop"));
  CHECK(sent_to("xai", "grok-4-fast-non-reasoning").body.contains("stop"));
  CHECK(sent_to("vllm", "qwen3").body["stop"].size() == 7);

  ChatRequest modest{"Hi"};
  modest.max_output_tokens = 100;
  modest.temperature = 0.5;
  modest.stop = {"END"};
  CHECK(sent_to("openai", "gpt-4o", modest).note.empty());
  CHECK(sent_to("openai", "gpt-4o", modest).body["max_completion_tokens"] == 100);
  ChatRequest cold{"Hi"};
  cold.temperature = -1;
  CHECK(sent_to("openai", "gpt-4o", cold).body["temperature"] == 0.0);
}

}  // namespace request_limits_test
