#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <nlohmann/json.hpp>

#include "backstop/catalog/catalog.hpp"
#include "backstop/providers/bedrock.hpp"
#include "handover/projection.hpp"
#include "providers/bedrock/digest.hpp"
#include "providers/bedrock/format.hpp"
#include "support/environment.hpp"
#include "support/replayed_call.hpp"

namespace bedrock_encode_test {

using namespace backstop;
using namespace backstop::testing_support;
using Json = nlohmann::json;

namespace {

const detail::BedrockFormat format{"us-east-1"};

Target model_of(std::string_view name) { return Target{"bedrock", name, facts_for("bedrock", name)}; }
const Target nova = model_of("amazon.nova-pro-v1:0");
const Target nova_2 = model_of("us.amazon.nova-2-lite-v1:0");
const Target sonnet_4_5 = model_of("global.anthropic.claude-sonnet-4-5-20250929-v1:0");
const Target opus_4_8 = model_of("global.anthropic.claude-opus-4-8");
const Target gpt_oss = model_of("openai.gpt-oss-120b-1:0");

Json body_of(const ChatRequest& request, const Target& target = nova) {
  const detail::FittedRequest fitted{request, format.limits(request, target)};
  const Result<std::string> body = detail::encode_bedrock_body(fitted.request(), target);
  REQUIRE(body);
  return Json::parse(*body);
}
Error failure_of(const ChatRequest& request, const Target& target = nova) {
  const Result<std::string> body = detail::encode_bedrock_body(request, target);
  REQUIRE_FALSE(body);
  return body.error();
}
Json contents_of(std::vector<Part> parts, const Target& target = nova) {
  ChatRequest request;
  request.messages = {Message{Role::user, std::move(parts)}};
  return body_of(request, target)["messages"][0]["content"];
}
/// What an effort makes of a request.
Json body_with(const std::string& effort, const Target& target, std::optional<std::int64_t> limit = {}) {
  ChatRequest request{"Why?"};
  request.reasoning_effort = effort;
  request.max_output_tokens = limit;
  request.temperature = 0.5;
  return body_of(request, target);
}
Json more_of(const Json& body) { return body.value("additionalModelRequestFields", Json{}); }

ReplayedAnswer an_answer() {
  ReplayedAnswer answer;
  answer.headers.emplace_back("content-type", "application/json");
  answer.body =
      R"({"output": {"message": {"role": "assistant", "content": [{"text": "Hi."}]}}, "stopReason": "end_turn"})";
  return answer;
}
ReplayedCall asked(const Provider& provider, const ChatRequest& request = "hello", bool stream = false) {
  return call_with(provider, request, an_answer(), stream);
}
std::string header_of(const ReplayedCall& call, std::string_view name) {
  for (const Header& header : call.requests.at(0).headers) {
    if (header.first == name) return header.second;
  }
  return {};
}

/// Those of AWS are unset unless given.
class AwsEnvironment : public Environment {
 public:
  explicit AwsEnvironment(const std::vector<std::pair<std::string, std::string>>& variables = {})
      : Environment{{"AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
                     "AWS_REGION", "AWS_DEFAULT_REGION"},
                    variables} {}
};

}  // namespace

TEST_CASE("a plain question in Converse's form") {
  ChatRequest request;
  request.messages = {Message::system("Be brief."), Message::user("hello")};
  request.max_output_tokens = 100;
  request.temperature = 0.5;
  request.top_p = 0.9;
  request.stop = {"END"};
  CHECK(body_of(request) == Json::parse(R"({
    "messages": [{"role": "user", "content": [{"text": "hello"}]}], "system": [{"text": "Be brief."}],
    "inferenceConfig": {"maxTokens": 100, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]}})"));
  CHECK(body_of("hello") == Json::parse(R"({"messages": [{"role": "user", "content": [{"text": "hello"}]}]})"));
}

TEST_CASE("what Converse refuses is lowered or left out") {
  ChatRequest request{"hello"};
  request.temperature = 1.5;
  request.top_p = 0.5;
  request.stop = {" \n", "END"};
  request.max_output_tokens = 1'000'000;
  CHECK(body_of(request)["inferenceConfig"] ==
        Json::parse(R"({"maxTokens": 8192, "temperature": 1.0, "topP": 0.5, "stopSequences": ["END"]})"));
  CHECK_FALSE(body_of(request, sonnet_4_5)["inferenceConfig"].contains("topP"));  // not beside a temperature
  CHECK_FALSE(body_of(request, opus_4_8)["inferenceConfig"].contains("temperature"));
  CHECK_FALSE(body_of(request, opus_4_8)["inferenceConfig"].contains("topP"));
}

