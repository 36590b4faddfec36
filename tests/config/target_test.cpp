#include "backstop/config/target.hpp"

#include <stdexcept>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "backstop/config/config.hpp"
#include "config/route.hpp"
#include "support/environment.hpp"
#include "support/replayed_call.hpp"

namespace target_test {

using namespace backstop;
using namespace backstop::testing_support;

namespace {

/// Where a call to that target goes.
HttpRequest sent_to(const Provider& provider) {
  ReplayedAnswer answer;
  answer.body = "{}";
  return call_with(provider, "Hi", answer, false).requests.at(0);
}

std::string header(const HttpRequest& request, std::string_view name) {
  for (const Header& one : request.headers) {
    if (one.first == name) return one.second;
  }
  return "";
}

std::string refusal(std::string_view name, const ModelOptions& options = {}, std::string_view wire = {}) {
  try {
    static_cast<void>(target(name, options, wire));
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a name alone is a target on every wire") {
  struct Row {
    std::string_view name;
    std::string_view url;
    std::string_view key_header;
    std::string_view key;
  };
  for (const Row& row : std::vector<Row>{
           {"openai/gpt-5.6-sol", "https://api.openai.com/v1/chat/completions", "authorization", "Bearer k"},
           {"groq/llama-3.3-70b", "https://api.groq.com/openai/v1/chat/completions", "authorization", "Bearer k"},
           {"huggingface/org/model", "https://router.huggingface.co/v1/chat/completions", "authorization", "Bearer k"},
           {"ollama/llama3.2", "http://localhost:11434/v1/chat/completions", "authorization", "Bearer k"},
           {"upstage/solar-pro", "https://api.upstage.ai/v1/solar/chat/completions", "authorization", "Bearer k"},
           {"openai_responses/gpt-5.4", "https://api.openai.com/v1/responses", "authorization", "Bearer k"},
           {"anthropic/claude-sonnet-5", "https://api.anthropic.com/v1/messages", "x-api-key", "k"},
           {"google/gemini-3-pro",
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-3-pro:generateContent", "x-goog-api-key",
            "k"},
           {"cohere/command-a", "https://api.cohere.com/v2/chat", "authorization", "Bearer k"},
           {"litellm/gpt-4o", "http://localhost:4000/v1/chat/completions", "authorization", "Bearer k"},
           {"portkey/@openai-prod/gpt-4o", "https://api.portkey.ai/v1/chat/completions", "x-portkey-api-key", "k"},
           {"vercel/anthropic/claude-sonnet-5", "https://ai-gateway.vercel.sh/v1/chat/completions", "authorization",
            "Bearer k"},
           {"openrouter/openai/gpt-4o", "https://openrouter.ai/api/v1/chat/completions", "authorization", "Bearer k"},
           {"ccr/openrouter,anthropic/claude-sonnet-5", "http://127.0.0.1:3456/v1/messages", "x-api-key", "k"},
           {"ollama_native/llama3.2", "http://localhost:11434/api/chat", "authorization", "Bearer k"}}) {
    CAPTURE(row.name);
    const Provider provider = target(row.name, {.api_key = "k"});
    CHECK(provider.target().model() == row.name.substr(row.name.find('/') + 1));
    const HttpRequest request = sent_to(provider);
    CHECK(request.url == row.url);
    CHECK(header(request, row.key_header) == row.key);
  }
}

TEST_CASE("a name that is not known is a target with its address, on the wire that it is said to speak") {
  const ModelOptions at{.base_url = "http://gateway.test"};
  CHECK(sent_to(target("mine/m", at)).url == "http://gateway.test/chat/completions");
  CHECK(sent_to(target("mine/m", at, "anthropic")).url == "http://gateway.test/v1/messages");
  CHECK(sent_to(target("mine/m", at, "gemini")).url == "http://gateway.test/v1beta/models/m:generateContent");
  CHECK(sent_to(target("mine/m", at, "cohere")).url == "http://gateway.test/v2/chat");
  CHECK(sent_to(target("mine/m", at, "ollama")).url == "http://gateway.test/api/chat");
  CHECK(sent_to(target("mine/m", at, "openai_responses")).url == "http://gateway.test/responses");
  CHECK(sent_to(target("bedrock/amazon.nova-pro-v1:0", {.api_key = "k", .base_url = at.base_url})).url ==
        "http://gateway.test/model/amazon.nova-pro-v1%3A0/converse");
  CHECK(target("mine/m", at).target().name() == "mine/m");

  for (const std::string_view name : {"", "openai", "/m", "openai/"}) {
    CAPTURE(name);
    CHECK(refusal(name).find("must be \"provider/model\"") != std::string::npos);
  }
  CHECK(refusal("mine/m").find("give its `base_url`") != std::string::npos);
  const Environment environment{{"AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_AD_TOKEN"}};
  CHECK(refusal("azure/m").find("give its `base_url`") != std::string::npos);
  CHECK(refusal("groq/m", {}, "anthropic").find("give its `base_url`") != std::string::npos);
  CHECK(refusal("groq/m", at, "soap").find("it must be a wire that this build speaks") != std::string::npos);
}

TEST_CASE("a policy tells what a platform has to know, and no other target may have it") {
  const auto config = parse_config(R"({"fallback_policy": {
    "providers": {"vertex": {"project": "p", "location": "eu"},
                  "azure-eu": {"wire": "azure", "api_version": "2024-10-21", "base_url": "http://azure.test"}},
    "targets": ["vertex/gemini-3.5-flash", {"target": "vertex/claude-opus-4-8", "location": "us-east5"},
                {"target": "bedrock/m", "region": "eu-west-1"}, "azure-eu/d",
                {"target": "anthropic/m", "api_version": "2026-10-21"},
                {"target": "mistral/m", "extra_body": {"safe_prompt": true}},
                {"target": "openrouter/m", "gateway_failover": true}]}})");
  REQUIRE(config);
  CHECK(config->targets[0].platform == PlatformConfig{.project = "p", .location = "eu"});
  CHECK(config->targets[1].platform == PlatformConfig{.project = "p", .location = "us-east5"});
  CHECK(config->targets[2].platform == PlatformConfig{.region = "eu-west-1"});
  CHECK(config->targets[3].platform == PlatformConfig{.api_version = "2024-10-21"});
  CHECK(config->targets[4].platform == PlatformConfig{.api_version = "2026-10-21"});
  CHECK(config->targets[5].model.extra_body == R"({"safe_prompt":true})");
  CHECK(config->targets[6].model.gateway_failover);

