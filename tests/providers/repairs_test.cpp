#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/intercept.hpp"
#include "backstop/policies/retry.hpp"
#include "support/sent_body.hpp"

namespace repairs_test {

using namespace backstop;
using namespace backstop::testing_support;
using Catch::Matchers::ContainsSubstring;

namespace {

using Json = nlohmann::json;

/// A server that refuses requests with a field, with those words; others it answers.
struct Server {
  std::string field;
  std::string refusal;
  int status = 400;

  ReplayedAnswer operator()(const HttpRequest& request) const {
    ReplayedAnswer answer;
    const bool refused = request.body.find("\"" + field + "\"") != std::string::npos;
    answer.status = refused ? status : 200;
    answer.body = refused ? refusal : R"({"choices":[{"message":{"content":"Fine."},"finish_reason":"stop"}]})";
    return answer;
  }
};

std::string error_of(std::string_view message, std::string_view param = {}, std::string_view code = {}) {
  Json error{{"message", message}, {"type", "invalid_request_error"}};
  if (!param.empty()) error["param"] = param;
  if (!code.empty()) error["code"] = code;
  return Json{{"error", error}}.dump();
}

ChatRequest with_everything() {
  ChatRequest request{"Hi"};
  request.max_output_tokens = 100;
  request.temperature = 0.5;
  request.top_p = 0.9;
  request.top_k = 40;
  request.frequency_penalty = 0.25;
  request.presence_penalty = 0.5;
  request.seed = 7;
  request.stop = {"END"};
  request.reasoning_effort = "low";
  request.parallel_tool_calls = false;
  request.tools = {{.name = "look", .strict = true}};
  return request;
}

/// Lets one send begin.
class OneSend final : public AttemptObserver {
 public:
  [[nodiscard]] std::optional<Error> on_begin(Send&) override {
    if (std::exchange(begun_, true)) return Error{ErrorKind::budget_exceeded, "one is enough"};
    return std::nullopt;
  }