TEST_CASE("Bedrock's address has the region and the model, and the key goes along") {
  const AwsEnvironment environment;
  const ReplayedCall plain =
      asked(bedrock({.model = "amazon.nova-lite-v1:0", .api_key = "the-key"}, {.region = "eu-west-1"}));
  REQUIRE(plain.result);
  CHECK(plain.requests.at(0).url ==
        "https://bedrock-runtime.eu-west-1.amazonaws.com/model/amazon.nova-lite-v1%3A0/converse");
  CHECK(header_of(plain, "authorization") == "Bearer the-key");
  CHECK(header_of(plain, "x-amz-date").empty());
  CHECK(header_of(plain, "content-type") == "application/json");
  CHECK(plain.result->served_by.name() == "bedrock/amazon.nova-lite-v1:0");
  const ReplayedCall streamed =
      asked(bedrock({.model = "m", .api_key = "the-key", .base_url = "http://there.test/aws?team=a"}), "hello", true);
  CHECK(streamed.requests.at(0).url == "http://there.test/aws/model/m/converse-stream?team=a");
  CHECK(header_of(streamed, "accept") == "application/vnd.amazon.eventstream");
  const std::string arn = "arn:aws:bedrock:us-west-2:123456789012:inference-profile/us.x-v1:0";
  CHECK(asked(bedrock({.model = arn, .api_key = "the-key"})).requests.at(0).url ==
        "https://bedrock-runtime.us-west-2.amazonaws.com/model/"
        "arn%3Aaws%3Abedrock%3Aus-west-2%3A123456789012%3Ainference-profile%2Fus.x-v1%3A0/converse");
  CHECK(asked(bedrock({.model = "m", .api_key = "the-key"}, {.region = "cn-north-1"})).requests.at(0).url ==
        "https://bedrock-runtime.cn-north-1.amazonaws.com.cn/model/m/converse");
}

TEST_CASE("a request to Bedrock is signed with the keys of the options, the session's token too") {
  if (!detail::has_digests()) SKIP("this build has no OpenSSL (BACKSTOP_WITH_OPENSSL)");
  const AwsEnvironment environment{{{"AWS_BEARER_TOKEN_BEDROCK", "not-this"}}};
  const ReplayedCall call = asked(bedrock({.model = "m"}, {.region = "eu-west-1",
                                                           .access_key_id = "AKID",
                                                           .secret_access_key = "the-secret",
                                                           .session_token = "the-token"}));
  REQUIRE(call.result);
  CHECK(header_of(call, "x-amz-date") == "20260101T000000Z");
  CHECK(header_of(call, "x-amz-security-token") == "the-token");
  CHECK(header_of(call, "authorization")
            .starts_with("AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/bedrock/aws4_request, "
                         "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature="));
}

TEST_CASE("where the machine's clock is wrong a request is signed by the server's, from the first refusal on") {
  if (!detail::has_digests()) SKIP("this build has no OpenSSL (BACKSTOP_WITH_OPENSSL)");
  const Provider provider =
      bedrock({.model = "m"}, {.region = "eu-west-1", .access_key_id = "AKID", .secret_access_key = "s"});
  std::vector<std::string> dates;
  std::string server_date = "Thu, 01 Jan 2026 02:00:00 GMT";
  std::string accepted = "20260101T020000Z";
  const auto server = [&](const HttpRequest& http) {
    for (const Header& header : http.headers) {
      if (header.first == "x-amz-date") dates.push_back(header.second);
    }
    if (dates.back() == accepted) return an_answer();
    ReplayedAnswer refusal;
    refusal.status = 403;
    refusal.headers = {{"date", server_date}, {"x-amzn-errortype", "InvalidSignatureException:http://aws"}};
    refusal.body = R"({"message": "Signature not yet current"})";
    return refusal;
  };
  using Dates = std::vector<std::string>;
  const ReplayedCall first = call_with(provider, "hello", server, false);
  REQUIRE(first.result);
  CHECK(first.result->attempts.size() == 2);
  CHECK(std::exchange(dates, {}) == Dates{"20260101T000000Z", "20260101T020000Z"});
  CHECK(call_with(provider, "hello", server, false).result);
  CHECK(std::exchange(dates, {}) == Dates{"20260101T020000Z"});
  // The machine's clock is right again.
  server_date = "Thu, 01 Jan 2026 00:00:01 GMT";
  accepted = "20260101T000001Z";
  CHECK(call_with(provider, "hello", server, false).result);
  CHECK(std::exchange(dates, {}) == Dates{"20260101T020000Z", "20260101T000001Z"});
  // A refusal by a server whose clock is the same has another reason.
  accepted = "never";
  const ReplayedCall refused = call_with(provider, "hello", server, false);
  REQUIRE_FALSE(refused.result);
  CHECK(refused.result.error().kind == ErrorKind::authentication);
  CHECK(std::exchange(dates, {}).size() == 1);
  // Nor is a date believed that cannot be, nor one that is missing taken for the machine's.
  server_date = "Thu, 01 Jan 2026 02:00:00 GMT";
  accepted = "20260101T020000Z";
  CHECK(call_with(provider, "hello", server, false).result);
  accepted = "never";
  server_date.clear();
  CHECK_FALSE(call_with(provider, "hello", server, false).result);
  static_cast<void>(std::exchange(dates, {}));
  CHECK_FALSE(call_with(provider, "hello", server, false).result);
  CHECK(std::exchange(dates, {}) == Dates{"20260101T020000Z"});
  server_date = "Thu, 01 Jan 2026 00:00:01 GMT";
  accepted = "20260101T000001Z";
  CHECK(call_with(provider, "hello", server, false).result);
  static_cast<void>(std::exchange(dates, {}));
  accepted = "never";
  for (const std::string date : {"", "Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 2200 00:00:00 GMT", "now"}) {
    CAPTURE(date);
    server_date = date;
    CHECK_FALSE(call_with(provider, "hello", server, false).result);
    CHECK(std::exchange(dates, {}) == Dates{"20260101T000001Z"});
  }
}

