#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "backstop/config/target.hpp"
#include "backstop/providers/openai.hpp"
#include "backstop/providers/openai_responses.hpp"
#include "providers/http/gateway_headers.hpp"
#include "recordings.hpp"
#include "support/environment.hpp"
#include "support/replayed_call.hpp"

namespace gateways_test {

using namespace backstop;
using namespace backstop::testing_support;
using Json = nlohmann::json;

namespace {

ReplayedAnswer answer_with(const Json& more, std::vector<Header> headers = {}) {
  ReplayedAnswer answer;
  answer.headers = std::move(headers);
  answer.headers.emplace_back("content-type", "application/json");
  Json body = Json::parse(R"({"model": "m", "choices": [{"index": 0, "finish_reason": "stop",
    "message": {"role": "assistant", "content": "Hi."}}], "usage": {"prompt_tokens": 10, "completion_tokens": 2}})");
  if (more.is_object()) body.merge_patch(more);
  answer.body = body.dump();
  return answer;
}

ReplayedCall ask(const std::string& name, const ReplayedAnswer& answer, ModelOptions options = {}) {
  options.api_key = "the-key";
  return call_with(target(name, std::move(options)), "Hi", answer, false);
}

GatewayReport report_of(const ReplayedCall& call) {
  REQUIRE(call.result);
  const auto& report = call.result->attempts.at(0).gateway;
  return report ? *report : GatewayReport{};
}

Json body_of(const ReplayedCall& call) { return Json::parse(call.requests.at(0).body); }

std::string header(const ReplayedCall& call, std::string_view name) {
  for (const Header& one : call.requests.at(0).headers) {
    if (one.first == name) return one.second;
  }
  return "";
}

}  // namespace

TEST_CASE("gateways that can be told are told not to fail over, unless they may") {
  const ReplayedAnswer answer = answer_with({});
  const ReplayedCall openrouter = ask("openrouter/openai/gpt-4o", answer);
  CHECK(body_of(openrouter)["provider"] == Json{{"allow_fallbacks", false}});
  CHECK_FALSE(body_of(ask("openrouter/m", answer, {.gateway_failover = true})).contains("provider"));
  const ReplayedCall litellm = ask("litellm/gpt-4o", answer);
  CHECK(body_of(litellm)["disable_fallbacks"] == true);
  CHECK(header(litellm, "x-litellm-num-retries") == "0");
  const ReplayedCall left = ask("litellm/gpt-4o", answer, {.gateway_failover = true});
  CHECK_FALSE(body_of(left).contains("disable_fallbacks"));
  CHECK(header(left, "x-litellm-num-retries").empty());
  CHECK_FALSE(body_of(ask("openai/gpt-4o", answer)).contains("provider"));

  const ReplayedCall responses = call_with(
      openai_responses({.model = "gpt-4o", .api_key = "k", .name = "litellm"}), "Hi", ReplayedAnswer{}, false);
  CHECK(body_of(responses)["disable_fallbacks"] == true);
  CHECK(header(responses, "x-litellm-num-retries") == "0");
}

TEST_CASE("LiteLLM's proxy gets a key where there is one, and is asked without where there is none") {
  const Environment none{{"LITELLM_PROXY_API_KEY"}};
  const ReplayedCall open = call_with(target("litellm/m"), "Hi", answer_with({}), false);
  CHECK(open.result);
  CHECK(header(open, "authorization").empty());
  const Environment some{{"LITELLM_PROXY_API_KEY"}, {{"LITELLM_PROXY_API_KEY", "sk-1"}}};
  CHECK(header(call_with(target("litellm/m"), "Hi", answer_with({}), false), "authorization") == "Bearer sk-1");
}

TEST_CASE("a gateway on this machine is no model of this machine, which would cost nothing") {
  for (const char* name : {"litellm/m", "ccr/m"}) CHECK_FALSE(target(name).target().facts().local);
  CHECK_FALSE(target("portkey/m", {.base_url = "http://localhost:8787/v1"}).target().facts().local);
  CHECK(target("ollama/m").target().facts().local);
}

TEST_CASE("what only one gateway has goes out in the parameters of its target") {
  const ReplayedAnswer answer = answer_with({});
  const Json routed = body_of(ask("openrouter/m", answer,
                                  {.parameters = R"({"provider": {"order": ["azure"]}, "models": ["a", "b"]})"}));
  CHECK(routed["provider"] == Json::parse(R"({"allow_fallbacks": false, "order": ["azure"]})"));
  CHECK(routed["models"] == Json::parse(R"(["a", "b"])"));
  CHECK(routed["messages"].size() == 1);
  const Json vercel = body_of(
      ask("vercel/m", answer, {.parameters = R"({"providerOptions": {"gateway": {"only": ["bedrock"]}}})"}));
  CHECK(vercel["providerOptions"]["gateway"]["only"][0] == "bedrock");
  CHECK(body_of(ask("mistral/m", answer, {.parameters = R"({"safe_prompt": true})"}))["safe_prompt"] == true);
}