  const auto wrong = parse_config(R"({"fallback_policy": {"targets": [{"target": "openai/m", "region": "eu-west-1"},
    {"target": "gemini/m", "project": "p"}, {"target": "cohere/m", "extra_body": 7},
    {"target": "bedrock/m", "api_version": "1"}]}})");
  REQUIRE_FALSE(wrong);
  const std::string& said = wrong.error().message;
  CAPTURE(said);
  for (const std::string_view part :
       {"`fallback_policy.targets[0]` has `region`, which the wire \"openai\" has no use for",
        "`fallback_policy.targets[1]` has `project`, which the wire \"gemini\" has no use for",
        "`fallback_policy.targets[2].extra_body` is 7; it must be an object",
        "`fallback_policy.targets[3]` has `api_version`, which the wire \"bedrock\" has no use for"}) {
    CAPTURE(part);
    CHECK(said.find(part) != std::string::npos);
  }
}

TEST_CASE("the platform of a policy's target is the one that its requests go to") {
  const Environment environment{{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID",
                                 "GOOGLE_OAUTH_ACCESS_TOKEN", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION",
                                 "THE_TOKEN"},
                                {{"THE_TOKEN", "the-token"}}};
  const auto url_of = [](const std::string& target) {
    const auto config = parse_config(R"({"fallback_policy": {"targets": [)" + target + "]}}");
    REQUIRE(config);
    return sent_to(detail::provider_for(config->targets[0], {})).url;
  };
  CHECK(url_of(R"({"target": "bedrock/m", "region": "eu-west-1", "api_key_env": "THE_TOKEN"})")
            .starts_with("https://bedrock-runtime.eu-west-1.amazonaws.com/"));
  CHECK(url_of(R"({"target": "vertex/m", "project": "p", "location": "eu", "api_key_env": "THE_TOKEN"})")
            .starts_with("https://aiplatform.eu.rep.googleapis.com/v1beta1/projects/p/locations/eu/"));
  CHECK(url_of(R"({"target": "vertex/claude-x", "project": "p", "api_key_env": "THE_TOKEN"})")
            .ends_with("/locations/global/publishers/anthropic/models/claude-x:rawPredict"));
  CHECK(url_of(R"({"target": "eu/d", "wire": "azure", "base_url": "http://a.test", "api_version": "2024-10-21"})") ==
        "http://a.test/openai/deployments/d/chat/completions?api-version=2024-10-21");
}

TEST_CASE("a policy tells of a provider once, and each target may say otherwise") {
  const auto config = parse_config(R"({"fallback_policy": {
    "providers": {"mine": {"base_url": "http://gateway.test/v1", "wire": "anthropic", "api_key_env": ["A", "B"],
                           "headers": {"x-team": "red"}, "failure_domain": "gateway"},
                  "groq": {"base_url": "http://proxy.test/groq"}},
    "targets": ["mine/one", {"target": "mine/two", "wire": "openai", "api_key_env": "C", "headers": {"x-team": "blue"}},
                {"targets": ["groq/three", "openai/four"]}]}})");
  REQUIRE(config);
  REQUIRE(config->targets.size() == 4);
  const TargetConfig& one = config->targets[0];
  CHECK(one.model.base_url == "http://gateway.test/v1");
  CHECK(one.wire == "anthropic");
  CHECK(one.key_variables == std::vector<std::string>{"A", "B"});
  CHECK(one.model.headers == std::vector<Header>{{"x-team", "red"}});
  CHECK(one.model.failure_domain == "gateway");
  const TargetConfig& two = config->targets[1];
  CHECK(two.model.base_url == "http://gateway.test/v1");
  CHECK(two.wire == "openai");
  CHECK(two.model.api_key_env == "C");
  CHECK(two.key_variables.empty());
  CHECK(two.model.headers == std::vector<Header>{{"x-team", "blue"}});
  CHECK(config->targets[2].model.base_url == "http://proxy.test/groq");
  CHECK(config->targets[3].model.base_url.empty());
}

TEST_CASE("mistakes in a provider's row are told with their place, once, though no target goes there") {
  const auto config = parse_config(R"({"fallback_policy": {
    "providers": {"mine": {"wire": "soap", "base": "x"}, "a/b": {}, "other": 7},
    "targets": ["mine/one", "mine/two", "openai/m"]}})");
  REQUIRE_FALSE(config);
  const std::string& said = config.error().message;
  CAPTURE(said);
  const auto count = [&said](std::string_view words) {
    std::size_t found = 0;
    for (std::size_t at = said.find(words); at != std::string::npos; at = said.find(words, at + 1)) ++found;
    return found;
  };
  CHECK(count("`fallback_policy.providers.mine.wire` is \"soap\"") == 1);
  CHECK(count("`fallback_policy.providers.mine.base` is not known") == 1);
  CHECK(count("is under a name that no target can have") == 1);
  CHECK(count("`fallback_policy.providers.other` is 7") == 1);
}

}  // namespace target_test