TEST_CASE("an access key that is asked for by its variable is needed, whatever the server is called") {
  const AwsEnvironment environment{{{"AWS_ACCESS_KEY_ID", ""}, {"AWS_SECRET_ACCESS_KEY", ""}}};
  const ReplayedCall call = asked(bedrock({.model = "m",
                                           .api_key_env = "AWS_ACCESS_KEY_ID",
                                           .base_url = "http://gateway.test",
                                           .name = "gateway"},
                                          {.region = "us-east-1"}));
  REQUIRE_FALSE(call.result);
  CHECK(call.result.error().kind == ErrorKind::authentication);
  CHECK(call.requests.empty());
  CHECK_THROWS_AS(bedrock({.model = "m", .api_key = "k", .api_key_env = "AWS_ACCESS_KEY_ID"}, {.region = "us-east-1"}),
                  std::invalid_argument);
}

TEST_CASE("where Bedrock's key comes from, in this order") {
  using Variables = std::vector<std::pair<std::string, std::string>>;
  const auto authorization = [](const Variables& variables, ModelOptions options = {}) {
    const AwsEnvironment environment{variables};
    options.model = "m";
    return header_of(asked(bedrock(std::move(options), {.region = "us-east-1"})), "authorization");
  };
  const Variables access_key{{"AWS_ACCESS_KEY_ID", " AKID\n"}, {"AWS_SECRET_ACCESS_KEY", "s"}};
  Variables both = access_key;
  both.emplace_back("AWS_BEARER_TOKEN_BEDROCK", "bearer");
  both.emplace_back("MY_KEY", "mine");
  CHECK(authorization(both, {.api_key = "given"}) == "Bearer given");
  CHECK(authorization(both) == "Bearer bearer");
  CHECK(authorization(both, {.api_key_env = "MY_KEY"}) == "Bearer mine");
  CHECK(authorization(both, {.api_key_env = "AWS_BEARER_TOKEN_BEDROCK"}) == "Bearer bearer");
  ::unsetenv("MY_KEY");
  if (!detail::has_digests()) return;
  CHECK(authorization(access_key).starts_with("AWS4-HMAC-SHA256 Credential=AKID/"));
  CHECK(authorization(access_key, {.api_key_env = "AWS_BEARER_TOKEN_BEDROCK"}).starts_with("AWS4-HMAC-SHA256 "));
  CHECK(authorization(both, {.api_key_env = "AWS_ACCESS_KEY_ID"}).starts_with("AWS4-HMAC-SHA256 "));
}