TEST_CASE("what a gateway says in the body of who served it, and at what cost, stands in the row") {
  const ReplayedCall openrouter =
      ask("openrouter/m", answer_with(Json::parse(R"({"provider": "Amazon Bedrock", "usage": {"cost": 0.0025}})")));
  CHECK(report_of(openrouter) == GatewayReport{.served_by = "Amazon Bedrock", .cost = Money::usd(0.0025)});
  CHECK(openrouter.result->attempts.at(0).cost == Money::usd(0.0025));
  CHECK(openrouter.result->cost == Money::usd(0.0025));
  CHECK(openrouter.result->cost_known);
  CHECK_FALSE(openrouter.result->attempts.at(0).cost_estimated);

  // With a key of the application's own: the gateway's share and what that key was charged with.
  const ReplayedCall own_key = ask("openrouter/m", answer_with(Json::parse(
      R"({"usage": {"cost": 0.0001, "is_byok": true, "cost_details": {"upstream_inference_cost": 0.002}}})")));
  CHECK(report_of(own_key).cost == Money::usd(0.0021));
  const ReplayedCall unknown =
      ask("openrouter/m", answer_with(Json::parse(R"({"usage": {"cost": 0, "is_byok": true}})")));
  CHECK_FALSE(report_of(unknown).cost);
  CHECK_FALSE(unknown.result->cost_known);
  const ReplayedCall free = ask("openrouter/m:free", answer_with(Json::parse(R"({"usage": {"cost": 0}})")));
  CHECK(free.result->cost_known);

  const ReplayedCall asked = ask("openrouter/m", answer_with(Json::parse(
      R"({"openrouter_metadata": {"attempt": 2, "attempts": [{}, {}]}})")));
  CHECK(report_of(asked).attempts == 2);
  const ReplayedCall vercel = ask("vercel/m", answer_with(Json::parse(R"({"choices": [{"finish_reason": "stop",
    "message": {"content": "Hi.", "provider_metadata": {"gateway": {"cost": "0.00067", "routing": {
      "finalProvider": "bedrock", "attempts": [{"provider": "anthropic", "success": false},
                                               {"provider": "bedrock", "success": true}]}}}}}]})")));
  CHECK(report_of(vercel) == GatewayReport{.served_by = "bedrock", .cost = Money::usd(0.00067), .attempts = 2});
}

TEST_CASE("what a gateway says in its headers stands in the row, of refusals too") {
  const ReplayedCall litellm = ask("litellm/m", answer_with({}, {{"x-litellm-model-id", "deployment-7"},
                                                                 {"X-LiteLLM-Response-Cost", "1.2e-05"},
                                                                 {"x-litellm-attempted-retries", "1"},
                                                                 {"x-litellm-attempted-fallbacks", "1"}}));
  CHECK(report_of(litellm) ==
        GatewayReport{.served_by = "deployment-7", .cost = Money::usd(1.2e-05), .attempts = 3});
  CHECK(litellm.result->cost == Money::usd(1.2e-05));
  // Zero is what it says where it has no price.
  const ReplayedCall unpriced = ask("litellm/m", answer_with({}, {{"x-litellm-response-cost", "0.0"},
                                                                  {"x-litellm-model-api-base", "https://up.test"}}));
  CHECK(report_of(unpriced) == GatewayReport{.served_by = "https://up.test"});
  CHECK_FALSE(unpriced.result->cost_known);
  const ReplayedCall portkey =
      ask("portkey/m", answer_with({}, {{"x-portkey-last-used-option-index", "config.targets[1]"},
                                        {"x-portkey-retry-attempt-count", "2"}}));
  CHECK(report_of(portkey) == GatewayReport{.served_by = "config.targets[1]", .attempts = 3});
  const ReplayedCall ccr =
      ask("ccr/m", answer_with({}, {{"x-ccr-fallback-model", "glm-5"}, {"x-ccr-fallback-attempts", "2"}}));
  REQUIRE_FALSE(ccr.result);  // an answer of another wire; the head counts all the same
  REQUIRE(ccr.result.error().attempts.at(0).gateway);
  CHECK(*ccr.result.error().attempts.at(0).gateway == GatewayReport{.model = "glm-5", .attempts = 2});

  ReplayedAnswer refusal = answer_with({}, {{"x-litellm-attempted-fallbacks", "4"}, {"x-litellm-model-id", "the-key"}});
  refusal.status = 503;
  const ReplayedCall refused = ask("litellm/m", refusal);
  REQUIRE_FALSE(refused.result);
  const auto& row = refused.result.error().attempts.at(0);
  REQUIRE(row.gateway);
  CHECK(row.gateway->attempts == 5);
  CHECK(row.gateway->served_by.find("the-key") == std::string::npos);  // a key that comes back is masked
}

TEST_CASE("numbers of gateways' that cannot be right are none") {
  HttpResponseHead head;
  head.headers = {{"x-litellm-attempted-retries", "-1"}, {"x-litellm-attempted-fallbacks", "99999999"},
                  {"x-litellm-response-cost", "nan"}};
  CHECK(detail::gateway_report(head) == GatewayReport{});
  CHECK_FALSE(detail::reported_cost(-1));
  CHECK_FALSE(detail::reported_cost(1e9));
  CHECK_FALSE(detail::reported_cost(std::numeric_limits<double>::infinity()));
  CHECK_FALSE(detail::reported_cost(std::nan("")));
  CHECK(detail::reported_cost(0) == Money{});
}

TEST_CASE("the cost that OpenRouter reports in recordings is the attempt's") {
  int priced = 0;
  for (const Recording& recording : recordings("chat", "openrouter")) {
    if (!recording.expect.value("ok", false)) continue;
    const ReplayedCall call = call_with(*known_provider("openrouter", recording.options()), "Hi", recording.answer,
                                        recording.stream);
    if (!call.result || !call.result->attempts.at(0).gateway) continue;
    const Attempt& row = call.result->attempts.at(0);
    CAPTURE(recording.name);
    if (!row.gateway->cost) continue;
    CHECK(row.cost == *row.gateway->cost);
    CHECK(row.cost_known);
    ++priced;
  }
  if (recordings("chat", "openrouter").empty()) SKIP("there are no recordings in " BACKSTOP_FIXTURES_DIR);
  CHECK(priced > 10);
}

}  // namespace gateways_test