 private:
  bool begun_ = false;
};

Task<Result<ChatResponse>> one_send_only(const Provider& next, const ChatRequest& request, CallContext& context) {
  OneSend one;
  CallContext inner = context;
  inner.add_observer(one);
  auto result = co_await next.call(request, inner);
  co_return result;
}

Provider my_gateway() { return target_of("unknown", {.model = "m"}); }

}  // namespace

TEST_CASE("an image is written in the form that the server takes") {
  struct Row {
    std::string_view refused;  ///< in the body
    std::string refusal;
    std::string_view note;
    std::string_view instead;
    int status = 400;
  };
  const std::string object = R"("image_url":{)";
  for (const Row& row : std::vector<Row>{
           {object, R"({"detail":[{"type":"string_type","loc":["body","messages",0,"content",1,"image_url"],"msg":"messages.0.content.1.image_url: Input should be a valid string"}]})",
            "the addresses of images as text", R"("image_url":"https://x.test/a.png")", 422},
           {object, error_of("invalid type: map, expected a string at messages[0].content[1].image_url"),
            "the addresses of images as text", R"("image_url":"https://x.test/a.png")"},
           {R"("detail")", error_of("Unknown parameter: 'messages[0].content[1].image_url.detail'.",
                                    "messages[0].content[1].image_url.detail", "unknown_parameter"),
            "the detail of images left out", object}}) {
    CAPTURE(row.refusal);
    const auto server = [&](const HttpRequest& request) {
      const bool refused = request.body.find(row.refused) != std::string::npos;
      ReplayedAnswer answer;
      answer.status = refused ? row.status : 200;
      answer.body = refused ? row.refusal : R"({"choices":[{"message":{"content":"A cat."},"finish_reason":"stop"}]})";
      return answer;
    };
    ChatRequest request{"What is this?"};
    request.messages[0].parts.emplace_back(Image{.url = "https://x.test/a.png", .detail = "low"});
    const Provider target = my_gateway();
    const ReplayedCall call = call_with(target, request, server, false);
    REQUIRE(call.result);
    REQUIRE(call.requests.size() == 2);
    CHECK_THAT(call.requests[1].body, ContainsSubstring(std::string{row.instead}));
    CHECK_THAT(call.result->attempts[0].reason, ContainsSubstring("from now on with " + std::string{row.note}));
    CHECK(call_with(target, request, server, false).requests.size() == 1);
    // Words about a field of that name in a request without images change nothing.
    CHECK_FALSE(call_with(my_gateway(), "Hi", Server{"messages", row.refusal, row.status}, false).result);
  }
}

TEST_CASE("a field that a server says it does not take is left out, and the request sent again, once and for all") {
  struct Row {
    std::string_view field;
    std::string refusal;
    std::string_view note;
    int status = 400;
  };
  for (const Row& row : std::vector<Row>{
           {"max_tokens",
            error_of("Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                     "'max_completion_tokens' instead.",
                     "max_tokens", "unsupported_parameter"),
            "the output limit under its other name"},
           {"temperature",
            error_of("Unsupported value: 'temperature' does not support 0.5 with this model.", "temperature",
                     "unsupported_value"),
            "temperature left out"},
           {"top_k", error_of("Unrecognized request argument supplied: top_k"), "top_k left out"},
           {"top_k", error_of("property 'top_k' is unsupported"), "top_k left out"},
           {"seed", R"({"detail":[{"type":"extra_forbidden","loc":["body","seed"],"msg":"seed: Extra inputs are not permitted"}]})",
            "seed left out", 422},
           {"presence_penalty", error_of("Model m does not support parameter presence_penalty."),
            "presence_penalty left out"},
           {"stop", R"({"code":"invalid-argument","error":"Argument not supported on this model: stop"})",
            "stop sequences left out"},
           {"reasoning_effort", error_of("Unknown parameter: 'reasoning_effort'.", "reasoning_effort", "unknown_parameter"),
            "reasoning_effort left out"},
           {"parallel_tool_calls", error_of("parallel_tool_calls is not supported"), "parallel_tool_calls left out"},
           {"strict", error_of("Unknown parameter: 'tools[0].function.strict'.", "tools[0].function.strict",
                               "unknown_parameter"),
            "strict left out"}}) {
    CAPTURE(row.field);
    const Provider target = my_gateway();
    const Server server{std::string{row.field}, row.refusal, row.status};
    const ReplayedCall call = call_with(target, with_everything(), server, false);
    REQUIRE(call.result);
    REQUIRE(call.requests.size() == 2);
    CHECK(call.requests[1].body.find("\"" + std::string{row.field} + "\"") == std::string::npos);
    REQUIRE(call.result->attempts.size() == 2);
    CHECK(call.result->attempts[0].outcome);
    CHECK(call.result->attempts[0].sent);
    CHECK_THAT(call.result->attempts[0].reason, ContainsSubstring("from now on with " + std::string{row.note}));
    CHECK_FALSE(call.result->attempts[1].outcome);
    CHECK_FALSE(call.result->attempts[1].reason.empty());
    // What was learned is remembered, for streams as well.
    const ReplayedCall later = call_with(target, with_everything(), server, false);
    REQUIRE(later.result);
    CHECK(later.requests.size() == 1);
    // Another target has learned nothing.
    CHECK(call_with(my_gateway(), with_everything(), server, false).requests.size() == 2);
  }
}

TEST_CASE("the output limit goes out under its other name, whichever the server knows") {
  const Server old{"max_completion_tokens", error_of("Unknown parameter: 'max_completion_tokens'")};
  ChatRequest request{"Hi"};
  request.max_output_tokens = 100;
  const ReplayedCall call = call_with(target_of("openai", {.model = "gpt-4o"}), request, old, false);
  REQUIRE(call.result);
  CHECK(Json::parse(call.requests.at(1).body)["max_tokens"] == 100);
}

TEST_CASE("a server that takes no stream options is asked to stream without them") {
  const auto server = [](const HttpRequest& request) {
    const bool refused = request.body.find("stream_options") != std::string::npos;
    ReplayedAnswer answer;
    answer.status = refused ? 400 : 200;
    answer.body = refused ? error_of("stream_options is not supported")
                          : "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}\n\n"
                            "data: [DONE]\n\n";
    return answer;
  };
  const ReplayedCall call = call_with(my_gateway(), "Hi", server, true);
  REQUIRE(call.result);
  CHECK(call.result->text() == "Hi");
  CHECK(call.requests.size() == 2);
}

TEST_CASE("a refusal that is about a value, or about something else, changes nothing") {
  for (const std::string& refusal :
       {error_of("max_tokens is too large: 100. This model supports at most 50 completion tokens", "max_tokens"),
        error_of("Invalid 'temperature': must be at most 0.2", "temperature"),
        error_of("Unsupported value: 'reasoning_effort' does not support 'xhigh' with this model. Supported values "
                 "are: 'low', 'medium', and 'high'.", "reasoning_effort"),
        error_of("Unsupported value: 'service_tier' does not support 'flex' with this model", "service_tier"),
        error_of("tools are not supported, stop sequences are", "tools"), error_of("The stop was reached"),
        error_of("This model does not support images"), std::string{"<html>not supported: seed</html>"}}) {
    CAPTURE(refusal);
    const bool html = refusal.starts_with("<");
    const ReplayedCall call = call_with(my_gateway(), with_everything(), Server{"model", refusal}, false);
    CHECK_FALSE(call.result);
    CHECK(call.requests.size() == (html ? 2 : 1));
  }
  // A failure of another kind is none of these.
  const Server down{"model", error_of("temperature is not supported"), 500};
  CHECK(call_with(my_gateway(), with_everything(), down, false).requests.size() == 1);
  // Nor is a field that the request does not have.
  CHECK(call_with(my_gateway(), "Hi", Server{"model", error_of("seed is not supported")}, false).requests.size() == 1);
}

TEST_CASE("what did not help is undone, and what was refused beside it is left out, too") {
  const Provider target = my_gateway();
  const Server stubborn{"model", error_of("temperature is not supported")};
  CHECK(call_with(target, with_everything(), stubborn, false).requests.size() == 2);
  // The server takes it after all.
  const Server fine{"no such field", ""};
  const ReplayedCall after = call_with(target, with_everything(), fine, false);
  CHECK(Json::parse(after.requests.at(0).body).contains("temperature"));

  // Two fields, refused one by one: the second call goes through.
  const auto picky = [](const HttpRequest& request) {
    const Json body = Json::parse(request.body);
    const char* const refused = body.contains("temperature") ? "temperature" : body.contains("top_p") ? "top_p" : "";
    return Server{refused[0] == '\0' ? "no such field" : "model", error_of(std::string{refused} + " is not supported")}(
        request);
  };
  const Provider other = my_gateway();
  const ReplayedCall first = call_with(other, with_everything(), picky, false);
  CHECK_FALSE(first.result);
  CHECK(first.requests.size() == 2);
  const ReplayedCall second = call_with(other, with_everything(), picky, false);
  CHECK(second.result);
  CHECK(second.requests.size() == 1);
}

TEST_CASE("a request without the field says nothing about a repair") {
  const Provider target = my_gateway();
  const Server stubborn{"model", error_of("seed is not supported")};
  const Server picky{"seed", error_of("seed is not supported")};
  CHECK(call_with(target, with_everything(), picky, false).requests.size() == 2);
  // Refused for something else, and without a seed: what was learned of it stays.
  CHECK(call_with(target, "Hi", Server{"model", error_of("No such model")}, false).requests.size() == 1);
  const ReplayedCall later = call_with(target, with_everything(), picky, false);
  CHECK(later.requests.size() == 1);
  CHECK(later.result);

  // Not yet confirmed, and answered without a seed: it is still undone where it does not help.
  const Provider other = my_gateway() | retry({.max_attempts = 1});
  CHECK_FALSE(call_with(other, with_everything(), stubborn, false).result);
  CHECK(call_with(other, "Hi", Server{"no such field", ""}, false).result);
  CHECK_FALSE(call_with(other, with_everything(), stubborn, false).result);
  const ReplayedCall after = call_with(other, with_everything(), Server{"no such field", ""}, false);
  CHECK(Json::parse(after.requests.at(0).body).contains("seed"));
}

TEST_CASE("a field that one server does not take is no reason for others not to be asked") {
  const Server server{"seed", error_of("seed is not supported")};
  const ReplayedCall call = call_with(my_gateway() | retry({.max_attempts = 1}), with_everything(), server, false);
  REQUIRE_FALSE(call.result);
  CHECK(call.result.error().kind == ErrorKind::unsupported_capability);
}

TEST_CASE("where the repaired request may not be sent, the call ends with what the server said") {
  const Server server{"seed", error_of("seed is not supported")};
  const Provider target = my_gateway() | intercept({.around = one_send_only});
  const ReplayedCall call = call_with(target, with_everything(), server, false);
  CHECK(call.requests.size() == 1);
  REQUIRE_FALSE(call.result);
  CHECK(call.result.error().kind == ErrorKind::unsupported_capability);
  CHECK_THAT(call.result.error().provider_message, ContainsSubstring("seed is not supported"));
}

TEST_CASE("where one send is allowed none is made to repair it, but the next call knows") {
  const Server server{"seed", error_of("seed is not supported")};
  const Provider target = my_gateway() | retry({.max_attempts = 1});
  const ReplayedCall call = call_with(target, with_everything(), server, false);
  CHECK_FALSE(call.result);
  CHECK(call.requests.size() == 1);
  CHECK_THAT(call.result.error().attempts.at(0).reason, ContainsSubstring("from now on with seed left out"));
  const ReplayedCall next = call_with(target, with_everything(), server, false);
  CHECK(next.result);
  CHECK(next.requests.size() == 1);
  CHECK_THAT(next.result->attempts.at(0).reason, ContainsSubstring("seed left out: the server refused it"));
  // The innermost retry says how often the target may be asked.
  const Provider twice = my_gateway() | retry({.max_attempts = 2}) | retry({.max_attempts = 1});
  CHECK(call_with(twice, with_everything(), server, false).requests.size() == 2);
}

}  // namespace repairs_test