TEST_CASE("without a key nothing is sent to Bedrock, and another server gets none of the environment's") {
  const auto failure = [](const std::vector<std::pair<std::string, std::string>>& variables,
                          ModelOptions options = {}) {
    const AwsEnvironment environment{variables};
    options.model = "m";
    const ReplayedCall call = asked(bedrock(std::move(options), {.region = "us-east-1"}));
    REQUIRE_FALSE(call.result);
    CHECK(call.requests.empty());
    CHECK(call.result.error().kind == ErrorKind::authentication);
    return call.result.error().message;
  };
  const std::string usual =
      "no key for bedrock/m: set the environment variable AWS_BEARER_TOKEN_BEDROCK, or "
      "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
  CHECK(failure({}) == usual);
  CHECK(failure({{"AWS_ACCESS_KEY_ID", "AKID"}}) == usual);
  CHECK(failure({{"AWS_BEARER_TOKEN_BEDROCK", "b"}}, {.api_key_env = "AWS_ACCESS_KEY_ID"}) ==
        "no key for bedrock/m: set the environment variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
  CHECK(failure({{"AWS_BEARER_TOKEN_BEDROCK", "b"}}, {.api_key_env = "MY_UNSET_KEY"}) ==
        "no key for bedrock/m: set the environment variable MY_UNSET_KEY");

  const AwsEnvironment environment{{{"AWS_ACCESS_KEY_ID", "AKID"}, {"AWS_SECRET_ACCESS_KEY", "s"}}};
  const ReplayedCall other = asked(bedrock({.model = "m", .base_url = "http://there.test", .name = "gateway"}));
  REQUIRE(other.result);
  CHECK(header_of(other, "authorization").empty());
  CHECK(other.result->served_by.name() == "gateway/m");
}

TEST_CASE("which region it is") {
  const auto url = [](BedrockOptions aws, std::string base_url = "", std::string model = "m") {
    return asked(bedrock({.model = std::move(model), .api_key = "k", .base_url = std::move(base_url)}, std::move(aws)))
        .requests.at(0)
        .url;
  };
  const std::string arn = "arn:aws:bedrock:ap-south-1:1:inference-profile/x";
  const AwsEnvironment environment{{{"AWS_REGION", "us-west-1"}, {"AWS_DEFAULT_REGION", "us-west-2"}}};
  CHECK(url({.region = "eu-west-1"}).starts_with("https://bedrock-runtime.eu-west-1."));
  CHECK(url({}).starts_with("https://bedrock-runtime.us-west-1."));
  ::unsetenv("AWS_REGION");
  CHECK(url({}, "", arn).starts_with("https://bedrock-runtime.us-west-2."));
  ::unsetenv("AWS_DEFAULT_REGION");
  CHECK(url({}, "", arn).starts_with("https://bedrock-runtime.ap-south-1."));
  CHECK(url({}, "http://there.test").starts_with("http://there.test/model/"));
  if (!detail::has_digests()) return;
  // Signed for the region that AWS's own address has.
  for (const std::string host :
       {"bedrock-runtime.eu-west-3.amazonaws.com", "bedrock-runtime-fips.eu-west-3.amazonaws.com"}) {
    const ReplayedCall call = asked(
        bedrock({.model = "m", .base_url = "https://" + host}, {.access_key_id = "AKID", .secret_access_key = "s"}));
    CHECK(header_of(call, "authorization").find("/eu-west-3/bedrock/") != std::string::npos);
  }
  const ReplayedCall unknown = asked(
      bedrock({.model = "m", .base_url = "http://there.test"}, {.access_key_id = "AKID", .secret_access_key = "s"}));
  REQUIRE_FALSE(unknown.result);
  CHECK(unknown.requests.empty());
  CHECK(unknown.result.error().kind == ErrorKind::authentication);
  CHECK(unknown.result.error().message ==
        "the request cannot be signed for AWS: its region is not known; give it with `region` or AWS_REGION");
}

TEST_CASE("options of Bedrock's that cannot be right are refused, and no key is told") {
  const AwsEnvironment environment;
  const auto refused = [](ModelOptions options, BedrockOptions aws, const std::string& message) {
    CHECK_THROWS_MATCHES(bedrock(std::move(options), std::move(aws)), std::invalid_argument,
                         Catch::Matchers::Message(message));
  };
  refused({.model = "m"}, {},
          "bedrock/m: `region` is needed; give one such as us-east-1, or set the environment variable AWS_REGION");
  refused({.model = "m"}, {.region = "us-east-1/"},
          "bedrock/m: `region` has characters that no region has; give one such as us-east-1, or set the environment "
          "variable AWS_REGION");
  const std::string half = "bedrock/m: `access_key_id` and `secret_access_key` belong together; one of them is missing";
  refused({.model = "m"}, {.region = "us-east-1", .access_key_id = "AKID"}, half);
  refused({.model = "m"}, {.region = "us-east-1", .secret_access_key = "the-secret"}, half);
  refused({.model = "m"}, {.region = "us-east-1", .session_token = "the-token"}, half);
  refused({.model = "m", .api_key = "k"}, {.region = "us-east-1", .access_key_id = "A", .secret_access_key = "s"},
          "bedrock/m: an access key and another key or `credentials` are given; one of them is enough");
  refused({.model = "m"}, {.region = "us-east-1", .access_key_id = "A", .secret_access_key = "s\n1"},
          "bedrock/m: the key holds line breaks or other control characters");
}

TEST_CASE("turns alternate, begin with the user's, and instructions in the middle stay there") {
  ChatRequest request;
  request.messages = {Message::system("A."),
                      Message::system("B."),
                      Message::assistant("Hi."),
                      Message::user("a"),
                      Message::system("Now be brief."),
                      Message::user("b"),
                      Message::assistant("c \n")};
  const Json body = body_of(request);
  CHECK(body["system"] == Json::parse(R"([{"text": "A.\n\nB."}])"));
  CHECK(body["messages"] == Json::parse(R"json([
    {"role": "user", "content": [{"text": "(The beginning of this conversation is not shown.)"}]},
    {"role": "assistant", "content": [{"text": "Hi."}]},
    {"role": "user", "content": [{"text": "a"}, {"text": "<system>Now be brief.</system>"}, {"text": "b"}]},
    {"role": "assistant", "content": [{"text": "c"}]}])json"));
  ChatRequest only_system;
  only_system.messages = {Message::system("Say hello.")};
  CHECK(body_of(only_system) ==
        Json::parse(R"({"messages": [{"role": "user", "content": [{"text": "Say hello."}]}]})"));
  CHECK(failure_of(ChatRequest{}).kind == ErrorKind::invalid_request);
}

TEST_CASE("images go by their bytes or from S3") {
  CHECK(contents_of({Image{.data = "AAAA", .media_type = "image/png"}, Image{.data = "BBBB", .media_type = "IMAGE/JPG"},
                     Image{.url = "s3://bucket/a.webp", .media_type = "image/webp"}, Text{"See."}}) == Json::parse(R"([
    {"image": {"format": "png", "source": {"bytes": "AAAA"}}}, {"image": {"format": "jpeg", "source": {"bytes": "BBBB"}}},
    {"image": {"format": "webp", "source": {"s3Location": {"uri": "s3://bucket/a.webp"}}}}, {"text": "See."}])"));
  const auto refused = [](const Part& part) {
    ChatRequest request;
    request.messages = {Message{Role::user, {Text{"See:"}, part}}};
    const Error error = failure_of(request);
    CHECK(error.kind == ErrorKind::unsupported_capability);
    return error.message;
  };
  CHECK(refused(Image{.url = "https://a.test/b.png"}) ==
        "the conversation has an image by its address: this API takes bytes, or what is in S3");
  CHECK(refused(Document{.url = "https://a.test/b.pdf", .media_type = "application/pdf"}) ==
        "the conversation has a document by its address: this API takes bytes, or what is in S3");
  CHECK(refused(Image{.data = "AAAA", .media_type = "image/tiff"}) ==
        "the conversation has an image of type \"image/tiff\": PNG, JPEG, GIF and WebP are what this API takes");
  CHECK(refused(Document{.data = "AAAA", .media_type = "application/zip"}) ==
        "the conversation has a document of type \"application/zip\": PDF, CSV, Word, Excel, HTML, Markdown and text "
        "are what this API takes");
}

TEST_CASE("documents have a name of their own that the API takes, and stand beside text") {
  const std::string long_name(300, 'x');
  const Json contents =
      contents_of({Document{.data = "AAAA", .media_type = "application/pdf", .name = "my_report: v2.pdf"},
                   Document{.data = "BBBB", .media_type = "text/plain; charset=utf-8", .name = "my report/v2.pdf"},
                   Document{.data = "CCCC", .media_type = "text/x-log"},
                   Document{.data = "DDDD", .media_type = "text/markdown", .name = long_name},
                   Document{.data = "EEEE", .media_type = "text/csv", .name = long_name}});
  REQUIRE(contents.size() == 6);
  CHECK(contents[0] == Json::parse(R"({"text": "my report v2 pdf"})"));
  CHECK(contents[1] ==
        Json::parse(R"({"document": {"format": "pdf", "source": {"bytes": "AAAA"}, "name": "my report v2 pdf"}})"));
  CHECK(contents[2]["document"]["name"] == "my report v2 pdf (2)");
  CHECK(contents[2]["document"]["format"] == "txt");
  CHECK(contents[3] ==
        Json::parse(R"({"document": {"format": "txt", "source": {"bytes": "CCCC"}, "name": "document"}})"));
  CHECK(contents[4]["document"]["format"] == "md");
  CHECK(contents[4]["document"]["name"] == std::string(200, 'x'));
  CHECK(contents[5]["document"]["format"] == "csv");
  CHECK(contents[5]["document"]["name"] == std::string(196, 'x') + " (2)");
  CHECK(contents_of({Text{"See:"}, Document{.data = "AAAA", .media_type = "text/html"}}).size() == 2);
}

TEST_CASE("tools, calls and results in Converse's form") {
  ChatRequest request;
  request.tools = {{.name = "weather",
                    .description = "The weather",
                    .parameters = R"({"properties": {"city": {"type": "string"}}})",
                    .strict = true},
                   {.name = "now"}};
  request.messages = {
      Message::user("Where?"),
      Message{Role::assistant,
              {ToolCall{"c1", "weather", R"({"city": "Rome"})"}, Text{"I look."}, ToolCall{"c2", "now", "oops"}}},
      Message{Role::tool, {ToolResult{"c1", "sunny"}}},
      Message{Role::user, {Text{"And?"}, ToolResult{"c2", "", true}}}};
  const Json body = body_of(request);
  CHECK(body["toolConfig"] == Json::parse(R"({"tools": [
    {"toolSpec": {"name": "weather", "description": "The weather", "inputSchema": {"json":
      {"type": "object", "properties": {"city": {"type": "string"}}}}}},
    {"toolSpec": {"name": "now", "inputSchema": {"json": {"type": "object", "properties": {}}}}}]})"));
  CHECK(body["messages"] == Json::parse(R"json([
    {"role": "user", "content": [{"text": "Where?"}]},
    {"role": "assistant", "content": [{"text": "I look."},
      {"toolUse": {"toolUseId": "c1", "name": "weather", "input": {"city": "Rome"}}},
      {"toolUse": {"toolUseId": "c2", "name": "now", "input": {"rawInvalidInput": "oops"}}}]},
    {"role": "user", "content": [{"toolResult": {"toolUseId": "c1", "content": [{"text": "sunny"}]}},
      {"toolResult": {"toolUseId": "c2", "content": [{"text": "(empty)"}], "status": "error"}}, {"text": "And?"}]}])json"));
  request.tools[0].parameters = "7";
  CHECK(failure_of(request).kind == ErrorKind::invalid_request);
}

