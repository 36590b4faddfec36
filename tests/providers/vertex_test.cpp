#include "backstop/providers/vertex.hpp"

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "backstop/catalog/catalog.hpp"
#include "backstop/config/target.hpp"
#include "backstop/fallback_client.hpp"
#include "support/environment.hpp"
#include "support/replayed_call.hpp"

namespace vertex_test {

using namespace backstop;
using namespace backstop::testing_support;
using Json = nlohmann::json;

namespace {

const std::vector<std::string> variables{"GOOGLE_OAUTH_ACCESS_TOKEN", "GOOGLE_API_KEY", "GOOGLE_CLOUD_PROJECT",
                                         "GOOGLE_CLOUD_LOCATION"};

HttpRequest sent(const Provider& provider, const ChatRequest& request = "Hi", bool stream = false) {
  ReplayedAnswer answer;
  answer.body = "{}";
  return call_with(provider, request, answer, stream).requests.at(0);
}

std::string header(const HttpRequest& request, std::string_view name) {
  for (const Header& one : request.headers) {
    if (one.first == name) return one.second;
  }
  return "";
}

const VertexOptions there{.project = "my-project", .location = "europe-west4"};

ModelOptions model(std::string name) { return {.model = std::move(name), .api_key = "the-token"}; }

template <class Make>
std::string refusal(Make make) {
  try {
    static_cast<void>(make());
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

ChatRequest with_a_call() {
  ChatRequest request;
  request.messages = {Message::user("What time is it?"),
                      Message{Role::assistant, {ToolCall{"call_1", "clock", R"({"city":"Rome"})"}}},
                      Message{Role::tool, {ToolResult{"call_1", "noon"}}}};
  request.tools = {Tool{.name = "clock"}};
  return request;
}

}  // namespace

TEST_CASE("Gemini on Vertex AI is found by project, location and model, with a token") {
  const Environment environment{variables};
  const HttpRequest plain = sent(vertex(model("gemini-3.5-flash"), there));
  CHECK(plain.url ==
        "https://europe-west4-aiplatform.googleapis.com/v1beta1/projects/my-project/locations/europe-west4/publishers/"
        "google/models/gemini-3.5-flash:generateContent");
  CHECK(header(plain, "authorization") == "Bearer the-token");
  CHECK(header(plain, "x-goog-api-key").empty());
  const HttpRequest streamed = sent(vertex(model("gemini-3.5-flash"), there), "Hi", true);
  CHECK(streamed.url.ends_with("/gemini-3.5-flash:streamGenerateContent?alt=sse"));
  CHECK(header(streamed, "accept") == "text/event-stream");
  CHECK(sent(vertex(model("endpoints/1234"), there))
            .url.ends_with("/locations/europe-west4/endpoints/1234:generateContent"));
  CHECK(vertex(model("gemini-3.5-flash"), there).target().name() == "vertex/gemini-3.5-flash");
}

TEST_CASE("Claude on Vertex AI has its version in the body, and its model in the address") {
  const Environment environment{variables};
  const Provider claude =
      vertex_anthropic(model("claude-sonnet-4-5@20250929"), {.project = "p", .location = "us-east5"});
  const HttpRequest plain = sent(claude);
  CHECK(plain.url ==
        "https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5/publishers/anthropic/models/"
        "claude-sonnet-4-5@20250929:rawPredict");
  CHECK(header(plain, "authorization") == "Bearer the-token");
  CHECK(header(plain, "anthropic-version").empty());
  CHECK(header(plain, "x-api-key").empty());
  CHECK(Json::parse(plain.body) == Json::parse(R"({"anthropic_version": "vertex-2023-10-16", "max_tokens": 64000,
    "messages": [{"role": "user", "content": "Hi"}], "stream": false})"));
  const HttpRequest streamed = sent(claude, "Hi", true);
  CHECK(streamed.url.ends_with("/claude-sonnet-4-5@20250929:streamRawPredict"));
  CHECK(Json::parse(streamed.body)["stream"] == true);
}

TEST_CASE("each location has its host") {
  const Environment environment{variables};
  const auto host = [](std::string_view location) {
    const std::string url = sent(vertex(model("m"), {.project = "p", .location = std::string{location}})).url;
    return url.substr(0, url.find("/v1"));
  };
  CHECK(host("global") == "https://aiplatform.googleapis.com");
  CHECK(host("eu") == "https://aiplatform.eu.rep.googleapis.com");
  CHECK(host("us") == "https://aiplatform.us.rep.googleapis.com");
  CHECK(host("us-central1") == "https://us-central1-aiplatform.googleapis.com");
  CHECK(host("") == "https://aiplatform.googleapis.com");
}

TEST_CASE("project and location come from the options, the address or the environment") {
  const Environment environment{variables, {{"GOOGLE_CLOUD_PROJECT", "env-project"},
                                            {"GOOGLE_CLOUD_LOCATION", "us-west1"},
                                            {"GOOGLE_OAUTH_ACCESS_TOKEN", " env-token "}}};
  const HttpRequest by_environment = sent(vertex({.model = "m"}));
  CHECK(by_environment.url.starts_with(
      "https://us-west1-aiplatform.googleapis.com/v1beta1/projects/env-project/locations/us-west1/publishers/"));
  CHECK(header(by_environment, "authorization") == "Bearer env-token");
  CHECK(sent(vertex({.model = "m"}, there)).url.find("/projects/my-project/locations/europe-west4/") !=
        std::string::npos);

  const auto at = [](std::string base_url) {
    return sent(vertex({.model = "m", .api_key = "k", .base_url = std::move(base_url)}, {.project = "p"})).url;
  };
  const std::string rest = "/projects/p/locations/us-west1/publishers/google/models/m:generateContent";
  CHECK(at("http://gateway.test") == "http://gateway.test/v1beta1" + rest);
  CHECK(at("http://gateway.test/v1/") == "http://gateway.test/v1" + rest);
  CHECK(at("http://gateway.test/google/v1beta1?team=a") == "http://gateway.test/google/v1beta1" + rest + "?team=a");
  CHECK(at("http://gateway.test/v1/projects/x/locations/y") ==
        "http://gateway.test/v1/projects/x/locations/y/publishers/google/models/m:generateContent");
  // A server of another name and address does not get the environment's token.
  const HttpRequest foreign =
      sent(vertex({.model = "m", .base_url = "http://gateway.test", .name = "mine"}, {.project = "p"}));
  CHECK(header(foreign, "authorization").empty());
}

TEST_CASE("an API key is one of express mode, unless there is a project beside it") {
  const Environment environment{variables, {{"GOOGLE_CLOUD_PROJECT", "env-project"}, {"GOOGLE_API_KEY", "env-key"}}};
  const std::string express = "https://aiplatform.googleapis.com/v1/publishers/google/models/m:generateContent";
  for (const auto& [options, key] : std::vector<std::pair<ModelOptions, std::string>>{
           {{.model = "m", .api_key = "the-key"}, "the-key"}, {{.model = "m"}, "env-key"},
           {{.model = "m", .api_key_env = "GOOGLE_API_KEY"}, "env-key"},
           {{.model = "m", .credentials = credentials({"one", "two"})}, "one"}}) {
    const HttpRequest request = sent(vertex(options));
    CHECK(request.url == express);
    CHECK(header(request, "x-goog-api-key") == key);
    CHECK(header(request, "authorization").empty());
  }
  CHECK(header(sent(vertex({.model = "m", .api_key = "a-token"}, there)), "authorization") == "Bearer a-token");
  CHECK(header(sent(vertex_anthropic({.model = "claude-opus-4-8", .api_key = "a-token"})), "authorization") ==
        "Bearer a-token");
}

TEST_CASE("a token that is fetched needs a project") {
  const Environment environment{variables};
  const Credentials token = credentials_from([]() -> Result<ExpiringKey> { return ExpiringKey{.key = "fetched"}; });
  CHECK(refusal([&] { return vertex({.model = "m", .credentials = token}); }) ==
        "vertex/m: `project` is needed; give it, or set the environment variable GOOGLE_CLOUD_PROJECT");
  CHECK(refusal([&] { return vertex_anthropic({.model = "m", .api_key = "k"}); }).find("`project` is needed") !=
        std::string::npos);
  CHECK(refusal([&] { return vertex({.model = "m", .credentials = token}, {.project = "a/b"}); }) ==
        "vertex/m: `project` has characters that none has; give it, or set the environment variable "
        "GOOGLE_CLOUD_PROJECT");
  CHECK(refusal([&] { return vertex({.model = "m", .credentials = token}, {.project = "p", .location = "x?y"}); })
            .find("`location` has characters") != std::string::npos);
}

TEST_CASE("a missing token says how to give one") {
  const Environment environment{variables};
  const ReplayedCall call = call_with(vertex({.model = "m"}, there), "Hi", ReplayedAnswer{}, false);
  REQUIRE_FALSE(call.result);
  CHECK(call.result.error().kind == ErrorKind::authentication);
  CHECK(call.result.error().message ==
        "no key for vertex/m: give an access token with `credentials_from`, or set the environment variable "
        "GOOGLE_OAUTH_ACCESS_TOKEN");
  CHECK(call.requests.empty());
}

TEST_CASE("calls go to Vertex AI without their ids, which Google's own API gets") {
  const Environment environment{variables};
  const Json body = Json::parse(sent(vertex(model("gemini-3.5-flash"), there), with_a_call()).body);
  const Json call = body["contents"][1]["parts"][0]["functionCall"];
  CHECK(call == Json::parse(R"({"name": "clock", "args": {"city": "Rome"}})"));
  const Json result = body["contents"][2]["parts"][0]["functionResponse"];
  CHECK(result == Json::parse(R"({"name": "clock", "response": {"output": "noon"}})"));
}

TEST_CASE("Claude on Vertex AI is told of a schema in words, and takes files by their bytes") {
  const Environment environment{variables};
  const Provider claude = vertex_anthropic(model("claude-opus-4-8"), there);
  ChatRequest request{"Hi"};
  request.response_format = {.type = ResponseFormat::Type::json_schema, .schema = R"({"type": "object"})"};
  const Json body = Json::parse(sent(claude, request).body);
  CHECK_FALSE(body.contains("output_config"));
  CHECK(body["system"].get<std::string>().find(R"({"type":"object"})") != std::string::npos);
  request.messages = {Message{Role::user, {Image{.url = "https://example.test/a.png"}}}};
  ChatRequest shown{"Hi"};
  shown.messages.push_back(Message{Role::assistant, {ToolCall{"1", "look", "{}"}}});
  const Image by_address{.url = "https://example.test/a.png"};
  shown.messages.push_back(Message{Role::tool, {ToolResult{.call_id = "1", .files = {by_address}}}});
  for (const ChatRequest& asked : {request, shown}) {
    const ReplayedCall call = call_with(claude, asked, ReplayedAnswer{}, false);
    REQUIRE_FALSE(call.result);
    CHECK(call.result.error().kind == ErrorKind::unsupported_capability);
    CHECK(call.requests.empty());
  }
}

TEST_CASE("models on Vertex AI have the facts of their makers") {
  CHECK(facts_for("vertex", "gemini-2.5-pro").price == facts_for("google", "gemini-2.5-pro").price);
  REQUIRE(facts_for("vertex", "claude-sonnet-4-5@20250929").price);
  CHECK(facts_for("vertex", "claude-sonnet-4-5@20250929").price == facts_for("anthropic", "claude-sonnet-4-5").price);
}

TEST_CASE("a name finds the wire of its model on Vertex AI") {
  const Environment environment{variables, {{"GOOGLE_CLOUD_PROJECT", "p"}}};
  CHECK(sent(target("vertex/gemini-3.5-flash", {.api_key = "k"})).url.ends_with("/gemini-3.5-flash:generateContent"));
  CHECK(sent(target("vertex/claude-opus-4-8", {.api_key = "k"})).url.ends_with("/claude-opus-4-8:rawPredict"));
  CHECK(sent(target("vertex/tuned", {.api_key = "k"}, "vertex_anthropic")).url.ends_with("/tuned:rawPredict"));
}

}  // namespace vertex_test
