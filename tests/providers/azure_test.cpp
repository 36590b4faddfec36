#include "backstop/providers/azure.hpp"

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "backstop/config/target.hpp"
#include "backstop/providers/openai.hpp"
#include "backstop/providers/openai_responses.hpp"
#include "recordings.hpp"
#include "support/environment.hpp"
#include "support/replayed_call.hpp"

namespace azure_test {

using namespace backstop;
using namespace backstop::testing_support;

namespace {

const std::vector<std::string> variables{"AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN"};

HttpRequest sent(const Provider& provider) {
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

ModelOptions deployment(std::string base_url = {}) {
  return {.model = "gpt 5/prod", .api_key = "the-key", .base_url = std::move(base_url)};
}

std::string refusal(const ModelOptions& options, const AzureOptions& azure_options = {}) {
  try {
    static_cast<void>(azure(options, azure_options));
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a deployment in Azure is found over version v1, and with an older version by its name in the address") {
  const Environment environment{variables};
  const std::string v1 = "/openai/v1/chat/completions";
  const std::string by_name = "/openai/deployments/gpt%205%2Fprod/chat/completions?api-version=2024-10-21";
  const AzureOptions old{.api_version = "2024-10-21"};
  CHECK(sent(azure(deployment(), {.resource = "mine"})).url == "https://mine.openai.azure.com" + v1);
  CHECK(sent(azure(deployment(), {.resource = "mine", .api_version = "2024-10-21"})).url ==
        "https://mine.openai.azure.com" + by_name);
  CHECK(sent(azure(deployment("https://mine.services.ai.azure.com/"))).url ==
        "https://mine.services.ai.azure.com" + v1);
  CHECK(sent(azure(deployment("http://host/openai"))).url == "http://host" + v1);
  CHECK(sent(azure(deployment("http://host/openai"), old)).url == "http://host" + by_name);
  CHECK(sent(azure(deployment("http://host?api-version=2023-05-15"), old)).url ==
        "http://host/openai/deployments/gpt%205%2Fprod/chat/completions?api-version=2023-05-15");
  // Another path is the whole prefix.
  CHECK(sent(azure(deployment("http://host/openai/v1"))).url == "http://host" + v1);
  CHECK(sent(azure(deployment("http://host/openai/deployments/d"), old)).url ==
        "http://host/openai/deployments/d/chat/completions?api-version=2024-10-21");
  CHECK(sent(azure(deployment("http://gateway/v1"))).url == "http://gateway/v1/chat/completions");
  CHECK(azure(deployment(), {.resource = "mine"}).target().name() == "azure/gpt 5/prod");
}

TEST_CASE("an API key of Azure has a header of its own, a token is a bearer's") {
  const Environment environment{variables, {{"AZURE_OPENAI_ENDPOINT", "https://env.openai.azure.com"},
                                            {"AZURE_OPENAI_API_KEY", "env-key"}}};
  const HttpRequest by_key = sent(azure({.model = "d"}));
  CHECK(by_key.url == "https://env.openai.azure.com/openai/v1/chat/completions");
  CHECK(header(by_key, "api-key") == "env-key");
  CHECK(header(by_key, "authorization").empty());
  CHECK(header(sent(azure({.model = "d", .credentials = credentials({"one", "two"})})), "api-key") == "one");
  const Environment token{{}, {{"AZURE_OPENAI_AD_TOKEN", "env-token"}}};
  const HttpRequest by_token = sent(azure({.model = "d"}));
  CHECK(header(by_token, "authorization") == "Bearer env-token");
  CHECK(header(by_token, "api-key").empty());
  CHECK(header(sent(azure({.model = "d", .api_key_env = "AZURE_OPENAI_API_KEY"})), "api-key") == "env-key");
  CHECK(header(sent(azure({.model = "d", .api_key = "given"})), "api-key") == "given");
  ::unsetenv("AZURE_OPENAI_AD_TOKEN");
}

TEST_CASE("Azure by its name alone, and over Responses, is the same place") {
  const Environment environment{variables, {{"AZURE_OPENAI_ENDPOINT", "https://env.openai.azure.com"},
                                            {"AZURE_OPENAI_API_KEY", "env-key"}}};
  CHECK(sent(target("azure/d")).url == "https://env.openai.azure.com/openai/v1/chat/completions");
  CHECK(sent(*known_provider("azure", {.model = "d"})).url ==
        "https://env.openai.azure.com/openai/v1/chat/completions");
  const HttpRequest responses = sent(openai_responses({.model = "d", .name = "azure"}));
  CHECK(responses.url == "https://env.openai.azure.com/openai/v1/responses");
  CHECK(header(responses, "api-key") == "env-key");
  CHECK(sent(target("azure/d", {}, "openai_responses")).url == "https://env.openai.azure.com/openai/v1/responses");
}

TEST_CASE("an address of Azure that is missing, or there twice, is told") {
  const Environment environment{variables};
  CHECK(refusal({.model = "d"}) ==
        "azure/d: `resource` or `base_url` is needed, or the environment variable AZURE_OPENAI_ENDPOINT");
  CHECK(refusal({.model = "d", .base_url = "http://h"}, {.resource = "r"}) ==
        "azure/d: `resource` and `base_url` are given; one of them is enough");
  CHECK(refusal({.model = "d"}, {.resource = "a.b/c"}).find("`resource` has characters") != std::string::npos);
}

TEST_CASE("what Azure's filter blocks is told from what it cuts") {
  const Environment environment{variables};
  const auto kind_of = [](std::string_view name) -> std::string {
    for (const Recording& recording : recordings("chat", "azure")) {
      if (!recording.name.ends_with(name)) continue;
      const ReplayedCall call =
          call_with(azure(recording.options()), "Hi", recording.answer, recording.stream);
      if (call.result) return std::string{to_string(call.result->finish_reason.value())};
      return std::string{to_string(call.result.error().kind)};
    }
    return "none";
  };
  if (recordings("chat", "azure").empty()) SKIP("there are no recordings in " BACKSTOP_FIXTURES_DIR);
  CHECK(kind_of("openllmetry--test_prompt_content_filtering") == "content_filtered");
  CHECK(kind_of("openllmetry--test_chat_content_filtering") == "content_filtered");  // before it had any text
  CHECK(kind_of("issue--rate-limit-2s") == "rate_limited");
}

TEST_CASE("a stream of Azure's begins with what its filter says of the prompt, and is read for all that") {
  ReplayedAnswer answer;
  answer.headers.emplace_back("content-type", "text/event-stream");
  answer.body =
      R"(data: {"id":"","model":"","choices":[],"prompt_filter_results":[{"prompt_index":0,)"
      R"("content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}]})"
      "\n\n"
      R"(data: {"id":"c","model":"gpt-4o","choices":[{"index":0,"delta":{"content":"Hi"},"content_filter_result":)"
      R"({"error":{"code":"content_filter_error","message":"The contents are not filtered"}}}]})"
      "\n\n"
      R"(data: {"id":"c","model":"gpt-4o","choices":[{"index":0,"delta":{},"finish_reason":"content_filter",)"
      R"("content_filter_results":{"hate":{"filtered":true,"severity":"high"}}}]})"
      "\n\ndata: [DONE]\n\n";
  const ReplayedCall call = call_with(azure(deployment("http://replayed.test")), "Hi", answer, true);
  REQUIRE(call.result);
  CHECK(call.result->text() == "Hi");
  CHECK(call.result->model == "gpt-4o");
  CHECK(call.result->finish_reason == FinishReason::content_filter);
}

}  // namespace azure_test