TEST_CASE("which of Converse's tools is to be called, and none") {
  ChatRequest request;
  request.tools = {{.name = "weather"}};
  request.messages = {Message::user("Where?"),
                      Message{Role::assistant, {ToolCall{"c1", "weather", R"({"city":"Rome"})"}}},
                      Message{Role::tool, {ToolResult{"c1", "sunny"}}}};
  const auto choice = [&](ToolChoice::Mode mode, std::string name = "") {
    request.tool_choice = ToolChoice{mode, std::move(name)};
    return body_of(request)["toolConfig"]["toolChoice"];
  };
  CHECK_FALSE(body_of(request)["toolConfig"].contains("toolChoice"));
  CHECK(choice(ToolChoice::Mode::automatic) == Json::parse(R"({"auto": {}})"));
  CHECK(choice(ToolChoice::Mode::required) == Json::parse(R"({"any": {}})"));
  CHECK(choice(ToolChoice::Mode::named, "weather") == Json::parse(R"({"tool": {"name": "weather"}})"));

  // Without tools the wire takes neither calls nor results.
  request.tool_choice = ToolChoice{ToolChoice::Mode::none};
  const Json told = Json::parse(R"json([{"role": "user", "content": [{"text": "Where?"}]},
    {"role": "assistant", "content": [{"text": "[calls weather with {\"city\":\"Rome\"}]"}]},
    {"role": "user", "content": [{"text": "[returned sunny]"}]}])json");
  CHECK(body_of(request)["messages"] == told);
  CHECK_FALSE(body_of(request).contains("toolConfig"));
  request.tool_choice.reset();
  request.tools.clear();
  CHECK(body_of(request)["messages"] == told);

  request.tools = {{.name = "weather"}};
  request.tool_choice = ToolChoice{ToolChoice::Mode::required};
  CHECK(failure_of(request, model_of("us.anthropic.claude-fable-5")).kind == ErrorKind::unsupported_capability);
}

TEST_CASE("models that are known to be are held to schemas, others are asked in words") {
  ChatRequest request{"Where?"};
  request.response_format =
      ResponseFormat{.type = ResponseFormat::Type::json_schema,
                     .name = "place",
                     .schema = R"({"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}})",
                     .description = "Where it is"};
  request.tools = {
      {.name = "weather", .parameters = R"({"type": "object", "properties": {"d": {"maximum": 9}}})", .strict = true}};
  const Json body = body_of(request, sonnet_4_5);
  const Json written = body["outputConfig"]["textFormat"];
  CHECK(written["type"] == "json_schema");
  CHECK(written["structure"]["jsonSchema"]["name"] == "place");
  CHECK(written["structure"]["jsonSchema"]["description"] == "Where it is");
  CHECK(Json::parse(written["structure"]["jsonSchema"]["schema"].get<std::string>()) ==
        Json::parse(R"({"type": "object",
    "properties": {"n": {"type": "integer", "description": "minimum: 1"}}, "additionalProperties": false})"));
  CHECK_FALSE(body.contains("system"));
  const Json spec = body["toolConfig"]["tools"][0]["toolSpec"];
  CHECK(spec["strict"] == true);
  CHECK(spec["inputSchema"]["json"]["additionalProperties"] == false);
  for (const Target& other : {nova, opus_4_8, gpt_oss}) {
    const Json asked_for = body_of(request, other);
    CHECK_FALSE(asked_for.contains("outputConfig"));
    CHECK(asked_for["system"][0]["text"].get<std::string>().find(R"("minimum":1)") != std::string::npos);
    CHECK_FALSE(asked_for["toolConfig"]["tools"][0]["toolSpec"].contains("strict"));
  }
  request.response_format->name.clear();
  CHECK(body_of(request, sonnet_4_5)["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["name"] == "answer");
  request.response_format->type = ResponseFormat::Type::json_object;
  CHECK_FALSE(body_of(request, sonnet_4_5).contains("outputConfig"));
  CHECK(body_of(request, sonnet_4_5).contains("system"));
  request.response_format->by_instruction = true;
  CHECK_FALSE(body_of(request, sonnet_4_5).contains("system"));
  request.response_format = ResponseFormat{.type = ResponseFormat::Type::json_schema, .schema = "[1]"};
  CHECK(failure_of(request, sonnet_4_5).kind == ErrorKind::invalid_request);
}

TEST_CASE("how much a model of Bedrock's thinks, in its maker's words") {
  CHECK(more_of(body_with("high", nova)).is_null());
  CHECK(more_of(body_with("", sonnet_4_5)).is_null());

  const Json budget = body_with("high", sonnet_4_5, 4000);
  CHECK(more_of(budget) == Json::parse(R"({"thinking": {"type": "enabled", "budget_tokens": 3000}})"));
  CHECK(budget["inferenceConfig"] == Json::parse(R"({"maxTokens": 4000})"));
  CHECK(body_with("low", sonnet_4_5)["inferenceConfig"]["maxTokens"] == 64'000);
  CHECK(more_of(body_with("low", sonnet_4_5, 1000)).is_null());
  CHECK(more_of(body_with("none", sonnet_4_5)).is_null());
  CHECK(more_of(body_with("xhigh", opus_4_8)) ==
        Json::parse(
            R"({"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "xhigh"}})"));
  CHECK(more_of(body_with("xhigh", model_of("us.anthropic.claude-opus-4-6-v1")))["output_config"]["effort"] == "high");
  CHECK(more_of(body_with("none", opus_4_8)) == Json::parse(R"({"thinking": {"type": "disabled"}})"));

  CHECK(more_of(body_with("low", nova_2)) ==
        Json::parse(R"({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}})"));
  CHECK(body_with("low", nova_2, 100)["inferenceConfig"] == Json::parse(R"({"maxTokens": 100, "temperature": 0.5})"));
  CHECK(more_of(body_with("max", nova_2))["reasoningConfig"]["maxReasoningEffort"] == "high");
  CHECK_FALSE(body_with("max", nova_2).contains("inferenceConfig"));
  CHECK(more_of(body_with("max", nova_2, 100))["reasoningConfig"]["maxReasoningEffort"] == "medium");
  CHECK(body_with("max", nova_2, 100)["inferenceConfig"]["maxTokens"] == 100);
  CHECK(more_of(body_with("none", nova_2)) == Json::parse(R"({"reasoningConfig": {"type": "disabled"}})"));

  CHECK(more_of(body_with("medium", gpt_oss)) == Json::parse(R"({"reasoning_effort": "medium"})"));
  ChatRequest request{"Why?"};
  request.reasoning_effort = "very";
  CHECK(failure_of(request).kind == ErrorKind::invalid_request);
}

TEST_CASE("thinking gives way to a call that is demanded, and to one that was made without it") {
  ChatRequest request{"Where?"};
  request.reasoning_effort = "high";
  request.tools = {{.name = "weather"}};
  request.tool_choice = ToolChoice{ToolChoice::Mode::required};
  CHECK(more_of(body_of(request, sonnet_4_5)).is_null());
  request.tool_choice.reset();
  CHECK_FALSE(more_of(body_of(request, sonnet_4_5)).is_null());
  request.messages.push_back(Message{Role::assistant, {ToolCall{"c1", "weather", "{}"}}});
  request.messages.push_back(Message{Role::tool, {ToolResult{"c1", "sunny"}}});
  CHECK(more_of(body_of(request, sonnet_4_5)).is_null());
  request.messages[1].parts.insert(request.messages[1].parts.begin(), Reasoning{.text = "Hm.", .signature = "c2ln"});
  CHECK_FALSE(more_of(body_of(request, sonnet_4_5)).is_null());
}

TEST_CASE("what a model of Bedrock's thought goes back to it with its proof, and to no other") {
  ChatRequest request{"Why?"};
  const auto thought = [](const Target& origin) {
    return Message{Role::assistant,
                   {Reasoning{.text = "Hm.", .signature = "c2ln", .origin = origin},
                    Reasoning{.redacted = "c2VjcmV0", .origin = origin},
                    Reasoning{.text = "Unproven.", .origin = origin}, Text{"So."}}};
  };
  request.messages = {Message::user("Why?"), thought(sonnet_4_5), Message::user("Really?")};
  const auto turn_for = [&](const Target& target) {
    const detail::BedrockFormat wire{"us-east-1"};
    const Projection projection = project(request, target, wire.handover_rules(target));
    return body_of(projection.request(), target)["messages"][1]["content"];
  };
  CHECK(turn_for(sonnet_4_5) == Json::parse(R"([
    {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}},
    {"reasoningContent": {"redactedContent": "c2VjcmV0"}}, {"text": "So."}])"));
  CHECK(turn_for(opus_4_8) == Json::parse(R"([{"text": "So."}])"));
  CHECK(turn_for(nova) == Json::parse(R"([{"text": "So."}])"));
}

TEST_CASE("ids of calls are what the model's maker takes") {
  ChatRequest request{"Where?"};
  request.tools = {{.name = "weather"}};
  request.messages.push_back(Message{Role::assistant, {ToolCall{"call:a.b", "weather", "{}"}}});
  request.messages.push_back(Message{Role::tool, {ToolResult{"call:a.b", "sunny"}}});
  const auto id_for = [&](std::string_view model) {
    const Target target = model_of(model);
    const Projection projection = project(request, target, format.handover_rules(target));
    return body_of(projection.request(), target)["messages"][1]["content"][0]["toolUse"]["toolUseId"]
        .get<std::string>();
  };
  CHECK(id_for("amazon.nova-pro-v1:0") == "call:a.b");
  CHECK(id_for("us.anthropic.claude-sonnet-4-6").find_first_of(":.") == std::string::npos);
  CHECK(id_for("mistral.mistral-large-2407-v1:0").size() == 9);
}

TEST_CASE("AWS's own library takes every request to Converse") {
  ChatRequest request;
  request.tools = {{.name = "weather", .description = "The weather", .strict = true}, {.name = "now", .cache = true}};
  request.messages = {Message{Role::system, {Text{"Be brief."}}, true},
                      Message{Role::user,
                              {Text{"Where?"}, Image{.data = "AAAA", .media_type = "image/png"},
                               Image{.url = "s3://bucket/a.png", .media_type = "image/png"},
                               Document{.data = "AAAA", .media_type = "application/pdf", .name = "a b.pdf"}}},
                      Message{Role::assistant,
                              {Reasoning{.text = "Hm.", .signature = "c2ln"}, Reasoning{.redacted = "c2VjcmV0"},
                               ToolCall{"c1", "weather", R"({"city": "Rome"})"}}},
                      Message{Role::tool,
                              {ToolResult{"c1", "", true, true, {Image{.data = "AAAA", .media_type = "image/png"}}}}},
                      Message::user("And?")};
  request.max_output_tokens = 1000;
  request.temperature = 0.5;
  request.top_p = 0.5;
  request.top_k = 40;
  request.service_tier = "flex";
  request.stop = {"END"};
  request.response_format = ResponseFormat{
      .type = ResponseFormat::Type::json_schema, .name = "n", .schema = R"({"type": "object"})", .description = "d"};
  std::string bodies;
  int count = 0;
  for (const Target& target : {nova, nova_2, sonnet_4_5, opus_4_8, gpt_oss}) {
    for (const std::string effort : {"", "none", "low", "max"}) {
      for (const ToolChoice::Mode mode :
           {ToolChoice::Mode::automatic, ToolChoice::Mode::none, ToolChoice::Mode::required, ToolChoice::Mode::named}) {
        request.reasoning_effort = effort;
        request.tool_choice = ToolChoice{mode, "now"};
        bodies += body_of(request, target).dump() + "\n";
        ++count;
      }
    }
  }
  std::string path = std::filesystem::temp_directory_path() / "backstop-aws-XXXXXX";
  const int file = ::mkstemp(path.data());
  REQUIRE(file >= 0);
  const bool written = ::write(file, bodies.data(), bodies.size()) == static_cast<ssize_t>(bodies.size());
  ::close(file);
  std::string said;
  const std::string command = "python3 " BACKSTOP_SOURCE_DIR "/tests/support/aws_requests.py " + path + " 2>/dev/null";
  if (std::FILE* const theirs = ::popen(command.c_str(), "r")) {
    std::array<char, 4096> piece{};
    while (std::fgets(piece.data(), static_cast<int>(piece.size()), theirs) != nullptr) said += piece.data();
    ::pclose(theirs);
  }
  std::filesystem::remove(path);
  REQUIRE(written);
  if (said.empty()) SKIP("python3 and botocore are needed to have requests checked by AWS's own library");
  CHECK(said == "checked " + std::to_string(count) + "\n");
}

TEST_CASE("Anthropic's Messages in Bedrock's form: the model in the address, the version in the body") {
  const AwsEnvironment environment;
  const auto sent = [](const ChatRequest& request, bool stream = false,
                       std::string model = "us.anthropic.claude-3-haiku") {
    return asked(bedrock_anthropic({.model = std::move(model), .api_key = "the-key"}, {.region = "us-east-1"}), request,
                 stream);
  };
  ChatRequest request{"hello"};
  request.tools = {{.name = "weather"}};
  request.tool_choice = ToolChoice{ToolChoice::Mode::none};
  request.max_output_tokens = 100;
  const ReplayedCall plain = sent(request);
  CHECK(plain.requests.at(0).url ==
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/us.anthropic.claude-3-haiku/invoke");
  CHECK(header_of(plain, "authorization") == "Bearer the-key");
  CHECK(header_of(plain, "anthropic-version").empty());
  CHECK(Json::parse(plain.requests.at(0).body) == Json::parse(R"({"anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 100, "tools": [{"name": "weather", "input_schema": {"type": "object", "properties": {}}}],
    "tool_choice": {"type": "none"}, "messages": [{"role": "user", "content": "hello"}]})"));
  const ReplayedCall streamed = sent(request, true);
  CHECK(streamed.requests.at(0).url.ends_with("/invoke-with-response-stream"));
  CHECK(header_of(streamed, "accept") == "application/vnd.amazon.eventstream");
  CHECK_FALSE(Json::parse(streamed.requests.at(0).body).contains("stream"));

  request.response_format =
      ResponseFormat{.type = ResponseFormat::Type::json_schema, .schema = R"({"type": "object", "properties": {}})"};
  const auto config_of = [&](std::string model) {
    return Json::parse(sent(request, false, std::move(model)).requests.at(0).body).value("output_config", Json{});
  };
  CHECK(config_of("us.anthropic.claude-sonnet-4-5-20250929-v1:0").contains("format"));
  CHECK(config_of("us.anthropic.claude-opus-4-8").is_null());

  for (const Part& part : {Part{Image{.url = "https://a.test/b.png"}}, Part{Document{.url = "https://a.test/b.pdf"}}}) {
    ChatRequest by_address;
    by_address.messages = {Message{Role::user, {Text{"See:"}, part}}};
    const ReplayedCall refused = sent(by_address);
    REQUIRE_FALSE(refused.result);
    CHECK(refused.requests.empty());
    CHECK(refused.result.error().kind == ErrorKind::unsupported_capability);
  }
}

}  // namespace bedrock_encode_test
